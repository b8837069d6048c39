//! From a checked plan to the branch: sealed, landed, and the same again without
//! the jobs whose way turns out not to be free.
//!
//! Whether the way is free is looked up beforehand only where finding out later
//! would cost the person something (a check's runs, hooks, their editor), since looking
//! costs as much as `git status`. Otherwise git objects when it is to write, and
//! nothing has changed by then.

use std::path::PathBuf;

use super::{
    MergeArgs,
    chosen::Chosen,
    failure,
    land::{self, Went},
    verify::Verifier,
};
use crate::{
    commands::session::Session,
    failure::Failure,
    git::{
        Repo,
        merge::{self, Candidate, MergePlan, Order, Seal, Style, Target, Wishes},
    },
    job::JobId,
};

/// A batch on its way into the target.
pub(super) struct Carrier<'a> {
    pub(super) session: &'a Session,
    pub(super) repo: &'a Repo,
    pub(super) target: &'a Target,
    pub(super) chosen: &'a [Chosen],
    /// Those of `chosen`, in their order.
    pub(super) candidates: &'a [Candidate],
    pub(super) wishes: &'a Wishes,
    /// The lock file for worktree commands.
    pub(super) worktree_lock: PathBuf,
    pub(super) how: (Style, Order),
    pub(super) args: &'a MergeArgs,
    /// Who is not going to be merged when one of them is.
    pub(super) given_up: &'a [JobId],
}

impl Carrier<'_> {
    /// Holds back whoever something in the checkout is in the way of.
    pub(super) fn unobstructed(&self, plan: MergePlan) -> Result<MergePlan, Failure> {
        merge::unobstructed(self.repo, self.target, plan, self.candidates, self.how)
            .map_err(failure)
    }

    /// Lands it, and writes down what that means. Gives what has landed.
    pub(super) fn carry(
        &self,
        mut plan: MergePlan,
        verifier: Option<&mut Verifier<'_>>,
    ) -> Result<MergePlan, Failure> {
        let is_checked = verifier.is_some();
        let mut verifier = verifier;
        let (repo, candidates, how) = (self.repo, self.candidates, self.seal());
        if !is_checked && merge::is_sealed(repo, candidates, &how).map_err(failure)? {
            plan = self.unobstructed(plan)?;
        }
        loop {
            let sealed = if plan.lands_something() {
                merge::seal(repo, &plan, candidates, &how).map_err(failure)?
            } else {
                plan.clone()
            };
            if let Some(verifier) = &mut verifier {
                verifier.confirm(&sealed)?;
            }
            let (session, target) = (self.session, self.target);
            let events = land::events(session, repo, target, &sealed, self.chosen, self.given_up)?;
            if !sealed.lands_something() {
                land::append(session, &events)?;
                return Ok(sealed);
            }
            let Went::Obstructed(error) = land::land(session, repo, target, &sealed, events)?
            else {
                return Ok(sealed);
            };
            // What was checked is not exchanged for something that was not.
            let free = if is_checked { plan.clone() } else { self.unobstructed(plan.clone())? };
            if free.landed == plan.landed {
                return Err(failure(error));
            }
            plan = free;
        }
    }

    /// How the commits for good are made.
    fn seal(&self) -> Seal<'_> {
        Seal {
            style: self.how.0,
            wishes: self.wishes,
            target: self.target,
            state: self.session.store.dir(),
            worktree_lock: &self.worktree_lock,
            hooks: !self.args.no_hooks && !self.wishes.no_verify,
            edit: self.args.edit,
        }
    }
}
