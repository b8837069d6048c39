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

use super::value::{self, Wrong};
use crate::{
    document::{Key, Node, Problem, Value},
    job::{BackendName, Mode, is_template_name},
    plan::{Argument, Choice, Foreach, Plan, Task},
};

/// What a plan can say.
pub(super) const KEYS: [&str; 17] = [
    "name",
    "description",
    "goal",
    "args",
    "vars",
    "aliases",
    "max-jobs",
    "timeout",
    "max-tokens",
    "max-budget-usd",
    "fail-fast",
    "retries",
    "backend",
    "model",
    "verify",
    "merge",
    "tasks",
];

/// What a task can say.
pub(super) const TASK: [&str; 25] = [
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
    "max-tokens",
    "max-budget-usd",
    "schema",
    "recall",
];

/// What an argument can say.
pub(super) const ARGUMENT: [&str; 6] = ["placeholder", "help", "default", "of", "min", "max"];

/// The most items of an answer that a task is repeated over, where nothing is said.
const MAX: u32 = 16;

pub(super) fn read(tree: &Node, wrong: &mut Wrong) -> Plan {
    let mut plan = Plan::default();
    let (mut retries, mut backend, mut model) = (None, None, None);
    for (key, node) in tree.map().unwrap_or_default() {
        match key.name.as_str() {
            "name" => plan.name = wrong.take(value::word(key, node)),
            "description" => plan.description = wrong.take(value::text(key, node)),
            "goal" => {
                plan.vars.insert("goal".to_owned(), wrong.take(value::text(key, node)));
            }
            "args" => plan.args = arguments(key, node, wrong),
            "vars" => {
                for (name, text) in wrong.take(table(key, node)) {
                    let (name, text) = (variable(name), value::text(name, text));
                    plan.vars.insert(wrong.take(name), wrong.take(text));
                }
            }
            "aliases" => {
                for (name, alias) in wrong.take(table(key, node)) {
                    plan.aliases.insert(name.name.clone(), alias.json());
                }
            }
            "max-jobs" => plan.max_jobs = wrong.take(value::some_jobs(key, node).map(Some)),
            "timeout" => plan.timeout = wrong.take(value::duration(key, node).map(Some)),
            "fail-fast" => plan.fail_fast = wrong.take(value::flag(key, node)),
            "retries" => retries = wrong.take(value::count(key, node).map(Some)),
            "backend" => backend = wrong.take(value::backend(key, node).map(Some)),
            "model" => model = wrong.take(value::model(key, node).map(Some)),
            "verify" => plan.verify = wrong.take(value::word(key, node).map(Some)),
            "merge" => plan.merge = wrong.take(value::flag(key, node)),
            "tasks" => plan.tasks = tasks(node, wrong),
            "max-tokens" => plan.max_tokens = wrong.take(value::tokens(key, node).map(Some)),
            "max-budget-usd" => {
                plan.max_budget_usd = wrong.take(value::dollars(key, node).map(Some));
            }
            _ => wrong.take(Err(value::unknown(key, "a plan", &KEYS))),
        }
    }
    if plan.verify.is_some() && !plan.merge {
        let line = tree.map().unwrap_or_default().iter().find(|(key, _)| key.name == "verify");
        let what = "'verify' is for what is merged: write 'merge = true' too";
        wrong.say(line.map_or(1, |(key, _)| key.line), what);
    }
    if tree.of("tasks").is_none() {
        wrong.say(tree.line, "there are no 'tasks'");
    }
    for task in &mut plan.tasks {
        task.retries = task.retries.or(retries);
        task.backend = task.backend.or(backend);
        task.model = task.model.take().or_else(|| model.clone());
    }
    plan
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

fn arguments(key: &Key, node: &Node, wrong: &mut Wrong) -> Vec<Argument> {
    let mut arguments = Vec::new();
    for (name, said) in wrong.take(table(key, node)) {
        let mut argument = Argument {
            name: wrong.take(variable(name)),
            placeholder: name.name.to_ascii_uppercase(),
            ..Argument::default()
        };
        for (key, node) in wrong.take(table(name, said)) {
            match key.name.as_str() {
                "placeholder" => argument.placeholder = wrong.take(value::word(key, node)),
                "help" => argument.help = wrong.take(value::text(key, node)),
                "default" => {
                    let texts = value::texts(key, node).map(|texts| Some(texts.join("\n")));
                    argument.default = wrong.take(texts);
                }
                "of" => {
                    for (word, meaning) in wrong.take(table(key, node)) {
                        let meaning = wrong.take(value::word(word, meaning));
                        argument.of.push(Choice { word: word.name.clone(), meaning });
                    }
                }
                "min" => argument.min = wrong.take(value::some(key, node).map(Some)),
                "max" => argument.max = wrong.take(value::some(key, node).map(Some)),
                _ => wrong.take(Err(value::unknown(key, "an argument", &ARGUMENT))),
            }
        }
        arguments.push(argument);
    }
    arguments
}

fn tasks(node: &Node, wrong: &mut Wrong) -> Vec<Task> {
    let one = |(id, said)| task(id, said, wrong);
    match &node.value {
        Value::Map(pairs) => pairs.iter().map(|(id, said)| (Some(id), said)).map(one).collect(),
        Value::List(items) => items.iter().map(|said| (None, said)).map(one).collect(),
        _ => {
            let what = format!("'tasks' has to be a table or a list, and is {}", node.kind());
            wrong.say(node.line, what);
            Vec::new()
        }
    }
}

fn task(id: Option<&Key>, said: &Node, wrong: &mut Wrong) -> Task {
    let mut task = Task {
        id: id.map(|id| id.name.clone()).unwrap_or_default(),
        line: id.map_or(said.line, |id| id.line),
        ..Task::default()
    };
    if let (Some(_), Value::Text(prompt)) = (id, &said.value) {
        task.prompt.clone_from(prompt);
        return task;
    }
    let Some(pairs) = said.map() else {
        wrong.say(said.line, format!("a task has to be a table, and is {}", said.kind()));
        return task;
    };
    let mut answers = None;
    for (key, node) in pairs {
        match key.name.as_str() {
            "id" if id.is_none() => task.id = wrong.take(value::word(key, node)),
            "id" => wrong.say(key.line, format!("the task is called '{}' already", task.id)),
            "agent" => task.alias = wrong.take(value::word(key, node).map(Some)),
            "prompt" => task.prompt = wrong.take(value::text(key, node)),
            "argv" => task.argv = wrong.take(value::texts(key, node)),
            "needs" => task.needs = wrong.take(value::texts(key, node)),
            "answers" => answers = Some(wrong.take(value::texts(key, node))),
            "mode" => task.mode = wrong.take(mode(key, node).map(Some)),
            "write" => {
                let write = wrong.take(value::flag(key, node));
                task.mode = Some(if write { Mode::Writer } else { Mode::Reader });
            }
            "backend" => task.backend = wrong.take(value::backend(key, node).map(Some)),
            "model" => task.model = wrong.take(value::model(key, node).map(Some)),
            "scope" => task.scope = wrong.take(value::texts(key, node)),
            "base" => task.base = wrong.take(value::word(key, node).map(Some)),
            "files" => task.files = wrong.take(value::texts(key, node)),
            "tools" => task.tools = wrong.take(value::texts(key, node)),
            "type" => task.kind = wrong.take(value::word(key, node).map(Some)),
            "when" => task.when = wrong.take(value::word(key, node).map(Some)),
            "foreach" => task.foreach = wrong.take(foreach(key, node).map(Some)),
            "retries" => task.retries = wrong.take(value::count(key, node).map(Some)),
            "timeout" => task.timeout = wrong.take(value::duration(key, node).map(Some)),
            "silence" => task.silence = wrong.take(value::duration(key, node).map(Some)),
            "max-turns" => task.max_turns = wrong.take(value::some(key, node).map(Some)),
            "max-tokens" => task.max_tokens = wrong.take(value::tokens(key, node).map(Some)),
            "max-budget-usd" => {
                task.max_budget_usd = wrong.take(value::dollars(key, node).map(Some));
            }
            "schema" => {
                task.schema = wrong.take(value::word(key, node).map(|word| Some(word.into())));
            }
            "recall" => task.recall = wrong.take(value::some(key, node).map(Some)),
            _ => wrong.take(Err(value::unknown(key, "a task", &TASK))),
        }
    }
    task.answers = answers.unwrap_or_else(|| task.needs.clone());
    if !task.argv.is_empty() && task.backend.is_none() {
        task.backend = Some(BackendName::SH.into());
    }
    task
}

fn mode(key: &Key, node: &Node) -> Result<Mode, Problem> {
    match value::word(key, node)?.as_str() {
        "reader" => Ok(Mode::Reader),
        "writer" => Ok(Mode::Writer),
        word => Err((node.line, format!("'mode' is '{word}': write reader or writer"))),
    }
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
