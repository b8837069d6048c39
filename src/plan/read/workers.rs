//! A list of workers, each with what it depends on.
//!
//! ```json
//! { "workers": [
//!   { "id": "architect", "role": "architect", "prompt": "Design it", "maxTurns": 10 },
//!   { "id": "coder", "role": "coder", "platform": "codex", "prompt": "Build it",
//!     "dependsOn": ["architect"] } ] }
//! ```

use std::time::Duration;

use super::value::{self, Wrong};
use crate::{
    document::{Key, Node},
    job::{BackendName, Mode},
    plan::{Plan, Task},
};

pub(super) fn read(tree: &Node, wrong: &mut Wrong) -> Plan {
    let mut plan = Plan::default();
    let mut workers: &[Node] = tree.list().unwrap_or_default();
    let mut timeout: Option<Duration> = None;
    for (key, node) in tree.map().unwrap_or_default() {
        match key.name.as_str() {
            "workers" => workers = node.list().unwrap_or_default(),
            "name" => plan.name = wrong.take(value::word(key, node)),
            "description" => plan.description = wrong.take(value::text(key, node)),
            "maxConcurrent" | "max_concurrent" => {
                plan.max_jobs = wrong.take(value::some_jobs(key, node).map(Some));
            }
            // As there: of each worker, in milliseconds.
            "timeout" => timeout = wrong.take(value::milliseconds(key, node).map(Some)),
            "taskContext" | "task" | "goal" => {
                plan.vars.insert("goal".to_owned(), wrong.take(value::text(key, node)));
            }
            _ => plan.notes.push(value::not_honoured(key)),
        }
    }
    for worker in workers {
        let task = read_worker(worker, &mut plan.notes, wrong);
        plan.tasks.push(Task { timeout: task.timeout.or(timeout), ..task });
    }
    plan
}

fn read_worker(worker: &Node, notes: &mut Vec<String>, wrong: &mut Wrong) -> Task {
    let mut task = Task { line: worker.line, ..Task::default() };
    let Some(pairs) = worker.map() else {
        wrong.say(worker.line, format!("a worker has to be a table, and is {}", worker.kind()));
        return task;
    };
    for (key, node) in pairs {
        match key.name.as_str() {
            "id" => task.id = wrong.take(value::word(key, node)),
            "role" | "agent" | "type" => task.alias = wrong.take(value::word(key, node).map(Some)),
            "prompt" | "task" => task.prompt = wrong.take(value::text(key, node)),
            "dependsOn" | "depends_on" | "needs" => {
                task.needs = wrong.take(value::texts(key, node));
            }
            "maxTurns" | "max_turns" => {
                task.max_turns = wrong.take(value::some(key, node).map(Some));
            }
            "model" => task.model = wrong.take(value::model(key, node).map(Some)),
            "timeout" => task.timeout = wrong.take(value::milliseconds(key, node).map(Some)),
            "allowedTools" | "allowed_tools" => task.tools = wrong.take(value::texts(key, node)),
            "platform" | "backend" => platform(&mut task, key, node, notes, wrong),
            "sandbox" => sandbox(&mut task, key, node, notes, wrong),
            _ => notes.push(value::not_honoured(key)),
        }
    }
    task.answers.clone_from(&task.needs);
    task
}

fn platform(task: &mut Task, key: &Key, node: &Node, notes: &mut Vec<String>, wrong: &mut Wrong) {
    let word = match value::word(key, node) {
        Ok(word) => word,
        Err((line, what)) => return wrong.say(line, what),
    };
    match BackendName::BUILT_IN.into_iter().find(|name| name.as_str() == word) {
        Some(backend) => task.backend = Some(backend.into()),
        None => notes.push(format!(
            "line {}: '{}: {word}' is not honoured: this cx has no such backend, and takes its default",
            key.line, key.name
        )),
    }
}

fn sandbox(task: &mut Task, key: &Key, node: &Node, notes: &mut Vec<String>, wrong: &mut Wrong) {
    let word = match value::word(key, node) {
        Ok(word) => word,
        Err((line, what)) => return wrong.say(line, what),
    };
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
            return wrong.say(node.line, what);
        }
    });
}
