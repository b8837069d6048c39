//! Branches sent to a remote, with a lease of our own.
//!
//! What cx has pushed of a job is kept under [`PUSHED`], so that a later push
//! overwrites only that: `refs/remotes` would not do, since every fetch moves it.
//! Git runs with the person's hooks, credentials and terminal. A crash after the
//! push and before the note of it: the next push of the same commit is fine, one
//! of another commit is refused.

use std::io;
use std::process::Stdio;

use super::command::on_terminal;
use super::{GitError, Oid, Place, Repo, refs};

/// Where it is written down what was pushed: `refs/cx/pushed/REMOTE/KEY`.
pub const PUSHED: &str = "refs/cx/pushed";

/// A branch to be pushed.
#[derive(Clone, Copy, Debug)]
pub struct Push<'a> {
    /// A configured remote.
    pub remote: &'a str,
    /// The branch (short name) over there.
    pub branch: &'a str,
    /// What it is to be at.
    pub tip: &'a Oid,
    /// What is unique to the job, also where another has had its name before.
    pub key: &'a str,
}

/// The names of the configured remotes.
pub fn remotes(place: &Place) -> Result<Vec<String>, GitError> {
    let output = place.git().arg("remote").read()?;
    Ok(output.text().lines().map(str::to_owned).collect())
}

/// Pushes it, if the remote has what was pushed last or, the first time, no such
/// branch. What git has to say goes to stderr. `false`: git said no.
pub fn push(place: &Place, what: &Push<'_>) -> Result<bool, GitError> {
    let note = format!("{PUSHED}/{}/{}", what.remote, what.key);
    let last = Repo::open(place).ref_tip(&note)?;
    let full = format!("refs/heads/{}", what.branch);
    // Nothing behind the colon: the branch must not be there.
    let expected = last.as_ref().map_or("", Oid::as_str);
    let status = on_terminal(place.folder())
        .arg("push")
        .arg(format!("--force-with-lease={full}:{expected}"))
        .arg("--no-follow-tags")
        .arg(what.remote)
        .arg(format!("{}:{full}", what.tip))
        .stdout(Stdio::from(io::stderr()))
        .status()
        .map_err(GitError::NotRun)?;
    if !status.success() {
        return Ok(false);
    }
    if last.as_ref() != Some(what.tip) {
        refs::update(place, &note, what.tip, last.as_ref(), "cx push")?;
    }
    Ok(true)
}

/// What was pushed: each note of it, by full name, with the key of the job and
/// what it says.
pub fn pushed(place: &Place) -> Result<Vec<(String, String, Oid)>, GitError> {
    let format = "--format=%(refname) %(objectname)";
    let listed = place.git().args(["for-each-ref", format, PUSHED]).read()?;
    let note = |line: &str| {
        let (name, oid) = line.split_once(' ')?;
        let (_, key) = name.rsplit_once('/')?;
        Some((name.to_owned(), key.to_owned(), Oid::new(oid).ok()?))
    };
    Ok(listed.text().lines().filter_map(note).collect())
}

/// Forgets such a note, if it still says that.
pub fn forget(place: &Place, name: &str, oid: &Oid) -> Result<(), GitError> {
    place.git().args(["update-ref", "-d", name, oid.as_str()]).run().map(drop)
}
