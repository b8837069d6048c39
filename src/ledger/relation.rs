//! What a job has to do with other jobs, and with its run.

use serde::{Deserialize, Serialize};

use crate::job::JobId;

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
