//! `cx runs`

use clap::Args;
use serde::Serialize;

use super::session::{Session, store};
use crate::{
    failure::{Exit, Failure},
    ledger::Run,
    ui::{self, Align, Table},
};

/// How many ended runs are listed without `--all`.
const LAST: usize = 10;

/// List runs: what became of them, how long they took, their plan
///
/// Shown are the ones that are not over and the last ten.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// All runs that this repository has ever had
    #[arg(short, long)]
    all: bool,

    /// One JSON array of runs
    #[arg(long)]
    json: bool,
}

/// A run for scripts. The keys are a contract: some are added, none renamed.
#[derive(Serialize)]
struct RunView<'a> {
    run: &'a str,
    name: &'a str,
    status: &'a str,
    live: bool,
    source: &'a str,
    tasks: u64,
    succeeded: Option<u64>,
    failed: Option<u64>,
    skipped: Option<u64>,
    reason: Option<&'a str>,
    started_at: jiff::Timestamp,
    ended_at: Option<jiff::Timestamp>,
    pid: Option<i32>,
    folder: String,
}

/// Runs the verb.
pub fn run(args: &RunsArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let state = session.store.history().map_err(store)?;
    let mut runs: Vec<&Run> = state.runs.values().collect();
    runs.sort_by_key(|run| run.order);
    let from = if args.all { 0 } else { runs.len().saturating_sub(LAST) };
    let mut shown = Vec::new();
    for (at, run) in runs.into_iter().enumerate() {
        if at >= from || run.is_open() {
            shown.push((run, session.is_worked_through(run)?));
        }
    }
    let mut out = ui::out();
    if args.json {
        let views: Vec<RunView> =
            shown.iter().map(|(run, live)| view(&session, run, *live)).collect();
        out.json(&views)?;
    } else {
        for line in table(&shown) {
            out.line(line)?;
        }
    }
    out.finish()?;
    let interrupted = shown.iter().find(|(run, live)| run.is_open() && !live);
    if let (Some((run, _)), false) = (interrupted, args.json) {
        ui::hint(format_args!("cx run --resume {}   goes on with it", run.id()));
    }
    Ok(Exit::Success)
}

/// One word for how far a run is, or what became of it.
pub(super) fn status(run: &Run, live: bool) -> &str {
    match (&run.ended, live) {
        (Some(ended), _) => ended.outcome.as_str(),
        (None, true) if run.stopping.is_some() => "stopping",
        (None, true) => "running",
        (None, false) => "interrupted",
    }
}

fn view<'a>(session: &Session, run: &'a Run, live: bool) -> RunView<'a> {
    let ended = run.ended.as_ref();
    RunView {
        run: run.id(),
        name: &run.spec.name,
        status: status(run, live),
        live,
        source: &run.spec.source,
        tasks: run.spec.tasks,
        succeeded: ended.map(|ended| ended.succeeded),
        failed: ended.map(|ended| ended.failed),
        skipped: ended.map(|ended| ended.skipped),
        reason: ended.and_then(|ended| ended.reason.as_deref()),
        started_at: run.started_at,
        ended_at: run.ended_at,
        pid: run.runner.filter(|_| live).map(|runner| runner.pid),
        folder: session.store.run(run.id()).dir().display().to_string(),
    }
}

fn table(runs: &[(&Run, bool)]) -> Vec<String> {
    let mut table = Table::new(&[
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Left,
    ]);
    for (run, live) in runs {
        let to = run.ended_at.unwrap_or_else(jiff::Timestamp::now);
        let took = to.duration_since(run.started_at);
        table.row(vec![
            run.id().to_owned(),
            status(run, *live).to_owned(),
            ui::short(std::time::Duration::try_from(took).unwrap_or_default()),
            ui::plural(run.spec.tasks, "task"),
            ui::clock(run.started_at),
            run.spec.source.clone(),
            run.ended.as_ref().and_then(|ended| ended.reason.clone()).unwrap_or_default(),
        ]);
        let good = run.ended.as_ref().is_some_and(|ended| ended.outcome.as_str() == "succeeded");
        table.paint(
            1,
            match (good, live) {
                (true, _) => ui::GOOD,
                (_, true) => ui::LIVE,
                _ => ui::BAD,
            },
        );
    }
    table.lines(ui::is_terminal().then(ui::columns), &[6, 5])
}
