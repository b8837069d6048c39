//! A list of workers, each with what it depends on.
//!
//! ```json
//! { "workers": [
//!   { "id": "architect", "role": "architect", "prompt": "Design it", "maxTurns": 10 },
//!   { "id": "coder", "role": "coder", "platform": "codex", "prompt": "Build it",
//!     "dependsOn": ["architect"] } ] }
//! ```

use std::time::Duration;

use super::value;
use crate::{
    document::{Key, Node, Problem},
    job::{BackendName, Mode},
    plan::{Plan, Task},
};

pub(super) fn read(tree: &Node) -> Result<Plan, Problem> {
    let mut plan = Plan::default();
    let mut workers: &[Node] = tree.list().unwrap_or_default();
    let mut timeout: Option<Duration> = None;
    for (key, node) in tree.map().unwrap_or_default() {
        match key.name.as_str() {
            "workers" => workers = node.list().unwrap_or_default(),
            "name" => plan.name = value::word(key, node)?,
            "description" => plan.description = value::text(key, node)?,
            "maxConcurrent" | "max_concurrent" => {
                plan.max_jobs = Some(value::some_jobs(key, node)?);
            }
            // As there: of each worker, in milliseconds.
            "timeout" => timeout = Some(value::milliseconds(key, node)?),
            "taskContext" | "task" | "goal" => {
                plan.vars.insert("goal".to_owned(), value::text(key, node)?);
            }
            _ => plan.notes.push(value::not_honoured(key)),
        }
    }
    for worker in workers {
        let task = read_worker(worker, &mut plan.notes)?;
        plan.tasks.push(Task { timeout: task.timeout.or(timeout), ..task });
    }
    Ok(plan)
}

fn read_worker(worker: &Node, notes: &mut Vec<String>) -> Result<Task, Problem> {
    let Some(pairs) = worker.map() else {
        return Err((worker.line, format!("a worker has to be a table, and is {}", worker.kind())));
    };
    let mut task = Task { line: worker.line, ..Task::default() };
    for (key, node) in pairs {
        match key.name.as_str() {
            "id" => task.id = value::word(key, node)?,
            "role" | "agent" | "type" => task.alias = Some(value::word(key, node)?),
            "prompt" | "task" => task.prompt = value::text(key, node)?,
            "dependsOn" | "depends_on" | "needs" => task.needs = value::texts(key, node)?,
            "maxTurns" | "max_turns" => task.max_turns = Some(value::some(key, node)?),
            "model" => task.model = Some(value::model(key, node)?),
            "timeout" => task.timeout = Some(value::milliseconds(key, node)?),
            "allowedTools" | "allowed_tools" => task.tools = value::texts(key, node)?,
            "platform" | "backend" => platform(&mut task, key, node, notes)?,
            "sandbox" => sandbox(&mut task, key, node, notes)?,
            _ => notes.push(value::not_honoured(key)),
        }
    }
    task.answers.clone_from(&task.needs);
    Ok(task)
}

fn platform(
    task: &mut Task,
    key: &Key,
    node: &Node,
    notes: &mut Vec<String>,
) -> Result<(), Problem> {
    let word = value::word(key, node)?;
    match BackendName::BUILT_IN.into_iter().find(|name| name.as_str() == word) {
        Some(backend) => task.backend = Some(backend),
        None => notes.push(format!(
            "line {}: '{}: {word}' is not honoured: this cx has no such backend, and takes its default",
            key.line, key.name
        )),
    }
    Ok(())
}

fn sandbox(
    task: &mut Task,
    key: &Key,
    node: &Node,
    notes: &mut Vec<String>,
) -> Result<(), Problem> {
    let word = value::word(key, node)?;
    task.mode = Some(match word.as_str() {
        "read-only" => Mode::Reader,
        "workspace-write" => Mode::Writer,
        "danger-full-access" => {
            notes.push(format!(
                "line {}: '{}: {word}' is not honoured: it writes in its own worktree only",
                key.line, key.name
            ));
            Mode::Writer
        }
        _ => {
            let what = format!("'{}' is '{word}': write read-only or workspace-write", key.name);
            return Err((node.line, what));
        }
    });
    Ok(())
}
