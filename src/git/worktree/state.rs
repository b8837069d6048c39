//! What is in a worktree that no commit has.

use std::path::{Path, PathBuf};

use super::Given;
use crate::git::command::path as path_of;
use crate::git::{Git, GitError, Head, Oid, Place, Repo};

/// What a worktree holds beyond its commits. Ignored files do not count, nor what
/// it was given before its worker came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorktreeState {
    /// Its HEAD.
    pub head: Head,
    /// Tracked paths that differ from HEAD: edited, staged, deleted, unmerged, or
    /// submodules with changes of their own. Relative to the worktree.
    pub uncommitted: Vec<PathBuf>,
    /// Paths that git does not track. A nested repository is one path with a `/` at its end.
    pub untracked: Vec<PathBuf>,
    /// Commits in HEAD that are not in the base asked about.
    pub ahead: usize,
}

impl WorktreeState {
    /// Whether removing the worktree loses no file (its commits are another matter).
    pub fn is_clean(&self) -> bool {
        self.uncommitted.is_empty() && self.untracked.is_empty()
    }
}

/// One path of `git status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::git) struct Changed {
    pub(in crate::git) path: PathBuf,
    /// Where it was before, for a rename in the index.
    pub(in crate::git) from: Option<PathBuf>,
    pub(in crate::git) is_untracked: bool,
    /// A submodule with other commits, changes or files in it.
    pub(in crate::git) is_submodule: bool,
    /// A tracked file that differs from the index and nowhere else: nobody has staged
    /// anything of it, and it is not in conflict.
    pub(in crate::git) is_only_edited: bool,
}

/// Looks at the worktree of `place`'s repository at `path`; counts the commits since `base`.
///
/// It goes by git's own folder of the worktree. A repository that a worker put
/// in the place of the `.git` file counts as untracked.
pub fn state(place: &Place, path: &Path, base: Option<&Oid>) -> Result<WorktreeState, GitError> {
    let place = super::place_of(place, path)?;
    let repo = Repo::open(&place);
    let head = repo.head()?;
    let ahead = match (head.oid(), base) {
        (Some(tip), Some(base)) => repo.commits_between(base, tip)?,
        _ => 0,
    };
    let (untracked, tracked): (Vec<_>, Vec<_>) =
        changed(place.git())?.into_iter().partition(|change| change.is_untracked);
    let given = Given::read(&place.git_dir)?;
    let is_given = |change: &Changed| change.is_only_edited && given.holds(path, &change.path);
    let mut uncommitted: Vec<PathBuf> = tracked
        .into_iter()
        .filter(|change| !is_given(change))
        .flat_map(|change| change.from.into_iter().chain([change.path]))
        .collect();
    uncommitted.sort_unstable();
    uncommitted.dedup();
    let mut untracked: Vec<PathBuf> = untracked.into_iter().map(|change| change.path).collect();
    untracked.retain(|untracked| !given.holds(path, untracked));
    if place.is_linked() && path.join(".git").is_dir() {
        untracked.insert(0, PathBuf::from(".git/"));
    }
    Ok(WorktreeState { head, uncommitted, untracked, ahead })
}

/// `git status`, whatever the user has configured it to hide.
pub(in crate::git) fn changed(git: Git) -> Result<Vec<Changed>, GitError> {
    let output = git
        .args(["status", "--porcelain=v2", "-z", "--untracked-files=all"])
        .args(["--ignored=no", "--ignore-submodules=none", "--no-renames"])
        .read()?;
    let mut fields = output.stdout.split(|b| *b == 0);
    let mut all = Vec::new();
    while let Some(line) = fields.next() {
        // 1 XY sub mH mI mW hH hI path; 2 has a score more and the old path
        // in the next field; u has three more.
        let columns = match line.first() {
            Some(b'1') => 9,
            Some(b'2') => 10,
            Some(b'u') => 11,
            Some(b'?') => 2,
            _ => continue,
        };
        let mut parts = line.splitn(columns, |b| *b == b' ');
        let submodule = parts.by_ref().nth(2).is_some_and(|sub| sub.starts_with(b"S"));
        let is_untracked = columns == 2;
        let name = line.splitn(columns, |b| *b == b' ').last().unwrap_or_default();
        let from = if columns == 10 { fields.next().map(path_of) } else { None };
        all.push(Changed {
            path: path_of(name),
            from,
            is_untracked,
            is_submodule: submodule && !is_untracked,
            is_only_edited: line.starts_with(b"1 .") && !submodule,
        });
    }
    Ok(all)
}

/// What tells whether somebody has changed a checkout: its HEAD, its status, and
/// size and time of every file that differs. Equal before and after means that
/// nothing was written that `git status` could see.
pub fn fingerprint(checkout: &Path) -> Result<Vec<u8>, GitError> {
    let head = Git::at(checkout).args(["rev-parse", "--verify", "--quiet", "HEAD"]).output()?;
    let mut print = head.stdout;
    for change in changed(Git::at(checkout))? {
        let meta = std::fs::symlink_metadata(checkout.join(&change.path));
        let seen = meta.map(|meta| (meta.len(), meta.modified().ok()));
        print.extend(format!("{} {:?}\n", change.path.display(), seen.ok()).into_bytes());
    }
    Ok(print)
}
