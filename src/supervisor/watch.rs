//! While a worker runs: its end, its limits, and requests from other shells.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use super::{KILL, Stop, Supervisor, SupervisorError, TERM, budget::Growth};
use crate::{
    job::{Outcome, WorkerExit},
    process::{ending, signals, worker::Worker},
    ui,
};

/// How a process that was watched came to its end.
pub(super) struct Watched {
    /// How its first process ended.
    pub(super) exit: Option<WorkerExit>,
    /// What we did to it, if we ended it.
    pub(super) stop: Option<Stop>,
    /// Processes that outlived it and were ended.
    pub(super) stragglers: u64,
    /// How long it ran.
    pub(super) ran: Duration,
}

impl Supervisor {
    /// Watches `worker` until nothing of it runs any more. `outputs` are the
    /// files whose growth counts against the no-output limit.
    pub(super) fn watch(
        &mut self,
        mut worker: Worker,
        outputs: &[&Path],
    ) -> Result<Watched, SupervisorError> {
        let begun = worker.begun();
        let begun_clock = SystemTime::now();
        let millis = |ms: Option<u64>| ms.map(Duration::from_millis);
        let (timeout, silence) = (millis(self.spec.timeout_ms), millis(self.spec.silence_ms));
        // What counts is the time that its workers ran, and not that on hold.
        let before = if self.usage.is_worker { self.tries.ran } else { Duration::ZERO };
        let left_of = |timeout: Duration| timeout.saturating_sub(before);
        let end = timeout.and_then(|timeout| begun.checked_add(left_of(timeout)));
        let mut growth = self.growth();
        let mut is_new = !matches!(growth, Growth::Unwatched);
        let mut is_woken = false;
        let mut look_again = silence.and_then(|silence| begun.checked_add(silence));
        let mut left;
        let mut stop = loop {
            left = self.reap(&mut worker)?;
            if worker.exit().is_some() {
                break None;
            }
            if let Some(signal) = self.kill {
                let name = signals::name(signal);
                break Some(Stop { outcome: Outcome::Killed, reason: format!("ended by {name}") });
            }
            if std::mem::take(&mut is_new) {
                if let Some(stop) = self.look_at_usage(std::mem::take(&mut is_woken))? {
                    break Some(stop);
                }
                if !self.is_usage_wanted() {
                    growth = Growth::Unwatched;
                }
            }
            let now = Instant::now();
            if let (Some(timeout), true) = (timeout, end.is_some_and(|end| now >= end)) {
                let reason = format!("its time limit of {} ran out", ui::short(timeout));
                break Some(Stop { outcome: Outcome::TimedOut, reason });
            }
            if let (Some(silence), true) = (silence, look_again.is_some_and(|look| now >= look)) {
                let quiet = quiet_for(outputs, begun_clock);
                if quiet >= silence {
                    let reason = format!("it wrote nothing for {}", ui::short(silence));
                    break Some(Stop { outcome: Outcome::Silent, reason });
                }
                look_again = now.checked_add(silence.saturating_sub(quiet));
            }
            self.checkpoint()?;
            let due = self.checkpoints.as_ref().and_then(|points| points.next);
            let next = [end, look_again, due, growth.next_look()].into_iter().flatten().min();
            let woken = self.signals.wait_or_watch(next, growth.watch())?;
            is_new = woken.written || matches!(growth, Growth::Polled);
            if woken.terminate {
                self.kill = Some(TERM);
            }
            if woken.request {
                self.read_requests()?;
                // It may be that others have used up what it may use.
                is_woken = !is_new;
                is_new |= self.is_usage_wanted();
            }
        };
        let ran = begun.elapsed();
        let had_ended = worker.exit().is_some();
        self.end_checkpoint(&mut worker)?;
        let grace = Duration::from_millis(self.spec.grace_ms);
        // Kill is not asked again, and has no grace.
        let (first, grace) = match (&stop, self.kill) {
            (Some(Stop { outcome: Outcome::Killed, .. }), Some(KILL)) => (KILL, Duration::ZERO),
            (Some(Stop { outcome: Outcome::Killed, .. }), Some(signal)) => (signal, grace),
            _ => (TERM, grace),
        };
        let mut stragglers = 0;
        if left {
            let (requests, id) = (&mut self.requests, self.id);
            // Whoever asks for KILL does not want to wait for the grace time. A
            // ledger that cannot be read just now is no reason to end nothing.
            let mut hurry =
                || super::requested(requests, id).is_ok_and(|signals| signals.contains(&KILL));
            let signals = &mut self.signals;
            stragglers =
                ending::end_descendants(Some(&mut worker), signals, first, grace, &mut hurry)?;
        }
        if let Some(Stop { outcome: Outcome::Killed, reason }) = &mut stop
            && first != KILL
            && worker.exit() == Some(WorkerExit::Signal(KILL))
        {
            reason.push_str(", then by KILL");
        }
        // A worker that had done its work by then was not ended by us: which of the two
        // came first is chance, and nothing is spared by calling it ended.
        if worker.exit() == Some(WorkerExit::Code(0)) {
            stop = stop.filter(|stop| stop.outcome != Outcome::OverBudget);
        }
        Ok(Watched {
            exit: worker.exit(),
            stop,
            stragglers: if had_ended { stragglers } else { 0 },
            ran,
        })
    }
}

/// How long none of `outputs` has been written to; from `begun` on where none
/// ever was.
fn quiet_for(outputs: &[&Path], begun: SystemTime) -> Duration {
    let written = |path: &&Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let last = outputs.iter().filter_map(written).fold(begun, SystemTime::max);
    // A clock that was set back must not end a worker.
    SystemTime::now().duration_since(last).unwrap_or_default()
}
