//! `cx plan`: planners that are commands, with answers that are good and bad.

use std::fs;

use crate::support::Sandbox;

/// A sandbox with a planner `tiny` of the person's own, which is this script. What
/// it reads on stdin is kept in `asked-1`, `asked-2`, ...
fn with_planner(script: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    // Whether it is there is asked; nothing of it runs.
    sandbox.script_tool("codex", "exit 0");
    let keep = "n=1; while test -e ../asked-$n; do n=$((n+1)); done; cat > ../asked-$n";
    sandbox.script_tool("tiny-planner", &format!("{keep}\n{script}"));
    let config = sandbox.root().join("config/cx");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.toml"), "[planner.tiny]\ncommand = ['tiny-planner']\n").unwrap();
    sandbox
}

fn asked(sandbox: &Sandbox, number: u32) -> serde_json::Value {
    let text = fs::read(sandbox.root().join(format!("asked-{number}"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

const PLAN: [&str; 4] = ["plan", "--decomposer", "tiny", "Add {{a}} cache"];

#[test]
fn what_the_heuristic_proposes_can_run() {
    let sandbox = Sandbox::new();
    // Whether it is there is asked; nothing of it runs.
    sandbox.script_tool("codex", "exit 0");
    let goal = "Design {{the}} API, then implement it and write the docs; finally fix \"it\".";
    let proposed = sandbox.cx(["plan", "-o", "plan.toml", goal]).ok();
    assert_eq!(
        (proposed.stdout(), proposed.stderr()),
        (String::new(), "cx: 5 tasks for 4 agents; `cx run -f plan.toml` runs them\n".into())
    );
    let text = fs::read_to_string(sandbox.repo().join("plan.toml")).unwrap();
    assert!(text.contains("# 'implement' goes to coder\n[tasks.implement-it]\n"), "{text}");
    let shown = |words: &[&str]| sandbox.cx(words).ok().json();
    let from_toml = shown(&["run", "-f", "plan.toml", "--dry-run", "--json"]);
    sandbox.cx(["plan", "--json", "-o", "plan.json", goal]).ok();
    let from_json = shown(&["run", "-f", "plan.json", "--dry-run", "--json"]);
    assert_eq!(from_toml["plan"], from_json["plan"]);
    let aliases: Vec<&str> = from_toml["plan"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["alias"].as_str().unwrap())
        .collect();
    assert_eq!(aliases, ["architect", "coder", "docs", "reviewer"]);
    // Nobody's work is written over.
    sandbox.cx(["plan", "-o", "plan.toml", "Fix it"]).refused(2, "plan.toml is there already");
    assert_eq!(fs::read_to_string(sandbox.repo().join("plan.toml")).unwrap(), text);
    sandbox.cx(["jobs", "-a"]).ok();
}

#[test]
fn a_command_is_asked_and_its_plan_is_checked() {
    let sandbox = with_planner(
        r#"echo '{"tasks":[{"id":"1","agent":"scout","prompt":"Look {{b}}","needs":[]},
            {"id":"build","agent":"coder","prompt":"Build","needs":[1]}]}'"#,
    );
    let plan = sandbox.cx(PLAN).ok().stdout();
    assert!(plan.contains("needs = [\"task-1\"]"), "{plan}");
    assert!(plan.contains("goal = \"Add {{a}} cache\""), "{plan}");
    sandbox.write("p.toml", &plan);
    let tasks = sandbox.cx(["run", "-f", "p.toml", "--dry-run"]).ok().stdout();
    assert!(tasks.contains("Look {{b}}"), "{tasks}");
    let request = asked(&sandbox, 1);
    assert_eq!((&request["ask"], &request["max_tasks"]), (&"tasks".into(), &24.into()));
    assert_eq!(request["goal"], "Add {{a}} cache");
    let agents = request["agents"].as_array().unwrap();
    let coder = agents.iter().find(|agent| agent["id"] == "coder").unwrap();
    assert_eq!(coder["mode"], "writer");
    assert!(!coder["description"].as_str().unwrap().is_empty());
    assert!(request.get("problem").is_none());
}

#[test]
fn a_bad_answer_is_named_and_asked_for_once_more() {
    let sandbox = with_planner(
        r#"if test $n = 1; then
            echo '{"tasks":[{"id":"a","agent":"nobody","prompt":"p","needs":["b"]}]}'
        else
            echo 'Sure:'; echo '```json'; echo '{"tasks":[{"id":"a","agent":"coder","prompt":"p"}]}'
            echo '```'
        fi"#,
    );
    let planned = sandbox.cx(PLAN).ok();
    assert!(planned.stdout().contains("[tasks.a]\nagent = \"coder\"\n"), "{planned}");
    let codes = "unknown_agent:nobody, unknown_dep:b";
    assert_eq!(
        planned.stderr().lines().next(),
        Some(
            format!(
                "cx: warning: the planner 'tiny' gave no valid answer: {codes}; asked once more"
            )
            .as_str()
        )
    );
    assert_eq!(asked(&sandbox, 2)["problem"], codes);
}

#[test]
fn a_second_bad_answer_is_refused() {
    for (answer, codes) in [
        ("I cannot", "no_json"),
        (r#"{"tasks":[]}"#, "empty_plan"),
        (r#"{"tasks":[{"agent":"coder","prompt":"p"}]}"#, "missing_task_id"),
        (
            r#"{"tasks":[{"id":"a","agent":"coder","prompt":"p","needs":["b"]},
                {"id":"b","agent":"coder","prompt":"p","needs":["a"]}]}"#,
            "cycle_detected",
        ),
        (r#"{"tasks":[{"id":"a","agent":"coder","prompt":" "}]}"#, "empty_prompt:a"),
    ] {
        let sandbox = with_planner(&format!("cat <<'END'\n{answer}\nEND"));
        let refused = sandbox.cx([PLAN.as_slice(), &["-o", "plan.toml"]].concat());
        let said = refused.code(1).stderr();
        let what = format!("cx: error: the planner 'tiny' gave no valid answer twice: {codes}\n");
        assert!(said.contains(&what), "{said}");
        assert!(!sandbox.repo().join("plan.toml").exists());
        assert!(
            sandbox.root().join("asked-2").exists() && !sandbox.root().join("asked-3").exists()
        );
    }
}

#[test]
fn a_planner_that_fails_is_asked_once() {
    let sandbox = with_planner("echo 'no model' >&2; exit 7");
    let what = "the planner 'tiny' ended with exit code 7: no model; there is no plan";
    sandbox.cx(PLAN).refused(1, what);
    assert!(!sandbox.root().join("asked-2").exists());
}

#[test]
fn a_planner_that_hangs_is_ended() {
    let sandbox = with_planner("exit 1");
    let gate = sandbox.gate("gate");
    sandbox.script_tool("tiny-planner", &gate.pass());
    let config = sandbox.root().join("config/cx/config.toml");
    fs::write(config, "[planner.tiny]\ncommand = 'tiny-planner'\ntimeout = 0.2\n").unwrap();
    sandbox.cx(PLAN).refused(1, "the planner 'tiny' did not answer within 0.2s");
}

#[test]
fn a_selector_chooses_the_team() {
    let sandbox = with_planner(r#"echo '{"agents":[{"id":"implementer","reason":"it can"}]}'"#);
    let plan = sandbox.cx(["plan", "--selector", "tiny", "Fix the parser"]).ok().stdout();
    let reason = "# 'fix' goes to coder, and this is the first writer of those chosen\n";
    assert!(
        plan.contains(&format!("{reason}[tasks.fix-the-parser]\nagent = \"implementer\"")),
        "{plan}"
    );
    assert_eq!(asked(&sandbox, 1)["ask"], "agents");
}

#[test]
fn a_planner_of_the_repository_runs_only_when_trusted() {
    let sandbox = Sandbox::new();
    sandbox.write(".cx/config.toml", "[planner.theirs]\ncommand = 'touch ../ran; echo {}'\n");
    let plan = ["plan", "--decomposer", "theirs", "Fix it"];
    sandbox
        .cx(plan)
        .refused(2, "the planner 'theirs' is a command of the repository, and is not trusted");
    assert!(!sandbox.root().join("ran").exists());
    let shown = sandbox.cx(["trust"]).ok().stdout();
    assert!(shown.contains("planner.theirs.command = \"touch ../ran; echo {}\""), "{shown}");
    let said = sandbox.cx(plan).code(1).stderr();
    assert!(said.contains("the planner 'theirs' gave no valid answer twice: empty_plan"), "{said}");
    assert!(sandbox.root().join("ran").exists());
}

#[test]
fn who_is_not_there_cannot_be_asked() {
    let sandbox = with_planner("exit 1");
    let refused = sandbox
        .cx(["plan", "--decomposer", "tinny", "Fix it"])
        .refused(2, "--decomposer: there is no planner 'tinny'");
    assert!(refused.stderr().contains("one of: heuristic, llm, tiny;"), "{refused}");
    sandbox.cx(["plan", " "]).refused(2, "the goal is empty");
    sandbox
        .cx(["plan", "--max-tasks", "1", "Fix a, then fix b"])
        .refused(1, "the goal makes no valid plan: too_many_tasks:3");
    let on_shell = sandbox.sh("CX_BACKEND=sh cx plan 'Fix it'");
    on_shell.refused(2, "there is no agent that can be given a task in words");
}
