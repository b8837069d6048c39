//! Jobs on hold: the model's service has refused for rate or quota, and they wait
//! until it may be asked again.
//!
//! The jobs of one backend share one [`Clock`], folded from the ledger. When its
//! time has come, the first of them asks, and the others wait for how that goes:
//! refused again, the clock is put back for all; answered, they follow one after
//! the other. So no number of workers knocks at once, and nobody hands out turns.
//!
//! Pure. A job that dies while it asks holds up the others no longer than [`PROBE`].

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fold::{Job, State};
use super::phase::Phase;
use crate::job::JobId;

/// How long the others wait for the one that asks, where they do not hear of it.
const PROBE: Duration = Duration::from_mins(2);

/// From one to the next, once the service answers again.
const GAP: Duration = Duration::from_secs(2);

/// [`Event::OnHold`](super::Event::OnHold).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnHold {
    /// When the service is asked again, at the earliest.
    pub until: Timestamp,
    /// What it has refused with, or who was refused.
    pub reason: String,
    /// How often this job was refused by now; 0 where it was another that was.
    pub refused: u64,
    /// The conversation that it goes on in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
}

/// How long and how often a job may be on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldLimits {
    /// In all, milliseconds.
    pub max_ms: u64,
    /// How many times.
    pub times: u64,
}

/// When the jobs of one backend may ask again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Not before this.
    pub until: Timestamp,
    /// Who asks for all of them, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<(JobId, Timestamp)>,
    /// Since when the service answers again, or when the last one followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Timestamp>,
}

/// The clocks, by backend.
pub(super) type Clocks = BTreeMap<String, Clock>;

/// A job has been put on hold.
pub(super) fn fold_hold(clocks: &mut Clocks, job: &Job, hold: &OnHold) {
    let clock = clocks.entry(job.spec.backend.as_str().to_owned()).or_insert(Clock {
        until: hold.until,
        probe: None,
        open: None,
    });
    if clock.open.take().is_some() {
        clock.until = hold.until;
    }
    clock.until = clock.until.max(hold.until);
    clock.probe = clock.probe.filter(|(probe, _)| *probe != job.job);
}

/// A job has left its hold: to ask, or to follow.
pub(super) fn fold_leave(clocks: &mut Clocks, job: &Job, at: Timestamp) {
    let Some(clock) = clocks.get_mut(job.spec.backend.as_str()) else { return };
    match &mut clock.open {
        Some(open) => *open = at,
        None => clock.probe = Some((job.job, at)),
    }
}

/// The service answers, as this job has seen.
pub(super) fn fold_over(clocks: &mut Clocks, job: &Job, at: Timestamp) {
    if let Some(clock) = clocks.get_mut(job.spec.backend.as_str()) {
        clock.open.get_or_insert(at);
        clock.probe = None;
    }
}

/// A job has ended: if it was the one that asked, another does.
pub(super) fn fold_end(clocks: &mut Clocks, job: &Job) {
    if let Some(clock) = clocks.get_mut(job.spec.backend.as_str()) {
        clock.probe = clock.probe.filter(|(probe, _)| *probe != job.job);
    }
}

impl State {
    /// Jobs on hold with the same clock as `backend`'s, the first one first.
    pub fn on_hold<'a>(&'a self, backend: &'a str) -> impl Iterator<Item = &'a Job> {
        let of_it = move |job: &&Job| job.spec.backend.as_str() == backend;
        self.jobs.values().filter(|job| job.phase == Phase::OnHold).filter(of_it)
    }

    /// Whether a new job of this backend should wait with those on hold, and until
    /// when. Where nobody is on hold any more, somebody has to find out.
    pub fn is_closed(
        &self,
        backend: &str,
        is_alive: &dyn Fn(JobId) -> bool,
    ) -> Option<(JobId, Timestamp)> {
        let clock = self.clocks.get(backend).filter(|clock| clock.open.is_none())?;
        let probe = clock.probe.map(|(probe, _)| probe);
        let held = self.on_hold(backend).map(|job| job.job);
        let who = held.chain(probe).find(|job| is_alive(*job))?;
        Some((who, clock.until))
    }

    /// When the job, which is on hold, may ask; none for now. That is when it has to
    /// look again: others may have changed it by then.
    pub fn may_ask(
        &self,
        id: JobId,
        now: Timestamp,
        is_alive: &dyn Fn(JobId) -> bool,
    ) -> Option<Timestamp> {
        let backend = self.jobs.get(&id)?.spec.backend.as_str();
        let clock = self.clocks.get(backend)?;
        let alive = self.on_hold(backend).filter(|job| job.job == id || is_alive(job.job));
        let rank = alive.take_while(|job| job.job != id).count();
        let gaps = GAP.saturating_mul(u32::try_from(rank).unwrap_or(u32::MAX));
        let at = match (clock.open, clock.probe) {
            (Some(open), _) => plus(open, gaps + GAP),
            (None, Some((probe, since))) if is_alive(probe) && now < plus(since, PROBE) => {
                plus(since, PROBE + gaps)
            }
            _ => plus(clock.until, gaps),
        };
        (now < at).then_some(at)
    }
}

fn plus(at: Timestamp, more: Duration) -> Timestamp {
    at.checked_add(more).unwrap_or(Timestamp::MAX)
}
