//! `cx __segment STATE`, hidden: renews the line that prompts show.
//!
//! The files in `shell/` run it when the ledger of a repository is newer than
//! that line. They name the state folder, so that a prompt need not wait for a
//! search, nor for the command line to be parsed.

use std::{ffi::OsString, process::ExitCode};

use crate::{
    failure::Exit,
    ledger::{Phase, State, Store},
};

/// The verb.
pub const VERB: &str = "__segment";

/// Runs the verb. Says nothing; whoever asks is a prompt.
pub fn main(args: &[OsString]) -> ExitCode {
    let [state] = args else { return ExitCode::from(Exit::Usage.code()) };
    match Store::new(state).refresh_segment(render) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(Exit::Internal.code()),
    }
}

/// `cx:LIVE~HELD+SUCCEEDED!FAILED`: of the live ones those on hold; the last two without those that were collected
/// or tried again, and each only where there are any; nothing where there are none at all.
fn render(state: &State) -> String {
    let (mut live, mut held, mut well, mut ill) = (0_u64, 0_u64, 0_u64, 0_u64);
    for job in state.jobs.values() {
        match (job.is_live(), job.collected || job.superseded_by().is_some()) {
            (true, _) => {
                live += 1;
                held += u64::from(job.phase == Phase::OnHold);
            }
            (false, false) if job.succeeded() => well += 1,
            (false, false) => ill += 1,
            (false, true) => {}
        }
    }
    let mut text = String::new();
    for (sign, count) in [("", live), ("~", held), ("+", well), ("!", ill)] {
        if count > 0 {
            text.push_str(sign);
            text.push_str(&count.to_string());
        }
    }
    if text.is_empty() { text } else { format!("cx:{text}") }
}
