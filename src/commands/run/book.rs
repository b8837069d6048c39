//! How far a run is: its schedule, and which jobs its tasks have had.
//!
//! It is made from the plan and the ledger alone, so that whoever goes on with a
//! run, and whoever only looks at it, sees what the runner saw.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::stored::Stored;
use crate::{
    job::{JobId, Outcome, Usage},
    ledger::{Job, State as LedgerState},
    plan::{End, Schedule, State, Step, TaskIx, When},
};

/// What a failed attempt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It is tried again while attempts are left, as the runner does.
    TryAgain,
    /// It counts.
    Final,
    /// It is ready once more: the run is taken up again.
    Afresh,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) schedule: Schedule,
    /// The jobs of each task, in the order of the attempts.
    pub(super) attempts: HashMap<String, Vec<JobId>>,
    /// Failed attempts that do not count against a task's retries.
    pub(super) forgiven: HashMap<String, u32>,
}

/// How many tasks are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    pub(super) passed_over: u64,
    pub(super) running: u64,
    pub(super) waiting: u64,
}

impl Counts {
    pub(super) fn total(self) -> u64 {
        self.succeeded + self.failed + self.skipped + self.passed_over + self.running + self.waiting
    }
}

/// Whether a job that ended so is worth another attempt. What somebody wanted to
/// end, and what would end the same way again, is not.
pub(super) fn is_worth_retrying(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Failed
            | Outcome::TimedOut
            | Outcome::Silent
            | Outcome::Lost
            | Outcome::NoAnswer
            | Outcome::RateLimited
    )
}

impl Book {
    /// The book of the run `id`. `answer` gives the text of a job that succeeded.
    pub(super) fn replay(
        id: &str,
        stored: &Stored,
        state: &LedgerState,
        failed: Failed,
        answer: &dyn Fn(&Job) -> String,
    ) -> Self {
        let mut attempts: BTreeMap<String, Vec<(u32, JobId)>> = BTreeMap::new();
        for job in state.jobs.values().filter(|job| job.spec.run.as_deref() == Some(id)) {
            if let Some(task) = &job.spec.task {
                attempts.entry(task.id.clone()).or_default().push((task.attempt, job.job));
            }
        }
        let in_order = |mut jobs: Vec<(u32, JobId)>| {
            jobs.sort_unstable();
            jobs.into_iter().map(|(_, job)| job).collect()
        };
        let attempts = attempts.into_iter().map(|(task, jobs)| (task, in_order(jobs))).collect();
        let schedule = Schedule::new(&stored.plan);
        let mut book = Self { schedule, attempts, forgiven: HashMap::new() };
        if failed == Failed::Afresh {
            let is_over = |id: &&JobId| state.jobs.get(id).is_some_and(|job| !job.is_live());
            let over = |jobs: &Vec<JobId>| {
                u32::try_from(jobs.iter().filter(is_over).count()).unwrap_or(u32::MAX)
            };
            book.forgiven =
                book.attempts.iter().map(|(task, jobs)| (task.clone(), over(jobs))).collect();
        }
        let ready = book.schedule.ready();
        book.settle(ready, state, stored, failed, answer);
        book
    }

    /// Brings tasks that have become ready to where their jobs already are. Gives
    /// what was skipped for that; what is still ready is to be started.
    pub(super) fn settle(
        &mut self,
        ready: Vec<TaskIx>,
        state: &LedgerState,
        stored: &Stored,
        failed: Failed,
        answer: &dyn Fn(&Job) -> String,
    ) -> Vec<TaskIx> {
        let mut queue = VecDeque::from(ready);
        let mut skipped = Vec::new();
        while let Some(at) = queue.pop_front() {
            let jobs = self.jobs_of(at).iter().filter_map(|id| state.jobs.get(id));
            let (mut last, mut good) = (None, None);
            for job in jobs {
                last = Some(job);
                good = if job.succeeded() { Some(job) } else { good };
            }
            let Some(last) = last else { continue };
            if let Some(good) = good {
                let step = self.schedule.on_end(at, End::Succeeded { answer: answer(good) });
                follow(&mut queue, &mut skipped, step);
            } else if last.is_live() {
                self.schedule.start(at);
            } else {
                let counts = match failed {
                    Failed::TryAgain => !self.may_retry(at, last, stored),
                    Failed::Final => true,
                    Failed::Afresh => false,
                };
                if counts {
                    let step = self.schedule.on_end(at, End::Failed);
                    follow(&mut queue, &mut skipped, step);
                }
            }
        }
        skipped
    }

    /// The same run with another plan: what is over is as it was.
    pub(super) fn revise(
        &mut self,
        stored: &Stored,
        state: &LedgerState,
        answer: &dyn Fn(&Job) -> String,
    ) {
        let old = std::mem::replace(&mut self.schedule, Schedule::new(&stored.plan));
        self.settle(self.schedule.ready(), state, stored, Failed::Final, answer);
        // What could not be started, or not be mended, has failed without a job that
        // says so.
        let ended = |book: &Self| {
            book.schedule.tasks().find_map(|at| {
                let id = &book.schedule.task(at).id;
                let open = matches!(book.schedule.state(at), State::Ready | State::Running);
                let was = old.find(id).filter(|_| open).map(|at| old.state(at))?;
                match was {
                    State::Failed(_) => Some((at, End::Failed)),
                    State::Skipped(why) => Some((at, End::Skipped(why.clone()))),
                    _ => None,
                }
            })
        };
        while let Some((at, end)) = ended(self) {
            let step = self.schedule.on_end(at, end);
            self.settle(step.ready, state, stored, Failed::Final, answer);
        }
    }

    /// Whether a task whose last attempt has failed is tried again.
    pub(super) fn may_retry(&self, at: TaskIx, last: &Job, stored: &Stored) -> bool {
        let task = self.schedule.task(at);
        let used = u32::try_from(self.jobs_of(at).len()).unwrap_or(u32::MAX);
        let forgiven = self.forgiven.get(&task.id).copied().unwrap_or_default();
        last.outcome().is_some_and(is_worth_retrying)
            && used.saturating_sub(forgiven) < stored.attempts(task)
    }

    /// The jobs of a task, in the order of the attempts.
    pub(super) fn jobs_of(&self, at: TaskIx) -> &[JobId] {
        self.attempts.get(&self.schedule.task(at).id).map_or(&[], Vec::as_slice)
    }

    /// The job of its last attempt.
    pub(super) fn last_of(&self, at: TaskIx) -> Option<JobId> {
        self.jobs_of(at).last().copied()
    }

    /// All that is shown as a task: what can run, and groups that never got their
    /// members. In the order of the file, but for such groups, which come last.
    pub(super) fn entries(&self) -> Vec<TaskIx> {
        let bare = |group: &TaskIx| self.schedule.members(*group).is_empty();
        self.schedule.tasks().chain(self.schedule.groups().filter(bare)).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for at in self.entries() {
            match self.schedule.state(at) {
                State::Waiting | State::Ready => counts.waiting += 1,
                State::Running => counts.running += 1,
                State::Succeeded => counts.succeeded += 1,
                State::Failed(_) => counts.failed += 1,
                State::Skipped(_) => counts.skipped += 1,
                State::PassedOver(_) => counts.passed_over += 1,
            }
        }
        counts
    }

    /// How many failed and how many were skipped for which that does not count: the
    /// condition of a task that has succeeded names them.
    pub(super) fn handled(&self) -> Counts {
        let schedule = &self.schedule;
        let succeeded = |at: &TaskIx| *schedule.state(*at) == State::Succeeded;
        let conditions = schedule.tasks().chain(schedule.groups()).filter(succeeded);
        let conditions: Vec<When> = conditions
            .filter_map(|at| When::parse(schedule.task(at).when.as_deref()?).ok())
            .collect();
        let named: BTreeSet<&str> = conditions.iter().flat_map(When::needs).collect();
        let mut counts = Counts::default();
        for at in self.entries() {
            let group = schedule.group(at).map(|group| schedule.task(group).id.as_str());
            if !named.contains(schedule.task(at).id.as_str())
                && !group.is_some_and(|group| named.contains(group))
            {
                continue;
            }
            match schedule.state(at) {
                State::Failed(_) => counts.failed += 1,
                State::Skipped(_) => counts.skipped += 1,
                _ => {}
            }
        }
        counts
    }

    /// Tokens of all attempts so far.
    pub(super) fn usage(&self, state: &LedgerState) -> Usage {
        let jobs = self.attempts.values().flatten().filter_map(|id| state.jobs.get(id));
        jobs.filter(|job| job.exited.is_some()).filter_map(Job::usage).sum()
    }
}

fn follow(queue: &mut VecDeque<TaskIx>, skipped: &mut Vec<TaskIx>, step: Step) {
    queue.extend(step.ready);
    skipped.extend(step.skipped);
}
