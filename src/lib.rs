//! `cx`: `&`, `jobs`, `wait` and `kill` for coding agents, with a git worktree
//! for each one that writes.
//!
//! The binary in `main.rs` is a few lines; everything lives here. Imports go
//! downwards only, as `docs/architecture.md` draws them.

pub mod failure;
pub mod job;

pub mod agent;
pub mod backend;
pub mod config;
pub mod git;
pub mod ledger;
pub mod process;
pub mod ui;
