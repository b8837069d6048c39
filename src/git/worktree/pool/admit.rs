//! Looking at a tree that was given back: only what is shown to be clean stays.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::caches::{self, Names};
use super::{
    LOCKED, NOTE, Note, Rules, Step, admin_of, claim, fingerprint, place_at, stranger, unusual,
    write,
};
use crate::git::command::{path as path_of, records};
use crate::git::settings::Settings;
use crate::git::worktree::{make_writable, remove};
use crate::git::{GitError, Place, Repo};

/// What became of a tree that was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It is in the pool.
    Kept,
    /// It may not be used again, and was removed; the clause says why. Where it lies now, to be
    /// deleted.
    Removed(String, Option<PathBuf>),
}

/// Cleans the tree at `path`, which lies in the folder of the pool, and has it in the
/// pool. What cannot be shown to be clean is removed. To be called by one process at
/// a time, in the background: it looks at every file. `lock` is the lock file.
pub fn admit(
    place: &Place,
    path: &Path,
    rules: &Rules,
    lock: &Path,
    step: &dyn Fn(Step),
) -> Result<Admitted, GitError> {
    let why = match try_admit(place, path, rules, step) {
        Ok(Ok(())) => return Ok(Admitted::Kept),
        Ok(Err(why)) => why,
        Err(error) => error.to_string(),
    };
    Ok(Admitted::Removed(why, drop_waiting(place, path, lock)?))
}

/// Removes a tree that lies in the folder of the pool and is not in the pool. Where it lies now,
/// to be deleted.
pub fn drop_waiting(place: &Place, path: &Path, lock: &Path) -> Result<Option<PathBuf>, GitError> {
    match remove(place, path, lock) {
        // A tree whose folder of git's is gone, or something else.
        Err(GitError::NotAWorktree(_)) => super::super::rename_away(path),
        removed => removed,
    }
}

fn try_admit(
    place: &Place,
    path: &Path,
    rules: &Rules,
    step: &dyn Fn(Step),
) -> Result<Result<(), String>, GitError> {
    let Some(admin) = admin_of(place, path) else {
        return Ok(Err("git does not know it".to_owned()));
    };
    if let Some(name) = stranger(&admin)? {
        return Ok(Err(format!("'{name}' lies in git's folder of it")));
    }
    write(&admin.join("locked"), LOCKED.as_bytes())?;
    let there = place_at(place, &admin, path);
    let repo = Repo::open(&there);
    if let Some(why) = unusual(&repo)? {
        return Ok(Err(why.to_owned()));
    }
    let Some(mut commit) = repo.head()?.oid().cloned() else {
        return Ok(Err("it is at no commit".to_owned()));
    };
    let tracked = match tracked(&there)? {
        Ok(tracked) => tracked,
        Err(why) => return Ok(Err(why)),
    };
    if let Some(driver) = filtered(&there, repo.settings()?, tracked.files.keys())? {
        return Ok(Err(format!("files pass through the filter {driver}")));
    }
    let (caches, mut bytes) = match sweep(&there, path, &tracked, rules) {
        Ok(Ok(left)) => left,
        Ok(Err(why)) => return Ok(Err(why)),
        Err(error) => return Ok(Err(format!("it cannot be cleaned: {error}"))),
    };
    if let Some(differs) = first_difference(&there, &caches)? {
        return Ok(Err(format!("{differs} is not as it was committed")));
    }
    // Most writers start from where the checkout is: the tree waits there.
    let head = Repo::open(place).head().ok().and_then(|head| head.oid().cloned());
    if let Some(head) = head.filter(|head| *head != commit)
        && claim::may_switch(&repo, &commit, &head)?.is_ok()
        && claim::caches_fit(&there, &head, &caches)?
    {
        claim::switch(&there, &commit, &head)?;
        write(&admin.join("HEAD"), format!("{head}\n").as_bytes())?;
        if first_difference(&there, &caches)?.is_some() {
            return Ok(Err("its caches are not ignored any more".to_owned()));
        }
        commit = head;
    }
    step(Step::Cleaned);
    bytes += fs::metadata(admin.join("index")).map_or(0, |meta| meta.blocks() * 512);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let note = Note {
        commit: commit.to_string(),
        since: now.as_secs(),
        bytes,
        caches: caches.iter().filter_map(|path| path.to_str().map(str::to_owned)).collect(),
        settings: fingerprint(&repo)?,
    };
    let note = serde_json::to_vec(&note).map_err(|error| GitError::Answer(error.to_string()))?;
    write(&admin.join(NOTE), &note)?;
    Ok(Ok(()))
}

/// What the index has.
struct Tracked {
    /// Whether each is a plain file (and no link).
    files: HashMap<PathBuf, bool>,
    folders: HashSet<PathBuf>,
}

/// The index as git reads it, where nothing in it is out of the ordinary.
fn tracked(there: &Place) -> Result<Result<Tracked, String>, GitError> {
    let listed = there.git().args(["ls-files", "-v", "-s", "-z"]).read()?;
    let mut all = Tracked { files: HashMap::new(), folders: HashSet::new() };
    for record in records(&listed.stdout) {
        // H 100644 OID 0 TAB PATH
        let Some(tab) = record.iter().position(|byte| *byte == b'\t') else {
            return Err(GitError::Answer("git ls-files".to_owned()));
        };
        let path = path_of(&record[tab + 1..]);
        let head = String::from_utf8_lossy(&record[..tab]);
        let words: Vec<&str> = head.split(' ').collect();
        match words[..] {
            ["H", "160000", ..] => return Ok(Err("it has submodules".to_owned())),
            // Other letters: git was told to take it as unchanged, or as absent.
            ["H", mode, _, "0"] => {
                all.folders.extend(path.ancestors().skip(1).map(Path::to_owned));
                all.files.insert(path, mode != "120000");
            }
            _ => return Ok(Err(format!("the index marks {}", path.display()))),
        }
    }
    if all.files.contains_key(Path::new(".gitmodules")) {
        return Ok(Err("it has submodules".to_owned()));
    }
    Ok(Ok(all))
}

/// The driver of a filter that one of these files passes through, if there is one.
fn filtered<'a>(
    there: &Place,
    settings: &Settings,
    paths: impl Iterator<Item = &'a PathBuf>,
) -> Result<Option<String>, GitError> {
    let drivers: HashSet<&str> = settings
        .all()
        .filter_map(|(key, _)| {
            let key = key.strip_prefix("filter.")?;
            key.strip_suffix(".smudge").or_else(|| key.strip_suffix(".process"))
        })
        .collect();
    if drivers.is_empty() {
        return Ok(None);
    }
    let mut asked = Vec::new();
    for path in paths {
        asked.extend_from_slice(path.as_os_str().as_bytes());
        asked.push(0);
    }
    let said = there.git().args(["check-attr", "-z", "--stdin", "filter"]).stdin(asked).read()?;
    let fields: Vec<&[u8]> = records(&said.stdout).collect();
    let found = fields.chunks(3).filter_map(|field| std::str::from_utf8(field.get(2)?).ok());
    Ok(found.into_iter().find(|driver| drivers.contains(driver)).map(str::to_owned))
}

/// Removes what git does not track, but for caches; gives modes back that git does not
/// record. The caches, and what all of it takes on disk; or why it may not be used again.
fn sweep(
    there: &Place,
    tree: &Path,
    tracked: &Tracked,
    rules: &Rules,
) -> io::Result<Result<(Vec<PathBuf>, u64), String>> {
    let pool = fs::metadata(tree.parent().unwrap_or(tree))?;
    let (owner, mode) = (pool.uid(), pool.mode() & 0o777);
    let (mut strangers, mut bytes) = (Vec::new(), 0);
    let mut pending = vec![PathBuf::new()];
    while let Some(folder) = pending.pop() {
        set_mode(&tree.join(&folder), mode)?;
        for entry in fs::read_dir(tree.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let meta = entry.metadata()?;
            if path == Path::new(".git") {
                continue;
            }
            let is_tracked = match tracked.files.get(&path) {
                Some(is_plain) => meta.is_file() || (meta.is_symlink() && !is_plain),
                None => meta.is_dir() && tracked.folders.contains(&path),
            };
            if !is_tracked {
                strangers.push(path);
                continue;
            }
            if meta.uid() != owner {
                return Ok(Err(format!("{} belongs to somebody else", path.display())));
            }
            bytes += meta.blocks() * 512;
            if meta.is_dir() {
                pending.push(path);
            } else if meta.nlink() > 1 {
                // Whoever has the other name could write to it.
                return Ok(Err(format!("{} has another name somewhere", path.display())));
            } else if meta.is_file() {
                let wanted = if meta.mode() & 0o100 == 0 { mode & 0o666 } else { mode };
                if meta.mode() & 0o7777 != wanted {
                    fs::set_permissions(entry.path(), fs::Permissions::from_mode(wanted))?;
                }
            }
        }
    }
    let names = Names::of(rules);
    let is_folder =
        |path: &PathBuf| fs::symlink_metadata(tree.join(path)).is_ok_and(|meta| meta.is_dir());
    let candidates: Vec<PathBuf> = strangers
        .iter()
        .filter(|path| path.to_str().is_some() && names.has(tree, path) && is_folder(path))
        .cloned()
        .collect();
    let mut kept = Vec::new();
    for path in ignored(there, candidates).map_err(io::Error::other)? {
        if let Some(size) = caches::size(tree, &path, owner)? {
            bytes += size;
            kept.push(path);
        }
    }
    for path in strangers.iter().filter(|path| !kept.contains(path)) {
        let path = tree.join(path);
        if fs::symlink_metadata(&path)?.is_dir() {
            fs::remove_dir_all(&path).or_else(|_| {
                make_writable(&path);
                fs::remove_dir_all(&path)
            })?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    kept.sort_unstable();
    Ok(Ok((kept, bytes)))
}

fn set_mode(folder: &Path, mode: u32) -> io::Result<()> {
    if fs::symlink_metadata(folder)?.mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(mode))
}

/// Those of `paths`, relative to the tree, that git ignores as a whole.
pub(super) fn ignored(there: &Place, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, GitError> {
    if paths.is_empty() {
        return Ok(paths);
    }
    let mut asked = Vec::new();
    for path in &paths {
        asked.extend_from_slice(path.as_os_str().as_bytes());
        asked.push(0);
    }
    let git = there.git().args(["check-ignore", "--no-index", "-z", "--stdin"]).stdin(asked);
    let said = git.output()?;
    match said.code() {
        0 | 1 => Ok(records(&said.stdout).map(path_of).collect()),
        _ => Err(said.error()),
    }
}

/// The first path that is neither as it was committed nor one of the caches. The index
/// knows then of all others that they are unchanged.
fn first_difference(there: &Place, caches: &[PathBuf]) -> Result<Option<String>, GitError> {
    let said = there
        .git()
        .config("core.trustctime", "true")
        .config("core.checkStat", "default")
        .args(["status", "--porcelain=v2", "-z", "--untracked-files=all"])
        .args(["--ignored=matching", "--ignore-submodules=none", "--no-renames"])
        .run()?;
    let found = records(&said.stdout).find(|record| match record.strip_prefix(b"! ") {
        Some(path) => {
            let path = path_of(path.strip_suffix(b"/").unwrap_or(path));
            !caches.contains(&path)
        }
        None => true,
    });
    Ok(found.map(|record| String::from_utf8_lossy(record).into_owned()))
}
