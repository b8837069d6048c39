//! Waiting for other jobs: those that this one comes after, and its turn under
//! `--max-jobs`.
//!
//! Turns are taken in the ledger's order, with no one to hand them out. Who is
//! first in the queue wakes when any running job ends; everyone else blocks on
//! the one before it, so that one end wakes one supervisor and not a thousand.
//! The decision to start is made under the ledger's lock.
//!
//! A supervisor in the queue is no subreaper yet: what recovers a lost job is
//! started by a helper that ends at once, so that it is nobody's child here.

use std::{collections::BTreeSet, ffi::OsStr};

use super::{Stop, Supervisor, SupervisorError};
use crate::{
    job::{JobId, Outcome},
    ledger::{Event, Job, Phase, State, Waiting},
    process::{crash, lock, start},
};

/// Whom to wait for, and whose supervisors are dead.
type Blockers = (Vec<(JobId, bool)>, Vec<JobId>);

impl Supervisor {
    /// Returns when the job may start, or what stops it.
    pub(super) fn wait_for_turn(&mut self) -> Result<Option<Stop>, SupervisorError> {
        if !self.spec.after.is_empty() {
            self.append(&Event::Waiting(Waiting { after: self.spec.after.clone() }))?;
            crash::point("waiting");
            if let Some(stop) = self.wait_for_others()? {
                return Ok(Some(stop));
            }
            if self.spec.max_jobs.is_some() {
                lock::begin_turn_wait(&self.lock)?;
                self.append(&Event::Queued)?;
                crash::point("queued");
            } else {
                self.append(&Event::Admitted)?;
            }
        }
        let Some(limit) = self.spec.max_jobs else { return self.check_killed() };
        let (mut watched, mut hopeless) = (BTreeSet::new(), BTreeSet::new());
        loop {
            if let Some(stop) = self.check_killed()? {
                // Whoever waits for our turn looks again when the lock is closed,
                // and not before: we are in the queue until we have ended.
                return Ok(Some(stop));
            }
            let (blockers, mut lost) = {
                let mut appender = self.store.appender()?;
                let state = appender.state()?;
                let (blockers, mut lost) = self.blockers(&state, limit)?;
                lost.retain(|id| !hopeless.contains(id));
                if blockers.is_empty() && lost.is_empty() {
                    appender.append(self.id, &Event::Admitted)?;
                    crash::point("admitted");
                    lock::end_turn_wait(&self.lock)?;
                    return Ok(None);
                }
                (blockers, lost)
            };
            if let Some(id) = lost.pop() {
                // Its worker may still run, and counts until it has been ended.
                watched.remove(&(id, false));
                let job = id.0.to_string();
                let args = [self.store.dir().as_os_str(), OsStr::new(&job)];
                if !start::helper(start::RECOVER, &args)? {
                    // What cannot be mended holds nobody up.
                    hopeless.insert(id);
                }
                continue;
            }
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
    /// `true`), or else the running ones, where there are too many. And the ones
    /// whose supervisors are dead: under the ledger's lock nothing ends properly,
    /// so a free lock says that.
    fn blockers(&self, state: &State, limit: u64) -> Result<Blockers, SupervisorError> {
        let mut running = Vec::new();
        let mut before = None;
        let mut lost = Vec::new();
        for job in state.jobs.values().filter(|job| job.is_live() && job.job != self.id) {
            if !lock::is_held(&self.store.job(job.job).lock())? {
                // One that was never admitted has no worker.
                if job.admitted {
                    lost.push(job.job);
                }
                continue;
            }
            if job.admitted {
                running.push((job.job, false));
            } else if job.phase == Phase::Queued && job.job < self.id {
                before = Some((job.job, true));
            }
        }
        let blockers = match before {
            Some(before) => vec![before],
            None if running.len() as u64 >= limit => running,
            None => Vec::new(),
        };
        Ok((blockers, lost))
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
            // The locks before the ledger: a lock that was free before a job was
            // seen to live is no end that came in between.
            let held = |id: &JobId| lock::is_held(&self.store.job(*id).lock());
            let held = self.spec.after.iter().map(held).collect::<Result<Vec<_>, _>>()?;
            let state = self.store.state()?;
            for (id, held) in self.spec.after.iter().zip(held) {
                let history;
                let job = if let Some(job) = state.jobs.get(id) {
                    Some(job)
                } else {
                    history = self.store.history()?;
                    history.jobs.get(id)
                };
                match job {
                    Some(job) if job.succeeded() => {}
                    Some(job) if job.is_live() && held => waits = true,
                    other => return Ok(Some(skipped(*id, other))),
                }
            }
            if !waits {
                return Ok(None);
            }
            self.signals.wait(None)?;
        }
    }

    pub(super) fn check_killed(&mut self) -> Result<Option<Stop>, SupervisorError> {
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
