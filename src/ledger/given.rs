//! What a job is given, where that is more than a word: parts of
//! [`Spawned`](super::Spawned).

use serde::{Deserialize, Serialize};

use crate::job::JobId;

/// Jobs of which only so many run at once in one repository, over all shells and
/// plans: those of one alias or agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Whose.
    pub name: String,
    /// The most that may run at once when this job starts, itself included.
    pub max: u64,
}

/// The worktree that a job works in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// The linked worktree, absolute.
    pub path: String,
    /// The branch, `cx/NAME`. A reader has none: its HEAD is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit that it starts from, in full; see also [`Based`](super::Based).
    pub base: String,
    /// The commit that the branch is made at, where that is a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The worker's working directory below `path`; empty for its top.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

impl Tree {
    /// The commit that the branch is made at.
    pub fn beginning(&self) -> &str {
        self.start.as_deref().unwrap_or(&self.base)
    }
}

/// Which task of its run's plan a job is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOf {
    /// The task's id.
    pub id: String,
    /// The alias or agent, as the plan names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// What it was repeated over, where its task is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
}

/// The conflict that stands in a resolver's worktree: `tip` merged into its base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolves {
    /// The job that was held back.
    pub job: JobId,
    /// The commit of it that is merged.
    pub tip: String,
    /// What has to succeed on the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<String>,
}

/// What a job goes on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumes {
    /// The job before it.
    pub job: JobId,
    /// In a new thread: its files go on, and not its conversation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
}
