//! Runs: what the ledger says of a plan that is being worked through, and the
//! fold of it.
//!
//! A run's lines have the job number 0, which no job has, so that readers which
//! know nothing of runs pass over them. Which jobs belong to a run is said by the
//! jobs themselves: see [`super::Spawned::run`] and [`super::Spawned::task`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{Event, Record};
use crate::job::{JobId, ProcessRef};

/// The number that stands on the lines of runs.
pub const NO_JOB: JobId = JobId(0);

/// [`Event::RunStarted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The run's id, unique in this ledger: `CX_RUN` of its jobs.
    pub run: String,
    /// The plan's own name.
    pub name: String,
    /// Where the plan was read: a file, `-`, or a pattern's name.
    pub source: String,
    /// How many tasks it has.
    pub tasks: u64,
    /// The most jobs of the run that may live at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u64>,
    /// The most jobs of the repository that may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_jobs: Option<u64>,
    /// Which revision of the plan `runs/ID/plan.json` holds.
    pub revision: u64,
}

/// [`Event::RunRunning`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRunning {
    /// The run.
    pub run: String,
    /// The process that has its lock.
    pub runner: ProcessRef,
    /// Another had it before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
}

/// [`Event::RunRevised`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRevised {
    /// The run.
    pub run: String,
    /// The revision that `runs/ID/plan.json` holds from here on.
    pub revision: u64,
    /// How many tasks it has.
    pub tasks: u64,
    /// What was changed and why, one sentence.
    pub why: String,
}

/// [`Event::TaskSkipped`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSkipped {
    /// The run.
    pub run: String,
    /// The task's id.
    pub task: String,
    /// One sentence: what it needed, and what became of that.
    pub reason: String,
    /// Its own `when` did not hold: nothing has failed, and what needs it runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passed_over: bool,
}

/// [`Event::RunStopping`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStopping {
    /// The run.
    pub run: String,
    /// What stops it: `SIGINT`, `SIGTERM`, `timeout`, `fail-fast`.
    pub by: String,
}

/// [`Event::RunEnded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnded {
    /// The run.
    pub run: String,
    /// What became of it.
    pub outcome: RunOutcome,
    /// Tasks that succeeded.
    pub succeeded: u64,
    /// Tasks whose last attempt failed.
    pub failed: u64,
    /// Tasks that were not run because of another's failure, or of the stop.
    pub skipped: u64,
    /// Tasks whose `when` did not hold.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub passed_over: u64,
    /// One sentence that says why, unless it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What became of a run. Only [`RunOutcome::Succeeded`] is success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Every task that was to run has succeeded.
    Succeeded,
    /// A task has failed, or what came after the tasks.
    Failed,
    /// Somebody stopped it before its end.
    Stopped,
    /// Its own time limit ran out.
    TimedOut,
    /// A word from a newer cx.
    #[serde(untagged)]
    Other(String),
}

impl RunOutcome {
    /// The word in ledgers, JSON and listings.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::TimedOut => "timed-out",
            Self::Other(word) => word,
        }
    }
}

/// A run as the ledger tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What was decided when it was started; tasks and revision are the current
    /// ones.
    pub spec: RunStarted,
    /// Its place among the runs of this ledger, from 1.
    pub order: u64,
    /// When it was started.
    pub started_at: Timestamp,
    /// The last process that had its lock. Whether it still has it is for the
    /// lock to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<ProcessRef>,
    /// What stops it, once something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<String>,
    /// Tasks that were not run, by id. Empty once the run has ended: its summary
    /// has them then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, TaskSkipped>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<RunEnded>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

impl Run {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.spec.run
    }

    /// Whether it is not over: somebody runs it, or it was interrupted.
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }
}

/// Folds a run's line into `runs`. Lines of a run that nobody has started say
/// nothing.
pub(super) fn fold(runs: &mut BTreeMap<String, Run>, record: Record) {
    let at = record.at;
    let of = |runs: &mut BTreeMap<String, Run>, run: &str, change: &dyn Fn(&mut Run)| {
        if let Some(run) = runs.get_mut(run) {
            change(run);
        }
    };
    match record.event {
        Event::RunStarted(spec) => {
            let order = runs.values().map(|run| run.order).max().unwrap_or_default() + 1;
            runs.entry(spec.run.clone()).or_insert_with(|| Run {
                spec,
                order,
                started_at: at,
                runner: None,
                stopping: None,
                skipped: BTreeMap::new(),
                ended: None,
                ended_at: None,
            });
        }
        Event::RunRunning(running) => of(runs, &running.run, &|run| {
            run.runner = Some(running.runner);
            // Whoever takes it up again begins anew with what did not succeed.
            run.stopping = None;
            run.skipped.clear();
            (run.ended, run.ended_at) = (None, None);
        }),
        Event::RunRevised(revised) => of(runs, &revised.run, &|run| {
            run.spec.revision = revised.revision;
            run.spec.tasks = revised.tasks;
        }),
        Event::TaskSkipped(skipped) => of(runs, &skipped.run, &|run| {
            run.skipped.insert(skipped.task.clone(), skipped.clone());
        }),
        Event::RunStopping(stopping) => of(runs, &stopping.run, &|run| {
            run.stopping = Some(stopping.by.clone());
        }),
        Event::RunEnded(ended) => of(runs, &ended.run, &|run| {
            run.ended = Some(ended.clone());
            run.ended_at = Some(at);
            run.skipped.clear();
        }),
        _ => {}
    }
}

/// Forgets ended runs but for the last `keep` of all.
pub(super) fn prune(runs: &mut BTreeMap<String, Run>, keep: usize) {
    let mut orders: Vec<u64> = runs.values().map(|run| run.order).collect();
    orders.sort_unstable();
    let from = orders.len().checked_sub(keep).and_then(|at| orders.get(at)).copied().unwrap_or(0);
    runs.retain(|_, run| run.is_open() || run.order >= from);
}
