//! Letting a sandboxed worker commit by itself, and taking over what it made.
//!
//! The worker has a detached HEAD, git's own folder of its worktree, and a store of
//! its own for objects; all else of the repository stays read-only to it. But in
//! that folder it can rewrite what tells git which repository this is. So what
//! stands there is written down before ([`Seal`]), and put back after, by plain
//! reads and writes, **before any git runs there again** ([`Seal::restore`]). Its
//! objects are looked at one by one, by git, on their way into the repository.
//!
//! Meanwhile nobody but the worker goes by that folder: another one stands in for it,
//! which has HEAD and the index as they were ([`seen`]). Whoever looks at the worktree
//! then sees its files, and compares them with what the worker began with.
//!
//! Both can be done twice. A crash in between leaves the seal with whoever keeps it.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::worktree::GIVEN;
use super::{Git, GitError, Head, Oid, Place, Repo, refs, stage, worktree};

/// What says which repository the folder belongs to, and how it is set.
const SEALED: [&str; 3] = ["commondir", "config.worktree", "gitdir"];

/// What git writes there in the course of ordinary work; what else a worker leaves
/// goes. The index is made anew.
const ORDINARY: [&str; 9] = [
    "HEAD",
    "COMMIT_EDITMSG",
    "ORIG_HEAD",
    "FETCH_HEAD",
    "AUTO_MERGE",
    "locked",
    "logs",
    "refs",
    "packed-refs.lock",
];

/// How git's own folder of a worktree was before its worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    git_dir: PathBuf,
    /// What stands in for it meanwhile.
    #[serde(default)]
    stand_in: PathBuf,
    /// The content of each, or that there is none.
    files: BTreeMap<String, Option<String>>,
    head: String,
    branch: String,
}

/// What was found when a seal was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the worker had rewritten, or put there, by name.
    pub rewritten: Vec<String>,
    /// The commit that its HEAD was at.
    head: String,
}

/// Whether a repository lets a worktree have settings of its own: then a worker that
/// writes them would choose what git runs.
pub fn has_worktree_config(place: &Place) -> Result<bool, GitError> {
    let asked = ["config", "--bool", "extensions.worktreeConfig"];
    Ok(place.git().args(asked).output()?.text() == "true")
}

/// Makes the worktree ready for a worker that commits: a detached HEAD, and the
/// folder `objects`, empty. `stand_in` is where others look at it from.
pub fn open(
    place: &Place,
    path: &Path,
    branch: &str,
    (objects, stand_in): (&Path, &Path),
) -> Result<Seal, GitError> {
    let there = worktree::place_of(place, path)?;
    let head = match Repo::open(&there).head()? {
        Head::Branch { oid, .. } | Head::Detached(oid) => oid,
        Head::Unborn(name) => return Err(GitError::Unborn(name)),
    };
    there.git().args(["checkout", "--quiet", "--detach"]).run()?;
    for folder in [objects, stand_in] {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(GitError::io("remove", folder))?;
        }
        DirBuilder::new().mode(0o700).create(folder).map_err(GitError::io("make", folder))?;
    }
    make_stand_in(&there, &head, stand_in).map_err(GitError::io("write in", stand_in))?;
    let mut files = BTreeMap::new();
    for name in SEALED {
        let file = there.git_dir.join(name);
        let content = match fs::read_to_string(&file) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            read => Some(read.map_err(GitError::io("read", &file))?),
        };
        files.insert(name.to_owned(), content);
    }
    let (head, branch) = (head.to_string(), branch.to_owned());
    let stand_in = stand_in.to_owned();
    Ok(Seal { git_dir: there.git_dir, stand_in, files, head, branch })
}

/// A folder of git's for the same worktree, as it is now.
fn make_stand_in(there: &Place, head: &Oid, stand_in: &Path) -> io::Result<()> {
    let line = |path: &Path| [path.as_os_str().as_bytes(), b"\n"].concat();
    fs::write(stand_in.join("commondir"), line(&there.common_dir))?;
    fs::write(stand_in.join("gitdir"), line(&there.folder().join(".git")))?;
    stage::copy_index(&there.git_dir.join("index"), &stand_in.join("index"))?;
    match fs::copy(there.git_dir.join(GIVEN), stand_in.join(GIVEN)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Last: with it the folder counts.
    fs::write(stand_in.join("HEAD"), format!("{head}\n"))
}

/// The worktree at `path`, to be looked at: by what stands in for git's folder of it,
/// where its worker has that one.
pub fn seen(place: &Place, path: &Path, stand_in: Option<&Path>) -> Result<Place, GitError> {
    match stand_in.filter(|folder| folder.join("HEAD").is_file()) {
        Some(folder) => Ok(Place {
            common_dir: place.common_dir.clone(),
            git_dir: folder.to_owned(),
            checkout: Some(fs::canonicalize(path).map_err(GitError::io("read", path))?),
            prefix: PathBuf::new(),
            is_bare: false,
        }),
        None => worktree::place_of(place, path),
    }
}

impl Seal {
    /// What the worker may write to besides its worktree.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Puts everything back. No git is asked.
    pub fn restore(&self) -> io::Result<Restored> {
        let mut rewritten = Vec::new();
        for entry in fs::read_dir(&self.git_dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if self.files.contains_key(&name) || name == GIVEN {
                continue;
            }
            let is_ordinary = ORDINARY.contains(&name.as_str()) && is_plain(&entry.path())?;
            if is_ordinary {
                continue;
            }
            remove(&entry.path())?;
            // The index and locks are nobody's trick.
            let is_lock = Path::new(&name).extension().is_some_and(|end| end == "lock");
            if name != "index" && !is_lock {
                rewritten.push(name);
            }
        }
        for (name, content) in &self.files {
            let file = self.git_dir.join(name);
            let now = if is_file(&file) { fs::read_to_string(&file).ok() } else { None };
            let is_there = fs::symlink_metadata(&file).is_ok();
            if now == *content && is_there == content.is_some() {
                continue;
            }
            rewritten.push(name.clone());
            remove(&file)?;
            if let Some(content) = content {
                self.write(&file, content)?;
            }
        }
        if self.restore_given()? {
            rewritten.push(GIVEN.to_owned());
        }
        let file = self.git_dir.join("HEAD");
        let now = if is_file(&file) { fs::read_to_string(&file) } else { Ok(String::new()) };
        let now = now.unwrap_or_default().trim_end().to_owned();
        // On its branch it is where it is going to be.
        let is_on_branch = now == format!("ref: refs/heads/{}", self.branch);
        let head = if let Ok(oid) = Oid::new(&now) {
            oid.to_string()
        } else {
            if !is_on_branch {
                rewritten.push("HEAD".to_owned());
            }
            remove(&file)?;
            self.write(&file, format!("{}\n", self.head))?;
            self.head.clone()
        };
        rewritten.sort();
        Ok(Restored { rewritten, head })
    }

    /// Whether what it was given was told otherwise by now.
    fn restore_given(&self) -> io::Result<bool> {
        let file = self.git_dir.join(GIVEN);
        let content = match fs::read(self.stand_in.join(GIVEN)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read?),
        };
        let now = if is_file(&file) { fs::read(&file).ok() } else { None };
        if now == content && fs::symlink_metadata(&file).is_ok() == content.is_some() {
            return Ok(false);
        }
        remove(&file)?;
        if let Some(content) = content {
            self.write(&file, content)?;
        }
        Ok(true)
    }

    /// Brings the worker's commits into the repository and its branch, on which HEAD is
    /// then, with an index of that. After [`Seal::restore`].
    ///
    /// Where that fails, its commits are left out, and why; its files are in the
    /// worktree.
    pub fn take_over(
        &self,
        place: &Place,
        path: &Path,
        objects: &Path,
        restored: &Restored,
    ) -> Result<Option<String>, GitError> {
        let oid = |text: &str| Oid::new(text).map_err(|e| GitError::Answer(e.to_string()));
        let (base, head) = (oid(&self.head)?, oid(&restored.head)?);
        let there = worktree::place_of(place, path)?;
        let brought = if head == base { Ok(()) } else { bring(place, objects, &base, &head) };
        let full = format!("refs/heads/{}", self.branch);
        let mut left_out = None;
        match brought {
            Ok(()) if head == base => {}
            Ok(()) => {
                let repo = Repo::open(place);
                let tip = repo.ref_tip(&full)?;
                if tip.as_ref() == Some(&base) && repo.is_ancestor(&base, &head)? {
                    refs::update(place, &full, &head, Some(&base), "cx: commits of the worker")?;
                } else if tip.as_ref() != Some(&head) {
                    // It went another way: whoever commits the rest keeps it aside.
                    there.git().args(["read-tree", head.as_str()]).run()?;
                    return Ok(None);
                }
            }
            Err(error) => {
                there.git().args(["update-ref", "--no-deref", "HEAD", base.as_str()]).run()?;
                left_out = Some(error.to_string());
            }
        }
        there.git().args(["symbolic-ref", "HEAD", &full]).run()?;
        there.git().args(["read-tree", "HEAD"]).run()?;
        Ok(left_out)
    }

    fn write(&self, file: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
        let mut new = tempfile::NamedTempFile::new_in(&self.git_dir)?;
        new.write_all(content.as_ref())?;
        new.persist(file)?;
        Ok(())
    }
}

/// Copies what `head` has and `base` has not from `objects` into the repository. git
/// computes each object's name anew and looks that none is missing.
fn bring(place: &Place, objects: &Path, base: &Oid, head: &Oid) -> Result<(), GitError> {
    // It could name other stores, or be a link to one.
    let _ = remove(&objects.join("info"));
    if !is_plain(objects).map_err(GitError::io("read", objects))? {
        return Err(GitError::Answer("the worker's store of objects".to_owned()));
    }
    let with_theirs = || -> Git { place.git().env("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects) };
    let wanted = format!("{head}\n^{base}\n");
    let pack = with_theirs().args(["pack-objects", "--revs", "--stdout", "-q"]).stdin(wanted);
    let pack = pack.run()?.stdout;
    place.git().args(["index-pack", "--stdin", "--fix-thin", "--strict"]).stdin(pack).run()?;
    Ok(())
}

/// Whether this is a file with one name, or a folder with nothing but such: no link to
/// somewhere else.
fn is_plain(path: &Path) -> io::Result<bool> {
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_dir() {
        return Ok(meta.is_file() && meta.nlink() == 1);
    }
    for entry in fs::read_dir(path)? {
        if !is_plain(&entry?.path())? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.nlink() == 1)
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
