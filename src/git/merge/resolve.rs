//! A merge that conflicts, set up in a worktree for somebody to resolve.
//!
//! Git's own state is what stands there (`MERGE_HEAD`, an index with stages,
//! files with markers), so that every tool sees a merge under way. A crash leaves
//! it standing, and the worktree is then taken away or kept as any other.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Conflict;
use super::tree::{Merged, merge};
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

/// Merges `tip` into what is checked out in the fresh worktree at `path`, without
/// a commit. Markers also show the common ancestor. No hook runs, and the
/// person's recorded resolutions (`rerere`) neither count nor grow.
///
/// # Errors
/// Where git does not leave a merge under way.
pub fn stand(place: &Place, path: &Path, tip: &Oid) -> Result<(), GitError> {
    let there = worktree::place_of(place, path)?;
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
    if matches!(output.code(), 0 | 1) && stands { Ok(()) } else { Err(output.error()) }
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
        // Nothing to merge is no merge under way.
        let other = fixture.worktree("b");
        assert!(stand(&place, &other, &fixture.oid("HEAD")).is_err());
    }
}
