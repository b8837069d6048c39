//! `cx fg`

use clap::Args;

use super::{
    logs::{self, Reader},
    session::{Session, label},
    wait,
};
use crate::{
    failure::{Exit, Failure},
    process::lock,
    ui,
};

/// Follow a job until it ends; its exit code is ours
///
/// Ctrl-C lets go: the job goes on.
#[derive(Debug, Args)]
pub struct FgArgs {
    /// The job; the last one if none is named
    #[arg(value_name = "JOB", add = super::completions::live_job())]
    job: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &FgArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let current = ["%+".to_owned()];
    let job = session.job(if args.job.is_empty() { &current } else { &args.job })?;
    ui::note(format_args!("{} {}", label(&job), ui::clean(&job.spec.title)));
    let mut reader = Reader::new(&job, session.store.job(job.job).stdout(), false);
    let mut out = ui::out();
    loop {
        logs::follow(&session, &job, &mut reader, &mut out)?;
        reader.finish(&mut out)?;
        out.flush()?;
        let now = session.fresh(job.job)?;
        if let Some(exited) = &now.exited {
            wait::tell_failure(&now);
            return Ok(Exit::Code(exited.code));
        }
        // Lost: its recovery holds the lock again.
        lock::wait(&session.store.job(job.job).lock())
            .map_err(|e| Failure::internal(format!("cannot wait for {}: {e}", label(&job))))?;
    }
}
