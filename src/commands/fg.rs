//! `cx fg`

use std::sync::atomic::Ordering;

use clap::Args;

use super::{
    logs::{self, Reader},
    session::{Session, label},
    wait,
};
use crate::{
    failure::{Exit, Failure},
    process::{lock, signals},
    ui,
};

/// Follow a job until it ends; its exit code is ours
///
/// Ctrl-C lets go: the job goes on.
#[derive(Debug, Args)]
pub struct FgArgs {
    /// The job; the last one if none is named
    #[arg(value_name = "JOB", add = super::candidates::live_job())]
    job: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &FgArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let current = ["%+".to_owned()];
    let job = session.job(if args.job.is_empty() { &current } else { &args.job })?;
    ui::note(format_args!("{} {}", label(&job), ui::clean(&job.spec.title)));
    let files = session.store.job(job.job);
    let mut reader = Reader::new(&files, &job, files.stdout(), false);
    let mut out = ui::out();
    let interrupted = signals::interrupt_flag()
        .map_err(|e| Failure::internal(format!("cannot listen for Ctrl-C: {e}")))?;
    loop {
        logs::follow(&session, &job, &mut reader, &mut out, Some(&interrupted))?;
        reader.finish(&mut out)?;
        out.flush()?;
        let now = session.fresh(job.job)?;
        if let Some(exited) = &now.exited {
            wait::tell_failure(&session, &now);
            return Ok(Exit::Code(exited.code));
        }
        if interrupted.load(Ordering::Relaxed) {
            if ui::stderr_is_terminal() {
                // After the `^C` of the terminal.
                ui::plain("");
            }
            ui::note(format_args!("no longer following; {} goes on", label(&job)));
            return Ok(Exit::Code(130));
        }
        // Lost: its recovery holds the lock again.
        lock::wait(&session.store.job(job.job).lock())
            .map_err(|e| Failure::internal(format!("cannot wait for {}: {e}", label(&job))))?;
    }
}
