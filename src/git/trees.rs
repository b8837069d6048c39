//! Trees, compared and changed in process.
//!
//! What `git diff-tree` takes a child for: only folders that differ are looked
//! into, and no renames are looked for. Git is asked where the repository is one
//! that only git reads, and for many at once, of which each would read the folders
//! of their common ancestor again.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::command::records;
use super::repo::{lib_oid, oid_of};
use super::{GitError, Oid, Repo};

/// More pairs than this are compared sooner by a process of git's.
const WORTH_A_PROCESS: usize = 24;

/// What lies at a path: its mode and its object.
type Thing = (i32, git2::Oid);

/// A file, link or submodule that differs between two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Relative to the root.
    pub(super) path: Vec<u8>,
    /// `A`, `D`, `M` or `T`, as git says it.
    pub(super) letter: u8,
}

impl Difference {
    /// The path, as the system has it.
    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }
}

/// One path, and what lies there before and after.
struct Change {
    path: Vec<u8>,
    old: Option<Thing>,
    new: Option<Thing>,
}

impl Change {
    fn letter(&self) -> u8 {
        match (self.old, self.new) {
            (None, _) => b'A',
            (_, None) => b'D',
            // A file is a file, executable or not.
            (Some((old, _)), Some((new, _))) if old >> 12 != new >> 12 => b'T',
            _ => b'M',
        }
    }
}

/// The paths that differ between two commits or trees, sorted as git sorts them.
pub(super) fn differences(repo: &Repo, old: &Oid, new: &Oid) -> Result<Vec<Difference>, GitError> {
    if let Some(lib) = repo.lib()
        && let Ok(changes) = changes(lib, old, new)
    {
        let difference = |change: Change| {
            let letter = change.letter();
            Difference { path: change.path, letter }
        };
        return Ok(changes.into_iter().map(difference).collect());
    }
    let one = [(old.clone(), new.clone())];
    Ok(by_git(repo, &one)?.pop().unwrap_or_default())
}

/// The same for each of these pairs, in their order.
pub(super) fn all_differences(
    repo: &Repo,
    pairs: &[(Oid, Oid)],
) -> Result<Vec<Vec<Difference>>, GitError> {
    if pairs.len() > WORTH_A_PROCESS || repo.lib().is_none() {
        return by_git(repo, pairs);
    }
    pairs.iter().map(|(old, new)| differences(repo, old, new)).collect()
}

/// One `git diff-tree` for all.
fn by_git(repo: &Repo, pairs: &[(Oid, Oid)]) -> Result<Vec<Vec<Difference>>, GitError> {
    // Of two commits in a line it would take the second for a parent of the first.
    let trees = trees_of(repo, pairs.iter().flat_map(|(old, new)| [old, new]))?;
    let (trees, _) = trees.as_chunks::<2>();
    let heads: Vec<String> = trees.iter().map(|[old, new]| format!("{old} {new}\n")).collect();
    let args = ["diff-tree", "--stdin", "-r", "-z", "--name-status", "--no-renames"];
    let git = repo.place().git().args(args).arg("--ignore-submodules=none");
    let output = git.stdin(heads.concat()).read()?;
    let mut rest = output.stdout.as_slice();
    let all = heads.iter().map(|head| {
        rest = rest.strip_prefix(head.as_bytes())?;
        let mut found = Vec::new();
        // A head begins with an object id, a record with one letter and a NUL.
        while let [letter, 0, record @ ..] = rest {
            let end = record.iter().position(|b| *b == 0)?;
            found.push(Difference { path: record[..end].to_vec(), letter: *letter });
            rest = &record[end + 1..];
        }
        Some(found)
    });
    let all: Option<Vec<_>> = all.collect();
    all.ok_or_else(|| GitError::Answer("git diff-tree --stdin".to_owned()))
}

/// The tree of each of these commits or trees.
fn trees_of<'o>(repo: &Repo, ids: impl Iterator<Item = &'o Oid>) -> Result<Vec<Oid>, GitError> {
    if let Some(lib) = repo.lib() {
        return ids.map(|id| oid_of(tree(lib, id)?.id())).collect();
    }
    let asked = ids.fold(String::new(), |all, id| all + id.as_str() + "^{tree}\n");
    let args = ["cat-file", "--batch-check=%(objectname)"];
    let output = repo.place().git().args(args).stdin(asked).read()?.text();
    let not_one = |_| GitError::Answer("git cat-file".to_owned());
    output.lines().map(|line| Oid::new(line).map_err(not_one)).collect()
}

/// The submodules whose commit is another one in `new`, each with that commit.
pub(super) fn links(repo: &Repo, old: &Oid, new: &Oid) -> Result<Vec<(Vec<u8>, Oid)>, GitError> {
    if let Some(lib) = repo.lib()
        && let Ok(changes) = changes(lib, old, new)
    {
        let links = changes.into_iter().filter_map(|change| match change.new {
            Some((mode, oid)) if mode == i32::from(git2::FileMode::Commit) => {
                Some(oid_of(oid).map(|oid| (change.path, oid)))
            }
            _ => None,
        });
        return links.collect();
    }
    let args = ["diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames"];
    let git = repo.place().git().args(args).arg("--ignore-submodules=none");
    let output = git.arg(old).arg(new).read()?;
    let fields: Vec<&[u8]> = records(&output.stdout).collect();
    let (pairs, _) = fields.as_chunks::<2>();
    let mut found = Vec::new();
    for [what, path] in pairs {
        // :100644 160000 OLD NEW M
        let what = String::from_utf8_lossy(what);
        let words: Vec<&str> = what.split(' ').collect();
        if let [_, "160000", _, oid, _] = words[..] {
            let oid = Oid::new(oid).map_err(|e| GitError::Answer(e.to_string()))?;
            found.push((path.to_vec(), oid));
        }
    }
    Ok(found)
}

/// The tree that a merge of `theirs` into `ours` over `base` gives where no path
/// has changed on both sides, written to the repository. None where some have, or
/// where it is not sure: this foresees what git will say, and decides nothing. None
/// also where attributes change, and with them how git merges.
pub(super) fn foreseen(repo: &Repo, base: &Oid, ours: &Oid, theirs: &Oid) -> Option<Oid> {
    let lib = repo.lib()?;
    let mut ours_changed = changes(lib, base, ours).ok()?;
    ours_changed.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let mut update = git2::build::TreeUpdateBuilder::new();
    for change in changes(lib, base, theirs).ok()? {
        let is_attributes = change.path.rsplit(|b| *b == b'/').next() == Some(b".gitattributes");
        if is_attributes
            || ours_changed.binary_search_by(|other| other.path.cmp(&change.path)).is_ok()
        {
            return None;
        }
        match change.new {
            Some((mode, oid)) => update.upsert(change.path, oid, mode_of(mode)?),
            None => update.remove(change.path),
        };
    }
    let ours = tree(lib, ours).ok()?;
    oid_of(update.create_updated(lib, &ours).ok()?).ok()
}

fn mode_of(mode: i32) -> Option<git2::FileMode> {
    use git2::FileMode::{Blob, BlobExecutable, Commit, Link};
    let all = [Blob, BlobExecutable, Link, Commit];
    all.into_iter().find(|known| i32::from(*known) == mode)
}

fn tree<'r>(lib: &'r git2::Repository, id: &Oid) -> Result<git2::Tree<'r>, GitError> {
    let read = |error: git2::Error| GitError::Read(error.message().to_owned());
    lib.find_object(lib_oid(id)?, None).and_then(|object| object.peel_to_tree()).map_err(read)
}

fn changes(lib: &git2::Repository, old: &Oid, new: &Oid) -> Result<Vec<Change>, GitError> {
    let (old, new) = (tree(lib, old)?, tree(lib, new)?);
    let mut found = Vec::new();
    if old.id() != new.id() {
        let mut walk = Walk { lib, path: Vec::new(), found: &mut found };
        walk.between(Some(&old), Some(&new))
            .map_err(|error| GitError::Read(error.message().to_owned()))?;
    }
    Ok(found)
}

struct Walk<'a> {
    lib: &'a git2::Repository,
    /// The folder that it is in, with a `/` at its end but for the root.
    path: Vec<u8>,
    found: &'a mut Vec<Change>,
}

impl Walk<'_> {
    fn between(
        &mut self,
        old: Option<&git2::Tree<'_>>,
        new: Option<&git2::Tree<'_>>,
    ) -> Result<(), git2::Error> {
        let (mut at_old, mut at_new) = (0, 0);
        loop {
            let left = old.and_then(|tree| tree.get(at_old));
            let right = new.and_then(|tree| tree.get(at_new));
            let order = match (&left, &right) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => by_name(left, right),
            };
            let left = left.filter(|_| order.is_le());
            let right = right.filter(|_| order.is_ge());
            at_old += usize::from(left.is_some());
            at_new += usize::from(right.is_some());
            self.entry(left.as_ref(), right.as_ref())?;
        }
    }

    /// Two entries of one name and kind (folder or not), or one of them.
    fn entry(
        &mut self,
        old: Option<&git2::TreeEntry<'_>>,
        new: Option<&git2::TreeEntry<'_>>,
    ) -> Result<(), git2::Error> {
        let thing = |entry: &git2::TreeEntry<'_>| (entry.filemode(), entry.id());
        let (before, after) = (old.map(thing), new.map(thing));
        let Some(either) = old.or(new).filter(|_| before != after) else { return Ok(()) };
        let len = self.path.len();
        self.path.extend_from_slice(either.name_bytes());
        if is_folder(either) {
            self.path.push(b'/');
            let lib = self.lib;
            let below = |entry: &git2::TreeEntry<'_>| lib.find_tree(entry.id());
            let (old, new) = (old.map(below).transpose()?, new.map(below).transpose()?);
            self.between(old.as_ref(), new.as_ref())?;
        } else {
            self.found.push(Change { path: self.path.clone(), old: before, new: after });
        }
        self.path.truncate(len);
        Ok(())
    }
}

fn is_folder(entry: &git2::TreeEntry<'_>) -> bool {
    entry.kind() == Some(git2::ObjectType::Tree)
}

/// Git's order: a folder's name as if a `/` stood at its end.
fn by_name(a: &git2::TreeEntry<'_>, b: &git2::TreeEntry<'_>) -> Ordering {
    let end = |entry: &git2::TreeEntry<'_>| if is_folder(entry) { b"/".as_slice() } else { b"" };
    a.name_bytes().iter().chain(end(a)).cmp(b.name_bytes().iter().chain(end(b)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::git::testing::Fixture;

    /// Asks both engines, which must agree.
    fn both(fixture: &Fixture, old: &Oid, new: &Oid) -> Vec<(u8, String)> {
        let said = differences(&fixture.repo(), old, new).unwrap();
        let git = Repo::open_with_git(&fixture.place());
        assert_eq!(said, differences(&git, old, new).unwrap());
        let pairs = [(new.clone(), new.clone()), (old.clone(), new.clone())];
        let many = pairs.iter().cycle().take(2 * WORTH_A_PROCESS).cloned().collect::<Vec<_>>();
        let found = all_differences(&fixture.repo(), &many).unwrap();
        assert_eq!(found.len(), many.len());
        for (at, found) in found.iter().enumerate() {
            assert_eq!(found.as_slice(), if at % 2 == 0 { &[][..] } else { &said }, "{at}");
        }
        let shown = |one: Difference| (one.letter, String::from_utf8(one.path).unwrap());
        said.into_iter().map(shown).collect()
    }

    #[test]
    fn every_kind_of_change_is_told_as_git_tells_it() {
        let fixture = Fixture::new();
        for path in ["gone", "mode", "type", "a/deep/er", "a-b", "a.b", "was/folder"] {
            fixture.write(path, path);
        }
        let old = fixture.commit("old");
        let root = fixture.root();
        for path in ["gone", "type", "a/deep/er", "was/folder"] {
            fs::remove_file(root.join(path)).unwrap();
        }
        fs::remove_dir(root.join("was")).unwrap();
        fs::set_permissions(root.join("mode"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("README", root.join("type")).unwrap();
        for path in ["was", "a/new", "a-b", "README"] {
            fixture.write(path, "new");
        }
        let new = fixture.commit("new");
        let said = both(&fixture, &old, &new);
        let told = |path: &str| said.iter().find(|one| one.1 == path).map(|one| one.0 as char);
        assert_eq!(said.len(), 9);
        for (path, letter) in [
            ("gone", 'D'),
            ("mode", 'M'),
            ("type", 'T'),
            ("a/deep/er", 'D'),
            ("a/new", 'A'),
            ("a-b", 'M'),
            ("README", 'M'),
            ("was", 'A'),
            ("was/folder", 'D'),
        ] {
            assert_eq!(told(path), Some(letter), "{path}");
        }
        assert_eq!(both(&fixture, &new, &new), []);
        assert_eq!(both(&fixture, &new, &old).len(), 9);
        assert_eq!(both(&fixture, &old, &fixture.repo().tree_of(&new).unwrap()), said);
    }

    #[test]
    fn what_lies_apart_is_foreseen_and_what_meets_is_not() {
        let fixture = Fixture::new();
        for n in 0..4 {
            fixture.write(&format!("d/{n}"), "0\n");
        }
        let base = fixture.commit("base");
        let mut tips = Vec::new();
        for (name, gone, written) in [("a", "d/0", "d/1"), ("b", "d/2", "e/f"), ("c", "d/3", "e")] {
            fixture.git(&["checkout", "-q", "--detach", base.as_str()]);
            fs::remove_file(fixture.root().join(gone)).unwrap();
            fixture.write(written, name);
            tips.push(fixture.commit(name));
        }
        let repo = fixture.repo();
        let merged = foreseen(&repo, &base, &tips[0], &tips[1]).unwrap();
        let git = ["merge-tree", "--write-tree", tips[0].as_str(), tips[1].as_str()];
        assert_eq!(merged.as_str(), fixture.git(&git));
        // A file against a folder, and a path of both.
        assert_eq!(foreseen(&repo, &base, &tips[1], &tips[2]), None);
        assert_eq!(foreseen(&repo, &base, &tips[0], &tips[0]), None);
        assert_eq!(foreseen(&Repo::open_with_git(&fixture.place()), &base, &base, &tips[0]), None);
    }
}
