//! Phases: task maps, one after the other.
//!
//! ```json
//! { "phases": [
//!   { "name": "Plan", "parallel": false, "tasks": { "architect": ["..."], "planner": ["..."] } },
//!   { "name": "Build", "parallel": true, "tasks": { "frontend": ["..."], "backend": ["..."] } } ] }
//! ```
//!
//! A phase begins when all of the one before has succeeded, and sees its answers.
//! With `parallel: false` its tasks come one after the other.

use crate::document::Node;

use super::{
    task_map,
    value::{self, Ids, Wrong},
};
use crate::plan::Plan;

pub(super) fn read(tree: &Node, wrong: &mut Wrong) -> Plan {
    let mut plan = Plan::default();
    let mut ids = Ids::default();
    for (key, node) in tree.map().unwrap_or_default() {
        match key.name.as_str() {
            "phases" => {
                for phase in node.list().unwrap_or_default() {
                    read_phase(&mut plan, &mut ids, phase, wrong);
                }
            }
            "name" => plan.name = wrong.take(value::word(key, node)),
            "title" | "description" => plan.description = wrong.take(value::text(key, node)),
            "goal" => {
                plan.vars.insert("goal".to_owned(), wrong.take(value::text(key, node)));
            }
            // What codex-flow itself writes beside the phases, for people to read.
            "why" | "kind" | "dag" => {}
            _ => plan.notes.push(value::not_honoured(key)),
        }
    }
    plan
}

fn read_phase(plan: &mut Plan, ids: &mut Ids, phase: &Node, wrong: &mut Wrong) {
    let Some(pairs) = phase.map() else {
        wrong.say(phase.line, format!("a phase has to be a table, and is {}", phase.kind()));
        return;
    };
    let number = plan.phases.len();
    let mut name = format!("Phase {}", number + 1);
    let mut parallel = true;
    let first = plan.tasks.len();
    for (key, node) in pairs {
        match key.name.as_str() {
            "name" => name = wrong.take(value::word(key, node)),
            "parallel" => parallel = wrong.take(value::flag(key, node)),
            "tasks" => {
                let Some(aliases) = node.map() else {
                    let what = format!(
                        "'tasks' has to be a table of aliases and their tasks, and is {}",
                        node.kind()
                    );
                    wrong.say(node.line, what);
                    continue;
                };
                for (alias, tasks) in aliases {
                    task_map::add(plan, ids, alias, tasks, wrong);
                }
            }
            "index" => {}
            _ => plan.notes.push(value::not_honoured(key)),
        }
    }
    plan.phases.push(name);
    let (before, own) = plan.tasks.split_at_mut(first);
    // Of a phase that is empty, the one before it.
    let last = before.last().map(|task| task.phase);
    let needs: Vec<String> =
        before.iter().filter(|task| Some(task.phase) == last).map(|task| task.id.clone()).collect();
    let mut previous: Option<String> = None;
    for task in own {
        task.phase = number;
        task.answers.clone_from(&needs);
        match (&previous, parallel) {
            (Some(previous), false) => {
                task.needs = vec![previous.clone()];
                task.answers.push(previous.clone());
            }
            _ => task.needs.clone_from(&needs),
        }
        previous = Some(task.id.clone());
    }
}
