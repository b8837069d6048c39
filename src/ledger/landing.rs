//! What the ledger says of a job's work once the job is over: merged, taken back,
//! not picked, cleaned.

use serde::{Deserialize, Serialize};

use crate::job::JobId;

/// [`super::Event::Merged`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The branch it went into.
    pub into: String,
    /// The commit that brought it there.
    pub commit: String,
    /// The tip that was merged.
    pub tip: String,
    /// Files outside of its scope whose changes were left out. `tip` is the branch
    /// without them then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// The merge it was part of; absent where cx found it merged already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// One landing. The jobs that landed together have equal ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Where the branch was, or what it was made from.
    pub before: String,
    /// Where it was afterwards.
    pub after: String,
    /// The merge made the branch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub made: bool,
}

/// [`super::Event::Unmerged`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmerged {
    /// The branch that it was taken out of.
    pub from: String,
}

/// [`super::Event::Held`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What held it back: `check`.
    pub by: String,
    /// The check's command.
    pub command: String,
    /// The tip that was tried. It says nothing of another one.
    pub tip: String,
}

/// [`super::Event::NotPicked`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotPicked {
    /// The job that was.
    pub picked: JobId,
}

/// [`super::Event::Cleaned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleaned {
    /// Its worktree and branch are gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tree: bool,
    /// Its folder with prompt and outputs is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub files: bool,
    /// A ref that keeps what was not merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}
