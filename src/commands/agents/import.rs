//! `cx agents import`

use std::{collections::BTreeMap, fs, path::PathBuf};

use clap::Args;

use super::{FileOrFolder, To, keys, new};
use crate::{
    agent::{self, Agent, AgentError, Entry},
    commands::{
        roles::failure,
        session::{Session, refuse_in_worker},
    },
    failure::{Exit, Failure},
    job::slug,
    ui,
};

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    from: FileOrFolder,
    /// Where to: `.cx/agents/` of the checkout, or `~/.config/cx/agents/`
    #[arg(long, value_name = "WHERE", default_value = "repo")]
    to: To,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(session: &Session, args: &ImportArgs) -> Result<Exit, Failure> {
    refuse_in_worker("import agents")?;
    let folder = args.to.folder(session)?;
    let (agents, broken) = read(&args.from.path)?;
    let mut same_id: BTreeMap<&str, usize> = BTreeMap::new();
    for agent in &agents {
        *same_id.entry(&agent.name).or_default() += 1;
    }
    let mut files: BTreeMap<PathBuf, (String, &Agent)> = BTreeMap::new();
    for agent in &agents {
        // Of two with one id each gets its longer name.
        let alone = same_id.get(agent.name.as_str()).is_none_or(|count| *count == 1);
        let name = file_name(if alone { &agent.name } else { &agent.qualified });
        let path = folder.join(format!("{name}.md"));
        if let Some((_, other)) = files.insert(path.clone(), (name, agent)) {
            return Err(Failure::usage(format!(
                "{} and {} would both become {}; nothing was written",
                other.source,
                agent.source,
                path.display()
            ))
            .hint("import them one by one, and rename the first"));
        }
    }
    if !args.force {
        let there: Vec<PathBuf> =
            files.keys().filter(|path| fs::symlink_metadata(path).is_ok()).cloned().collect();
        if !there.is_empty() {
            return Err(new::exists(&there).hint("--force replaces what is there"));
        }
    }
    let mut out = ui::out();
    for (path, (name, agent)) in &files {
        new::create(path, &agent.to_markdown(name), args.force)?;
        out.line(path.display())?;
        if agent::is_built_in(name) {
            ui::note(format_args!("{} comes before the built-in '{name}' now", path.display()));
        }
        if *name != agent.name {
            ui::note(format_args!("{} is called '{name}' now", agent.source));
        }
    }
    out.finish()?;
    let lost: Vec<keys::Key> = agents.iter().flat_map(keys::of).collect();
    for line in keys::lines(&lost, "carried over") {
        ui::warn(line);
    }
    for error in &broken {
        ui::warn(format_args!("{error}; it was left out"));
    }
    Ok(if broken.is_empty() { Exit::Success } else { Exit::Failed })
}

/// The agents that are to be imported, and what is wrong with others.
fn read(path: &std::path::Path) -> Result<(Vec<Agent>, Vec<AgentError>), Failure> {
    let metadata = fs::metadata(path)
        .map_err(|e| Failure::usage(format!("cannot read {}: {e}", path.display())))?;
    if !metadata.is_dir() {
        return Ok((vec![agent::read_file(path).map_err(failure)?], Vec::new()));
    }
    let entries = agent::read_folder(path).map_err(failure)?;
    let (mut agents, mut broken) = (Vec::new(), Vec::new());
    for Entry { agent, .. } in entries {
        match agent {
            Ok(agent) => agents.push(agent),
            Err(error) => broken.push(error),
        }
    }
    Ok((agents, broken))
}

/// A name that a file of cx's own can have.
fn file_name(name: &str) -> String {
    let name = name.strip_prefix("./").unwrap_or(name).replace('/', "-");
    if agent::is_name(&name) { name } else { slug(&name).to_string() }
}
