//! Folding the lines of runs. As with jobs it is pure: a record goes in, the state
//! moves on.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    event::{Event, Record},
    run::{RunEnded, RunStarted, TaskSkipped},
    usage::Tally,
};
use crate::job::ProcessRef;

/// A run as the ledger tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What was decided when it was started; tasks and revision are the current
    /// ones.
    pub spec: RunStarted,
    /// Its place among the runs of this ledger, from 1.
    pub order: u64,
    /// When it was started.
    pub started_at: Timestamp,
    /// The last process that had its lock. Whether it still has it is for the
    /// lock to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<ProcessRef>,
    /// What stops it, once something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<String>,
    /// Tasks that were not run, by id. Empty once the run has ended: its summary
    /// has them then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, TaskSkipped>,
    /// What its jobs have used.
    #[serde(default)]
    pub used: Tally,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<RunEnded>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How long it was worked on before `since`, milliseconds.
    pub worked_ms: i64,
    /// Since when it is worked on, unless it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The last sign of life of it, or of a job of it.
    pub seen_at: Timestamp,
}

impl Run {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.spec.run
    }

    /// Whether it is not over: somebody runs it, or it was interrupted.
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// How long it was worked on in all, without the pauses before it was taken up
    /// again. `now` is for one that is being worked on.
    pub fn worked(&self, now: Option<Timestamp>) -> Duration {
        let until = now.unwrap_or(self.seen_at);
        let last = self.since.map_or(0, |since| until.duration_since(since).as_millis());
        let millis = i128::from(self.worked_ms) + last.max(0);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }

    /// What has been worked on since it was begun or taken up is over, or was cut short.
    fn pause(&mut self, until: Timestamp) {
        if let Some(since) = self.since.take() {
            let worked = until.duration_since(since).as_millis();
            self.worked_ms += i64::try_from(worked.max(0)).unwrap_or_default();
        }
    }
}

/// Folds a run's line into `runs`. Lines of a run that nobody has started say
/// nothing.
pub(super) fn fold(runs: &mut BTreeMap<String, Run>, record: Record) {
    let at = record.at;
    let of = |runs: &mut BTreeMap<String, Run>, run: &str, change: &dyn Fn(&mut Run)| {
        if let Some(run) = runs.get_mut(run) {
            change(run);
            run.seen_at = at;
        }
    };
    match record.event {
        Event::RunStarted(spec) => {
            let order = runs.values().map(|run| run.order).max().unwrap_or_default() + 1;
            runs.entry(spec.run.clone()).or_insert_with(|| Run {
                spec,
                order,
                started_at: at,
                runner: None,
                stopping: None,
                skipped: BTreeMap::new(),
                used: Tally::default(),
                ended: None,
                ended_at: None,
                worked_ms: 0,
                since: Some(at),
                seen_at: at,
            });
        }
        Event::RunRunning(running) => of(runs, &running.run, &|run| {
            run.runner = Some(running.runner);
            if running.resumed {
                run.pause(run.seen_at);
                run.since = Some(at);
            }
            // Whoever takes it up again begins anew with what did not succeed.
            run.stopping = None;
            run.skipped.clear();
            (run.ended, run.ended_at) = (None, None);
        }),
        Event::RunRevised(revised) => of(runs, &revised.run, &|run| {
            run.spec.revision = revised.revision;
            run.spec.tasks = revised.tasks;
        }),
        Event::TaskSkipped(skipped) => of(runs, &skipped.run, &|run| {
            run.skipped.insert(skipped.task.clone(), skipped.clone());
        }),
        Event::RunStopping(stopping) => of(runs, &stopping.run, &|run| {
            run.stopping = Some(stopping.by.clone());
        }),
        Event::RunEnded(ended) => of(runs, &ended.run, &|run| {
            run.ended = Some(ended.clone());
            run.ended_at = Some(at);
            run.pause(at);
            run.skipped.clear();
        }),
        _ => {}
    }
}

/// Forgets ended runs but for the last `keep` of all.
pub(super) fn prune(runs: &mut BTreeMap<String, Run>, keep: usize) {
    let mut orders: Vec<u64> = runs.values().map(|run| run.order).collect();
    orders.sort_unstable();
    let from = orders.len().checked_sub(keep).and_then(|at| orders.get(at)).copied().unwrap_or(0);
    runs.retain(|_, run| run.is_open() || run.order >= from);
}
