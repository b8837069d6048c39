//! `cx merge`
//!
//! The way of a batch: [`select`] the jobs, plan them in memory, [`land`] what
//! merges, write it into the ledger, [`report`].

mod land;
mod report;
mod select;

use clap::Args;

use self::report::Row;
use super::session::{Session, git, refuse_in_worker};
use crate::{
    failure::{Exit, Failure},
    git::{
        Place, Repo,
        merge::{self, MergeError, Recovered, Style, Target},
    },
    ui,
};

/// Merge the branches of finished writers, all that merge, at once
///
/// Everything is tried in memory first, with git's own merge. A job that
/// conflicts is held back and named, with its paths and its opponent; the others
/// land. The checkout, the index and the branch change once, at the end, and
/// only if the branch has not moved meanwhile. Local changes that would be
/// overwritten: nothing is merged. The exit code is 1 when something was held
/// back or there was nothing to merge.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The jobs, merged in this order; all finished and unmerged writers that succeeded if none is named
    #[arg(value_name = "JOB", add = super::completions::finished_writer())]
    jobs: Vec<String>,

    /// Merge into this branch; it is made from HEAD if it does not exist
    #[arg(long, value_name = "BRANCH", add = super::completions::branch())]
    into: Option<String>,

    /// One ordinary commit for each job
    #[arg(long, conflicts_with_all = ["rebase", "no_ff"])]
    squash: bool,

    /// Each job's commits again, on top of the branch
    #[arg(long, conflicts_with = "no_ff")]
    rebase: bool,

    /// A merge commit also where the branch could simply move forward
    #[arg(long)]
    no_ff: bool,

    /// Say what would happen; change nothing
    #[arg(long)]
    dry_run: bool,

    /// Say it as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &MergeArgs) -> Result<Exit, Failure> {
    refuse_in_worker("merge")?;
    let session = Session::open()?;
    let place = session.repository("merge")?;
    recover(&session, place)?;
    let jobs = select::wanted(&session, args)?;
    let repo = Repo::open(place);
    if jobs.is_empty() {
        ui::note("nothing to merge: no finished writer has unmerged commits");
        if args.json {
            let target = Target::find(&repo, args.into.as_deref()).map_err(failure)?;
            report::report(args, &[], &[], &target, &target.tip)?;
        }
        return Ok(Exit::Failed);
    }
    let target = Target::find(&repo, args.into.as_deref()).map_err(failure)?;
    let candidates = jobs
        .iter()
        .map(|job| select::candidate(&repo, job, &target))
        .collect::<Result<Vec<_>, _>>()?;
    let style = match (args.squash, args.rebase, args.no_ff) {
        (true, ..) => Style::Squash,
        (_, true, _) => Style::Rebase,
        (.., true) => Style::NoFf,
        _ => Style::Merge,
    };
    let plan = merge::plan(&repo, &target.tip, &candidates, style).map_err(git)?;
    let rows: Vec<Row> = jobs
        .iter()
        .zip(&plan.entries)
        .map(|(job, entry)| report::row(job, &entry.verdict))
        .collect();
    if plan.lands_something() && !args.dry_run {
        land::land(&session, place, &target, &plan, &rows)?;
    }
    if !args.dry_run {
        for ((job, row), candidate) in jobs.iter().zip(&rows).zip(&candidates) {
            land::mark(&session, job, row, &candidate.tip, &target.branch)?;
        }
    }
    report::report(args, &jobs, &rows, &target, &plan.result)?;
    let held =
        rows.iter().any(|row| !matches!(row.result, "merged" | "already-merged" | "no-changes"));
    Ok(if held { Exit::Failed } else { Exit::Success })
}

/// Finishes or takes back a merge that was cut short.
fn recover(session: &Session, place: &Place) -> Result<(), Failure> {
    match merge::recover(place, session.store.dir()).map_err(failure)? {
        None => {}
        Some(Recovered::Finished { branch }) => {
            ui::note(format_args!("finished an earlier merge into {branch} that was cut short"));
        }
        Some(Recovered::RolledBack { branch }) => {
            ui::note(format_args!("took back an earlier merge into {branch} that was cut short"));
        }
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failure(error: MergeError) -> Failure {
    let exit = match &error {
        MergeError::Detached | MergeError::BadBranch(_) => Exit::Usage,
        MergeError::Git(_) => Exit::Internal,
        _ => Exit::Failed,
    };
    Failure::new(exit, format!("{error}; nothing was merged")).maybe_hint(error.hint())
}
