//! Moving, keeping and deleting refs, always against the value they are
//! expected to have: a ref that somebody else has moved stays as it is.

use std::collections::BTreeSet;

use super::{GitError, Head, Oid, Place, Repo};

/// Where commits are kept before what held them is removed.
pub const TRASH: &str = "refs/cx/trash";

/// Where commits are kept that a worker left outside of its branch.
pub const STRAY: &str = "refs/cx/stray";

/// Points a new ref under [`TRASH`] at `oid` and returns its full name:
/// `refs/cx/trash/NAME`, or with `-2`, `-3`, ... where that is taken by another commit.
pub fn keep(place: &Place, name: &str, oid: &Oid) -> Result<String, GitError> {
    keep_under(place, TRASH, name, oid)
}

pub(super) fn keep_under(
    place: &Place,
    space: &str,
    name: &str,
    oid: &Oid,
) -> Result<String, GitError> {
    let repo = Repo::open(place);
    let mut full = format!("{space}/{name}");
    let mut n = 2_u64;
    loop {
        match repo.ref_tip(&full)? {
            Some(there) if there == *oid => return Ok(full),
            // Created only if still absent: two cx at once take two names.
            None => match update(place, &full, oid, None, "cx: keep") {
                Ok(()) => return Ok(full),
                Err(GitError::RefMoved { .. }) => {}
                Err(error) => return Err(error),
            },
            Some(_) => {}
        }
        full = format!("{space}/{name}-{n}");
        n += 1;
    }
}

/// A ref under [`TRASH`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its full name.
    pub name: String,
    /// The commit that it keeps.
    pub oid: Oid,
    /// When it was put there, in seconds since 1970; the commit's date where the ref has no reflog.
    pub since: i64,
}

/// What is kept under [`TRASH`], by name.
pub fn kept(place: &Place) -> Result<Vec<Kept>, GitError> {
    let format = "--format=%(objectname) %(committerdate:unix) %(refname)";
    let output = place.git().args(["for-each-ref", format, TRASH]).read()?;
    let mut kept = Vec::new();
    for line in output.text().lines() {
        let mut fields = line.splitn(3, ' ');
        let (Some(oid), Some(date), Some(name)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(GitError::Answer("git for-each-ref".to_owned()));
        };
        let log = ["reflog", "show", "-1", "--date=unix", "--format=%gd", name, "--"];
        let log = place.git().args(log).output()?.text();
        let since = log.rsplit_once("@{").and_then(|(_, at)| at.strip_suffix('}')?.parse().ok());
        let since = since.or_else(|| date.parse().ok()).unwrap_or_default();
        let oid = Oid::new(oid).map_err(|e| GitError::Answer(e.to_string()))?;
        kept.push(Kept { name: name.to_owned(), oid, since });
    }
    Ok(kept)
}

/// Deletes the ref with the full name `name`, if it is at `expected`. Otherwise
/// [`GitError::RefMoved`]; one that is gone already is success.
pub fn delete(place: &Place, name: &str, expected: &Oid) -> Result<(), GitError> {
    if Repo::open(place).ref_tip(name)?.is_none() {
        return Ok(());
    }
    let output = place.git().args(["update-ref", "-d", name, expected.as_str()]).output()?;
    moved_or(place, name, Some(expected), &output)
}

/// Whether a ref other than branch `branch` (short) has `oid` in its history: a branch,
/// local or remote, a tag, or what is kept.
/// `likely`, a branch, is asked first, which costs no git.
pub fn is_elsewhere(
    repo: &Repo,
    branch: &str,
    oid: &Oid,
    likely: Option<&str>,
) -> Result<bool, GitError> {
    let likely = likely.filter(|likely| *likely != branch);
    if let Some(tip) = likely.map(|likely| repo.branch_tip(likely)).transpose()?.flatten()
        && repo.is_ancestor(oid, &tip)?
    {
        return Ok(true);
    }
    let (place, own) = (repo.place(), format!("refs/heads/{branch}"));
    let output = place
        .git()
        .args(["for-each-ref", "--format=%(refname)", "--contains", oid.as_str()])
        .args(["refs/heads", "refs/remotes", "refs/tags", TRASH, STRAY])
        .read()?;
    Ok(output.text().lines().any(|name| name != own))
}

/// Those of `commits` that no branch has in its history, local or remote, nor HEAD. The
/// branches `but` (short names) do not count. A commit that is not there any more is in none.
pub fn in_no_branch(
    place: &Place,
    commits: &[Oid],
    but: &BTreeSet<&str>,
) -> Result<Vec<Oid>, GitError> {
    let repo = Repo::open(place);
    let (there, mut nowhere): (Vec<Oid>, Vec<Oid>) =
        commits.iter().cloned().partition(|oid| repo.resolve_commit(oid.as_str()).is_ok());
    let mut known: Vec<Oid> = Vec::new();
    for (name, oid) in repo.all_branches()? {
        if name.strip_prefix("refs/heads/").is_none_or(|name| !but.contains(name)) {
            known.push(oid);
        }
    }
    if let Head::Detached(oid) = repo.head()? {
        known.push(oid);
    }
    // One walk for all of them, which ends where the branches begin.
    let (known, asked): (Vec<&Oid>, Vec<&Oid>) = (known.iter().collect(), there.iter().collect());
    let found = repo.beyond(&known, &asked)?;
    let found: BTreeSet<&str> = found.lines().filter_map(|line| line.split(' ').next()).collect();
    nowhere.extend(there.into_iter().filter(|oid| found.contains(oid.as_str())));
    Ok(nowhere)
}

/// Moves the ref with the full name `name` to `new`, if it is at `old` (none:
/// if it does not exist). Otherwise [`GitError::RefMoved`].
pub fn update(
    place: &Place,
    name: &str,
    new: &Oid,
    old: Option<&Oid>,
    why: &str,
) -> Result<(), GitError> {
    let expected = old.map_or_else(|| "0".repeat(new.as_str().len()), Oid::to_string);
    let output = place
        .git()
        .args(["update-ref", "--create-reflog", "-m", why, name, new.as_str(), &expected])
        .output()?;
    moved_or(place, name, old, &output)
}

/// Deletes branch `name` (short), if it is at `expected`. Otherwise
/// [`GitError::RefMoved`]; a branch that is gone already is success.
pub fn delete_branch(repo: &Repo, name: &str, expected: &Oid) -> Result<(), GitError> {
    let (place, full) = (repo.place(), format!("refs/heads/{name}"));
    if repo.ref_tip(&full)?.is_none() {
        return Ok(());
    }
    let output = place.git().args(["update-ref", "-d", &full, expected.as_str()]).output()?;
    if output.code() != 0 && repo.ref_tip(&full)?.is_none() {
        // Somebody else did the same at the same time.
        return Ok(());
    }
    moved_or(place, &full, Some(expected), &output)?;
    // What `git branch -D` clears as well.
    let section = format!("branch.{name}");
    let is_own = |key: &str| key.rsplit_once('.').is_some_and(|(of, _)| of == section);
    if repo.settings()?.all().any(|(key, _)| is_own(key)) {
        place.git().args(["config", "--remove-section", &section]).output()?;
    }
    Ok(())
}

/// A failed update is a moved ref only if the ref says so: a full disk is not.
fn moved_or(
    place: &Place,
    name: &str,
    old: Option<&Oid>,
    output: &super::command::Output,
) -> Result<(), GitError> {
    if output.code() == 0 {
        return Ok(());
    }
    if Repo::open(place).ref_tip(name)?.as_ref() == old {
        return Err(output.error());
    }
    Err(GitError::RefMoved { name: name.to_owned() })
}
