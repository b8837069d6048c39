//! Waiting for other jobs: those that this one comes after, and its turn under
//! `--max-jobs` and in its pools.
//!
//! Turns are taken in the ledger's order, with no one to hand them out; whose turn
//! it is stands in `ledger::turn`. Who is first in the queue of a pool wakes when any
//! job ends that has a turn in it; everyone else blocks on the one before it there,
//! so that one end wakes one supervisor in each queue and not a thousand. The
//! decision to start is made under the ledger's lock. Who gets a turn in one pool and
//! has to wait in the next unlocks the byte of that turn, and the one behind it looks.
//!
//! A supervisor in the queue is no subreaper yet: what recovers a lost job is
//! started by a helper that ends at once, so that it is nobody's child here.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    time::Duration,
};

use super::{Stop, Supervisor, SupervisorError};
use crate::{
    job::{JobId, Outcome},
    ledger::{Event, Job, State, Wait, Waiting},
    process::{
        crash,
        lock::{self, Alarm},
        start,
    },
};

/// How often somebody looks who waits for more jobs than it may have files open.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What may let a queued job go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// This job ends.
    End(JobId),
    /// This job gets this turn of its.
    Turn(JobId, usize),
}

/// What this supervisor has asked to be woken by.
type Alarms = BTreeMap<Cause, Alarm>;

/// What a job that waits has to be woken by.
fn causes(state: &State, wait: &Wait, has_rung: &dyn Fn(&Cause) -> bool) -> Vec<Cause> {
    let Some((id, turn)) = wait.behind else {
        return wait.holders.iter().map(|id| Cause::End(*id)).collect();
    };
    // One that had this turn already has lost it to a job that joined the queue before
    // it: what it gets next is another turn, or its end.
    let last = state.jobs.get(&id).map_or(0, |job| job.spec.turns().len().saturating_sub(1));
    let all = [Cause::Turn(id, turn), Cause::Turn(id, last), Cause::End(id)];
    vec![*all.iter().find(|cause| !has_rung(cause)).unwrap_or(&Cause::End(id))]
}

impl Supervisor {
    /// Returns when the job may start, or what stops it.
    pub(super) fn wait_for_turn(&mut self) -> Result<Option<Stop>, SupervisorError> {
        if !self.spec.after.is_empty() {
            self.append(&Event::Waiting(Waiting { after: self.spec.after.clone() }))?;
            crash::point("waiting");
            if let Some(stop) = self.wait_for_others()? {
                return Ok(Some(stop));
            }
            if self.spec.is_limited() {
                lock::begin_turn_wait(&self.lock, self.spec.turns().len())?;
                self.append(&Event::Queued)?;
                crash::point("queued");
            } else {
                self.append(&Event::Admitted)?;
            }
        }
        if !self.spec.is_limited() {
            return self.check_killed();
        }
        self.take_turns()
    }

    /// Returns when it has got all its turns, or what stops it.
    pub(super) fn take_turns(&mut self) -> Result<Option<Stop>, SupervisorError> {
        let (mut alarms, mut hopeless) = (Alarms::default(), BTreeSet::new());
        loop {
            if let Some(stop) = self.check_killed()? {
                // Whoever waits for our turn looks again when the lock is closed,
                // and not before: we are in the queue until we have ended.
                return Ok(Some(stop));
            }
            let (causes, lost) = {
                let mut appender = self.store.appender()?;
                let state = appender.state()?;
                let (alive, mut lost) = self.living(&state)?;
                lost.retain(|id| !hopeless.contains(id));
                let wait = state.wait_of(self.id, &|id| alive.contains(&id));
                if wait.is_none() && lost.is_empty() {
                    appender.append(self.id, &Event::Admitted)?;
                    crash::point("admitted");
                    lock::end_turn_wait(&self.lock, self.spec.turns().len())?;
                    return Ok(None);
                }
                if let Some(wait) = wait.as_ref().filter(|wait| wait.turn > 0) {
                    lock::end_turn_wait(&self.lock, wait.turn)?;
                    crash::point("turn-got");
                }
                let rung = |cause: &Cause| alarms.get(cause).is_some_and(Alarm::has_rung);
                (wait.map(|wait| causes(&state, &wait, &rung)).unwrap_or_default(), lost)
            };
            if let Some(id) = lost.last() {
                // Its worker may still run, and counts until it has been ended.
                let job = id.0.to_string();
                let args = [self.store.dir().as_os_str(), OsStr::new(&job)];
                if !start::helper(start::RECOVER, &args)? {
                    // What cannot be mended holds nobody up.
                    hopeless.insert(*id);
                }
                continue;
            }
            let mut is_watched = true;
            for cause in causes {
                if alarms.get(&cause).is_some_and(|alarm| !alarm.has_rung()) {
                    continue;
                }
                let alarm = match cause {
                    Cause::End(id) => {
                        lock::wake_when_free(&self.store.job(id).lock(), alarms.len())
                    }
                    Cause::Turn(id, turn) => {
                        lock::wake_after_turn(&self.store.job(id).lock(), turn)
                    }
                };
                match alarm {
                    Ok(alarm) => drop(alarms.insert(cause, alarm)),
                    // So many at once cannot be waited for.
                    Err(_) => is_watched = false,
                }
            }
            let again = if is_watched { None } else { lock::deadline_in(LOOK_AGAIN) };
            self.signals.wait(again)?;
        }
    }

    /// The jobs whose supervisors are alive, and those that were admitted and whose
    /// are dead: under the ledger's lock nothing ends properly, so a free lock says
    /// that.
    fn living(&self, state: &State) -> Result<(BTreeSet<JobId>, Vec<JobId>), SupervisorError> {
        let (mut alive, mut lost) = (BTreeSet::new(), Vec::new());
        for job in state.jobs.values().filter(|job| job.is_live() && job.job != self.id) {
            if lock::is_held(&self.store.job(job.job).lock())? {
                alive.insert(job.job);
            } else if job.admitted {
                // One that was never admitted has no worker.
                lost.push(job.job);
            }
        }
        Ok((alive, lost))
    }

    fn wait_for_others(&mut self) -> Result<Option<Stop>, SupervisorError> {
        for (others, id) in self.spec.after.iter().enumerate() {
            lock::wake_when_free(&self.store.job(*id).lock(), others)?;
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

#[cfg(test)]
mod tests;
