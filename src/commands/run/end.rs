//! The end of a run: what came of it is written down, said, and merged where that
//! was asked for.
//!
//! # What a crash leaves
//! Before `run-ended` an interrupted run whose tasks are over: `cx run --resume`
//! does what is missing here. Merging twice finds nothing to merge.

use std::time::Duration;

use super::{
    book::{Book, Counts},
    front::Saying,
    stop::Stop,
    stored::Stored,
    summary::{Source, Summary},
};
use crate::{
    commands::{
        notify::notify,
        session::{Session, store},
    },
    failure::{Exit, Failure},
    job::Mode,
    ledger::{Event, Job, NO_JOB, RunEnded, RunOutcome, State},
    process::{crash, start},
    ui::{self, Notification},
};

/// A run whose tasks are all over.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) run: String,
    pub(super) stored: Stored,
    pub(super) book: Book,
    pub(super) state: State,
    pub(super) stop: Option<Stop>,
    pub(super) elapsed: Duration,
}

/// See the module.
pub(super) fn end(
    session: &Session,
    over: &Over,
    saying: Saying,
    notifies: bool,
) -> Result<Exit, Failure> {
    let stored = &over.stored;
    let counts = over.book.counts();
    let (mut outcome, mut reason) = verdict(counts, over.book.handled(), over.stop);
    let source = Source { session, run: &over.run, stored, book: &over.book, state: &over.state };
    let mut summary = source.summary(over.elapsed);
    let mine = |job: &&Job| job.spec.run.as_deref() == Some(over.run.as_str());
    let unmerged = over.state.jobs.values().filter(mine).filter(|job| job.is_unmerged());
    let unmerged: Vec<&Job> = unmerged.filter(|job| job.succeeded()).collect();
    if stored.plan.merge && outcome == RunOutcome::Succeeded && !unmerged.is_empty() {
        let merged = merge(&unmerged, stored, saying.json)?;
        summary.merge = merged.said;
        if !merged.whole {
            (outcome, reason) =
                (RunOutcome::Failed, Some("its work was not merged whole".to_owned()));
        }
    }
    outcome.as_str().clone_into(&mut summary.outcome);
    summary.reason.clone_from(&reason);
    let files = session.store.run(&over.run);
    let bytes =
        serde_json::to_vec_pretty(&summary).map_err(|e| Failure::internal(e.to_string()))?;
    files.replace(&files.summary(), &bytes).map_err(store)?;
    crash::point("run-summary");
    let ended = RunEnded {
        run: over.run.clone(),
        outcome: outcome.clone(),
        succeeded: counts.succeeded,
        failed: counts.failed,
        skipped: counts.skipped,
        passed_over: counts.passed_over,
        reason: reason.clone(),
    };
    session.store.append(NO_JOB, &Event::RunEnded(ended)).map_err(store)?;
    crash::point("run-ended");
    session.store.refresh_snapshot();
    if notifies || stored.is_to_notify() {
        let told = format!("run {} {}", over.run, outcome.as_str());
        notify(&Notification::new(&told, reason.as_deref().unwrap_or("")), stored.terminal());
    }
    tell(session, over, &source, &mut summary, saying)?;
    Ok(match (&outcome, over.stop) {
        (RunOutcome::Succeeded, _) => Exit::Success,
        (RunOutcome::TimedOut, _) => Exit::TimedOut,
        (RunOutcome::Stopped, Some(Stop::Terminate)) => Exit::Code(143),
        (RunOutcome::Stopped, _) => Exit::Code(130),
        _ => Exit::Failed,
    })
}

/// A failure that the plan itself has seen to is none of the run's.
fn verdict(counts: Counts, handled: Counts, stop: Option<Stop>) -> (RunOutcome, Option<String>) {
    let Counts { succeeded, failed, skipped, .. } = counts;
    if (failed, skipped) == (handled.failed, handled.skipped) {
        return (RunOutcome::Succeeded, None);
    }
    let of = succeeded + failed + skipped;
    let was = |n: u64| if n == 1 { "was" } else { "were" };
    let what = match (failed, skipped) {
        (0, n) => format!("{n} of {of} tasks {} not run", was(n)),
        (n, 0) => format!("{n} of {of} tasks failed"),
        (n, m) => format!("{n} of {of} tasks failed, and {m} {} not run", was(m)),
    };
    match stop {
        Some(Stop::Interrupt | Stop::Terminate) => {
            (RunOutcome::Stopped, Some(format!("it was stopped: {what}")))
        }
        Some(Stop::Timeout) => (RunOutcome::TimedOut, Some(format!("its time was up: {what}"))),
        Some(Stop::FailFast) | None => (RunOutcome::Failed, Some(what)),
    }
}

struct Merged {
    /// Everything has landed.
    whole: bool,
    said: Option<serde_json::Value>,
}

/// `cx merge` as a program of its own: it has its own way with Ctrl-C.
fn merge(jobs: &[&Job], stored: &Stored, json: bool) -> Result<Merged, Failure> {
    let mut args: Vec<String> = vec!["merge".to_owned()];
    if let Some(verify) = &stored.plan.verify {
        args.extend(["--verify".to_owned(), verify.clone()]);
    }
    if json {
        args.push("--json".to_owned());
    }
    args.extend(jobs.iter().map(|job| job.job.to_string()));
    debug_assert!(jobs.iter().all(|job| job.spec.mode == Mode::Writer));
    let (whole, said) = start::own(&args, json).map_err(|e| {
        Failure::internal(format!("cannot start cx merge: {e}; nothing was merged"))
    })?;
    Ok(Merged { whole, said: said.and_then(|bytes| serde_json::from_slice(&bytes).ok()) })
}

fn tell(
    session: &Session,
    over: &Over,
    source: &Source<'_>,
    summary: &mut Summary,
    saying: Saying,
) -> Result<(), Failure> {
    let run = &over.run;
    let took = ui::short(over.elapsed);
    let reason = summary.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let mut out = ui::out();
    if saying.json {
        source.with_answers(summary);
        out.json(summary)?;
    } else {
        for line in summary.table() {
            out.line(line)?;
        }
    }
    out.finish()?;
    let well = summary.outcome == RunOutcome::Succeeded.as_str();
    let handled = match summary.failed {
        n if well && n > 0 => format!(" ({} failed and was seen to)", ui::plural(n, "task")),
        _ => String::new(),
    };
    ui::note(format_args!("run {run} {}{handled}{reason}, in {took}", summary.outcome));
    // What was merged just now is not so in the state that the run has last seen.
    let state = session.store.history().map_err(store)?;
    let mine = |job: &&Job| job.spec.run.as_deref() == Some(run);
    let jobs: Vec<&Job> = state.jobs.values().filter(mine).collect();
    if jobs.iter().any(|job| job.is_to_collect()) && !saying.json {
        ui::hint(format_args!("cx collect --run {run}   prints the answers"));
    }
    if jobs.iter().any(|job| job.is_unmerged() && job.succeeded()) {
        let verify = over.stored.plan.verify.as_ref();
        let verify = verify.map(|command| format!(" --verify {}", ui::quoted(command)));
        let verify = verify.unwrap_or_default();
        ui::hint(format_args!("cx merge --run {run}{verify}   brings the writers' work in"));
    }
    if !well && summary.failed + summary.skipped > 0 {
        ui::hint(format_args!(
            "cx run --resume {run}   tries again what did not succeed; cx status {run} names it"
        ));
    }
    Ok(())
}
