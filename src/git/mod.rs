//! Git: repositories, worktrees, commits, merges. The only place that names `git2`.
//!
//! Two engines answer. `git2` reads in process, because a child costs more than
//! all of `cx spawn` may (`repo`); `git` itself does whatever merges and whatever
//! writes but plain commits, because its result is the arbiter (`command` is the
//! one place that starts it). What `git2` cannot open (partial clones, reftable,
//! SHA-256) is read with `git` too, behind the same functions.
//!
//! Invariants: paths are bytes and are passed with `-z`; object ids are text of
//! any length; the environment never decides which repository is meant; the
//! user's hooks do not run.

pub mod apply;
pub mod checkpoint;
pub mod command;
pub mod commit;
pub mod diff;
pub mod error;
pub mod grant;
pub mod include;
pub mod merge;
pub mod oid;
pub mod place;
pub mod push;
pub mod refs;
pub mod repo;
pub mod scope;
mod settings;
pub mod stage;
mod trees;
pub mod worktree;

#[cfg(test)]
mod testing;

pub use command::{Git, SCRUBBED};
pub use commit::CommitMessage;
pub use error::GitError;
pub use oid::Oid;
pub use place::Place;
pub use repo::{Head, Repo};
pub use settings::Settings;
