//! `cx jobs`

use std::collections::BTreeMap;

use clap::Args;

use super::{
    session::Session,
    tidy,
    view::{self, JobView},
};
use crate::{
    failure::{Exit, Failure},
    job::{Candidate, JobId},
    ledger::{Job, Wait},
    ui::{self, Align, Table},
};

/// List jobs: number, status, how long, what they do now, and their task
///
/// Shown are the jobs that still want something: live ones, those not yet
/// collected, and writers not yet merged. `+` marks the last job, `-` the one
/// before it.
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// Also show mode, agent, backend, process, branch and worktree
    #[arg(short, long)]
    long: bool,

    /// All jobs, also those that are collected and merged
    #[arg(short, long)]
    all: bool,

    /// Those of this run
    #[arg(long, value_name = "RUN", add = super::candidates::any_run())]
    run: Option<String>,

    /// A line for each, as short as can be, and nothing of a job's task: for agents
    #[arg(short, long, conflicts_with_all = ["long", "json"])]
    brief: bool,

    /// One JSON array of jobs
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &JobsArgs) -> Result<Exit, Failure> {
    let session = Session::open()?.narrowed(args.run.as_deref())?;
    let state = if args.all { session.history()? } else { session.state()? };
    let open: Vec<_> = state.jobs.values().filter(|job| job.is_open()).map(|job| job.job).collect();
    let shown: Vec<&Job> = state
        .jobs
        .values()
        .filter(|job| args.all || job.is_open())
        .filter(|job| (args.all && args.run.is_none()) || session.in_run(job))
        .collect();
    let waits = state.waits();
    let mut out = ui::out();
    if args.json {
        let views: Vec<_> =
            shown.iter().map(|job| JobView::new(job, &session.store).queued(job, &waits)).collect();
        out.json(&views)?;
    } else if args.brief {
        for job in &shown {
            out.line(brief(&session, job, &waits))?;
        }
    } else {
        for line in table(&session, &shown, &open, &waits, args.long) {
            out.line(line)?;
        }
    }
    out.finish()?;
    if args.all {
        tidy::note(&session)?;
    }
    if state.torn > 0 {
        let torn = ui::plural(state.torn, "line");
        ui::warn(format_args!("the ledger has {torn} that cannot be read; `cx doctor` says more"));
    }
    Ok(Exit::Success)
}

fn table(
    session: &Session,
    jobs: &[&Job],
    open: &[JobId],
    waits: &BTreeMap<JobId, Wait>,
    long: bool,
) -> Vec<String> {
    let columns = ui::is_terminal().then(ui::columns);
    let mut table = Table::new(&[
        Align::Right,
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Left,
    ]);
    for job in jobs {
        let files = session.store.job(job.job);
        let activity = match waits.get(&job.job) {
            Some(wait) => Some(view::turn(job, wait)),
            None => view::activity_with_report(job, &files),
        };
        table.row(vec![
            format!("[{}]{}", job.job.0, view::mark(open, job.job)),
            view::status_with_code(job),
            ui::short(view::elapsed(job)),
            job.spec.name.to_string(),
            ui::clean(&doing(job, activity)),
            ui::clean(&job.spec.title),
        ]);
        table.paint(1, view::colour(job));
    }
    let lines = table.lines(columns, &[5, 4]);
    if !long {
        return lines;
    }
    lines
        .into_iter()
        .zip(jobs)
        .flat_map(|(line, job)| [line, format!("      {}", details(job))])
        .collect()
}

/// The most columns of what a job does, in a brief listing.
const BRIEF: usize = 60;

/// `1 auth running 12s: half of the tests pass`.
fn brief(session: &Session, job: &Job, waits: &BTreeMap<JobId, Wait>) -> String {
    let activity = match waits.get(&job.job) {
        Some(wait) => Some(view::turn(job, wait)),
        None => view::activity_with_report(job, &session.store.job(job.job)),
    };
    let (name, took) = (&job.spec.name, ui::short(view::elapsed(job)));
    let line = format!("{} {name} {} {took}", job.job.0, view::status_with_code(job));
    match ui::clean(&doing(job, activity)).as_str() {
        "" => line,
        doing => format!("{line}: {}", ui::cut(doing, BRIEF)),
    }
}

/// What a job does, or what is still to be done with it.
fn doing(job: &Job, activity: Option<String>) -> String {
    if let Some(activity) = activity {
        return activity;
    }
    let Some(exited) = &job.exited else { return String::new() };
    if let Some(next) = job.superseded_by() {
        let how = if job.went_on.is_some() { "went on" } else { "tried again" };
        let again = format!("{how} as {next}");
        return exited.reason.iter().fold(again, |again, reason| format!("{again}: {reason}"));
    }
    if let Some(reason) = &exited.reason {
        return reason.clone();
    }
    let mut parts = Vec::new();
    if exited.commits > 0 {
        parts.push(format!(
            "{}, {}",
            ui::plural(exited.commits, "commit"),
            ui::plural(exited.files, "file")
        ));
    }
    match &job.merged {
        Some(merged) if !job.is_unmerged() => parts.push(format!("merged into {}", merged.into)),
        _ => {}
    }
    if job.collected {
        parts.push("collected".to_owned());
    }
    if job.files_gone {
        parts.push("cleaned".to_owned());
    }
    parts.extend(job.kept.iter().map(|kept| format!("kept at {kept}")));
    parts.join(", ")
}

fn details(job: &Job) -> String {
    let spec = &job.spec;
    let mut parts = vec![format!("{} on {}", spec.mode, spec.backend)];
    if let Some(model) = &spec.model {
        parts.push(model.clone());
    }
    if let Some(agent) = &spec.agent {
        parts.push(format!("as {agent}"));
    }
    if let Some(worker) = job.worker.filter(|_| job.is_live()) {
        parts.push(format!("pid {}", worker.pid));
    }
    parts.push(match spec.tree.as_ref().filter(|_| !job.is_without_tree()) {
        Some(tree) => match &tree.branch {
            Some(branch) => format!("{branch} in {}", tree.path),
            None => format!("in {}", tree.path),
        },
        None => format!("in {}", spec.cwd),
    });
    parts.join(" · ")
}
