//! No more at once than is allowed, and large plans.

use serde_json::{Value, json};

use super::{plan, plan_with, task};
use crate::support::Sandbox;

/// A script that marks that it runs, in a place that all jobs see, and prints how
/// many do.
fn counting(sandbox: &Sandbox) -> String {
    let jobs = sandbox.repo().join(".git/cx/jobs");
    format!(
        "touch $TMPDIR/on; ls -d {}/*/tmp/on 2>/dev/null | wc -l; rm $TMPDIR/on",
        jobs.display()
    )
}

/// The counts that the jobs of all runs have printed.
fn counts(sandbox: &Sandbox) -> Vec<u64> {
    let printed = sandbox.cx(["collect", "--format", "{message}"]).ok().stdout();
    printed.lines().map(|line| line.trim().parse().unwrap()).collect()
}

/// The most jobs that lived at once, by the ledger.
fn most_live(events: &[Value]) -> u64 {
    let (mut live, mut most) = (0_u64, 0);
    for event in events {
        match event["ev"].as_str().unwrap() {
            "spawned" => live += 1,
            "exited" => live -= 1,
            _ => {}
        }
        most = most.max(live);
    }
    most
}

#[test]
fn a_run_has_no_more_live_jobs_than_it_may() {
    let sandbox = Sandbox::new();
    let tasks: Vec<Value> =
        (0..20).map(|n| task(&format!("t{n}"), &counting(&sandbox), &[])).collect();
    let file = plan(&sandbox, "few", &json!(tasks));
    sandbox.cx(["run", "-f", &file, "--jobs", "3"]).ok();
    let counts = counts(&sandbox);
    assert_eq!(counts.len(), 20);
    assert!(counts.iter().all(|count| (1..=3).contains(count)), "{counts:?}");
    // Also no more supervisors.
    assert_eq!(most_live(&sandbox.ledger().events()), 3);
}

#[test]
fn limits_hold_over_two_runs_at_once() {
    let sandbox = Sandbox::new();
    let config = "---\ndescription: Few of it\nmax_parallel_tasks: 2\n---\nDo it.\n";
    sandbox.write(".cx/agents/few.md", config);
    let tasks = |stem: &str| -> Vec<Value> {
        let one = |n: usize| {
            let mut task = task(&format!("{stem}{n}"), &counting(&sandbox), &[]);
            task["agent"] = json!("few");
            task
        };
        (0..12).map(one).collect()
    };
    let runs: Vec<_> = ["left", "right"]
        .map(|name| plan(&sandbox, name, &json!(tasks(name))))
        .iter()
        .map(|file| sandbox.start(sandbox.cx_command(["run", "-f", file, "-j", "6"])))
        .collect();
    for run in runs {
        run.finish().ok();
    }
    let counts = counts(&sandbox);
    assert_eq!(counts.len(), 24);
    assert!(counts.iter().all(|count| (1..=2).contains(count)), "{counts:?}");
}

#[test]
fn the_repositorys_limit_counts_the_jobs_of_others() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("other", &gate.pass());
    gate.arrived();
    let tasks = json!([task("a", "echo a", &[]), task("b", "echo b", &[])]);
    let file = plan_with(&sandbox, "two", json!({ "tasks": tasks, "max-jobs": 1 }));
    let running = sandbox.start(sandbox.cx_command(["run", "-f", &file]));
    sandbox.ledger().wait_for(|event| event["ev"] == "run-running");
    // Nothing is started that would only wait.
    assert_eq!(most_live(&sandbox.ledger().events()), 1);
    gate.open();
    running.finish().ok();
    assert_eq!(most_live(&sandbox.ledger().events()), 1);
}

/// A supervisor that dies says nothing: its freed lock is what wakes the run.
#[test]
fn a_lost_job_holds_up_neither_its_run_nor_others() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let tasks = json!([task("a", &gate.pass(), &[]), task("b", "echo b", &["a"])]);
    let file = plan(&sandbox, "lost", &tasks);
    let running = sandbox.start(sandbox.cx_command(["run", "-f", &file]));
    gate.arrived();
    let pid = sandbox.until(1, "started")["supervisor"]["pid"].to_string();
    let mut kill = sandbox.command("kill");
    kill.args(["-9", &pid]);
    sandbox.run(kill).ok();
    let output = running.finish().code(1);
    assert!(output.stderr().contains("a lost: its supervisor vanished"), "{output}");
    assert!(output.stderr().contains("b is skipped: needs 'a', which failed"), "{output}");
}

#[test]
fn two_hundred_tasks_with_needs_run_to_the_end() {
    let sandbox = Sandbox::new();
    let tasks: Vec<Value> = (0..200)
        .map(|n: usize| {
            let needs: Vec<String> = [1, 7]
                .iter()
                .filter_map(|back| n.checked_sub(*back * 4))
                .map(|n| format!("t{n}"))
                .collect();
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            task(&format!("t{n}"), "true", &needs)
        })
        .collect();
    let file = plan(&sandbox, "many", &json!(tasks));
    let output = sandbox.cx(["run", "-f", &file, "--json"]).ok();
    let summary = output.json();
    assert_eq!((&summary["totalTasks"], &summary["succeeded"]), (&json!(200), &json!(200)));
    assert!(most_live(&sandbox.ledger().events()) <= 8);
}

#[test]
fn the_limit_that_is_said_is_the_one_that_holds() {
    let sandbox = Sandbox::new();
    let file = plan(&sandbox, "one", &json!([task("a", "true", &[])]));
    let output = sandbox.cx(["run", "-f", &file, "--max-jobs", "1"]).ok();
    assert!(output.stderr().contains("run one: 1 task, at most 1 at once"), "{output}");
}
