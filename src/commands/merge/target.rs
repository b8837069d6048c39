//! The branch that is merged into, and what a person may take it for.

use super::{MergeArgs, failure, report};
use crate::{
    commands::session::{Session, git, label},
    failure::{Exit, Failure},
    git::{Repo, merge::Target},
    ledger::Job,
    ui,
};

/// Finds it. Without `--into` it is the branch that is checked out, but never the
/// branch of a job: whoever stands in a job's worktree means to look at its work. A job
/// that was merged there would count as merged, and be seen in no branch of the person's.
pub(super) fn find(session: &Session, repo: &Repo, args: &MergeArgs) -> Result<Target, Failure> {
    let target = Target::find(repo, args.into.as_deref()).map_err(failure)?;
    if args.into.is_some() {
        refuse_remote(repo, &target)?;
        return Ok(target);
    }
    if let Some(owner) = owner(session, &target)? {
        let branch = &target.branch;
        return Err(Failure::usage(format!(
            "{branch} is checked out here, which is the branch of {}; nothing was merged",
            label(&owner)
        ))
        .hint(format!(
            "go to your own checkout first, or name the branch: cx merge --into BRANCH{}",
            [String::new()]
                .iter()
                .chain(&args.jobs)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        )));
    }
    Ok(target)
}

/// The jobs without the one whose own branch the target is: nothing of it can go there.
pub(super) fn others(
    args: &MergeArgs,
    target: &Target,
    jobs: Vec<Job>,
) -> Result<Vec<Job>, Failure> {
    let is_own = |job: &Job| job.spec.branch().is_some_and(|(_, branch)| branch == target.branch);
    if let Some(own) = jobs.iter().find(|job| is_own(job) && !args.jobs.is_empty()) {
        return Err(Failure::usage(format!(
            "{} is the branch of {} itself; nothing was merged",
            target.branch,
            label(own)
        )));
    }
    Ok(jobs.into_iter().filter(|job| !is_own(job)).collect())
}

/// There is nobody to merge. `settled`: what was asked for has happened, if only just now.
pub(super) fn nothing(
    session: &Session,
    repo: &Repo,
    args: &MergeArgs,
    settled: bool,
) -> Result<Exit, Failure> {
    if !settled {
        ui::note("nothing to merge: no finished writer has unmerged commits");
        for (job, into) in elsewhere(session, repo, args)? {
            let name = &job.spec.name;
            ui::note(format_args!(
                "{} is in {into} only; `cx merge {name}` brings it here too",
                label(&job)
            ));
        }
    }
    if args.json {
        let target = Target::find(repo, args.into.as_deref()).map_err(failure)?;
        report::report(args, &[], &[], &target, &target.tip, &[])?;
    }
    Ok(if settled { Exit::Success } else { Exit::Failed })
}

/// The jobs that were merged into another branch than the one that is checked out, which
/// has them not.
fn elsewhere(
    session: &Session,
    repo: &Repo,
    args: &MergeArgs,
) -> Result<Vec<(Job, String)>, Failure> {
    // Where nothing can be merged into nothing is missing.
    let Ok(target) = Target::find(repo, args.into.as_deref()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    // Whoever has a worktree is at hand.
    for job in session.state()?.jobs.into_values() {
        let Some(merged) = job.merged.as_ref().filter(|merged| merged.into != target.branch) else {
            continue;
        };
        // Once it is cleaned, it is that branch's affair.
        let Ok(commit) = repo.resolve_commit(&merged.commit) else { continue };
        if !job.is_without_tree()
            && session.in_run(&job)
            && !repo.is_ancestor(&commit, &target.tip).map_err(git)?
        {
            let into = merged.into.clone();
            found.push((job, into));
        }
    }
    Ok(found)
}

/// Nothing can be merged into a remote's branch, and a branch of the same name beside
/// it is not what anybody means.
fn refuse_remote(repo: &Repo, target: &Target) -> Result<(), Failure> {
    let branch = &target.branch;
    let remote = format!("refs/remotes/{branch}");
    if !target.is_new || repo.ref_tip(&remote).map_err(git)?.is_none() {
        return Ok(());
    }
    let local = branch.split_once('/').map_or(branch.as_str(), |(_, local)| local);
    let make = if repo.branch_exists(local).map_err(git)? {
        String::new()
    } else {
        format!("git branch {local} {branch} && ")
    };
    Err(Failure::usage(format!("{branch} is a branch of a remote; nothing was merged"))
        .hint(format!("merge into your own: {make}cx merge --into {local}")))
}

/// The job whose branch the target is.
fn owner(session: &Session, target: &Target) -> Result<Option<Job>, Failure> {
    let is_own = |job: &Job| {
        !job.is_without_tree()
            && job.spec.branch().is_some_and(|(_, branch)| branch == target.branch)
    };
    // Whoever has a worktree is at hand.
    Ok(session.state()?.jobs.into_values().find(is_own))
}
