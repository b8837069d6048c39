//! Files that git does not track and a worker needs all the same (`.env`,
//! caches), copied into its new worktree.
//!
//! `.worktreeinclude` at the checkout's root says which, in the syntax of
//! `.gitignore`. Git itself reads it, so every subtlety of the syntax is git's.
//! Only untracked files are copied, never a repository inside the checkout,
//! never over a file that is there, and never through a symlink to elsewhere. A
//! copy shares its blocks with the original where the file system can; it is
//! never a hard link, which would let a worker write into the checkout.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::command::{path as path_of, records};
use super::{Git, GitError};

/// The file that says what to copy.
pub const FILE: &str = ".worktreeinclude";

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files and symlinks.
    pub files: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// Matching things that were left out: repositories, sockets, files that
    /// could not be read, paths that are taken in the worktree.
    pub skipped: Vec<PathBuf>,
}

/// Copies what `.worktreeinclude` in `checkout` and `more` patterns name into
/// `worktree`. Modes and times stay, symlinks stay symlinks. Where neither is
/// there, nothing is copied.
///
/// Fails when the worktree cannot be written; what cannot be read is skipped.
pub fn copy(checkout: &Path, worktree: &Path, more: &[String]) -> Result<Copied, GitError> {
    let mut copied = Copied::default();
    let patterns = checkout.join(FILE);
    if !patterns.is_file() && more.is_empty() {
        return Ok(copied);
    }
    let mut git = Git::at(checkout)
        .args(["ls-files", "-z", "--others", "--ignored", "--full-name"])
        .args(more.iter().map(|pattern| format!("--exclude={pattern}")));
    if patterns.is_file() {
        let mut exclude = std::ffi::OsString::from("--exclude-from=");
        exclude.push(&patterns);
        git = git.arg(exclude);
    }
    let listed = git.read()?;
    for path in records(&listed.stdout) {
        if let Some(folder) = path.strip_suffix(b"/") {
            copied.skipped.push(PathBuf::from(OsStr::from_bytes(folder)));
            continue;
        }
        let path = path_of(path);
        match copy_one(checkout, worktree, &path)? {
            Some(bytes) => {
                copied.files += 1;
                copied.bytes += bytes;
            }
            None => copied.skipped.push(path),
        }
    }
    Ok(copied)
}

/// Copies one file; none when it is left out.
fn copy_one(checkout: &Path, worktree: &Path, path: &Path) -> Result<Option<u64>, GitError> {
    let (from, to) = (checkout.join(path), worktree.join(path));
    let Ok(meta) = fs::symlink_metadata(&from) else { return Ok(None) };
    if fs::symlink_metadata(&to).is_ok() || !make_folders(worktree, path)? {
        return Ok(None);
    }
    if meta.is_symlink() {
        let Ok(target) = fs::read_link(&from) else { return Ok(None) };
        symlink(target, &to).map_err(GitError::io("make", &to))?;
        return Ok(Some(0));
    }
    if !meta.is_file() || File::open(&from).is_err() {
        return Ok(None);
    }
    if let Err(error) = reflink_copy::reflink_or_copy(&from, &to) {
        // The original may just have been removed; a full disk is an error.
        return match error.kind() {
            io::ErrorKind::NotFound => Ok(None),
            _ => Err(GitError::io("write", &to)(error)),
        };
    }
    // Build tools compare times; a copy that looks new would be built again.
    if let Ok(modified) = meta.modified() {
        let _ = File::options()
            .read(true)
            .open(&to)
            .and_then(|file| file.set_times(FileTimes::new().set_modified(modified)));
    }
    fs::set_permissions(&to, meta.permissions()).map_err(GitError::io("write", &to))?;
    Ok(Some(meta.len()))
}

/// Makes the folders above `path`; false where something else is in their place.
fn make_folders(worktree: &Path, path: &Path) -> Result<bool, GitError> {
    let mut folder = worktree.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        match fs::symlink_metadata(&folder) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Ok(false),
            Err(_) => fs::create_dir(&folder).map_err(GitError::io("make", &folder))?,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::{Fixture, git, write};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::time::{Duration, SystemTime};

    #[test]
    fn untracked_files_that_match_are_copied_as_they_are() {
        let fixture = Fixture::new();
        let root = fixture.root();
        fixture.write(".gitignore", ".env*\ncache/\nlink\n");
        fixture.write(FILE, "# needed\n.env*\n!.env.prod\n/cache/*.o\nlink\nREADME\nloose\n");
        fixture.commit("ignore");
        for (path, text) in [(".env", "K=1\n"), (".env.prod", "K=2\n"), ("sub/.env", "K=3\n")] {
            fixture.write(path, text);
        }
        fixture.write("cache/a.o", "object");
        fixture.write("cache/a.log", "log");
        fixture.write("loose", "untracked, not ignored");
        symlink("/etc/hostname", root.join("link")).unwrap();
        fs::set_permissions(root.join(".env"), fs::Permissions::from_mode(0o640)).unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let object = File::options().write(true).open(root.join("cache/a.o")).unwrap();
        object.set_times(FileTimes::new().set_modified(old)).unwrap();
        fixture.write("README", "changed in the checkout\n");

        let tree = fixture.worktree("a");
        let copied = copy(&root, &tree, &[]).unwrap();
        assert_eq!((copied.files, copied.skipped), (5, vec![]));
        assert_eq!(fs::read_to_string(tree.join("sub/.env")).unwrap(), "K=3\n");
        assert!(!tree.join(".env.prod").exists() && !tree.join("cache/a.log").exists());
        assert!(tree.join("loose").exists());
        assert_eq!(fs::read_to_string(tree.join("README")).unwrap(), "hello\n");
        assert_eq!(fs::read_link(tree.join("link")).unwrap(), Path::new("/etc/hostname"));
        let meta = fs::metadata(tree.join(".env")).unwrap();
        assert_eq!(meta.mode() & 0o777, 0o640);
        assert_ne!(meta.ino(), fs::metadata(root.join(".env")).unwrap().ino());
        assert_eq!(fs::metadata(tree.join("cache/a.o")).unwrap().modified().unwrap(), old);
    }

    #[test]
    fn nothing_leaves_the_worktree_and_nothing_is_overwritten() {
        let fixture = Fixture::new();
        let root = fixture.root();
        assert_eq!(copy(&root, &root, &[]).unwrap(), Copied::default(), "no file, no copies");
        fixture.write(FILE, "*\n");
        symlink(fixture.temp.path(), root.join("out")).unwrap();
        fixture.write("taken", "tracked at the base\n");
        fixture.commit("a symlink to elsewhere");
        let tree = fixture.worktree("a");
        fixture.git(&["rm", "-q", "--cached", "out", "taken"]);
        fs::remove_file(root.join("out")).unwrap();
        fixture.write("out/escape", "x");
        fixture.write("taken", "other\n");
        fs::create_dir(root.join("nested")).unwrap();
        git(&root.join("nested"), &["init", "-q"]);
        write(&root, "nested/file", "x");
        let copied = copy(&root, &tree, &[]).unwrap();
        let expected = ["nested", "out/escape", "taken"].map(PathBuf::from);
        assert_eq!((copied.files, &copied.skipped[..]), (0, &expected[..]));
        assert!(!fixture.temp.path().join("escape").exists());
        assert_eq!(fs::read_to_string(tree.join("taken")).unwrap(), "tracked at the base\n");
    }
}
