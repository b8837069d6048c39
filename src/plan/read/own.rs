//! cx's own form, in TOML, YAML or JSON: everything that a plan can say.
//!
//! ```toml
//! description = "Find it, mend it, prove it"
//! max-jobs = 4
//!
//! [tasks.scout]
//! agent = "scout"
//! prompt = "Find what matters for: {{goal}}"
//!
//! [tasks.fix]
//! agent = "coder"
//! needs = ["scout"]
//! prompt = "{{goal}}"
//! ```

use std::collections::BTreeMap;

use super::value;
use crate::{
    document::{Key, Node, Problem, Value},
    job::{BackendName, Mode, is_template_name},
    plan::{Argument, Choice, Foreach, Plan, Task},
};

/// What a plan can say.
pub(super) const KEYS: [&str; 15] = [
    "name",
    "description",
    "goal",
    "args",
    "vars",
    "aliases",
    "max-jobs",
    "timeout",
    "fail-fast",
    "retries",
    "backend",
    "model",
    "verify",
    "merge",
    "tasks",
];

/// What a task can say.
pub(super) const TASK: [&str; 22] = [
    "id",
    "agent",
    "prompt",
    "argv",
    "needs",
    "answers",
    "mode",
    "write",
    "backend",
    "model",
    "scope",
    "base",
    "files",
    "tools",
    "type",
    "when",
    "foreach",
    "retries",
    "timeout",
    "silence",
    "max-turns",
    "schema",
];

/// What an argument can say.
pub(super) const ARGUMENT: [&str; 6] = ["placeholder", "help", "default", "of", "min", "max"];

/// The most items of an answer that a task is repeated over, where nothing is said.
const MAX: u32 = 16;

pub(super) fn read(tree: &Node) -> Result<Plan, Problem> {
    let mut plan = Plan::default();
    let (mut retries, mut backend, mut model) = (None, None, None);
    for (key, node) in tree.map().unwrap_or_default() {
        match key.name.as_str() {
            "name" => plan.name = value::word(key, node)?,
            "description" => plan.description = value::text(key, node)?,
            "goal" => {
                plan.vars.insert("goal".to_owned(), value::text(key, node)?);
            }
            "args" => plan.args = arguments(key, node)?,
            "vars" => {
                for (name, text) in table(key, node)? {
                    plan.vars.insert(variable(name)?, value::text(name, text)?);
                }
            }
            "aliases" => {
                for (name, alias) in table(key, node)? {
                    plan.aliases.insert(name.name.clone(), alias.json());
                }
            }
            "max-jobs" => plan.max_jobs = Some(value::some_jobs(key, node)?),
            "timeout" => plan.timeout = Some(value::duration(key, node)?),
            "fail-fast" => plan.fail_fast = value::flag(key, node)?,
            "retries" => retries = Some(value::count(key, node)?),
            "backend" => backend = Some(value::backend(key, node)?),
            "model" => model = Some(value::model(key, node)?),
            "verify" => plan.verify = Some(value::word(key, node)?),
            "merge" => plan.merge = value::flag(key, node)?,
            "tasks" => plan.tasks = tasks(node)?,
            _ => return Err(value::unknown(key, "a plan", &KEYS)),
        }
    }
    if plan.verify.is_some() && !plan.merge {
        let line = tree.map().unwrap_or_default().iter().find(|(key, _)| key.name == "verify");
        let what = "'verify' is for what is merged: write 'merge = true' too".to_owned();
        return Err((line.map_or(1, |(key, _)| key.line), what));
    }
    if tree.of("tasks").is_none() {
        return Err((tree.line, "there are no 'tasks'".to_owned()));
    }
    for task in &mut plan.tasks {
        task.retries = task.retries.or(retries);
        task.backend = task.backend.or(backend);
        task.model = task.model.take().or_else(|| model.clone());
    }
    Ok(plan)
}

fn table<'a>(key: &Key, node: &'a Node) -> Result<&'a [(Key, Node)], Problem> {
    node.map().ok_or_else(|| {
        (node.line, format!("'{}' has to be a table, and is {}", key.name, node.kind()))
    })
}

/// A name that can stand in a template.
fn variable(key: &Key) -> Result<String, Problem> {
    if is_template_name(&key.name) {
        return Ok(key.name.clone());
    }
    let what = "cannot be a name: letters, digits, '_', '.' and '-' only, beginning with a letter";
    Err((key.line, format!("'{}' {what}", key.name)))
}

fn arguments(key: &Key, node: &Node) -> Result<Vec<Argument>, Problem> {
    let mut arguments = Vec::new();
    for (name, said) in table(key, node)? {
        let mut argument = Argument {
            name: variable(name)?,
            placeholder: name.name.to_ascii_uppercase(),
            ..Argument::default()
        };
        for (key, node) in table(name, said)? {
            match key.name.as_str() {
                "placeholder" => argument.placeholder = value::word(key, node)?,
                "help" => argument.help = value::text(key, node)?,
                "default" => argument.default = Some(value::texts(key, node)?.join("\n")),
                "of" => {
                    for (word, meaning) in table(key, node)? {
                        let meaning = value::word(word, meaning)?;
                        argument.of.push(Choice { word: word.name.clone(), meaning });
                    }
                }
                "min" => argument.min = Some(value::some(key, node)?),
                "max" => argument.max = Some(value::some(key, node)?),
                _ => return Err(value::unknown(key, "an argument", &ARGUMENT)),
            }
        }
        arguments.push(argument);
    }
    Ok(arguments)
}

fn tasks(node: &Node) -> Result<Vec<Task>, Problem> {
    match &node.value {
        Value::Map(pairs) => pairs.iter().map(|(id, said)| task(Some(id), said)).collect(),
        Value::List(items) => items.iter().map(|said| task(None, said)).collect(),
        _ => {
            Err((node.line, format!("'tasks' has to be a table or a list, and is {}", node.kind())))
        }
    }
}

fn task(id: Option<&Key>, said: &Node) -> Result<Task, Problem> {
    let mut task = Task {
        id: id.map(|id| id.name.clone()).unwrap_or_default(),
        line: id.map_or(said.line, |id| id.line),
        ..Task::default()
    };
    if let (Some(_), Value::Text(prompt)) = (id, &said.value) {
        task.prompt.clone_from(prompt);
        return Ok(task);
    }
    let Some(pairs) = said.map() else {
        let what = format!("a task has to be a table, and is {}", said.kind());
        return Err((said.line, what));
    };
    let mut answers = None;
    for (key, node) in pairs {
        match key.name.as_str() {
            "id" if id.is_none() => task.id = value::word(key, node)?,
            "id" => {
                let what = format!("the task is called '{}' already", task.id);
                return Err((key.line, what));
            }
            "agent" => task.alias = Some(value::word(key, node)?),
            "prompt" => task.prompt = value::text(key, node)?,
            "argv" => task.argv = value::texts(key, node)?,
            "needs" => task.needs = value::texts(key, node)?,
            "answers" => answers = Some(value::texts(key, node)?),
            "mode" => {
                task.mode = Some(match value::word(key, node)?.as_str() {
                    "reader" => Mode::Reader,
                    "writer" => Mode::Writer,
                    word => {
                        let what = format!("'mode' is '{word}': write reader or writer");
                        return Err((node.line, what));
                    }
                });
            }
            "write" => {
                let write = value::flag(key, node)?;
                task.mode = Some(if write { Mode::Writer } else { Mode::Reader });
            }
            "backend" => task.backend = Some(value::backend(key, node)?),
            "model" => task.model = Some(value::model(key, node)?),
            "scope" => task.scope = value::texts(key, node)?,
            "base" => task.base = Some(value::word(key, node)?),
            "files" => task.files = value::texts(key, node)?,
            "tools" => task.tools = value::texts(key, node)?,
            "type" => task.kind = Some(value::word(key, node)?),
            "when" => task.when = Some(value::word(key, node)?),
            "foreach" => task.foreach = Some(foreach(key, node)?),
            "retries" => task.retries = Some(value::count(key, node)?),
            "timeout" => task.timeout = Some(value::duration(key, node)?),
            "silence" => task.silence = Some(value::duration(key, node)?),
            "max-turns" => task.max_turns = Some(value::some(key, node)?),
            "schema" => task.schema = Some(value::word(key, node)?.into()),
            _ => return Err(value::unknown(key, "a task", &TASK)),
        }
    }
    task.answers = answers.unwrap_or_else(|| task.needs.clone());
    if !task.argv.is_empty() && task.backend.is_none() {
        task.backend = Some(BackendName::SH);
    }
    Ok(task)
}

fn foreach(key: &Key, node: &Node) -> Result<Foreach, Problem> {
    match &node.value {
        Value::List(_) => Ok(Foreach::Values(value::texts(key, node)?)),
        Value::Text(template) => Ok(Foreach::List(template.clone())),
        Value::Map(pairs) => {
            let mut said: BTreeMap<&str, (&Key, &Node)> = BTreeMap::new();
            for (key, node) in pairs {
                if !["answer", "max"].contains(&key.name.as_str()) {
                    return Err(value::unknown(key, "'foreach'", &["answer", "max"]));
                }
                said.insert(&key.name, (key, node));
            }
            let Some((answer, of)) = said.get("answer") else {
                return Err((node.line, "'foreach' does not say whose 'answer'".to_owned()));
            };
            let max = match said.get("max") {
                Some((key, node)) => value::some(key, node)?,
                None => std::num::NonZeroU32::MIN.saturating_add(MAX - 1),
            };
            Ok(Foreach::Answer { of: value::word(answer, of)?, max })
        }
        _ => Err((
            node.line,
            format!("'foreach' has to be a list, a text or a table, and is {}", node.kind()),
        )),
    }
}
