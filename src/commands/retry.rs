//! `cx retry`

use clap::Args;

use super::{
    diff::checkpoint_of,
    resume::{How, last_of, refuse_live},
    session::{Session, refuse_in_worker},
    spawn::{From, prompt_of},
};
use crate::failure::{Exit, Failure};

/// Run a job's task again
///
/// A new job with the same prompt and a new conversation. A writer goes on in the
/// same worktree, from where that stands; with --fresh it gets one of its own, from
/// the commit that the job started from, and the old one stays as it is.
///
/// Of a job that went on from another (`cx resume`, `cx send`), what it was told is
/// said again in their conversation. With --fresh and --from-checkpoint the new job
/// begins a conversation, and is told all that was said in the old one. Of a job that
/// has gone on, it is the last that is retried; with --fresh, the one that is named.
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
    let went_on = job.spec.resumes.as_ref().filter(|resumes| !resumes.anew && !args.fresh);
    let Some(resumes) = went_on else {
        let from = if args.fresh || job.is_without_tree() { From::Base } else { From::Files };
        return args.how.start(&session, &job, from, None);
    };
    let history = session.history()?;
    match history.jobs.get(&resumes.job) {
        // It never came to its worker, and gave back what it took over.
        Some(before) if before.went_on != Some(job.job) => {
            let said = prompt_of(&session, &job)?;
            let before = last_of(&session, &before.job.to_string())?;
            refuse_live(&before, "retry", "`cx kill` ends it")?;
            args.how.start(&session, &before, From::Thread, Some(said))
        }
        _ => args.how.start(&session, &job, From::Thread, None),
    }
}
