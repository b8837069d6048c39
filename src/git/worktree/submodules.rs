//! Submodules of a new worktree.
//!
//! A linked worktree has its own clone of every submodule. Those that the
//! source checkout has are cloned from there, without the network; where its
//! objects do not suffice, and in those that are only registered, from their
//! own URL. What the source does not have stays empty, as it is there.

use std::path::{Path, PathBuf};

use super::modules;
use crate::git::command::{path as path_of, telling_line};
use crate::git::trees::links;
use crate::git::{Git, GitError, Oid, Place, Repo};

/// Checks out the submodules of `worktree` that `source` has, and theirs.
/// Returns the paths of those that were left empty.
pub(super) fn populate(source: Option<&Path>, worktree: &Path) -> Result<Vec<PathBuf>, GitError> {
    let mut empty = Vec::new();
    // Folder below the roots, and whether it was walked from a populated parent.
    let mut pending = vec![PathBuf::new()];
    while let Some(below) = pending.pop() {
        let folder = worktree.join(&below);
        for (name, path) in modules(&folder)? {
            let whole = below.join(&path);
            let local = source.and_then(|source| git_dir_of(&source.join(&whole)));
            if local.is_none() && !is_registered(&folder, &name)? {
                empty.push(whole);
                continue;
            }
            update(&folder, &name, &path, local.as_deref()).map_err(|message| {
                GitError::Submodule { name: whole.display().to_string(), message }
            })?;
            pending.push(whole);
        }
    }
    Ok(empty)
}

/// The git dir of a submodule that is checked out at `folder`.
fn git_dir_of(folder: &Path) -> Option<PathBuf> {
    std::fs::symlink_metadata(folder.join(".git")).ok()?;
    Place::discover(folder).ok().flatten().map(|place| place.git_dir)
}

/// Whether the repository's configuration (shared by its worktrees) has a URL for it.
fn is_registered(folder: &Path, name: &str) -> Result<bool, GitError> {
    let output = Git::at(folder).args(["config", &format!("submodule.{name}.url")]).output()?;
    Ok(output.code() == 0)
}

fn update(folder: &Path, name: &str, path: &Path, local: Option<&Path>) -> Result<(), String> {
    let run = |git: Git| -> Result<(), String> {
        let output = git
            .args(["submodule", "--quiet", "update", "--init", "--"])
            .arg(path)
            .output()
            .map_err(|error| error.to_string())?;
        match output.code() {
            0 => Ok(()),
            _ => Err(telling_line(&output.stderr)),
        }
    };
    // A name with '=' cannot be given with -c.
    if let Some(local) = local.filter(|_| !name.contains('=')) {
        // The protocol is allowed for this one clone of a folder that the
        // person already has checked out; the environment is for git's own children.
        let git = Git::at(folder)
            .config(&format!("submodule.{name}.url"), local)
            .config("protocol.file.allow", "always");
        if run(git).is_ok() {
            return point_to_origin(&folder.join(path), local).map_err(|error| error.to_string());
        }
    }
    run(Git::at(folder))
}

/// Gives a clone from `local` the URL that `local` itself has.
fn point_to_origin(clone: &Path, local: &Path) -> Result<(), GitError> {
    let url = Git::at(local).args(["config", "remote.origin.url"]).output()?;
    if url.code() == 0 {
        Git::at(clone).args(["config", "remote.origin.url", &url.text()]).run()?;
    }
    Ok(())
}

/// Submodules of `worktree` whose commits are nowhere else: not in what they
/// were cloned from, and not in `source`'s own clone. They go when the worktree
/// goes, also where the branch's commits name them.
pub fn only_here(source: Option<&Path>, worktree: &Path) -> Result<Vec<PathBuf>, GitError> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(below) = pending.pop() {
        for (_, path) in modules(&worktree.join(&below))? {
            let whole = below.join(&path);
            let folder = worktree.join(&whole);
            if git_dir_of(&folder).is_none() {
                continue;
            }
            let unpushed = Git::at(&folder)
                .args(["rev-list", "HEAD", "--branches", "--not", "--remotes"])
                .read()?;
            let source = source.map(|source| source.join(&whole));
            let source = source.filter(|source| git_dir_of(source).is_some());
            if !unpushed.stdout.is_empty() && !has_all(source.as_deref(), &unpushed.stdout)? {
                found.push(whole.clone());
            }
            pending.push(whole);
        }
    }
    Ok(found)
}

/// The submodules whose commit is another one in `tip` than in `base`, and for all that
/// can be known is only in their clones in `worktree`: not in the clones of the
/// repository's own checkouts, nor on a remote. Where the worktree's clone is gone, or
/// has not the commit either, nothing is known.
pub fn links_only_here(
    repo: &Repo,
    worktree: &Path,
    base: &Oid,
    tip: &Oid,
) -> Result<Vec<(PathBuf, Oid)>, GitError> {
    let links = links(repo, base, tip)?;
    if links.is_empty() {
        return Ok(Vec::new());
    }
    let names = modules(worktree)?;
    let place = repo.place();
    let mut found = Vec::new();
    for (path, oid) in links {
        let path = path_of(&path);
        let clone = worktree.join(&path);
        if git_dir_of(&clone).is_none() || !is_held(&clone, &oid, "--all")? {
            continue;
        }
        let name = names.iter().find(|(_, at)| *at == path).map(|(name, _)| name);
        let own = name.map(|name| place.common_dir.join("modules").join(name));
        let there = place.checkout.as_ref().map(|checkout| checkout.join(&path));
        let there = there.filter(|there| git_dir_of(there).is_some());
        let mut is_known = is_held(&clone, &oid, "--remotes")?;
        for clone in own.filter(|own| own.is_dir()).into_iter().chain(there) {
            is_known = is_known || is_held(&clone, &oid, "--all")?;
        }
        if !is_known {
            found.push((path, oid));
        }
    }
    Ok(found)
}

/// Whether refs of the repository at `folder` (`--all`, `--remotes`) have a commit in
/// their history, which is what `git submodule update` asks.
fn is_held(folder: &Path, oid: &Oid, refs: &str) -> Result<bool, GitError> {
    let beyond = Git::at(folder).args(["rev-list", "-1", oid.as_str(), "--not", refs]).output()?;
    Ok(beyond.code() == 0 && beyond.stdout.is_empty())
}

/// Whether the repository at `folder` has every object named on a line of `oids`.
fn has_all(folder: Option<&Path>, oids: &[u8]) -> Result<bool, GitError> {
    let Some(folder) = folder else { return Ok(false) };
    let known = Git::at(folder).args(["cat-file", "--batch-check"]).stdin(oids).run()?;
    Ok(!known.text().lines().any(|line| line.ends_with(" missing")))
}
