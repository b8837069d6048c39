//! The `cx` binary: parse, run, exit code.

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    cx::main(&args)
}
