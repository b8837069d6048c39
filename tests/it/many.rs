//! Many jobs at once, and limits that they meet.

use crate::{
    run::{plan, task},
    support::{Output, Sandbox},
};

/// As many as two busy processors can start and end within a few seconds.
const MANY: usize = 200;

fn spawn_many(sandbox: &Sandbox, script: &str) {
    for _ in 0..MANY {
        sandbox.cx(["spawn", "-b", "sh", script]).ok();
    }
}

/// `cx ...` by somebody who may have so many files open, and no more.
fn with_files(sandbox: &Sandbox, soft: usize, hard: usize, line: &str) -> Output {
    sandbox.sh(&format!("ulimit -Sn {soft} && ulimit -Hn {hard} && {line}"))
}

#[test]
fn many_jobs_are_listed_waited_for_killed_and_collected() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    spawn_many(&sandbox, &gate.pass());
    (1..=MANY as u64).for_each(|job| drop(sandbox.until(job, "running")));
    let live = |state: &str| {
        let jobs = sandbox.cx(["jobs", "-a", "--json"]).ok().json();
        jobs.as_array().unwrap().iter().filter(|job| job["status"] == state).count()
    };
    assert_eq!(live("running"), MANY);

    // Each is waited for at once, which takes a file for each of them.
    let timed_out = sandbox.cx(["wait", "--timeout", "10ms"]).code(124);
    assert!(timed_out.stderr().contains("still running after"), "{timed_out}");
    with_files(&sandbox, 64, 1000, "cx wait --timeout 10ms").code(124);
    let refused = with_files(&sandbox, 64, 64, "cx wait --timeout 10ms");
    let refused = refused.refused(125, "cannot wait for a job's lock");
    assert!(refused.stderr().contains("open"), "{refused}");
    assert!(!refused.stderr().contains("lost"), "{refused}");
    // One after the other takes one file.
    let waiting = sandbox.start(sandbox.cx_command(["wait"]));

    let killed = sandbox.cx(["kill", "--all"]).ok();
    assert_eq!(killed.stderr().matches("killed 143").count(), MANY, "{killed}");
    waiting.finish().code(1);
    assert_eq!(live("killed"), MANY);
    let collected = sandbox.cx(["collect", "--format", "summary"]).code(1).stdout();
    assert!(collected.ends_with(&format!("== {MANY} jobs: 0 completed, {MANY} failed\n")));
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.cx(["jobs"]).ok().stdout(), "");
}

#[test]
fn a_plan_of_many_tasks_runs_as_many_as_it_may() {
    let sandbox = Sandbox::new();
    let tasks: Vec<_> = (0..MANY).map(|n| task(&format!("t{n}"), "true", &[])).collect();
    let file = plan(&sandbox, "many", &tasks.into());
    sandbox.sh(&format!("ulimit -Sn 128 && cx run -f {file} -j 150 --max-jobs 150")).ok();
    let jobs = sandbox.cx(["jobs", "-a", "--json"]).ok().json();
    let ended = jobs.as_array().unwrap().iter().filter(|job| job["status"] == "succeeded").count();
    assert_eq!(ended, MANY);
}

/// The system's limit of processes does not hold for root, for whom there is nothing to
/// be refused here.
#[test]
fn a_job_whose_supervisor_cannot_be_started_is_over() {
    let sandbox = Sandbox::new();
    let is_root = sandbox.sh("id -u").ok().stdout() == "0\n";
    let spawned = sandbox.sh("ulimit -p 1 && exec cx spawn -b sh -w -n one true");
    if is_root {
        spawned.ok();
        sandbox.cx(["wait"]).ok();
        return;
    }
    let refused = spawned.refused(125, "cannot start a supervisor");
    assert!(refused.stderr().contains("%1 is not started"), "{refused}");
    assert_eq!(sandbox.job("one")["status"], "not-started");
    sandbox.cx(["wait"]).code(1);
    sandbox.cx(["collect"]).code(1);
    // The name is free again, and nothing of the first lies about.
    sandbox.written("one", "echo work > work");
    assert_eq!(sandbox.git(["show", "cx/one:work"]), "work");
}
