//! `git merge-tree`: merges in memory, one or many.

use std::os::unix::process::ExitStatusExt;

use super::Conflict;
use crate::git::command::{path as path_of, records, telling_line};
use crate::git::{Git, GitError, Oid};

/// What came of one merge in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Merged {
    /// This tree.
    Clean(Oid),
    /// At least one path.
    Conflicts(Vec<Conflict>),
    /// Git itself died of it (`merge-ort` has assertions that some histories
    /// break, such as a file against a folder that was renamed); what it said.
    Died(String),
}

impl Merged {
    /// What keeps it from being clean. Where git died it is about all there is.
    pub(super) fn conflicts(self) -> Option<Vec<Conflict>> {
        match self {
            Self::Clean(_) => None,
            Self::Conflicts(paths) => Some(paths),
            Self::Died(_) => {
                Some(vec![Conflict { path: ".".into(), kind: "git itself dies of it".to_owned() }])
            }
        }
    }
}

/// Merges `theirs` into `ours`, over their best common ancestor, or over `base`.
pub(super) fn merge(
    git: Git,
    base: Option<&Oid>,
    ours: &Oid,
    theirs: &Oid,
) -> Result<Merged, GitError> {
    // The attributes of a checkout that is at `ours`, whatever is checked out now.
    let git = git.env("GIT_ATTR_SOURCE", ours.as_str());
    let mut git = git.args(["merge-tree", "--write-tree", "-z", "--messages"]);
    if let Some(base) = base {
        git = git.arg(format!("--merge-base={base}"));
    }
    let output = git.arg(ours).arg(theirs).output()?;
    let answer = || GitError::Answer("git merge-tree".to_owned());
    match output.code() {
        0 => {
            let tree = records(&output.stdout).next().and_then(oid);
            tree.map(Merged::Clean).ok_or_else(answer)
        }
        1 => {
            let mut fields = output.stdout.split(|b| *b == 0).skip(1);
            conflicts(&mut fields).map(Merged::Conflicts).ok_or_else(answer)
        }
        _ if output.status.signal().is_some() => Ok(Merged::Died(telling_line(&output.stderr))),
        _ => Err(output.error()),
    }
}

/// Merges each of `pairs`, which must have a common ancestor, in one process.
///
/// A git before 2.50 does not flush between two merges, so nobody may wait for an
/// answer before all questions are asked; how merges that build on each other
/// are asked all the same is told in `foresee`. Where it dies of one, each is
/// asked about alone. All are merged with the attributes of `attributes`.
pub(super) fn merge_pairs(
    git: &dyn Fn() -> Git,
    attributes: &Oid,
    pairs: &[(&Oid, &Oid)],
) -> Result<Vec<Merged>, GitError> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let mut input = String::new();
    for (ours, theirs) in pairs {
        input.extend([ours.as_str(), " ", theirs.as_str(), "\n"]);
    }
    let args = ["merge-tree", "--stdin", "-z", "--messages"];
    let all = git().env("GIT_ATTR_SOURCE", attributes.as_str());
    let output = all.args(args).stdin(input).output()?;
    // It died of one of them, or is older than 2.39 and knows no `--stdin`.
    if output.status.signal().is_some() || output.code() == 129 {
        return pairs.iter().map(|(ours, theirs)| merge(git(), None, ours, theirs)).collect();
    }
    let output = output.success()?;
    let mut fields = output.stdout.split(|b| *b == 0);
    let mut one = || -> Option<Merged> {
        // `0` conflicts, `1` is clean; then as for a single merge, messages and
        // their end even where there are none.
        let clean = fields.next()? == b"1";
        let tree = oid(fields.next()?)?;
        let conflicts = conflicts(&mut fields)?;
        Some(if clean { Merged::Clean(tree) } else { Merged::Conflicts(conflicts) })
    };
    let merged: Option<Vec<Merged>> = pairs.iter().map(|_| one()).collect();
    merged.ok_or_else(|| GitError::Answer("git merge-tree --stdin".to_owned()))
}

fn oid(field: &[u8]) -> Option<Oid> {
    Oid::new(std::str::from_utf8(field).ok()?).ok()
}

/// Where two things lie at one path git moves one aside, to `PATH~COMMIT`: what
/// the conflict is about is the path.
fn without_side(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|b| *b == b'~') {
        Some(at) if path.len() - at > 40 && path[at + 1..].iter().all(u8::is_ascii_hexdigit) => {
            &path[..at]
        }
        _ => path,
    }
}

/// Reads what follows the tree: `MODE OID STAGE TAB PATH`..., an empty field,
/// and the messages (`COUNT`, as many paths, the kind, the text) up to another
/// empty field or the end.
fn conflicts<'a>(fields: &mut impl Iterator<Item = &'a [u8]>) -> Option<Vec<Conflict>> {
    let mut staged = Vec::new();
    for field in fields.by_ref().take_while(|field| !field.is_empty()) {
        let tab = field.iter().position(|b| *b == b'\t')?;
        staged.push(path_of(without_side(&field[tab + 1..])));
    }
    let mut found = Vec::new();
    while let Some(count) = fields.next().filter(|count| !count.is_empty()) {
        let count: usize = std::str::from_utf8(count).ok()?.parse().ok()?;
        let paths: Vec<_> =
            fields.by_ref().take(count).map(|path| path_of(without_side(path))).collect();
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
