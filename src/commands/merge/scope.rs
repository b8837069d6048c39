//! The scope as a gate: what a job changed outside of the pathspecs that it was
//! given does not land unless the person says so.
//!
//! It comes before planning, so that a job that is held back here holds back no
//! other. Only objects are made.

use std::path::{Path, PathBuf};

use super::chosen::{Chosen, Found, Outside};
use crate::{
    commands::session::git,
    failure::Failure,
    git::{
        Oid, Repo, diff,
        merge::Target,
        scope::{self, Scope},
    },
    ledger::Job,
};

/// Looks at every job, takes out of it what is to be dropped, and parts those
/// that may land from those that are held back.
pub(super) fn gate(
    repo: &Repo,
    target: &Target,
    outside: Outside,
    chosen: Vec<Chosen>,
) -> Result<(Vec<Chosen>, Vec<Chosen>), Failure> {
    let (mut pass, mut held) = (Vec::new(), Vec::new());
    for mut one in chosen {
        if outside != Outside::Keep
            && let Some(foreign) = brought(repo, target, &one)?
        {
            one.outside = Some(foreign);
            held.push(one);
            continue;
        }
        let Some((origin, paths)) = found(repo, target, &one.job, &one.candidate.tip)? else {
            pass.push(one);
            continue;
        };
        let (mut fate, mut files_left) = (outside, None);
        if fate == Outside::Drop {
            let tip = &one.candidate.tip;
            match scope::without(repo, &origin, tip, &paths).map_err(git)? {
                Some(rest) => {
                    let left = diff::stat(repo.place(), &origin, &rest).map_err(git)?;
                    files_left = Some(left.len() as u64);
                    one.candidate.tip = rest;
                    let named =
                        |path: &PathBuf| ("Cx-Dropped".to_owned(), path.display().to_string());
                    one.candidate.message.trailers.extend(paths.iter().map(named));
                }
                // All of it is outside, so there is nothing to land.
                None => fate = Outside::Refuse,
            }
        }
        one.outside = Some(Found { paths, fate, files_left, of: None });
        if fate == Outside::Refuse { held.push(one) } else { pass.push(one) }
    }
    Ok((pass, held))
}

/// What a job that would come along changed outside of its own scope. It cannot
/// be taken out of the branch of another one.
fn brought(repo: &Repo, target: &Target, one: &Chosen) -> Result<Option<Found>, Failure> {
    for along in &one.along {
        if let Some((_, paths)) = found(repo, target, &along.job, &along.tip)? {
            let of = Some(along.job.spec.name.to_string());
            return Ok(Some(Found { paths, fate: Outside::Refuse, files_left: None, of }));
        }
    }
    Ok(None)
}

/// Where a job's own changes begin, and which of them are out of its scope.
fn found(
    repo: &Repo,
    target: &Target,
    job: &Job,
    tip: &Oid,
) -> Result<Option<(Oid, Vec<PathBuf>)>, Failure> {
    let spec = &job.spec;
    let Some(tree) = spec.tree.as_ref().filter(|_| !spec.scope.is_empty()) else {
        return Ok(None);
    };
    let base = Oid::new(&tree.base).map_err(|e| Failure::internal(e.to_string()))?;
    // Without a common history planning holds it back.
    let Some(origin) = scope::origin(repo, &base, tip, &target.tip).map_err(git)? else {
        return Ok(None);
    };
    let scope = Scope { prefix: Path::new(&tree.prefix), specs: &spec.scope };
    let paths = scope::outside(repo.place(), &origin, tip, scope).map_err(git)?;
    Ok((!paths.is_empty()).then_some((origin, paths)))
}
