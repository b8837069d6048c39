//! A merge that conflicts, set up in a worktree for somebody to resolve.
//!
//! Git's own state is what stands there (`MERGE_HEAD`, an index with stages,
//! files with markers), so that every tool sees a merge under way. A crash leaves
//! it standing, and the worktree is then taken away or kept as any other.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Conflict;
use super::tree::{Merged, merge};
use crate::git::command::{path as path_of, records};
use crate::git::{GitError, Oid, Place, Repo, worktree};

/// Where a merge of `theirs` into `ours` would conflict; nowhere if it is clean.
pub fn conflicts_of(repo: &Repo, ours: &Oid, theirs: &Oid) -> Result<Vec<Conflict>, GitError> {
    match merge(repo.place().git(), None, ours, theirs)? {
        Merged::Clean(_) => Ok(Vec::new()),
        Merged::Conflicts(paths) => Ok(paths),
        Merged::Died(message) => {
            let command = "git merge-tree".to_owned();
            Err(GitError::Command { command, exit: "it died".to_owned(), message })
        }
    }
}

/// A path in conflict of which no marker says so, as it stood at first: a file that
/// one side removed, a binary file, a link, what git has moved aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    path: PathBuf,
    /// Of its kind and content.
    print: u64,
}

/// Merges `tip` into what is checked out in the fresh worktree at `path`, without
/// a commit. Markers also show the common ancestor. No hook runs, and the
/// person's recorded resolutions (`rerere`) neither count nor grow. Gives what
/// stands there without markers.
///
/// # Errors
/// Where git does not leave a merge under way.
pub fn stand(place: &Place, path: &Path, tip: &Oid) -> Result<Vec<Undecided>, GitError> {
    let there = worktree::place_of(place, path)?;
    let ours = Repo::open(&there).resolve_commit("HEAD")?;
    let output = there
        .git()
        .config("rerere.enabled", "false")
        .config("merge.conflictStyle", "diff3")
        .args(["merge", "--no-commit", "--no-ff", "--no-squash", "--no-autostash", "--no-edit"])
        .args(["--no-stat", "--no-verify-signatures"])
        .arg(tip)
        .output()?;
    // 1 is a conflict, which is what was wanted.
    let stands = fs::symlink_metadata(there.git_dir.join("MERGE_HEAD")).is_ok();
    if !matches!(output.code(), 0 | 1) || !stands {
        return Err(output.error());
    }
    let marked = markers_left(place, path, &ours, tip)?;
    let mut undecided = Vec::new();
    for file in unmerged(&there)? {
        if !marked.contains(&file)
            && let Some(print) = print(&path.join(&file))
        {
            undecided.push(Undecided { path: file, print });
        }
    }
    Ok(undecided)
}

/// Which of `undecided` are still as they stood, in the worktree at `path`. One
/// that somebody has added to the index is decided.
pub fn undecided_still(
    place: &Place,
    path: &Path,
    undecided: &[Undecided],
) -> Result<Vec<PathBuf>, GitError> {
    if undecided.is_empty() {
        return Ok(Vec::new());
    }
    let unmerged = unmerged(&worktree::place_of(place, path)?)?;
    let still = undecided.iter().filter(|one| {
        unmerged.contains(&one.path) && print(&path.join(&one.path)) == Some(one.print)
    });
    Ok(still.map(|one| one.path.clone()).collect())
}

/// The paths that have stages in the index.
fn unmerged(there: &Place) -> Result<BTreeSet<PathBuf>, GitError> {
    let listed = there.git().args(["ls-files", "--unmerged", "-z"]).read()?;
    let path = |record: &[u8]| {
        let tab = record.iter().position(|byte| *byte == b'\t')?;
        Some(path_of(&record[tab + 1..]))
    };
    Ok(records(&listed.stdout).filter_map(path).collect())
}

/// Tells whether a file is the same: its kind, whether it can be run, its content.
fn print(file: &Path) -> Option<u64> {
    let meta = fs::symlink_metadata(file).ok()?;
    let mut hasher = DefaultHasher::new();
    if meta.is_symlink() {
        (0, fs::read_link(file).ok()?).hash(&mut hasher);
    } else if meta.is_file() {
        (1, meta.permissions().mode() & 0o100, fs::read(file).ok()?).hash(&mut hasher);
    } else {
        2.hash(&mut hasher);
    }
    Some(hasher.finish())
}

/// Which of the files in which `ours` and `theirs` conflict still have markers,
/// as they lie in the worktree at `path`. A line that is in either side's own
/// file is no marker.
pub fn markers_left(
    place: &Place,
    path: &Path,
    ours: &Oid,
    theirs: &Oid,
) -> Result<Vec<PathBuf>, GitError> {
    let repo = Repo::open(place);
    let mut left = Vec::new();
    for Conflict { path: file, .. } in conflicts_of(&repo, ours, theirs)? {
        let here = path.join(&file);
        if left.contains(&file) || !fs::symlink_metadata(&here).is_ok_and(|meta| meta.is_file()) {
            continue;
        }
        let bytes = fs::read(&here).map_err(GitError::io("read", &here))?;
        if !lines(&bytes).any(is_marker) {
            continue;
        }
        let mut sides = Vec::new();
        for side in [ours, theirs] {
            let mut name = std::ffi::OsString::from(format!("{side}:"));
            name.push(&file);
            let blob = place.git().args(["cat-file", "blob"]).arg(name).output()?;
            // A side that has no such file has no such lines.
            sides.push(if blob.code() == 0 { blob.stdout } else { Vec::new() });
        }
        let known: HashSet<&[u8]> = sides.iter().flat_map(|side| lines(side)).collect();
        if lines(&bytes).any(|line| is_marker(line) && !known.contains(line)) {
            left.push(file);
        }
    }
    Ok(left)
}

/// The files of the worktree at `path` that its index has in conflict (by a merge, a
/// rebase, a stash that somebody began there) and that still have markers.
pub fn markers_standing(place: &Place, path: &Path) -> Result<Vec<PathBuf>, GitError> {
    let there = worktree::place_of(place, path)?;
    if Repo::open(&there).has_conflicts() == Some(false) {
        return Ok(Vec::new());
    }
    let has_markers = |file: &PathBuf| {
        // What is not to be read as a file has none.
        let bytes = fs::read(path.join(file)).unwrap_or_default();
        let has = |sign| lines(&bytes).any(|line| line.first() == Some(&sign) && is_marker(line));
        has(b'<') && has(b'>')
    };
    Ok(unmerged(&there)?.into_iter().filter(has_markers).collect())
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|b| *b == b'\n')
}

/// `=======` is none: it underlines headings. Attributes can make them longer.
fn is_marker(line: &[u8]) -> bool {
    let Some(&first) = line.first().filter(|first| b"<>|".contains(first)) else { return false };
    let run = line.iter().take_while(|b| **b == first).count();
    run >= 7 && matches!(line.get(run), Some(b' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::{Fixture, git};

    #[test]
    fn what_looks_like_a_marker() {
        for line in ["<<<<<<< HEAD", ">>>>>>> cx/a", "||||||| 1234567", "<<<<<<<<<<<< ours"] {
            assert!(is_marker(line.as_bytes()), "{line}");
        }
        for line in ["", "=======", "<<<<<< six", "<<<<<<<", ">> quoted", " <<<<<<< x"] {
            assert!(!is_marker(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_conflict_stands_and_is_seen_until_its_markers_are_gone() {
        let fixture = Fixture::new();
        let old = "<<<<<<< in an example\n";
        fixture.write("file", &format!("{old}one\n"));
        fixture.commit("base");
        fixture.git(&["checkout", "--quiet", "-b", "theirs"]);
        fixture.write("file", &format!("{old}theirs\n"));
        let theirs = fixture.commit("theirs");
        fixture.git(&["checkout", "--quiet", "main"]);
        fixture.write("file", &format!("{old}ours\n"));
        let ours = fixture.commit("ours");
        let (place, tree) = (fixture.place(), fixture.worktree("a"));
        git(&tree, &["reset", "--quiet", "--hard", ours.as_str()]);
        assert_eq!(conflicts_of(&Repo::open(&place), &ours, &theirs).unwrap().len(), 1);
        stand(&place, &tree, &theirs).unwrap();
        assert_eq!(git(&tree, &["status", "--porcelain"]).trim(), "UU file");
        let left = || markers_left(&place, &tree, &ours, &theirs).unwrap();
        assert_eq!(left(), [PathBuf::from("file")]);
        fs::write(tree.join("file"), format!("{old}both\n=======\n")).unwrap();
        assert_eq!(left(), Vec::<PathBuf>::new());
        assert_eq!(undecided_still(&place, &tree, &[]).unwrap(), Vec::<PathBuf>::new());
        // Nothing to merge is no merge under way.
        let other = fixture.worktree("b");
        assert!(stand(&place, &other, &fixture.oid("HEAD")).is_err());
    }

    #[test]
    fn what_has_no_markers_is_undecided_until_it_changes_or_is_added() {
        let fixture = Fixture::new();
        for name in ["edited", "removed", "added", "left", "<<<<<<< marked"] {
            fixture.write(name, "one\n<<<<<<< in an example\n");
        }
        fs::write(fixture.root().join("binary"), b"one\0").unwrap();
        fixture.commit("base");
        fixture.git(&["checkout", "--quiet", "-b", "theirs"]);
        fixture.git(&["rm", "--quiet", "edited", "removed", "added", "left", "<<<<<<< marked"]);
        fs::write(fixture.root().join("binary"), b"theirs\0").unwrap();
        let theirs = fixture.commit("theirs");
        fixture.git(&["checkout", "--quiet", "main"]);
        for name in ["edited", "removed", "added", "left", "<<<<<<< marked"] {
            fixture.write(name, "ours\n<<<<<<< in an example\n");
        }
        fs::write(fixture.root().join("binary"), b"ours\0").unwrap();
        let ours = fixture.commit("ours");
        let (place, tree) = (fixture.place(), fixture.worktree("a"));
        git(&tree, &["reset", "--quiet", "--hard", ours.as_str()]);
        let undecided = stand(&place, &tree, &theirs).unwrap();
        let still = || undecided_still(&place, &tree, &undecided).unwrap();
        let names = ["<<<<<<< marked", "added", "binary", "edited", "left", "removed"];
        assert_eq!(still(), names.map(PathBuf::from));
        assert_eq!(markers_left(&place, &tree, &ours, &theirs).unwrap(), Vec::<PathBuf>::new());
        fs::write(tree.join("edited"), "both\n").unwrap();
        fs::remove_file(tree.join("removed")).unwrap();
        git(&tree, &["add", "added"]);
        fs::write(tree.join("binary"), b"both\0").unwrap();
        assert_eq!(still(), ["<<<<<<< marked", "left"].map(PathBuf::from));
    }
}
