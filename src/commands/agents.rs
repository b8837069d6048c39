//! `cx agents`

use clap::{Args, Subcommand};
use serde::Serialize;

use super::session::Session;
use crate::{
    agent::{self, AgentError, Catalog, Places},
    failure::{Exit, Failure},
    ui::{self, Align, Table},
};

/// List, show and locate agents: the roles that `cx spawn -t` gives
///
/// They are looked for in `.cx/agents/` of the checkout, in
/// `~/.config/cx/agents/`, and among the built-in ones; the first of a name wins.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AgentsArgs {
    #[command(subcommand)]
    command: Option<AgentsCommand>,

    /// One JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum AgentsCommand {
    /// List them (as does `cx agents` alone)
    List {
        /// One JSON array
        #[arg(long)]
        json: bool,
    },
    /// Print an agent's file: copy it to `.cx/agents/` to change it
    Show {
        /// The agent
        #[arg(value_name = "AGENT", add = super::completions::agent())]
        agent: String,
    },
    /// Print where an agent's file lies
    Path {
        /// The agent
        #[arg(value_name = "AGENT", add = super::completions::agent())]
        agent: String,
    },
}

#[derive(Serialize)]
struct Row {
    name: String,
    mode: Option<String>,
    description: String,
    source: String,
    shadowed_by: Option<String>,
    error: Option<String>,
    not_honoured: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &AgentsArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let folders = session.places(None);
    match &args.command {
        None => list(&folders, args.json),
        Some(AgentsCommand::List { json }) => list(&folders, *json),
        Some(AgentsCommand::Show { agent }) => {
            let (_, bytes) = agent::definition(agent, &folders).map_err(failure)?;
            let mut out = ui::out();
            out.bytes(&bytes)?;
            out.finish()?;
            for extra in &agent::find(agent, &folders).map_err(failure)?.extra {
                ui::warn(format_args!("line {}: '{}' is not honoured", extra.line, extra.key));
            }
            Ok(Exit::Success)
        }
        Some(AgentsCommand::Path { agent }) => {
            let (source, _) = agent::definition(agent, &folders).map_err(failure)?;
            let Some(path) = source.path() else {
                return Err(Failure::new(
                    Exit::Failed,
                    format!("'{agent}' is built in and lies in no file"),
                )
                .hint(format!(
                    "cx agents show {agent} > .cx/agents/{agent}.md makes one to change"
                )));
            };
            let mut out = ui::out();
            out.line(path.display())?;
            out.finish()?;
            Ok(Exit::Success)
        }
    }
}

fn list(folders: &Places<'_>, json: bool) -> Result<Exit, Failure> {
    let listed = Catalog::load(folders).map_err(failure)?;
    let rows: Vec<Row> = listed
        .entries()
        .iter()
        .map(|listed| {
            let agent = listed.agent.as_ref().ok();
            Row {
                mode: agent.map(|agent| agent.mode.to_string()),
                description: agent.map(|agent| agent.description.clone()).unwrap_or_default(),
                not_honoured: agent
                    .map(|agent| agent.extra.iter().map(|extra| extra.key.clone()).collect())
                    .unwrap_or_default(),
                error: listed.agent.as_ref().err().map(ToString::to_string),
                name: listed.name.clone(),
                source: listed.source.to_string(),
                shadowed_by: listed.shadowed_by.as_ref().map(ToString::to_string),
            }
        })
        .collect();
    let broken = rows.iter().any(|row| row.error.is_some());
    let mut out = ui::out();
    if json {
        out.json(&rows)?;
    } else {
        let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Left]);
        for row in &rows {
            let mut text = ui::clean(row.error.as_deref().unwrap_or(&row.description));
            if let Some(by) = &row.shadowed_by {
                text = format!("(not used: {by} comes first)");
            }
            let mode = row.mode.clone().unwrap_or_else(|| "broken".to_owned());
            table.row(vec![row.name.clone(), mode, text, row.source.clone()]);
        }
        for line in table.lines(ui::is_terminal().then(ui::columns), &[2, 3]) {
            out.line(line)?;
        }
    }
    out.finish()?;
    Ok(if broken { Exit::Failed } else { Exit::Success })
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failure(error: AgentError) -> Failure {
    Failure::usage(error.to_string()).maybe_hint(error.hint())
}
