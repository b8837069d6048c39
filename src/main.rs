//! The `cx` binary: parse, run, exit code.

use std::{ffi::OsString, process::ExitCode};

/// What musl brings gives pages back as soon as they are free, and asks for them
/// again: more than half of what a short run costs.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    cx::main(&args)
}
