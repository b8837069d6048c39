//! The ledger: one append-only JSONL file for each repository, from which the
//! state of every job and every run is folded.
//!
//! # Invariants
//! - One event is one line, one line is one `write`, under an exclusive `flock`
//!   on the ledger itself. A write that fails is taken back, so that a full
//!   disk costs the new event and nothing earlier.
//! - A crash in the middle of a write leaves a torn last line. Whoever takes the
//!   lock next ends it with a newline; readers skip it, count it and say so.
//! - `snapshot.jsonl` is a fold up to an offset of the ledger. It is replaced
//!   whole, it is never needed, and whatever is odd about it means: fold from
//!   the start.
//! - Nothing but this folder reads or writes these files.

mod check;
mod closed;
mod event;
mod fallback;
mod fold;
mod given;
mod hold;
mod hooks;
mod landing;
mod line;
mod log;
mod notice;
mod pack;
mod parts;
mod phase;
mod promise;
mod redact;
mod renew;
mod run;
mod runs;
mod segment;
mod since;
mod snapshot;
mod store;
mod turn;
mod usage;

pub use event::{
    Based, Event, Exited, KillRequested, Note, Record, Running, Spawned, Started, VERSION, Waiting,
    Worktree,
};
pub use fallback::{Fallback, FellOver};
pub use fold::{Job, State};
pub use given::{Pool, Resolves, Resumes, TaskOf, Tree};
pub use hold::{Clock, HoldLimits, OnHold};
pub use hooks::Hooks;
pub use landing::{Batch, Cleaned, Held, Merged, NotPicked, Unmerged};
pub use line::{decode, glance};
pub use log::{Appender, FollowedState, Follower};
pub use notice::Notice;
pub use pack::Packed;
pub use phase::Phase;
pub use promise::Promise;
pub use run::{
    NO_JOB, RevisedTask, RunEnded, RunOutcome, RunRevised, RunRunning, RunStarted, RunStopping,
    TaskSkipped,
};
pub use runs::Run;
pub use snapshot::Head;
pub use store::{JobFiles, RunFiles, Store, StoreError};
pub use turn::{Turn, Wait};
pub use usage::{Book, JobUse, Page, Tally, Used, day_of};

#[cfg(test)]
mod tests;
