//! `cx run`

mod answer;
mod begin;
mod book;
mod end;
mod front;
mod look;
mod picture;
mod prompt;
mod resume;
mod runner;
mod stored;
mod summary;

use std::{
    fs,
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueHint};

pub use begin::main;
pub(super) use look::Look;
pub(super) use summary::Summary;

use self::{
    begin::{Manner, Prepared},
    front::Saying,
    stored::Options,
};
use super::{
    session::{Session, refuse_in_worker},
    settings::Settings,
};
use crate::{
    failure::{Exit, Failure},
    job::parse_duration,
    plan::Plan,
};

/// Run a plan: tasks with needs between them
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The plan
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "resume")]
    file: Option<PathBuf>,

    /// Go on with a run that was interrupted, stopped, or has failed
    ///
    /// What has succeeded is not repeated, what still runs is waited for, what failed is
    /// tried again.
    #[arg(long, value_name = "RUN", conflicts_with = "file", add = super::completions::open_run())]
    resume: Option<String>,

    /// The most jobs of this run that may live at once; 8 if not given
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroU64>,

    /// The most jobs of the repository that may run at once
    #[arg(long, value_name = "N")]
    max_jobs: Option<NonZeroU64>,

    /// Try a task that failed again, at most N times
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    retries: u32,

    /// Start nothing more after the first failure
    #[arg(long, conflicts_with = "keep_going")]
    fail_fast: bool,

    /// Go on with what does not need what failed; so it is by default
    #[arg(long)]
    keep_going: bool,

    /// End the run after this long, with exit code 124
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// How much of one answer another task gets to see; 32768 if not given
    #[arg(long, value_name = "BYTES")]
    answer_bytes: Option<NonZeroU32>,

    /// Merge the writers' work once all has succeeded, as `cx merge` does
    #[arg(long)]
    merge: bool,

    /// Say when each task starts and ends
    #[arg(short, long)]
    verbose: bool,

    /// Print what the workers say as it comes
    #[arg(long)]
    stream: bool,

    /// Print the run's name and return; it goes on in the background
    #[arg(long, conflicts_with = "stream")]
    detach: bool,

    /// One JSON object at the end
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &RunArgs) -> Result<Exit, Failure> {
    refuse_in_worker("run plans")?;
    let session = Session::open()?;
    let saying = Saying { verbose: args.verbose, stream: args.stream, json: args.json };
    let manner = Manner { saying, detach: args.detach };
    if let Some(run) = &args.resume {
        return resume::resume(&session, run, manner);
    }
    let settings = Settings::load(&session)?;
    let path = args.file.clone().unwrap_or_default();
    let text = fs::read(&path)
        .map_err(|e| Failure::usage(format!("cannot read {}: {e}", path.display())))?;
    let plan: Plan = serde_json::from_slice(&text)
        .map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
    let options = Options {
        jobs: args.jobs,
        max_jobs: args.max_jobs,
        retries: args.retries,
        fail_fast: args.fail_fast,
        timeout: args.timeout,
        answer_bytes: args.answer_bytes,
        merge: args.merge,
        ..Options::default()
    };
    let source = Some(path.display().to_string());
    let prepared = Prepared { plan, form: "plan".to_owned(), source, options };
    begin::begin(&session, &settings, prepared, manner)
}
