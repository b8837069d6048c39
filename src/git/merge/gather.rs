//! Where work begins that needs the work of others: the merge of theirs.

use super::plan::{Commits, plan_with};
use super::{Candidate, Order, Style, Verdict};
use crate::git::commit::make;
use crate::git::{GitError, Oid, Repo};

/// What cannot be part of the merge, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its key.
    pub key: String,
    /// Never one of those that say that it is in.
    pub verdict: Verdict,
}

/// The commit that holds `base` and the work of all `needs`, and which of them
/// (indices) brought something to it; or the first that does not fit.
///
/// What is contained already is no merge, and what is contained in other commits
/// neither; where the history only goes forward no commit is made. Commits are
/// made unsigned and without hooks, as cx where git knows no identity: nobody is
/// there to be asked, and what lands is sealed later. Objects only: nothing
/// changes, and no ref holds the result yet.
pub fn gather(
    repo: &Repo,
    base: &Oid,
    needs: &[Candidate],
) -> Result<Result<(Oid, Vec<usize>), Refusal>, GitError> {
    let how = (Style::Merge, Order::AsGiven);
    let plan = plan_with(repo, base, needs, how, &Unattended { repo })?;
    let refused = plan.entries.into_iter().find(|entry| {
        let fits = matches!(
            entry.verdict,
            Verdict::Landed { .. } | Verdict::AlreadyContained | Verdict::NoChanges
        );
        !fits
    });
    Ok(match refused {
        Some(entry) => Err(Refusal { key: entry.key, verdict: entry.verdict }),
        None => Ok((plan.result, plan.landed)),
    })
}

/// Commits that a supervisor makes.
struct Unattended<'a> {
    repo: &'a Repo,
}

impl Commits for Unattended<'_> {
    fn merged(
        &self,
        candidate: &Candidate,
        tree: &Oid,
        parents: &[&Oid],
    ) -> Result<Verdict, GitError> {
        let git = || self.repo.place().git();
        let (commit, _) = make(&git, tree, parents, &candidate.message)?;
        Ok(Verdict::Landed { commit })
    }
}
