//! `cx cd`, which only a shell can do

use clap::Args;

use crate::failure::{Exit, Failure};

/// Change to the worktree of a writer, or the folder of a reader
///
/// No program can change the folder of the shell that starts it: this verb is a
/// shell function, which `cx init` prints. `cx path JOB` tells where it goes.
#[derive(Debug, Args)]
pub struct CdArgs {
    /// The job
    #[arg(required = true, value_name = "JOB", add = super::candidates::any_job())]
    job: Vec<String>,
}

/// Says what is missing: the shell's function would not have come here.
pub fn run(args: &CdArgs) -> Result<Exit, Failure> {
    let job = args.job.join(" ");
    Err(Failure::usage("`cx cd` needs the shell function that `cx init` prints").hint(format!(
        "put `eval \"$(cx init bash)\"` into ~/.bashrc (or see `cx init --help`); until then: cd \"$(cx path {job})\""
    )))
}
