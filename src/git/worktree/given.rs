//! What a worktree was given before its worker came: files that git neither tracks
//! nor ignores, from a setup command or by `.worktreeinclude`, and what a setup changed
//! in files that git tracks (a lock file), or removed of them.
//!
//! They are nobody's work, so they are not committed, not compared and not missed,
//! as long as the worker leaves them as they were. What a setup stages is meant. A note beside the worktree's
//! index (`cx-given`) tells them: eight bytes for each file, made of its path, size,
//! inode and time, so that a folder of a hundred thousand costs a look at each and no
//! reading. It goes with the worktree. Without it, as after a crash before the
//! worker was started, everything there is work.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::state::{Changed, changed};
use crate::git::command::{path as path_of, records};
use crate::git::{Git, GitError, Place};

/// Beside the worktree's index.
pub(in crate::git) const GIVEN: &str = "cx-given";

/// Two writes within so much time may leave a file with the same time.
const TICK: Duration = Duration::from_millis(20);

/// The files that a worktree was given; empty for most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::git) struct Given {
    /// Sorted.
    marks: Vec<u64>,
}

impl Given {
    /// What is noted of the worktree with this git dir.
    pub(in crate::git) fn read(git_dir: &Path) -> Result<Self, GitError> {
        let path = git_dir.join(GIVEN);
        match fs::read(&path) {
            Ok(bytes) => {
                let (marks, _) = bytes.as_chunks::<8>();
                Ok(Self { marks: marks.iter().copied().map(u64::from_le_bytes).collect() })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(GitError::io("read", &path)(error)),
        }
    }

    pub(in crate::git) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Whether `path` of `checkout` is as it was given.
    pub(in crate::git) fn holds(&self, checkout: &Path, path: &Path) -> bool {
        !self.is_empty()
            && mark_now(checkout, path).is_some_and(|mark| self.marks.binary_search(&mark).is_ok())
    }

    /// The fewest paths that cover those of `untracked` that are as they were given,
    /// and nothing else that git would add: folders where all in them is.
    pub(in crate::git) fn cover(
        &self,
        git: Git,
        checkout: &Path,
        untracked: &[PathBuf],
    ) -> Result<Vec<PathBuf>, GitError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let (given, rest): (Vec<&PathBuf>, Vec<&PathBuf>) =
            untracked.iter().partition(|path| self.holds(checkout, path));
        if given.is_empty() {
            return Ok(Vec::new());
        }
        let tracked = git.args(["ls-files", "-z"]).read()?.stdout;
        let tracked: Vec<PathBuf> = records(&tracked).map(path_of).collect();
        let kept = rest.into_iter().chain(&tracked);
        let mixed: BTreeSet<&Path> = kept.flat_map(|path| path.ancestors().skip(1)).collect();
        let highest = |path: &&PathBuf| {
            let above = path.ancestors().take_while(|part| !part.as_os_str().is_empty());
            let whole = above.skip(1).filter(|folder| !mixed.contains(folder)).last();
            whole.unwrap_or(path).to_owned()
        };
        let cover: BTreeSet<PathBuf> = given.iter().map(highest).collect();
        Ok(cover.into_iter().collect())
    }
}

/// Notes what lies untracked or edited in the worktree at `path` now, just before its
/// worker comes. Returns how many files that are. Nothing is noted where nothing does.
pub fn note_given(place: &Place, path: &Path) -> Result<usize, GitError> {
    let there = super::place_of(place, path)?;
    let mut marks = Vec::new();
    let mut latest = SystemTime::UNIX_EPOCH;
    for Changed { path: name, is_untracked, is_only_edited, .. } in changed(there.git())? {
        if !is_untracked && !is_only_edited {
            continue;
        }
        let meta = fs::symlink_metadata(path.join(&name));
        // A repository of its own (`folder/`) is never committed.
        if meta.as_ref().is_ok_and(fs::Metadata::is_dir) {
            continue;
        }
        let modified = meta.and_then(|meta| meta.modified());
        latest = modified.map_or(latest, |time| latest.max(time));
        marks.extend(mark_now(path, &name));
    }
    if marks.is_empty() {
        return Ok(0);
    }
    marks.sort_unstable();
    let bytes: Vec<u8> = marks.iter().flat_map(|mark| mark.to_le_bytes()).collect();
    let file = there.git_dir.join(GIVEN);
    let wrong = |error| GitError::io("write", &file)(error);
    let mut new = tempfile::NamedTempFile::new_in(&there.git_dir).map_err(wrong)?;
    new.write_all(&bytes).map_err(wrong)?;
    new.persist(&file).map_err(|error| wrong(error.error))?;
    // What the worker writes into one of them must get another time.
    if SystemTime::now().duration_since(latest).is_ok_and(|age| age < TICK) {
        std::thread::sleep(TICK);
    }
    Ok(marks.len())
}

/// The mark of `path` as it is, or as nothing; none where it cannot be looked at.
fn mark_now(checkout: &Path, path: &Path) -> Option<u64> {
    match fs::symlink_metadata(checkout.join(path)) {
        Ok(meta) => Some(mark(path, &meta)),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(mark_of(path, [0; 4])),
        Err(_) => None,
    }
}

/// FNV-1a over path, size, inode and time: stable, so that another cx may read it.
fn mark(path: &Path, meta: &Metadata) -> u64 {
    // The inode tells one that was moved over another of the same size and moment.
    let (size, inode) = (meta.size().cast_signed(), meta.ino().cast_signed());
    mark_of(path, [size, inode, meta.mtime(), meta.mtime_nsec()])
}

fn mark_of(path: &Path, numbers: [i64; 4]) -> u64 {
    let numbers = numbers.into_iter().flat_map(i64::to_le_bytes);
    let path = path.as_os_str().as_bytes().iter().copied();
    path.chain([0]).chain(numbers).fold(0xcbf2_9ce4_8422_2325, |mark, byte| {
        (mark ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::{Fixture, commit, write};

    fn note(fixture: &Fixture, tree: &Path) -> Given {
        note_given(&fixture.place(), tree).unwrap();
        Given::read(&super::super::admin_dir(&fixture.place(), tree).unwrap()).unwrap()
    }

    #[test]
    fn a_file_is_given_until_it_is_changed() {
        let fixture = Fixture::new();
        let tree = fixture.worktree("a");
        for path in ["same", "written", "grown", "gone", "d/replaced"] {
            write(&tree, path, "1");
        }
        let given = note(&fixture, &tree);
        assert_eq!(given.marks.len(), 5);
        write(&tree, "written", "2");
        write(&tree, "grown", "11");
        write(&tree, "new", "1");
        fs::remove_file(tree.join("gone")).unwrap();
        fs::rename(tree.join("same"), tree.join("d/replaced")).unwrap();
        write(&tree, "same", "1");
        for path in ["written", "grown", "new", "gone", "d/replaced", "same", "README"] {
            assert!(!given.holds(&tree, Path::new(path)), "{path}");
        }
        assert_eq!(Given::read(&fixture.place().git_dir).unwrap(), Given::default());
    }

    #[test]
    fn whole_folders_are_covered_whole() {
        let fixture = Fixture::new();
        let tree = fixture.worktree("a");
        write(&tree, "src/tracked", "1");
        write(&tree, "mixed/tracked", "1");
        commit(&tree, "own");
        for path in ["mod/a/1", "mod/a/2", "mod/b/1", "all/x/y", "mixed/1", "src/gen/1", ".env"] {
            write(&tree, path, "1");
        }
        let given = note(&fixture, &tree);
        write(&tree, "mod/b/new", "1");
        let cover = || {
            let untracked: Vec<PathBuf> = changed(Git::at(&tree))
                .unwrap()
                .into_iter()
                .filter_map(|change| change.is_untracked.then_some(change.path))
                .collect();
            given.cover(Git::at(&tree), &tree, &untracked).unwrap()
        };
        let expected = [".env", "all", "mixed/1", "mod/a", "mod/b/1", "src/gen"];
        assert_eq!(cover(), expected.map(PathBuf::from));
    }

    #[test]
    fn nothing_untracked_is_no_note() {
        let fixture = Fixture::new();
        let tree = fixture.worktree("a");
        assert!(note(&fixture, &tree).is_empty());
        assert!(!super::super::admin_dir(&fixture.place(), &tree).unwrap().join(GIVEN).exists());
    }
}
