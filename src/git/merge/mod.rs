//! Merging: planned in memory ([`plan()`]), then landed all at once ([`land()`]).
//!
//! Planning makes objects only: no ref, no index, no file changes, and a plan
//! that is not landed leaves nothing but garbage for `git gc`. Git's own merge
//! decides what conflicts (`git merge-tree`). A plan's commits are drafts: where
//! hooks, an editor or a signature have a say, [`seal()`] makes the commits that
//! land. Landing is described in `land`.

mod ancestors;
mod case;
mod foreign;
mod foresee;
mod gather;
mod hook;
mod land;
mod matrix;
mod meet;
mod obstacle;
mod order;
mod plan;
mod recover;
mod resolve;
mod seal;
mod tree;
mod wish;

use std::path::PathBuf;

pub use foreign::{Foreign, foreign, had};
pub use gather::{Refusal, gather};
pub use hook::post_merge;
pub use land::{Landing, Step, Target, check, land};
pub use matrix::{Clash, Matrix, Pair};
pub use meet::{Collision, Effort, collisions};
pub use obstacle::unobstructed;
pub use plan::plan;
pub use recover::{Recovered, is_pending, recover};
pub use resolve::{
    Undecided, conflicts_of, markers_left, markers_standing, stand, undecided_still,
};
pub use seal::{Seal, clear, is_sealed, seal};
pub use wish::{Cleanup, Wishes, is_signed};

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
    /// The target moves forward to the branch, or the branch is held back.
    FfOnly,
    /// One ordinary commit with all of the branch's changes.
    Squash,
    /// The branch's commits again, on top of the target, authors and messages
    /// kept. Merges in the branch are flattened, as `git rebase` does.
    Rebase,
}

/// Which candidates land where not all can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As many as can be, and of as many the first ones. Those that land do so
    /// in the order given.
    #[default]
    Most,
    /// One after the other: an earlier one holds back a later one.
    AsGiven,
}

/// A branch to be merged.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What the caller calls it; comes back in the plan.
    pub key: String,
    /// Its tip.
    pub tip: Oid,
    /// Where its own work begins, if it began from others' work.
    pub start: Option<Start>,
    /// The message, where a commit is made for it ([`Style::Rebase`] keeps those that are there).
    pub message: CommitMessage,
}

/// The commit that a branch was started from, where that holds the work of others.
#[derive(Clone, Debug)]
pub struct Start {
    /// The commit.
    pub base: Oid,
    /// The target holds all of it, by what the caller knows: perhaps in other
    /// commits, as after a squash. Otherwise git is asked whether it would add
    /// anything.
    pub is_in: bool,
    /// Only what came after the commit lands, whatever the target holds
    /// ([`Style::Squash`] and [`Style::Rebase`] only).
    pub alone: bool,
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
    /// Those that land (indices of `entries`), in the order in which they do.
    pub landed: Vec<usize>,
}

impl MergePlan {
    /// Those that would land nothing of their own, judged against everything
    /// that lands: where some of that is held back after all, they are to be
    /// judged anew. In the order given.
    pub fn idle(&self) -> Vec<usize> {
        let is_idle =
            |entry: &Entry| matches!(entry.verdict, Verdict::AlreadyContained | Verdict::NoChanges);
        (0..self.entries.len()).filter(|at| is_idle(&self.entries[*at])).collect()
    }

    /// Whether anything would land.
    pub fn lands_something(&self) -> bool {
        !self.landed.is_empty()
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
    /// [`Style::FfOnly`] only: the target has commits that it has not; held back.
    NotForward,
    /// Git itself died of the merge; held back.
    GitDied {
        /// What it said.
        message: String,
    },
    /// A check of the caller's fails with it; held back. Planning never says so.
    Red {
        /// It fails only together with these (their keys), which are held back too.
        with: Vec<String>,
        /// It fails on top of these, which pass without it.
        on: Vec<String>,
    },
    /// Something in the target's checkout would be overwritten; held back. Planning
    /// never says so: [`unobstructed`] does.
    InTheWay {
        /// What: `changed`, `untracked`, `ignored`.
        paths: Vec<Conflict>,
        /// The checkout that the paths are relative to.
        checkout: PathBuf,
    },
    /// A hook of the repository refused its commit; held back.
    Refused {
        /// Which: `pre-merge-commit`, `commit-msg`, ...
        hook: &'static str,
    },
}

/// A path on which a merge fails.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// Relative to the root.
    pub path: PathBuf,
    /// Git's word: `contents`, `modify/delete`, `rename/rename`,
    /// `file/directory`, ...; `case` where names are one file because case does
    /// not count (`core.ignoreCase`).
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
    /// Git is configured to do what cx cannot, or what makes no sense.
    #[error("{key} of git's configuration is '{value}', which cx merge cannot do")]
    Configured {
        /// The key.
        key: String,
        /// Its value, or the part of it.
        value: String,
    },
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
    /// The folder of the worktree that has the target checked out is gone.
    #[error("branch '{branch}' is checked out in {}, which is gone", checkout.display())]
    CheckoutGone {
        /// The target.
        branch: String,
        /// Where it would be.
        checkout: PathBuf,
    },
    /// Another git holds the checkout's index; this is its lock file.
    #[error("another git command holds {}", .0.display())]
    Busy(PathBuf),
    /// The target is not at the commit, or not in the checkout, that the plan began with.
    #[error("branch '{0}' has moved meanwhile, and was left as it is")]
    TargetMoved(String),
    /// The person's editor failed, or there is none.
    #[error("the editor did not say yes: {0}")]
    Editor(String),
    /// A message that is empty once its comments are gone.
    #[error("the message for {0} is empty")]
    EmptyMessage(String),
}

impl MergeError {
    /// What to do about it, where this folder knows.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Git(error) => return error.hint(),
            Self::Detached => "name the branch: cx merge --into BRANCH".to_owned(),
            Self::WouldOverwrite { .. } => {
                "commit or stash them (git stash -u), then merge again".to_owned()
            }
            Self::UnderWay { what, .. } => {
                format!("finish it (git {what} --continue) or give it up (git {what} --abort)")
            }
            Self::Busy(lock) => {
                format!("wait for it; if no git is running there: rm {}", lock.display())
            }
            Self::CheckoutGone { .. } => {
                "bring the folder back, or let go of it (git worktree prune), then merge again"
                    .to_owned()
            }
            Self::TargetMoved(_) => "merge again".to_owned(),
            Self::Editor(_) => "set GIT_EDITOR or core.editor, or leave out --edit".to_owned(),
            Self::Configured { key, .. } => {
                format!("`git config --show-origin {key}` shows where that is; or merge with git")
            }
            Self::BadBranch(_) | Self::EmptyMessage(_) => return None,
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
