//! All that a commit has, in the order of an index, with the trees that it is in.
//!
//! Read in process. Whatever git would refuse, or treat as more than a file or a
//! link (submodules, modes of old, names that may mean `.git` somewhere), is an
//! error here: such a commit is left to git.

use crate::git::repo::lib_oid;
use crate::git::{Oid, Repo};

/// The id of an object, in SHA-1.
pub(in crate::git) type Id = [u8; 20];

/// A plain file.
pub(in crate::git) const FILE: u32 = 0o100_644;
/// A file that can be run.
pub(in crate::git) const PROGRAM: u32 = 0o100_755;
/// A symbolic link.
pub(in crate::git) const LINK: u32 = 0o120_000;

/// One file or link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::git) struct Wanted {
    /// Where its path stands among all paths.
    start: u32,
    len: u32,
    /// How much of its path is its folder's, without a `/` at the end.
    folder: u32,
    /// [`FILE`], [`PROGRAM`] or [`LINK`].
    pub(in crate::git) mode: u32,
    pub(in crate::git) id: Id,
}

/// A tree, as the index remembers which it has whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::git) struct Folder {
    /// Its own name; empty for the root.
    pub(in crate::git) name: Vec<u8>,
    pub(in crate::git) id: Id,
    /// How many files and links are below it.
    pub(in crate::git) entries: usize,
    /// How many folders are right in it; they follow, each with its own.
    pub(in crate::git) folders: usize,
}

/// The content of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::git) struct Listing {
    paths: Vec<u8>,
    /// Sorted by path, as bytes.
    pub(in crate::git) wanted: Vec<Wanted>,
    /// A folder comes before what is in it; the root is the first.
    pub(in crate::git) folders: Vec<Folder>,
}

impl Listing {
    /// What `commit` has.
    ///
    /// # Errors
    /// A clause that says why it is left to git.
    pub(in crate::git) fn read(repo: &Repo, commit: &Oid) -> Result<Self, String> {
        let lib = repo.lib().ok_or("only git can read this repository")?;
        let unread = |error: git2::Error| format!("its base cannot be read: {}", error.message());
        let tree = lib_oid(commit)
            .map_err(|error| error.to_string())
            .and_then(|id| lib.find_commit(id).and_then(|found| found.tree()).map_err(unread))?;
        let mut listing = Self::default();
        let mut reader = Reader { lib, path: Vec::new(), into: &mut listing };
        reader.folder(Vec::new(), &tree)?;
        Ok(listing)
    }

    /// The path of one of [`Self::wanted`], relative to the root.
    pub(in crate::git) fn path(&self, wanted: &Wanted) -> &[u8] {
        let start = wanted.start as usize;
        self.paths.get(start..start + wanted.len as usize).unwrap_or_default()
    }

    /// The folder that it is in, without a `/` at the end, and its name there.
    pub(in crate::git) fn split(&self, wanted: &Wanted) -> (&[u8], &[u8]) {
        let path = self.path(wanted);
        match path.split_at_checked(wanted.folder as usize) {
            Some((b"", _)) | None => (b"", path),
            Some((folder, name)) => (folder, name.get(1..).unwrap_or_default()),
        }
    }

    fn push(&mut self, path: &[u8], folder: usize, mode: u32, id: Id) -> Result<(), String> {
        let odd = || format!("'{}' is no path that git writes", String::from_utf8_lossy(path));
        // What is not sorted, or there twice, makes no index.
        if self.wanted.last().is_some_and(|last| self.path(last) >= path) {
            return Err(odd());
        }
        let number = |number: usize| u32::try_from(number).map_err(|_| odd());
        let (start, len, folder) =
            (number(self.paths.len())?, number(path.len())?, number(folder)?);
        self.paths.extend_from_slice(path);
        self.wanted.push(Wanted { start, len, folder, mode, id });
        Ok(())
    }
}

struct Reader<'a> {
    lib: &'a git2::Repository,
    /// The folder that it is in, with a `/` at its end but for the root.
    path: Vec<u8>,
    into: &'a mut Listing,
}

impl Reader<'_> {
    fn folder(&mut self, name: Vec<u8>, tree: &git2::Tree<'_>) -> Result<(), String> {
        let at = self.into.folders.len();
        let before = self.into.wanted.len();
        let id = id_of(tree.id())?;
        self.into.folders.push(Folder { name, id, entries: 0, folders: 0 });
        let len = self.path.len();
        let mut folders = 0;
        for entry in tree {
            let name = entry.name_bytes();
            let mode = u32::try_from(entry.filemode_raw()).unwrap_or_default();
            self.path.extend_from_slice(name);
            if !is_plain(name, mode) {
                let path = String::from_utf8_lossy(&self.path);
                return Err(format!("'{path}' has a name or a mode that only git handles"));
            }
            match mode {
                FILE | PROGRAM | LINK => {
                    self.into.push(&self.path, len.saturating_sub(1), mode, id_of(entry.id())?)?;
                }
                0o040_000 => {
                    let below = self.lib.find_tree(entry.id());
                    let below = below.map_err(|_| "a tree of its base cannot be read")?;
                    self.path.push(b'/');
                    self.folder(name.to_vec(), &below)?;
                    folders += 1;
                }
                0o160_000 => return Err("it has submodules".to_owned()),
                _ => {
                    let path = String::from_utf8_lossy(&self.path);
                    return Err(format!("'{path}' has a mode that git does not write any more"));
                }
            }
            self.path.truncate(len);
        }
        let entries = self.into.wanted.len() - before;
        // An empty tree below the root is none for an index.
        if entries == 0 && len > 0 {
            return Err("its base has an empty tree".to_owned());
        }
        if let Some(folder) = self.into.folders.get_mut(at) {
            (folder.entries, folder.folders) = (entries, folders);
        }
        Ok(())
    }
}

/// Whether git surely writes a file with this name, on every system.
fn is_plain(name: &[u8], mode: u32) -> bool {
    let lower = name.to_ascii_lowercase();
    let after_git = lower.strip_prefix(b".git");
    let means_git = matches!(after_git.map(<[u8]>::first), Some(None | Some(b' ' | b'.' | b':')))
        || lower.starts_with(b"git~");
    let is_odd = matches!(name, b"" | b"." | b"..")
        || name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0));
    // Git refuses links in the place of its own files.
    let stands_for_gits = mode == LINK && after_git.is_some();
    !(is_odd || means_git || stands_for_gits)
}

fn id_of(oid: git2::Oid) -> Result<Id, String> {
    oid.as_bytes().try_into().map_err(|_| "its ids are not in SHA-1".to_owned())
}
