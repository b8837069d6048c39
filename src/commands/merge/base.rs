//! What a job was started from as a gate: commits of others that the target
//! lacks do not land with it unless the person says so.

use std::collections::BTreeSet;

use super::chosen::{Base, Chosen, Others};
use crate::{
    commands::session::git,
    failure::Failure,
    git::{
        Oid, Repo,
        merge::{self, Start, Style, Target},
    },
    ledger::{Job, State},
};

/// Looks at every job, and parts those that may land from those that are held
/// back. A squash and a rebase land a job's own changes alone, where it has not
/// begun from other jobs' work besides. `with_base` lands all of it.
pub(super) fn gate(
    repo: &Repo,
    target: &Target,
    history: &State,
    (style, with_base): (Style, bool),
    chosen: Vec<Chosen>,
) -> Result<(Vec<Chosen>, Vec<Chosen>), Failure> {
    let (mut pass, mut held) = (Vec::new(), Vec::new());
    for mut one in chosen {
        let Some((tree, _)) = one.job.spec.branch() else {
            pass.push(one);
            continue;
        };
        let base = oid(&tree.base)?;
        let known = needed(history, &one.job);
        let gathered = one.job.based.is_some();
        let ends = (&base, &one.candidate.tip);
        let found = merge::foreign(repo, &target.tip, ends, &known, gathered).map_err(git)?;
        let Some(foreign) = found else {
            pass.push(one);
            continue;
        };
        let others = if with_base {
            Others::Brought
        } else if matches!(style, Style::Squash | Style::Rebase) && one.candidate.start.is_none() {
            let start = Start { base: foreign.base.clone(), is_in: true, alone: true };
            one.candidate.start = Some(start);
            Others::LeftOut
        } else {
            Others::HeldBack
        };
        one.base = Some(Base { foreign, others });
        if others == Others::HeldBack { held.push(one) } else { pass.push(one) }
    }
    Ok((pass, held))
}

/// Where the own work of the jobs that a job comes after begins and ends.
fn needed(history: &State, job: &Job) -> Vec<(Oid, Oid)> {
    let mut found = Vec::new();
    let (mut seen, mut pending) = (BTreeSet::new(), job.spec.after.clone());
    while let Some(id) = pending.pop() {
        let Some(need) = history.jobs.get(&id).filter(|_| seen.insert(id)) else { continue };
        pending.extend(&need.spec.after);
        let base = need.spec.branch().and_then(|(tree, _)| Oid::new(&tree.base).ok());
        let tip = need.exited.as_ref().and_then(|exited| Oid::new(exited.tip.as_ref()?).ok());
        found.extend(base.zip(tip));
    }
    found
}

fn oid(text: &str) -> Result<Oid, Failure> {
    Oid::new(text).map_err(|e| Failure::internal(e.to_string()))
}
