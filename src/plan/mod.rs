//! Plans: tasks with needs between them, whatever file they were written in.
//!
//! A task map, a pipeline, a list of workers, phases and cx's own form all
//! become one [`Plan`] ([`Plan::read`]), are given their arguments
//! ([`Plan::bind`]) and are [`check`]ed whole before anything starts. A
//! [`Schedule`] then says what can run. Nothing here starts a job, reads an agent
//! or looks at a repository: `commands` resolves the names and runs what is ready.
//!
//! Pure values: nothing here writes, so a crash leaves nothing.

mod arguments;
mod check;
pub mod compat;
mod literal;
mod pattern;
mod problem;
pub mod propose;
mod read;
pub mod revise;
mod schedule;
mod when;

pub use arguments::{Argument, Choice};
pub use check::{Graph, check};
pub use pattern::{PATTERNS, Pattern};
pub use problem::{Kind, Problem, nearest};
pub use schedule::{End, Schedule, State, Step, TaskIx};
pub use when::{Ending, When, WhenError};

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::job::{BackendChoice, Mode, Usd};

/// A plan as it was read, with every form brought to one.
///
/// It survives serde unchanged: a run keeps the plan it runs as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// What the run is called after: the plan's own name, or its file's.
    pub name: String,
    /// How it was written: `task-map`, `pipeline`, `workers`, `phases` or `own`.
    pub form: String,
    /// What it is for, in a line or more.
    pub description: String,
    /// What whoever runs it is asked for.
    pub args: Vec<Argument>,
    /// Aliases that the plan defines: overrides as the file has them, each an
    /// object with `agent` and what is laid over the definition.
    pub aliases: BTreeMap<String, serde_json::Value>,
    /// Values for `{{NAME}}`, under those of `--var`.
    pub vars: BTreeMap<String, String>,
    /// In the order of the file. Ids are unique.
    pub tasks: Vec<Task>,
    /// Names of the phases, where the file has them; [`Task::phase`] counts them.
    pub phases: Vec<String>,
    /// The most jobs of the repository that may run at once.
    pub max_jobs: Option<NonZeroU64>,
    /// Stop spawning at the first failure that is final.
    pub fail_fast: bool,
    /// Wall-clock limit of the whole run.
    pub timeout: Option<Duration>,
    /// Tokens that all its jobs may use together.
    pub max_tokens: Option<NonZeroU64>,
    /// What they may cost.
    pub max_budget_usd: Option<Usd>,
    /// What has to succeed on the merge of all writers; run as `cx merge
    /// --verify` runs it, and only where the plan says that it merges.
    pub verify: Option<String>,
    /// Merge what the writers have done, once all of the run is over and well.
    pub merge: bool,
    /// What the file says and cx does not do, in sentences for the person.
    pub notes: Vec<String>,
}

/// One task of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// Unique in the plan; letters, digits, `.`, `_` and `-`.
    pub id: String,
    /// The alias or agent as the file names it; none runs without a role.
    pub alias: Option<String>,
    /// What the worker is told; a template.
    pub prompt: String,
    /// For `sh`: a program and its arguments, in place of `prompt`.
    pub argv: Vec<String>,
    /// Tasks that have to succeed first, by id.
    pub needs: Vec<String>,
    /// Ids whose answers are appended under a heading, though no `{{results.ID}}`
    /// names them. `needs`, unless the file says otherwise.
    pub answers: Vec<String>,
    /// Reader or writer, where the file says so.
    pub mode: Option<Mode>,
    /// What does the work, where the file says so.
    pub backend: Option<BackendChoice>,
    /// The model, in the backend's own words.
    pub model: Option<String>,
    /// Pathspecs that a writer may touch.
    pub scope: Vec<String>,
    /// Where a writer starts, if not from HEAD and the work of its needs.
    pub base: Option<String>,
    /// Files the task is about, as the file has them.
    pub files: Vec<String>,
    /// Tools the task asks for.
    pub tools: Vec<String>,
    /// `type` of a task map: `analysis`, `edit`, ...; told to the worker.
    pub kind: Option<String>,
    /// Wall-clock limit of one attempt.
    pub timeout: Option<Duration>,
    /// How long an attempt may write nothing.
    pub silence: Option<Duration>,
    /// How often it is tried again after a failure, where the file says so.
    pub retries: Option<u32>,
    /// Turns, where the file limits them and the backend can.
    pub max_turns: Option<NonZeroU32>,
    /// Tokens that one attempt may use.
    pub max_tokens: Option<NonZeroU64>,
    /// What it may cost.
    pub max_budget_usd: Option<Usd>,
    /// The file with the schema that its answer has to fit; from a file, it counts from
    /// that one's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<PathBuf>,
    /// How many entries of the memory its worker is told, where the file says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<NonZeroU32>,
    /// It runs only where this holds; otherwise it is passed over, and what
    /// needs it is not skipped for that.
    pub when: Option<String>,
    /// One task for each value; the ids get `-1`, `-2`, ... and `{{item}}` is the
    /// value.
    pub foreach: Option<Foreach>,
    /// Which phase it belongs to, from 0.
    pub phase: usize,
    /// Its line in the file, from 1; 0 where it has none.
    pub line: u64,
}

/// What a task is repeated over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Foreach {
    /// These values.
    Values(Vec<String>),
    /// A template whose lines or words between commas are the values;
    /// [`Plan::bind`] fills it in, and so makes it [`Foreach::Values`].
    List(String),
    /// The lines, or the items of a JSON array, in the answer of a need. At most
    /// `max`; more fail the task.
    Answer {
        /// The need.
        of: String,
        /// The most items.
        max: NonZeroU32,
    },
}
