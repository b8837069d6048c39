//! The making of a worktree: git enters it and its branch, with no file in it; [`fill`]
//! fills it, or git where that is not sure to give the same. Git calls it `locked:
//! initializing` until it is whole, which is also what a crash leaves.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;

use super::{Engine, INITIALIZING, Taken, delete, fill, locked, remove_unlocked, submodules};
use crate::git::place::read_pointer;
use crate::git::{Git, GitError, Oid, Place, Repo, refs};

/// A worktree to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewWorktree<'a> {
    /// Its folder, absolute; must not exist. Parents are made.
    pub path: &'a Path,
    /// Its branch (short name), made anew; none for a detached HEAD.
    pub branch: Option<&'a str>,
    /// The commit that it starts from.
    pub base: &'a Oid,
}

/// How a worktree was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Which engine made it, and why no cheaper one did.
    pub taken: Taken,
    /// Submodules (their paths) that the source does not have either, and that were left empty.
    pub empty_submodules: Vec<PathBuf>,
}

/// How far the making of a worktree is, for who wants to know, or to stop there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Git knows it and its branch; no file is in it.
    Added,
    /// Its files are there, and its index.
    Filled,
}

impl Step {
    /// The name of its crash point.
    pub fn name(self) -> &'static str {
        match self {
            Step::Added => "worktree-added",
            Step::Filled => "worktree-filled",
        }
    }
}

/// Makes a linked worktree, with a new branch or detached, as `git worktree add` does:
/// attributes, filters (LFS) and the sparse patterns of `place`'s checkout count.
///
/// The user's `post-checkout` hook does not run: it belongs to the person's own
/// checkouts, and its failure would fail the job. Submodules that the source
/// checkout has come along, from its objects where they suffice. When anything
/// fails, neither worktree nor branch is left. `lock` is the lock file, held only
/// while git's own files are written.
pub fn create(place: &Place, new: &NewWorktree<'_>, lock: &Path) -> Result<Made, GitError> {
    create_in_steps(place, new, lock, &|_| ())
}

/// [`create`], which tells `at` of each [`Step`].
pub fn create_in_steps(
    place: &Place,
    new: &NewWorktree<'_>,
    lock: &Path,
    at: &dyn Fn(Step),
) -> Result<Made, GitError> {
    let held = locked(lock)?;
    if let Some(branch) = new.branch
        && Repo::open(place).branch_exists(branch)?
    {
        return Err(GitError::BranchExists(branch.to_owned()));
    }
    if fs::symlink_metadata(new.path).is_ok() {
        let source = io::Error::from(ErrorKind::AlreadyExists);
        return Err(GitError::io("make worktree", new.path)(source));
    }
    // Side by side: each waits for a git of its own.
    let plan = || fill::plan(place, new.base);
    let (plan, added) = thread::scope(|scope| {
        let planned = thread::Builder::new().spawn_scoped(scope, plan);
        let added = add(place, new);
        drop(held);
        let failed = |_| Err("it could not be planned".to_owned());
        (planned.map_or_else(|_| plan(), |planned| planned.join().unwrap_or_else(failed)), added)
    });
    let made = added.and_then(|tree| {
        at(Step::Added);
        let taken = fill_with(plan, &tree)?;
        let empty_submodules = submodules::populate(place.checkout.as_deref(), new.path)?;
        at(Step::Filled);
        finished(&tree)?;
        Ok(Made { taken, empty_submodules })
    });
    made.inspect_err(|_| {
        // Nothing of anybody's is in it yet. The first error is the one to tell.
        let Ok(_held) = locked(lock) else { return };
        if let Ok(Some(trash)) = remove_unlocked(place, new.path) {
            let _ = delete(&trash);
        }
        if let Some(branch) = new.branch {
            let _ = refs::delete_branch(&Repo::open(place), branch, new.base);
        }
    })
}

/// What would make a worktree at `commit`, were none to be had for less.
pub fn expected(place: &Place, commit: &Oid) -> Taken {
    match fill::plan(place, commit) {
        Ok(_) => Taken::by(Engine::Copied),
        Err(why) => Taken { engine: Engine::Git, why: vec![why] },
    }
}

/// Has git write its own files of a new worktree, and its branch: all but the content.
/// It is `locked: initializing` until [`finished`].
pub(super) fn add(place: &Place, new: &NewWorktree<'_>) -> Result<Place, GitError> {
    let git = Git::at(place.folder()).args(["worktree", "add", "--no-checkout"]);
    let git = git.args(["--lock", "--reason", INITIALIZING]);
    let git = match new.branch {
        Some(branch) => git.args(["--no-track", "-b", branch]),
        None => git.args(["--quiet", "--detach"]),
    };
    git.arg(new.path).arg(new.base).run()?;
    let path = fs::canonicalize(new.path).map_err(GitError::io("read", new.path))?;
    let git_dir = read_pointer(&path.join(".git"), &path)?;
    let git_dir = fs::canonicalize(&git_dir).map_err(GitError::io("read", &git_dir))?;
    Ok(Place {
        common_dir: place.common_dir.clone(),
        git_dir,
        checkout: Some(path),
        prefix: PathBuf::new(),
        is_bare: false,
    })
}

/// Writes files and index of a worktree that [`add`] has made, by the plan or else by git.
pub(super) fn fill_with(plan: Result<fill::Plan, String>, tree: &Place) -> Result<Taken, GitError> {
    let filled = plan.and_then(|plan| fill::fill(&plan, tree));
    match filled {
        Ok(engine) => Ok(Taken::by(engine)),
        Err(why) => {
            // What `git worktree add` does.
            let git = tree.git().config("checkout.workers", "0");
            git.args(["reset", "--hard", "--quiet", "--no-recurse-submodules"]).run()?;
            Ok(Taken { engine: Engine::Git, why: vec![why] })
        }
    }
}

/// Says to git that nothing more is made of it.
pub(super) fn finished(tree: &Place) -> Result<(), GitError> {
    let locked = tree.git_dir.join("locked");
    fs::remove_file(&locked).map_err(GitError::io("remove", &locked))
}
