//! `cx run --revise-plan`: a reviser changes what remains of a plan.

use std::fs;

use serde_json::{Value, json};

use super::{jobs_of, plan, plan_with, task, task_of, with_codex};
use crate::support::Sandbox;

/// A sandbox with a `codex` that answers `did NAME`, and a command `reviser` that
/// keeps what it reads as `asked-N` beside the repository, and is this script.
fn with_reviser(script: &str) -> Sandbox {
    let sandbox = with_codex();
    let keep = "n=1; while test -e ../asked-$n; do n=$((n+1)); done; cat > ../asked-$n";
    sandbox.script_tool("reviser", &format!("{keep}\n{script}"));
    sandbox
}

fn asked(sandbox: &Sandbox, number: u32) -> Option<Value> {
    let text = fs::read(sandbox.root().join(format!("asked-{number}"))).ok()?;
    Some(serde_json::from_slice(&text).unwrap())
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap()).collect()
}

/// A chain of three.
fn chain(sandbox: &Sandbox) -> String {
    let tasks = json!([
        task("a", "echo one", &[]),
        task("b", "echo two", &["a"]),
        task("c", "echo three", &["b"]),
    ]);
    plan(sandbox, "chain", &tasks)
}

fn events(sandbox: &Sandbox, kind: &str) -> Vec<Value> {
    sandbox.ledger().events().into_iter().filter(|event| event["ev"] == kind).collect()
}

fn stored(sandbox: &Sandbox) -> Value {
    let path = sandbox.repo().join(".git/cx/runs/chain/plan.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// After the first phase one is added, and nothing is changed after that.
const ADDS: &str = r#"test $n = 1 || exit 0
echo '{"tasks":[{"id":"b"},{"id":"c"},
    {"id":"x","agent":"scout","prompt":"Look for {{a}} brace","needs":["a"]}]}'"#;

#[test]
fn a_reviser_sees_what_came_back_and_adds_a_task() {
    let sandbox = with_reviser(ADDS);
    let file = chain(&sandbox);
    let output = sandbox.cx(["run", "-f", &file, "--revise-plan=reviser", "the goal"]).ok();
    assert!(output.stderr().contains("the plan is revised: added x"), "{output}");
    let first = asked(&sandbox, 1).unwrap();
    assert_eq!((&first["ask"], &first["goal"]), (&json!("revision"), &json!("the goal")));
    assert_eq!(first["done"], json!([{ "id": "a", "ok": true, "answer": "one" }]));
    assert_eq!(ids(&first["remaining"]), ["b", "c"]);
    let agents = first["agents"].as_array().unwrap();
    assert!(agents.iter().any(|agent| agent["id"] == "scout"), "{first}");
    // Each wave is a phase, and after the last one more may be called for.
    let second = asked(&sandbox, 2).unwrap();
    assert_eq!(ids(&second["done"]), ["a", "b", "x"]);
    assert_eq!(second["done"][2]["answer"], "did x");
    assert_eq!(ids(&second["remaining"]), ["c"]);
    let third = asked(&sandbox, 3).unwrap();
    assert_eq!(ids(&third["done"]), ["a", "b", "c", "x"]);
    assert_eq!((&third["remaining"], asked(&sandbox, 4)), (&json!([]), None));
    let revised = events(&sandbox, "run-revised");
    assert_eq!(revised.len(), 1);
    assert_eq!(
        (&revised[0]["revision"], &revised[0]["tasks"], &revised[0]["why"]),
        (&json!(2), &json!(4), &json!("added x"))
    );
    // The ledger has it whole, also once plan.json is that of a later revision.
    assert_eq!(
        revised[0]["changed"],
        json!([{ "id": "x", "agent": "scout", "needs": ["a"], "prompt": "Look for {{a}} brace" }])
    );
    assert!(revised[0].get("left_out").is_none());
    assert_eq!(stored(&sandbox)["revision"], 2);
    let status = sandbox.cx(["status", "chain", "--json"]).ok().json();
    assert_eq!((&status["succeeded"], &status["totalTasks"]), (&json!(4), &json!(4)));
    let at = |ev: &str, job: u64| {
        let is = |event: &Value| event["ev"] == ev && event["job"] == job;
        sandbox.ledger().events().iter().position(is).unwrap()
    };
    let job = |task: &str| jobs_of(&sandbox, "chain", task)[0];
    assert!(at("exited", job("b")).max(at("exited", job("x"))) < at("spawned", job("c")));
    let prompt = sandbox.repo().join(format!(".git/cx/jobs/{}/prompt", job("x")));
    assert!(fs::read_to_string(prompt).unwrap().contains("Look for {{a}} brace"));
}

#[test]
fn a_reviser_leaves_out_what_remains() {
    let sandbox = with_reviser(r#"test $n = 1 && echo '{"tasks":[{"id":"b"}]}' || echo null"#);
    let file = chain(&sandbox);
    let output = sandbox.cx(["run", "-f", &file, "--revise-plan=reviser", "--json"]).ok();
    assert_eq!(output.json()["totalTasks"], 2);
    assert!(output.stderr().contains("the plan is revised: left out c"), "{output}");
    assert!(jobs_of(&sandbox, "chain", "c").is_empty());
    assert_eq!(asked(&sandbox, 2).unwrap()["remaining"], json!([]));
    let revised = events(&sandbox, "run-revised");
    assert_eq!(
        (&revised[0]["left_out"], revised[0].get("changed")),
        (&json!(["c"]), None),
        "{revised:?}"
    );
}

#[test]
fn what_has_begun_and_what_a_shell_runs_cannot_be_changed() {
    for (answer, why) in [
        (r#"{"tasks":[{"id":"a","prompt":"again"},{"id":"b"},{"id":"c"}]}"#, "task_has_run:a"),
        (r#"{"tasks":[{"id":"b","prompt":"rm -rf ."},{"id":"c"}]}"#, "bad_task:b"),
        (
            r#"{"tasks":[{"id":"b"},{"id":"c"},{"id":"d","agent":"shell","prompt":"rm -rf ."}]}"#,
            "unknown_agent:shell",
        ),
        (r#"{"tasks":[{"id":"d","agent":"nobody","prompt":"p"}]}"#, "unknown_agent:nobody"),
        ("Let me think.", "no_json"),
    ] {
        let sandbox = with_reviser(&format!("test $n -le 2 || exit 0; cat <<'END'\n{answer}\nEND"));
        sandbox.write(".cx/agents/shell.md", "---\nbackend: sh\n---\nrun\n");
        let file = chain(&sandbox);
        let output = sandbox.cx(["run", "-f", &file, "--revise-plan=reviser"]).ok();
        let said = output.stderr();
        assert!(
            said.contains(&format!("gave no valid answer: {why}; asked once more")),
            "{output}"
        );
        let twice = format!("gave no valid answer twice: {why}; the plan stays as it was");
        assert!(said.contains(&twice) && said.contains("cx: warning: the planner"), "{output}");
        assert_eq!(asked(&sandbox, 2).unwrap()["problem"], why);
        assert_eq!(ids(&asked(&sandbox, 3).unwrap()["remaining"]), ["c"]);
        let notes = events(&sandbox, "note");
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0]["text"].as_str().unwrap().contains(why), "{notes:?}");
        assert!(events(&sandbox, "run-revised").is_empty());
        assert_eq!(stored(&sandbox)["revision"], 1);
        assert!(["a", "b", "c"].iter().all(|id| jobs_of(&sandbox, "chain", id).len() == 1));
    }
}

#[test]
fn what_a_shell_would_run_is_refused() {
    let answer = r#"{"tasks":[{"id":"b"},{"id":"c"},{"id":"x","prompt":"rm -rf ."}]}"#;
    let sandbox = with_reviser(&format!("echo '{answer}'"));
    // The person's own default is the shell.
    let mut command = sandbox.cx_command(["run", "-f", &chain(&sandbox), "--revise-plan=reviser"]);
    command.env("CX_BACKEND", "sh");
    let output = sandbox.run(command).ok();
    let why = "task 'x': a shell would run it, and only the plan's file can say what";
    assert!(output.stderr().contains(&format!("{why}; the plan stays as it was")), "{output}");
    assert!(jobs_of(&sandbox, "chain", "x").is_empty());
}

#[test]
fn nothing_said_is_nothing_changed_and_a_failure_is_shown() {
    let sandbox = with_reviser("");
    let tasks = json!([
        task("good", "echo fine", &[]),
        task("bad", "exit 3", &[]),
        task("after-bad", "echo never", &["bad"]),
        task("next", "echo next", &["good"]),
    ]);
    let file = plan(&sandbox, "mixed", &tasks);
    let output = sandbox.cx(["run", "-f", &file, "--revise-plan=reviser"]).code(1);
    assert!(!output.stderr().contains("revised"), "{output}");
    let done = &asked(&sandbox, 1).unwrap()["done"];
    assert_eq!(
        *done,
        json!([
            { "id": "good", "ok": true, "answer": "fine" },
            { "id": "bad", "ok": false, "answer": "ended with exit code 3" },
            { "id": "after-bad", "ok": false, "answer": "skipped: needs 'bad', which failed" },
        ])
    );
    assert_eq!(ids(&asked(&sandbox, 2).unwrap()["done"]), ["good", "bad", "after-bad", "next"]);
    assert!(asked(&sandbox, 3).is_none());
}

#[test]
fn after_the_last_phase_more_may_be_called_for() {
    let sandbox = with_reviser(
        r#"test $n = 1 && echo '{"tasks":[{"id":"mend","agent":"scout","prompt":"Mend","needs":["a"]}]}'"#,
    );
    let file = plan(&sandbox, "chain", &json!([task("a", "echo broken", &[])]));
    let output = sandbox.cx(["run", "-f", &file, "--revise-plan=reviser", "--json"]);
    let output = output.ok();
    assert_eq!((&output.json()["totalTasks"], &output.json()["succeeded"]), (&json!(2), &json!(2)));
    assert_eq!(asked(&sandbox, 1).unwrap()["remaining"], json!([]));
    assert_eq!(ids(&asked(&sandbox, 2).unwrap()["done"]), ["a", "mend"]);
    assert!(asked(&sandbox, 3).is_none());
    // What has succeeded is over: nobody is asked again.
    sandbox.cx(["run", "--resume", "chain"]).refused(2, "has succeeded");
}

#[test]
fn what_had_failed_stays_so_in_a_revision() {
    let answer = r#"echo '{"tasks":[{"id":"next"},{"id":"x","agent":"scout","prompt":"p"}]}'"#;
    let sandbox = with_reviser(&format!("test $n = 1 && {answer}"));
    let tasks = json!([
        task("good", "echo fine", &[]),
        task("bad", "exit 3", &[]),
        task("after-bad", "echo never", &["bad"]),
        task("next", "echo next", &["good"]),
    ]);
    let file = plan(&sandbox, "mixed", &tasks);
    let output = sandbox.cx(["run", "-f", &file, "--revise-plan=reviser", "--json"]).code(1);
    let summary = output.json();
    assert_eq!(
        (&summary["succeeded"], &summary["failed"], &summary["skipped"]),
        (&json!(3), &json!(1), &json!(1)),
        "{output}"
    );
    assert_eq!(jobs_of(&sandbox, "mixed", "bad").len(), 1);
    assert_eq!(events(&sandbox, "task-skipped").len(), 1);
}

#[test]
fn a_phase_of_phases_is_asked_about_once() {
    let sandbox = with_reviser("");
    let phases = json!({ "phases": [
        { "name": "one", "parallel": false, "tasks": { "scout": ["first", "second"] } },
        { "name": "two", "parallel": true, "tasks": { "scout": ["third", "fourth"] } },
    ] });
    sandbox.write("phases.json", phases.to_string());
    sandbox.cx(["run", "-f", "phases.json", "--revise-plan=reviser"]).ok();
    assert_eq!(ids(&asked(&sandbox, 1).unwrap()["done"]).len(), 2);
    assert_eq!(ids(&asked(&sandbox, 2).unwrap()["done"]).len(), 4);
    assert!(asked(&sandbox, 3).is_none());
}

#[test]
fn who_cannot_revise_is_refused_before_anything_starts() {
    let sandbox = with_reviser("");
    let file = chain(&sandbox);
    for (value, what) in [
        ("--revise-plan=heuristic", "the heuristic revises no plan"),
        ("--revise-plan= ", "--revise-plan= names nobody"),
    ] {
        let refused = sandbox.cx(["run", "-f", &file, value]).refused(2, what);
        sandbox.assert_nothing_started(&refused);
    }
    let mut command = sandbox.cx_command(["run", "-f", &file, "--revise-plan"]);
    command.env("CX_BACKEND", "sh");
    sandbox.run(command).refused(2, "the backend sh runs commands, and cannot revise a plan");
}

#[test]
fn a_reviser_that_is_not_there_is_refused_before_anything_starts() {
    let sandbox = with_reviser("");
    let file = chain(&sandbox);
    sandbox.write("notes", "no program");
    let config = "[planner.gone]\ncommand = [\"nowhere\", \"-x\"]\n";
    std::fs::create_dir_all(sandbox.root().join("config/cx")).unwrap();
    sandbox.write("../config/cx/config.toml", config);
    for (value, code, what) in [
        ("nowhere --quick | cat", 127, "nowhere was not found on PATH"),
        ("./nowhere", 127, "./nowhere was not found"),
        ("./notes", 126, "./notes cannot be executed"),
        ("gone", 127, "nowhere was not found on PATH"),
    ] {
        let refused =
            sandbox.cx(["run", "-f", &file, &format!("--revise-plan={value}")]).refused(code, what);
        sandbox.assert_nothing_started(&refused);
    }
    // What only a shell can know is left to it, and what it knows itself is there.
    for value in ["true", "$(echo true)", "A=b true", "if true; then true; fi", "(true)"] {
        sandbox.cx(["run", "-f", &file, &format!("--revise-plan={value}")]).ok();
    }
}

/// Each question has streams for signals of its own, and gives them back.
#[test]
fn many_borders_need_no_more_files_than_one() {
    let sandbox = with_reviser("");
    let tasks: Vec<Value> = (0..40)
        .map(|n: u32| {
            let need = n.checked_sub(1).map(|n| format!("t{n}"));
            let needs: Vec<&str> = need.iter().map(String::as_str).collect();
            task(&format!("t{n}"), "true", &needs)
        })
        .collect();
    let file = plan(&sandbox, "long", &json!(tasks));
    let mut command = sandbox.command("sh");
    command.args(["-c", "ulimit -n 64; exec \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_cx")).args(["run", "-f", &file, "--revise-plan=true"]);
    let output = sandbox.run(command).ok();
    assert!(!output.stderr().contains("warning"), "{output}");
}

#[test]
fn ctrl_c_while_a_reviser_is_asked_stops_the_run() {
    let sandbox = with_reviser("");
    let gate = sandbox.gate("gate");
    let pass = format!("--revise-plan={}", gate.pass());
    let running = sandbox.start(sandbox.cx_command(["run", "-f", &chain(&sandbox), &pass]));
    gate.arrived();
    let pid = running.id().to_string();
    let mut kill = sandbox.command("kill");
    kill.args(["-INT", &pid]);
    sandbox.run(kill).ok();
    let output = running.finish().code(130);
    assert!(output.stderr().contains("run chain stopped"), "{output}");
    assert!(jobs_of(&sandbox, "chain", "b").is_empty());
    // It had not answered, and is asked again.
    gate.open();
    sandbox.cx(["run", "--resume", "chain"]).ok();
}

#[test]
fn a_runner_that_dies_at_a_border_is_gone_on_with() {
    for at in ["run-revision-stored", "run-revised"] {
        let sandbox = with_reviser(ADDS);
        let mut command =
            sandbox.cx_command(["run", "-f", &chain(&sandbox), "--revise-plan=reviser"]);
        command.env("CX_CRASH_AT", at);
        sandbox.run(command).signal(9);
        assert_eq!(stored(&sandbox)["revision"], 2, "{at}");
        let told = events(&sandbox, "run-revised").len();
        assert_eq!(told, usize::from(at == "run-revised"), "{at}");
        let status = sandbox.cx(["status", "chain", "--json"]).ok().json();
        assert_eq!(task_of(&status, "x")["status"], "waiting", "{at}");

        sandbox.cx(["run", "--resume", "chain"]).ok();
        let revised = events(&sandbox, "run-revised");
        assert_eq!(revised.len(), 1, "{at}: {revised:?}");
        assert_eq!((&revised[0]["revision"], &revised[0]["why"]), (&json!(2), &json!("added x")));
        // Nobody was asked again of what had been answered.
        assert_eq!(ids(&asked(&sandbox, 2).unwrap()["remaining"]), ["c"], "{at}");
        assert_eq!(asked(&sandbox, 3).unwrap()["remaining"], json!([]), "{at}");
        assert!(asked(&sandbox, 4).is_none(), "{at}");
        let count = |task: &&str| jobs_of(&sandbox, "chain", task).len();
        assert_eq!(["a", "b", "c", "x"].iter().map(count).collect::<Vec<_>>(), [1, 1, 1, 1]);
    }
}

#[test]
fn the_time_of_the_run_is_that_of_its_reviser_too() {
    let sandbox = with_reviser("");
    let gate = sandbox.gate("gate");
    let mut whole = json!({ "tasks": [task("a", "echo a", &[]), task("b", "echo b", &["a"])] });
    whole["timeout"] = json!("1s");
    let file = plan_with(&sandbox, "short", whole);
    let pass = format!("--revise-plan={}", gate.pass());
    let output = sandbox.cx(["run", "-f", &file, &pass]).code(124);
    assert!(output.stderr().contains("the run's time is up"), "{output}");
    assert!(jobs_of(&sandbox, "short", "b").is_empty());
}
