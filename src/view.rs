//! A job as listings and JSON show it. The JSON keys are the contract for
//! scripts (`docs/cli.md`): keys are added, never renamed.

use std::{collections::BTreeMap, path::Path, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    backend::{self, Backend},
    job::{JobId, Mode, Outcome, ProcessRef, Usage, WorkerExit, secret},
    ledger::{FellOver, Job, JobFiles, OnHold, Phase, Store, Wait},
    process::tree,
    ui,
};

/// How much of the end of a worker's output is looked at for its last action.
const TAIL: u64 = 16 * 1024;

/// A job for people and scripts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct JobView<'a> {
    /// Its number.
    pub job: JobId,
    /// Its name.
    pub name: &'a str,
    /// `CX_JOB_ID`.
    pub id: &'a str,
    /// One word: `queued`, `running`, ... or how it ended.
    pub status: &'a str,
    /// Whether it is not over yet.
    pub live: bool,
    /// Reader or writer.
    pub mode: Mode,
    /// Its role.
    pub agent: Option<&'a str>,
    /// The alias by which the role was asked for; `agent` is its agent then.
    pub alias: Option<&'a str>,
    /// `codex`, `sh`, ...
    pub backend: &'a str,
    /// Those that could not do it, in their order.
    pub fell_over: &'a [FellOver],
    /// Where its server is, for the backend http.
    pub url: Option<&'a str>,
    /// The model that was asked for.
    pub model: Option<&'a str>,
    /// The run it belongs to.
    pub run: Option<&'a str>,
    /// The jobs that were given the same task have the same.
    pub group: Option<&'a str>,
    /// The first line of its task.
    pub title: &'a str,
    /// What it did last, while it runs.
    pub activity: Option<String>,
    /// What it said last of how far it is, while it runs.
    pub report: Option<String>,
    /// What `cx wait JOB` gives; none while it is live.
    pub exit_code: Option<u8>,
    /// Until when it is on hold, and why.
    pub hold: Option<HoldView<'a>>,
    /// How the worker's process ended.
    pub exit: Option<WorkerExit>,
    /// Why it did not succeed.
    pub reason: Option<&'a str>,
    /// When it was spawned.
    pub spawned_at: Timestamp,
    /// When its worker started.
    pub running_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How long it took or has taken so far, from the worker's start; from the
    /// spawn where no worker has started.
    pub seconds: f64,
    /// Its worker's process.
    pub worker: Option<ProcessRef>,
    /// Its supervisor's process.
    pub supervisor: Option<ProcessRef>,
    /// Where it was spawned.
    pub cwd: &'a str,
    /// A writer's worktree.
    pub worktree: Option<&'a str>,
    /// A writer's branch.
    pub branch: Option<&'a str>,
    /// The commit that the worktree started from.
    pub base: Option<&'a str>,
    /// The jobs whose work that commit holds besides the base that was asked for.
    pub with_work_of: &'a [JobId],
    /// The branch's tip at the end.
    pub tip: Option<&'a str>,
    /// Commits from base to tip.
    pub commits: u64,
    /// Files that differ between base and tip.
    pub files: u64,
    /// Pathspecs that it may touch.
    pub scope: &'a [String],
    /// Jobs that it came after.
    pub after: &'a [JobId],
    /// Tokens.
    pub usage: Option<Usage>,
    /// The conversation's id.
    pub thread: Option<&'a str>,
    /// Processes that outlived the worker and were ended.
    pub stragglers: u64,
    /// What a person should know.
    pub notes: &'a [String],
    /// Whether its result was handed out.
    pub collected: bool,
    /// The branch it was merged into.
    pub merged_into: Option<&'a str>,
    /// The job of its group that was picked in its place.
    pub not_picked: Option<JobId>,
    /// Whether its worktree and branch are gone.
    pub tree_gone: bool,
    /// The job that it goes on from.
    pub resumes: Option<JobId>,
    pub repeats: Option<JobId>,
    /// The job that goes on from it.
    pub went_on: Option<JobId>,
    /// The next attempt at its task, in the same run.
    pub tried_again: Option<JobId>,
    /// Whether its prompt and outputs are gone.
    pub files_gone: bool,
    /// The ref that keeps what was discarded.
    pub kept: Option<&'a str>,
    /// The folder with its prompt and outputs.
    pub folder: String,
}

/// A job's hold: the model's service has refused.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HoldView<'a> {
    /// When the service is asked again at the earliest.
    until: Timestamp,
    /// What it refused with.
    reason: &'a str,
    /// How often the job was refused by now.
    refused: u64,
}

/// Its hold, where it is on one now.
fn hold_of(job: &Job) -> Option<&OnHold> {
    job.hold.as_ref().map(|(_, hold)| hold).filter(|_| job.phase == Phase::OnHold)
}

impl<'a> JobView<'a> {
    /// The same with what it waits for, where it is queued.
    pub(crate) fn queued(mut self, job: &Job, waits: &BTreeMap<JobId, Wait>) -> Self {
        self.activity = waits.get(&job.job).map(|wait| turn(job, wait)).or(self.activity);
        self
    }

    /// A view of `job`, as of now. Reads the end of a live job's output.
    pub(crate) fn new(job: &'a Job, store: &Store) -> Self {
        let exited = job.exited.as_ref();
        let spec = &job.spec;
        let tree = spec.tree.as_ref();
        let files = store.job(job.job);
        Self {
            job: job.job,
            name: spec.name.as_str(),
            id: &spec.id,
            status: status(job),
            live: job.is_live(),
            mode: spec.mode,
            agent: spec.agent.as_deref(),
            alias: spec.alias.as_deref(),
            backend: spec.backend.as_str(),
            fell_over: &job.fell_over,
            url: spec.endpoint.as_ref().map(|endpoint| endpoint.url.as_str()),
            model: spec.model.as_deref(),
            run: spec.run.as_deref(),
            group: spec.group.as_deref(),
            title: &spec.title,
            activity: activity(job, &files),
            report: report(job, &files),
            exit_code: exited.map(|e| e.code),
            hold: hold_of(job).map(|hold| HoldView {
                until: hold.until,
                reason: &hold.reason,
                refused: hold.refused,
            }),
            exit: exited.and_then(|e| e.exit),
            reason: exited.and_then(|e| e.reason.as_deref()),
            spawned_at: job.spawned_at,
            running_at: job.running_at,
            ended_at: job.ended_at,
            seconds: (elapsed(job).as_secs_f64() * 1000.0).round() / 1000.0,
            worker: job.worker,
            supervisor: job.supervisor,
            cwd: &spec.cwd,
            worktree: tree.map(|t| t.path.as_str()),
            branch: tree.and_then(|t| t.branch.as_deref()),
            base: tree.map(|t| t.base.as_str()),
            with_work_of: job.based.as_ref().map_or(&[], |based| based.of.as_slice()),
            tip: exited.and_then(|e| e.tip.as_deref()),
            commits: exited.map_or(0, |e| e.commits),
            files: exited.map_or(0, |e| e.files),
            scope: &spec.scope,
            after: &spec.after,
            usage: job.usage(),
            thread: exited.and_then(|e| e.thread.as_deref()),
            stragglers: exited.map_or(0, |e| e.stragglers),
            notes: &job.notes,
            collected: job.collected,
            merged_into: job.merged.as_ref().map(|m| m.into.as_str()),
            not_picked: job.not_picked,
            tree_gone: job.tree_gone,
            resumes: job.spec.resumes.as_ref().map(|resumes| resumes.job),
            repeats: job.spec.repeats,
            went_on: job.went_on,
            tried_again: job.tried_again,
            files_gone: job.files_gone,
            kept: job.kept.as_deref(),
            folder: files.dir().display().to_string(),
        }
    }
}

/// The backend of a job, for showing what it puts out: where it is not known any
/// more, that is shown as it is.
pub(crate) fn shown_backend(files: &JobFiles, job: &Job) -> Backend {
    let kept = Backend::of_job(job.spec.backend, &files.backend());
    kept.unwrap_or_else(|_| Backend::unknown(job.spec.backend))
}

/// One word for how far a job is, or how it ended.
pub(crate) fn status(job: &Job) -> &str {
    match (job.phase, job.outcome()) {
        (_, Some(outcome)) => outcome.as_str(),
        (Phase::Starting, None) => "starting",
        (Phase::Waiting | Phase::OnHold, None) => "waiting",
        (Phase::Queued, None) => "queued",
        (Phase::Lost, None) => "lost",
        (Phase::Running | Phase::Ended, None) => "running",
    }
}

/// The status with the exit code where that adds something: `failed 3`.
pub(crate) fn status_with_code(job: &Job) -> String {
    match &job.exited {
        Some(exited) if exited.code > 1 => format!("{} {}", exited.outcome, exited.code),
        _ => status(job).to_owned(),
    }
}

/// The same, and of a job on hold until when: `waiting: rate limit, until 14:05`.
pub(crate) fn status_in_full(job: &Job) -> String {
    let status = status_with_code(job);
    hold_of(job).map_or_else(|| status.clone(), |hold| format!("{status}: {}", on_hold(hold)))
}

/// How to take up what was kept of a job that was lost. Its reason names that.
pub(crate) fn checkpoint_hint(job: &Job) -> Option<String> {
    let reason = job.exited.as_ref()?.reason.as_deref()?;
    let offered =
        job.outcome() == Some(&Outcome::Lost) && reason.contains("its last checkpoint is");
    let name = &job.spec.name;
    (offered && job.superseded_by().is_none() && !job.tree_gone).then(|| {
        format!(
            "`cx diff --since-checkpoint {name}` shows what came after its checkpoint, `cx retry --from-checkpoint {name}` starts from there"
        )
    })
}

/// The colour of a job's status.
pub(crate) fn colour(job: &Job) -> anstyle::Style {
    match (job.is_live(), job.succeeded()) {
        (true, _) if job.phase == Phase::Lost => ui::BAD,
        (true, _) => ui::LIVE,
        (_, true) => ui::GOOD,
        (_, false) => ui::BAD,
    }
}

/// That a job's worker left processes running, which were ended. Of a lost job the
/// reason says so.
pub(crate) fn left_behind(job: &Job) -> Option<String> {
    let exited = job.exited.as_ref().filter(|exited| exited.outcome != Outcome::Lost)?;
    let count = Some(exited.stragglers).filter(|count| *count > 0)?;
    let (processes, were) = if count == 1 { ("process", "was") } else { ("processes", "were") };
    Some(format!("{count} {processes} left behind by its worker {were} ended"))
}

/// How long a job took or has taken.
pub(crate) fn elapsed(job: &Job) -> Duration {
    if let Some(exited) = &job.exited
        && job.running_at.is_some()
    {
        return Duration::from_millis(exited.ran_ms);
    }
    let from = job.running_at.unwrap_or(job.spawned_at);
    let to = job.ended_at.unwrap_or_else(Timestamp::now);
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// What a queued job waits for, one line.
pub(crate) fn turn(job: &Job, wait: &Wait) -> String {
    let pool = job.spec.turns().get(wait.turn).and_then(|turn| turn.pool);
    // An agent's qualified name is longer than a line has room for.
    let pool = pool.map(|pool| pool.rsplit('/').next().unwrap_or(pool));
    let run = match (&pool, wait.running) {
        (Some(pool), 1) => format!("1 of {pool} runs"),
        (Some(pool), count) => format!("{count} of {pool} run"),
        (None, 1) => "1 job runs".to_owned(),
        (None, count) => format!("{count} jobs run"),
    };
    match wait.ahead {
        0 => format!("waits for its turn: {run}"),
        ahead => format!("waits for its turn: {run}, {ahead} before it"),
    }
}

/// What a live job does now, or why an ended one failed; one line.
pub(crate) fn activity(job: &Job, files: &JobFiles) -> Option<String> {
    match job.phase {
        Phase::Waiting => {
            let after: Vec<String> = job.spec.after.iter().map(ToString::to_string).collect();
            Some(format!("after {}", after.join(", ")))
        }
        Phase::Queued => Some("waits for its turn".to_owned()),
        Phase::OnHold => hold_of(job).map(|hold| format!("{}: {}", on_hold(hold), hold.reason)),
        Phase::Starting if job.spec.tree.is_some() && job.worktree.is_none() => {
            Some("making its worktree".to_owned())
        }
        Phase::Starting | Phase::Ended => None,
        Phase::Lost => Some("its supervisor vanished; keeping what it left".to_owned()),
        Phase::Running if job.worker.is_some_and(tree::is_stopped) => {
            Some(format!("stopped; `cx kill -s CONT {}` lets it go on", job.job.0))
        }
        Phase::Running => {
            let tail = backend::tail(&files.stdout(), TAIL).ok()?;
            let root = job.spec.tree.as_ref().map(|tree| &tree.path).or(job.spec.checkout.as_ref());
            let activity =
                backend::activity(&shown_backend(files, job), &tail, root.map(Path::new))?;
            Some(secret::redacted(&activity).into_owned())
        }
    }
}

/// What a running worker said last of how far it is. Only one with cx's tools can.
pub(crate) fn report(job: &Job, files: &JobFiles) -> Option<String> {
    let can = job.spec.mcp && job.phase == Phase::Running;
    can.then(|| files.last_report()).flatten().map(|line| ui::clean(&line))
}

/// The same before what it does, for listings.
pub(crate) fn activity_with_report(job: &Job, files: &JobFiles) -> Option<String> {
    match (report(job, files), activity(job, files)) {
        (Some(report), Some(activity)) => Some(format!("{report} · {activity}")),
        (report, activity) => report.or(activity),
    }
}

/// Why a job is on hold and until when: `rate limit, until 14:05`.
fn on_hold(hold: &OnHold) -> String {
    format!("rate limit, until {}", ui::clock_to_the_minute(hold.until))
}

/// `+` for the current job, `-` for the one before, among `open` jobs in order.
pub(crate) fn mark(open: &[JobId], id: JobId) -> char {
    match open.iter().rev().position(|other| *other == id) {
        Some(0) => '+',
        Some(1) => '-',
        _ => ' ',
    }
}
