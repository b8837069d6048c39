//! Each form as people have it, and each slip with its line.

mod manual;
mod own;

use std::time::Duration;

use super::*;
use crate::{
    job::{BackendName, Mode},
    plan::Task,
};

fn read(text: &str) -> Plan {
    Plan::read(text.as_bytes(), "plan").unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
}

fn problem(text: &str) -> String {
    let [problem] = problems(text).try_into().expect("one");
    problem
}

/// `plan:LINE: SENTENCE` of all that is wrong.
fn problems(text: &str) -> Vec<String> {
    let problems = Plan::read(text.as_bytes(), "plan").expect_err(text);
    let told = |problem: &Problem| format!("plan:{}: {}", problem.line, problem.kind);
    let told: Vec<String> = problems.iter().map(told).collect();
    assert!(told.iter().all(|line| !line.contains('\n')), "{told:?}");
    told
}

/// `LINE ID ALIAS <- NEEDS: PROMPT` of each task.
fn tasks(plan: &Plan) -> Vec<String> {
    let line = |task: &Task| {
        let alias = task.alias.as_deref().unwrap_or("-");
        let needs = task.needs.join(",");
        format!("{} {} {alias} <- {needs}: {}", task.line, task.id, task.prompt)
    };
    plan.tasks.iter().map(line).collect()
}

fn survives_serde(plan: &Plan) {
    let json = serde_json::to_string(plan).expect("JSON");
    assert_eq!(&serde_json::from_str::<Plan>(&json).expect("a plan"), plan);
}

#[test]
fn a_task_map() {
    let plan = read(
        r#"{
  "reviewer": ["Review utils/date.ts", "Review {{goal}}"],
  "reviewer2": ["Refactor suggestions for auth.ts"],
  "analysis/code-review/code-analyzer": [
    {"type": "analysis", "goal": "Find it", "files": ["a.ts", "b.ts"], "tools": ["grep"]},
    ["Look", {"type": "edit", "files": "c.ts"}],
    {"type": "code.review", "files": ["d.ts"]},
    {"task": "Do", "constraints": ["no network"]},
    {"stack": "x"}
  ]
}"#,
    );
    assert_eq!(
        tasks(&plan),
        [
            "2 reviewer-1 reviewer <- : Review utils/date.ts",
            "2 reviewer-2 reviewer <- : Review {{goal}}",
            "3 reviewer2 reviewer2 <- : Refactor suggestions for auth.ts",
            "5 code-analyzer-1 analysis/code-review/code-analyzer <- : Find it",
            "6 code-analyzer-2 analysis/code-review/code-analyzer <- : Look",
            "7 code-analyzer-3 analysis/code-review/code-analyzer <- : code.review",
            "8 code-analyzer-4 analysis/code-review/code-analyzer <- : Do\n\nDETAILS:\n{\n  \"constraints\": [\n    \"no network\"\n  ]\n}",
            "9 code-analyzer-5 analysis/code-review/code-analyzer <- : {\n  \"stack\": \"x\"\n}",
        ]
    );
    let [_, _, _, first, second, ..] = plan.tasks.as_slice() else { panic!("five") };
    assert_eq!(first.kind.as_deref(), Some("analysis"));
    assert_eq!((first.files.len(), first.tools.as_slice()), (2, ["grep".to_owned()].as_slice()));
    assert_eq!(
        (second.kind.as_deref(), second.files.as_slice()),
        (Some("edit"), ["c.ts".to_owned()].as_slice())
    );
    assert_eq!((plan.name.as_str(), plan.form.as_str()), ("plan", "task-map"));
    survives_serde(&plan);
    // An alias may be called as a part of another form, and ids never meet.
    let plan = read(
        "{\"workers\": [\"a\"], \"tasks\": [\"b\"], \"x\": [\"c\", \"d\"], \"x-1\": [\"e\"], \"7\": [\"f\"]}",
    );
    let ids: Vec<_> = plan.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["workers", "tasks", "x-1", "x-2", "x-1-2", "task-7"]);
    assert_eq!(read("{}").tasks, []);
}

#[test]
fn a_task_map_that_is_none_has_a_line() {
    for (text, expected) in [
        ("{\n\"a\": \"task\"}", "plan:2: 'a' has to be a list of tasks, and is a text"),
        ("{\"a\": [\n1]}", "plan:2: a task has to be a text or a table, and is a number"),
        ("{\"a\": [\n\n[1, 2]]}", "plan:3: a task that is a list has to be a text and a table"),
        (
            "{\"a\": [{\n\"files\": [[]]}]}",
            "plan:2: 'files' has to be a text or a list of them, and is a list",
        ),
        (
            "{\"a\": [\"x\"],\n\"a\": [\"y\"]}",
            "plan:2: this is no valid JSON: 'a' stands here a second time, after line 1",
        ),
        ("{\"a\": [\"x\"\n", "plan:2: this is no valid JSON: EOF while parsing a list"),
        ("{\"\": [\"x\"]}", "plan:1: an alias is empty"),
    ] {
        assert_eq!(problem(text), expected);
    }
    let kind = Kind::Form("this is not valid UTF-8".into());
    let problems = Plan::read(b"{\"a\":\n[\"\xff\"]}", "-").expect_err("no UTF-8");
    assert_eq!(problems, [Problem { line: 2, kind }]);
}

#[test]
fn the_pipelines_of_the_seeds() {
    let plan = read(
        "description: Chain workers in sequence
steps:
  - spawn: architect
  - wait_for: architecture
  - spawn: [coder-1, coder-2]
  - wait_for: implementation
  - spawn: tester
  - wait_for: tests
  - aggregate_results
",
    );
    assert_eq!(
        tasks(&plan),
        [
            "3 architect architect <- : {{goal}}",
            "5 coder-1 coder <- architect: {{goal}}",
            "5 coder-2 coder <- architect: {{goal}}",
            "7 tester tester <- coder-1,coder-2: {{goal}}",
        ]
    );
    assert_eq!(plan.description, "Chain workers in sequence");
    assert_eq!(plan.tasks[3].answers, ["coder-1", "coder-2"]);

    let plan = read(
        "description: Spawn multiple workers for parallel execution
steps:
  - swarm_init: { topology: hierarchical, maxAgents: 8 }
  - spawn_workers:
      - { type: coder, count: 2 }
      - { type: tester, count: 1 }
      - { type: reviewer, count: 1, prompt: 'Review {{goal}}', color: red }
  - wait_for_completion
  - wait_for: again
  - spawn: reviewer
    task: Sum it up
  - aggregate_results: { format: json }
priority: high
",
    );
    assert_eq!(
        tasks(&plan),
        [
            "5 coder-1 coder <- : {{goal}}",
            "5 coder-2 coder <- : {{goal}}",
            "6 tester tester <- : {{goal}}",
            "7 reviewer reviewer <- : Review {{goal}}",
            "10 reviewer-2 reviewer <- coder-1,coder-2,tester,reviewer: Sum it up",
        ]
    );
    assert_eq!(plan.max_jobs.map(u64::from), Some(8));
    assert_eq!(
        plan.notes,
        [
            "line 3: 'topology' is not honoured",
            "line 7: 'color' is not honoured",
            "line 12: 'format' is not honoured",
            "line 13: 'priority' is not honoured",
        ]
    );
    survives_serde(&plan);
}

#[test]
fn a_pipeline_that_is_none_has_a_line() {
    for (text, expected) in [
        ("steps: x", "plan:1: 'steps' has to be a list, and is a text"),
        ("steps:\n- spwan: a", "plan:2: a step has no key 'spwan': did you mean 'spawn'?"),
        (
            "steps:\n- wait",
            "plan:2: a step has no key 'wait': there are spawn, spawn_workers, wait_for, wait_for_completion, aggregate_results, swarm_init",
        ),
        ("steps:\n- spawn:", "plan:2: 'spawn' does not say whom"),
        ("steps:\n- [a]", "plan:2: a step cannot be a list"),
        (
            "steps:\n- spawn_workers:\n  - {count: 2}",
            "plan:3: a worker has neither a name nor a type",
        ),
        (
            "steps:\n- spawn_workers:\n  - {type: a,\n     count: 0}",
            "plan:4: 'count' has to be at least 1",
        ),
        ("steps:\n- spawn: [[a]]", "plan:2: a worker has to be a name or a table, and is a list"),
        ("steps:\n- spawn: a\n  model: -x", "plan:3: 'model' is '-x', which is no name of a model"),
    ] {
        assert_eq!(problem(text), expected);
    }
    // A number of the file's own, twice: for the check to name.
    let twice = read("steps:\n- spawn: [coder-1, coder-1]");
    assert_eq!(twice.tasks[0].id, twice.tasks[1].id);
}

#[test]
fn a_list_of_workers() {
    let text = r#"{ "maxConcurrent": 4, "timeout": 300000, "sharedNamespace": "x", "workers": [
  { "id": "architect", "platform": "codex", "role": "architect", "prompt": "Design it", "maxTurns": 10 },
  { "id": "coder", "platform": "gpt", "role": "coder", "prompt": "Build it", "model": "m",
    "dependsOn": ["architect"], "sandbox": "workspace-write", "timeout": "10m", "allowedTools": ["Read"],
    "network": false },
  { "role": "tester", "prompt": "Test", "sandbox": "read-only" } ] }"#;
    let plan = read(text);
    assert_eq!(
        tasks(&plan),
        [
            "2 architect architect <- : Design it",
            "3 coder coder <- architect: Build it",
            "6  tester <- : Test",
        ]
    );
    let [architect, coder, tester] = plan.tasks.as_slice() else { panic!("three") };
    assert_eq!(architect.backend, Some(BackendName::CODEX.into()));
    assert_eq!(architect.max_turns.map(u32::from), Some(10));
    assert_eq!(architect.timeout, Some(Duration::from_mins(5)));
    assert_eq!((coder.backend, coder.mode), (None, Some(Mode::Writer)));
    assert_eq!((coder.timeout, coder.model.as_deref()), (Some(Duration::from_mins(10)), Some("m")));
    assert_eq!(
        (coder.answers.as_slice(), coder.tools.as_slice()),
        (["architect".to_owned()].as_slice(), ["Read".to_owned()].as_slice())
    );
    assert_eq!(tester.mode, Some(Mode::Reader));
    assert_eq!(
        plan.notes,
        [
            "line 1: 'sharedNamespace' is not honoured",
            "line 3: 'platform: gpt' is not honoured: this cx has no such backend, and takes its default",
            "line 5: 'network' is not honoured",
        ]
    );
    survives_serde(&plan);
    // The bare list, and YAML.
    let plan = read("- id: a\n  prompt: x\n- id: b\n  prompt: y\n  depends_on: a\n");
    assert_eq!(tasks(&plan), ["1 a - <- : x", "3 b - <- a: y"]);
    for (text, expected) in [
        (
            "workers:\n- {id: a, sandbox: none}",
            "plan:2: 'sandbox' is 'none': write read-only or workspace-write",
        ),
        ("workers:\n- {id: a}\n- b", "plan:3: a worker has to be a table, and is a text"),
        (
            "workers:\n- {id: a,\n   maxTurns: many}",
            "plan:3: 'maxTurns' is many, and has to be a whole number from 0 on",
        ),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn phases_come_one_after_the_other() {
    let plan = read(
        r#"{ "title": "A to-do app", "why": {"architect": "first"}, "phases": [
  { "name": "Plan", "parallel": false, "tasks": {
      "architect": ["Decide"],
      "planner": ["Divide", "Name"] } },
  { "name": "Nothing", "tasks": {} },
  { "name": "Build", "parallel": true, "colour": 1, "tasks": {
      "frontend": ["Draw"],
      "architect": ["Watch"] } } ] }"#,
    );
    assert_eq!(
        tasks(&plan),
        [
            "3 architect architect <- : Decide",
            "4 planner-1 planner <- architect: Divide",
            "4 planner-2 planner <- planner-1: Name",
            "7 frontend frontend <- architect,planner-1,planner-2: Draw",
            "8 architect-2 architect <- architect,planner-1,planner-2: Watch",
        ]
    );
    let phases: Vec<_> = plan.tasks.iter().map(|task| task.phase).collect();
    assert_eq!(
        (phases.as_slice(), plan.phases.as_slice()),
        (
            [0, 0, 0, 2, 2].as_slice(),
            ["Plan".to_owned(), "Nothing".into(), "Build".into()].as_slice()
        )
    );
    assert_eq!(plan.description, "A to-do app");
    assert_eq!(plan.notes, ["line 6: 'colour' is not honoured"]);
    survives_serde(&plan);
    for (text, expected) in [
        (
            "phases:\n- {name: a, tasks: [b]}",
            "plan:2: 'tasks' has to be a table of aliases and their tasks, and is a list",
        ),
        (
            "phases:\n- {name: a,\n   parallel: 1}",
            "plan:3: 'parallel' has to be true or false, and is a number",
        ),
        ("phases:\n- {tasks: {a: b}}", "plan:2: 'a' has to be a list of tasks, and is a text"),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn all_that_is_wrong_with_a_form_is_told_at_once() {
    for (text, lines) in [
        (
            "retries = -1\nmax_jobs = 2\n[tasks.a]\nneed = ['b']\nbackend = 'a b'\n[tasks.b]\nmode = 'x'\ntimeout = 'y'\n[args.z]\nmin = 0",
            &[1, 2, 4, 5, 7, 8, 10][..],
        ),
        ("{\"a\": [1,\n[1, 2],\n{\"files\": [[]]}],\n\"b\": \"x\"}", &[1, 2, 3, 4]),
        (
            "steps:\n- spwan: a\n- [a]\n- spawn:\n- spawn: a\n  model: -x\n- spawn_workers:\n  - {count: 2}",
            &[2, 3, 4, 6, 8],
        ),
        ("workers:\n- b\n- {id: a,\n   maxTurns: many,\n   sandbox: none}", &[2, 4, 5]),
        ("phases:\n- a\n- {parallel: 1,\n   tasks: {a: b}}", &[2, 3, 4]),
    ] {
        let told = problems(text);
        let of = |told: &String| told.split(':').nth(1).and_then(|line| line.parse().ok());
        let found: Vec<u64> = told.iter().filter_map(of).collect();
        assert_eq!(found, lines, "{told:#?}");
    }
}

#[test]
fn every_backend_can_be_named() {
    for backend in BackendName::BUILT_IN {
        let plan = read(&format!("[tasks.a]\nbackend = '{backend}'"));
        assert_eq!(plan.tasks[0].backend, Some(backend.into()));
        let plan = read(&format!("workers:\n- {{id: a, platform: {backend}}}"));
        assert_eq!((plan.tasks[0].backend, plan.notes.len()), (Some(backend.into()), 0));
    }
    let plan = read("[tasks.a]\nbackend = 'gpt'");
    assert_eq!(plan.tasks[0].backend, "gpt".parse().ok());
    let error = problem("[tasks.a]\nbackend = 'gpt!'");
    assert!(error.starts_with("plan:2: 'backend' is 'gpt!', which is no name of a"), "{error}");
}

#[test]
fn a_plan_without_a_name_is_called_after_its_file() {
    for (file, name) in [
        ("plans/my plan.json", "my-plan"),
        ("-", "plan"),
        ("../x.y/Übung.yaml", "bung"),
        ("/tmp/1.json", "job"),
    ] {
        let plan = Plan::read(b"{\"a\": [\"b\"]}", file).expect(file);
        assert_eq!(plan.name, name);
    }
}
