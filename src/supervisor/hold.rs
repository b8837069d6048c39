//! On hold: the model's service has refused for rate, quota or overload. The job gives
//! its turns back, waits until it may ask again, waits for its turns once more, and
//! goes on in its conversation.
//!
//! When it may ask stands in `ledger::hold`: all jobs of one backend have one clock,
//! one of them asks first, and a job that has not begun yet waits with them. Whoever
//! changes that wakes the others; a supervisor that dies wakes nobody, so all look
//! again by themselves at the time that the ledger gives them.
//!
//! Holding, a supervisor is no subreaper: what recovers a lost job is nobody's child.
//!
//! # What a crash leaves
//! A lost job like any other. What its worker has done is in its files and is kept.

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, Zoned};

use super::{Stop, Supervisor, SupervisorError, finish::Ended};
use crate::{
    backend::{self, Refusal, Verdict},
    job::{JobId, Outcome},
    ledger::{Event, OnHold, State, Store},
    process::{crash, ending, lock, signals, tree},
    ui,
};

/// How long a job is on hold where the service does not say; twice that the next time.
const FIRST: Duration = Duration::from_mins(1);

/// The longest that it grows to.
const LONGEST: Duration = Duration::from_mins(15);

/// How long a supervisor sleeps at most: a machine that was suspended has another time
/// than its supervisors think.
const LOOK_AGAIN: Duration = Duration::from_mins(5);

/// What a worker is told that takes its conversation up again.
const GO_ON: &str = "The model's service was not available for a while, and is again. \
                     Go on with your task from where you stood.\n";

/// A job's tries so far.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// How often the service has refused.
    refused: u64,
    /// How long it was on hold.
    held: Duration,
    /// How long its workers ran.
    pub(super) ran: Duration,
    /// The conversation to go on in, where a worker has run already and has one.
    pub(super) thread: Option<String>,
    /// What the next worker is told, where that is not to go on.
    pub(super) prompt: Option<PathBuf>,
    /// Its answer did not fit, and it was asked once more.
    pub(super) asked_again: bool,
    /// How long its stdout was when its last worker began.
    pub(super) began_at: u64,
    /// It was on hold, and others may wait for how it fares.
    pub(super) was_held: bool,
    /// It asks for others: they have not been told yet that the service answers.
    pub(super) is_asking: bool,
}

impl Tries {
    /// Whether a worker ran already.
    pub(super) fn has_run(&self) -> bool {
        self.refused > 0 || self.asked_again
    }
}

/// What comes after a worker has ended.
pub(super) enum Next {
    /// Another worker, which goes on.
    GoOn,
    /// Nothing.
    Ended(Box<Ended>),
}

impl Supervisor {
    /// Returns when the job may begin, or what stops it.
    pub(super) fn wait_to_begin(&mut self) -> Result<Option<Stop>, SupervisorError> {
        if let Some(stop) = self.wait_for_turn()? {
            return Ok(Some(stop));
        }
        if self.spec.hold.is_some() {
            let (state, store) = (self.store.state()?, self.store.clone());
            let backend = self.spec.backend.as_str();
            let alive = |id| id != self.id && is_alive(&store, id);
            let others = self.spec.fallbacks.iter().map(|fallback| fallback.backend);
            let mut open = others.filter(|other| state.is_closed(other.as_str(), &alive).is_none());
            let closed = state.is_closed(backend, &alive);
            if let (Some((who, _)), Some(other)) = (closed, open.next()) {
                self.pass_over(other, who)?;
            } else if let Some((who, until)) = closed
                && !self.is_too_long(until)
            {
                let reason = format!("{backend} has refused {who}");
                let hold = OnHold { until, reason, refused: 0, thread: None };
                if let Some(stop) = self.hold(hold)? {
                    return Ok(Some(stop));
                }
            }
        }
        self.refuse_spent()
    }

    /// Makes room for what the next worker says. One that goes on in a conversation adds to
    /// the stream of the one before it, where a program says in there that it begins once
    /// more; otherwise nothing of that one is to be kept.
    pub(super) fn begin_try(&mut self) -> Result<(), SupervisorError> {
        if !self.tries.has_run() {
            return Ok(());
        }
        let (stdout, stderr, answer) =
            (self.files.stdout(), self.files.stderr(), self.files.answer());
        let goes_on = self.tries.thread.is_some();
        let old = if goes_on && backend::says_when_it_begins(&self.backend) {
            vec![answer]
        } else {
            // What it used was used all the same, unless it says so again.
            self.usage.read_to_end(&stdout)?;
            let used = self.usage.said(self.spec.price.as_ref());
            let is_said_again = goes_on && backend::counts_whole_thread(&self.backend);
            self.usage.begin_anew(&self.backend, used.filter(|_| !is_said_again));
            vec![stdout, stderr, answer]
        };
        for path in old {
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        self.tries.began_at = fs::metadata(self.files.stdout()).map_or(0, |meta| meta.len());
        Ok(())
    }

    /// What comes after a worker. One that the service has refused goes on, once that
    /// may be asked again.
    pub(super) fn wait_to_go_on(&mut self, mut ended: Ended) -> Result<Next, SupervisorError> {
        self.tries.ran = ended.ran_so_far();
        if (self.spec.hold.is_none() && !self.spec.schema) || ended.was_stopped() {
            return Ok(Next::Ended(Box::new(ended)));
        }
        let mut verdict = self.finisher().judge(&ended)?;
        if self.ask_again(&verdict)? {
            return Ok(Next::GoOn);
        }
        if verdict.outcome != Outcome::RateLimited {
            ended.verdict = Some(verdict);
            return Ok(Next::Ended(Box::new(ended)));
        }
        // Nobody waits for what may not be used any more.
        let mut stop = self.spent(verdict.usage)?;
        if stop.is_none() {
            let Some(hold) = self.refusal(&mut verdict)? else {
                ended.verdict = Some(verdict);
                return Ok(Next::Ended(Box::new(ended)));
            };
            stop = self.hold(hold)?;
            ending::become_subreaper()?;
        }
        if stop.is_none() {
            // Others may have used it up meanwhile.
            stop = self.spent(verdict.usage)?;
        }
        let Some(stop) = stop else { return Ok(Next::GoOn) };
        ended.stop_between(stop);
        Ok(Next::Ended(Box::new(ended)))
    }

    /// Until when the job is on hold after this refusal; not at all where no waiting
    /// helps, which the verdict says then.
    fn refusal(&mut self, verdict: &mut Verdict) -> Result<Option<OnHold>, SupervisorError> {
        let Some(limits) = self.spec.hold else { return Ok(None) };
        self.tries.refused += 1;
        let said = verdict.reason.clone().unwrap_or_default();
        let why_not = |verdict: &mut Verdict, why: &str| {
            verdict.reason = Some(format!("{said}; {why}"));
            Ok(None)
        };
        let wrote = fs::metadata(self.files.stdout()).map_or(0, |meta| meta.len());
        if self.tries.thread.is_some() && wrote <= self.tries.began_at {
            verdict.outcome = Outcome::Failed;
            return why_not(verdict, "after its hold its worker ended without a word");
        }
        if self.tries.refused > limits.times {
            let times = match limits.times {
                1 => "once".to_owned(),
                times => format!("{times} times"),
            };
            return why_not(verdict, &format!("it was on hold {times}, and no more"));
        }
        let now = Zoned::now();
        let until = match verdict.resets.map_or_else(|| Refusal::of(&said, &now), Refusal::Until) {
            Refusal::ForGood => return Ok(None),
            Refusal::Until(at) => at.max(now.timestamp()),
            Refusal::ForNow => plus(now.timestamp(), back_off(self.tries.refused)),
        };
        let until = forced().map_or_else(
            || self.with_jitter(now.timestamp(), until),
            |forced| plus(now.timestamp(), forced),
        );
        if self.is_too_long(until) {
            let (at, longest) =
                (ui::clock_to_the_minute(until), ui::short(Duration::from_millis(limits.max_ms)));
            let why = format!(
                "it would be on hold until {at}, and with that longer than the {longest} that hold.longest allows"
            );
            return why_not(verdict, &why);
        }
        self.tries.thread.clone_from(&verdict.thread_id);
        self.tries.prompt = None;
        if self.tries.thread.is_some() {
            self.files.replace(&self.files.going_on(), GO_ON.as_bytes())?;
        }
        let thread = self.tries.thread.clone();
        Ok(Some(OnHold { until, reason: said, refused: self.tries.refused, thread }))
    }

    /// Whether a hold until then is longer than the job may wait in all.
    fn is_too_long(&self, until: Timestamp) -> bool {
        let max = self.spec.hold.map_or(Duration::ZERO, |hold| Duration::from_millis(hold.max_ms));
        self.tries.held + from_now(until) > max
    }

    /// A little later, by up to a fifth and at most a minute: others may ask at the same
    /// time, for other repositories and on other machines.
    fn with_jitter(&self, now: Timestamp, until: Timestamp) -> Timestamp {
        let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        let most = (wait / 5).clamp(Duration::from_secs(2), Duration::from_mins(1));
        let turn = u32::try_from(self.tries.refused % 64).unwrap_or_default();
        let random = u64::from_str_radix(&self.spec.id, 16).unwrap_or_default().rotate_left(turn);
        let part = u32::try_from(random % 1000).unwrap_or_default();
        plus(until, most * part / 1000)
    }

    /// Waits on hold, and then for its turns. What stops the job meanwhile.
    fn hold(&mut self, hold: OnHold) -> Result<Option<Stop>, SupervisorError> {
        let begun = Instant::now();
        ending::cease_to_be_subreaper()?;
        self.tries.was_held = true;
        self.go_on = false;
        self.give_back(hold)?;
        crash::point("on-hold");
        let stop = self.wait_on_hold();
        self.tries.held += begun.elapsed();
        if let Some(stop) = stop? {
            return Ok(Some(stop));
        }
        crash::point("hold-left");
        self.usage.forget_answers();
        if self.spec.is_limited() { self.take_turns() } else { self.check_killed() }
    }

    /// Says that it is on hold, and has those look who waited for its turns.
    fn give_back(&mut self, hold: OnHold) -> Result<(), SupervisorError> {
        let waiting: Vec<_> = {
            let mut appender = self.store.appender()?;
            let state = appender.state()?;
            appender.append(self.id, &Event::OnHold(hold))?;
            let waits = state.waits().into_iter().filter(|(_, wait)| wait.behind.is_none());
            let mine = waits.filter(|(_, wait)| wait.holders.contains(&self.id));
            mine.filter_map(|(id, _)| state.jobs.get(&id)?.supervisor).collect()
        };
        for supervisor in waiting {
            let _ = tree::signal(supervisor, signals::REQUEST);
        }
        Ok(())
    }

    /// Returns once it has left its hold, and the ledger says so.
    fn wait_on_hold(&mut self) -> Result<Option<Stop>, SupervisorError> {
        loop {
            if let Some(stop) = self.check_killed()? {
                return Ok(Some(stop));
            }
            let is_told = std::mem::take(&mut self.go_on);
            let next = self.leave_if_it_may(is_told)?;
            if is_told {
                wake_others(&self.store, self.spec.backend.as_str());
            }
            let Some(at) = next else { return Ok(None) };
            self.signals.wait(lock::deadline_in(from_now(at).min(LOOK_AGAIN)))?;
        }
    }

    /// Leaves its hold, if it may or `is_told` to; otherwise when to look again. Under
    /// the ledger's lock, so that no two leave at once.
    fn leave_if_it_may(&mut self, is_told: bool) -> Result<Option<Timestamp>, SupervisorError> {
        let mut appender = self.store.appender()?;
        if is_told {
            appender.append(self.id, &Event::HoldOver)?;
        }
        let state = appender.state()?;
        let next = state.may_ask(self.id, Timestamp::now(), &|id| is_alive(&self.store, id));
        let clock = state.clocks.get(self.spec.backend.as_str());
        let is_closed = clock.is_some_and(|clock| clock.open.is_none());
        let Some(at) = next.filter(|_| !is_told) else {
            self.tries.is_asking = is_closed;
            if self.spec.is_limited() {
                lock::begin_turn_wait(&self.lock, self.spec.turns().len())?;
                appender.append(self.id, &Event::Queued)?;
            } else {
                appender.append(self.id, &Event::Admitted)?;
            }
            return Ok(None);
        };
        let until = clock.filter(|_| is_closed).map(|clock| clock.until);
        if let (Some(until), Some((_, mine))) = (until, hold_of(&state, self.id))
            && until > mine.until
        {
            // Somebody else was refused once more: people should see the time that holds.
            let hold = OnHold { until, ..mine.clone() };
            appender.append(self.id, &Event::OnHold(hold))?;
        }
        Ok(Some(at))
    }

    /// The service answers: the others may follow.
    pub(super) fn tell_others(&mut self) {
        // On a full disk they are told later; that ends no worker.
        if self.append(&Event::HoldOver).is_ok() {
            self.tries.is_asking = false;
            wake_others(&self.store, self.spec.backend.as_str());
        }
    }
}

fn hold_of(state: &State, id: JobId) -> Option<&(Timestamp, OnHold)> {
    state.jobs.get(&id)?.hold.as_ref()
}

/// Has the supervisors of jobs on hold look. One that does not hear of it looks by
/// itself later.
pub(super) fn wake_others(store: &Store, backend: &str) {
    let Ok(state) = store.state() else { return };
    for supervisor in state.on_hold(backend).filter_map(|job| job.supervisor) {
        let _ = tree::signal(supervisor, signals::REQUEST);
    }
}

fn is_alive(store: &Store, id: JobId) -> bool {
    lock::is_held(&store.job(id).lock()).unwrap_or_default()
}

/// How long a job is on hold after so many refusals that did not say.
fn back_off(refused: u64) -> Duration {
    let doubled = u32::try_from(refused.saturating_sub(1)).unwrap_or(u32::MAX).min(8);
    FIRST.saturating_mul(1 << doubled).min(LONGEST)
}

/// How long it is until then.
fn from_now(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}

fn plus(at: Timestamp, more: Duration) -> Timestamp {
    let more = SignedDuration::try_from(more).unwrap_or(SignedDuration::MAX);
    at.checked_add(more).unwrap_or(Timestamp::MAX)
}

/// How long every hold lasts, where a test says so: `CX_HOLD_MS`, in debug builds.
fn forced() -> Option<Duration> {
    #[cfg(debug_assertions)]
    {
        let millis = std::env::var("CX_HOLD_MS").ok()?.parse().ok()?;
        Some(Duration::from_millis(millis))
    }
    #[cfg(not(debug_assertions))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_grow_to_a_quarter_of_an_hour() {
        let minutes = [1, 2, 3, 4, 5, 6, 20, u64::MAX].map(|n| back_off(n).as_secs() / 60);
        assert_eq!(minutes, [1, 2, 4, 8, 15, 15, 15, 15]);
    }
}
