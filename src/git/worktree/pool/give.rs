//! Giving a tree back: what a person waits for.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::caches::Names;
use super::{ADMIN_GOES, LOCKED, POOL, Rules, Step, admin_of, point_at, stranger, write};
use crate::git::worktree::{entries, lock_of, locked, place_of};
use crate::git::{GitError, Place, Repo};

/// Whether a worktree is worth keeping: it has so many files, or a cache at its root.
/// Nothing in it is looked at.
pub fn is_worth_keeping(place: &Place, path: &Path, rules: &Rules) -> bool {
    if rules.max == 0 {
        return false;
    }
    let Some(admin) = admin_of(place, path) else { return false };
    let many = entries(&admin.join("index")).is_some_and(|count| count >= rules.min_files);
    many || Names::of(rules).any_at_root(path)
}

/// Gives the worktree at `path` to the pool beside it, where it has to be looked at before
/// anybody gets it ([`super::admit`]). Says where it lies now; none where it cannot be
/// used again, and is as it was.
///
/// The caller has seen to it that nothing in it is worth keeping. Its branch stays.
/// One that a person locked with `git worktree lock` is refused. `lock` is the lock file.
pub fn give(
    place: &Place,
    path: &Path,
    lock: &Path,
    step: &dyn Fn(Step),
) -> Result<Option<PathBuf>, GitError> {
    let _lock = locked(lock)?;
    let (Some(folder), Some(admin)) = (path.parent(), admin_of(place, path)) else {
        return Ok(None);
    };
    match lock_of(&admin)? {
        Some(reason) if reason != LOCKED => {
            return Err(GitError::WorktreeLocked { path: path.to_owned(), reason });
        }
        _ => {}
    }
    if stranger(&admin)?.is_some() {
        return Ok(None);
    }
    let there = place_of(place, path)?;
    let Some(head) = Repo::open(&there).head()?.oid().cloned() else { return Ok(None) };
    let pool = folder.join(POOL);
    fs::create_dir_all(&pool).map_err(GitError::io("make", &pool))?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let to = pool.join(format!("{}-{}", now.as_nanos(), std::process::id()));
    write(&admin.join("locked"), LOCKED.as_bytes())?;
    fs::rename(path, &to).map_err(GitError::io("rename", path))?;
    step(Step::Renamed);
    point_at(&admin, &to)?;
    write(&admin.join("HEAD"), format!("{head}\n").as_bytes())?;
    for name in ADMIN_GOES {
        let file = admin.join(name);
        let gone = match fs::symlink_metadata(&file) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&file),
            Ok(_) => fs::remove_file(&file),
            Err(_) => Ok(()),
        };
        gone.map_err(GitError::io("remove", &file))?;
    }
    step(Step::Given);
    Ok(Some(to))
}
