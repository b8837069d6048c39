//! What a run keeps of itself in `runs/ID/plan.json`: enough for another process
//! to go on with it.
//!
//! The file is replaced whole, before the ledger says which revision it has.

use std::{
    collections::BTreeMap,
    fs,
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    commands::session::store,
    failure::Failure,
    ledger::RunFiles,
    plan::{Plan, Task},
};

const VERSION: u32 = 1;

/// How many jobs of a run live at once where nobody says.
const JOBS: NonZeroU64 = NonZeroU64::new(8).expect("8 is not 0");

/// How many bytes of one answer another task gets to see where nobody says.
const ANSWER_BYTES: NonZeroU32 = NonZeroU32::new(32 * 1024).expect("32 KiB is not 0");

/// How a plan is run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    /// The most jobs of the run that may live at once.
    pub(super) jobs: Option<NonZeroU64>,
    /// The most jobs of the repository that may run at once.
    pub(super) max_jobs: Option<NonZeroU64>,
    /// How often a task is tried again that does not say so itself.
    pub(super) retries: u32,
    /// Start nothing more after the first failure that is final.
    pub(super) fail_fast: bool,
    /// Limit of the whole run.
    pub(super) timeout: Option<Duration>,
    /// How much of one answer another task gets to see.
    pub(super) answer_bytes: Option<NonZeroU32>,
    /// Merge the writers' work once all has succeeded.
    pub(super) merge: bool,
    /// What has to succeed on the result.
    pub(super) verify: Option<String>,
    /// Values over the plan's own.
    pub(super) vars: BTreeMap<String, String>,
}

impl Options {
    pub(super) fn jobs(&self) -> NonZeroU64 {
        self.jobs.unwrap_or(JOBS)
    }

    pub(super) fn answer_bytes(&self) -> usize {
        self.answer_bytes.unwrap_or(ANSWER_BYTES).get() as usize
    }
}

/// A run as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    version: u32,
    /// Counts the plans that were in force, from 1.
    pub(super) revision: u64,
    /// Where it was started: readers work there.
    pub(super) cwd: PathBuf,
    /// How the plan was written.
    pub(super) form: String,
    /// Where it was read.
    pub(super) source: Option<String>,
    /// The commit that all writers start from, where there are any: where HEAD was.
    /// What is committed meanwhile does not make one task differ from another.
    pub(super) base: Option<String>,
    pub(super) options: Options,
    pub(super) plan: Plan,
}

impl Stored {
    pub(super) fn new(plan: Plan, options: Options, cwd: PathBuf) -> Self {
        let (form, source, base) = (String::new(), None, None);
        Self { version: VERSION, revision: 1, cwd, form, source, base, options, plan }
    }

    pub(super) fn read(files: &RunFiles) -> Result<Self, Failure> {
        let path = files.plan();
        let failed = |e: &dyn std::fmt::Display| {
            Failure::internal(format!("cannot read the plan of a run in {}: {e}", path.display()))
                .hint("`cx jobs` still has its jobs")
        };
        let bytes = fs::read(&path).map_err(|e| failed(&e))?;
        let stored: Self = serde_json::from_slice(&bytes).map_err(|e| failed(&e))?;
        if stored.version > VERSION {
            return Err(failed(&"a later cx has written it"));
        }
        Ok(stored)
    }

    pub(super) fn write(&self, files: &RunFiles) -> Result<(), Failure> {
        let bytes =
            serde_json::to_vec_pretty(self).map_err(|e| Failure::internal(e.to_string()))?;
        files.replace(&files.plan(), &bytes).map_err(store)
    }

    /// How often a task may be tried in all.
    pub(super) fn attempts(&self, task: &Task) -> u32 {
        task.retries.unwrap_or(self.options.retries).saturating_add(1)
    }

    /// A value that was given for `{{name}}`.
    pub(super) fn var(&self, name: &str) -> Option<&str> {
        let given = self.options.vars.get(name).or_else(|| self.plan.vars.get(name));
        given.map(String::as_str)
    }
}
