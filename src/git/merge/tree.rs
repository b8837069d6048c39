//! `git merge-tree`: one merge in memory.

use super::Conflict;
use crate::git::command::{path as path_of, records};
use crate::git::{Git, GitError, Oid};

/// What came of one merge in memory.
#[derive(Debug)]
pub(super) enum Merged {
    /// This tree.
    Clean(Oid),
    /// At least one path.
    Conflicts(Vec<Conflict>),
}

/// Merges `theirs` into `ours`, over their best common ancestor, or over `base`.
pub(super) fn merge(
    git: Git,
    base: Option<&Oid>,
    ours: &Oid,
    theirs: &Oid,
) -> Result<Merged, GitError> {
    let mut git = git.args(["merge-tree", "--write-tree", "-z", "--messages"]);
    if let Some(base) = base {
        git = git.arg(format!("--merge-base={base}"));
    }
    let output = git.arg(ours).arg(theirs).output()?;
    let answer = || GitError::Answer("git merge-tree".to_owned());
    match output.code() {
        0 => {
            let tree = records(&output.stdout).next().and_then(|id| std::str::from_utf8(id).ok());
            tree.and_then(|id| Oid::new(id).ok()).map(Merged::Clean).ok_or_else(answer)
        }
        1 => conflicts(&output.stdout).map(Merged::Conflicts).ok_or_else(answer),
        _ => Err(output.error()),
    }
}

/// Reads `TREE`, then `MODE OID STAGE TAB PATH`..., an empty field, and the
/// messages: `COUNT`, as many paths, the kind, the text.
fn conflicts(bytes: &[u8]) -> Option<Vec<Conflict>> {
    let mut fields = bytes.split(|b| *b == 0).skip(1);
    let mut staged = Vec::new();
    for field in fields.by_ref().take_while(|field| !field.is_empty()) {
        let tab = field.iter().position(|b| *b == b'\t')?;
        staged.push(path_of(&field[tab + 1..]));
    }
    let mut found = Vec::new();
    while let Some(count) = fields.next().filter(|count| !count.is_empty()) {
        let count: usize = std::str::from_utf8(count).ok()?.parse().ok()?;
        let paths: Vec<_> = fields.by_ref().take(count).map(path_of).collect();
        let kind = String::from_utf8_lossy(fields.next()?).into_owned();
        fields.next()?;
        let kind = kind.strip_prefix("CONFLICT (").and_then(|kind| kind.strip_suffix(')'));
        if let (Some(kind), Some(path)) = (kind, paths.into_iter().next()) {
            found.push(Conflict { path, kind: kind.to_owned() });
        }
    }
    for path in staged {
        if !found.iter().any(|conflict| conflict.path == path) {
            found.push(Conflict { path, kind: "unmerged".to_owned() });
        }
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}
