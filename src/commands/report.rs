//! `cx __report`, hidden: what the tool `report` of a worker's `cx mcp` runs.
//!
//! The line lies in a file of the job's, and not in the ledger: a chatty worker must not
//! make every reading of that dearer, nor wake all who follow it.

use clap::Args;

use super::{
    mcp::own_job,
    session::{Session, store},
};
use crate::{
    failure::{Exit, Failure},
    job::secret,
    ui,
};

/// Say how far the worker is, which `cx jobs` shows
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// What to say
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
}

/// The most of it that is kept, in columns.
const WIDTH: usize = 200;

/// Runs the verb.
pub fn run(args: &ReportArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let job = own_job(&session)?;
    let words = args.text.join(" ");
    let line = words.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.is_empty() {
        return Err(Failure::usage("there is nothing to report: the text is empty"));
    }
    let line = ui::cut(&ui::clean(&secret::redacted(line)), WIDTH);
    session.store.job(job).report(&line).map_err(store)?;
    Ok(Exit::Success)
}
