//! Budgets: what the worker has used so far, from its events as they come, and whether
//! that, with what others have used, is too much.
//!
//! Each supervisor says now and then in the ledger how much its worker has used
//! (`used`), and sees there what the others have. So what N workers use beyond a
//! budget that they share is at most what each of them has under way, and the 64th of
//! the budget that each may not have told of yet. Who uses the last of it wakes the
//! others: one whose worker says nothing for an hour is ended then and not in an hour.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{Stop, Supervisor, SupervisorError};
use crate::{
    backend::{Backend, Meter},
    job::{BudgetOf, Outcome, Price, Spent, Usage, Usd},
    ledger::{Event, Job, Phase, State, Used},
    process::{lock::deadline_in, signals, tree, watch::Watch},
};

/// How often we look where nothing tells us to.
const POLL: Duration = Duration::from_secs(1);

/// What the worker uses, as it runs.
#[derive(Debug)]
pub(super) struct Running {
    meter: Meter,
    /// What the ledger knows of.
    told: Usage,
    /// What its backend has used in streams that were put away.
    kept: Usage,
    /// What backends before have used that could not do the work.
    before: Usage,
    /// What runs is the worker, and not a step around it.
    pub(super) is_worker: bool,
}

impl Running {
    pub(super) fn new(backend: &Backend) -> Self {
        let none = Usage::default();
        Self { meter: Meter::new(backend), told: none, kept: none, before: none, is_worker: false }
    }

    /// `own`, with what was used before in streams that were put away.
    pub(super) fn whole(&self, own: Option<Usage>) -> Option<Usage> {
        let kept = (self.kept != Usage::default()).then_some(self.kept);
        own.map_or(kept, |own| Some([self.kept, own].into_iter().sum()))
    }

    /// What was used before the stream of now.
    pub(super) fn earlier(&self) -> Usage {
        [self.before, self.kept].into_iter().sum()
    }

    /// Another backend does the work, and counts anew; the one before has `used` this,
    /// and the ledger knows.
    pub(super) fn fall_over(&mut self, to: &Backend, used: Option<Usage>) {
        let before = [self.before, used.unwrap_or_default()].into_iter().sum();
        *self = Self { before, ..Self::new(to) };
    }

    /// Its worker's stream begins anew.
    pub(super) fn begin_anew(&mut self, backend: &Backend, used: Option<Usage>) {
        self.kept = [self.kept].into_iter().chain(used).sum();
        self.meter = Meter::new(backend);
    }

    /// Reads what its worker has said that was not read yet.
    pub(super) fn read_to_end(&mut self, stdout: &Path) -> io::Result<()> {
        self.meter.read(stdout)
    }

    /// What its worker has said that it has used, in the stream of now.
    pub(super) fn said(&self, price: Option<&Price>) -> Option<Usage> {
        self.meter.usage().map(|usage| usage.priced(price))
    }

    /// A worker goes on whose model has been refused.
    pub(super) fn forget_answers(&mut self) {
        self.meter.forget_answers();
    }
}

/// How we hear that the worker has said more.
#[derive(Debug)]
pub(super) enum Growth {
    /// It does not matter.
    Unwatched,
    /// From the kernel.
    Watched(Watch),
    /// By looking now and then: the kernel has no watch left for us.
    Polled,
}

impl Growth {
    pub(super) fn watch(&self) -> Option<&Watch> {
        match self {
            Self::Watched(watch) => Some(watch),
            Self::Unwatched | Self::Polled => None,
        }
    }

    pub(super) fn next_look(&self) -> Option<Instant> {
        matches!(self, Self::Polled).then(|| deadline_in(POLL)).flatten()
    }
}

impl Supervisor {
    /// What stops the job before its worker starts: a budget that others have used up.
    pub(super) fn refuse_spent(&self) -> Result<Option<Stop>, SupervisorError> {
        if !self.shares_a_budget() {
            return Ok(None);
        }
        let state = self.store.state()?;
        let spent = state.spent(&self.spec, self.usage.told, Usage::default(), Timestamp::now());
        Ok(spent.map(stop))
    }

    /// What is left of its budgets in dollars, where there is one.
    pub(super) fn usd_left(&self) -> Result<Option<Usd>, SupervisorError> {
        if self.spec.budgets.iter().all(|budget| budget.usd.is_none()) {
            return Ok(None);
        }
        let own = self.finisher().own_usage(self.usage.meter.usage())?.unwrap_or_default();
        let own = [self.usage.earlier(), own].into_iter().sum();
        Ok(self.store.state()?.usd_left(&self.spec, own, Timestamp::now()))
    }

    /// Whether it matters what the worker says before it has ended.
    pub(super) fn is_usage_wanted(&self) -> bool {
        self.usage.is_worker && (self.tries.is_asking || !self.spec.budgets.is_empty())
    }

    /// What wakes us when the worker has said more, where that matters.
    pub(super) fn growth(&self) -> Growth {
        if !self.is_usage_wanted() {
            return Growth::Unwatched;
        }
        let watch =
            Watch::new().and_then(|watch| Ok(watch.add(&self.files.stdout())?.then_some(watch)));
        // A person has 128 of them by default, for all programs together.
        watch.ok().flatten().map_or(Growth::Polled, Growth::Watched)
    }

    /// Looks at what the worker has said more: tells the others what they wait for,
    /// and gives what ends the worker. `is_woken`: somebody else wants us to look.
    pub(super) fn look_at_usage(
        &mut self,
        is_woken: bool,
    ) -> Result<Option<Stop>, SupervisorError> {
        self.usage.meter.read(&self.files.stdout())?;
        if self.tries.is_asking && self.usage.meter.is_answered() {
            self.tell_others();
        }
        if self.spec.budgets.is_empty() {
            return Ok(None);
        }
        // One that has told of nothing yet may not use what others have used up.
        let own = self.finisher().own_usage(self.usage.meter.usage())?.unwrap_or_default();
        let own = own.priced(self.spec.price.as_ref());
        let own = self.usage.whole(Some(own)).unwrap_or(own);
        let more = own.since(self.usage.told);
        if self.spec.budgets.iter().any(|budget| budget.is_a_step(&more)) {
            // On a full disk others are told later; that ends no worker.
            if self.append(&Event::Used(Used { usage: own })).is_ok() {
                self.usage.told = own;
            }
        }
        let stop = self.spent_with(own)?;
        if stop.is_some() && !is_woken {
            self.wake_sharers();
        }
        // Nothing is spared by ending what has done its work.
        Ok(stop.filter(|_| !self.usage.meter.is_over()))
    }

    /// Whether its budget is one of others as well.
    fn shares_a_budget(&self) -> bool {
        self.spec.budgets.iter().any(|budget| budget.of != BudgetOf::Job)
    }

    /// It has ended, and the ledger says with what: where that was the last of a budget,
    /// those who share it look.
    pub(super) fn tell_if_spent(&self) {
        let none = Usage::default();
        if self.shares_a_budget()
            && let Ok(state) = self.store.state()
            && state.spent(&self.spec, none, none, Timestamp::now()).is_some()
        {
            self.wake_sharers();
        }
    }

    /// Has those look whose workers use a budget of which this job has used the last.
    /// One that does not hear of it looks when its own worker says more.
    fn wake_sharers(&self) {
        let Ok(state) = self.store.state() else { return };
        let shared = |job: &&Job| {
            job.spec.budgets.iter().any(|budget| match budget.of {
                BudgetOf::Job => false,
                BudgetOf::Run => job.spec.run == self.spec.run,
                BudgetOf::Day => true,
            })
        };
        let at_work = |job: &&Job| matches!(job.phase, Phase::Starting | Phase::Running);
        let others = state.jobs.values().filter(|job| job.job != self.id && job.is_live());
        for supervisor in others.filter(at_work).filter(shared).filter_map(|job| job.supervisor) {
            let _ = tree::signal(supervisor, signals::REQUEST);
        }
    }

    /// What is used up after a worker that has told in the end that it used `said`, so
    /// that nothing more may be asked.
    pub(super) fn spent(&mut self, said: Option<Usage>) -> Result<Option<Stop>, SupervisorError> {
        // It may have ended before we looked.
        self.usage.read_to_end(&self.files.stdout())?;
        if self.spec.budgets.is_empty() {
            return Ok(None);
        }
        let own = self.finisher().own_usage(said.or(self.usage.meter.usage()))?.unwrap_or_default();
        let own = own.priced(self.spec.price.as_ref());
        let stop = self.spent_with(self.usage.whole(Some(own)).unwrap_or(own))?;
        if stop.is_some() {
            self.wake_sharers();
        }
        Ok(stop)
    }

    fn spent_with(&self, own: Usage) -> Result<Option<Stop>, SupervisorError> {
        let state = if self.shares_a_budget() { self.store.state()? } else { State::new() };
        let (all, untold) =
            ([self.usage.before, own].into_iter().sum(), own.since(self.usage.told));
        Ok(state.spent(&self.spec, all, untold, Timestamp::now()).map(stop))
    }
}

fn stop(spent: Spent) -> Stop {
    Stop { outcome: Outcome::OverBudget, reason: spent.to_string() }
}
