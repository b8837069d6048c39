//! Linked worktrees: made, listed, removed.
//!
//! Git makes a worktree without a file in it; `fill` fills it, or git where that is not
//! sure to give the same. Every command that changes the list of worktrees holds one lock
//! file, since two `git worktree add` at once race on git's own files; filling needs none.
//! What a crash leaves: a half-made worktree is an entry that git calls `locked: initializing`, which
//! [`remove`] takes away; a half-removed one lies in the trash folder beside
//! it, with or without its entry, and [`remove`] can simply be called again.

mod engine;
mod fill;
mod given;
mod make;
pub mod pool;
mod scratch;
mod state;
mod submodules;

pub use engine::{Engine, Taken};
pub use given::note_given;
pub(super) use given::{GIVEN, Given};
pub use make::{Made, NewWorktree, Step, create, create_in_steps, expected};
pub use scratch::{check_out, is_scratch};
pub(super) use state::changed;
pub use state::{WorktreeState, fingerprint, state};
pub use submodules::{links_only_here, only_here};

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::command::{path as path_of, records};
use super::place::read_pointer;
use super::{Git, GitError, Oid, Place};

/// Why git keeps a worktree that is being made.
const INITIALIZING: &str = "initializing";

/// The folder beside worktrees into which removed ones are renamed.
const TRASH: &str = ".trash";

/// A worktree in git's list, the main one included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its folder.
    pub path: PathBuf,
    /// Its HEAD commit; none when unborn or bare.
    pub head: Option<Oid>,
    /// The branch that is checked out (short name).
    pub branch: Option<String>,
    /// A bare repository, not a checkout.
    pub is_bare: bool,
    /// Why it is locked, if it is; may be empty.
    pub locked: Option<String>,
    /// Why git would prune it, if it would.
    pub prunable: Option<String>,
}

/// Holds the lock on worktree commands until dropped. The file stays in place.
fn locked(lock: &Path) -> Result<File, GitError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(lock)
        .map_err(GitError::io("open", lock))?;
    file.lock().map_err(GitError::io("lock", lock))?;
    Ok(file)
}

/// Makes a linked worktree for cx itself: HEAD is detached at `commit`, and
/// without `files` nothing is checked out. `path` must not exist. Submodules
/// stay empty. `lock` is the lock file.
pub(super) fn scratch(
    place: &Place,
    path: &Path,
    commit: &Oid,
    files: bool,
    lock: &Path,
) -> Result<Place, GitError> {
    let _lock = locked(lock)?;
    let git = Git::at(place.folder()).config("checkout.workers", "0");
    let git = git.args(["worktree", "add", "--quiet", "--detach"]);
    let git = if files { git } else { git.arg("--no-checkout") };
    git.arg(path).arg(commit).run()?;
    place_of(place, path)
}

/// Takes the worktree at `path` away at once: renames its folder into a trash
/// folder beside it and removes git's entry. Returns the renamed folder, for
/// [`delete`] in the background; none when the folder was gone already.
///
/// The caller has seen to it that nothing in it is worth keeping. Its branch
/// stays. One that a person locked with `git worktree lock` is refused.
pub fn remove(place: &Place, path: &Path, lock: &Path) -> Result<Option<PathBuf>, GitError> {
    let _lock = locked(lock)?;
    remove_unlocked(place, path)
}

fn remove_unlocked(place: &Place, path: &Path) -> Result<Option<PathBuf>, GitError> {
    // Git's own files say all that its list would, without a look at every other worktree.
    let admin = admin_dir(place, path);
    if let Some(reason) = admin.as_deref().map(lock_of).transpose()?.flatten()
        && reason != INITIALIZING
        && reason != pool::LOCKED
    {
        return Err(GitError::WorktreeLocked { path: path.to_owned(), reason });
    }
    if admin.is_none() && (place.checkout.as_deref() == Some(path) || !is_ours(place, path)) {
        if fs::symlink_metadata(path).is_err() {
            return Ok(None);
        }
        return Err(GitError::NotAWorktree(path.to_owned()));
    }
    let trash = rename_away(path)?;
    if let Some(admin) = admin {
        // Twice: also one whose making was interrupted. The folder is gone
        // already, so this takes away the entry and nothing else.
        Git::at(&place.common_dir)
            .args(["worktree", "remove", "--force", "--force"])
            .arg(checkout_of(&admin))
            .run()?;
    }
    Ok(trash)
}

/// Why the worktree with this git dir is locked, if it is; may be empty.
fn lock_of(admin: &Path) -> Result<Option<String>, GitError> {
    let path = admin.join("locked");
    match fs::read(&path) {
        Ok(reason) => Ok(Some(String::from_utf8_lossy(reason.trim_ascii()).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(GitError::io("read", &path)(error)),
    }
}

/// Whether the `.git` file in `path` points into this repository.
fn is_ours(place: &Place, path: &Path) -> bool {
    read_pointer(&path.join(".git"), path)
        .is_ok_and(|git_dir| git_dir.starts_with(place.common_dir.join("worktrees")))
}

/// Git's own folder for the linked worktree at `path`, found from git's side:
/// it does not matter what a worker made of the `.git` file in the worktree.
pub fn admin_dir(place: &Place, path: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(place.common_dir.join("worktrees")).ok()?;
    let mut folders = entries.filter_map(Result::ok).map(|entry| entry.path());
    let first = folders.find(|admin| same_path(&checkout_of(admin), path))?;
    // A worker that may write in its own may have named this worktree there.
    let Some(second) = folders.find(|admin| same_path(&checkout_of(admin), path)) else {
        return Some(first);
    };
    let named = read_pointer(&path.join(".git"), path).ok()?;
    [first, second].into_iter().chain(folders).find(|admin| same_path(admin, &named))
}

/// The worktree at `path` as a [`Place`], found from git's side where it is a linked one.
pub(in crate::git) fn place_of(place: &Place, path: &Path) -> Result<Place, GitError> {
    if let Some(git_dir) = admin_dir(place, path) {
        let checkout = Some(fs::canonicalize(path).map_err(GitError::io("read", path))?);
        let (common_dir, prefix) = (place.common_dir.clone(), PathBuf::new());
        return Ok(Place { common_dir, git_dir, checkout, prefix, is_bare: false });
    }
    let found = Place::discover(path)?.filter(|found| {
        let whole = found.checkout.as_deref().is_some_and(|root| same_path(root, path));
        whole && found.common_dir == place.common_dir
    });
    found.ok_or_else(|| GitError::NotAWorktree(path.to_owned()))
}

/// The checkout that belongs to a git dir, by git's own note of it.
pub(super) fn checkout_of(git_dir: &Path) -> PathBuf {
    let pointed = match fs::read(git_dir.join("gitdir")) {
        Ok(bytes) => git_dir.join(path_of(bytes.trim_ascii_end())),
        Err(_) => git_dir.to_owned(),
    };
    pointed.parent().map(Path::to_owned).unwrap_or_default()
}

/// Whether two paths name one folder, by name or once links are followed.
fn same_path(a: &Path, b: &Path) -> bool {
    let canonical = |path: &Path| {
        // A folder that is gone still has a parent to go by.
        fs::canonicalize(path)
            .ok()
            .or_else(|| Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?)))
    };
    a == b || canonical(a).is_some_and(|a| canonical(b) == Some(a))
}

fn rename_away(path: &Path) -> Result<Option<PathBuf>, GitError> {
    let (Some(parent), Some(_)) = (path.parent(), path.file_name()) else {
        return Err(GitError::NotAWorktree(path.to_owned()));
    };
    if fs::symlink_metadata(path).is_err() {
        return Ok(None);
    }
    // Trees of the pool lie one deeper.
    let folder = parent.parent().filter(|_| parent.file_name() == Some(pool::POOL.as_ref()));
    move_to_trash(path, folder.unwrap_or(parent)).map(Some)
}

/// Renames `path` into the trash folder in `folder`, on the same file system.
fn move_to_trash(path: &Path, folder: &Path) -> Result<PathBuf, GitError> {
    let trash = folder.join(TRASH);
    fs::create_dir_all(&trash).map_err(GitError::io("make", &trash))?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut target = path.file_name().unwrap_or_default().to_owned();
    target.push(format!(".{}.{}", now.as_nanos(), std::process::id()));
    let target = trash.join(target);
    fs::rename(path, &target).map_err(GitError::io("rename", path))?;
    Ok(target)
}

/// What lies in the trash folders beside the worktree at `path`: removed, not yet deleted.
pub fn trash_beside(path: &Path) -> Vec<PathBuf> {
    let trash = path.parent().map(|parent| parent.join(TRASH));
    let entries = trash.and_then(|trash| fs::read_dir(trash).ok());
    entries.into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).collect()
}

/// Deletes a folder that [`remove`] renamed away, also where it holds folders
/// without write permission (module caches), and the trash folder once empty.
pub fn delete(trash: &Path) -> Result<(), GitError> {
    if let Err(first) = fs::remove_dir_all(trash) {
        if first.kind() == ErrorKind::NotFound {
            return Ok(());
        }
        make_writable(trash);
        fs::remove_dir_all(trash).map_err(GitError::io("delete", trash))?;
    }
    if let Some(parent) = trash.parent()
        && parent.file_name() == Some(TRASH.as_ref())
    {
        // Fails while another is in it, which is right.
        let _ = fs::remove_dir(parent);
    }
    Ok(())
}

/// The same for what holds no more than `few` files and folders; otherwise nothing is
/// deleted, and the answer is `false`.
pub fn delete_if_small(trash: &Path, few: usize) -> Result<bool, GitError> {
    let (mut count, mut pending) = (0, vec![trash.to_owned()]);
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            count += 1;
            if count > few {
                return Ok(false);
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                pending.push(entry.path());
            }
        }
    }
    delete(trash).map(|()| true)
}

/// Removes the folder that worktrees lie in, if it is empty, while nobody makes one.
pub fn remove_empty(folder: &Path, lock: &Path) -> Result<(), GitError> {
    let _lock = locked(lock)?;
    match fs::remove_dir(folder) {
        Ok(()) => Ok(()),
        Err(e) if matches!(e.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => Ok(()),
        Err(e) => Err(GitError::io("remove", folder)(e)),
    }
}

/// Gives the owner all rights on every folder below `folder`, as far as it goes.
fn make_writable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        if let Ok(meta) = fs::symlink_metadata(&folder) {
            let mode = meta.permissions().mode() | 0o700;
            let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(mode));
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        pending.extend(folders.map(|entry| entry.path()));
    }
}

/// How many files the index of `place` has, as it says in its first bytes.
pub fn tracked_files(place: &Place) -> Option<u64> {
    entries(&place.git_dir.join("index"))
}

fn entries(index: &Path) -> Option<u64> {
    let mut head = [0; 12];
    io::Read::read_exact(&mut File::open(index).ok()?, &mut head).ok()?;
    let [b'D', b'I', b'R', b'C', _, _, _, _, count @ ..] = head else { return None };
    Some(u64::from(u32::from_be_bytes(count)))
}

/// What the files in the index of `place` take on disk at least, in blocks of 4 KiB. It reads
/// all of the index.
pub fn tracked_bytes(place: &Place) -> Option<u64> {
    let index = git2::Index::open(&place.git_dir.join("index")).ok()?;
    let blocks = index.iter().map(|entry| u64::from(entry.file_size).div_ceil(4096));
    Some(blocks.sum::<u64>() * 4096)
}

/// The worktrees that git knows, the main one first.
pub fn list(place: &Place) -> Result<Vec<Listed>, GitError> {
    let output = Git::at(place.folder()).args(["worktree", "list", "--porcelain", "-z"]).read()?;
    let mut all = Vec::new();
    let mut current: Option<Listed> = None;
    for line in output.stdout.split(|b| *b == 0) {
        let (key, value) = match line.iter().position(|b| *b == b' ') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let text = || String::from_utf8_lossy(value).into_owned();
        if key == b"worktree" {
            all.extend(current.replace(Listed { path: path_of(value), ..Listed::default() }));
        } else if let Some(listed) = &mut current {
            match key {
                b"HEAD" => listed.head = Oid::new(&text()).ok().filter(|oid| !oid.is_null()),
                b"branch" => {
                    let name = text();
                    let short = name.strip_prefix("refs/heads/").unwrap_or(&name);
                    listed.branch = Some(short.to_owned());
                }
                b"bare" => listed.is_bare = true,
                b"locked" => listed.locked = Some(text()),
                b"prunable" => listed.prunable = Some(text()),
                _ => {}
            }
        }
    }
    all.extend(current);
    Ok(all)
}

/// Who has a branch checked out.
pub(super) enum Holder {
    /// The checkout there.
    Checkout(PathBuf),
    /// No checkout.
    Nobody,
    /// Git's files say what only git understands.
    Unclear,
}

/// Who has branch `name` checked out, read from git's own files as [`list`] tells
/// it. The repository's main folder must not be a bare one.
pub(super) fn holder(place: &Place, name: &str) -> Holder {
    let full = format!("refs/heads/{name}");
    if place.common_dir.file_name() != Some(".git".as_ref()) {
        return Holder::Unclear;
    }
    let mut linked: Vec<PathBuf> = match fs::read_dir(place.common_dir.join("worktrees")) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(_) => return Holder::Unclear,
    };
    // One that is being made, or taken away, at this moment is no entry of git's either.
    linked.retain(|git_dir| git_dir.join("gitdir").is_file());
    linked.sort_unstable();
    for git_dir in std::iter::once(&place.common_dir).chain(&linked) {
        let head = fs::read(git_dir.join("HEAD")).unwrap_or_default();
        let head = head.trim_ascii_end();
        match head.strip_prefix(b"ref: ") {
            Some(branch) if branch.trim_ascii_start() != full.as_bytes() => {}
            Some(_) if *git_dir == place.common_dir => {
                return place
                    .common_dir
                    .parent()
                    .map_or(Holder::Unclear, |root| Holder::Checkout(root.to_owned()));
            }
            Some(_) => return Holder::Checkout(checkout_of(git_dir)),
            None if std::str::from_utf8(head).is_ok_and(|head| Oid::new(head).is_ok()) => {}
            None => return Holder::Unclear,
        }
    }
    Holder::Nobody
}

/// The paths of `.gitmodules` in `folder`: name and path of each submodule.
fn modules(folder: &Path) -> Result<Vec<(String, PathBuf)>, GitError> {
    if !folder.join(".gitmodules").is_file() {
        return Ok(Vec::new());
    }
    let output = Git::at(folder)
        .args(["config", "-z", "-f", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$"])
        .output()?;
    let modules = records(&output.stdout).filter_map(|record| {
        let at = record.iter().position(|b| *b == b'\n')?;
        let key = String::from_utf8_lossy(&record[..at]).into_owned();
        let name = key.strip_prefix("submodule.")?.strip_suffix(".path")?.to_owned();
        Some((name, path_of(&record[at + 1..])))
    });
    Ok(modules.collect())
}

#[cfg(test)]
mod tests;
