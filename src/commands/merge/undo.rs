//! `cx merge --undo`: the last merge, taken back as it was landed.
//!
//! The ledger says first that the jobs are unmerged, then the branch goes back.
//! Killed in between, the jobs look unmerged while their work is in the branch:
//! the next merge, or undo, finds that promised and has them merged again. The
//! other way round they would be taken for merged, and `cx clean` would remove work
//! that is nowhere else.

use serde::Serialize;

use super::{MergeArgs, failed, failure, land};
use crate::{
    commands::session::{Session, git, store},
    failure::{Exit, Failure},
    git::{
        GitError, Oid, Place, Repo,
        merge::{self, Landing, MergeError, Target},
        refs,
    },
    job::JobId,
    ledger::{Batch, Event, Job, Merged, NotPicked, Unmerged},
    process::crash,
    ui,
};

#[derive(Serialize)]
struct Report<'a> {
    from: &'a str,
    before: &'a str,
    after: &'a str,
    dry_run: bool,
    jobs: &'a [Row<'a>],
}

#[derive(Serialize)]
struct Row<'a> {
    job: JobId,
    name: &'a str,
    /// The ref that keeps its commits, where its branch is gone.
    kept: Option<String>,
}

/// Takes the merge back whose result the branch is at.
pub(super) fn run(args: &MergeArgs, session: &Session, place: &Place) -> Result<Exit, Failure> {
    let repo = Repo::open(place);
    let target = Target::find(&repo, args.into.as_deref()).map_err(failure)?;
    let all: Vec<Job> = session.history()?.jobs.into_values().collect();
    let last = if target.is_new { None } else { last(&all, &target) };
    let Some((batch, jobs)) = last else {
        return Err(nothing(&all, &target));
    };
    let before = Oid::new(&batch.before).map_err(|e| Failure::internal(e.to_string()))?;
    let mut rows = Vec::new();
    for (job, merged) in &jobs {
        let kept = if args.dry_run { None } else { keep(&repo, job, merged)? };
        rows.push(Row { job: job.job, name: job.spec.name.as_str(), kept });
    }
    if !args.dry_run {
        let unmerged = Event::Unmerged(Unmerged { from: target.branch.clone() });
        let events: Vec<_> = jobs.iter().map(|(job, _)| (job.job, unmerged.clone())).collect();
        let promise = land::promise(session, &target.branch, &target.tip, again(&all, &jobs))?;
        land::append(session, &events)?;
        crash::point("undo-marked");
        if let Err(failure) = back(session, &repo, &target, &before, batch.made) {
            if land::holds(place, &promise.condition)? {
                land::append(session, &promise.events)?;
            }
            promise.withdraw().map_err(store)?;
            return Err(failure);
        }
        promise.withdraw().map_err(store)?;
    }
    report(args, &target, &before, batch, &rows)?;
    Ok(Exit::Success)
}

/// What holds again where the merge is not taken back after all.
fn again(all: &[Job], jobs: &[(&Job, &Merged)]) -> Vec<(JobId, Event)> {
    let mut events: Vec<_> =
        jobs.iter().map(|(job, merged)| (job.job, Event::Merged((*merged).clone()))).collect();
    for other in all {
        if let Some(picked) = other.not_picked
            && jobs.iter().any(|(job, _)| job.job == picked)
        {
            events.push((other.job, Event::NotPicked(NotPicked { picked })));
        }
    }
    events
}

/// The merge that ended where the target is now, and its jobs.
fn last<'a>(all: &'a [Job], target: &Target) -> Option<(&'a Batch, Vec<(&'a Job, &'a Merged)>)> {
    let ends_here = |merged: &Merged| {
        let after = merged.batch.as_ref().map(|batch| batch.after.as_str());
        merged.into == target.branch && after == Some(target.tip.as_str())
    };
    let jobs: Vec<_> = all
        .iter()
        .filter_map(|job| Some((job, job.merged.as_ref().filter(|merged| ends_here(merged))?)))
        .collect();
    let batch = jobs.first().and_then(|(_, merged)| merged.batch.as_ref())?;
    Some((batch, jobs))
}

fn nothing(all: &[Job], target: &Target) -> Failure {
    let branch = &target.branch;
    let into = || {
        all.iter().filter_map(|job| Some((job, job.merged.as_ref().filter(|m| m.into == *branch)?)))
    };
    let mut after: Vec<&str> =
        into().filter_map(|(_, m)| Some(m.batch.as_ref()?.after.as_str())).collect();
    after.dedup();
    let Some(last) = after.last().filter(|_| !target.is_new) else {
        let names: Vec<&str> = into().map(|(job, _)| job.spec.name.as_str()).collect();
        if !names.is_empty() && !target.is_new {
            return Failure::new(
                Exit::Failed,
                format!(
                    "what {branch} holds of {} was not merged by cx; nothing was taken back",
                    names.join(", ")
                ),
            )
            .hint(format!("git log --merges {branch} shows who did; git revert takes it back"));
        }
        return Failure::new(
            Exit::Failed,
            format!("no merge into {branch} is known that could be taken back"),
        );
    };
    Failure::new(
        Exit::Failed,
        format!("{branch} has moved on since jobs were merged into it; nothing was taken back"),
    )
    .hint(format!("git log --oneline {last}..{branch} shows what has come since; git revert takes back one merge among others"))
}

fn not_back(error: MergeError) -> Failure {
    failed(error, "nothing was taken back")
}

/// Keeps the commits of a job whose branch does not hold them any more.
fn keep(repo: &Repo, job: &Job, merged: &Merged) -> Result<Option<String>, Failure> {
    // What was merged without a part of it is no commit of the branch's.
    let whole = job.exited.as_ref().and_then(|exited| exited.tip.as_ref());
    let tip = whole.filter(|_| !merged.dropped.is_empty()).unwrap_or(&merged.tip);
    let tip = Oid::new(tip).map_err(|e| Failure::internal(e.to_string()))?;
    if let Some((_, branch)) = job.spec.branch()
        && let Some(now) = repo.branch_tip(branch).map_err(git)?
        && repo.is_ancestor(&tip, &now).map_err(git)?
    {
        return Ok(None);
    }
    refs::keep(repo.place(), job.spec.name.as_str(), &tip).map(Some).map_err(git)
}

/// Moves the branch, and the checkout that has it; a branch that the merge made
/// goes away unless it is checked out.
fn back(
    session: &Session,
    repo: &Repo,
    target: &Target,
    before: &Oid,
    made: bool,
) -> Result<(), Failure> {
    if made && target.checkout.is_none() {
        return match refs::delete_branch(repo, &target.branch, &target.tip) {
            Err(GitError::RefMoved { .. }) => {
                Err(not_back(MergeError::TargetMoved(target.branch.clone())))
            }
            other => other.map_err(git),
        };
    }
    merge::land(&Landing {
        repo,
        target,
        result: before,
        state: session.store.dir(),
        why: "cx merge --undo",
        at: &|step| crash::point(land::step_name(step)),
    })
    .map_err(not_back)
}

fn report(
    args: &MergeArgs,
    target: &Target,
    before: &Oid,
    batch: &Batch,
    rows: &[Row<'_>],
) -> Result<(), Failure> {
    let mut out = ui::out();
    let branch = &target.branch;
    if args.json {
        out.json(&Report {
            from: branch,
            before: &batch.before,
            after: &batch.after,
            dry_run: args.dry_run,
            jobs: rows,
        })?;
        return out.finish();
    }
    let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
    let verb = if args.dry_run { "would take" } else { "took" };
    let names = names.join(", ");
    if batch.made && target.checkout.is_none() {
        out.line(format_args!("{verb} back the merge of {names}, and {branch} with it"))?;
    } else {
        let before = before.short();
        out.line(format_args!("{verb} back the merge of {names}: {branch} is at {before} again"))?;
    }
    out.finish()?;
    for row in rows {
        if let Some(kept) = &row.kept {
            ui::note(format_args!("{}'s branch is gone; its commits are kept as {kept}", row.name));
        }
    }
    Ok(())
}
