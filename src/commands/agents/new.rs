//! `cx agents new`

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;

use super::To;
use crate::{
    agent,
    commands::{
        roles::{AgentsDir, Roles, failure},
        session::{Session, refuse_in_worker},
        settings::Settings,
    },
    failure::{Exit, Failure},
    job::Mode,
    ui,
};

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Begin with a copy of this agent
    #[arg(long, value_name = "AGENT", add = crate::commands::candidates::agent())]
    from: Option<String>,
    /// A writer
    #[arg(short, long)]
    write: bool,
    /// For yourself, in `~/.config/cx/agents/`
    #[arg(long)]
    user: bool,
    #[command(flatten)]
    agents_dir: AgentsDir,
}

pub(super) fn run(session: &Session, args: &NewArgs) -> Result<Exit, Failure> {
    refuse_in_worker("make agents")?;
    if !agent::is_name(&args.name) {
        return Err(failure(agent::AgentError::BadName(args.name.clone())));
    }
    let to = if args.user { To::User } else { To::Repo };
    let path = to.folder(session)?.join(format!("{}.md", args.name));
    let mode = if args.write { Mode::Writer } else { Mode::Reader };
    let text = match &args.from {
        Some(from) => {
            let settings = Settings::load(session)?;
            let roles = Roles::new(session, &settings, &[], Vec::new(), &args.agents_dir, false)?;
            let mut found = agent::resolve(from, &roles.lookup()).map_err(failure)?.agent;
            for extra in &found.extra {
                ui::warn(format_args!("'{}' of {from} is not carried over", extra.key));
            }
            if args.write {
                found.mode = mode;
            }
            found.to_markdown(&args.name)
        }
        None => blank(&args.name, mode),
    };
    create(&path, &text, false)?;
    let mut out = ui::out();
    out.line(path.display())?;
    out.finish()?;
    Ok(Exit::Success)
}

/// A file that says what can be said in it.
fn blank(name: &str, mode: Mode) -> String {
    let output = match mode {
        Mode::Writer => {
            "What you changed and why, then the checks that you ran and what they said."
        }
        Mode::Reader => "The finding first, then the places that show it: `FILE:LINE`.",
    };
    format!(
        "---
# One line, for listings and for choosing among agents.
description: What {name} is for
# reader: only looks. writer: gets a worktree and a branch of its own.
mode: {mode}
# More that can be said (`cx man agents`):
# model: gpt-5.1-codex
# timeout: 30m
# silence: 10m
# scope: [src, docs]
# max-parallel: 2
# retries: 1
# autonomy: 0.8
# tools:
#   allowed: [Read, Bash]
# triggers:
#   keywords: [code review]
#   file_patterns: ['**/*.rs']
# hooks:
#   pre_task: ['cargo --version']
---
LENS: What {name} looks for before all else.

DO:
1. The first step.
2. The second step.

OUTPUT:
{output}

DO NOT:
- go beyond the task
"
    )
}

/// Writes a new file, whole or not at all. One that is there stays, unless it may
/// be replaced.
pub(super) fn create(path: &Path, text: &str, replace: bool) -> Result<(), Failure> {
    let failed = |e: io::Error| Failure::internal(format!("cannot write {}: {e}", path.display()));
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    if replace {
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.persist(path).map_err(|e| failed(e.error))?;
        // Temporary files are private; an agent is for whoever may read the folder.
        return readable(path).map_err(failed);
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map_err(failed),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(exists(&[path.to_owned()])),
        Err(e) => Err(failed(e)),
    }
}

fn readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

/// Files that are there already.
pub(super) fn exists(paths: &[PathBuf]) -> Failure {
    let each: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let (verb, what) = if paths.len() == 1 { ("exists", "it") } else { ("exist", "them") };
    Failure::usage(format!("{} {verb} already; nothing was written", each.join(", ")))
        .hint(format!("change {what}, choose another name, or remove {what} first"))
}
