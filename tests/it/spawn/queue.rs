//! `--max-jobs` and `--after`.

use crate::support::{Gate, Sandbox};

/// Six jobs that stand at a gate each, two at a time.
fn six(sandbox: &Sandbox) -> Vec<Gate> {
    (1..=6)
        .map(|n| {
            let gate = sandbox.gate(&format!("gate{n}"));
            let script = gate.pass();
            sandbox.spawn_sh(["--max-jobs", "2", "-n", &format!("q{n}"), &script]);
            gate
        })
        .collect()
}

fn statuses(sandbox: &Sandbox) -> Vec<String> {
    let jobs = sandbox.cx(["jobs", "--json"]).ok().json();
    let status = |job: &serde_json::Value| job["status"].as_str().unwrap().to_owned();
    jobs.as_array().unwrap().iter().map(status).collect()
}

#[test]
fn at_most_two_run_at_once_and_they_start_in_order() {
    let sandbox = Sandbox::new();
    let gates = six(&sandbox);
    for (n, gate) in gates.iter().enumerate() {
        gate.arrived();
        sandbox.until(n as u64 + 1, "running");
        if n > 0 {
            // The job before this one stands at its gate too.
            let statuses = statuses(&sandbox);
            let running = statuses.iter().filter(|status| *status == "running").count();
            assert_eq!(running, 2, "{statuses:?}");
            assert_eq!(statuses.iter().filter(|s| *s == "queued").count(), 5 - n, "{statuses:?}");
            gates[n - 1].open();
            sandbox.cx(["wait", &n.to_string()]).ok();
        }
    }
    gates[5].open();
    sandbox.cx(["wait"]).ok();
    let order: Vec<u64> = sandbox
        .ledger()
        .events()
        .iter()
        .filter(|event| event["ev"] == "running")
        .map(|event| event["job"].as_u64().unwrap())
        .collect();
    assert_eq!(order.len(), 6);
    assert!(order[2..].is_sorted(), "the queue was not kept to: {order:?}");
}

#[test]
fn a_queued_job_that_is_killed_holds_nobody_up() {
    let sandbox = Sandbox::new();
    let gates = six(&sandbox);
    gates[0].arrived();
    gates[1].arrived();
    let killed = sandbox.cx(["kill", "q3", "q5"]).ok();
    assert!(killed.stderr().contains("[3] q3 killed"), "{killed}");
    let q3 = sandbox.job("q3");
    assert_eq!((q3["status"].as_str(), q3["exit_code"].as_u64()), (Some("killed"), Some(143)));
    assert_eq!(q3["running_at"], serde_json::Value::Null);
    gates[0].open();
    gates[3].arrived();
    gates[1].open();
    gates[5].arrived();
    gates[3].open();
    gates[5].open();
    sandbox.cx(["wait"]).code(1);
}

/// The limit is each job's own: it looks at all that run.
#[test]
fn limits_may_differ_and_jobs_without_one_start_at_once() {
    let sandbox = Sandbox::new();
    let gates: Vec<Gate> = (1..=4).map(|n| sandbox.gate(&format!("gate{n}"))).collect();
    let spawn = |n: usize, limit: &[&str]| {
        let (name, script) = (format!("m{n}"), gates[n - 1].pass());
        sandbox.spawn_sh(limit.iter().copied().chain(["-n", &name, &script]));
    };
    spawn(1, &[]);
    gates[0].arrived();
    spawn(2, &["--max-jobs", "1"]);
    sandbox.ledger().wait_for(|e| e["job"] == 2 && e["ev"] == "started");
    spawn(3, &[]);
    gates[2].arrived();
    sandbox.until(1, "running");
    sandbox.until(3, "running");
    assert_eq!(statuses(&sandbox), ["running", "queued", "running"]);
    // Behind the one before it, though its own limit would let it.
    spawn(4, &["--max-jobs", "3"]);
    gates[0].open();
    sandbox.cx(["wait", "m1"]).ok();
    assert_eq!(statuses(&sandbox)[1..], ["queued", "running", "queued"]);
    gates[2].open();
    gates[1].arrived();
    gates[3].arrived();
    gates[1].open();
    gates[3].open();
    sandbox.cx(["wait"]).ok();
}

#[test]
fn the_limit_may_stand_in_the_configuration() {
    let sandbox = Sandbox::new();
    sandbox.write(".cx/config.toml", "max-jobs = 1\n");
    let gate = sandbox.gate("gate");
    sandbox.reader("first", &gate.pass());
    gate.arrived();
    sandbox.until(1, "running");
    sandbox.reader("second", "true");
    assert_eq!(statuses(&sandbox), ["running", "queued"]);
    assert!(sandbox.lines(["jobs"])[1].contains("waits for its turn"));
    gate.open();
    sandbox.cx(["wait"]).ok();
}

#[test]
fn after_a_success_and_after_a_failure() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("first", &gate.pass());
    sandbox.spawn_sh(["-n", "second", "--after", "first", "echo second"]);
    sandbox.spawn_sh(["-n", "third", "--after", "second", "--after", "%1", "exit 4"]);
    sandbox.spawn_sh(["-n", "fourth", "--after", "third", "echo never"]);
    sandbox.spawn_sh(["-n", "fifth", "-w", "--after", "fourth", "echo never"]);
    gate.arrived();
    sandbox.until(1, "running");
    assert_eq!(statuses(&sandbox), ["running", "waiting", "waiting", "waiting", "waiting"]);
    assert!(sandbox.lines(["jobs"])[1].contains("after %1"), "{:?}", sandbox.lines(["jobs"]));
    gate.open();
    let waited = sandbox.cx(["wait"]).code(1);
    assert_eq!(
        waited.stderr(),
        "cx: [3] third failed 4: ended with exit code 4\n\
         cx: [4] fourth skipped: it comes after %3 third, which is failed\n\
         cx: [5] fifth skipped: it comes after %4 fourth, which is skipped\n"
    );
    sandbox.cx(["wait", "second"]).ok();
    assert_ne!(sandbox.job("fourth")["exit_code"], 0);
    // A job that never started leaves no worktree.
    assert!(!sandbox.root().join("repo.cx/fifth").exists());
    // After a job that is over already.
    sandbox.spawn_sh(["-n", "late", "--after", "second", "true"]);
    sandbox.cx(["wait", "late"]).ok();
    sandbox.spawn_sh(["-n", "later", "--after", "third", "true"]);
    assert_eq!(sandbox.cx(["wait", "later"]).code(1).stdout(), "");
}

#[test]
fn a_job_that_comes_after_another_can_be_killed_meanwhile() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("first", &gate.pass());
    sandbox.spawn_sh(["-n", "second", "--after", "first", "true"]);
    sandbox.cx(["kill", "second"]).ok();
    assert_eq!(sandbox.job("second")["status"], "killed");
    assert_eq!(sandbox.job("first")["live"], true);
    gate.open();
    sandbox.cx(["wait", "first"]).ok();
}

#[test]
fn after_and_a_limit_together() {
    let sandbox = Sandbox::new();
    let (first, other) = (sandbox.gate("first"), sandbox.gate("other"));
    sandbox.reader("first", &first.pass());
    first.arrived();
    let after = ["-n", "second", "--after", "first", "--max-jobs", "1", "echo done"];
    sandbox.spawn_sh(after);
    sandbox.reader("other", &other.pass());
    other.arrived();
    first.open();
    sandbox.until(2, "queued");
    other.open();
    sandbox.cx(["wait"]).ok();
}
