//! Landing a plan: the branch, and the checkout that has it checked out, change
//! together or not at all.
//!
//! ```text
//! merge.lock      flock in the state folder, also held by the git that writes files
//! 1 merge.journal branch, old, new, checkout             "if you find me, recover"
//! 2 index.lock    made by us, and marked as ours         no other git writes this index
//! 3 ref locked    `git update-ref --stdin`, prepared     nobody moves the branch
//! 4 checked       `git read-tree -m -u` looks first:     local changes in the way: refused
//! 5 files         ... and then writes, on a copy of the index
//! 6 ref moved     the transaction commits                <- the merge has happened
//! 7 index         the copy is renamed over it; index.lock, journal removed
//! ```
//!
//! A crash before 6 is rolled back by the next [`super::recover()`]: the index is still
//! the old one, so files that hold exactly (or the beginning of) what the merge
//! wrote get their old content back, and everything else is left alone. A crash
//! after 6 is finished. The copy of the index, not a second `git read-tree`, is
//! what makes the two cases differ by the branch alone. Concurrent `git commit`s
//! fail at the locks, or find that the branch has moved, as between any two gits.
//!
//! `post-merge` runs afterwards, if the caller says so: [`super::post_merge()`].

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::recover::{self, Journal, MARK, MARKED};
use super::{MergeError, obstacle};
use crate::git::command::{Dialogue, Output};
use crate::git::commit::unfinished;
use crate::git::{GitError, Head, Oid, Place, Repo, refs, stage, worktree};

/// The branch that is merged into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Short name.
    pub branch: String,
    /// The commit it is at, or that it will be made from.
    pub tip: Oid,
    /// It does not exist yet.
    pub is_new: bool,
    /// The checkout that has it checked out.
    pub checkout: Option<PathBuf>,
}

impl Target {
    /// The branch `into`, made from HEAD where it does not exist; without one,
    /// the branch that HEAD is on.
    pub fn find(repo: &Repo, into: Option<&str>) -> Result<Self, MergeError> {
        let head = repo.head()?;
        let Some(branch) = into.or(head.branch()).map(str::to_owned) else {
            return Err(MergeError::Detached);
        };
        let checkout = repo.worktree_holding(&branch)?;
        if let Some(gone) = checkout.as_ref().filter(|path| fs::symlink_metadata(path).is_err()) {
            return Err(MergeError::CheckoutGone { branch, checkout: gone.clone() });
        }
        if let Some(tip) = repo.branch_tip(&branch)? {
            return Ok(Self { branch, tip, is_new: false, checkout });
        }
        let format = ["check-ref-format", "--branch", &branch];
        if repo.place().git().args(format).output()?.code() != 0 {
            return Err(MergeError::BadBranch(branch));
        }
        match head {
            Head::Branch { oid: tip, .. } | Head::Detached(tip) => {
                Ok(Self { branch, tip, is_new: true, checkout: None })
            }
            Head::Unborn(name) => Err(GitError::Unborn(name).into()),
        }
    }
}

/// Where a landing is, for tests that stop it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The journal is written.
    Journal,
    /// The index and the branch are locked.
    Locked,
    /// The files are the merged ones.
    Files,
    /// The branch has moved.
    Moved,
    /// The index is the merged one.
    Index,
}

/// A result to be landed.
#[derive(Clone, Copy)]
pub struct Landing<'a> {
    /// The repository, from any worktree.
    pub repo: &'a Repo,
    /// The branch, as it was when the plan was made.
    pub target: &'a Target,
    /// The commit it moves to: a plan's `result`.
    pub result: &'a Oid,
    /// The folder for `merge.lock` and `merge.journal`; one for each repository.
    pub state: &'a Path,
    /// For the reflog: `cx merge: auth, docs`.
    pub why: &'a str,
    /// Called after each step; does nothing but in tests of crashes.
    pub at: &'a dyn Fn(Step),
}

/// Whether `result` could land now: what [`land`] would refuse for is refused,
/// and nothing is changed.
pub fn check(repo: &Repo, target: &Target, result: &Oid) -> Result<(), MergeError> {
    refuse_under_way(repo.place(), target)?;
    let Some(checkout) = &target.checkout else { return Ok(()) };
    let there =
        Place::discover(checkout)?.ok_or_else(|| GitError::NotAWorktree(checkout.clone()))?;
    refuse_overwriting(&there, checkout, &target.tip, result)
}

/// Names all that lies in the way, so that nobody has to find it one by one.
fn refuse_overwriting(
    there: &Place,
    checkout: &Path,
    old: &Oid,
    new: &Oid,
) -> Result<(), MergeError> {
    let paths: Vec<PathBuf> =
        obstacle::all(there, checkout, old, new)?.into_iter().map(|one| one.path).collect();
    if paths.is_empty() {
        return Ok(());
    }
    Err(MergeError::WouldOverwrite { checkout: checkout.to_owned(), paths })
}

/// Moves the target to the result and brings its checkout along.
///
/// Refused, with everything as it was: when the branch has moved, when local
/// changes or untracked files (ignored ones too) would be overwritten, while a
/// merge or rebase of the user's is under way there, while another git holds the
/// index. Local changes elsewhere stay. A landing that was cut short before is
/// recovered first.
pub fn land(landing: &Landing<'_>) -> Result<(), MergeError> {
    let lock = recover::lock(landing.state)?;
    let Landing { repo, target, .. } = landing;
    let place = repo.place();
    recover::under_lock(place, landing.state)?;
    refuse_under_way(place, target)?;
    if repo.worktree_holding(&target.branch)? != target.checkout {
        return Err(MergeError::TargetMoved(target.branch.clone()));
    }
    let full = format!("refs/heads/{}", target.branch);
    let old = (!target.is_new).then_some(&target.tip);
    let Some(checkout) = &target.checkout else {
        return match refs::update(place, &full, landing.result, old, landing.why) {
            Err(GitError::RefMoved { .. }) => Err(MergeError::TargetMoved(target.branch.clone())),
            other => Ok(other?),
        };
    };
    let there =
        Place::discover(checkout)?.ok_or_else(|| GitError::NotAWorktree(checkout.clone()))?;
    if !obstacle::overwritten(&there, checkout, &target.tip, landing.result)?.is_empty() {
        return refuse_overwriting(&there, checkout, &target.tip, landing.result);
    }
    let journal = Journal {
        branch: target.branch.clone(),
        old: target.tip.clone(),
        new: landing.result.clone(),
        checkout: checkout.clone(),
        git_dir: there.git_dir.clone(),
    };
    journal.write(landing.state)?;
    (landing.at)(Step::Journal);
    match in_checkout(landing, &there, checkout, &lock, &full) {
        Ok(()) => {
            (landing.at)(Step::Moved);
            recover::finish(&there, &journal)?;
            (landing.at)(Step::Index);
            Ok(Journal::remove(landing.state)?)
        }
        Err((wrote_files, error)) => {
            // Whatever fails in here is left to the next recovery.
            recover::roll_back(&there, &journal, wrote_files)?;
            Journal::remove(landing.state)?;
            Err(error)
        }
    }
}

/// Steps 2 to 6. An error says whether files may have been written.
fn in_checkout(
    landing: &Landing<'_>,
    there: &Place,
    checkout: &Path,
    lock: &File,
    full: &str,
) -> Result<(), (bool, MergeError)> {
    let before = |error: GitError| (false, MergeError::Git(error));
    let Landing { target, result, .. } = landing;
    let moved = || (false, MergeError::TargetMoved(target.branch.clone()));
    take_index(&there.git_dir).map_err(|error| (false, error))?;
    // With the index locked nobody switches branches here; before, they may have.
    if Repo::open(there).head().map_err(before)?.branch() != Some(target.branch.as_str()) {
        return Err(moved());
    }
    let copy = recover::index_copy(&there.git_dir);
    let index = there.git_dir.join("index");
    stage::copy_index(&index, &copy)
        .map_err(|error| before(GitError::io("copy", &index)(error)))?;

    let mut transaction = there
        .git()
        .args(["update-ref", "--stdin", "-m", landing.why])
        .dialogue()
        .map_err(before)?;
    // And ORIG_HEAD for `git reset --hard ORIG_HEAD`, as after any merge.
    let old = &target.tip;
    let update = format!("start\nupdate {full} {result} {old}\nupdate ORIG_HEAD {old}\n");
    let ready = transaction.ask(&update).is_some() && {
        transaction.ask("prepare\n").as_deref() == Some("prepare: ok")
    };
    if !ready {
        let output = transaction.finish().map_err(before)?;
        let tip = Repo::open(there).ref_tip(full).map_err(before)?;
        return Err(if tip.as_ref() == Some(&target.tip) {
            before(output.error())
        } else {
            moved()
        });
    }
    (landing.at)(Step::Locked);
    let tried = write_files(landing, there, checkout, lock, &copy);
    if let Err((wrote, error)) = tried {
        drop_transaction(transaction);
        return Err((wrote, error));
    }
    (landing.at)(Step::Files);
    if transaction.ask("commit\n").as_deref() != Some("commit: ok") {
        let error = transaction.finish().map_or_else(|error| error, |output| output.error());
        // It may have died after its work: the branch itself knows.
        let tip = Repo::open(there).ref_tip(full).map_err(|error| (true, error.into()))?;
        return if tip.as_ref() == Some(*result) { Ok(()) } else { Err((true, error.into())) };
    }
    drop_transaction(transaction);
    Ok(())
}

/// Steps 4 and 5.
fn write_files(
    landing: &Landing<'_>,
    there: &Place,
    checkout: &Path,
    lock: &File,
    copy: &Path,
) -> Result<(), (bool, MergeError)> {
    let before = |error: GitError| (false, MergeError::Git(error));
    let git = || there.git().env("GIT_INDEX_FILE", copy);
    let ends = [landing.target.tip.as_str(), landing.result.as_str()];
    let write = || -> Result<Output, (bool, MergeError)> {
        let held = lock.try_clone().map_err(|e| before(GitError::io("share", landing.state)(e)))?;
        git().args(["read-tree", "-m", "-u"]).args(ends).holding(held).output().map_err(before)
    };
    let mut written = write()?;
    if is_objection(&written) {
        // Perhaps files were only touched. Looking at all of them costs most of a
        // landing in a large checkout, so it waits until git objects. Exit 1 says
        // that something is changed, which is no failure.
        git().args(["update-index", "-q", "--refresh"]).output().map_err(before)?;
        written = write()?;
    }
    if is_objection(&written) {
        let found = obstacle::local(there, &landing.target.tip, landing.result).map_err(before)?;
        let paths: Vec<PathBuf> = found.into_iter().map(|(path, _)| path).collect();
        if paths.is_empty() {
            return Err(before(written.error()));
        }
        let checkout = checkout.to_owned();
        return Err((false, MergeError::WouldOverwrite { checkout, paths }));
    }
    written.success().map(|_| ()).map_err(|error| (true, error.into()))
}

/// Whether `git read-tree` has refused because of what lies in the checkout. It
/// says so before it writes the first file; any other failure may come later.
fn is_objection(output: &Output) -> bool {
    let objects = |line: &str| {
        let words = ["error: Entry '", "error: Untracked working tree file '", "error: Updating '"];
        words.iter().any(|word| line.starts_with(word))
    };
    output.code() != 0
        && !output.stderr.trim().is_empty()
        && output.stderr.lines().all(|line| line.trim().is_empty() || objects(line))
}

/// Ends a transaction without a commit where none was made, which unlocks the branch.
fn drop_transaction(transaction: Dialogue) {
    // Its end of file is an abort; how it says good-bye does not matter.
    let _ = transaction.finish();
}

/// Makes `index.lock`, marked as ours from the moment it is there. One that is
/// there already belongs to another git.
fn take_index(git_dir: &Path) -> Result<(), MergeError> {
    let (path, marked) = (git_dir.join("index.lock"), git_dir.join(MARKED));
    fs::write(&marked, MARK).map_err(GitError::io("write", &marked))?;
    match fs::hard_link(&marked, &path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(MergeError::Busy(path)),
        linked => Ok(linked.map_err(GitError::io("make", &path))?),
    }
}

/// Refuses while the user has something under way in the target's checkout, or
/// rebases the target in any worktree (whose HEAD is then detached).
fn refuse_under_way(place: &Place, target: &Target) -> Result<(), MergeError> {
    let linked = fs::read_dir(place.common_dir.join("worktrees")).into_iter().flatten();
    let linked = linked.filter_map(Result::ok).map(|entry| entry.path());
    let full = format!("refs/heads/{}", target.branch);
    for git_dir in std::iter::once(place.common_dir.clone()).chain(linked) {
        for folder in ["rebase-merge", "rebase-apply"] {
            let name = fs::read_to_string(git_dir.join(folder).join("head-name"));
            if name.is_ok_and(|name| name.trim_end() == full) {
                let checkout = worktree::checkout_of(&git_dir);
                return Err(MergeError::UnderWay { what: "rebase", checkout });
            }
        }
    }
    if let Some(checkout) = &target.checkout
        && let Some(there) = Place::discover(checkout)?
        && let Some(what) = unfinished(&there.git_dir)
    {
        return Err(MergeError::UnderWay { what, checkout: checkout.clone() });
    }
    Ok(())
}
