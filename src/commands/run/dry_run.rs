//! `cx run --dry-run`: what would run, after what, and under which limits.

use std::{borrow::Cow, collections::BTreeMap, num::NonZeroU64};

use serde::Serialize;
use serde_json::{Value, json};

use super::load::Loaded;
use crate::{
    agent::Resolved,
    failure::Failure,
    job::{Mode, Template},
    plan::{Foreach, Plan, Task},
    ui::{self, Align, Table},
};

/// The tasks of one alias, as codex-flow prints them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfAlias<'a> {
    alias: Option<&'a str>,
    agent_id: Option<&'a str>,
    /// How many of them may run at once; none is no limit of its own.
    limit: Option<NonZeroU64>,
    tasks: Vec<String>,
}

/// Prints the plan.
pub(super) fn print(loaded: &Loaded, json: bool) -> Result<(), Failure> {
    let mut out = ui::out();
    if json {
        out.json(&as_json(loaded))?;
    } else {
        for line in as_text(loaded) {
            out.line(line)?;
        }
    }
    out.finish()
}

fn as_json(loaded: &Loaded) -> Value {
    let plan = &loaded.plan;
    let aliases = aliases(plan, &loaded.agents);
    let id = |at: &usize| plan.tasks.get(*at).map_or("", |task| &task.id);
    let waves: Vec<Vec<&str>> =
        loaded.graph.waves.iter().map(|wave| wave.iter().map(id).collect()).collect();
    let tasks: Vec<Value> = plan
        .tasks
        .iter()
        .map(|task| {
            let (foreach, max) = match &task.foreach {
                Some(Foreach::Values(values)) => (json!(values), None),
                Some(Foreach::Answer { of, max }) => (json!({ "answer": of }), Some(max.get())),
                Some(Foreach::List(_)) | None => (Value::Null, None),
            };
            json!({
                "id": task.id, "alias": task.alias, "mode": mode(loaded, task),
                "backend": task.backend, "model": task.model, "needs": task.needs,
                "when": task.when, "foreach": foreach, "max": max, "scope": task.scope,
                "files": task.files, "tools": task.tools, "retries": task.retries,
                "timeoutMs": task.timeout.map(|d| d.as_millis()),
                "line": (task.line > 0).then_some(task.line),
            })
        })
        .collect();
    json!({
        "kind": "plan", "plan": aliases, "name": plan.name, "description": plan.description,
        "waves": waves, "tasks": tasks, "phases": plan.phases, "vars": plan.vars,
        "maxJobs": plan.max_jobs, "failFast": plan.fail_fast,
        "timeoutMs": plan.timeout.map(|d| d.as_millis()),
        "merge": plan.merge, "verify": plan.verify, "notes": plan.notes,
    })
}

/// The tasks by alias, as codex-flow has them.
pub(super) fn items(plan: &Plan, agents: &BTreeMap<String, Resolved>) -> Value {
    json!(aliases(plan, agents))
}

fn aliases<'a>(plan: &'a Plan, agents: &'a BTreeMap<String, Resolved>) -> Vec<OfAlias<'a>> {
    let mut aliases: Vec<OfAlias> = Vec::new();
    for task in &plan.tasks {
        let alias = task.alias.as_deref();
        let at = aliases.iter().position(|of| of.alias == alias).unwrap_or_else(|| {
            let agent = alias.and_then(|alias| agents.get(alias));
            let agent_id = agent.map(|resolved| resolved.agent.name.as_str());
            let limit = agent.and_then(|resolved| resolved.limit);
            aliases.push(OfAlias { alias, agent_id, limit, tasks: Vec::new() });
            aliases.len() - 1
        });
        if let Some(of) = aliases.get_mut(at) {
            of.tasks.extend(prompts(plan, task));
        }
    }
    aliases
}

/// What the workers of a task are told, with the values that are known.
fn prompts(plan: &Plan, task: &Task) -> Vec<String> {
    let with = |item: Option<&str>| {
        let value = |name: &str| match name {
            "item" if item.is_some() => item.map(Cow::Borrowed),
            name => Some(plan.vars.get(name).map_or_else(
                || Cow::Owned(format!("{{{{{name}}}}}")),
                |value| Cow::Borrowed(value.as_str()),
            )),
        };
        let text = if task.argv.is_empty() { &task.prompt } else { &task.argv.join(" ") };
        Template::parse(text).render(&value).unwrap_or_else(|_| text.clone())
    };
    match &task.foreach {
        Some(Foreach::Values(values)) => values.iter().map(|item| with(Some(item))).collect(),
        _ => vec![with(None)],
    }
}

/// What the task may do, where anybody says.
fn mode(loaded: &Loaded, task: &Task) -> Mode {
    let agent = task.alias.as_ref().and_then(|alias| loaded.agents.get(alias));
    task.mode.or(agent.map(|resolved| resolved.agent.mode)).unwrap_or(Mode::Reader)
}

fn as_text(loaded: &Loaded) -> Vec<String> {
    let plan = &loaded.plan;
    let mut head = plan.name.clone();
    if let Some(line) = plan.description.lines().next() {
        head = format!("{head}: {}", ui::clean(line));
    }
    let mut table = Table::new(&[
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Left,
        Align::Left,
        Align::Left,
    ]);
    let mut count: u64 = 0;
    let mut at_most = false;
    for (number, wave) in (1..).zip(&loaded.graph.waves) {
        for (first, at) in wave.iter().enumerate() {
            let Some(task) = plan.tasks.get(*at) else { continue };
            let prompts = match &task.foreach {
                // What tells the members apart.
                Some(Foreach::Values(values)) => values.clone(),
                _ => prompts(plan, task),
            };
            let members = match &task.foreach {
                Some(Foreach::Answer { max, .. }) => {
                    at_most = true;
                    count += u64::from(max.get()) - 1;
                    vec![format!("{}-1..{max}", task.id)]
                }
                Some(_) => (1..=prompts.len()).map(|n| format!("{}-{n}", task.id)).collect(),
                None => vec![task.id.clone()],
            };
            count += members.len() as u64;
            for (member, (id, prompt)) in members.into_iter().zip(prompts).enumerate() {
                let wave = if first + member == 0 { number.to_string() } else { String::new() };
                table.row(vec![
                    wave,
                    id,
                    role(loaded, task),
                    mode(loaded, task).to_string(),
                    after(task),
                    ui::cut(&ui::clean(&prompt), 120),
                ]);
            }
        }
    }
    let mut lines = vec![head];
    lines.extend(table.lines(ui::is_terminal().then(ui::columns), &[5, 4, 2, 1]));
    let mut foot = ui::plural(count, "task");
    if at_most {
        foot = format!("up to {foot}");
    }
    foot = format!("{foot} in {}", ui::plural(loaded.graph.waves.len() as u64, "wave"));
    if let Some(max) = plan.max_jobs {
        foot = format!("{foot}, at most {max} at once");
    }
    if let Some(timeout) = plan.timeout {
        foot = format!("{foot}, for at most {}", ui::short(timeout));
    }
    if plan.fail_fast {
        foot.push_str(", until the first failure");
    }
    lines.push(foot);
    lines
}

/// The alias, and the agent where that is called otherwise.
fn role(loaded: &Loaded, task: &Task) -> String {
    let Some(alias) = &task.alias else { return "-".to_owned() };
    let Some(resolved) = loaded.agents.get(alias) else { return alias.clone() };
    let mut text = alias.clone();
    if resolved.agent.name != *alias && resolved.agent.qualified != *alias {
        text = format!("{text} = {}", resolved.agent.name);
    }
    if let Some(limit) = resolved.limit {
        text = format!("{text} (max {limit})");
    }
    text
}

/// What a task waits for, and on which condition it runs.
fn after(task: &Task) -> String {
    let mut text = match task.needs.as_slice() {
        [] => String::new(),
        few @ ([_] | [_, _] | [_, _, _]) => format!("after {}", few.join(", ")),
        [first, second, rest @ ..] => format!("after {first}, {second} and {} more", rest.len()),
    };
    if let Some(when) = &task.when {
        text = format!("{text}, when {}", ui::clean(when));
    }
    text
}
