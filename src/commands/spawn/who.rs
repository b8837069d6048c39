//! What does a job's work: a backend, and others where that one cannot.

use std::path::PathBuf;

use super::{known::Known, text::path_text};
use crate::{
    agent::Agent,
    backend::{self, Backend},
    commands::{session::Session, settings::Settings},
    failure::{Exit, Failure},
    job::{BackendChoice, Mode},
    ledger::{Fallback, FellOver},
};

/// A backend that can do the job, and how it is started there.
#[derive(Debug)]
pub(super) struct Able {
    pub(super) backend: Backend,
    pub(super) program: PathBuf,
    /// The one that is asked for, or its own.
    pub(super) model: Option<String>,
}

/// Who does a job's work.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) first: Able,
    /// Who does it where the one before cannot.
    pub(super) rest: Vec<Able>,
    /// Those that are not there.
    pub(super) passed_over: Vec<FellOver>,
}

/// What is asked of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    pub(super) mode: Mode,
    /// What it is told, where no argv runs.
    pub(super) prompt: Option<&'a [u8]>,
    /// That of it which a person has written.
    pub(super) words: &'a [u8],
    pub(super) argv: &'a [String],
    /// The model that somebody asks for: it is one of the backend that is named first.
    pub(super) model: Option<&'a str>,
}

/// The backends that somebody chose for a job.
pub(super) fn choice(
    words: Option<&str>,
    agent: Option<&Agent>,
    settings: &Settings,
) -> Result<BackendChoice, Failure> {
    if let Some(words) = words {
        return settings.choice(words);
    }
    let (choice, who) = match agent.and_then(|agent| Some((agent.backend?, agent))) {
        Some((choice, agent)) => (choice, format!("the agent {}", agent.qualified)),
        None => (settings.config.backend, Settings::who_chose_backend().to_owned()),
    };
    let found = choice.names().try_for_each(|name| settings.backend(name).map(drop));
    found.map_err(|failure| Failure {
        message: format!("{}, which {who} asks for", failure.message),
        ..failure
    })?;
    Ok(choice)
}

/// Who of them does the work: the first whose program is there. All of them have to
/// be able to.
pub(super) fn choose(
    choice: BackendChoice,
    task: Task<'_>,
    known: &mut Known,
    (session, settings): (&Session, &Settings),
) -> Result<Chosen, Failure> {
    let mut able: Vec<Able> = Vec::new();
    let mut missing = Vec::new();
    for (at, name) in choice.names().enumerate() {
        let backend = settings.backend(name)?;
        if backend.works_elsewhere() && choice.names().count() > 1 {
            return Err(Failure::usage(format!(
                "{name} stands alone: what a server does is nothing that another backend could go on with"
            )));
        }
        let asked = task.model.filter(|_| at == 0);
        let model = asked.or_else(|| settings.model_for(&backend)).map(str::to_owned);
        if model.as_deref().is_some_and(|model| model.is_empty() || model.starts_with('-')) {
            return Err(Failure::usage("a model's name cannot be empty or begin with '-'"));
        }
        require_able(&backend, task.mode, model.is_some())?;
        if let Some(prompt) = task.prompt {
            backend::check_prompt(&backend, prompt)
                .map_err(|e| e.within(task.words, prompt))
                .map_err(|e| Failure::usage(e.to_string()).maybe_hint(e.hint()))?;
        }
        match known.program(&backend, task.argv.first(), task.mode, (session, settings)) {
            Ok(program) => able.push(Able { backend, program, model }),
            Err(failure) if matches!(failure.exit, Exit::NotFound | Exit::NotExecutable) => {
                missing.push((name, failure));
            }
            Err(failure) => return Err(failure),
        }
    }
    let mut able = able.into_iter();
    let Some(first) = able.next() else { return Err(nobody(missing)) };
    let position = |name| choice.names().position(|other| other == name);
    // Those after it were not asked to do anything.
    let before =
        missing.into_iter().filter(|(name, _)| position(*name) < position(first.backend.name));
    let passed_over = before
        .map(|(from, failure)| {
            let reason = failure.message.trim_end_matches("; nothing was started");
            FellOver {
                from,
                to: first.backend.name,
                reason: format!("cannot: {reason}"),
                usage: None,
                ran_ms: 0,
            }
        })
        .collect();
    Ok(Chosen { first, rest: able.collect(), passed_over })
}

/// None of them is there.
fn nobody(missing: Vec<(crate::job::BackendName, Failure)>) -> Failure {
    let several = missing.len() > 1;
    let mut all = missing.into_iter();
    let Some((_, mut first)) = all.next() else {
        return Failure::internal("there is no backend to choose from");
    };
    if several {
        let name = |failure: &Failure| {
            failure.message.trim_end_matches("; nothing was started").to_owned()
        };
        let mut said = vec![name(&first)];
        let mut hints: Vec<String> = first.hint.take().into_iter().collect();
        for (_, failure) in all {
            said.push(name(&failure));
            hints.extend(failure.hint);
        }
        first.message = format!("{}; nothing was started", said.join(", "));
        first.hint = (!hints.is_empty()).then(|| hints.join(", or "));
    }
    first
}

/// As the ledger keeps those to fall back on.
pub(super) fn fallbacks(able: &[Able], settings: &Settings) -> Result<Vec<Fallback>, Failure> {
    let fallback = |able: &Able| {
        Ok(Fallback {
            backend: able.backend.name,
            program: path_text(&able.program)?,
            model: able.model.clone(),
            extra_args: settings.extra_args(&able.backend)?,
            env_exclude: settings.env_exclude(&able.backend),
            price: able.model.as_ref().and_then(|model| settings.config.prices.get(model)).copied(),
        })
    };
    able.iter().map(fallback).collect()
}

/// Refuses what the backend cannot do.
fn require_able(backend: &Backend, mode: Mode, has_model: bool) -> Result<(), Failure> {
    let name = backend.name;
    // Of what works elsewhere it is said where it is to be found.
    if backend.works_elsewhere() {
        return Ok(());
    }
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
