//! What a job's branch brings along: the work of the writers that it came after.

use std::collections::BTreeSet;

use super::chosen::{Along, Chosen};
use crate::{
    commands::session::git,
    failure::Failure,
    git::{Oid, Repo, merge::Target},
    ledger::State,
};

/// The unmerged jobs whose whole work `one` holds and the target does not.
pub(super) fn along(
    repo: &Repo,
    target: &Target,
    history: &State,
    one: &Chosen,
) -> Result<Vec<Along>, Failure> {
    let mut found = Vec::new();
    let (mut seen, mut pending) = (BTreeSet::new(), one.job.spec.after.clone());
    while let Some(id) = pending.pop() {
        let Some(job) = history.jobs.get(&id).filter(|_| seen.insert(id)) else { continue };
        pending.extend(&job.spec.after);
        if !job.is_unmerged() {
            continue;
        }
        let Some((_, branch)) = job.spec.branch() else { continue };
        let ended_at = job.exited.as_ref().and_then(|exited| exited.tip.as_deref());
        let tip = match repo.branch_tip(branch).map_err(git)? {
            Some(now) => now,
            None => match ended_at.and_then(|tip| repo.resolve_commit(tip).ok()) {
                Some(tip) => tip,
                None => continue,
            },
        };
        let is_in = |oid: &Oid| repo.is_ancestor(&tip, oid).map_err(git);
        if is_in(&one.candidate.tip)? && !is_in(&target.tip)? {
            found.push(Along { job: job.clone(), tip });
        }
    }
    found.sort_by_key(|along| along.job.job);
    Ok(found)
}
