//! `cx prompt`

use std::fs;

use clap::Args;

use super::session::{Session, label};
use crate::{
    failure::{Exit, Failure},
    ui,
};

/// Print what a job was told, byte for byte
#[derive(Debug, Args)]
pub struct PromptArgs {
    /// The job
    #[arg(required = true, value_name = "JOB", add = super::candidates::any_job())]
    job: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &PromptArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let job = session.job(&args.job)?;
    let path = session.store.job(job.job).prompt();
    let prompt = fs::read(&path).map_err(|e| {
        Failure::new(Exit::Failed, format!("the prompt of {} cannot be read: {e}", label(&job)))
            .hint("`cx clean` has taken it, if the job was cleaned")
    })?;
    let mut out = ui::out();
    out.bytes(&prompt)?;
    out.finish()?;
    Ok(Exit::Success)
}
