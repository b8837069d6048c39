//! Commits of others in a branch: what it was started from and the target lacks.

use std::collections::HashSet;

use crate::git::{GitError, Oid, Repo};

/// The commits below a branch's own that the target has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Where the branch's own commits begin.
    pub base: Oid,
    /// First lines of the messages, the newest first; never empty.
    pub subjects: Vec<String>,
    /// The branches that hold all of them, without the branch itself.
    pub branches: Vec<String>,
}

/// The commits that the branch at `tip`, started from `base`, would bring into
/// `target` and that are not its own, nor within one of the `known` stretches
/// (base and tip). `gathered`: `base` was made by [`super::gather()`], whose
/// merges are nobody's work. None where there are none, or no common history.
pub fn foreign(
    repo: &Repo,
    target: &Oid,
    (base, tip): (&Oid, &Oid),
    known: &[(Oid, Oid)],
    gathered: bool,
) -> Result<Option<Foreign>, GitError> {
    // A branch that was moved elsewhere by hand begins where it left its base.
    let Some(base) = repo.merge_base(base, tip)? else { return Ok(None) };
    if repo.is_ancestor(&base, target)? || repo.merge_base(&base, target)?.is_none() {
        return Ok(None);
    }
    let git = || repo.place().git();
    let mut theirs = HashSet::new();
    for (from, to) in known {
        let listed = git().args(["rev-list", &format!("{from}..{to}"), "--"]).read()?.text();
        theirs.extend(listed.lines().map(str::to_owned));
    }
    let log = git().args(["log", "--no-show-signature", "--format=%H %s"]);
    let log = if gathered { log.arg("--no-merges") } else { log };
    let listed = log.args([&format!("{target}..{base}"), "--"]).read()?.text();
    let subjects: Vec<String> = listed
        .lines()
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .filter(|(commit, _)| !theirs.contains(*commit))
        .map(|(_, subject)| subject.to_owned())
        .collect();
    if subjects.is_empty() {
        return Ok(None);
    }
    let holding = format!("--contains={base}");
    let outside = format!("--no-contains={tip}");
    let format = "--format=%(refname:lstrip=2)";
    let refs = git().args(["for-each-ref", format, &holding, &outside, "refs/heads"]).read()?;
    let branches = refs.text().lines().map(str::to_owned).collect();
    Ok(Some(Foreign { base, subjects, branches }))
}

/// Whether the branch (short name) once held `oid`, by its reflog.
pub fn had(repo: &Repo, branch: &str, oid: &Oid) -> Result<bool, GitError> {
    let full = format!("refs/heads/{branch}");
    let log = ["reflog", "show", "--format=%H", &full, "--"];
    // One without a reflog has none to tell.
    let logged = repo.place().git().args(log).output()?.text();
    let mut seen = HashSet::new();
    for line in logged.lines().filter(|line| seen.insert(*line)) {
        // What was pruned cannot be asked.
        let Ok(then) = repo.resolve_commit(line) else { continue };
        if repo.is_ancestor(oid, &then)? {
            return Ok(true);
        }
    }
    Ok(false)
}
