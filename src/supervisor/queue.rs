//! Waiting for other jobs: those that this one comes after, and its turn under
//! `--max-jobs`.
//!
//! Turns are taken in the ledger's order, with no one to hand them out. Who is
//! first in the queue wakes when any running job ends; everyone else blocks on
//! the one before it, so that one end wakes one supervisor and not a thousand.
//! The decision to start is made under the ledger's lock.

use std::collections::BTreeSet;

use super::{Stop, Supervisor, SupervisorError};
use crate::{
    job::{JobId, Outcome},
    ledger::{Event, Job, Phase, State, Waiting},
    process::lock,
};

impl Supervisor {
    /// Returns when the job may start, or what stops it.
    pub(super) fn wait_for_turn(&mut self) -> Result<Option<Stop>, SupervisorError> {
        if !self.spec.after.is_empty() {
            self.append(&Event::Waiting(Waiting { after: self.spec.after.clone() }))?;
            if let Some(stop) = self.wait_for_others()? {
                return Ok(Some(stop));
            }
            if self.spec.max_jobs.is_some() {
                lock::begin_turn_wait(&self.lock)?;
                self.append(&Event::Queued)?;
            } else {
                self.append(&Event::Admitted)?;
            }
        }
        let Some(limit) = self.spec.max_jobs else { return self.check_killed() };
        let mut watched = BTreeSet::new();
        loop {
            if let Some(stop) = self.check_killed()? {
                // Whoever waits for our turn must look again.
                lock::end_turn_wait(&self.lock)?;
                return Ok(Some(stop));
            }
            let blockers = {
                let mut appender = self.store.appender()?;
                let state = appender.state()?;
                let blockers = self.blockers(&state, limit)?;
                if blockers.is_empty() {
                    appender.append(self.id, &Event::Admitted)?;
                    lock::end_turn_wait(&self.lock)?;
                    return Ok(None);
                }
                blockers
            };
            for (id, turn) in blockers {
                if watched.insert((id, turn)) {
                    let path = self.store.job(id).lock();
                    if turn { lock::wake_after_turn(path)? } else { lock::wake_when_free(path)? }
                }
            }
            self.signals.wait(None)?;
        }
    }

    /// Whom to wait for: the nearest one before us in the queue (for its turn,
    /// `true`), or else the running ones, where there are too many.
    fn blockers(&self, state: &State, limit: u64) -> Result<Vec<(JobId, bool)>, SupervisorError> {
        let mut running = Vec::new();
        let mut before = None;
        for job in state.jobs.values().filter(|job| job.is_live() && job.job != self.id) {
            // A dead supervisor holds nobody up.
            if !lock::is_held(&self.store.job(job.job).lock())? {
                continue;
            }
            if job.admitted {
                running.push((job.job, false));
            } else if job.phase == Phase::Queued && job.job < self.id {
                before = Some((job.job, true));
            }
        }
        Ok(match before {
            Some(before) => vec![before],
            None if running.len() as u64 >= limit => running,
            None => Vec::new(),
        })
    }

    fn wait_for_others(&mut self) -> Result<Option<Stop>, SupervisorError> {
        for id in &self.spec.after {
            lock::wake_when_free(self.store.job(*id).lock())?;
        }
        loop {
            if let Some(stop) = self.check_killed()? {
                return Ok(Some(stop));
            }
            let mut waits = false;
            let state = self.store.state()?;
            for id in &self.spec.after {
                let history;
                let job = if let Some(job) = state.jobs.get(id) {
                    Some(job)
                } else {
                    history = self.store.history()?;
                    history.jobs.get(id)
                };
                match job {
                    Some(job) if job.succeeded() => {}
                    Some(job) if job.is_live() && lock::is_held(&self.store.job(*id).lock())? => {
                        waits = true;
                    }
                    other => return Ok(Some(skipped(*id, other))),
                }
            }
            if !waits {
                return Ok(None);
            }
            self.signals.wait(None)?;
        }
    }

    fn check_killed(&mut self) -> Result<Option<Stop>, SupervisorError> {
        let woken = self.signals.poll()?;
        if woken.terminate {
            self.kill = Some(15);
        }
        self.read_requests()?;
        Ok(self.stop_if_killed())
    }
}

fn skipped(id: JobId, job: Option<&Job>) -> Stop {
    let reason = match job {
        Some(job) => match job.outcome() {
            Some(outcome) => format!("it comes after {id} {}, which is {outcome}", job.spec.name),
            None => format!("it comes after {id} {}, which is lost", job.spec.name),
        },
        None => format!("it comes after {id}, which is not in the ledger"),
    };
    Stop { outcome: Outcome::Skipped, reason }
}
