//! `cx`: `&`, `jobs`, `wait` and `kill` for coding agents, with a git worktree
//! for each one that writes.
//!
//! The binary in `main.rs` is a few lines; everything lives here. Imports go
//! downwards only, as `docs/architecture.md` draws them.

pub mod agent;
pub mod backend;
pub mod cli;
pub mod commands;
pub mod config;
pub mod failure;
pub mod git;
pub mod job;
pub mod ledger;
pub mod process;
pub mod supervisor;
pub mod ui;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, Parser};

use process::start;

/// The whole program: `args` is the command line, the program's name first.
///
/// The hidden verb comes before the command line is parsed: a supervisor lives
/// as long as its worker, and keeps in memory what it has ever touched.
pub fn main(args: &[OsString]) -> ExitCode {
    if let [_, verb, rest @ ..] = args
        && verb == start::SUPERVISE
    {
        return supervisor::main(rest);
    }
    clap_complete::CompleteEnv::with_factory(cli::Cli::command).var("CX_COMPLETE").complete();
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, on stdout and with 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match commands::run(&cli) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            ui::failure(&failure);
            ExitCode::from(failure.exit.code())
        }
    }
}
