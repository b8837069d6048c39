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
}
