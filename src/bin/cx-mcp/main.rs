//! `cx-mcp`: what `cx mcp` becomes. A server of the Model Context Protocol on stdio.
//!
//! A binary of its own, because the protocol's library brings a runtime along that would
//! make every start of `cx` dearer (docs/decisions/0036-cx-mcp.md). It keeps no state and
//! touches no file: each tool is one run of `cx`, whose words are the answer. So what may
//! be done, and what is refused, is decided where it always is.
//!
//! # Two faces
//! An orchestrator gets `orchestrator::TOOLS`; a worker gets `worker::TOOLS` and nothing
//! else. Neither lets its client choose a file, a folder, or a command that is run: options
//! of `cx` that do so are not among the arguments, and whatever a client says stands behind
//! `--` or `=`, where it cannot become an option.
//!
//! # Ends
//! A client that goes away, or cancels a call, ends the `cx` that answers it; the jobs go
//! on. Killed, this leaves at most a `cx wait` behind, which has a time limit.

mod arguments;
mod child;
mod memory;
mod orchestrator;
mod server;
mod tool;
mod wait;
mod worker;

use std::{env, path::PathBuf, process::ExitCode};

use rmcp::ServiceExt;

use child::Cx;
use server::{Face, Server};

/// See `main.rs` of cx.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// What `cx mcp` is started with, as it hands it on.
struct Options {
    cx: PathBuf,
    face: Face,
}

fn main() -> ExitCode {
    let served = options().and_then(|options| serve(&options));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            #[expect(
                clippy::print_stderr,
                reason = "a program of its own, with nobody else to say it"
            )]
            {
                eprintln!("cx: error: {sentence}");
            }
            ExitCode::from(2)
        }
    }
}

/// Only `cx mcp` starts this: it has checked where it stands, and says which binary it is.
fn options() -> Result<Options, String> {
    let mut args = env::args_os().skip(1);
    let by_hand = || "cx-mcp is started by `cx mcp`, and not by hand".to_owned();
    let (Some(cx), Some(face)) = (args.next(), args.next()) else { return Err(by_hand()) };
    let face = match face.to_str() {
        Some("orchestrator") => Face::Orchestrator { allow_sh: false },
        Some("orchestrator-with-sh") => Face::Orchestrator { allow_sh: true },
        Some("worker") => Face::Worker,
        _ => return Err(by_hand()),
    };
    Ok(Options { cx: cx.into(), face })
}

fn serve(options: &Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot begin to serve: {e}"))?;
    let server = Server::new(Cx::at(options.cx.clone()), options.face);
    let ended = runtime.block_on(async {
        let running = server.serve(rmcp::transport::stdio()).await;
        // A client that goes before it has said hello has nothing to be told.
        let Ok(running) = running else { return Ok(()) };
        running.waiting().await.map(drop).map_err(|e| format!("stopped serving: {e}"))
    });
    // Whoever still reads stdin is a thread that nobody can end.
    runtime.shutdown_background();
    ended
}
