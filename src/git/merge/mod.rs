//! Merging: planned in memory ([`plan()`]), then landed all at once ([`land()`]).
//!
//! Planning makes objects only: no ref, no index, no file changes, and a plan
//! that is not landed leaves nothing but garbage for `git gc`. Git's own merge
//! decides what conflicts (`git merge-tree`). Landing is described in `land`.

mod land;
mod plan;
mod recover;
mod tree;

use std::path::PathBuf;

pub use land::{Landing, Step, Target, land};
pub use plan::plan;
pub use recover::{Recovered, is_pending, recover};

use super::{CommitMessage, GitError, Oid};

/// How a job's work becomes part of the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As `git merge`: the target moves forward to the branch where it can, and
    /// a merge commit is made otherwise.
    #[default]
    Merge,
    /// Always a merge commit.
    NoFf,
    /// One ordinary commit with all of the branch's changes.
    Squash,
    /// The branch's commits again, on top of the target, authors and messages
    /// kept. Merges in the branch are flattened, as `git rebase` does.
    Rebase,
}

/// A branch to be merged.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What the caller calls it; comes back in the plan.
    pub key: String,
    /// Its tip.
    pub tip: Oid,
    /// The message, where a commit is made for it ([`Style::Rebase`] keeps those that are there).
    pub message: CommitMessage,
}

/// What would become of every candidate.
#[derive(Clone, Debug)]
pub struct MergePlan {
    /// The commit that was planned on.
    pub target: Oid,
    /// The commit that holds everything that lands; `target` when nothing does.
    pub result: Oid,
    /// In the order given.
    pub entries: Vec<Entry>,
}

impl MergePlan {
    /// Whether anything would land.
    pub fn lands_something(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.verdict, Verdict::Landed { .. }))
    }
}

/// One candidate of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The candidate's key.
    pub key: String,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It lands; this commit holds it and all that landed before.
    Landed {
        /// The target after it.
        commit: Oid,
    },
    /// It is held back.
    Conflicts {
        /// Where, and how.
        paths: Vec<Conflict>,
        /// With whom.
        opponent: Opponent,
    },
    /// Its tip is in the target's history already.
    AlreadyContained,
    /// It has commits that the target has not, but they would change nothing.
    NoChanges,
    /// It has no common ancestor with the target; held back.
    Unrelated,
    /// [`Style::Rebase`] only: merges in the branch hold changes that would be
    /// lost by flattening; held back.
    RebaseLoses,
}

/// A path on which a merge fails.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// Relative to the root.
    pub path: PathBuf,
    /// Git's word: `contents`, `modify/delete`, `rename/rename`, `file/directory`, ...
    pub kind: String,
}

/// Whom a candidate collides with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opponent {
    /// What was in the target before.
    Target,
    /// Candidates that landed before it (their keys). Several: with each of
    /// them, or only with all of them together.
    Candidates(Vec<String>),
}

/// Why a merge did not happen. The repository is as it was.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// Git could not be asked, or said no.
    #[error(transparent)]
    Git(#[from] GitError),
    /// HEAD is detached, so there is no branch to merge into.
    #[error("HEAD is on no branch, so there is nothing to merge into")]
    Detached,
    /// A name that no branch can have.
    #[error("'{0}' cannot be the name of a branch")]
    BadBranch(String),
    /// Files in the checkout are in the way.
    #[error("local changes would be overwritten in {}: {}", checkout.display(), shown(paths))]
    WouldOverwrite {
        /// The checkout that has the target checked out.
        checkout: PathBuf,
        /// The files, relative to it.
        paths: Vec<PathBuf>,
    },
    /// The user is in the middle of something.
    #[error("a {what} is under way in {}", checkout.display())]
    UnderWay {
        /// `merge`, `rebase`, ...
        what: &'static str,
        /// Where.
        checkout: PathBuf,
    },
    /// Another git holds the checkout's index; this is its lock file.
    #[error("another git command holds {}", .0.display())]
    Busy(PathBuf),
    /// The target is not at the commit, or not in the checkout, that the plan began with.
    #[error("branch '{0}' has moved meanwhile, and was left as it is")]
    TargetMoved(String),
}

impl MergeError {
    /// What to do about it, where this folder knows.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Git(error) => return error.hint(),
            Self::Detached => "name the branch: cx merge --into BRANCH".to_owned(),
            Self::BadBranch(_) => return None,
            Self::WouldOverwrite { .. } => {
                "commit or stash them (git stash -u), then merge again".to_owned()
            }
            Self::UnderWay { what, .. } => {
                format!("finish it (git {what} --continue) or give it up (git {what} --abort)")
            }
            Self::Busy(lock) => {
                format!("wait for it; if no git is running there: rm {}", lock.display())
            }
            Self::TargetMoved(_) => "merge again".to_owned(),
        })
    }
}

fn shown(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().take(5).map(|path| path.display().to_string()).collect();
    match paths.len().saturating_sub(names.len()) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests;
