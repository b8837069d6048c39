//! What changed: listed for cx, or shown to a person by git itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::{on_terminal, path as path_of};
use super::commit::commit_tree;
use super::{Git, GitError, Head, Oid, Place, Repo, stage};

/// One changed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Where it is now (or was, when deleted), relative to the root.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: ChangeKind,
    /// Lines added; none for binary files.
    pub added: Option<u64>,
    /// Lines removed; none for binary files.
    pub removed: Option<u64>,
}

/// What happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// Its content, and perhaps its mode, differs.
    Modified,
    /// Only its mode differs.
    Mode,
    /// File, symlink or submodule became another of these.
    Type,
    /// It was there before, perhaps with another content.
    Renamed {
        /// Where it was.
        from: PathBuf,
    },
}

/// The files that differ between two commits or trees, renames found.
pub fn stat(place: &Place, base: &Oid, tip: &Oid) -> Result<Vec<FileChange>, GitError> {
    let output = place
        .git()
        .args(["diff-tree", "-r", "-z", "-M", "--raw", "--numstat", "--no-ext-diff"])
        .arg(base)
        .arg(tip)
        .read()?;
    parse(&output.stdout).ok_or_else(|| GitError::Answer("git diff-tree".to_owned()))
}

/// Reads all `:MODE MODE OID OID LETTER` records, then as many counts in the same order.
fn parse(bytes: &[u8]) -> Option<Vec<FileChange>> {
    let mut fields = bytes.split(|b| *b == 0).peekable();
    let mut changes = Vec::new();
    while let Some(raw) = fields.next_if(|field| field.starts_with(b":")) {
        let words: Vec<&[u8]> = raw[1..].split(|b| *b == b' ').collect();
        let [old_mode, new_mode, old, new, letter] = words.as_slice() else { return None };
        let first = path_of(fields.next()?);
        let kind = match letter.first()? {
            b'A' => ChangeKind::Added,
            b'D' => ChangeKind::Deleted,
            b'T' => ChangeKind::Type,
            b'R' => ChangeKind::Renamed { from: first.clone() },
            _ if old == new && old_mode != new_mode => ChangeKind::Mode,
            _ => ChangeKind::Modified,
        };
        let renamed = matches!(kind, ChangeKind::Renamed { .. });
        let path = if renamed { path_of(fields.next()?) } else { first };
        changes.push(FileChange { path, kind, added: None, removed: None });
    }
    for change in &mut changes {
        // `ADDED TAB REMOVED TAB PATH`, or an empty path and then two for a rename.
        let mut columns = fields.next()?.splitn(3, |b| *b == b'\t');
        let mut count = || std::str::from_utf8(columns.next()?).ok()?.parse().ok();
        (change.added, change.removed) = (count(), count());
        if columns.next()?.is_empty() {
            fields.nth(1)?;
        }
    }
    Some(changes)
}

/// Everything that lies in a live worktree now, new files included, as a tree:
/// something to compare with. Its index and files are not touched, so its worker
/// may go on; files that vanish meanwhile are left out. `there` is the worktree, as
/// [`grant::seen`](super::grant::seen) has it.
pub fn snapshot(there: &Place) -> Result<Oid, GitError> {
    snapshot_in(there, &there.git_dir)
}

/// The same, with what is needed meanwhile below `folder`.
pub(super) fn snapshot_in(there: &Place, folder: &Path) -> Result<Oid, GitError> {
    let scratch = tempfile::tempdir_in(folder).map_err(GitError::io("make a folder in", folder))?;
    let index = scratch.path().join("index");
    let git = || -> Git { there.git().env("GIT_INDEX_FILE", &index) };
    if stage::copy_index(&there.git_dir.join("index"), &index).is_err() {
        git().args(["read-tree", "HEAD"]).run()?;
    }
    // A file that vanishes under git's hands ends the whole `git add`; its worker
    // is alive, so the next attempt sees what is there then.
    let mut staged = stage::all(there, &git);
    for _ in 0..2 {
        if staged.is_ok() {
            break;
        }
        staged = stage::all(there, &git);
    }
    staged?;
    git().arg("write-tree").run()?.oid()
}

/// The same as a commit on top of the worktree's HEAD, which no ref names; HEAD
/// itself where the tree is the same. Equal contents give the same commit, so
/// that looking often leaves few objects.
pub fn snapshot_commit(there: &Place) -> Result<Oid, GitError> {
    let tree = snapshot(there)?;
    let there = Repo::open(there);
    let head = match there.head()? {
        Head::Branch { oid, .. } | Head::Detached(oid) => oid,
        Head::Unborn(name) => return Err(GitError::Unborn(name)),
    };
    if there.tree_of(&head)? == tree {
        return Ok(head);
    }
    let mut git = there.place().git();
    for role in ["AUTHOR", "COMMITTER"] {
        git = git
            .env(&format!("GIT_{role}_NAME"), "cx")
            .env(&format!("GIT_{role}_EMAIL"), "cx@localhost")
            .env(&format!("GIT_{role}_DATE"), "@0 +0000");
    }
    commit_tree(git, &tree, &[&head], "A live worktree\n", false)
}

/// `git diff` between two commits or trees, to be run with the terminal of the
/// person: their pager, colours and language. `options` are git's (`--stat`),
/// `paths` are pathspecs relative to the root.
pub fn patch_command(
    place: &Place,
    base: &Oid,
    tip: &Oid,
    options: &[&str],
    paths: &[PathBuf],
) -> Command {
    let mut command = on_terminal(place.folder());
    command.arg("diff").args(options).arg(base).arg(tip).arg("--").args(paths);
    command
}

/// Runs [`patch_command`] and waits for it; gives git's exit code, or 128 +
/// signal.
pub fn show(place: &Place, base: &Oid, tip: &Oid, options: &[&str]) -> Result<u8, GitError> {
    use std::os::unix::process::ExitStatusExt as _;
    let status =
        patch_command(place, base, tip, options, &[]).status().map_err(GitError::NotRun)?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::{Fixture, commit, git, write};
    use crate::git::worktree;
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    #[test]
    fn every_kind_of_change_is_listed() {
        let fixture = Fixture::new();
        for (path, text) in [("gone", "x\n"), ("mode", "m\n"), ("type", "t\n"), ("bin", "\0a")] {
            fixture.write(path, text);
        }
        let base = fixture.commit("more");
        let root = fixture.root();
        fs::remove_file(root.join("gone")).unwrap();
        fs::set_permissions(root.join("mode"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_file(root.join("type")).unwrap();
        std::os::unix::fs::symlink("README", root.join("type")).unwrap();
        fixture.write("bin", "\0b");
        fixture.write("README", "hello\nworld\n");
        fs::rename(root.join("src/lib"), root.join("src/moved\tfile")).unwrap();
        fs::write(root.join(OsStr::from_bytes(b"new\n\xff")), "1\n2\n").unwrap();
        let tip = fixture.commit("all kinds");
        let changes = stat(&fixture.place(), &base, &tip).unwrap();
        let row = |path: &OsStr| {
            let found = changes.iter().find(|change| change.path == Path::new(path)).unwrap();
            (found.kind.clone(), found.added, found.removed)
        };
        assert_eq!(changes.len(), 7);
        assert_eq!(row("README".as_ref()), (ChangeKind::Modified, Some(1), Some(0)));
        assert_eq!(row("gone".as_ref()), (ChangeKind::Deleted, Some(0), Some(1)));
        assert_eq!(row("mode".as_ref()), (ChangeKind::Mode, Some(0), Some(0)));
        assert_eq!(row("type".as_ref()).0, ChangeKind::Type);
        assert_eq!(row("bin".as_ref()), (ChangeKind::Modified, None, None));
        let from = PathBuf::from("src/lib");
        let renamed = (ChangeKind::Renamed { from }, Some(0), Some(0));
        assert_eq!(row("src/moved\tfile".as_ref()), renamed);
        assert_eq!(row(OsStr::from_bytes(b"new\n\xff")), (ChangeKind::Added, Some(2), Some(0)));
        assert_eq!(stat(&fixture.place(), &tip, &tip).unwrap(), []);
    }

    #[test]
    fn a_snapshot_sees_everything_and_touches_nothing() {
        let fixture = Fixture::new();
        let base = fixture.oid("HEAD");
        let tree = fixture.worktree("a");
        commit(&tree, "own");
        write(&tree, "untracked", "u\n");
        write(&tree, "staged", "s\n");
        git(&tree, &["add", "staged"]);
        write(&tree, "README", "edited\n");
        let before = git(&tree, &["status", "--porcelain"]);
        let seen = snapshot(&worktree::place_of(&fixture.place(), &tree).unwrap()).unwrap();
        assert_eq!(git(&tree, &["status", "--porcelain"]), before);
        let changes = stat(&fixture.place(), &base, &seen).unwrap();
        let paths: Vec<_> = changes.iter().map(|change| change.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["README", "staged", "untracked"]);
        let admin = worktree::admin_dir(&fixture.place(), &tree).unwrap();
        let left = fs::read_dir(&admin).unwrap().filter_map(Result::ok);
        assert!(left.map(|e| e.file_name()).all(|n| !n.to_string_lossy().starts_with(".tmp")));

        let paths = [PathBuf::from("staged")];
        let mut shown = patch_command(&fixture.place(), &base, &seen, &["--stat"], &paths);
        let shown = shown.output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("staged") && !shown.contains("README"), "{shown}");
    }

    #[test]
    fn a_snapshot_sees_what_was_written_in_the_moment_of_the_checkout() {
        let fixture = Fixture::new();
        fixture.write("f", "1\n");
        let base = fixture.commit("f");
        let tree = fixture.worktree("a");
        // Size and time are as the index has them: only that the index is not later
        // tells git to look inside. The time of the inode cannot be set.
        git(&tree, &["config", "core.trustctime", "false"]);
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
        let touch = |path: &Path| fs::File::open(path).unwrap().set_modified(then).unwrap();
        touch(&tree.join("f"));
        git(&tree, &["update-index", "--refresh"]);
        fs::write(tree.join("f"), "A\n").unwrap();
        touch(&tree.join("f"));
        touch(&worktree::admin_dir(&fixture.place(), &tree).unwrap().join("index"));
        let seen = snapshot(&worktree::place_of(&fixture.place(), &tree).unwrap()).unwrap();
        let changes = stat(&fixture.place(), &base, &seen).unwrap();
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].path, Path::new("f"));
    }
}
