//! A task map: for each alias a list of tasks, all at once.
//!
//! ```json
//! { "reviewer": ["Review api/user.ts"],
//!   "architect": [{ "type": "analysis", "goal": "Find the seams", "files": ["src/a.ts"] }] }
//! ```
//!
//! A task is a text, an object, or a list of a text and an object. An object's
//! text is its `task`, `prompt`, `goal` or `instruction`; what it has besides the
//! known keys is told to the worker as JSON, since whoever wrote it meant that.

use crate::document::{Key, Node, Value};

use super::value::{self, Ids, Wrong};
use crate::plan::{Plan, Task};

/// The keys under which the text of a task stands.
const TEXT: [&str; 5] = ["task", "prompt", "goal", "instruction", "description"];

pub(super) fn read(tree: &Node, wrong: &mut Wrong) -> Plan {
    let mut plan = Plan::default();
    let mut ids = Ids::default();
    for (alias, tasks) in tree.map().unwrap_or_default() {
        add(&mut plan, &mut ids, alias, tasks, wrong);
    }
    plan
}

/// Adds the tasks of one alias.
pub(super) fn add(plan: &mut Plan, ids: &mut Ids, alias: &Key, tasks: &Node, wrong: &mut Wrong) {
    if alias.name.trim().is_empty() {
        wrong.say(alias.line, "an alias is empty");
    }
    let Some(items) = tasks.list() else {
        let what = format!("'{}' has to be a list of tasks, and is {}", alias.name, tasks.kind());
        return wrong.say(tasks.line, what);
    };
    for (number, item) in (1..).zip(items) {
        let id = ids.of(&alias.name, number, items.len());
        let alias = Some(alias.name.trim().to_owned());
        plan.tasks.push(Task { id, alias, ..task(item, wrong) });
    }
}

fn task(item: &Node, wrong: &mut Wrong) -> Task {
    let mut task = Task { line: item.line, ..Task::default() };
    match &item.value {
        Value::Text(text) => task.prompt.clone_from(text),
        Value::Map(pairs) => details(&mut task, pairs, wrong),
        Value::List(parts) => match parts.as_slice() {
            [text] if text.text().is_some() => task.prompt = text.text().unwrap_or_default(),
            [text, Node { value: Value::Map(pairs), .. }] if text.text().is_some() => {
                task.prompt = text.text().unwrap_or_default();
                details(&mut task, pairs, wrong);
            }
            _ => wrong.say(item.line, "a task that is a list has to be a text and a table"),
        },
        _ => {
            let what = format!("a task has to be a text or a table, and is {}", item.kind());
            wrong.say(item.line, what);
        }
    }
    task
}

fn details(task: &mut Task, pairs: &[(Key, Node)], wrong: &mut Wrong) {
    let mut rest = serde_json::Map::new();
    for (key, node) in pairs {
        match key.name.as_str() {
            "type" => task.kind = wrong.take(value::word(key, node).map(Some)),
            "files" => task.files = wrong.take(value::texts(key, node)),
            "tools" => task.tools = wrong.take(value::texts(key, node)),
            name if TEXT.contains(&name) && task.prompt.is_empty() && node.text().is_some() => {
                task.prompt = wrong.take(value::text(key, node));
            }
            name => {
                rest.insert(name.to_owned(), node.json());
            }
        }
    }
    if task.prompt.is_empty() {
        // All that there is to tell.
        task.prompt = task.kind.take().unwrap_or_default();
    }
    if !rest.is_empty() {
        let rest = serde_json::to_string_pretty(&rest).unwrap_or_default();
        if !task.prompt.is_empty() {
            task.prompt.push_str("\n\nDETAILS:\n");
        }
        task.prompt.push_str(&rest);
    }
}
