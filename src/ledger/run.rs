//! Runs: what the ledger says of a plan that is being worked through.
//!
//! A run's lines have the job number 0, which no job has, so that readers which
//! know nothing of runs pass over them. Which jobs belong to a run is said by the
//! jobs themselves: see [`super::Spawned::run`] and [`super::Spawned::task`].

use serde::{Deserialize, Serialize};

use crate::job::{JobId, Mode, ProcessRef};

/// The number that stands on the lines of runs.
pub const NO_JOB: JobId = JobId(0);

/// [`Event::RunStarted`](super::Event::RunStarted).
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

/// [`Event::RunRunning`](super::Event::RunRunning).
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

/// [`Event::RunRevised`](super::Event::RunRevised).
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
    /// The tasks that are new or say something else, as they are from here on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<RevisedTask>,
    /// The ids of tasks that are not going to be run any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// A task as a revision has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisedTask {
    /// Its id.
    pub id: String,
    /// The alias or agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Reader or writer, where the revision or the plan says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The model, where the revision or the plan says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it needs, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// What its worker is told, all of it; what the plan's file says, as a template.
    pub prompt: String,
}

/// [`Event::TaskSkipped`](super::Event::TaskSkipped).
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

/// [`Event::RunStopping`](super::Event::RunStopping).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStopping {
    /// The run.
    pub run: String,
    /// What stops it: `SIGINT`, `SIGTERM`, `timeout`, `fail-fast`.
    pub by: String,
}

/// [`Event::RunEnded`](super::Event::RunEnded).
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
