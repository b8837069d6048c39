//! `cx status`

use clap::Args;

use super::{
    run::{Look, Summary},
    session::{Session, store},
};
use crate::{
    failure::{Exit, Failure},
    ledger::Run,
    ui::{self, Align, Table},
};

/// Show how far a run is: its tasks, what they wait for, what came of them
///
/// Without RUN that of `CX_RUN`, else the one that goes on, else the last one.
/// A run that was `interrupted` has nobody who starts its tasks; its jobs go on.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The run
    #[arg(value_name = "RUN", add = super::candidates::any_run())]
    run: Option<String>,

    /// One JSON object, as `cx run --json` prints it at the end
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    session.state()?;
    // A long run may have more ended jobs than a snapshot keeps.
    let state = session.store.history().map_err(store)?;
    // CX_RUN may also be a name that a person has given to some jobs.
    let here = session.run.as_ref().and_then(|run| state.runs.get(run));
    let found = match (&args.run, here) {
        (Some(word), _) => Some(Session::find_run(word, &state)?),
        (None, Some(run)) => Some(run),
        (None, None) => current(&session, state.runs.values())?,
    };
    let Some(found) = found else {
        ui::note("there is no run yet");
        ui::hint("cx run -f PLAN starts one");
        return Ok(Exit::Failed);
    };
    let Look { summary, started_at } = Look::at(&session, found, &state)?;
    let mut out = ui::out();
    if args.json {
        out.json(&summary)?;
        out.finish()?;
        return Ok(Exit::Success);
    }
    out.line(headline(&summary, started_at))?;
    for line in table(&summary) {
        out.line(line)?;
    }
    out.finish()?;
    hints(&summary);
    Ok(Exit::Success)
}

/// The run that goes on, else the last one.
fn current<'r>(
    session: &Session,
    runs: impl Iterator<Item = &'r Run>,
) -> Result<Option<&'r Run>, Failure> {
    let mut runs: Vec<&Run> = runs.collect();
    runs.sort_by_key(|run| run.order);
    for run in runs.iter().rev() {
        if session.is_worked_through(run)? {
            return Ok(Some(run));
        }
    }
    Ok(runs.last().copied())
}

fn headline(summary: &Summary, started_at: jiff::Timestamp) -> String {
    let done = summary.succeeded + summary.failed + summary.skipped + summary.passed_over;
    let elapsed = std::time::Duration::from_millis(summary.elapsed_ms);
    let mut parts = vec![
        format!("{} {}", summary.run, summary.outcome),
        format!("{done}/{} done", summary.total_tasks),
    ];
    let counts = [
        (summary.failed, "failed"),
        (summary.skipped, "skipped"),
        (summary.running, "running"),
        (summary.waiting, "waiting"),
    ];
    parts.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    if summary.usage.input + summary.usage.output > 0 {
        parts.push(format!("{} tokens in, {} out", summary.usage.input, summary.usage.output));
    }
    parts.push(format!("since {}, {}", ui::clock(started_at), ui::short(elapsed)));
    parts.join(" · ")
}

fn table(summary: &Summary) -> Vec<String> {
    let mut table = Table::new(&[
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Left,
    ]);
    for task in &summary.tasks {
        let after = match task.after.as_slice() {
            [] => String::new(),
            after => format!("after {}", after.join(", ")),
        };
        let why = task.reason.as_deref().map_or(after, ui::clean);
        let time = std::time::Duration::from_millis(task.ms);
        let job = task.job.zip(task.job_name.as_ref());
        table.row(vec![
            task.id.clone(),
            task.status.clone(),
            task.job.map_or_else(String::new, |_| ui::short(time)),
            job.map_or_else(String::new, |(job, name)| format!("[{}] {name}", job.0)),
            task.alias.clone().unwrap_or_default(),
            why,
        ]);
        table.paint(
            1,
            match task.status.as_str() {
                "waiting" | "passed-over" => anstyle::Style::new(),
                _ if task.ok => ui::GOOD,
                "starting" | "queued" | "running" => ui::LIVE,
                "skipped" => ui::ODD,
                _ => ui::BAD,
            },
        );
    }
    table.lines(ui::is_terminal().then(ui::columns), &[5, 0])
}

fn hints(summary: &Summary) {
    let run = &summary.run;
    if summary.tasks.is_empty() && summary.total_tasks > 0 {
        // Its folder is cleaned.
        return;
    }
    match summary.outcome.as_str() {
        "interrupted" => ui::hint(format_args!("cx run --resume {run}   goes on with it")),
        "failed" | "stopped" | "timed-out" => {
            ui::hint(format_args!("cx run --resume {run}   tries again what did not succeed"));
        }
        _ => {}
    }
}
