//! `cx diff`

use std::path::Path;

use clap::Args;

use super::session::{Session, git, label};
use crate::{
    failure::{Exit, Failure},
    git::{Oid, diff},
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
    let base = oid(&tree.base, &job)?;
    let mut options: Vec<&str> = Vec::new();
    options.extend(args.stat.then_some("--stat"));
    options.extend(args.name_only.then_some("--name-only"));
    let tip = job.exited.as_ref().and_then(|exited| exited.tip.as_deref());
    let tip = match tip {
        Some(tip) => oid(tip, &job)?,
        None if Path::new(&tree.path).is_dir() => {
            diff::snapshot(place, Path::new(&tree.path)).map_err(git)?
        }
        None => {
            ui::note(format_args!("{} has no worktree", label(&job)));
            return Ok(Exit::Failed);
        }
    };
    let code = diff::show(place, &base, &tip, &options).map_err(git)?;
    Ok(if code == 0 { Exit::Success } else { Exit::Code(code) })
}

fn oid(text: &str, job: &crate::ledger::Job) -> Result<Oid, Failure> {
    Oid::new(text).map_err(|_| {
        Failure::internal(format!("the ledger has no commit for {}: '{text}'", label(job)))
    })
}
