//! Bringing everything that lies in a worktree into an index: its own, when
//! leftovers are committed, or a temporary one, when they are only looked at.
//!
//! "Everything" is what `git add -A` means: new files, edits, deletions, modes,
//! not what is ignored, nor what the worktree was given. Nested repositories are left out, because git would
//! record a link to a commit that nobody else has, and lose their files.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::command::{nul_terminated, records};
use super::worktree::{Given, changed};
use super::{Git, GitError, Place};

/// What could not be staged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Repositories inside the worktree; their files stay where they are.
    pub nested: Vec<PathBuf>,
    /// Submodules with commits, changes or files that the worktree's own commit cannot hold.
    pub submodules: Vec<PathBuf>,
    /// What git said about files that it could not read.
    pub unreadable: Vec<String>,
}

/// Stages everything of the worktree `place`. `git` makes a command in its root, on
/// the index that is meant.
pub(super) fn all(place: &Place, git: &dyn Fn() -> Git) -> Result<LeftOut, GitError> {
    let (mut left, mut untracked) = (LeftOut::default(), Vec::new());
    let noted = Given::read(&place.git_dir)?;
    let mut edited = Vec::new();
    for change in changed(git())? {
        let bytes = change.path.as_os_str().as_bytes();
        match bytes.strip_suffix(b"/") {
            Some(folder) if change.is_untracked => {
                left.nested.push(PathBuf::from(OsStr::from_bytes(folder)));
            }
            _ if change.is_submodule => left.submodules.push(change.path),
            _ if change.is_untracked => untracked.push(change.path),
            _ if change.is_only_edited && noted.holds(place.folder(), &change.path) => {
                edited.push(change.path);
            }
            _ => {}
        }
    }
    let mut pathspecs = b":/\0".to_vec();
    let given = noted.cover(git(), place.folder(), &untracked)?;
    for nested in left.nested.iter().chain(&given).chain(&edited) {
        pathspecs.extend_from_slice(b":(top,exclude,literal)");
        pathspecs.extend_from_slice(nested.as_os_str().as_bytes());
        pathspecs.push(0);
    }
    let output = git()
        .config("core.safecrlf", "false")
        .args(["add", "-A", "--sparse", "--ignore-errors"])
        .args(["--pathspec-from-file=-", "--pathspec-file-nul"])
        .stdin(pathspecs)
        .output()?;
    if output.code() != 0 {
        // A file that cannot be read keeps no other file out. Whatever is not
        // about single files is an error of the whole.
        let errors = output.stderr.lines().filter(|line| line.starts_with("error: "));
        left.unreadable = errors.map(|line| line["error: ".len()..].to_owned()).collect();
        let partial = output.code() == 1 && !output.stderr.contains("fatal: ");
        if !partial || left.unreadable.is_empty() {
            return Err(output.error());
        }
    }
    Ok(left)
}

/// Copies an index, with its own time. git takes a file as unchanged by size and time
/// only if its time is before the index's; a copy that is newer than its original would
/// vouch for what a worker wrote right after the checkout.
pub(super) fn copy_index(index: &Path, copy: &Path) -> io::Result<()> {
    // The time first: what is written in between makes it only more cautious.
    let at = fs::metadata(index)?.modified()?;
    fs::copy(index, copy)?;
    File::open(copy)?.set_modified(at)
}

/// Rebuilds the index in `git_dir` from HEAD when it is missing or git cannot
/// read it; the broken one stays beside it as `index.broken`. Says whether it did.
pub(super) fn mend_index(git: &dyn Fn() -> Git, git_dir: &Path) -> Result<bool, GitError> {
    let index = git_dir.join("index");
    let present = fs::symlink_metadata(&index).is_ok();
    if present && git().args(["ls-files", "-z"]).output()?.code() == 0 {
        return Ok(false);
    }
    if git().args(["rev-parse", "-q", "--verify", "HEAD^{commit}"]).output()?.code() != 0 {
        return Ok(false);
    }
    if present {
        let broken = git_dir.join("index.broken");
        fs::rename(&index, &broken).map_err(GitError::io("rename", &index))?;
    }
    git().args(["read-tree", "HEAD"]).run()?;
    let sparse = git().args(["config", "--bool", "core.sparseCheckout"]).output()?;
    if sparse.text() == "true" {
        skip_outside_of_cone(git)?;
    }
    Ok(true)
}

/// Marks missing files outside of the sparse patterns as not checked out, so
/// that they are not taken for deleted ones.
fn skip_outside_of_cone(git: &dyn Fn() -> Git) -> Result<(), GitError> {
    let missing = git().args(["ls-files", "-z", "--deleted"]).read()?.stdout;
    let rules = git().args(["sparse-checkout", "check-rules", "-z"]).stdin(missing.clone());
    // A git older than 2.41 cannot tell; then no missing file counts as deleted.
    let inside = rules.output()?;
    let inside = if inside.code() == 0 { inside.stdout } else { Vec::new() };
    let inside: std::collections::HashSet<&[u8]> = records(&inside).collect();
    let outside = records(&missing).filter(|path| !inside.contains(path));
    let outside: Vec<&Path> = outside.map(|path| Path::new(OsStr::from_bytes(path))).collect();
    let input = nul_terminated(outside);
    git().args(["update-index", "-z", "--skip-worktree", "--stdin"]).stdin(input).run()?;
    Ok(())
}
