//! `cx collect`

mod digest;

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{
    fields::Fields,
    session::{Session, label, refuse_in_worker, shown_backend, store},
    view::{self, JobView},
};
use crate::{
    backend,
    failure::{Exit, Failure},
    job::JobId,
    ledger::{Event, Job},
    process::{crash, lock, stdio},
    ui::{self, Out},
};

/// Hand out the results of finished jobs: each once, unless named or --all
///
/// A job counts as collected once its result was written. The exit code is 1
/// if a collected job did not succeed, or if there was nothing to collect. An
/// attempt that failed and was tried again is not handed out unless it is asked
/// for: the last one counts.
#[derive(Debug, Args)]
pub struct CollectArgs {
    /// The jobs; all finished and not yet collected ones if none is named
    #[arg(value_name = "JOB", add = super::candidates::finished_job())]
    jobs: Vec<String>,

    /// Those of this run
    #[arg(long, value_name = "RUN", conflicts_with = "jobs", add = super::candidates::any_run())]
    run: Option<String>,

    /// Also those that were collected before
    #[arg(short, long)]
    all: bool,

    /// One JSON array: what `cx jobs --json` says, and `message`
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// The answers cut to BYTES in all, each job's share as fair as can be, and where to
    /// read more: for an orchestrator that is an agent. 4000 if no number is given
    #[arg(long, value_name = "BYTES", num_args = 0..=1, require_equals = true, default_missing_value = "4000", conflicts_with_all = ["json", "format", "output"])]
    digest: Option<usize>,

    /// One line for each job, with {name}, {job}, {status}, {code}, {seconds},
    /// {message}, {reason}, {branch}, {commits}, {files}, {input}, {output},
    /// {agent}, {backend}; \n and \t. Or one of these words: `summary`, a line for
    /// each job and their count; `detailed`, the answers and that count; `json`,
    /// one object with `workers` and `summary`
    #[arg(long, value_name = "FMT")]
    format: Option<String>,

    /// Write each final message to DIR/NAME.md (NAME.N.md where two jobs share a
    /// name) in place of stdout
    #[arg(short, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Collected<'a> {
    #[serde(flatten)]
    view: JobView<'a>,
    message: Option<String>,
}

/// How jobs are shown.
#[derive(Clone, Copy)]
enum Shape<'a> {
    /// With its answer, for people.
    Plain,
    /// All of `cx jobs --json`.
    Array,
    /// A line for each, from a template.
    Lines(&'a str),
    /// A headline for each, and the count.
    Summary,
    /// As for people, and the count.
    Detailed,
    /// One object, as other tools read it.
    Object,
    /// With so much of its answer as there is room for, in bytes of all together.
    Digest(usize),
}

impl<'a> Shape<'a> {
    /// What was asked for; a template is checked.
    fn of(args: &'a CollectArgs) -> Result<Self, Failure> {
        Ok(match args.format.as_deref() {
            None if args.json => Self::Array,
            None if args.digest.is_some() => Self::Digest(args.digest.unwrap_or_default()),
            None => Self::Plain,
            Some("summary") => Self::Summary,
            Some("detailed") => Self::Detailed,
            Some("json") => Self::Object,
            Some(format) => {
                FIELDS.fill(format, &|_| String::new())?;
                Self::Lines(format)
            }
        })
    }
}

/// `--format json`: one worker.
#[derive(Serialize)]
struct Worker<'a> {
    /// Its name, which a plan's task gives it.
    id: &'a str,
    job: JobId,
    /// `completed` or `failed`; `outcome` says how.
    status: &'static str,
    outcome: &'a str,
    agent: Option<&'a str>,
    seconds: f64,
    result: Option<String>,
}

/// How many there are, and how they ended.
#[derive(Clone, Copy, Default, Serialize)]
struct Count {
    total: usize,
    completed: usize,
    failed: usize,
}

impl Count {
    fn of(jobs: &[Job]) -> Self {
        let completed = jobs.iter().filter(|job| job.succeeded()).count();
        Self { total: jobs.len(), completed, failed: jobs.len() - completed }
    }
}

/// Runs the verb.
pub fn run(args: &CollectArgs) -> Result<Exit, Failure> {
    refuse_in_worker("collect results")?;
    let session = Session::open()?.narrowed(args.run.as_deref())?;
    let shape = Shape::of(args)?;
    let (jobs, _handing_out) = claimed(&session, args)?;
    if jobs.is_empty() {
        ui::note("nothing to collect");
        let mut out = ui::out();
        match shape {
            Shape::Array => out.json(&[(); 0])?,
            Shape::Object => out.json(&object(&[], &jobs))?,
            _ => {}
        }
        out.finish()?;
        return Ok(Exit::Failed);
    }
    if let Some(dir) = &args.output {
        fs::create_dir_all(dir).map_err(|e| {
            Failure::usage(format!("cannot make {}: {e}; nothing was collected", dir.display()))
        })?;
    }
    if args.output.is_none() && stdio::stdout_was_closed() {
        return Err(Failure::internal("stdout is closed; nothing was collected")
            .hint("-o DIR writes the answers to files"));
    }
    let mut out = ui::out();
    let (mut rows, mut workers, mut digest) = (Vec::new(), Vec::new(), Vec::new());
    for (index, job) in jobs.iter().enumerate() {
        let view = JobView::new(job, &session.store);
        let message = message(&session, job)?;
        if let Some(dir) = &args.output {
            let namesakes = jobs.iter().filter(|other| other.spec.name == job.spec.name).count();
            let file = match namesakes {
                1 => format!("{}.md", job.spec.name),
                _ => format!("{}.{}.md", job.spec.name, job.job.0),
            };
            write_message(&dir.join(file), job, message.as_deref())?;
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        match shape {
            Shape::Array => rows.push(Collected { view, message: message.map(text) }),
            Shape::Object => workers.push(Worker {
                id: job.spec.name.as_str(),
                job: job.job,
                status: if job.succeeded() { "completed" } else { "failed" },
                outcome: view.status,
                agent: view.agent,
                seconds: view.seconds,
                result: message.map(text),
            }),
            Shape::Lines(format) => {
                let line = FIELDS.fill(format, &|key| field(key, &view, message.as_deref()))?;
                out.foreign(line.as_bytes())?;
                out.line("")?;
            }
            Shape::Summary => out.line(headline(job, &view))?,
            Shape::Digest(_) => digest.push((job, message.map(text).unwrap_or_default())),
            Shape::Plain | Shape::Detailed if args.output.is_some() => {
                out.line(headline(job, &view))?;
            }
            Shape::Plain | Shape::Detailed => {
                if index > 0 {
                    out.line("")?;
                }
                print(&mut out, job, &view, message.as_deref())?;
            }
        }
    }
    match shape {
        Shape::Array => out.json(&rows)?,
        Shape::Object => out.json(&object(&workers, &jobs))?,
        Shape::Summary | Shape::Detailed => {
            let Count { total, completed, failed } = Count::of(&jobs);
            let jobs = ui::plural(total as u64, "job");
            out.line(format_args!("== {jobs}: {completed} completed, {failed} failed"))?;
        }
        Shape::Digest(bytes) => {
            for line in digest::lines(&digest, bytes) {
                out.line(line)?;
            }
        }
        Shape::Plain | Shape::Lines(_) => {}
    }
    // Only what was written is collected.
    out.finish()?;
    crash::point("collect-written");
    let new: Vec<_> = jobs.iter().filter(|job| !job.collected).map(|job| job.job).collect();
    if !new.is_empty() {
        session.store.append_all(&new, &Event::Collected).map_err(store)?;
        crash::point("collected");
        session.store.refresh_snapshot();
    }
    // One that was asked for by name is asked about itself.
    let is_handled = |job: &Job| args.jobs.is_empty() && job.superseded_by().is_some();
    let is_well = jobs.iter().all(|job| job.succeeded() || is_handled(job));
    Ok(if is_well { Exit::Success } else { Exit::Failed })
}

/// What other tools read.
fn object(workers: &[Worker<'_>], jobs: &[Job]) -> serde_json::Value {
    serde_json::json!({ "workers": workers, "summary": Count::of(jobs) })
}

/// The jobs, and a lock that keeps others from handing them out as well. What was
/// collected while it was waited for is not wanted any more.
fn claimed(session: &Session, args: &CollectArgs) -> Result<(Vec<Job>, Option<File>), Failure> {
    let jobs = wanted(session, args)?;
    let each_once = args.jobs.is_empty() && !args.all;
    if jobs.is_empty() || !each_once {
        return Ok((jobs, None));
    }
    let path = session.store.dir().join("collect.lock");
    let busy = || ui::note("another `cx collect` hands out results; waiting for it");
    let lock = lock::hold(&path, busy).map_err(|e| {
        Failure::internal(format!("cannot lock {}: {e}; nothing was collected", path.display()))
    })?;
    Ok((wanted(session, args)?, Some(lock)))
}

fn wanted(session: &Session, args: &CollectArgs) -> Result<Vec<Job>, Failure> {
    if !args.jobs.is_empty() {
        let jobs = session.jobs_or_groups(&args.jobs)?;
        if let Some(live) = jobs.iter().find(|job| job.is_live()) {
            let status = view::status(live);
            return Err(Failure::new(
                Exit::Failed,
                format!("{} is not over: {status}", label(live)),
            )
            .hint(format!("cx wait {0} && cx collect {0}", live.spec.name)));
        }
        if let Some(cleaned) = jobs.iter().find(|job| job.files_gone) {
            return Err(Failure::new(
                Exit::Failed,
                format!("the result of {} is gone: it was cleaned", label(cleaned)),
            )
            .hint(format!("`cx show {}` has what the ledger knows", cleaned.job)));
        }
        return Ok(jobs);
    }
    let state = if args.all { session.history()? } else { session.state()? };
    let wanted = |job: &Job| {
        let is_wanted =
            if args.all { !job.is_live() && !job.files_gone } else { job.is_to_collect() };
        is_wanted && session.in_run(job)
    };
    Ok(state.jobs.into_values().filter(wanted).collect())
}

/// Where a job's final message lies, if it had one.
pub(super) fn message_file(session: &Session, job: &Job) -> PathBuf {
    let files = session.store.job(job.job);
    let on_stdout = backend::answers_on_stdout(&shown_backend(&files, job));
    if on_stdout { files.stdout() } else { files.last_message() }
}

/// The final message of this very job; `None` when it had none.
fn message(session: &Session, job: &Job) -> Result<Option<Vec<u8>>, Failure> {
    let path = message_file(session, job);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::internal(format!(
            "cannot read the answer of {} in {}: {e}",
            label(job),
            path.display()
        ))),
    }
}

fn write_message(path: &Path, job: &Job, message: Option<&[u8]>) -> Result<(), Failure> {
    // In one step: what stands there already is an answer too, and stays where
    // the new one cannot be written whole.
    let replace = |message: &[u8]| -> io::Result<()> {
        let dir = path.parent().unwrap_or(Path::new("."));
        let rights = fs::Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().permissions(rights).tempfile_in(dir)?;
        file.write_all(message)?;
        file.persist(path)?;
        Ok(())
    };
    let done = match message {
        Some(message) => replace(message),
        // An older answer must not stand where this job has none.
        None => match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        },
    };
    done.map_err(|e| {
        Failure::internal(format!(
            "cannot write {}: {e}; {} is not collected",
            path.display(),
            label(job)
        ))
    })
}

fn headline(job: &Job, view: &JobView<'_>) -> String {
    let mut parts = vec![label(job), view::status_with_code(job), ui::short(view::elapsed(job))];
    if !view.fell_over.is_empty() {
        let before: Vec<String> = view.fell_over.iter().map(|fell| fell.from.to_string()).collect();
        parts.push(format!("{} instead of {}", view.backend, before.join(", ")));
    }
    if let Some(usage) = view.usage {
        parts.push(format!("{} tokens in, {} out", usage.input, usage.output));
        parts.extend(usage.cost_usd.map(|cost| cost.to_string()));
    }
    if let (Some(branch), true) = (view.branch, view.commits > 0) {
        let commits = ui::plural(view.commits, "commit");
        let files = ui::plural(view.files, "file");
        parts.push(format!("{commits}, {files} on {branch}"));
    }
    format!("== {}", parts.join(" · "))
}

fn print(
    out: &mut Out,
    job: &Job,
    view: &JobView<'_>,
    message: Option<&[u8]>,
) -> Result<(), Failure> {
    out.line(headline(job, view))?;
    if let Some(reason) = view.reason {
        out.line(format_args!("-- {}", ui::clean(reason)))?;
    }
    for note in view.notes {
        out.line(format_args!("-- {}", ui::clean(note)))?;
    }
    if let Some(left) = view::left_behind(job) {
        out.line(format_args!("-- {left}"))?;
    }
    if let Some(message) = message {
        out.foreign(message)?;
        if !message.ends_with(b"\n") && !message.is_empty() {
            out.line("")?;
        }
    }
    Ok(())
}

/// A field of `--format`.
fn field(key: &str, view: &JobView<'_>, message: Option<&[u8]>) -> String {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    match key {
        "name" => view.name.to_owned(),
        "job" => view.job.0.to_string(),
        "status" => view.status.to_owned(),
        "code" => view.exit_code.unwrap_or_default().to_string(),
        "seconds" => format!("{:.3}", view.seconds),
        "message" => String::from_utf8_lossy(message.unwrap_or_default()).trim_end().to_owned(),
        "reason" => text(view.reason),
        "branch" => text(view.branch),
        "commits" => view.commits.to_string(),
        "files" => view.files.to_string(),
        "input" => view.usage.unwrap_or_default().input.to_string(),
        "output" => view.usage.unwrap_or_default().output.to_string(),
        "agent" => text(view.agent),
        _ => view.backend.to_owned(),
    }
}

const FIELDS: Fields = Fields(&[
    "name", "job", "status", "code", "seconds", "message", "reason", "branch", "commits", "files",
    "input", "output", "agent", "backend",
]);
