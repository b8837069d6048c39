//! `cx retry`

use clap::Args;

use super::{
    diff::checkpoint_of,
    resume::{How, last_of, refuse_live},
    session::{Session, refuse_in_worker},
    spawn::From,
};
use crate::failure::{Exit, Failure};

/// Run a job's task again
///
/// A new job with the same prompt and a new conversation. A writer goes on in the
/// same worktree, from where that stands; with --fresh it gets one of its own, from
/// the commit that the job started from, and the old one stays as it is.
///
/// What it came after counts again: where such a job was retried too, the last try.
/// One of them that has failed is to be retried first.
#[derive(Debug, Args)]
pub struct RetryArgs {
    #[command(flatten)]
    how: How,

    /// From the commit that the job started from, in a worktree of its own
    #[arg(long)]
    fresh: bool,

    /// From its last checkpoint (`cx spawn --checkpoint`), in a worktree of its own
    #[arg(long, conflicts_with = "fresh")]
    from_checkpoint: bool,

    /// The job
    #[arg(value_name = "JOB", add = super::candidates::any_job())]
    job: String,
}

/// Runs the verb.
pub fn run(args: &RetryArgs) -> Result<Exit, Failure> {
    refuse_in_worker("retry jobs")?;
    let session = Session::open()?;
    let job = if args.fresh || args.from_checkpoint {
        session.job(std::slice::from_ref(&args.job))?
    } else {
        last_of(&session, &args.job)?
    };
    refuse_live(&job, "retry", "`cx kill` ends it")?;
    if args.from_checkpoint {
        let commit = checkpoint_of(session.repository("retry")?, &job)?;
        return args.how.start(&session, &job, From::Commit(commit), None);
    }
    let from = if args.fresh || job.is_without_tree() { From::Base } else { From::Files };
    args.how.start(&session, &job, from, None)
}
