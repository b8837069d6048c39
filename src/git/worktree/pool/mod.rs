//! The pool: clean worktrees that wait for the next writer.
//!
//! # Theory of operation
//! 1. [`give`]: the tree of a job that is done with is renamed into the folder `.pool`
//!    beside the worktrees, and its HEAD detached. That is all that anybody waits for.
//! 2. [`admit`], in the background: everything goes that the tree's commit does not have,
//!    but for caches that are to stay (`caches`); then git is asked whether the tree is what
//!    its index says. What is not shown to be clean is removed. Last, a note is
//!    written into git's own folder of the worktree (`NOTE`): only with it the tree is
//!    in the pool.
//! 3. [`recycle`]: a writer's supervisor takes the note away, under the lock of worktree
//!    commands, renames the tree to where the writer works, and brings it to its base.
//!    The same commit costs the renaming and a branch.
//!
//! # Invariants
//! - Nothing of one job's untracked files is in a tree of the pool, but its caches: folders
//!   that git ignores as a whole, and in which nothing leads out of the tree.
//! - A tree whose files could be others in a fresh checkout is not handed out: filters,
//!   submodules, sparse patterns, and attributes or settings that have changed meanwhile.
//! - git knows every tree in the pool, as a locked worktree with a detached HEAD, so
//!   `git worktree prune` leaves it alone and `git gc` keeps its commit.
//!
//! # What a crash leaves
//! Before the note is written: a tree in `.pool` without one, which the next [`admit`] looks
//! at again. After it is taken away: the same, or a half-made worktree that git calls
//! `locked: initializing`, which [`super::remove`] takes away.

mod admit;
mod caches;
mod claim;
mod give;

pub use admit::{Admitted, admit, drop_waiting};
pub use claim::recycle;
pub use give::{give, is_worth_keeping};

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{checkout_of, locked, same_path};
use crate::git::place::read_pointer;
use crate::git::{GitError, Oid, Place, Repo};

/// The folder of the pool, beside the worktrees.
pub(super) const POOL: &str = ".pool";

/// In git's own folder of a worktree: the tree is clean, and waits.
const NOTE: &str = "cx-pool";

/// Why git is told to leave a tree of the pool alone.
pub(super) const LOCKED: &str = "kept by cx to be used again; `cx clean --pool` removes it";

/// What git's own folder of a worktree may hold for the tree to be used again, besides
/// what a worker leaves there in the course of ordinary work, which goes.
const ADMIN: [&str; 5] = ["HEAD", "commondir", "gitdir", "index", "locked"];
const ADMIN_GOES: [&str; 8] = [
    "COMMIT_EDITMSG",
    "FETCH_HEAD",
    "ORIG_HEAD",
    "AUTO_MERGE",
    "logs",
    "refs",
    super::given::GIVEN,
    NOTE,
];

/// What is kept in the pool, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// How many trees; with 0 there is no pool.
    pub max: usize,
    /// For how long.
    pub age: Duration,
    /// Bytes on disk, all trees together.
    pub bytes: u64,
    /// A tree with fewer tracked files, and without a cache, is as quickly made anew.
    pub min_files: u64,
    /// Names of caches: of a folder anywhere, or a path from the root where there is a `/`.
    /// Without it, by what kind of project it lies in.
    pub keep: Option<Vec<String>>,
}

impl Rules {
    /// Nothing is kept.
    pub fn nothing() -> Self {
        Self { max: 0, age: Duration::ZERO, bytes: 0, min_files: 0, keep: None }
    }
}

/// What is known of a tree in the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// The commit that its files are.
    commit: String,
    /// Since when it is there: seconds since 1970.
    since: u64,
    /// What it takes on disk.
    bytes: u64,
    /// Its caches, relative to it.
    caches: Vec<String>,
    /// See [`fingerprint`].
    settings: String,
}

/// A tree in the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooled {
    /// Where it lies.
    pub path: PathBuf,
    /// git's own folder of it.
    admin: PathBuf,
    note: Note,
}

impl Pooled {
    /// What it takes on disk, as it was when it came.
    pub fn bytes(&self) -> u64 {
        self.note.bytes
    }

    /// For how long it has been there.
    pub fn age(&self) -> Duration {
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(self.note.since);
        since.elapsed().unwrap_or_default()
    }

    /// Its caches, relative to it.
    pub fn caches(&self) -> &[String] {
        &self.note.caches
    }

    fn commit(&self) -> Option<Oid> {
        Oid::new(&self.note.commit).ok()
    }
}

/// A moment at which a crash would leave something, for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The tree is in the pool's folder, and git does not know it there yet.
    Renamed,
    /// It is there, without a note.
    Given,
    /// It is clean, and has no note yet.
    Cleaned,
    /// A writer's supervisor has taken the note.
    Claimed,
    /// The tree is where the writer works.
    Moved,
    /// Its files are those of the base.
    Switched,
}

impl Step {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Step::Renamed => "pool-renamed",
            Step::Given => "pool-given",
            Step::Cleaned => "pool-cleaned",
            Step::Claimed => "pool-claimed",
            Step::Moved => "pool-moved",
            Step::Switched => "pool-switched",
        }
    }
}

/// What lies in the pool's folder beside worktrees in `folder`: the trees that may be
/// handed out, the newest first, and those of which that is not known.
pub fn look(place: &Place, folder: &Path) -> (Vec<Pooled>, Vec<PathBuf>) {
    let entries = fs::read_dir(folder.join(POOL)).into_iter().flatten().flatten();
    let (mut pooled, mut unknown) = (Vec::new(), Vec::new());
    for path in entries.map(|entry| entry.path()) {
        let noted = admin_of(place, &path).and_then(|admin| {
            let note = serde_json::from_slice(&fs::read(admin.join(NOTE)).ok()?).ok()?;
            Some(Pooled { path: path.clone(), admin, note })
        });
        match noted {
            Some(tree) => pooled.push(tree),
            None => unknown.push(path),
        }
    }
    pooled.sort_by(|a, b| (b.note.since, &b.path).cmp(&(a.note.since, &a.path)));
    unknown.sort_unstable();
    (pooled, unknown)
}

/// The trees in the pool's folder that are to be looked at. Nobody is about to take
/// them, as that happens under the same lock.
pub fn waiting(place: &Place, folder: &Path, lock: &Path) -> Result<Vec<PathBuf>, GitError> {
    if !folder.join(POOL).is_dir() {
        return Ok(Vec::new());
    }
    let _lock = locked(lock)?;
    Ok(look(place, folder).1)
}

/// Those of `pooled`, the newest first, that the rules have no room for.
pub fn beyond<'a>(pooled: &'a [Pooled], rules: &Rules) -> Vec<&'a Pooled> {
    let (mut count, mut bytes) = (0, 0_u64);
    let has_no_room = |tree: &&Pooled| {
        let fits = count < rules.max
            && tree.age() <= rules.age
            && bytes.saturating_add(tree.bytes()) <= rules.bytes;
        if fits {
            count += 1;
            bytes += tree.bytes();
        }
        !fits
    };
    pooled.iter().filter(has_no_room).collect()
}

/// Removes a tree from the pool, unless somebody has taken it meanwhile. Where it lies
/// now, to be deleted.
pub fn drop_tree(place: &Place, tree: &Pooled, lock: &Path) -> Result<Option<PathBuf>, GitError> {
    let _lock = locked(lock)?;
    if !tree.admin.join(NOTE).exists() || admin_of(place, &tree.path).is_none() {
        return Ok(None);
    }
    super::remove_unlocked(place, &tree.path)
}

/// Removes the folder of the pool, and that of the trash, where nothing is in them.
pub fn tidy_folder(folder: &Path) {
    for name in [POOL, super::TRASH] {
        // Fails while something is in it, which is right.
        let _ = fs::remove_dir(folder.join(name));
    }
}

/// git's own folder of the worktree at `tree`, where both name each other.
fn admin_of(place: &Place, tree: &Path) -> Option<PathBuf> {
    let pointer = tree.join(".git");
    if !fs::symlink_metadata(&pointer).ok()?.is_file() {
        return None;
    }
    let admin = fs::canonicalize(read_pointer(&pointer, tree).ok()?).ok()?;
    let is_ours = admin.parent() == Some(&place.common_dir.join("worktrees"))
        && same_path(&checkout_of(&admin), tree);
    is_ours.then_some(admin)
}

/// What in git's own folder of a worktree is neither always there nor ever left by
/// ordinary work.
fn stranger(admin: &Path) -> Result<Option<String>, GitError> {
    let wrong = GitError::io("read", admin);
    let entries = fs::read_dir(admin).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let names = entries.map_err(wrong)?.into_iter().map(|entry| entry.file_name());
    let mut names = names.filter_map(|name| match name.to_str() {
        Some(name) if ADMIN.contains(&name) || ADMIN_GOES.contains(&name) => None,
        _ => Some(name.to_string_lossy().into_owned()),
    });
    Ok(names.next())
}

/// Says to git where the tree of a worktree lies.
fn point_at(admin: &Path, tree: &Path) -> Result<(), GitError> {
    let mut line = tree.join(".git").into_os_string().as_bytes().to_vec();
    line.push(b'\n');
    write(&admin.join("gitdir"), &line)
}

/// Writes a file of git's own folder whole, or not at all.
fn write(file: &Path, content: &[u8]) -> Result<(), GitError> {
    let wrong = |error| GitError::io("write", file)(error);
    let folder = file.parent().unwrap_or(file);
    // As git makes them; a temporary file would be the owner's alone.
    let mode = fs::Permissions::from_mode(0o644);
    let new = tempfile::Builder::new().permissions(mode).tempfile_in(folder);
    let mut new = new.map_err(wrong)?;
    new.write_all(content).map_err(wrong)?;
    new.persist(file).map_err(|error| wrong(error.error))?;
    Ok(())
}

fn remove_file(file: &Path) -> Result<(), GitError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(GitError::io("remove", file)(error))
        }
        _ => Ok(()),
    }
}

/// A worktree as a place, by git's own folder of it.
fn place_at(place: &Place, admin: &Path, tree: &Path) -> Place {
    Place {
        common_dir: place.common_dir.clone(),
        git_dir: admin.to_owned(),
        checkout: Some(tree.to_owned()),
        prefix: PathBuf::new(),
        is_bare: false,
    }
}

/// Why the repository is one whose worktrees are not used again; none where they are.
fn unusual(repo: &Repo) -> Result<Option<&'static str>, GitError> {
    if repo.lib().is_none() {
        return Ok(Some("only git itself can read this repository"));
    }
    let settings = repo.settings()?;
    let on = [
        ("core.sparsecheckout", "the checkout is sparse"),
        ("extensions.worktreeconfig", "worktrees have settings of their own"),
    ];
    let found = on.iter().find(|(key, _)| settings.is_on(key)).map(|(_, why)| *why);
    let partial = settings.has("extensions.partialclone").then_some("the clone is partial");
    Ok(found.or(partial))
}

/// What decides, besides the commits, which bytes a checkout has and which files
/// git ignores: settings, and the files that they name.
fn fingerprint(repo: &Repo) -> Result<String, GitError> {
    let core = [
        "attributesfile",
        "autocrlf",
        "checkstat",
        "eol",
        "excludesfile",
        "filemode",
        "ignorecase",
        "precomposeunicode",
        "symlinks",
        "trustctime",
    ];
    let settings = repo.settings()?;
    let mut print = Sha256::new();
    for (key, value) in settings.all() {
        let counts = key.strip_prefix("core.").is_some_and(|key| core.contains(&key))
            || ["filter.", "extensions."].iter().any(|section| key.starts_with(section));
        if counts {
            print.update(key);
            print.update([u8::from(value.is_some())]);
            print.update(value.unwrap_or_default());
            print.update([0]);
        }
    }
    let info = repo.place().common_dir.join("info");
    let home = |name: &str| {
        let config = std::env::var_os("XDG_CONFIG_HOME").filter(|home| !home.is_empty());
        let config = config
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
        config.map(|config| config.join("git").join(name))
    };
    let named = |key: &str, default: &str| {
        let named = settings.path(key).filter(|path| !path.as_os_str().is_empty());
        match named.as_ref().map(|path| (path, path.strip_prefix("~"))) {
            Some((_, Ok(rest))) => std::env::var_os("HOME").map(|home| Path::new(&home).join(rest)),
            Some((path, Err(_))) => Some(path.clone()),
            None => home(default),
        }
    };
    let files = [
        Some(PathBuf::from("/etc/gitattributes")),
        Some(info.join("attributes")),
        Some(info.join("exclude")),
        named("core.attributesfile", "attributes"),
        named("core.excludesfile", "ignore"),
    ];
    for file in files {
        let bytes = file.and_then(|file| fs::read(file).ok());
        print.update([u8::from(bytes.is_some())]);
        let bytes = bytes.unwrap_or_default();
        print.update(bytes.len().to_le_bytes());
        print.update(bytes);
    }
    Ok(format!("{:x}", print.finalize()))
}

#[cfg(test)]
mod tests;
