//! What scripts and people are told of runs.

use serde_json::{Value, json};

use super::{plan, task};
use crate::support::Sandbox;

#[test]
fn the_summary_has_the_keys_that_others_read() {
    let sandbox = Sandbox::new();
    sandbox.write(".cx/agents/shy.md", "---\ndescription: Shy\n---\nDo it.\n");
    let tasks = json!({
        "shy": [{ "id": "x", "prompt": "echo one", "backend": "sh" }],
    });
    drop(tasks);
    let plain = json!([
        { "id": "one", "agent": "shy", "prompt": "echo one" },
        { "id": "two", "agent": "shy", "prompt": "exit 1" },
        task("three", "echo three", &["two"]),
    ]);
    let file = plan(&sandbox, "shape", &plain);
    let output = sandbox.cx(["run", "-f", &file, "--json"]).code(1);
    let summary = output.json();
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    for key in ["kind", "aliases", "totalTasks", "elapsedMs", "resultsByAlias"] {
        assert!(keys(&summary).iter().any(|k| k == key), "{key}: {summary}");
    }
    assert_eq!(summary["kind"], "summary");
    assert_eq!(summary["totalTasks"], 3);
    let shy = &summary["resultsByAlias"]["shy"];
    for key in ["agentId", "count", "ok", "successRate", "avgMs", "tasks"] {
        assert!(keys(shy).iter().any(|k| k == key), "{key}: {shy}");
    }
    assert_eq!((&shy["agentId"], &shy["count"], &shy["ok"]), (&json!("shy"), &json!(2), &json!(1)));
    assert_eq!(shy["successRate"], 0.5);
    let first = &shy["tasks"][0];
    assert_eq!((&first["ok"], &first["output"]), (&json!(true), &json!("one\n")));
    assert_eq!(first["summary"], "echo one");
    assert!(first["ms"].is_u64());
    // What has no role goes by its backend.
    assert_eq!(summary["resultsByAlias"]["sh"]["tasks"][0]["status"], "skipped");
    // The same later, without the answers.
    let mut status = sandbox.cx(["status", "shape", "--json"]).ok().json();
    let mut summary = summary;
    for value in [&mut status, &mut summary] {
        for results in value["resultsByAlias"].as_object_mut().unwrap().values_mut() {
            for task in results["tasks"].as_array_mut().unwrap() {
                task.as_object_mut().unwrap().remove("output");
            }
        }
    }
    assert_eq!(status, summary);
}

#[test]
fn people_get_tables_and_what_to_do_next() {
    let sandbox = Sandbox::new();
    assert!(sandbox.cx(["status"]).code(1).stderr().contains("there is no run yet"));
    assert_eq!(sandbox.cx(["runs"]).ok().stdout(), "");
    assert_eq!(sandbox.cx(["runs", "--json"]).ok().json(), json!([]));
    let tasks = json!([
        { "id": "w", "prompt": "echo w > w", "write": true },
        task("r", "echo r", &["w"]),
    ]);
    let file = plan(&sandbox, "nice", &tasks);
    let output = sandbox.cx(["run", "-v", "-f", &file]).ok();
    let lines: Vec<String> = output.stdout().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "ALIAS  AGENT  TASKS  OK  MEAN  TOKENS IN  OUT");
    assert!(lines[1].starts_with("sh     -          2   2  "), "{output}");
    let said = output.stderr();
    for words in [
        "run nice: 2 tasks, at most 8 at once",
        "w started as [1] w",
        "w succeeded in ",
        "r started as [2] r",
        "run nice succeeded, in ",
        "cx collect --run nice",
        "cx merge --run nice",
    ] {
        assert!(said.contains(words), "{words}: {output}");
    }
    let status = sandbox.cx(["status"]).ok().stdout();
    assert!(status.starts_with("nice succeeded · 2/2 done · since "), "{status}");
    assert!(status.contains("w  succeeded  ") && status.contains("[1] w"), "{status}");
    sandbox.cx(["merge", "--run", "nice"]).ok();
    assert_eq!(sandbox.read("w"), "w\n");
    sandbox.cx(["collect", "--run", "nice"]).ok();
    let jobs = sandbox.cx(["jobs", "-a", "--run", "nice", "--json"]).ok().json();
    assert_eq!(jobs.as_array().unwrap().len(), 2);
    // A second run of the plan has a name of its own.
    sandbox.cx(["run", "-f", &file]).ok();
    let runs = sandbox.cx(["runs", "--json"]).ok().json();
    let ids: Vec<&Value> = runs.as_array().unwrap().iter().map(|run| &run["run"]).collect();
    assert_eq!(ids, [&json!("nice"), &json!("nice-2")]);
    let told = sandbox.cx(["events"]).ok().stdout();
    assert!(told.contains("  --  run nice started: 2 tasks"), "{told}");
}
