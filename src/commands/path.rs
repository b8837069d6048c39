//! `cx path`

use clap::Args;

use super::session::{Session, label};
use crate::{
    failure::{Exit, Failure},
    ui,
};

/// Print the worktree of a job, or the folder of a reader that has none
///
/// `cx cd JOB` (from `cx init`) changes to it.
#[derive(Debug, Args)]
pub struct PathArgs {
    /// The job
    #[arg(required = true, value_name = "JOB", add = super::candidates::any_job())]
    job: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &PathArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let job = session.job(&args.job)?;
    let path = job.spec.tree.as_ref().map_or(&job.spec.cwd, |tree| &tree.path);
    if !std::path::Path::new(path).is_dir() {
        let failure = Failure::new(
            Exit::Failed,
            format!("the worktree of {} is not there: {path}", label(&job)),
        );
        return Err(if job.is_live() {
            failure.hint("it is still being made")
        } else if job.tree_gone {
            failure.hint(format!("it was cleaned; `cx show {}` says what is left", job.spec.name))
        } else if let (Some((_, branch)), false) = (job.spec.branch(), job.went_on.is_some()) {
            failure.hint(format!("somebody removed it; what was committed is on {branch}"))
        } else {
            failure.hint(format!("`cx show {}` says what is left", job.spec.name))
        });
    }
    let mut out = ui::out();
    out.line(path)?;
    out.finish()?;
    Ok(Exit::Success)
}
