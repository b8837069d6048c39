//! `cx run --compat codex-flow`: the records that other tools read.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{plan, task};
use crate::support::Sandbox;

fn lines(top: &Path) -> Vec<Value> {
    let log = fs::read_to_string(top.join("data/logs/events.jsonl")).unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(top: &Path) -> Vec<String> {
    lines(top).iter().map(|line| line["kind"].as_str().unwrap().to_owned()).collect()
}

/// The folders of an alias's records, the oldest first.
fn records(top: &Path, alias: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(top.join(".runs").join(alias)).unwrap().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

fn read(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn each_task_leaves_what_it_was_given_and_what_came_of_it() {
    let sandbox = Sandbox::new();
    let tasks = json!([
        { "id": "good", "agent": "scout", "prompt": "echo {{goal}}" },
        { "id": "bad", "agent": "reviewer", "prompt": "exit 3", "needs": ["good"] },
    ]);
    let file = plan(&sandbox, "both", &tasks);
    sandbox.cx(["run", "-f", &file, "--compat", "codex-flow", "the goal"]).code(1);
    let top = sandbox.repo();
    let good = records(&top, "scout");
    assert_eq!(good.len(), 1);
    assert_eq!(read(good[0].join("input.json")), "echo the goal");
    let output = read(good[0].join("output.json"));
    assert_eq!(
        json!([output["alias"], output["agentId"], output["task"], output["ok"], output["output"]]),
        json!(["scout", "scout", "echo the goal", true, "the goal\n"])
    );
    let bad = read(records(&top, "reviewer")[0].join("output.json"));
    assert_eq!(
        (&bad["ok"], &bad["engine"], &bad["summary"]),
        (&json!(false), &json!("sh"), &json!("ended with exit code 3"))
    );
    assert_eq!(
        kinds(&top),
        [
            "plan_generated",
            "task_started",
            "task_complete",
            "telemetry",
            "task_started",
            "task_complete",
            "telemetry"
        ]
    );
    let said = lines(&top);
    assert_eq!(said[0]["items"][0]["alias"], "scout");
    assert_eq!(said[1]["taskId"], good[0].file_name().unwrap().to_str().unwrap());
    assert_eq!(said[1]["taskId"], said[2]["taskId"]);

    // None goes of what nobody has collected; then all but the last of each alias.
    let kept = sandbox.cx(["clean", "--runs-max-per-alias", "0"]).ok();
    assert!(kept.stderr().contains("[1] good is not collected"), "{kept}");
    assert_eq!(records(&top, "scout").len(), 1);
    let kept = sandbox.cx(["clean", "--logs-max-bytes", "10"]).ok();
    assert!(kept.stderr().contains("kept beyond that 4 lines of data/logs/events.jsonl"), "{kept}");
    let of_tasks = said.iter().filter(|line| !line["taskId"].is_null()).cloned();
    assert_eq!(lines(&top), of_tasks.collect::<Vec<_>>());
    sandbox.cx(["collect", "--run", "both"]).code(1);
    sandbox.cx(["clean", "--runs-max-per-alias", "0", "--logs-max-bytes", "10"]).ok();
    assert!(records(&top, "scout").is_empty() && records(&top, "reviewer").is_empty());
    assert!(lines(&top).is_empty());
}

#[test]
fn each_attempt_has_its_own_and_two_runs_share_the_log() {
    let sandbox = Sandbox::new();
    let tasks = json!([{ "id": "a", "agent": "scout", "prompt": "exit 3", "retries": 1 }]);
    let file = plan(&sandbox, "twice", &tasks);
    let kept = sandbox.root().join("kept");
    let args =
        ["run", "-f", &file, "--compat", "codex-flow", "--compat-dir", kept.to_str().unwrap()];
    let running = [0, 1].map(|_| sandbox.start(sandbox.cx_command(args)));
    for run in running {
        run.finish().code(1);
    }
    assert_eq!(records(&kept, "scout").len(), 4);
    assert_eq!(kinds(&kept).len(), 2 + 4 * 3);
    assert!(!sandbox.repo().join(".runs").exists());
}

#[test]
fn what_a_dead_runner_did_not_write_is_written_by_the_next() {
    for at in ["task-started", "task-ended"] {
        let sandbox = Sandbox::new();
        let tasks = json!([task("a", "echo one", &[]), task("b", "echo two", &["a"])]);
        let file = plan(&sandbox, "cut", &tasks);
        let mut command = sandbox.cx_command(["run", "-f", &file, "--compat", "codex-flow"]);
        command.env("CX_CRASH_AT", at);
        sandbox.run(command).signal(9);
        sandbox.cx(["wait"]).ok();
        sandbox.cx(["run", "--resume", "cut"]).ok();
        let outputs: Vec<Value> = records(&sandbox.repo(), "agent")
            .into_iter()
            .map(|folder| read(folder.join("output.json"))["output"].clone())
            .collect();
        assert_eq!(outputs, [json!("one\n"), json!("two\n")], "{at}");
        let count = |kind| kinds(&sandbox.repo()).iter().filter(|it| *it == kind).count();
        assert_eq!((count("task_started"), count("task_complete")), (2, 2), "{at}");
    }
}

#[test]
fn records_that_cannot_be_kept_are_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    let file = plan(&sandbox, "none", &json!([task("a", "echo one", &[])]));
    sandbox.write(".runs", "a file");
    let refused = sandbox.cx(["run", "-f", &file, "--compat", "codex-flow"]);
    let refused = refused.refused(2, "cannot keep records in");
    sandbox.assert_nothing_started(&refused);
}
