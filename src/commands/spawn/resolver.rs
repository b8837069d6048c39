//! A writer that resolves a conflict: a job like any other, but its base, its
//! name and its prompt are given, and the conflict stands in its worktree.

use std::ffi::OsString;

use super::{Launched, SpawnArgs, check::Checked, launch_one};
use crate::{
    commands::{session::Session, settings::Settings},
    failure::Failure,
    git::Oid,
    job::slug,
    ledger::Resolves,
};

/// Who resolves; what is not given is as the configuration says.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::commands) struct Who<'a> {
    /// The role to give it.
    pub(in crate::commands) agent: Option<&'a str>,
    /// What does the work.
    pub(in crate::commands) backend: Option<&'a str>,
    /// By which model.
    pub(in crate::commands) model: Option<&'a str>,
    /// What `sh` runs.
    pub(in crate::commands) command: &'a [OsString],
}

/// What is to be resolved, and by whom.
pub(in crate::commands) struct Resolver<'a> {
    /// By whom.
    pub(in crate::commands) who: Who<'a>,
    /// The commit that is merged into.
    pub(in crate::commands) base: &'a Oid,
    /// The conflict.
    pub(in crate::commands) resolves: Resolves,
    /// Its name, if that is free.
    pub(in crate::commands) name: String,
    /// For listings.
    pub(in crate::commands) title: String,
    /// What a model is told.
    pub(in crate::commands) prompt: String,
}

/// Whether such a resolver could be started, before anything is.
pub(in crate::commands) fn check_resolver(session: &Session, who: Who<'_>) -> Result<(), Failure> {
    let settings = Settings::load(session)?;
    let args = asked(session, &settings, who, "HEAD".to_owned(), "Resolve".to_owned())?;
    Checked::check_one(&args, session, &settings).map(drop)
}

/// Starts it.
pub(in crate::commands) fn resolver(
    session: &Session,
    what: Resolver<'_>,
) -> Result<Launched, Failure> {
    let settings = Settings::load(session)?;
    let args = asked(session, &settings, what.who, what.base.to_string(), what.prompt)?;
    let mut checked = Checked::check_one(&args, session, &settings)?;
    checked.resolve(slug(&what.name), what.title, what.resolves);
    launch_one(session, &settings, &mut checked)
}

/// As it would be asked for on the command line.
fn asked(
    session: &Session,
    settings: &Settings,
    who: Who<'_>,
    base: String,
    prompt: String,
) -> Result<SpawnArgs, Failure> {
    let mut args = SpawnArgs {
        agent: who.agent.map(str::to_owned),
        backend: who.backend.map(str::to_owned),
        model: who.model.map(str::to_owned),
        write: true,
        base: Some(base),
        ..SpawnArgs::default()
    };
    // A shell must not run what is written for a model.
    let is_shell = Checked::backend(&args, session, settings)?.runs_commands();
    args.prompt = match is_shell {
        true if who.command.is_empty() => {
            return Err(Failure::usage(
                "the backend sh has to be told how to resolve the conflict",
            )
            .hint("cx resolve JOB -b sh -- COMMAND, or choose another backend with -b"));
        }
        true => who.command.to_vec(),
        false if !who.command.is_empty() => {
            return Err(Failure::usage("a command is for the backend sh; nothing was started")
                .hint("leave it out, or add -b sh"));
        }
        false => vec![prompt.into()],
    };
    Ok(args)
}
