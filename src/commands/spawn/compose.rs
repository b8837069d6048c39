//! What the worker is told: the task, and what stands around it.

use std::fs;

use super::{SpawnArgs, task::Task};
use crate::{
    agent::{Agent, ContextPack, PromptParts},
    backend::Backend,
    failure::Failure,
};

/// What the worker reads. A script is never dressed up.
pub(super) fn compose(
    args: &SpawnArgs,
    agent: Option<&Agent>,
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
        Some(agent) => agent.in_its_words(&task.bytes).map_err(|e| {
            Failure::usage(format!("{e}; nothing was started"))
                .hint("an alias can leave it out: --alias NAME=AGENT:template={{task}}")
        })?,
        None => task.bytes.as_slice().into(),
    };
    let parts =
        PromptParts { preamble: !args.no_preamble, agent, context: &context, scope, task: &task };
    Ok(parts.compose())
}
