//! `cx resume`, and what `cx send` and `cx retry` share with it.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueHint};
use serde::Serialize;

use super::{
    session::{Session, label, refuse_in_worker},
    spawn::{Again, From, Launched, UseArgs, again, read_words, require_thread},
};
use crate::{
    failure::{Exit, Failure},
    job::{JobId, parse_duration},
    ledger::Job,
    ui,
};

/// Go on with a job that is over: more for the same conversation
///
/// A new job in the same thread, which knows all that was said. A writer goes on
/// in the same worktree, on the same branch, which are the new job's from here
/// on: `cx merge` takes both jobs' work at once. A reader works in the same
/// folder. Of a job that has gone on already, the last one goes on.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    how: How,

    #[command(flatten)]
    what: Said,
}

/// What is said, and to whom.
#[derive(Debug, Default, Args)]
pub(super) struct Said {
    /// Say it from FILE
    #[arg(short = 'F', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// The job
    #[arg(value_name = "JOB", add = super::candidates::any_job())]
    pub(super) job: String,

    /// What to say; `-` reads stdin
    #[arg(value_name = "PROMPT", trailing_var_arg = true, conflicts_with = "file")]
    prompt: Vec<OsString>,
}

impl Said {
    /// The words.
    pub(super) fn read(&self) -> Result<Vec<u8>, Failure> {
        read_words(&self.prompt, self.file.as_ref())
    }
}

/// What may be different in the new job.
#[derive(Debug, Default, Args)]
pub(super) struct How {
    /// Its name; that of the first of these jobs with the next number if not given: w, w-2, w-3
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,

    /// The model, in the backend's own words
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,

    /// End the worker after this long: 90s, 10m, 1h30m
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// End the worker when it has put out nothing for this long
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    silence: Option<Duration>,

    #[command(flatten)]
    uses: UseArgs,

    /// One JSON object in place of `[N] NAME`
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Printed<'a> {
    job: JobId,
    name: &'a str,
    id: &'a str,
    resumes: JobId,
    branch: Option<&'a str>,
    worktree: Option<&'a str>,
}

/// Runs the verb.
pub fn run(args: &ResumeArgs) -> Result<Exit, Failure> {
    refuse_in_worker("resume workers")?;
    let session = Session::open()?;
    let job = last_of(&session, &args.what.job)?;
    refuse_live(&job, "resume", "`cx send` says it when it is over")?;
    require_thread(&session, &job)?;
    let prompt = args.what.read()?;
    args.how.start(&session, &job, From::Thread, Some(prompt))
}

/// The job that is named, or where that has gone on, the last that did.
pub(super) fn last_of(session: &Session, word: &String) -> Result<Job, Failure> {
    let named = session.job(std::slice::from_ref(word))?;
    let mut job = named.clone();
    let history = session.history()?;
    while let Some(next) = job.went_on.and_then(|next| history.jobs.get(&next)) {
        job = next.clone();
    }
    if job.job != named.job {
        ui::note(format_args!("{} went on as {}, which is taken up", label(&named), label(&job)));
    }
    Ok(job)
}

/// A thread has one writer at a time.
pub(super) fn refuse_live(job: &Job, verb: &str, instead: &str) -> Result<(), Failure> {
    if !job.is_live() {
        return Ok(());
    }
    let name = &job.spec.name;
    Err(Failure::usage(format!("{} is not over; nothing was started", label(job)))
        .hint(format!("cx wait {name}; cx {verb} {name} ...; {instead}")))
}

impl How {
    /// Starts it and prints its spec.
    pub(super) fn start(
        &self,
        session: &Session,
        before: &Job,
        from: From,
        prompt: Option<Vec<u8>>,
    ) -> Result<Exit, Failure> {
        let what = Again {
            from,
            prompt,
            name: self.name.as_deref(),
            model: self.model.as_deref(),
            timeout: self.timeout,
            silence: self.silence,
            uses: &self.uses,
        };
        let Launched { id, spec } = again(session, before, what)?;
        let mut out = ui::out();
        if self.json {
            let tree = spec.tree.as_ref();
            out.json(&Printed {
                job: id,
                name: spec.name.as_str(),
                id: &spec.id,
                resumes: before.job,
                branch: tree.and_then(|tree| tree.branch.as_deref()),
                worktree: tree.map(|tree| tree.path.as_str()),
            })?;
        } else {
            out.line(format_args!("[{}] {}", id.0, spec.name))?;
        }
        out.finish()?;
        Ok(Exit::Success)
    }
}
