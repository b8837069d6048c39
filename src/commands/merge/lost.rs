//! Merges that git does not have any more: the branch was reset, rebased or deleted.
//!
//! The ledger cannot know. Before anything relies on what it says of a merge, to
//! remove a branch or to leave a job out, git is asked whether the landed commit is
//! still in a branch. The branches of jobs do not count: a merge that moved the
//! branch forward landed the job's own tip.

use std::collections::BTreeSet;

use crate::{
    commands::session::{Session, git},
    failure::Failure,
    git::{Oid, Place, refs},
    job::JobId,
    ledger::{Job, Unmerged},
};

/// The jobs with a branch whose merge is in no branch any more, with what the ledger
/// has to say of each.
pub(in crate::commands) fn lost(
    session: &Session,
    place: &Place,
) -> Result<Vec<(JobId, Unmerged)>, Failure> {
    let jobs = session.history()?.jobs;
    let own = |job: &Job| job.spec.branch().map(|(_, branch)| branch.to_owned());
    let held: Vec<&Job> =
        jobs.values().filter(|job| !job.is_without_tree() && own(job).is_some()).collect();
    let landed = held.iter().filter_map(|job| Some((*job, job.merged.as_ref()?)));
    let mut commits = Vec::new();
    for (_, merged) in landed.clone() {
        commits.push(Oid::new(&merged.commit).map_err(|e| Failure::internal(e.to_string()))?);
    }
    if commits.is_empty() {
        return Ok(Vec::new());
    }
    // A job's branch that others were merged into is a target like any other.
    let targets: BTreeSet<&str> =
        jobs.values().filter_map(|job| Some(job.merged.as_ref()?.into.as_str())).collect();
    let branches = held.iter().filter_map(|job| Some(job.spec.branch()?.1));
    let but = branches.filter(|branch| !targets.contains(branch)).collect();
    let nowhere = refs::in_no_branch(place, &commits, &but).map_err(git)?;
    let is_lost = |commit: &str| nowhere.iter().any(|oid| oid.as_str() == commit);
    Ok(landed
        .filter(|(_, merged)| is_lost(&merged.commit))
        .map(|(job, merged)| (job.job, Unmerged { from: merged.into.clone() }))
        .collect())
}
