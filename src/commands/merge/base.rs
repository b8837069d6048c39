//! What a job was started from as a gate: commits of others that the target
//! lacks do not land with it unless the person says so.

use std::collections::BTreeSet;

use super::chosen::{Along, Base, Chosen, Others};
use crate::{
    commands::session::{Session, git},
    failure::Failure,
    git::{
        Oid, Repo,
        merge::{self, Foreign, Start, Style, Target},
    },
    ledger::{Job, State},
};

/// Looks at every job, and parts those that may land from those that are held
/// back. A squash and a rebase land a job's own changes alone, where it has not
/// begun from other jobs' work besides. `with_base` lands all of it. Who was started
/// from the branch of another one of the batch comes after that.
pub(super) fn gate(
    session: &Session,
    repo: &Repo,
    target: &Target,
    (style, with_base): (Style, bool),
    chosen: Vec<Chosen>,
) -> Result<(Vec<Chosen>, Vec<Chosen>), Failure> {
    let (mut pass, mut held) = (Vec::new(), Vec::new());
    let batch: Vec<Along> = chosen
        .iter()
        .map(|one| Along { job: one.job.clone(), tip: one.candidate.tip.clone() })
        .collect();
    let mut history = None;
    for mut one in chosen {
        let Some((tree, _)) = one.job.spec.branch() else {
            pass.push(one);
            continue;
        };
        let base = oid(&tree.base)?;
        if repo.is_ancestor(&base, &target.tip).map_err(git)? {
            pass.push(one);
            continue;
        }
        let history = match &mut history {
            Some(history) => history,
            none => none.insert(session.history()?),
        };
        let mates = begun_from(repo, target, &batch, &one, &base)?;
        let mut known = needed(history, &one.job);
        for mate in &mates {
            let began = mate.job.spec.branch().map(|(tree, _)| oid(&tree.base)).transpose()?;
            known.extend(began.map(|began| (began, mate.tip.clone())));
        }
        if !mates.is_empty() && one.candidate.start.is_none() {
            let base = base.clone();
            one.candidate.start = Some(Start { base, is_in: false, alone: false });
        }
        let needs_all = one.job.based.is_some();
        let is_after = |along: &Along| one.along.iter().any(|has| has.job.job == along.job.job);
        let mates: Vec<Along> = mates.into_iter().filter(|mate| !is_after(mate)).collect();
        one.along.extend(mates);
        let ends = (&base, &one.candidate.tip);
        let found = merge::foreign(repo, &target.tip, ends, &known, needs_all).map_err(git)?;
        let Some(mut foreign) = found else {
            pass.push(one);
            continue;
        };
        let others = if with_base {
            Others::Brought
        } else if matches!(style, Style::Squash | Style::Rebase) && !needs_all {
            let start = Start { base: foreign.base.clone(), is_in: true, alone: true };
            one.candidate.start = Some(start);
            Others::LeftOut
        } else {
            Others::HeldBack
        };
        let of = owner(repo, history, &mut foreign)?;
        let is_rewritten = foreign.branches.is_empty()
            && merge::had(repo, &target.branch, &foreign.base).map_err(git)?;
        one.base = Some(Base { foreign, others, of, is_rewritten });
        if others == Others::HeldBack { held.push(one) } else { pass.push(one) }
    }
    Ok((pass, held))
}

/// Those of the batch whose whole work `one` was started from, and the target has not.
fn begun_from(
    repo: &Repo,
    target: &Target,
    batch: &[Along],
    one: &Chosen,
    base: &Oid,
) -> Result<Vec<Along>, Failure> {
    let mut found = Vec::new();
    for other in batch.iter().filter(|other| other.job.job != one.job.job) {
        let is_in = |oid: &Oid| repo.is_ancestor(&other.tip, oid).map_err(git);
        if is_in(base)? && !is_in(&target.tip)? {
            found.push(other.clone());
        }
    }
    Ok(found)
}

/// A job's branch has what it was started from as well, which says nothing of where
/// that comes from: such branches are not named. Gives the job whose own work it is
/// where it is a job's that is named first.
fn owner(repo: &Repo, history: &State, foreign: &mut Foreign) -> Result<Option<String>, Failure> {
    let (mut kept, mut of) = (Vec::new(), None);
    for branch in &foreign.branches {
        let mut jobs = history.jobs.values().filter(|job| !job.is_without_tree());
        let job = jobs.find(|job| job.spec.branch().is_some_and(|(_, own)| own == branch));
        if let Some((job, (tree, _))) = job.and_then(|job| Some((job, job.spec.branch()?))) {
            if repo.is_ancestor(&foreign.base, &oid(&tree.base)?).map_err(git)? {
                continue;
            }
            if kept.is_empty() {
                of = Some(job.spec.name.to_string());
            }
        }
        kept.push(branch.clone());
    }
    foreign.branches = kept;
    Ok(of)
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
