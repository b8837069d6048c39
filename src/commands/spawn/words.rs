//! What a worker is told: the task in the words of its agent, with what the template
//! of that names.

use std::{collections::BTreeMap, fs};

use super::{SpawnArgs, role::Role, task::Task};
use crate::{
    agent::{Agent, ContextPack, PromptParts},
    backend::Backend,
    commands::session::Session,
    failure::Failure,
    job::is_template_name,
};

/// What an agent's template may name besides the task.
pub(in crate::commands) type Values = BTreeMap<String, String>;

/// What `--var` gives.
pub(in crate::commands) fn said(words: &[String]) -> Result<Values, Failure> {
    let mut values = Values::new();
    for said in words {
        let (name, value) = said.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--var '{said}' gives no value")).hint("write --var NAME=VALUE")
        })?;
        if !is_template_name(name) {
            return Err(Failure::usage(format!("'{name}' cannot be a name in a template"))
                .hint("letters, digits, '_', '.' and '-' only, beginning with a letter"));
        }
        if values.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::usage(format!("--var gives '{name}' two values")));
        }
    }
    Ok(values)
}

/// The values for a job that somebody typed; `id` is its unique id.
pub(super) fn values(
    args: &SpawnArgs,
    role: Option<&Role>,
    session: &Session,
    id: &str,
) -> Result<Values, Failure> {
    let said = said(&args.vars)?;
    if !said.is_empty() && role.is_none_or(|role| role.agent().template.is_none()) {
        let who = role.map_or("there is no agent".to_owned(), |role| {
            format!("agent '{}' has none", role.name())
        });
        return Err(Failure::usage(format!(
            "--var is for the template of an agent, and {who}; nothing was started"
        ))
        .hint("a prompt is told as it is"));
    }
    let name = role.map(|role| role.name().to_owned()).unwrap_or_default();
    let session = session.run.clone().unwrap_or_else(|| id.to_owned());
    let mut values = of_worker(&name, id, &session);
    values.extend(said);
    Ok(values)
}

/// The names that every job has a value for.
pub(super) fn of_worker(name: &str, id: &str, session: &str) -> Values {
    let own = [("worker_name", name), ("worker_id", id), ("session_id", session), ("run", session)];
    own.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// What the worker reads. A script is never dressed up.
pub(super) fn compose(
    args: &SpawnArgs,
    (agent, values): (Option<&Agent>, &Values),
    backend: &Backend,
    scope: &[String],
    task: &Task,
) -> Result<Vec<u8>, Failure> {
    let mut context = ContextPack {
        goal: args.context.goal.clone(),
        non_goals: args.context.non_goal.clone(),
        constraints: args.context.constraint.clone(),
        pointers: args.context.pointer.clone(),
        decisions: args.context.decision.clone(),
        success: args.context.success.clone(),
        files: Vec::new(),
    };
    for path in &args.context.context {
        let bytes = fs::read(path).map_err(|e| {
            Failure::usage(format!("cannot read the context {}: {e}", path.display()))
        })?;
        context.add_file(&path.display().to_string(), bytes);
    }
    if backend.runs_commands() {
        if !context.is_empty() {
            return Err(Failure::usage("a shell command cannot be given context")
                .hint("leave out --goal, --context and their like, or choose another backend"));
        }
        return Ok(task.bytes.clone());
    }
    if task.bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::usage("the prompt is empty").hint("say what the job is to do"));
    }
    let task = match agent {
        Some(agent) => {
            let words = agent.in_its_words(&task.bytes, &|name| values.get(name).cloned());
            words.map_err(|e| {
                Failure::usage(format!("{e}; nothing was started"))
                    .hint("give it one with --var NAME=VALUE; or leave it out: --alias NAME=AGENT:template={{task}}")
            })?
        }
        None => task.bytes.as_slice().into(),
    };
    let parts =
        PromptParts { preamble: !args.no_preamble, agent, context: &context, scope, task: &task };
    Ok(parts.compose())
}
