//! What a job's worker reads, and what the job is called where nobody says.

use std::fs;

use super::{SpawnArgs, recall, role::Role, task::Task, words::Values};
use crate::{
    agent::{ContextPack, PromptParts},
    backend::Backend,
    commands::session::Session,
    failure::Failure,
    job::{JobName, secret, slug},
};

/// What the worker reads. A script is never dressed up.
pub(super) fn compose(
    args: &SpawnArgs,
    session: &Session,
    (role, values): (Option<&Role>, &Values),
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
    let agent = role.map(Role::agent);
    if backend.runs_commands() {
        if !context.is_empty() || recall::is_asked(args) {
            return Err(Failure::usage("a shell command cannot be given context").hint(
                "leave out --goal, --context, --recall and their like, or choose another backend",
            ));
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
    let alias = role.and_then(Role::alias);
    context.files.extend(recall::sections(args, session, (agent, alias.as_deref()), &task)?);
    // It speaks of how things are here.
    let preamble = !args.no_preamble && !backend.works_elsewhere();
    let parts = PromptParts { preamble, agent, context: &context, scope, task: &task };
    Ok(parts.compose())
}

/// What a job is called that nobody named.
pub(super) fn default_name(role: Option<&Role>, backend: &Backend, task: &Task) -> JobName {
    let text = match (role, backend.runs_commands()) {
        (Some(role), _) => return JobName::new(role.name()).unwrap_or_else(|_| slug(role.name())),
        (None, true) if !task.argv.is_empty() => {
            let program = task.argv.first().map(|word| word.rsplit('/').next().unwrap_or(word));
            let rest = task.argv.iter().skip(1).find(|word| !word.starts_with('-'));
            [program.unwrap_or_default(), rest.map_or("", String::as_str)].join(" ")
        }
        _ => task.title(),
    };
    slug(&secret::redacted(&text))
}
