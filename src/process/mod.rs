//! Processes: the locks that say who lives, the trees that must be ended, the
//! signals that a supervisor hears, and the confinement of readers.
//!
//! # Invariants
//! - A job lives exactly as long as its lock file is locked exclusively. The
//!   lock belongs to an open file that `cx spawn` hands to the supervisor, so
//!   there is no moment between them, and the kernel frees it on `kill -9`.
//! - Lock files are never unlinked while a job may live.
//! - No process is signalled by its bare number: its start time is compared
//!   first, or it is a child of ours.
//!
//! The only place that names `nix`, `duct`, `signal_hook` and `landlock`.

pub mod attend;
pub mod confine;
pub mod crash;
pub mod disk;
pub mod door;
pub mod ending;
pub mod errand;
pub mod leash;
mod limits;
pub mod lock;
pub mod run;
pub mod secrets;
pub mod signals;
pub mod start;
pub mod stdio;
pub mod tidy;
pub mod tree;
pub mod tty;
pub mod vigil;
pub mod watch;
pub mod within;
pub mod worker;

#[cfg(test)]
mod tests;
