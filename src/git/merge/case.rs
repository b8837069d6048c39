//! Names that are one file where case does not count (`core.ignoreCase`). Git
//! merges them in memory without a word, and one overwrites the other in the
//! checkout.

use std::collections::{HashMap, HashSet};

use super::Conflict;
use crate::git::command::{path as path_of, records};
use crate::git::{GitError, Oid, Repo};

/// Whether names that differ only in case are one file here.
pub(super) fn is_ignored(repo: &Repo) -> Result<bool, GitError> {
    Ok(repo.settings()?.is_on("core.ignorecase"))
}

/// Paths that differ only in case are one path then. Names that are not UTF-8
/// fold their ASCII letters.
pub(super) fn fold(path: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(path) {
        Ok(text) => text.to_lowercase().into_bytes(),
        Err(_) => path.to_ascii_lowercase(),
    }
}

/// The paths of `new` that are one file with another of its paths, where `old`
/// did not have both.
pub(super) fn clashes(repo: &Repo, old: &Oid, new: &Oid) -> Result<Vec<Conflict>, GitError> {
    let names = |commit: &Oid| {
        let list = ["ls-tree", "-r", "-z", "--name-only", commit.as_str()];
        Ok::<_, GitError>(repo.place().git().args(list).read()?.stdout)
    };
    let (before, after) = (names(old)?, names(new)?);
    let before: HashSet<&[u8]> = records(&before).collect();
    let mut same: HashMap<Vec<u8>, Vec<&[u8]>> = HashMap::new();
    for path in records(&after) {
        same.entry(fold(path)).or_default().push(path);
    }
    let mut found: Vec<Conflict> = same
        .into_values()
        .filter(|paths| paths.len() > 1 && paths.iter().any(|path| !before.contains(path)))
        .flatten()
        .map(|path| Conflict { path: path_of(path), kind: "case".to_owned() })
        .collect();
    found.sort_unstable();
    Ok(found)
}
