//! `cx mcp`
//!
//! Checks where it stands and then becomes `cx-mcp`, a binary of its own
//! (`src/bin/cx-mcp/`), whose tools are runs of this one.

use std::{env, ffi::OsStr, io, io::IsTerminal};

use clap::Args;

use super::session::{Session, refuse_in_worker};
use crate::{
    failure::{Exit, Failure},
    job::JobId,
    process::{start, tree},
};

/// Serve an agent over the Model Context Protocol, on stdin and stdout
///
/// For an orchestrator that is an agent itself: tools to spawn, wait, collect, diff, merge
/// and kill, and the shared memory. A codex in its sandbox can neither write the state
/// folder nor reach the network from its shell; the servers that it starts can.
/// `codex mcp add cx -- cx mcp`, or `claude mcp add cx -- cx mcp`; `cx man mcp` says more.
///
/// Workers of codex and claude are given `cx mcp --worker` by cx itself: the memory, their
/// own job, and `report`. `cx spawn --no-mcp` leaves it out.
#[derive(Debug, Args)]
pub struct McpArgs {
    /// The tools of a worker, and nothing else: for the job that CX_JOB names
    #[arg(long)]
    worker: bool,

    /// Let the agent have a shell as the worker: its tasks then run outside of any sandbox
    #[arg(long, conflicts_with = "worker")]
    allow_sh: bool,
}

/// Runs the verb.
pub fn run(args: &McpArgs) -> Result<Exit, Failure> {
    if io::stdin().is_terminal() {
        return Err(Failure::usage("`cx mcp` is spoken to by a program, and stdin is a terminal")
            .hint("`codex mcp add cx -- cx mcp`, or `claude mcp add cx -- cx mcp`"));
    }
    let session = Session::open()?;
    let face = match (args.worker, args.allow_sh) {
        (true, _) => {
            own_job(&session)?;
            "worker"
        }
        (false, allow_sh) => {
            refuse_below_worker()?;
            if allow_sh { "orchestrator-with-sh" } else { "orchestrator" }
        }
    };
    let Some(program) = start::mcp_program() else {
        let beside = start::own_binary().with_file_name(start::MCP_PROGRAM);
        return Err(Failure::new(
            Exit::NotFound,
            format!("{} is not there, which speaks the protocol", beside.display()),
        )
        .hint("it comes with cx: install both, for example by `cargo install --locked --path .`"));
    };
    let cx = start::own_binary();
    let error = start::become_program(&program, &[cx.as_os_str(), OsStr::new(face)]);
    Err(Failure::new(Exit::NotExecutable, format!("{} cannot be run: {error}", program.display())))
}

/// A worker must not have the orchestrator's tools, and its program may have taken the
/// variables away by which it is known.
fn refuse_below_worker() -> Result<(), Failure> {
    refuse_in_worker("serve an orchestrator")?;
    match tree::inherited("CX_JOB") {
        None => Ok(()),
        Some((_, job)) => Err(Failure::usage(format!(
            "a worker cannot have an orchestrator's tools, and this was started by the worker of job %{job}"
        ))
        .hint("what is configured as `cx mcp` is replaced in workers by `cx mcp --worker` if it is called cx")),
    }
}

/// The job whose worker this is for: there, and the very one.
pub(super) fn own_job(session: &Session) -> Result<JobId, Failure> {
    let unknown = |why: &str| {
        Failure::usage(format!("this is not the worker of a job: {why}"))
            .hint("cx starts it for its workers; by hand there is `cx mcp`")
    };
    let number = env::var("CX_JOB").map_err(|_| unknown("CX_JOB is not set"))?;
    let id = number.parse().map(JobId).map_err(|_| unknown("CX_JOB is no job's number"))?;
    let job = session.store.state().map_err(super::session::store)?.jobs.remove(&id);
    let mark = env::var("CX_JOB_ID").unwrap_or_default();
    match job {
        Some(job) if job.spec.id == mark && job.is_live() => Ok(id),
        Some(_) => Err(unknown(&format!("job {id} is another one, or over"))),
        None => Err(unknown(&format!("there is no job {id} in {}", session.store.dir().display()))),
    }
}
