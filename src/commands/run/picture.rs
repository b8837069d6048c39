//! A run as lines: how far it is, what runs and does what, what comes next. Drawn
//! again and again while it goes on, and printed by `cx status`.

use std::time::Duration;

use super::book::{Book, Counts};
use crate::{
    commands::{session::Session, view},
    job::Usage,
    ledger::{Job, State as LedgerState},
    plan::State,
    ui::{self, Align, Table},
};

/// How many lines the picture takes at most.
pub(super) const ROWS: usize = 12;

/// The picture, in at most `rows` lines.
pub(super) fn lines(
    session: &Session,
    book: &Book,
    state: &LedgerState,
    run: &str,
    elapsed: Duration,
    rows: usize,
) -> Vec<String> {
    let mut lines = vec![headline(run, elapsed, book.counts(), book.usage(state))];
    let running: Vec<(&str, &Job)> = book
        .entries()
        .into_iter()
        .filter(|at| *book.schedule.state(*at) == State::Running)
        .filter_map(|at| {
            let job = state.jobs.get(&book.last_of(at)?).filter(|job| job.is_live())?;
            Some((book.schedule.task(at).id.as_str(), job))
        })
        .collect();
    let room = rows.saturating_sub(2);
    let shown = if running.len() > room { room.saturating_sub(1) } else { running.len() };
    lines.extend(jobs(session, running.get(..shown).unwrap_or_default()));
    if running.len() > shown {
        lines.push(format!("  and {} more", running.len() - shown));
    }
    lines.extend(next(book));
    lines.truncate(rows);
    lines
}

/// How far a run is, in one line.
pub(super) fn headline(run: &str, elapsed: Duration, counts: Counts, usage: Usage) -> String {
    let done = counts.succeeded + counts.failed + counts.skipped + counts.passed_over;
    let mut parts = vec![format!("{run} {}", ui::short(elapsed))];
    parts.push(format!("{done}/{} done", counts.total()));
    let named = [
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.running, "running"),
        (counts.waiting, "waiting"),
    ];
    parts.extend(named.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    if usage != Usage::default() {
        parts.push(format!("{} tokens in, {} out", usage.input, usage.output));
    }
    parts.join(" · ")
}

fn jobs(session: &Session, jobs: &[(&str, &Job)]) -> Vec<String> {
    let mut table =
        Table::new(&[Align::Right, Align::Left, Align::Right, Align::Left, Align::Left]);
    for (task, job) in jobs {
        let doing = view::activity(job, &session.store.job(job.job))
            .unwrap_or_else(|| job.spec.title.clone());
        table.row(vec![
            format!("  [{}]", job.job.0),
            view::status(job).to_owned(),
            ui::short(view::elapsed(job)),
            (*task).to_owned(),
            ui::clean(&doing),
        ]);
        table.paint(1, view::colour(job));
    }
    table.lines(Some(ui::stderr_columns()), &[4, 3])
}

/// What comes next, and what it waits for.
fn next(book: &Book) -> Option<String> {
    let waiting = |at: &crate::plan::TaskIx| {
        matches!(book.schedule.state(*at), State::Waiting | State::Ready)
    };
    let waiting: Vec<String> = book
        .entries()
        .into_iter()
        .filter(waiting)
        .take(4)
        .map(|at| {
            let for_whom: Vec<&str> = book
                .schedule
                .waits_for(at)
                .into_iter()
                .map(|need| book.schedule.task(need).id.as_str())
                .collect();
            let id = &book.schedule.task(at).id;
            match for_whom.as_slice() {
                [] => id.clone(),
                [one] => format!("{id} (after {one})"),
                [one, rest @ ..] => format!("{id} (after {one} and {} more)", rest.len()),
            }
        })
        .collect();
    let line = format!("  next: {}", waiting.join(", "));
    (!waiting.is_empty()).then(|| ui::cut(&line, ui::stderr_columns()))
}
