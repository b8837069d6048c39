//! What a worker is to know besides its task.

use std::path::PathBuf;

use clap::{Args, ValueHint};

#[derive(Debug, Default, Args)]
pub(super) struct ContextArgs {
    /// What the whole work is for
    #[arg(long, value_name = "TEXT")]
    pub(super) goal: Vec<String>,
    /// What is not to be done
    #[arg(long, value_name = "TEXT")]
    pub(super) non_goal: Vec<String>,
    /// What has to be kept to
    #[arg(long, value_name = "TEXT")]
    pub(super) constraint: Vec<String>,
    /// Where to look
    #[arg(long, value_name = "TEXT")]
    pub(super) pointer: Vec<String>,
    /// What is decided already
    #[arg(long, value_name = "TEXT")]
    pub(super) decision: Vec<String>,
    /// How one sees that it is done
    #[arg(long, value_name = "TEXT")]
    pub(super) success: Vec<String>,
    /// A file with any of these, or with any other text
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) context: Vec<PathBuf>,
    /// What the memory has about the task: the K best entries, 5 if not said; not repeated
    #[arg(long, value_name = "K", num_args = 0..=1, require_equals = true, default_missing_value = super::recall::ENTRIES, value_parser = crate::job::parse_count::<std::num::NonZeroU8>)]
    pub(super) recall: Option<std::num::NonZeroU8>,
    /// The answer of a job that is over, or those of a group
    #[arg(long, value_name = "JOB", add = crate::commands::candidates::finished_job())]
    pub(super) context_from: Vec<String>,
}
