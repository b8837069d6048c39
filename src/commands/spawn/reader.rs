//! A reader that answers a question of cx's own: a job like any other, but its
//! prompt is cx's, and the shape of its answer is given.

use std::{path::PathBuf, time::Duration};

use super::{Launched, SpawnArgs, check::Checked, launch_one};
use crate::{
    commands::{session::Session, settings::Settings},
    failure::Failure,
    job::{BackendChoice, slug},
};

/// What is asked, and whom.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Asked<'a> {
    /// Its name, if that is free.
    pub(in crate::commands) name: &'a str,
    /// For listings.
    pub(in crate::commands) title: String,
    /// What it is told, byte for byte.
    pub(in crate::commands) prompt: String,
    /// What does the work, where it is not the default.
    pub(in crate::commands) backend: Option<BackendChoice>,
    /// The model, where it is not the default.
    pub(in crate::commands) model: Option<&'a str>,
    /// How long it may take.
    pub(in crate::commands) timeout: Option<Duration>,
    /// A file with the JSON schema of the answer.
    pub(in crate::commands) schema: PathBuf,
}

/// Starts it.
pub(in crate::commands) fn ask_reader(
    session: &Session,
    settings: &Settings,
    asked: Asked<'_>,
) -> Result<Launched, Failure> {
    let args = SpawnArgs {
        read: true,
        backend: asked.backend.map(|name| name.to_string()),
        model: asked.model.map(str::to_owned),
        timeout: asked.timeout,
        no_preamble: true,
        prompt: vec![asked.prompt.into()],
        ..SpawnArgs::default()
    };
    // A shell would run what is written for a model.
    if Checked::backend(&args, session, settings)?.runs_commands() {
        return Err(Failure::usage("the backend sh runs commands, and cannot be asked for a plan")
            .hint("--decomposer heuristic asks nobody; [planner.NAME] in the configuration names a command or a model"));
    }
    let mut checked = Checked::check_one(&args, session, settings)?;
    checked.answer(slug(asked.name), asked.title, &asked.schema)?;
    launch_one(session, settings, &mut checked)
}
