//! `cx agents`

mod check;
mod import;
mod keys;
mod list;
mod new;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::{
    roles::{AgentsDir, Roles, failure},
    session::Session,
    settings::Settings,
};
use crate::{
    agent,
    failure::{Exit, Failure},
    ui,
};

/// List, show, make, check and import agents: the roles that `cx spawn -t` gives
///
/// cx's own are Markdown in `.cx/agents/` of the checkout, in
/// `~/.config/cx/agents/`, and built in; the first of a name wins. Those of other
/// tools are read where they lie: `.claude/agents/`, `.codex/agents/` (in the
/// checkout and at home), and one bundle, the first that there is of `--agents-dir`,
/// `$CODEX_AGENTS_DIR`, `~/.codex/agents` and `codex/agents` of the checkout. Of
/// these no id wins over another: where two have it, each has a longer name.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AgentsArgs {
    #[command(subcommand)]
    command: Option<AgentsCommand>,

    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum AgentsCommand {
    /// List them (as does `cx agents` alone)
    List(ListArgs),
    /// Print an agent's file: copy it to `.cx/agents/` to change it
    Show(ShowArgs),
    /// Print where an agent's file lies
    Path {
        /// The agent
        #[arg(value_name = "AGENT", add = super::candidates::agent())]
        agent: String,
        #[command(flatten)]
        agents_dir: AgentsDir,
    },
    /// Begin an agent of your own in `.cx/agents/NAME.md`
    New(new::NewArgs),
    /// Read every definition and name what is wrong with it, and what is not honoured
    Check(check::CheckArgs),
    /// Turn agents of other tools into files of cx's own
    Import(import::ImportArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// One JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    agents_dir: AgentsDir,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The agent or alias
    #[arg(value_name = "AGENT", add = super::candidates::agent())]
    agent: String,
    /// One JSON object: what is understood of it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    agents_dir: AgentsDir,
}

/// Where a file of cx's own is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// `.cx/agents/` of the checkout.
    Repo,
    /// `~/.config/cx/agents/`.
    User,
}

/// Runs the verb.
pub fn run(args: &AgentsArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    match &args.command {
        None => list::run(&session, &args.list),
        Some(AgentsCommand::List(args)) => list::run(&session, args),
        Some(AgentsCommand::Show(args)) => show::run(&session, args),
        Some(AgentsCommand::Path { agent, agents_dir }) => path(&session, agent, agents_dir),
        Some(AgentsCommand::New(args)) => new::run(&session, args),
        Some(AgentsCommand::Check(args)) => check::run(&session, args),
        Some(AgentsCommand::Import(args)) => import::run(&session, args),
    }
}

fn path(session: &Session, name: &str, agents_dir: &AgentsDir) -> Result<Exit, Failure> {
    let settings = Settings::load(session)?;
    let roles = Roles::new(session, &settings, &[], Vec::new(), agents_dir, false)?;
    let found = agent::resolve(name, &roles.lookup()).map_err(failure)?.agent;
    let Some(path) = found.source.path() else {
        let message = format!("'{name}' is built in and lies in no file");
        let hint = format!("cx agents new {name} --from cx/{} makes one to change", found.name);
        return Err(Failure::new(Exit::Failed, message).hint(hint));
    };
    let mut out = ui::out();
    out.line(path.display())?;
    out.finish()?;
    Ok(Exit::Success)
}

impl To {
    /// The folder.
    fn folder(self, session: &Session) -> Result<PathBuf, Failure> {
        let places = session.places(None);
        match self {
            Self::User => Ok(places.config_home.join("cx/agents")),
            Self::Repo => match places.checkout {
                Some(root) => Ok(root.join(".cx/agents")),
                None => Err(Failure::usage("there is no checkout here for .cx/agents/").hint(
                    "change to a repository, or put it into your own folder: --user, --to user",
                )),
            },
        }
    }
}

/// A word for a file or an agent.
#[derive(Clone, Debug, Args)]
struct FileOrFolder {
    /// A folder of agents, or one file
    #[arg(value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    path: PathBuf,
}
