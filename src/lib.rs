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
mod document;
pub mod failure;
pub mod git;
pub mod job;
pub mod ledger;
pub mod memory;
pub mod plan;
pub mod process;
pub mod schema;
pub mod supervisor;
pub mod ui;
mod view;

use std::{ffi::OsString, path::Path, process::ExitCode};

use commands::{completions, segment};
use process::{leash, secrets, start, within};

/// The whole program: `args` is the command line, the program's name first.
///
/// The hidden verbs come before the command line is parsed: a supervisor lives
/// as long as its worker, and keeps in memory what it has ever touched.
pub fn main(args: &[OsString]) -> ExitCode {
    let name =
        args.first().map(|name| Path::new(name).file_name() == Some(within::WITHIN.as_ref()));
    if name == Some(true) {
        return within::main(&args[1..]);
    }
    match args.get(1).and_then(|verb| verb.to_str()) {
        Some(start::SUPERVISE) => {
            secrets::keep();
            return supervisor::main(&args[2..]);
        }
        Some(leash::LEASH) => return leash::main(&args[2..]),
        Some(start::RECOVER) => {
            secrets::keep();
            return supervisor::main_recover(&args[2..]);
        }
        Some(start::CHECKPOINT) => {
            secrets::keep();
            return supervisor::main_checkpoint(&args[2..]);
        }
        Some(within::WITHIN) => return within::main(&args[2..]),
        Some(start::RUN) => {
            secrets::keep();
            return commands::run::main(&args[2..]);
        }
        Some(start::TIDY) => {
            secrets::keep();
            return commands::tidy::main(&args[2..]);
        }
        Some(segment::VERB) => return segment::main(&args[2..]),
        _ => {}
    }
    completions::answer();
    secrets::keep();
    let cli = match cli::parse(args) {
        Ok(cli) => cli,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            match cli::complaint(&error, args) {
                Some(failure) => ui::failure(&failure),
                // Help and version come this way too, on stdout and with 0.
                None => drop(error.print()),
            }
            return ExitCode::from(code);
        }
    };
    if let Err(error) = process::signals::survive_full_files() {
        ui::note(format_args!("cannot handle signals: {error}"));
    }
    match commands::run(&cli) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            ui::failure(&failure);
            ExitCode::from(failure.exit.code())
        }
    }
}
