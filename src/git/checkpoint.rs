//! Checkpoints: what lies in a writer's worktree while it works, as a commit that a
//! ref of its own keeps.
//!
//! Its index, files and branch are not touched. The commit stands on the worktree's
//! HEAD, and where nothing has changed since the last one none is made. A crash
//! leaves the ref where it was, or moved; what it was before is in its reflog.

use std::path::Path;

use super::{CommitMessage, Git, GitError, Head, Oid, Place, Repo, commit, diff, refs};

/// Where they are kept: `refs/cx/checkpoints/NAME`.
pub const SPACE: &str = "refs/cx/checkpoints";

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The full name of its ref.
    pub name: String,
    /// The commit.
    pub oid: Oid,
    /// When it was made, in seconds since 1970.
    pub since: i64,
}

/// Makes one of the worktree of the job `name`; none where nothing is new since the
/// last, or since HEAD. `there` is its worktree, as [`grant::seen`](super::grant::seen)
/// has it; `scratch` a folder for what is needed meanwhile, which a crash leaves there.
pub fn take(
    (place, there): (&Place, &Place),
    scratch: &Path,
    name: &str,
    message: &CommitMessage,
) -> Result<Option<Oid>, GitError> {
    let tree = diff::snapshot_in(there, scratch)?;
    let repo = Repo::open(there);
    let head = match repo.head()? {
        Head::Branch { oid, .. } | Head::Detached(oid) => oid,
        Head::Unborn(name) => return Err(GitError::Unborn(name)),
    };
    let full = full_name(name);
    let last = repo.ref_tip(&full)?;
    // Back where it began is something new as well.
    let known = last.as_ref().unwrap_or(&head);
    if repo.tree_of(known)? == tree {
        return Ok(None);
    }
    let git = || -> Git { there.git() };
    let (oid, _) = commit::make(&git, &tree, &[&head], message)?;
    refs::update(place, &full, &oid, last.as_ref(), "cx: checkpoint")?;
    Ok(Some(oid))
}

/// The last one of the job `name`.
pub fn last(place: &Place, name: &str) -> Result<Option<Checkpoint>, GitError> {
    let name = full_name(name);
    let Some(oid) = Repo::open(place).ref_tip(&name)? else { return Ok(None) };
    let date = ["log", "-1", "--format=%ct", oid.as_str(), "--"];
    let date = place.git().args(date).read()?.text();
    let since = date.parse().map_err(|_| GitError::Answer("git log".to_owned()))?;
    Ok(Some(Checkpoint { name, oid, since }))
}

/// Removes what is kept of the job `name`.
pub fn forget(place: &Place, name: &str) -> Result<(), GitError> {
    match last(place, name)? {
        Some(Checkpoint { name, oid, .. }) => refs::delete(place, &name, &oid),
        None => Ok(()),
    }
}

fn full_name(name: &str) -> String {
    format!("{SPACE}/{name}")
}
