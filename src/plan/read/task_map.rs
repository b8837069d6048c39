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

use crate::document::{Key, Node, Problem, Value};

use super::value::{self, Ids};
use crate::plan::{Plan, Task};

/// The keys under which the text of a task stands.
const TEXT: [&str; 5] = ["task", "prompt", "goal", "instruction", "description"];

pub(super) fn read(tree: &Node) -> Result<Plan, Problem> {
    let mut plan = Plan::default();
    let mut ids = Ids::default();
    for (alias, tasks) in tree.map().unwrap_or_default() {
        add(&mut plan, &mut ids, alias, tasks)?;
    }
    Ok(plan)
}

/// Adds the tasks of one alias.
pub(super) fn add(
    plan: &mut Plan,
    ids: &mut Ids,
    alias: &Key,
    tasks: &Node,
) -> Result<(), Problem> {
    let Some(items) = tasks.list() else {
        return Err((
            tasks.line,
            format!("'{}' has to be a list of tasks, and is {}", alias.name, tasks.kind()),
        ));
    };
    if alias.name.trim().is_empty() {
        return Err((alias.line, "an alias is empty".to_owned()));
    }
    for (number, item) in (1..).zip(items) {
        let id = ids.of(&alias.name, number, items.len());
        let alias = Some(alias.name.trim().to_owned());
        plan.tasks.push(Task { id, alias, ..task(item)? });
    }
    Ok(())
}

fn task(item: &Node) -> Result<Task, Problem> {
    let mut task = Task { line: item.line, ..Task::default() };
    match &item.value {
        Value::Text(text) => task.prompt.clone_from(text),
        Value::Map(pairs) => details(&mut task, pairs)?,
        Value::List(parts) => match parts.as_slice() {
            [text] if text.text().is_some() => task.prompt = text.text().unwrap_or_default(),
            [text, Node { value: Value::Map(pairs), .. }] if text.text().is_some() => {
                task.prompt = text.text().unwrap_or_default();
                details(&mut task, pairs)?;
            }
            _ => {
                let what = "a task that is a list has to be a text and a table".to_owned();
                return Err((item.line, what));
            }
        },
        _ => {
            let what = format!("a task has to be a text or a table, and is {}", item.kind());
            return Err((item.line, what));
        }
    }
    Ok(task)
}

fn details(task: &mut Task, pairs: &[(Key, Node)]) -> Result<(), Problem> {
    let mut rest = serde_json::Map::new();
    for (key, node) in pairs {
        match key.name.as_str() {
            "type" => task.kind = Some(value::word(key, node)?),
            "files" => task.files = value::texts(key, node)?,
            "tools" => task.tools = value::texts(key, node)?,
            name if TEXT.contains(&name) && task.prompt.is_empty() && node.text().is_some() => {
                task.prompt = value::text(key, node)?;
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
    Ok(())
}
