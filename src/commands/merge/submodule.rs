//! Commits of submodules as a gate: a branch that names one which only its worktree has
//! lands as a repository that nobody can check out.

use std::path::{Path, PathBuf};

use super::{chosen::Chosen, report::ConflictRow};
use crate::{
    commands::session::git,
    failure::Failure,
    git::{Oid, Repo, merge::Target, worktree},
};

/// A job that is held back, and the submodules in question.
pub(super) struct Unshared {
    pub(super) one: Chosen,
    pub(super) conflicts: Vec<ConflictRow>,
}

/// Parts those that may land from those that are held back, each of those with the
/// submodules. Naming a job does not let it pass: pushing or fetching the
/// commit costs one command, and a clone that lacks it is broken for everybody.
pub(super) fn gate(
    repo: &Repo,
    target: &Target,
    chosen: Vec<Chosen>,
) -> Result<(Vec<Chosen>, Vec<Unshared>), Failure> {
    let (mut pass, mut held) = (Vec::new(), Vec::new());
    for one in chosen {
        let tip = &one.candidate.tip;
        let Some((tree, base)) =
            one.job.spec.tree.as_ref().zip(repo.merge_base(&target.tip, tip).map_err(git)?)
        else {
            pass.push(one);
            continue;
        };
        let links =
            worktree::links_only_here(repo, Path::new(&tree.path), &base, tip).map_err(git)?;
        let row = |(path, oid): (PathBuf, Oid)| ConflictRow {
            path: path.display().to_string(),
            kind: format!("commit {}", oid.short()),
        };
        if links.is_empty() {
            pass.push(one);
        } else {
            held.push(Unshared { one, conflicts: links.into_iter().map(row).collect() });
        }
    }
    Ok((pass, held))
}
