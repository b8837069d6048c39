//! Budgets: what the worker has used so far, from its events as they come, and whether
//! that, with what others have used, is too much.
//!
//! Each supervisor says now and then in the ledger how much its worker has used
//! (`used`), and sees there what the others have. So what N workers use beyond a
//! budget that they share is at most what each of them has under way, and the 64th of
//! the budget that each may not have told of yet.

use jiff::Timestamp;

use super::{Stop, Supervisor, SupervisorError};
use crate::{
    backend::{Backend, Meter},
    job::{BudgetOf, Outcome, Spent, Usage, Usd},
    ledger::{Event, State, Used},
    process::watch::Watch,
};

/// What the worker uses, as it runs.
#[derive(Debug)]
pub(super) struct Running {
    meter: Meter,
    /// What the ledger knows of.
    told: Usage,
    /// What runs is the worker, and not a step around it.
    pub(super) is_worker: bool,
}

impl Running {
    pub(super) fn new(backend: &Backend) -> Self {
        Self { meter: Meter::new(backend), told: Usage::default(), is_worker: false }
    }

    /// A worker goes on whose model has been refused.
    pub(super) fn forget_answers(&mut self) {
        self.meter.forget_answers();
    }
}

impl Supervisor {
    /// What stops the job before its worker starts: a budget that others have used up.
    pub(super) fn refuse_spent(&self) -> Result<Option<Stop>, SupervisorError> {
        if self.spec.budgets.iter().all(|budget| budget.of == BudgetOf::Job) {
            return Ok(None);
        }
        let spent =
            self.store.state()?.spent(&self.spec, Some(self.id), self.usage.told, Timestamp::now());
        Ok(spent.map(stop))
    }

    /// What is left of its budgets in dollars, where there is one.
    pub(super) fn usd_left(&self) -> Result<Option<Usd>, SupervisorError> {
        if self.spec.budgets.iter().all(|budget| budget.usd.is_none()) {
            return Ok(None);
        }
        let own = self.finisher().own_usage(self.usage.meter.usage())?.unwrap_or_default();
        Ok(self.store.state()?.usd_left(&self.spec, own, Timestamp::now()))
    }

    /// What wakes us where it matters what the worker says.
    pub(super) fn growth(&self) -> Result<Option<Watch>, SupervisorError> {
        if !self.usage.is_worker || (self.spec.budgets.is_empty() && !self.tries.is_asking) {
            return Ok(None);
        }
        let watch = Watch::new()?;
        watch.add(&self.files.stdout())?;
        Ok(Some(watch))
    }

    /// Looks at what the worker has said more: tells the others what they wait for,
    /// and gives what ends the worker.
    pub(super) fn look_at_usage(&mut self) -> Result<Option<Stop>, SupervisorError> {
        self.usage.meter.read(&self.files.stdout())?;
        if self.tries.is_asking && self.usage.meter.is_answered() {
            self.tell_others()?;
        }
        if self.spec.budgets.is_empty() {
            return Ok(None);
        }
        let Some(own) = self.finisher().own_usage(self.usage.meter.usage())? else {
            return Ok(None);
        };
        let own = own.priced(self.spec.price.as_ref());
        let more = own.since(self.usage.told);
        if self.spec.budgets.iter().any(|budget| budget.is_a_step(&more)) {
            self.append(&Event::Used(Used { usage: own }))?;
            self.usage.told = own;
        }
        if self.usage.meter.is_over() {
            // Nothing is spared by ending what has done its work.
            return Ok(None);
        }
        let is_own = self.spec.budgets.iter().all(|budget| budget.of == BudgetOf::Job);
        let state = if is_own { State::new() } else { self.store.state()? };
        Ok(state.spent(&self.spec, Some(self.id), own, Timestamp::now()).map(stop))
    }
}

fn stop(spent: Spent) -> Stop {
    Stop { outcome: Outcome::OverBudget, reason: spent.to_string() }
}
