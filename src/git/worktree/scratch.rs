//! A scratch worktree: on no branch, brought to one commit after the other.
//!
//! What is tracked is exactly the commit's each time; untracked files go, ignored
//! ones stay, which is what keeps build caches warm. Nobody's work is ever in it,
//! so whatever stands in the way is thrown away. A crash leaves it in any state;
//! the next [`check_out`] mends it or makes it anew. The caller sees to it that
//! nobody else uses it at the same time.

use std::fs;
use std::path::Path;

use super::make::{NewWorktree, add, fill_with, finished};
use super::{admin_dir, delete, fill, locked, place_of, remove_unlocked, submodules};
use crate::git::{GitError, Oid, Place};

/// Brings the scratch worktree at `path` to `commit`, and makes it where it is
/// not there. Says whether it was made. `lock` is the lock file of worktree
/// commands.
///
/// # Errors
/// Where the commit cannot be checked out, or `path` is taken by something else.
pub fn check_out(place: &Place, path: &Path, commit: &Oid, lock: &Path) -> Result<bool, GitError> {
    let _lock = locked(lock)?;
    if is_scratch(place, path) && bring(place, path, commit).is_ok() {
        return Ok(false);
    }
    if let Some(trash) = remove_unlocked(place, path)? {
        delete(&trash)?;
    }
    let tree = add(place, &NewWorktree { path, branch: None, base: commit })?;
    fill_with(fill::plan(place, commit), &tree)?;
    submodules::populate(place.checkout.as_deref(), path)?;
    finished(&tree)?;
    Ok(true)
}

/// Whether there is a worktree of this repository at `path`.
pub fn is_scratch(place: &Place, path: &Path) -> bool {
    path.is_dir() && admin_dir(place, path).is_some()
}

fn bring(place: &Place, path: &Path, commit: &Oid) -> Result<(), GitError> {
    let there = place_of(place, path)?;
    // Of a git that was killed here: nobody else works in a scratch worktree.
    let _ = fs::remove_file(there.git_dir.join("index.lock"));
    there
        .git()
        .config("checkout.workers", "0")
        .config("advice.detachedHead", "false")
        .args(["checkout", "--quiet", "--force", "--detach"])
        .arg(commit)
        .run()?;
    there.git().args(["clean", "-ffdq"]).run()?;
    submodules::populate(place.checkout.as_deref(), path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Fixture;

    #[test]
    fn each_commit_is_there_as_it_is_and_caches_stay() {
        let fixture = Fixture::new();
        let first = fixture.oid("HEAD");
        fixture.write(".gitignore", "cache\n");
        fixture.write("README", "second\n");
        let second = fixture.commit("second");
        let (place, path) = (fixture.place(), fixture.beside("repo.cx").join(".verify"));
        let to = |commit| check_out(&place, &path, commit, &fixture.lock()).unwrap();
        assert!(to(&second));
        for (file, text) in [("cache", "warm"), ("README", "edited"), ("new", "untracked")] {
            fs::write(path.join(file), text).unwrap();
        }
        // A git that was killed.
        let admin = admin_dir(&place, &path).unwrap();
        fs::write(admin.join("index.lock"), "").unwrap();
        assert!(!to(&second));
        assert_eq!(fs::read_to_string(path.join("README")).unwrap(), "second\n");
        assert_eq!(fs::read_to_string(path.join("cache")).unwrap(), "warm");
        assert!(!path.join("new").exists());
        assert!(!to(&first));
        assert_eq!(fs::read_to_string(path.join("README")).unwrap(), "hello\n");
        assert!(!path.join(".gitignore").exists());
        assert_eq!(fixture.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    }

    #[test]
    fn a_broken_one_is_made_anew_and_a_strangers_folder_is_left_alone() {
        let fixture = Fixture::new();
        let commit = fixture.oid("HEAD");
        let (place, path) = (fixture.place(), fixture.beside("repo.cx").join(".verify"));
        let to = |path: &Path| check_out(&place, path, &commit, &fixture.lock());
        assert!(to(&path).unwrap());
        fs::write(admin_dir(&place, &path).unwrap().join("HEAD"), "nonsense").unwrap();
        assert!(to(&path).unwrap());
        assert!(path.join("README").is_file());
        fs::remove_dir_all(&path).unwrap();
        assert!(to(&path).unwrap());
        let other = fixture.beside("other");
        fs::create_dir(&other).unwrap();
        assert!(matches!(to(&other), Err(GitError::NotAWorktree(_))));
        assert!(other.is_dir());
    }
}
