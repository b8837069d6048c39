//! `cx runs`, and what `cx clean` takes of runs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    clean::is_abandoned,
    session::{Session, store},
};
use crate::{
    failure::{Exit, Failure},
    job::JobId,
    ledger::{Job, Run, RunEnded},
    process::lock,
    ui::{self, Align, Out, Table},
};

/// How many ended runs are listed without `--all`.
const LAST: usize = 10;

/// List runs: what became of them, how long they took, their plan
///
/// Shown are the ones that are not over and the last ten. The pause before a run was
/// taken up again is no part of how long it took.
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
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    elapsed_ms: u128,
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

/// How many tasks a run has had; before its end, how many its plan has, where one that is
/// repeated is one.
fn tasks(run: &Run) -> u64 {
    let had = |ended: &RunEnded| ended.succeeded + ended.failed + ended.skipped + ended.passed_over;
    run.ended.as_ref().map_or(run.spec.tasks, had)
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
        tasks: tasks(run),
        succeeded: ended.map(|ended| ended.succeeded),
        failed: ended.map(|ended| ended.failed),
        skipped: ended.map(|ended| ended.skipped),
        reason: ended.and_then(|ended| ended.reason.as_deref()),
        started_at: run.started_at,
        ended_at: run.ended_at,
        elapsed_ms: run.worked(live.then(Timestamp::now)).as_millis(),
        pid: run.runner.filter(|_| live).map(|runner| runner.pid),
        folder: session.store.run(run.id()).dir().display().to_string(),
    }
}

/// Removes the folders of runs that are over, once all their jobs are cleaned;
/// `gone` are those whose files go or have just gone. Says whether there was one.
pub(super) fn clean(
    session: &Session,
    gone: &BTreeSet<JobId>,
    older_than: Option<Duration>,
    dry_run: bool,
    out: &mut Out,
) -> Result<bool, Failure> {
    // With its lock held nobody takes a run up again.
    let mut claimed = Vec::new();
    for (id, run) in session.store.history().map_err(store)?.runs {
        let files = session.store.run(&id);
        if run.is_open() || !files.dir().is_dir() {
            continue;
        }
        // One that is held, or cannot be used, is somebody's.
        if let Ok(Some(lock)) = lock::claim(&files.lock()) {
            claimed.push((id, files, lock));
        }
    }
    if claimed.is_empty() {
        return Ok(false);
    }
    let state = session.store.history().map_err(store)?;
    let mut done = false;
    for (id, files, _lock) in claimed {
        let mut mine = state.jobs.values().filter(|job| job.spec.run.as_deref() == Some(&id));
        let is_cleaned = |job: &Job| {
            let has_tree = job.spec.tree.is_some() && !job.is_without_tree();
            gone.contains(&job.job) || (job.files_gone && !has_tree)
        };
        let ended = state.runs.get(&id).and_then(|run| run.ended_at);
        let age = ended.and_then(|at| Duration::try_from(Timestamp::now().duration_since(at)).ok());
        let is_old = older_than.is_none_or(|least| age.is_some_and(|age| age >= least));
        if ended.is_none() || !is_old || !mine.all(is_cleaned) {
            continue;
        }
        if !dry_run {
            files.remove().map_err(store)?;
        }
        let verb = if dry_run { "would remove" } else { "removed" };
        out.line(format_args!("run {id} {verb} files"))?;
        done = true;
    }
    Ok(done)
}

/// Folders of runs that never came to be. A run's lock is held from before it is in
/// the ledger.
pub(super) fn abandoned(session: &Session) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(session.store.run("").dir()).into_iter().flatten().flatten();
    let found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| is_abandoned(path)).collect();
    if found.is_empty() {
        return Ok(found);
    }
    let runs = session.store.history().map_err(store)?.runs;
    let is_run =
        |path: &Path| path.file_name().is_some_and(|id| runs.contains_key(&*id.to_string_lossy()));
    Ok(found.into_iter().filter(|path| !is_run(path)).collect())
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
        let took = run.worked(live.then(Timestamp::now));
        table.row(vec![
            run.id().to_owned(),
            status(run, *live).to_owned(),
            ui::short(took),
            ui::plural(tasks(run), "task"),
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
