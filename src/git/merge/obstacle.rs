//! What lies in a checkout where a merge would write: local changes, files that
//! git does not track, ignored ones too. Nothing of it is ever overwritten.
//!
//! Looking for all of it costs as much as `git status`, so a landing only looks
//! for what git itself would overwrite without a word; git objects to the rest,
//! and only then it is asked whose way it is in.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{
    Candidate, Conflict, MergeError, MergePlan, Order, Style, Target, Verdict, plan as plan_for,
};
use crate::git::command::{path as path_of, records};
use crate::git::trees::{Difference, differences};
use crate::git::{GitError, Oid, Place, Repo, worktree};

/// The same plan without the candidates that something in the target's checkout
/// is in the way of: these are held back, and the others planned anew. The plan
/// as it is where the way is free.
///
/// # Errors
/// [`MergeError::WouldOverwrite`] where it is in the way of no single candidate.
pub fn unobstructed(
    repo: &Repo,
    target: &Target,
    plan: MergePlan,
    candidates: &[Candidate],
    (style, order): (Style, Order),
) -> Result<MergePlan, MergeError> {
    let Some(checkout) = &target.checkout else { return Ok(plan) };
    let there =
        Place::discover(checkout)?.ok_or_else(|| GitError::NotAWorktree(checkout.clone()))?;
    let mut plan = plan;
    loop {
        let found = all(&there, checkout, &plan.target, &plan.result)?;
        if found.is_empty() {
            return Ok(plan);
        }
        if !hold_back(repo, &mut plan, &found, checkout)? {
            let paths = found.into_iter().map(|one| one.path).collect();
            return Err(MergeError::WouldOverwrite { checkout: checkout.clone(), paths });
        }
        let is_free = |at: &usize| !matches!(plan.entries[*at].verdict, Verdict::InTheWay { .. });
        let rest: Vec<usize> = (0..candidates.len()).filter(is_free).collect();
        let some: Vec<Candidate> = rest.iter().map(|at| candidates[*at].clone()).collect();
        let anew = plan_for(repo, &plan.target, &some, style, order)?;
        plan.landed = anew.landed.iter().map(|at| rest[*at]).collect();
        plan.result = anew.result;
        for (at, entry) in rest.into_iter().zip(anew.entries) {
            plan.entries[at] = entry;
        }
    }
}

/// Gives each candidate that landed what is in the way of its own step. Whether
/// there was one.
fn hold_back(
    repo: &Repo,
    plan: &mut MergePlan,
    found: &[Conflict],
    checkout: &Path,
) -> Result<bool, MergeError> {
    let (mut before, mut any) = (plan.target.clone(), false);
    for at in plan.landed.clone() {
        let Verdict::Landed { commit } = plan.entries[at].verdict.clone() else { continue };
        let step = differences(repo, &before, &commit)?;
        let step: Touched<'_> = step.iter().map(Difference::path).collect();
        let paths: Vec<Conflict> =
            found.iter().filter(|one| step.meets(&one.path)).cloned().collect();
        if !paths.is_empty() {
            let checkout = checkout.to_owned();
            plan.entries[at].verdict = Verdict::InTheWay { paths, checkout };
            any = true;
        }
        before = commit;
    }
    Ok(any)
}

/// The paths that a merge changes.
struct Touched<'a> {
    paths: HashSet<&'a Path>,
    /// The folders above them.
    folders: HashSet<&'a Path>,
}

impl<'a> FromIterator<&'a Path> for Touched<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Path>>(paths: I) -> Self {
        let paths: HashSet<&Path> = paths.into_iter().collect();
        let folders = paths.iter().flat_map(|path| path.ancestors().skip(1)).collect();
        Self { paths, folders }
    }
}

impl Touched<'_> {
    /// The same path, a file where the merge has a folder, or the other way round.
    fn meets(&self, path: &Path) -> bool {
        self.folders.contains(path) || path.ancestors().any(|part| self.paths.contains(part))
    }
}

/// All that is in the way from `old` to `new`, sorted, so that nobody has to find
/// it one by one. Its kind is `changed`, `untracked` or `ignored`.
pub(super) fn all(
    there: &Place,
    checkout: &Path,
    old: &Oid,
    new: &Oid,
) -> Result<Vec<Conflict>, GitError> {
    let mut found: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for path in overwritten(there, checkout, old, new)? {
        found.insert(path, "ignored");
    }
    for (path, is_untracked) in local(there, old, new)? {
        found.insert(path, if is_untracked { "untracked" } else { "changed" });
    }
    let conflict = |(path, kind): (PathBuf, &str)| Conflict { path, kind: kind.to_owned() };
    Ok(found.into_iter().map(conflict).collect())
}

/// Local changes on paths that the merge changes, and whether git does not track them.
pub(super) fn local(there: &Place, old: &Oid, new: &Oid) -> Result<Vec<(PathBuf, bool)>, GitError> {
    let merged = differences(&Repo::open(there), old, new)?;
    let merged: Touched<'_> = merged.iter().map(Difference::path).collect();
    let dirty = worktree::changed(there.git())?.into_iter();
    let dirty = dirty.map(|change| (change.path, change.is_untracked));
    Ok(dirty.filter(|(path, _)| merged.meets(path)).collect())
}

/// Untracked files where the merge adds one. Git itself would overwrite them
/// without a word where they are ignored.
pub(super) fn overwritten(
    there: &Place,
    checkout: &Path,
    old: &Oid,
    new: &Oid,
) -> Result<Vec<PathBuf>, GitError> {
    let differing = differences(&Repo::open(there), old, new)?;
    let mut blocked = Vec::new();
    for path in differing.iter().filter(|one| one.letter == b'A').map(Difference::path) {
        // The nearest thing that is there: a file above, the file itself, or a folder.
        let above = path.ancestors().skip(1).filter(|part| !part.as_os_str().is_empty());
        let file_above = above.filter(|part| {
            fs::symlink_metadata(checkout.join(part)).is_ok_and(|meta| !meta.is_dir())
        });
        blocked.extend(file_above.map(Path::to_owned));
        let mut pending = vec![path.to_owned()];
        while let Some(path) = pending.pop() {
            let Ok(meta) = fs::symlink_metadata(checkout.join(&path)) else { continue };
            if meta.is_dir() {
                let entries = fs::read_dir(checkout.join(&path)).into_iter().flatten();
                pending.extend(entries.filter_map(Result::ok).map(|e| path.join(e.file_name())));
            } else {
                blocked.push(path);
            }
        }
    }
    if blocked.is_empty() {
        return Ok(blocked);
    }
    let tracked = there.git().args(["ls-files", "-z"]).read()?.stdout;
    let tracked: HashSet<PathBuf> = records(&tracked).map(path_of).collect();
    blocked.retain(|path| !tracked.contains(path));
    blocked.sort_unstable();
    blocked.dedup();
    Ok(blocked)
}
