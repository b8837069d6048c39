//! Where a repository is, seen from a folder.
//!
//! Discovery walks up as git does, but starts no child and opens no repository,
//! so that it also finds what `git2` cannot open. The folder alone decides:
//! `GIT_DIR` and its kin are ignored on purpose. They are set inside hooks,
//! aliases and rebases, where they would send jobs to another repository, and
//! every child of cx has them removed; one rule for both keeps cx and git
//! talking about the same repository. As in git, the walk ends at a mount point.

use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Git, GitError};

/// A repository as a folder sees it. All paths but `prefix` are absolute and canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder that all worktrees share: objects, refs, `cx/`.
    pub common_dir: PathBuf,
    /// The folder of this worktree: HEAD, index. Same as `common_dir` in the main one.
    pub git_dir: PathBuf,
    /// The root of the checkout; none in a bare repository.
    pub checkout: Option<PathBuf>,
    /// The folder asked about, relative to `checkout`; empty at its root.
    pub prefix: PathBuf,
    /// A repository without a checkout of its own.
    pub is_bare: bool,
}

impl Place {
    /// Finds the repository that `cwd` lies in; none where there is none, or
    /// where `GIT_CEILING_DIRECTORIES` ends the way up before it.
    ///
    /// Fails where `cwd` cannot be read, or a `.git` file points nowhere.
    pub fn discover(cwd: &Path) -> Result<Option<Self>, GitError> {
        let cwd = fs::canonicalize(cwd).map_err(GitError::io("read", cwd))?;
        let device = fs::metadata(&cwd).map_err(GitError::io("read", &cwd))?.dev();
        let ceilings = ceilings();
        for folder in cwd.ancestors() {
            if folder != cwd && ceilings.iter().any(|ceiling| ceiling == folder) {
                return Ok(None);
            }
            if fs::metadata(folder).map_or(true, |meta| meta.dev() != device) {
                return Ok(None);
            }
            let entry = folder.join(".git");
            match fs::metadata(&entry) {
                Ok(meta) if meta.is_dir() && is_git_dir(&entry) => {
                    return Self::of(&cwd, &entry, Some(folder)).map(Some);
                }
                Ok(meta) if meta.is_file() => {
                    let git_dir = read_pointer(&entry, folder)?;
                    return Self::of(&cwd, &git_dir, Some(folder)).map(Some);
                }
                _ if is_git_dir(folder) => return Self::of(&cwd, folder, None).map(Some),
                _ => {}
            }
        }
        Ok(None)
    }

    /// The folder in which `git` finds this repository: the checkout, or the git dir.
    pub fn folder(&self) -> &Path {
        self.checkout.as_deref().unwrap_or(&self.git_dir)
    }

    /// A `git` command for exactly this repository. In a linked worktree it
    /// goes by git's own folder, whatever a worker made of the `.git` file.
    pub fn git(&self) -> Git {
        match &self.checkout {
            Some(checkout) if self.is_linked() => {
                // Not by what `commondir` says, which a worker may be able to write.
                Git::at(checkout)
                    .repository(&self.git_dir, checkout)
                    .env("GIT_COMMON_DIR", &self.common_dir)
            }
            _ => Git::at(self.folder()),
        }
    }

    /// Whether the checkout is a linked worktree.
    pub fn is_linked(&self) -> bool {
        self.git_dir != self.common_dir
    }

    fn of(cwd: &Path, git_dir: &Path, holder: Option<&Path>) -> Result<Self, GitError> {
        let git_dir = fs::canonicalize(git_dir).map_err(GitError::io("read", git_dir))?;
        let common_dir = common_dir(&git_dir)?;
        let linked = git_dir != common_dir;
        let (is_bare, configured) = if linked { (false, None) } else { read_config(&common_dir) };
        let checkout = match holder {
            _ if is_bare => None,
            _ if configured.is_some() => configured,
            Some(holder) => Some(holder.to_owned()),
            // The cwd is inside `.git` itself: its checkout is beside it.
            None if git_dir.file_name() == Some(".git".as_ref()) => {
                git_dir.parent().map(Path::to_owned)
            }
            None => None,
        };
        let prefix = checkout.as_deref().and_then(|root| cwd.strip_prefix(root).ok());
        let prefix = prefix.filter(|prefix| !prefix.starts_with(".git"));
        let prefix = prefix.map(Path::to_owned).unwrap_or_default();
        Ok(Self { is_bare: checkout.is_none(), common_dir, git_dir, checkout, prefix })
    }
}

/// The folders that `GIT_CEILING_DIRECTORIES` keeps git from looking in on its
/// way up.
fn ceilings() -> Vec<PathBuf> {
    let listed = std::env::var_os("GIT_CEILING_DIRECTORIES").unwrap_or_default();
    let listed = std::env::split_paths(&listed).filter(|path| path.is_absolute());
    listed.map(|path| fs::canonicalize(&path).unwrap_or(path)).collect()
}

/// What git calls a git dir: HEAD, objects, refs.
fn is_git_dir(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join("HEAD")).is_ok()
        && folder.join("objects").is_dir()
        && folder.join("refs").is_dir()
}

/// Where a `.git` file points: `gitdir: PATH`.
pub(super) fn read_pointer(file: &Path, folder: &Path) -> Result<PathBuf, GitError> {
    let mut bytes = fs::read(file).map_err(GitError::io("read", file))?;
    while bytes.last().is_some_and(u8::is_ascii_whitespace) {
        bytes.pop();
    }
    let target = bytes.strip_prefix(b"gitdir: ").ok_or_else(|| {
        let source = io::Error::new(io::ErrorKind::InvalidData, "it does not point to a git dir");
        GitError::io("follow", file)(source)
    })?;
    Ok(folder.join(PathBuf::from(std::ffi::OsString::from_vec(target.to_vec()))))
}

fn common_dir(git_dir: &Path) -> Result<PathBuf, GitError> {
    let file = git_dir.join("commondir");
    match fs::read(&file) {
        Ok(bytes) => {
            let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let common = git_dir.join(std::ffi::OsStr::from_bytes(bytes));
            fs::canonicalize(&common).map_err(GitError::io("read", &common))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(git_dir.to_owned()),
        Err(error) => Err(GitError::io("read", &file)(error)),
    }
}

/// `core.bare` and `core.worktree` of a main repository. A file that cannot be
/// read counts as silent: git names what is wrong with it at the next question.
fn read_config(common_dir: &Path) -> (bool, Option<PathBuf>) {
    let path = common_dir.join("config");
    if fs::read(&path).is_ok_and(|config| is_plain(&config)) {
        return (false, None);
    }
    let Ok(config) = git2::Config::open(&path) else {
        return (false, None);
    };
    let bare = config.get_bool("core.bare").unwrap_or(false);
    let tree = config.get_path("core.worktree").ok();
    (bare, tree.and_then(|tree| fs::canonicalize(common_dir.join(tree)).ok()))
}

/// Whether a configuration file surely sets none of that: what `git init` and
/// `git clone` write. Setting up libgit2 to be told so is a tenth of a short run.
fn is_plain(config: &[u8]) -> bool {
    let config = String::from_utf8_lossy(config).to_ascii_lowercase();
    let about_bare = |line: &&str| line.contains("bare");
    !config.contains("worktree")
        && !config.contains("include")
        && config.lines().filter(about_bare).all(|line| line == "\tbare = false")
}

#[cfg(test)]
mod tests;
