//! `--verify`: nothing lands that a command of the person's has not passed.
//!
//! The batch is merged in memory and the [`Checker`] runs the command on it. Where
//! that fails, [`bisect`] asks for other sets of the same jobs until it knows whom
//! to hold back, and what is left was run and was green.

use std::collections::HashMap;

use super::{
    MergeArgs,
    bisect::{self, Held},
};
use crate::{
    commands::{
        check::{Check, Checker, Try},
        session::{Session, git},
    },
    failure::{Exit, Failure},
    git::{
        Oid, Repo,
        merge::{self, Candidate, MergePlan, Order, Style, Target, Verdict},
    },
};

/// What the command line or the configuration asks for.
pub(super) fn wanted(session: &Session, args: &MergeArgs) -> Result<Option<Check>, Failure> {
    if args.no_verify {
        return Ok(None);
    }
    let so = "nothing was merged";
    let check = Check::wanted(session, args.verify.as_deref(), args.verify_timeout, so)?;
    if check.is_none() && args.verify_each {
        return Err(Failure::usage("--verify-each needs a command; nothing was merged")
            .hint("give --verify CMD, or set merge.verify in the configuration"));
    }
    Ok(check)
}

/// Holds back what makes the plan red.
pub(super) struct Verifier<'a> {
    repo: &'a Repo,
    target: &'a Target,
    candidates: &'a [Candidate],
    style: Style,
    /// Every step, not only the result.
    each: bool,
    checker: Checker<'a>,
    /// Plans of sets that were asked for, by places in the batch.
    plans: HashMap<Vec<usize>, MergePlan>,
}

impl<'a> Verifier<'a> {
    /// Takes the scratch worktree; waits where another command has it.
    pub(super) fn new(
        session: &'a Session,
        repo: &'a Repo,
        target: &'a Target,
        candidates: &'a [Candidate],
        style: Style,
        each: bool,
        check: Check,
    ) -> Result<Self, Failure> {
        let checker = Checker::new(session, repo, check)?;
        Ok(Self { repo, target, candidates, style, each, checker, plans: HashMap::new() })
    }

    /// Finds out what of `plan` is green, and holds back the rest.
    pub(super) fn hold_back(&mut self, plan: &MergePlan) -> Result<MergePlan, Failure> {
        // Who adds nothing to one that is held back may add something to the rest,
        // so they are asked about too; together with that one they cost no run.
        let idle = plan.idle();
        let batch = &[plan.landed.as_slice(), &idle].concat();
        if idle.is_empty() {
            self.plans.insert((0..batch.len()).collect(), plan.clone());
        }
        let each = self.each;
        let mut oracle = |places: &[usize]| self.is_green(batch, places);
        let found = if each {
            bisect::each(batch.len(), &mut oracle)?
        } else {
            bisect::search(batch.len(), &mut oracle)?
        };
        if found.base_is_red {
            let log = self.tries().last().map(|last| last.log.clone()).unwrap_or_default();
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "{} is red before anything is merged into it; nothing was merged",
                    self.target.branch
                ),
            )
            .hint(format!("what it said is in {log}")));
        }
        let mut verified = plan.clone();
        for held in &found.held {
            self.hold(&mut verified, batch, held);
        }
        if found.green.len() < batch.len() || !idle.is_empty() {
            let green = self.plan(batch, &found.green)?;
            for (entry, place) in green.entries.iter().zip(&found.green) {
                verified.entries[batch[*place]].verdict = entry.verdict.clone();
            }
            verified.landed = green.landed.iter().map(|at| batch[found.green[*at]]).collect();
            verified.result = green.result;
        }
        Ok(verified)
    }

    /// Hooks may have changed what was run: it is run again then.
    pub(super) fn confirm(&mut self, sealed: &MergePlan) -> Result<(), Failure> {
        self.checker.refuse_interrupted()?;
        if !sealed.lands_something() {
            return Ok(());
        }
        let jobs = sealed.landed.iter().map(|at| sealed.entries[*at].key.clone()).collect();
        if self.run(&sealed.result, jobs)? {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Failed,
            "what the repository's hooks made of the merges is red; nothing was merged",
        )
        .hint("cx merge --no-hooks lands what was green"))
    }

    /// What was run so far.
    pub(super) fn tries(&self) -> &[Try] {
        self.checker.tries()
    }

    fn hold(&self, verified: &mut MergePlan, batch: &[usize], held: &Held) {
        let keys = |places: &[usize]| -> Vec<String> {
            places.iter().map(|place| self.candidates[batch[*place]].key.clone()).collect()
        };
        match held {
            Held::Alone(place) => {
                let verdict = Verdict::Red { with: Vec::new(), on: Vec::new() };
                verified.entries[batch[*place]].verdict = verdict;
            }
            Held::OnTopOf(place, below) => {
                let verdict = Verdict::Red { with: Vec::new(), on: keys(below) };
                verified.entries[batch[*place]].verdict = verdict;
            }
            Held::Together(group) => {
                for place in group {
                    let others: Vec<usize> =
                        group.iter().copied().filter(|other| other != place).collect();
                    let verdict = Verdict::Red { with: keys(&others), on: Vec::new() };
                    verified.entries[batch[*place]].verdict = verdict;
                }
            }
        }
    }

    /// The plan for some of the batch, in its order.
    fn plan(&mut self, batch: &[usize], places: &[usize]) -> Result<MergePlan, Failure> {
        if let Some(plan) = self.plans.get(places) {
            return Ok(plan.clone());
        }
        let some: Vec<Candidate> =
            places.iter().map(|place| self.candidates[batch[*place]].clone()).collect();
        let style = self.style;
        let plan =
            merge::plan(self.repo, &self.target.tip, &some, style, Order::AsGiven).map_err(git);
        // Git hears the Ctrl-C of a terminal too.
        let plan =
            plan.map_err(|error| self.checker.refuse_interrupted().err().unwrap_or(error))?;
        self.plans.insert(places.to_vec(), plan.clone());
        Ok(plan)
    }

    fn is_green(&mut self, batch: &[usize], places: &[usize]) -> Result<bool, Failure> {
        let plan = self.plan(batch, places)?;
        let jobs = plan.landed.iter().map(|at| plan.entries[*at].key.clone()).collect();
        self.run(&plan.result, jobs)
    }

    fn run(&mut self, commit: &Oid, jobs: Vec<String>) -> Result<bool, Failure> {
        let bare = format!("{} as it is", self.target.branch);
        Ok(self.checker.run(commit, jobs, &bare)?.is_green())
    }
}
