//! What does a job's work.

use crate::{
    agent::Agent,
    backend::{self, Backend},
    commands::settings::Settings,
    failure::Failure,
    job::Mode,
};

/// What is to do the work.
pub(super) fn choose_backend(
    word: Option<&str>,
    agent: Option<&Agent>,
    settings: &Settings,
) -> Result<Backend, Failure> {
    if let Some(word) = word {
        return settings.backend_of(word);
    }
    let own = agent.and_then(|agent| agent.backend);
    settings.backend(own.unwrap_or(settings.config.backend))
}

/// Refuses what the backend cannot do.
pub(super) fn require_able(backend: &Backend, mode: Mode, has_model: bool) -> Result<(), Failure> {
    let name = backend.name;
    if !backend::can(backend, mode) {
        return Err(Failure::usage(format!("{name} cannot be a {mode}; nothing was started"))
            .hint("its definition says so; `cx backends` lists what each can do"));
    }
    // What runs commands has no model that could be wrong.
    if has_model && !backend::takes_model(backend) && !backend.runs_commands() {
        return Err(Failure::usage(format!("{name} cannot be told a model; nothing was started"))
            .hint(format!(
                "leave it out; `model-args` in the definition of {name} would tell it"
            )));
    }
    Ok(())
}
