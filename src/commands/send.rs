//! `cx send`

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueHint};

use super::{
    resume::{How, last_of},
    session::{Session, label, refuse_in_worker},
    spawn::{From, read_words, require_thread},
};
use crate::{
    failure::{Exit, Failure},
    ui,
};

/// Say something to a worker
///
/// No backend takes messages while it runs, so it is said when the job has ended
/// well: a new job that goes on from it, as by `cx resume`. To a job that is over
/// it is said at once.
#[derive(Debug, Args)]
pub struct SendArgs {
    #[command(flatten)]
    how: How,

    /// Say it from FILE
    #[arg(short = 'F', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// The job
    #[arg(value_name = "JOB", add = super::candidates::any_job())]
    job: String,

    /// What to say; `-` reads stdin
    #[arg(value_name = "PROMPT", trailing_var_arg = true, conflicts_with = "file")]
    prompt: Vec<OsString>,
}

/// Runs the verb.
pub fn run(args: &SendArgs) -> Result<Exit, Failure> {
    refuse_in_worker("send to workers")?;
    let session = Session::open()?;
    let job = last_of(&session, &args.job)?;
    require_thread(&job)?;
    let prompt = read_words(&args.prompt, args.file.as_ref())?;
    let exit = args.how.start(&session, &job, From::Thread, Some(prompt))?;
    if job.is_live() {
        ui::note(format_args!(
            "{} takes no messages while it runs; it is told when it has ended well",
            label(&job)
        ));
    }
    Ok(exit)
}
