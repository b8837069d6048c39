//! Handing a tree of the pool out: to one writer, at the writer's base.

use std::fs;
use std::path::{Path, PathBuf};

use super::admit::ignored;
use super::{
    NOTE, POOL, Pooled, Step, fingerprint, look, place_at, point_at, remove_file, stranger,
    unusual, write,
};
use crate::git::trees;
use crate::git::worktree::{
    Engine, Made, NewWorktree, Taken, delete, locked, move_to_trash, remove,
};
use crate::git::{GitError, Oid, Place, Repo};

/// How many trees are compared with the base: the one that is there already is found
/// among all of them.
const TRIED: usize = 4;

/// Where more files differ, two processors make a tree anew as quickly.
const MANY: usize = 10_000;

/// Makes a worktree out of a tree of the pool beside it. `Ok(Err(why))`: none can be used, and
/// nothing was done; where there is a pool, the clause says why not.
///
/// # Errors
/// Where a tree was taken and could not be made what is wanted; nothing of it is left.
pub fn recycle(
    place: &Place,
    new: &NewWorktree<'_>,
    lock: &Path,
    step: &dyn Fn(Step),
) -> Result<Result<Made, Option<String>>, GitError> {
    let Some(folder) = new.path.parent() else { return Ok(Err(None)) };
    if !folder.join(POOL).is_dir() {
        return Ok(Err(None));
    }
    let held = locked(lock)?;
    let tree = match choose(place, folder, new)? {
        Ok(tree) => tree,
        Err(why) => return Ok(Err(why)),
    };
    // From here on it is what git calls half made.
    let admin = &tree.admin;
    write(&admin.join("locked"), b"initializing")?;
    remove_file(&admin.join(NOTE))?;
    step(Step::Claimed);
    point_at(admin, new.path)?;
    fs::rename(&tree.path, new.path).map_err(GitError::io("rename", &tree.path))?;
    step(Step::Moved);
    drop(held);
    match bring(place, &tree, new, step) {
        Ok(()) => {
            let taken = Taken::by(Engine::Recycled);
            Ok(Ok(Made { taken, empty_submodules: Vec::new() }))
        }
        Err(error) => {
            // Nothing of anybody's is in it yet.
            if let Ok(Some(trash)) = remove(place, new.path, lock) {
                let _ = delete(&trash);
            }
            if let Some(branch) = new.branch {
                let _ = crate::git::refs::delete_branch(&Repo::open(place), branch, new.base);
            }
            Ok(Err(Some(format!("a tree of the pool could not be used: {error}"))))
        }
    }
}

/// A tree of the pool that can be brought to the base, and one that is there already
/// if there is one.
fn choose(
    place: &Place,
    folder: &Path,
    new: &NewWorktree<'_>,
) -> Result<Result<Pooled, Option<String>>, GitError> {
    let (mut pooled, _) = look(place, folder);
    if pooled.is_empty() {
        return Ok(Err(None));
    }
    let repo = Repo::open(place);
    if let Some(why) = unusual(&repo)? {
        return Ok(Err(Some(format!("the pool is not used: {why}"))));
    }
    if fs::symlink_metadata(new.path).is_ok()
        || new.branch.map(|branch| repo.branch_exists(branch)).transpose()? == Some(true)
    {
        // Whoever makes one anew says so.
        return Ok(Err(None));
    }
    pooled.sort_by_key(|tree| tree.commit().as_ref() != Some(new.base));
    let settings = fingerprint(&repo)?;
    let mut why = None;
    for tree in pooled.into_iter().take(TRIED) {
        let refused = match &tree {
            tree if tree.note.settings != settings => {
                Some("settings or attributes have changed".to_owned())
            }
            tree => match tree.commit() {
                _ if !is_whole(tree)? => Some("it is not as it was left".to_owned()),
                Some(commit) if commit == *new.base => None,
                Some(commit) => may_become(&repo, tree, &commit, new.base)?.err(),
                None => Some("its note is torn".to_owned()),
            },
        };
        match refused {
            None => return Ok(Ok(tree)),
            Some(refused) => why = Some(format!("no tree of the pool fits: {refused}")),
        }
    }
    Ok(Err(why))
}

/// Whether git's own folder of the tree is as it was left.
fn is_whole(tree: &Pooled) -> Result<bool, GitError> {
    Ok(stranger(&tree.admin)?.is_none() && tree.admin.join("index").is_file())
}

/// Whether a tree can be brought to the base with its caches; the clause says why not.
fn may_become(
    repo: &Repo,
    tree: &Pooled,
    from: &Oid,
    to: &Oid,
) -> Result<Result<(), String>, GitError> {
    if let Err(why) = may_switch(repo, from, to)? {
        return Ok(Err(why));
    }
    let caches: Vec<PathBuf> = tree.note.caches.iter().map(PathBuf::from).collect();
    let fit = caches_fit(repo.place(), to, &caches)?;
    Ok(if fit { Ok(()) } else { Err("the base has files in a cache".to_owned()) })
}

/// Makes it what is wanted. The tree is where the writer works.
fn bring(
    place: &Place,
    tree: &Pooled,
    new: &NewWorktree<'_>,
    step: &dyn Fn(Step),
) -> Result<(), GitError> {
    let there = place_at(place, &tree.admin, new.path);
    let commit = tree.commit().ok_or_else(|| GitError::Answer(NOTE.to_owned()))?;
    if commit != *new.base {
        switch(&there, &commit, new.base)?;
        drop_caches(&there, new, &tree.note.caches)?;
    }
    step(Step::Switched);
    let update = ["update-ref", "-m", "cx: worktree from the pool"];
    match new.branch {
        Some(branch) => {
            let absent = "0".repeat(new.base.as_str().len());
            write(&tree.admin.join("HEAD"), format!("ref: refs/heads/{branch}\n").as_bytes())?;
            there.git().args(update).arg("HEAD").arg(new.base).arg(absent).run()?;
        }
        None => write(&tree.admin.join("HEAD"), format!("{}\n", new.base).as_bytes())?,
    }
    remove_file(&tree.admin.join("locked"))
}

/// Whether the files of a tree at `from` can be brought to `to`; the clause says why not.
pub(super) fn may_switch(
    repo: &Repo,
    from: &Oid,
    to: &Oid,
) -> Result<Result<(), String>, GitError> {
    let changes = trees::differences(repo, from, to)?;
    if changes.len() > MANY {
        return Ok(Err(format!("{} files differ", changes.len())));
    }
    for change in changes {
        let name = change.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        // Files that are the same to git may be others on disk.
        if name == b".gitattributes" {
            return Ok(Err("attributes differ".to_owned()));
        }
        if name == b".gitmodules" {
            return Ok(Err("submodules differ".to_owned()));
        }
    }
    if !trees::links(repo, from, to)?.is_empty() {
        return Ok(Err("submodules differ".to_owned()));
    }
    Ok(Ok(()))
}

/// Brings the files from one commit to the other. Only what differs is looked at; a
/// file that is not as `from` has it stops git.
pub(super) fn switch(there: &Place, from: &Oid, to: &Oid) -> Result<(), GitError> {
    let git = there.git().config("submodule.recurse", "false").config("checkout.workers", "1");
    git.args(["read-tree", "-m", "-u"]).arg(from).arg(to).run()?;
    Ok(())
}

/// Whether nothing of `to` lies where the caches are.
pub(super) fn caches_fit(there: &Place, to: &Oid, caches: &[PathBuf]) -> Result<bool, GitError> {
    if caches.is_empty() {
        return Ok(true);
    }
    let listed = there.git().args(["ls-tree", "--name-only", "-z"]).arg(to).arg("--").args(caches);
    Ok(listed.read()?.stdout.is_empty())
}

/// Takes away those caches that the base does not ignore, and that would be somebody's work
/// there. They go with the trash.
fn drop_caches(there: &Place, new: &NewWorktree<'_>, caches: &[String]) -> Result<(), GitError> {
    let caches: Vec<PathBuf> = caches.iter().map(PathBuf::from).collect();
    let kept = ignored(there, caches.clone())?;
    for path in caches.iter().filter(|path| !kept.contains(path)) {
        let path = new.path.join(path);
        if fs::symlink_metadata(&path).is_ok() {
            move_to_trash(&path, new.path.parent().unwrap_or(new.path))?;
        }
    }
    Ok(())
}
