//! What can go wrong in this folder.

use std::io;
use std::path::{Path, PathBuf};

/// Why a question to git, or a change of a repository, failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// `git` ran and said no.
    #[error("{command} failed{}: {message}", unusual(exit))]
    Command {
        /// The command: `git worktree add`.
        command: String,
        /// `exit 128` or `signal 9`.
        exit: String,
        /// The first line of its stderr that says something.
        message: String,
    },
    /// `git` itself could not be run.
    #[error("cannot run git: {0}")]
    NotRun(io::Error),
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `rename`, ...
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `git2` failed on a repository that it could open.
    #[error("cannot read the repository: {0}")]
    Read(String),
    /// A revision that names no commit.
    #[error("'{0}' names no commit in this repository")]
    NoSuchRevision(String),
    /// The repository has no commits, so nothing can start from one.
    #[error("branch '{0}' has no commits yet")]
    Unborn(String),
    /// A branch of that name is there already.
    #[error("branch '{0}' exists already")]
    BranchExists(String),
    /// A ref is not where it was expected, or moved meanwhile.
    #[error("{name} has moved meanwhile, and was left as it is")]
    RefMoved {
        /// The full name of the ref.
        name: String,
    },
    /// A submodule could not be brought into a new worktree.
    #[error("submodule '{name}' could not be checked out: {message}")]
    Submodule {
        /// Its path in the worktree.
        name: String,
        /// What git said.
        message: String,
    },
    /// A folder that is no worktree of the repository.
    #[error("{} is not a worktree of this repository", .0.display())]
    NotAWorktree(PathBuf),
    /// `git worktree lock` was used on it.
    #[error("worktree {} is locked: {reason}", path.display())]
    WorktreeLocked {
        /// The worktree's folder.
        path: PathBuf,
        /// As the person who locked it wrote it.
        reason: String,
    },
    /// `user.name` or `user.email` is missing, where a person is there to set it.
    #[error("git does not know who you are: {0}")]
    NoIdentity(String),
    /// An answer of git's that cannot be read.
    #[error("cannot understand the answer of {0}")]
    Answer(String),
}

impl GitError {
    /// What to do about it, where this folder knows.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotRun(_) => "install git 2.38 or newer".to_owned(),
            Self::Unborn(_) => "make a first commit: git commit --allow-empty -m start".to_owned(),
            Self::NoIdentity(_) => {
                "git config --global user.name YOU; git config --global user.email YOU@HOST"
                    .to_owned()
            }
            Self::WorktreeLocked { path, .. } => {
                format!("git worktree unlock {}", path.display())
            }
            Self::Command { message, .. } if message.contains("dubious ownership") => {
                "git config --global --add safe.directory FOLDER".to_owned()
            }
            Self::Submodule { name, .. } => {
                format!("try it in the checkout: git submodule update --init --recursive -- {name}")
            }
            _ => return None,
        })
    }

    /// Wraps an I/O error with what was tried on which path.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// An exit code says nothing beyond the message; a signal does.
fn unusual(exit: &str) -> String {
    if exit.starts_with("exit ") { String::new() } else { format!(" ({exit})") }
}
