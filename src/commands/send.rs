//! `cx send`

use clap::Args;

use super::{
    resume::{How, Said, last_of},
    session::{Session, label, refuse_in_worker},
    spawn::{From, require_thread},
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

    #[command(flatten)]
    what: Said,
}

/// Runs the verb.
pub fn run(args: &SendArgs) -> Result<Exit, Failure> {
    refuse_in_worker("send to workers")?;
    let session = Session::open()?;
    let job = last_of(&session, &args.what.job)?;
    require_thread(&session, &job)?;
    let prompt = args.what.read()?;
    let exit = args.how.start(&session, &job, From::Thread, Some(prompt))?;
    if job.is_live() {
        ui::note(format_args!(
            "{} takes no messages while it runs; it is told when it has ended well",
            label(&job)
        ));
    }
    Ok(exit)
}
