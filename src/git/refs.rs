//! Moving, keeping and deleting refs, always against the value they are
//! expected to have: a ref that somebody else has moved stays as it is.

use super::{GitError, Oid, Place, Repo};

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
pub fn delete_branch(place: &Place, name: &str, expected: &Oid) -> Result<(), GitError> {
    let full = format!("refs/heads/{name}");
    if Repo::open(place).ref_tip(&full)?.is_none() {
        return Ok(());
    }
    let output = place.git().args(["update-ref", "-d", &full, expected.as_str()]).output()?;
    moved_or(place, &full, Some(expected), &output)?;
    // What `git branch -D` clears as well; a branch without a section is no error.
    place.git().args(["config", "--remove-section", &format!("branch.{name}")]).output()?;
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
