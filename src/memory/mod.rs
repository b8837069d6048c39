//! The memory that jobs and people share: values by key, in namespaces.
//!
//! # Invariants
//! - `memory/entries.jsonl` is the truth: append-only, one version of one entry a line,
//!   one line one `write`, under an exclusive `flock` on the file itself. A write that
//!   fails is taken back, so that a full disk costs the new entry and nothing earlier.
//! - A crash in the middle of a write leaves a torn last line. Whoever takes the lock
//!   next ends it with a newline; readers skip it, count it and say so.
//! - Nothing but this folder reads or writes these files.
//!
//! - `memory/index/` is made from it and may be deleted at any time.
//!
//! Readers take no lock. Who may read what is a question for [`Reader`]: this is a
//! courtesy among workers, and no wall, since they can read the file.

pub mod base64;
mod entry;
mod error;
mod index;
mod log;
mod passage;
mod reader;
mod search;
mod store;
mod words;

pub use entry::{Author, DEFAULT_NAMESPACE, Entry, MAX_VALUE, Name, RESULTS, Value, check_word};
pub use error::MemoryError;
pub use reader::{Reader, Worker};
pub use search::{Hit, Query};
pub use store::{All, Answer, Memory, Stored, Writer};

#[cfg(test)]
mod tests;
