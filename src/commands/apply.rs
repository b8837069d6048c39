//! `cx apply`

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::{
    branch::branch_now,
    session::{Session, git, label, refuse_in_worker, seen},
};
use crate::{
    failure::{Exit, Failure},
    git::{
        Oid, Repo,
        apply::{ApplyError, Patch},
        diff,
    },
    ui,
};

/// Bring a writer's changes into the checkout, uncommitted
///
/// What the job has changed since its base; of a live job its working tree as it
/// is now. Only files are written: the index and the branches stay as they are,
/// new files are untracked, and the job stays unmerged. All or nothing: where
/// something is in the way it is named and nothing is written. Local changes
/// elsewhere stay, in the same file too where the job's fit around them.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Only say whether it would fit
    #[arg(long)]
    check: bool,

    /// The job
    #[arg(value_name = "JOB", add = super::candidates::writer())]
    job: String,

    /// Only these files; pathspecs, as seen from the current folder
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
}

/// Runs the verb.
pub fn run(args: &ApplyArgs) -> Result<Exit, Failure> {
    refuse_in_worker("apply changes")?;
    let session = Session::open()?;
    let place = session.repository("apply")?;
    let job = session.job(std::slice::from_ref(&args.job))?;
    let Some((tree, _)) = job.spec.branch() else {
        let failure = format!("{} is a reader and changes nothing", label(&job));
        return Err(Failure::new(Exit::Failed, failure));
    };
    let base = Oid::new(&tree.base).map_err(|_| {
        Failure::internal(format!("the ledger has no base for {}: '{}'", label(&job), tree.base))
    })?;
    let tip = if job.is_live() {
        if !Path::new(&tree.path).is_dir() {
            return Err(Failure::new(
                Exit::Failed,
                format!("{} has no worktree yet; nothing was changed", label(&job)),
            ));
        }
        let there = seen(&session.store, place, &job, &tree.path).map_err(git)?;
        diff::snapshot(&there).map_err(git)?
    } else {
        branch_now(&Repo::open(place), &job)?
            .map_err(|why| Failure::new(Exit::Failed, format!("{why}; nothing was changed")))?
    };
    let patch = Patch::between(&session.cwd, &base, &tip, &args.paths).map_err(failure)?;
    if patch.paths.is_empty() {
        let of = if args.paths.is_empty() { "" } else { " there" };
        ui::note(format_args!("{} has changed nothing{of}", label(&job)));
        return Ok(Exit::Failed);
    }
    patch.apply(place, args.check).map_err(failure)?;
    let mut out = ui::out();
    let verb = if args.check { "would fit" } else { "applied" };
    let files = ui::plural(patch.paths.len() as u64, "file");
    out.line(format_args!("{} {verb}, uncommitted ({files})", label(&job)))?;
    out.finish()?;
    Ok(Exit::Success)
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failure(error: ApplyError) -> Failure {
    let exit = match &error {
        ApplyError::Git(_) => Exit::Internal,
        _ => Exit::Failed,
    };
    Failure::new(exit, format!("{error}; nothing was changed")).maybe_hint(error.hint())
}
