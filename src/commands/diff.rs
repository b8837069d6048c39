//! `cx diff`

use std::path::Path;

use clap::Args;

use super::session::{Session, git, label, seen};
use crate::{
    failure::{Exit, Failure},
    git::{Oid, Place, checkpoint, diff},
    ledger::Job,
    ui,
};

/// Show what a writer has changed since its base
///
/// Of a live job the working tree as it is now, uncommitted and untracked files
/// too; nothing of it is touched. Git shows it: your pager, your colours.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Only the files and how much changed
    #[arg(long)]
    stat: bool,

    /// Only the names of the files
    #[arg(long, conflicts_with = "stat")]
    name_only: bool,

    /// Since its last checkpoint (`cx spawn --checkpoint`), and not since its base
    #[arg(long)]
    since_checkpoint: bool,

    /// The job
    #[arg(required = true, value_name = "JOB", add = super::candidates::writer())]
    job: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &DiffArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let place = session.repository("diff")?;
    let job = session.job(&args.job)?;
    let Some((tree, _)) = job.spec.branch() else {
        return Err(Failure::new(
            Exit::Failed,
            format!("{} is a reader and changes nothing", label(&job)),
        ));
    };
    let base =
        if args.since_checkpoint { checkpoint_of(place, &job)? } else { oid(&tree.base, &job)? };
    let mut options: Vec<&str> = Vec::new();
    options.extend(args.stat.then_some("--stat"));
    options.extend(args.name_only.then_some("--name-only"));
    let tip = job.exited.as_ref().and_then(|exited| exited.tip.as_deref());
    let tip = match tip {
        Some(tip) => oid(tip, &job)?,
        None if Path::new(&tree.path).is_dir() => {
            let there = seen(&session.store, place, &job, &tree.path).map_err(git)?;
            diff::snapshot(&there).map_err(git)?
        }
        None => {
            ui::note(format_args!("{} has no worktree", label(&job)));
            return Ok(Exit::Failed);
        }
    };
    let code = diff::show(place, &base, &tip, &options).map_err(git)?;
    Ok(if code == 0 { Exit::Success } else { Exit::Code(code) })
}

/// The last checkpoint of a job.
pub(super) fn checkpoint_of(place: &Place, job: &Job) -> Result<Oid, Failure> {
    let none = || {
        let failure = Failure::new(Exit::Failed, format!("{} has no checkpoint", label(job)));
        match job.spec.checkpoint_ms {
            Some(_) if job.tree_gone => failure.hint("it was cleaned"),
            Some(_) => failure.hint("none was due yet, or it had changed nothing by then"),
            None => failure.hint("`cx spawn --checkpoint 5m` makes one every five minutes"),
        }
    };
    let is_its_own = job.spec.checkpoint_ms.is_some() && !job.tree_gone;
    let last = checkpoint::last(place, job.spec.name.as_str()).map_err(git)?;
    Ok(last.filter(|_| is_its_own).ok_or_else(none)?.oid)
}

fn oid(text: &str, job: &Job) -> Result<Oid, Failure> {
    Oid::new(text).map_err(|_| {
        Failure::internal(format!("the ledger has no commit for {}: '{text}'", label(job)))
    })
}
