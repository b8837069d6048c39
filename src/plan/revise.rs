//! A plan that changes while it runs: what a reviser is told after each phase, and
//! what its answer makes of the plan.
//!
//! What has begun cannot be changed or taken away; what remains becomes what the
//! answer says, and the whole is checked as a new plan is. An answer is data from
//! elsewhere: of a task it can say `agent`, `prompt`, `needs`, `mode` and `model`,
//! and it cannot touch a task that runs a command.
//!
//! For whoever runs plans: at the border of a phase, when nothing of the run is
//! live and something remains, send [`state`] as [`super::propose::Request::state`]
//! with [`super::propose::Ask::Revision`], and give the answer to [`revise`]. A plan
//! that comes back takes the place of the stored one, with the next revision; write
//! `run-revised`, with the [`Difference`] as its `why`, before the first task of it
//! starts. What is refused is asked for once more with its codes, and then the plan
//! stays as it was.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Kind, Plan, Problem, Task, check,
    propose::{find_json, needs},
};
use crate::job::Mode;

/// A task that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Its id.
    pub id: String,
    /// Whether it succeeded.
    pub ok: bool,
    /// What it said, or why it failed.
    pub answer: String,
}

/// What a reviser is told: `plan`, `done` and `remaining`. `begun` are the ids of
/// all tasks that have been started, skipped or passed over.
pub fn state(plan: &Plan, begun: &BTreeSet<String>, done: &[Done]) -> Value {
    let told = |task: &Task| json!({ "id": task.id, "agent": task.alias, "prompt": task.prompt, "needs": task.needs });
    let remaining = plan.tasks.iter().filter(|task| !begun.contains(&task.id)).map(told);
    json!({
        "plan": { "name": plan.name, "tasks": plan.tasks.iter().map(told).collect::<Vec<_>>() },
        "done": done,
        "remaining": remaining.collect::<Vec<_>>(),
    })
}

/// The plan as an answer changes it; `None` where it changes nothing (`null`, or
/// nothing at all). `begun` as for [`state`]: of a `foreach` the id of the whole.
/// `agent` as for [`check`].
///
/// # Errors
/// All that is wrong with the answer: the plan stays as it was.
pub fn revise(
    plan: &Plan,
    begun: &BTreeSet<String>,
    answer: &str,
    agent: &dyn Fn(&str) -> Result<(), String>,
) -> Result<Option<Plan>, Vec<Problem>> {
    let wrong = |kind| Problem { line: 0, kind };
    if answer.trim().is_empty() {
        return Ok(None);
    }
    let value = match find_json(answer) {
        Some(Value::Null) => return Ok(None),
        Some(value) => value,
        None => return Err(vec![wrong(Kind::NoJson)]),
    };
    let Some(listed) = value.get("tasks").unwrap_or(&value).as_array() else {
        return Err(vec![wrong(Kind::NoJson)]);
    };
    let mut revised = plan.clone();
    revised.tasks.retain(|task| begun.contains(&task.id));
    let mut problems = Vec::new();
    for item in listed {
        let id = item.get("id").and_then(Value::as_str).unwrap_or_default().trim();
        if begun.contains(id) {
            problems.push(wrong(Kind::HasRun(id.to_owned())));
            continue;
        }
        let known = plan.tasks.iter().find(|task| task.id == id);
        match changed(known, id, item, &mut revised) {
            Ok(task) => revised.tasks.push(task),
            Err(kind) => problems.push(wrong(kind)),
        }
    }
    if problems.is_empty() {
        check(&revised, agent)?;
        return Ok((revised != *plan).then_some(revised));
    }
    Err(problems)
}

/// A task as the answer has it, over what it was.
fn changed(known: Option<&Task>, id: &str, said: &Value, plan: &mut Plan) -> Result<Task, Kind> {
    let bad = |what: &str| Kind::Task(id.to_owned(), what.to_owned());
    if !said.is_object() {
        return Err(bad("is no task"));
    }
    let mut task = known.cloned().unwrap_or_else(|| Task {
        id: id.to_owned(),
        phase: plan.tasks.iter().map(|task| task.phase + 1).max().unwrap_or_default(),
        ..Task::default()
    });
    let before = task.clone();
    let text = |key: &str| said.get(key).and_then(Value::as_str);
    if let Some(agent) = text("agent").map(str::trim) {
        task.alias = (!agent.is_empty()).then(|| agent.to_owned());
    }
    if let Some(prompt) = text("prompt")
        && prompt != task.prompt
    {
        task.prompt = plan.literal(prompt);
    }
    if said.get("needs").is_some() {
        let needs = needs(said.get("needs"));
        if needs != task.needs {
            task.answers.clone_from(&needs);
            task.needs = needs;
        }
    }
    match text("mode") {
        Some("reader") => task.mode = Some(Mode::Reader),
        Some("writer") => task.mode = Some(Mode::Writer),
        Some(_) => return Err(bad("has a mode that is neither reader nor writer")),
        None => {}
    }
    if let Some(model) = text("model") {
        if model.is_empty() || model.starts_with('-') {
            return Err(bad("has a model that is no name of one"));
        }
        task.model = Some(model.to_owned());
    }
    let runs_command =
        !task.argv.is_empty() || task.backend.is_some_and(|backend| backend.is_shell());
    if runs_command && task != before {
        return Err(bad("runs a command, and only its file can change that"));
    }
    Ok(task)
}

/// What is different between two plans: ids, for `run-revised`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Difference {
    /// Tasks that were not there.
    pub added: Vec<String>,
    /// Tasks that say something else.
    pub changed: Vec<String>,
    /// Tasks that are gone.
    pub left_out: Vec<String>,
}

impl Difference {
    /// What is different between two plans.
    pub fn between(old: &Plan, new: &Plan) -> Self {
        let by_id = |plan: &Plan| -> HashMap<String, Task> {
            plan.tasks.iter().map(|task| (task.id.clone(), task.clone())).collect()
        };
        let (before, after) = (by_id(old), by_id(new));
        let ids = |tasks: &[Task], is: &dyn Fn(&Task) -> bool| {
            tasks.iter().filter(|task| is(task)).map(|task| task.id.clone()).collect()
        };
        Self {
            added: ids(&new.tasks, &|task| !before.contains_key(&task.id)),
            changed: ids(&new.tasks, &|task| before.get(&task.id).is_some_and(|it| it != task)),
            left_out: ids(&old.tasks, &|task| !after.contains_key(&task.id)),
        }
    }
}

/// One sentence.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts =
            [("added", &self.added), ("changed", &self.changed), ("left out", &self.left_out)];
        let said = parts.iter().filter(|(_, ids)| !ids.is_empty());
        let said: Vec<String> =
            said.map(|(what, ids)| format!("{what} {}", ids.join(", "))).collect();
        f.write_str(if said.is_empty() { "the order was changed" } else { "" })?;
        f.write_str(&said.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::BackendName;

    fn task(id: &str, needs: &[&str]) -> Task {
        let needs: Vec<String> = needs.iter().map(|id| (*id).to_owned()).collect();
        Task {
            id: id.into(),
            alias: Some("coder".into()),
            prompt: format!("Do {id}"),
            answers: needs.clone(),
            needs,
            retries: Some(2),
            ..Task::default()
        }
    }

    fn plan() -> Plan {
        let tasks = vec![task("a", &[]), task("b", &["a"]), task("c", &["b"])];
        Plan { name: "p".into(), tasks, ..Plan::default() }
    }

    fn begun() -> BTreeSet<String> {
        BTreeSet::from(["a".to_owned()])
    }

    fn ask(plan: &Plan, answer: &str) -> Result<Option<Plan>, Vec<String>> {
        let agent = |name: &str| match name {
            "coder" | "reviewer" => Ok(()),
            _ => Err(format!("there is no agent '{name}'")),
        };
        revise(plan, &begun(), answer, &agent)
            .map_err(|problems| problems.iter().map(|problem| problem.kind.code()).collect())
    }

    #[test]
    fn nothing_said_is_nothing_changed() {
        for answer in ["", " \n", "null", "```json\nnull\n```"] {
            assert_eq!(ask(&plan(), answer), Ok(None), "{answer}");
        }
        let same = r#"{"tasks":[{"id":"b"},{"id":"c","needs":["b"],"prompt":"Do c"}]}"#;
        assert_eq!(ask(&plan(), same), Ok(None));
    }

    #[test]
    fn what_remains_becomes_what_was_said() {
        let answer = r#"{"tasks":[
            {"id":"c","needs":["a","d"],"agent":"reviewer","mode":"reader"},
            {"id":"d","agent":"coder","prompt":"New {{x}}","needs":["a"]}]}"#;
        let old = plan();
        let new = ask(&old, answer).expect("is valid").expect("is another");
        let ids: Vec<&str> = new.tasks.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids, ["a", "c", "d"]);
        assert_eq!(new.tasks[0], old.tasks[0]);
        let c = &new.tasks[1];
        assert_eq!((c.prompt.as_str(), c.retries, c.mode), ("Do c", Some(2), Some(Mode::Reader)));
        assert_eq!(
            (&c.needs, &c.answers),
            (&vec!["a".into(), "d".into()], &vec!["a".into(), "d".into()])
        );
        assert_eq!(new.vars["text_1"], "New {{x}}");
        let difference = Difference::between(&old, &new);
        assert_eq!(difference.to_string(), "added d; changed c; left out b");
        assert_eq!(Difference::between(&old, &old).to_string(), "the order was changed");
    }

    #[test]
    fn all_that_remains_can_be_left_out() {
        let new = ask(&plan(), r#"{"tasks":[]}"#).expect("is valid").expect("is another");
        assert_eq!(new.tasks.len(), 1);
    }

    #[test]
    fn what_has_begun_stays_and_what_is_wrong_is_named() {
        for (answer, codes) in [
            ("no idea", &["no_json"][..]),
            (r#"{"plan":{}}"#, &["no_json"]),
            (r#"{"tasks":[{"id":"a","prompt":"Again"}]}"#, &["task_has_run:a"]),
            (r#"{"tasks":["b"]}"#, &["bad_task:"]),
            (r#"{"tasks":[{"id":"c"}]}"#, &["unknown_dep:b"]),
            (r#"{"tasks":[{"id":"b","needs":["c"]},{"id":"c"}]}"#, &["cycle_detected"]),
            (r#"{"tasks":[{"id":"b","agent":"x"},{"id":"c"}]}"#, &["unknown_agent:x"]),
            (r#"{"tasks":[{"id":"n","agent":"coder"}]}"#, &["empty_prompt:n"]),
            (r#"{"tasks":[{"prompt":"p"}]}"#, &["missing_task_id"]),
            (
                r#"{"tasks":[{"id":"b","model":"-x"},{"id":"b","mode":"w"}]}"#,
                &["bad_task:b", "bad_task:b"],
            ),
        ] {
            assert_eq!(
                ask(&plan(), answer),
                Err(codes.iter().map(|c| (*c).to_owned()).collect()),
                "{answer}"
            );
        }
    }

    #[test]
    fn a_command_is_for_its_file_alone() {
        let mut plan = plan();
        plan.tasks[2].backend = Some(BackendName::SH.into());
        let answer = |c: &str| format!(r#"{{"tasks":[{{"id":"b"}},{{"id":"c"{c}}}]}}"#);
        assert_eq!(ask(&plan, &answer("")), Ok(None));
        let bad = Err(vec!["bad_task:c".to_owned()]);
        assert_eq!(ask(&plan, &answer(r#","prompt":"rm -rf /""#)), bad);
        let new = r#"{"tasks":[{"id":"n","prompt":"x","argv":["rm"],"backend":"sh"}]}"#;
        let new = ask(&plan, new).expect("is valid").expect("is another");
        assert_eq!((new.tasks[1].argv.len(), new.tasks[1].backend), (0, None));
    }

    #[test]
    fn a_reviser_is_told_what_came_back() {
        let done = [Done { id: "a".into(), ok: true, answer: "said".into() }];
        let told = state(&plan(), &begun(), &done);
        assert_eq!(told["done"], json!([{"id": "a", "ok": true, "answer": "said"}]));
        let remaining = told["remaining"].as_array().expect("a list");
        assert_eq!(remaining.len(), 2);
        assert_eq!(remaining[0], json!({"id":"b","agent":"coder","prompt":"Do b","needs":["a"]}));
        assert_eq!(told["plan"]["tasks"].as_array().map(Vec::len), Some(3));
    }
}
