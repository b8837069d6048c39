//! A pipeline: workers in stages, with waiting between them.
//!
//! ```yaml
//! description: Chain workers in sequence
//! steps:
//!   - spawn: architect
//!   - wait_for: architecture
//!   - spawn: [coder-1, coder-2]
//!   - wait_for: implementation
//!   - spawn_workers:
//!       - { type: tester, count: 2 }
//!   - wait_for_completion
//!   - aggregate_results
//! ```
//!
//! `wait_for` has a label for people: what comes after it needs all that was
//! spawned before, and sees the answers of the stage before it. `coder-1` is a
//! worker in the role `coder`. A worker that has no `prompt` or `task` is told the
//! goal of the run. `aggregate_results` asks for what every run ends with.

use crate::document::{Key, Node, Value};

use super::value::{self, Ids, Wrong};
use crate::plan::{Plan, Task};

/// What can be a step.
const STEPS: [&str; 6] = [
    "spawn",
    "spawn_workers",
    "wait_for",
    "wait_for_completion",
    "aggregate_results",
    "swarm_init",
];

/// What a worker without a prompt is told.
const GOAL: &str = "{{goal}}";

pub(super) fn read(tree: &Node, wrong: &mut Wrong) -> Plan {
    let mut reader = Reader {
        plan: Plan::default(),
        ids: Ids::default(),
        before: Vec::new(),
        stage: Vec::new(),
        wrong,
    };
    for (key, node) in tree.map().unwrap_or_default() {
        let plan = &mut reader.plan;
        match key.name.as_str() {
            "steps" => {
                let Some(steps) = node.list() else {
                    let what = format!("'steps' has to be a list, and is {}", node.kind());
                    reader.wrong.say(node.line, what);
                    continue;
                };
                for step in steps {
                    reader.step(step);
                }
            }
            "name" => plan.name = reader.wrong.take(value::word(key, node)),
            "description" => plan.description = reader.wrong.take(value::text(key, node)),
            "goal" | "task" => {
                plan.vars.insert("goal".to_owned(), reader.wrong.take(value::text(key, node)));
            }
            _ => plan.notes.push(value::not_honoured(key)),
        }
    }
    reader.plan
}

struct Reader<'a> {
    plan: Plan,
    ids: Ids,
    /// What the workers of this stage need.
    before: Vec<String>,
    /// Its workers so far.
    stage: Vec<String>,
    wrong: &'a mut Wrong,
}

impl Reader<'_> {
    fn step(&mut self, step: &Node) {
        let alone: &[(Key, Node)] = &[];
        let name = step.text().map(|name| Key { name, line: step.line });
        let (key, node, more) = match (&name, step.map()) {
            (Some(name), _) => (name, None, alone),
            (None, Some([(key, node), more @ ..])) => (key, Some(node), more),
            _ => return self.wrong.say(step.line, format!("a step cannot be {}", step.kind())),
        };
        let node = node.filter(|node| node.value != Value::Null);
        match (key.name.as_str(), node) {
            ("spawn" | "spawn_workers", Some(node)) => {
                let one = std::slice::from_ref(node);
                for worker in node.list().unwrap_or(one) {
                    self.spawn(worker, more);
                }
                return;
            }
            ("spawn" | "spawn_workers", None) => {
                self.wrong.say(key.line, format!("'{}' does not say whom", key.name));
            }
            ("wait_for" | "wait_for_completion", _) => self.wait(),
            ("aggregate_results", node) => {
                for (key, _) in node.and_then(Node::map).unwrap_or_default() {
                    self.plan.notes.push(value::not_honoured(key));
                }
            }
            ("swarm_init", node) => self.init(node),
            _ => self.wrong.take(Err(value::unknown(key, "a step", &STEPS))),
        }
        self.plan.notes.extend(more.iter().map(|(key, _)| value::not_honoured(key)));
    }

    fn wait(&mut self) {
        // Waiting twice is waiting once.
        if !self.stage.is_empty() {
            self.before = std::mem::take(&mut self.stage);
        }
    }

    fn init(&mut self, node: Option<&Node>) {
        for (key, node) in node.and_then(Node::map).unwrap_or_default() {
            match key.name.as_str() {
                "maxAgents" | "max_agents" => {
                    self.plan.max_jobs = self.wrong.take(value::some_jobs(key, node).map(Some));
                }
                _ => self.plan.notes.push(value::not_honoured(key)),
            }
        }
    }

    /// One worker, or several of a kind. `more` stands beside `spawn` in the step.
    fn spawn(&mut self, worker: &Node, more: &[(Key, Node)]) {
        let mut task = Task { line: worker.line, ..Task::default() };
        let mut count = None;
        if let Some(name) = worker.text() {
            name.trim().clone_into(&mut task.id);
        } else if worker.map().is_none() {
            let what = format!("a worker has to be a name or a table, and is {}", worker.kind());
            return self.wrong.say(worker.line, what);
        }
        for (key, node) in worker.map().unwrap_or_default().iter().chain(more) {
            match key.name.as_str() {
                "id" | "name" => task.id = self.wrong.take(value::word(key, node)),
                "type" | "role" | "agent" => {
                    task.alias = self.wrong.take(value::word(key, node).map(Some));
                }
                "count" => count = self.wrong.take(value::some(key, node).map(|n| Some(n.get()))),
                "prompt" | "task" => task.prompt = self.wrong.take(value::text(key, node)),
                "model" => task.model = self.wrong.take(value::model(key, node).map(Some)),
                "files" => task.files = self.wrong.take(value::texts(key, node)),
                _ => self.plan.notes.push(value::not_honoured(key)),
            }
        }
        if task.prompt.is_empty() {
            GOAL.clone_into(&mut task.prompt);
        }
        task.needs.clone_from(&self.before);
        task.answers.clone_from(&self.before);
        let name = if task.id.is_empty() {
            task.alias.clone().unwrap_or_default()
        } else {
            task.id.clone()
        };
        if name.is_empty() {
            return self.wrong.say(worker.line, "a worker has neither a name nor a type");
        }
        task.alias = task.alias.or_else(|| Some(role(&name).to_owned()));
        let is_numbered = role(&name) != name;
        for number in 1..=count.unwrap_or(1) {
            task.id = if is_numbered && count.is_none() {
                // The file's own number: a second one of it is a slip.
                name.clone()
            } else {
                self.ids.of(&name, number as usize, count.unwrap_or(1) as usize)
            };
            self.stage.push(task.id.clone());
            self.plan.tasks.push(task.clone());
        }
    }
}

/// `coder` of `coder-2`.
fn role(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((role, number))
            if !role.is_empty()
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            role
        }
        _ => name,
    }
}
