//! Where a worktree starts, as far as that is known when the job is spawned. The
//! work of the jobs that it comes after is merged in by its supervisor.

use std::collections::BTreeSet;

use super::{SpawnArgs, text::path_text};
use crate::{
    commands::session::{Session, git},
    failure::Failure,
    git::{Head, Repo},
    job::JobId,
    ledger::State,
};

/// The jobs that have ended once `after` have: these, and what they come after.
pub(super) fn earlier(state: &State, after: &[JobId]) -> BTreeSet<JobId> {
    let mut found = BTreeSet::new();
    let mut pending = after.to_vec();
    while let Some(id) = pending.pop() {
        if let (true, Some(job)) = (found.insert(id), state.jobs.get(&id)) {
            pending.extend(&job.spec.after);
        }
    }
    found
}

/// The commit that a worktree starts from, `rev` or else HEAD, and the job's folder
/// below its top.
pub(super) fn tree_base(
    rev: Option<&String>,
    session: &Session,
    who: &str,
) -> Result<(String, String), Failure> {
    let place = session.repository(who)?;
    let repo = Repo::open(place);
    let oid = match rev {
        Some(rev) => repo.resolve_commit(rev).map_err(|e| {
            Failure::usage(e.to_string())
                .hint("--base takes a branch, a tag or a commit; `git branch -a` lists branches")
        })?,
        None => match repo.head().map_err(git)? {
            Head::Branch { oid, .. } | Head::Detached(oid) => oid,
            Head::Unborn(name) => {
                return Err(Failure::usage(format!(
                    "branch '{name}' has no commits yet, so {who} has nothing to start from"
                ))
                .hint("make a first commit: git commit --allow-empty -m start"));
            }
        },
    };
    Ok((oid.as_str().to_owned(), path_text(&place.prefix)?))
}

/// Options of writers are not passed over in silence.
pub(super) fn reader_base(args: &SpawnArgs) -> Result<(), Failure> {
    let given = [
        (args.base.is_some(), "--base"),
        (!args.scope.is_empty(), "--scope"),
        (args.require_setup, "--require-setup"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, option)) => {
            Err(Failure::usage(format!("{option} is for writers, and this job would be a reader"))
                .hint("add --write, or choose an agent that writes"))
        }
        None => Ok(()),
    }
}
