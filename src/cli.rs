//! The command line: what all verbs share. Each verb's own arguments stand in
//! its file under `commands/`; their doc comments are the manual.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands;

const EXAMPLES: &str = "\
Job specs:
  %3, 3, auth, au (a unique beginning), %+ (the last), %- (the one before),
  and '[3] auth', which is what `cx spawn` prints

Exit codes:
  0        all well
  1        a worker failed, a merge conflicted, or nothing matched
  2        usage or bad input: nothing was started
  124      the time limit of `cx wait` ran out
  125      cx itself failed
  126/127  the worker's program cannot be run / is not found, or no such job
  128+n    a signal; `cx wait JOB` gives that job's own exit code

Examples:
  cx spawn -t coder -n auth \"Implement the token refresh\"
  cx spawn -t reviewer \"Review src/auth for races\"
  cx wait && cx collect
  cx merge --dry-run && cx merge";

/// `&`, `jobs`, `wait` and `kill` for coding agents, with a git worktree for
/// each one that writes.
///
/// `cx spawn` starts a worker in the background and returns at once. Readers
/// look at your checkout under a read-only sandbox; each writer gets a worktree
/// and a branch `cx/NAME` of its own. `cx wait` tells the truth about how they
/// ended, `cx collect` hands out their answers, `cx merge` lands what merges.
#[derive(Debug, Parser)]
#[command(name = "cx", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = EXAMPLES, max_term_width = 100, infer_subcommands = false)]
pub struct Cli {
    /// Run as if started in DIR
    #[arg(
        short = 'C',
        value_name = "DIR",
        global = true,
        display_order = 900,
        value_hint = clap::ValueHint::DirPath
    )]
    pub dir: Option<PathBuf>,

    /// When to use colour
    #[arg(
        long,
        value_name = "WHEN",
        global = true,
        display_order = 901,
        default_value = "auto",
        hide_possible_values = true
    )]
    pub color: Color,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// `--color`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs; each says itself what it does.
#[expect(missing_docs, reason = "the doc comment of a variant would replace the help of its verb")]
#[derive(Debug, Subcommand)]
pub enum Command {
    Spawn(Box<commands::spawn::SpawnArgs>),
    Run(Box<commands::run::RunArgs>),
    Jobs(commands::jobs::JobsArgs),
    Wait(commands::wait::WaitArgs),
    Collect(commands::collect::CollectArgs),
    Merge(commands::merge::MergeArgs),
    Apply(commands::apply::ApplyArgs),
    Compare(commands::compare::CompareArgs),
    Pick(commands::pick::PickArgs),
    Conflicts(commands::conflicts::ConflictsArgs),
    Resolve(commands::resolve::ResolveArgs),
    Push(commands::push::PushArgs),
    Logs(commands::logs::LogsArgs),
    Diff(commands::diff::DiffArgs),
    Show(commands::show::ShowArgs),
    Cd(commands::cd::CdArgs),
    Path(commands::path::PathArgs),
    Prompt(commands::prompt::PromptArgs),
    Fg(commands::fg::FgArgs),
    Kill(commands::kill::KillArgs),
    Clean(commands::clean::CleanArgs),
    Agents(commands::agents::AgentsArgs),
    Events(commands::events::EventsArgs),
    Trust(commands::trust::TrustArgs),
    Doctor(commands::doctor::DoctorArgs),
    Init(commands::init::InitArgs),
    Completions(commands::completions::CompletionsArgs),
    Man(commands::man::ManArgs),
    #[command(name = "__generate", hide = true)]
    Generate(commands::generate::GenerateArgs),
}
