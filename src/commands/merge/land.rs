//! From a plan to the branch, and to the ledger.

use std::collections::BTreeSet;

use super::{
    chosen::{Along, Chosen},
    failure,
};
use crate::{
    commands::session::{Session, git, store},
    failure::Failure,
    git::{
        Oid, Place, Repo,
        merge::{self, Entry, Landing, MergeError, MergePlan, Step, Style, Target, Verdict},
    },
    job::JobId,
    ledger::{Batch, Event, Job, Merged, NotPicked, Promise},
    process::crash,
    ui,
};

/// How a landing went.
pub(super) enum Went {
    /// It has happened, and stands in the ledger.
    Landed,
    /// Something lies in the checkout where it would write; nothing has changed.
    Obstructed(MergeError),
}

/// Moves the target, and the checkout that has it, to the plan's result, and
/// writes into the ledger what that means.
pub(super) fn land(
    session: &Session,
    repo: &Repo,
    target: &Target,
    plan: &MergePlan,
    events: Vec<(JobId, Event)>,
) -> Result<Went, Failure> {
    let promise = promise(session, &target.branch, &plan.result, events)?;
    crash::point("merge-promised");
    let landed: Vec<&str> = plan.landed.iter().map(|at| plan.entries[*at].key.as_str()).collect();
    let landed = merge::land(&Landing {
        repo,
        target,
        result: &plan.result,
        state: session.store.dir(),
        why: &format!("cx merge: {}", landed.join(", ")),
        at: &|step| crash::point(step_name(step)),
    });
    if let Err(error) = landed {
        // Where the branch has moved all the same, the next command says so.
        if !holds(repo.place(), &promise.condition)? {
            promise.withdraw().map_err(store)?;
        }
        return match error {
            MergeError::WouldOverwrite { .. } => Ok(Went::Obstructed(error)),
            _ => Err(failure(error)),
        };
    }
    crash::point("landed");
    append(session, &promise.events)?;
    crash::point("merge-marked");
    promise.withdraw().map_err(store)?;
    Ok(Went::Landed)
}

/// Events that hold as soon, and as long, as `branch` holds `commit`.
pub(super) fn promise(
    session: &Session,
    branch: &str,
    commit: &Oid,
    events: Vec<(JobId, Event)>,
) -> Result<Promise, Failure> {
    session.store.promise(format!("{branch} {commit}"), events).map_err(store)
}

/// Writes into the ledger what a merge, or the undoing of one, has not come to
/// say because it was killed. Gives the jobs that are merged, as it turns out.
pub(in crate::commands) fn settle(session: &Session, place: &Place) -> Result<Vec<Job>, Failure> {
    let mut settled = Vec::new();
    for promise in session.store.orphaned_promises().map_err(store)? {
        if holds(place, &promise.condition)? {
            let jobs = session.history()?.jobs;
            let mut missing = promise.events.clone();
            missing.retain(|(id, event)| {
                jobs.get(id).is_some_and(|job| match event {
                    Event::Merged(merged) => job.merged.as_ref() != Some(merged),
                    Event::NotPicked(other) => job.not_picked != Some(other.picked),
                    _ => false,
                })
            });
            append(session, &missing)?;
            for (id, event) in &missing {
                if matches!(event, Event::Merged(_)) {
                    settled.push(session.fresh(*id)?);
                }
            }
        }
        promise.withdraw().map_err(store)?;
    }
    Ok(settled)
}

/// Whether a branch holds a commit: `BRANCH COMMIT`.
pub(super) fn holds(place: &Place, condition: &str) -> Result<bool, Failure> {
    let Some((branch, commit)) = condition.rsplit_once(' ') else { return Ok(false) };
    let Ok(commit) = Oid::new(commit) else { return Ok(false) };
    let repo = Repo::open(place);
    match repo.branch_tip(branch).map_err(git)? {
        // An undone merge may have been pruned since.
        Some(tip) if repo.resolve_commit(commit.as_str()).is_ok() => {
            repo.is_ancestor(&commit, &tip).map_err(git)
        }
        _ => Ok(false),
    }
}

/// What becomes of the jobs once the plan has landed. `given_up` are not going
/// to be merged when one of them is.
pub(super) fn events(
    session: &Session,
    repo: &Repo,
    target: &Target,
    plan: &MergePlan,
    chosen: &[Chosen],
    given_up: &[JobId],
) -> Result<Vec<(JobId, Event)>, Failure> {
    let batch = Batch {
        before: target.tip.to_string(),
        after: plan.result.to_string(),
        made: target.is_new,
    };
    let mut events: Vec<(JobId, Event)> = Vec::new();
    let came_with: BTreeSet<JobId> = came_along(plan, chosen).map(|along| along.job.job).collect();
    for (one, entry) in chosen.iter().zip(&plan.entries) {
        let tip = &one.candidate.tip;
        let into = target.branch.clone();
        let merged = match &entry.verdict {
            Verdict::Landed { commit } => Merged {
                into,
                commit: commit.to_string(),
                tip: tip.to_string(),
                dropped: one.dropped(),
                batch: Some(batch.clone()),
            },
            // By hand, or by a merge that was killed before it could say so.
            Verdict::AlreadyContained if came_with.contains(&one.job.job) => continue,
            Verdict::AlreadyContained if one.job.is_unmerged() && is_in(repo, target, one)? => {
                // By what lands now, where the target had it not: undone with that.
                let by_now = !repo.is_ancestor(tip, &target.tip).map_err(git)?;
                let (tip, batch) = (tip.to_string(), by_now.then(|| batch.clone()));
                Merged { into, commit: tip.clone(), tip, dropped: Vec::new(), batch }
            }
            // Somebody else's commits say the same already: nothing of it is missing,
            // until those that land now are taken back.
            Verdict::NoChanges if one.job.is_unmerged() => Merged {
                into,
                commit: plan.result.to_string(),
                tip: tip.to_string(),
                dropped: Vec::new(),
                batch: plan.lands_something().then(|| batch.clone()),
            },
            _ => continue,
        };
        let landed = matches!(entry.verdict, Verdict::Landed { .. });
        let along = one.along.iter().filter(|along| came_with.contains(&along.job.job));
        for along in along.filter(|_| landed) {
            let tip = along.tip.to_string();
            let merged = Merged { tip, dropped: Vec::new(), ..merged.clone() };
            events.push((along.job.job, Event::Merged(merged)));
        }
        events.push((one.job.job, Event::Merged(merged)));
        let not_picked = Event::NotPicked(NotPicked { picked: one.job.job });
        resolved(session, repo, one, &batch, &mut events)?;
        events.extend(given_up.iter().map(|other| (*other, not_picked.clone())));
    }
    Ok(events)
}

/// The jobs that are in the target by the branch of one that came after them,
/// and not by their own.
fn came_along<'a>(plan: &'a MergePlan, chosen: &'a [Chosen]) -> impl Iterator<Item = &'a Along> {
    let all = chosen.iter().zip(&plan.entries);
    let landed = move |(one, entry): (&'a Chosen, &'a Entry)| {
        matches!(entry.verdict, Verdict::Landed { .. }).then_some(one)
    };
    let by_itself = all.clone().filter_map(landed).map(|one| one.job.job).collect::<Vec<_>>();
    all.filter_map(landed)
        .flat_map(|one| &one.along)
        .filter(move |along| !by_itself.contains(&along.job.job))
}

/// A resolver's branch holds the job that it resolved, which has landed with it.
fn resolved(
    session: &Session,
    repo: &Repo,
    by: &Chosen,
    batch: &Batch,
    events: &mut Vec<(JobId, Event)>,
) -> Result<(), Failure> {
    let Some(resolves) = &by.job.spec.resolves else { return Ok(()) };
    let Some((_, Event::Merged(landed))) = events.last() else { return Ok(()) };
    let landed = landed.clone();
    let history = session.history()?;
    let Some(job) = history.jobs.get(&resolves.job).filter(|job| job.is_unmerged()) else {
        return Ok(());
    };
    let Ok(tip) = Oid::new(&resolves.tip) else { return Ok(()) };
    // A resolver that was mended by hand may have lost it on the way.
    if !repo.is_ancestor(&tip, &by.candidate.tip).map_err(git)? {
        return Ok(());
    }
    let merged = Merged {
        into: landed.into,
        commit: landed.commit,
        tip: resolves.tip.clone(),
        dropped: Vec::new(),
        batch: landed.batch.is_some().then(|| batch.clone()),
    };
    events.push((job.job, Event::Merged(merged)));
    Ok(())
}

/// Whether the target holds the job's work, now that it holds its branch. One
/// that was moved back to where it began says nothing about the work.
fn is_in(repo: &Repo, target: &Target, one: &Chosen) -> Result<bool, Failure> {
    let base = one.job.spec.tree.as_ref().and_then(|tree| Oid::new(&tree.base).ok());
    let has_work = match &base {
        Some(base) => !repo.is_ancestor(&one.candidate.tip, base).map_err(git)?,
        None => false,
    };
    match &one.ended_at {
        Some(ended_at) if !has_work => repo.is_ancestor(ended_at, &target.tip).map_err(git),
        _ => Ok(has_work),
    }
}

/// Appends events that belong together.
pub(super) fn append(session: &Session, events: &[(JobId, Event)]) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let mut appender = session.store.appender().map_err(store)?;
    appender.append_all(events.iter().map(|(job, event)| (*job, event))).map_err(store)?;
    Ok(())
}

/// Runs the hook that hears of merges, where there is a checkout to run it in.
/// The merge has happened, whatever comes of it.
pub(super) fn post_merge(repo: &Repo, target: &Target, style: Style) {
    let Some(checkout) = &target.checkout else { return };
    if let Err(error) = merge::post_merge(repo, checkout, style == Style::Squash) {
        ui::warn(format_args!("the hook post-merge did not run: {error}"));
    }
}

/// The name of a crash point.
pub(super) fn step_name(step: Step) -> &'static str {
    match step {
        Step::Journal => "merge-journal",
        Step::Locked => "merge-locked",
        Step::Files => "merge-files",
        Step::Moved => "merge-moved",
        Step::Index => "merge-index",
    }
}
