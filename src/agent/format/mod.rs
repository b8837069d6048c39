//! The shapes in which agents are written down: one module for each.
//!
//! A shape turns a name, a file's bytes and where they were found into an
//! [`Agent`](super::Agent). Looking for files is not its business.

pub(super) mod markdown;
