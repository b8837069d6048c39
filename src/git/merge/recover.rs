//! What a landing that was cut short left, and how it is finished or undone.
//!
//! The journal is a file of NUL-terminated fields (version, branch, old, new,
//! checkout, git dir), put in place by a rename, so that it is whole or absent.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::MergeError;
use crate::git::command::{nul_terminated, path as path_of, records};
use crate::git::trees::{Difference, differences};
use crate::git::{Git, GitError, Oid, Place, Repo};

/// What marks an `index.lock` as made by a landing.
pub(super) const MARK: &[u8] = b"cx merge\n";

/// The name under which a marked lock is written before it is linked into place.
pub(super) const MARKED: &str = "cx-merge-lock";

const JOURNAL: &str = "merge.journal";
const VERSION: &[u8] = b"1";

/// What was found of an earlier landing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// The branch had moved already; its checkout has been brought along.
    Finished {
        /// The branch.
        branch: String,
    },
    /// The branch had not moved; its checkout is as it was before.
    RolledBack {
        /// The branch.
        branch: String,
    },
}

/// Whether a landing is under way or was cut short, by the journal in `state`.
pub fn is_pending(state: &Path) -> bool {
    fs::symlink_metadata(state.join(JOURNAL)).is_ok()
}

/// Finishes or undoes a landing that was cut short, if there was one. `state`
/// is the folder that was given to it. Waits for a landing that is under way.
pub fn recover(place: &Place, state: &Path) -> Result<Option<Recovered>, MergeError> {
    // The common case costs one look.
    if fs::symlink_metadata(state.join(JOURNAL)).is_err() {
        return Ok(None);
    }
    let _lock = lock(state)?;
    under_lock(place, state)
}

pub(super) fn lock(state: &Path) -> Result<File, GitError> {
    let path = state.join("merge.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(&path)
        .map_err(GitError::io("open", &path))?;
    file.lock().map_err(GitError::io("lock", &path))?;
    Ok(file)
}

pub(super) fn under_lock(place: &Place, state: &Path) -> Result<Option<Recovered>, MergeError> {
    let Some(journal) = Journal::read(state)? else { return Ok(None) };
    let branch = journal.branch.clone();
    let full = format!("refs/heads/{branch}");
    // The git that had locked the branch may have been killed too. The lock is
    // ours if it holds the very commit that was to be landed.
    let ref_lock = place.common_dir.join(format!("{full}.lock"));
    if fs::read(&ref_lock).is_ok_and(|bytes| bytes.trim_ascii() == journal.new.as_str().as_bytes())
    {
        // The same git locked HEAD, for its reflog, and ORIG_HEAD. Any may be gone by
        // now, if it is only just ending.
        let _ = fs::remove_file(&ref_lock);
        let _ = fs::remove_file(journal.git_dir.join("HEAD.lock"));
        let _ = fs::remove_file(journal.git_dir.join("ORIG_HEAD.lock"));
    }
    let moved = Repo::open(place).ref_tip(&full)?.as_ref() == Some(&journal.new);
    let there = Place::discover(&journal.checkout).ok().flatten();
    let there = there.filter(|there| there.git_dir == journal.git_dir);
    if let Some(there) = there {
        if moved {
            finish(&there, &journal)?;
        } else {
            roll_back(&there, &journal, true)?;
        }
    }
    // Without its checkout there is nothing left to bring along.
    Journal::remove(state)?;
    let recovered =
        if moved { Recovered::Finished { branch } } else { Recovered::RolledBack { branch } };
    Ok(Some(recovered))
}

/// The copy of the index on which a landing works.
pub(super) fn index_copy(git_dir: &Path) -> PathBuf {
    git_dir.join("cx-merge-index")
}

/// Step 7: puts the merged index in place and lets go of it.
pub(super) fn finish(there: &Place, journal: &Journal) -> Result<(), GitError> {
    let copy = index_copy(&there.git_dir);
    let index = there.git_dir.join("index");
    if copy.exists() {
        if holds_index(&there.git_dir) {
            fs::rename(&copy, &index).map_err(GitError::io("replace", &index))?;
        } else {
            // Somebody removed the lock and may have staged things: the index
            // alone goes from old to new, as far as it was at old.
            let ends = [journal.old.as_str(), journal.new.as_str()];
            there.git().args(["read-tree", "-i", "-m"]).args(ends).run()?;
        }
    }
    release(&there.git_dir)
}

/// Gives files that hold what the merge wrote their old content back, where
/// `wrote` says that there may be some, and lets go of the index.
pub(super) fn roll_back(there: &Place, journal: &Journal, wrote: bool) -> Result<(), GitError> {
    if wrote && index_copy(&there.git_dir).exists() {
        restore_files(there, journal)?;
    }
    release(&there.git_dir)
}

fn restore_files(there: &Place, journal: &Journal) -> Result<(), GitError> {
    let Some(checkout) = &there.checkout else { return Ok(()) };
    // An index of the new commit says which files are exactly as merged.
    let scratch = there.git_dir.join("cx-merge-scratch");
    let git_new = || there.git().env("GIT_INDEX_FILE", &scratch);
    git_new().args(["read-tree", journal.new.as_str()]).run()?;
    let not_new = differ_from_index(&git_new)?;
    let not_old = differ_from_index(&|| there.git())?;
    fs::remove_file(&scratch).map_err(GitError::io("remove", &scratch))?;

    let tracked = there.git().args(["ls-files", "-z"]).read()?.stdout;
    let tracked: HashSet<PathBuf> = records(&tracked).map(path_of).collect();
    let mut restore = Vec::new();
    for Difference { path, letter: kind } in
        differences(&Repo::open(there), &journal.old, &journal.new)?
    {
        let path = path_of(&path);
        let file = checkout.join(&path);
        let is_there = fs::symlink_metadata(&file).is_ok();
        let is_new = kind != b'D' && is_there && !not_new.contains(&path);
        let ours = is_new || (is_there && kind != b'D' && is_torn(there, journal, &path, &file)?);
        match kind {
            // Unless somebody has added it to the index since.
            b'A' if ours && !tracked.contains(&path) => {
                fs::remove_file(&file).map_err(GitError::io("remove", &file))?;
                for folder in file.ancestors().skip(1).take_while(|folder| *folder != checkout) {
                    if fs::remove_dir(folder).is_err() {
                        break;
                    }
                }
            }
            b'A' => {}
            _ if not_old.contains(&path) && (ours || !is_there) => restore.push(path),
            _ => {}
        }
    }
    let input = nul_terminated(restore.iter().map(PathBuf::as_path));
    there.git().args(["checkout-index", "-f", "-z", "--stdin"]).stdin(input).run()?;
    Ok(())
}

/// Whether `file` is the beginning of what the merge was writing there.
fn is_torn(there: &Place, journal: &Journal, path: &Path, file: &Path) -> Result<bool, GitError> {
    let Ok(found) = fs::read(file) else { return Ok(false) };
    let mut name = std::ffi::OsString::from(format!("{}:", journal.new));
    name.push(path);
    let whole = there.git().args(["cat-file", "--filters"]).arg(name).output()?;
    Ok(whole.code() == 0 && whole.stdout.len() > found.len() && whole.stdout.starts_with(&found))
}

/// The files whose content is not what the index says; stat data does not count.
fn differ_from_index(git: &dyn Fn() -> Git) -> Result<HashSet<PathBuf>, GitError> {
    let git = git().config("diff.autoRefreshIndex", "true").arg("diff").args(["-z", "--name-only"]);
    let output = git.args(["--no-ext-diff", "--no-renames", "--no-relative"]).read()?;
    Ok(records(&output.stdout).map(path_of).collect())
}

/// Whether the `index.lock` there is one that a landing made.
fn holds_index(git_dir: &Path) -> bool {
    fs::read(git_dir.join("index.lock")).is_ok_and(|bytes| bytes == MARK)
}

fn release(git_dir: &Path) -> Result<(), GitError> {
    let copy = index_copy(git_dir);
    let mut all = vec![copy.with_extension("lock"), copy, git_dir.join(MARKED)];
    if holds_index(git_dir) {
        all.push(git_dir.join("index.lock"));
    }
    for path in all {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(GitError::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a landing is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) branch: String,
    pub(super) old: Oid,
    pub(super) new: Oid,
    pub(super) checkout: PathBuf,
    pub(super) git_dir: PathBuf,
}

impl Journal {
    pub(super) fn write(&self, state: &Path) -> Result<(), GitError> {
        let fields: [&[u8]; 6] = [
            VERSION,
            self.branch.as_bytes(),
            self.old.as_str().as_bytes(),
            self.new.as_str().as_bytes(),
            self.checkout.as_os_str().as_bytes(),
            self.git_dir.as_os_str().as_bytes(),
        ];
        let path = state.join(JOURNAL);
        let wrong = |error| GitError::io("write", &path)(error);
        let mut file = tempfile::NamedTempFile::new_in(state).map_err(wrong)?;
        for field in fields {
            file.write_all(field).and_then(|()| file.write_all(b"\0")).map_err(wrong)?;
        }
        file.as_file().sync_all().map_err(wrong)?;
        file.persist(&path).map_err(|error| wrong(error.error))?;
        Ok(())
    }

    fn read(state: &Path) -> Result<Option<Self>, GitError> {
        let path = state.join(JOURNAL);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(GitError::io("read", &path)(error)),
        };
        let fields: Vec<&[u8]> = records(&bytes).collect();
        let oid = |bytes: &[u8]| Oid::new(std::str::from_utf8(bytes).ok()?).ok();
        let read = match fields.as_slice() {
            [VERSION, branch, old, new, checkout, git_dir] => {
                oid(old).zip(oid(new)).map(|(old, new)| Self {
                    branch: String::from_utf8_lossy(branch).into_owned(),
                    old,
                    new,
                    checkout: path_of(checkout),
                    git_dir: path_of(git_dir),
                })
            }
            _ => None,
        };
        let unknown = || std::io::Error::new(ErrorKind::InvalidData, "a newer cx wrote it");
        read.ok_or_else(|| GitError::io("understand", &path)(unknown())).map(Some)
    }

    pub(super) fn remove(state: &Path) -> Result<(), GitError> {
        let path = state.join(JOURNAL);
        fs::remove_file(&path).map_err(GitError::io("remove", &path))
    }
}
