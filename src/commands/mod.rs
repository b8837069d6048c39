//! One file for each verb: its arguments, what it composes, what it says.

pub mod agents;
pub mod apply;
pub mod backends;
mod branch;
mod candidates;
pub mod cd;
mod check;
mod claims;
pub mod clean;
pub mod collect;
pub mod compare;
pub mod completions;
pub mod conflicts;
pub mod diff;
pub mod doctor;
pub mod du;
pub mod events;
pub mod fg;
mod fields;
pub mod generate;
pub mod init;
pub mod jobs;
pub mod kill;
pub mod logs;
pub mod man;
pub mod mcp;
pub mod memory;
pub mod merge;
mod notify;
pub mod path;
pub mod pick;
pub mod plan;
pub mod prompt;
pub mod push;
mod records;
pub mod report;
pub mod resolve;
pub mod resume;
pub mod retry;
mod roles;
pub mod route;
pub mod run;
pub mod runs;
pub mod segment;
pub mod send;
pub mod serve;
mod session;
mod settings;
pub mod show;
pub mod skill;
pub mod spawn;
pub mod status;
pub mod tidy;
pub mod trust;
pub mod usage;
pub mod wait;

use crate::{
    cli::{Cli, Color, Command},
    failure::{Exit, Failure},
    view,
};

/// Runs the verb that the command line names.
pub fn run(cli: &Cli) -> Result<Exit, Failure> {
    match cli.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    if let Some(dir) = &cli.dir {
        std::env::set_current_dir(dir)
            .map_err(|e| Failure::usage(format!("cannot change to {}: {e}", dir.display())))?;
    }
    match &cli.command {
        Command::Spawn(args) => spawn::run(args),
        Command::Run(args) => run::run(args),
        Command::Status(args) => status::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Jobs(args) => jobs::run(args),
        Command::Memory(args) => memory::run(args),
        Command::Usage(args) => usage::run(args),
        Command::Wait(args) => wait::run(args),
        Command::Collect(args) => collect::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Apply(args) => apply::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Pick(args) => pick::run(args),
        Command::Conflicts(args) => conflicts::run(args),
        Command::Resolve(args) => resolve::run(args),
        Command::Resume(args) => resume::run(args),
        Command::Retry(args) => retry::run(args),
        Command::Send(args) => send::run(args),
        Command::Push(args) => push::run(args),
        Command::Logs(args) => logs::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Show(args) => show::run(args),
        Command::Cd(args) => cd::run(args),
        Command::Path(args) => path::run(args),
        Command::Prompt(args) => prompt::run(args),
        Command::Fg(args) => fg::run(args),
        Command::Kill(args) => kill::run(args),
        Command::Clean(args) => clean::run(args),
        Command::Du(args) => du::run(args),
        Command::Agents(args) => agents::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Route(args) => route::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Mcp(args) => mcp::run(args),
        Command::Report(args) => report::run(args),
        Command::Skill(args) => skill::run(args),
        Command::Events(args) => events::run(args),
        Command::Trust(args) => trust::run(args),
        Command::Backends(args) => backends::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Init(args) => init::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
        Command::Generate(args) => generate::run(args),
    }
}
