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
        1 => {
            let mut fields = output.stdout.split(|b| *b == 0).skip(1);
            conflicts(&mut fields).map(Merged::Conflicts).ok_or_else(answer)
        }
        _ => Err(output.error()),
    }
}

/// Merges the second of every pair into the first, all in one process, and
/// answers in their order.
///
/// # Errors
/// One pair that git cannot merge (unrelated histories) fails all of them.
pub(super) fn merge_all(git: Git, pairs: &[(&Oid, &Oid)]) -> Result<Vec<Merged>, GitError> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    // All at once: git answers only when its buffer is full, or at the end.
    let input: String =
        pairs.iter().flat_map(|(a, b)| [a.as_str(), " ", b.as_str(), "\n"]).collect();
    let output = git.args(["merge-tree", "--stdin"]).stdin(input).run()?;
    let mut fields = output.stdout.split(|b| *b == 0);
    let mut one = || match fields.next()? {
        b"1" => {
            let tree = Oid::new(std::str::from_utf8(fields.next()?).ok()?).ok()?;
            fields.next()?;
            Some(Merged::Clean(tree))
        }
        b"0" => {
            fields.next()?;
            conflicts(&mut fields).map(Merged::Conflicts)
        }
        _ => None,
    };
    let all: Option<Vec<Merged>> = pairs.iter().map(|_| one()).collect();
    all.ok_or_else(|| GitError::Answer("git merge-tree --stdin".to_owned()))
}

/// Reads what comes after the tree: `MODE OID STAGE TAB PATH`..., an empty field,
/// and the messages: `COUNT`, as many paths, the kind, the text; an empty field.
fn conflicts<'a>(fields: &mut impl Iterator<Item = &'a [u8]>) -> Option<Vec<Conflict>> {
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
