//! No more at once than is allowed, and large plans.

use std::{cell::RefCell, collections::BTreeSet};

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
fn most_live(events: &[Value]) -> usize {
    most(events, "spawned", &|_| true)
}

/// The most of these jobs that were between this event and their end at once, by the
/// order of the ledger: no clock has a part in it.
fn most(events: &[Value], from: &str, of: &dyn Fn(u64) -> bool) -> usize {
    let mut live: BTreeSet<u64> = BTreeSet::new();
    let mut most = 0;
    for event in events {
        let job = event["job"].as_u64().unwrap();
        match event["ev"].as_str().unwrap() {
            ev if ev == from && of(job) => assert!(live.insert(job), "{from} twice: {event}"),
            "exited" => drop(live.remove(&job)),
            _ => {}
        }
        most = most.max(live.len());
    }
    most
}

/// Waits until so many jobs have said this.
fn until_so_many(sandbox: &Sandbox, ev: &str, count: usize) {
    let seen = RefCell::new(BTreeSet::new());
    sandbox.ledger().wait_for(|event| {
        let mut seen = seen.borrow_mut();
        seen.extend(event["job"].as_u64().filter(|_| event["ev"] == ev));
        seen.len() == count
    });
}

/// The numbers of the jobs that have a supervisor now, by the processes there are, each
/// as often as it has one.
fn supervised(sandbox: &Sandbox) -> Vec<u64> {
    let all = sandbox.live_processes().into_iter();
    let mut jobs: Vec<u64> = all
        .filter(|what| what.contains("__supervise"))
        .map(|what| {
            let number = what.split_whitespace().find_map(|word| word.parse().ok());
            number.unwrap_or_else(|| panic!("no number in {what}"))
        })
        .collect();
    jobs.sort_unstable();
    jobs
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

/// Three plans, two pools and the limit of the repository, all at once.
#[test]
fn pools_and_the_repositorys_limit_hold_over_three_plans_at_once() {
    let sandbox = Sandbox::new();
    for (name, limit) in [("few", 2), ("lens", 1)] {
        let text = format!("---\ndescription: Few\nmax_parallel_tasks: {limit}\n---\nDo it.\n");
        sandbox.write(format!(".cx/agents/{name}.md"), text);
    }
    let gate = sandbox.gate("gate");
    let tasks = |few: usize, lens: usize, free: usize| -> Vec<Value> {
        let one = |kind: &str, n: usize| {
            let mut task = task(&format!("{kind}{n}"), &gate.pass(), &[]);
            if kind != "free" {
                task["agent"] = json!(kind);
            }
            task
        };
        let all = [("few", few), ("lens", lens), ("free", free)];
        all.iter().flat_map(|(kind, count)| (0..*count).map(|n| one(kind, n))).collect()
    };
    // With all pools full 2 + 1 + 4 could run.
    let plans = [("left", tasks(6, 0, 2)), ("middle", tasks(4, 3, 0)), ("right", tasks(0, 3, 2))];
    let total: usize = plans.iter().map(|(_, tasks)| tasks.len()).sum();
    let runs: Vec<_> = plans
        .into_iter()
        .map(|(name, tasks)| plan_with(&sandbox, name, json!({ "tasks": tasks, "max-jobs": 4 })))
        .collect::<Vec<_>>()
        .iter()
        .map(|file| sandbox.start(sandbox.cx_command(["run", "-f", file, "-j", "6"])))
        .collect();
    until_so_many(&sandbox, "running", 4);
    gate.open();
    for run in runs {
        run.finish().ok();
    }
    let events = sandbox.ledger().events();
    let of = |pool: &'static str| {
        let spawned = events.iter().filter(|event| event["ev"] == "spawned");
        let mine = spawned.filter(|event| {
            let agent = event["agent"].as_str().unwrap_or_default();
            agent.rsplit('/').next() == Some(pool)
        });
        mine.map(|event| event["job"].as_u64().unwrap()).collect::<BTreeSet<u64>>()
    };
    let (few, lens) = (of("few"), of("lens"));
    assert_eq!((few.len(), lens.len()), (10, 6));
    assert_eq!(events.iter().filter(|event| event["ev"] == "exited").count(), total);
    for from in ["admitted", "running"] {
        assert_eq!(most(&events, from, &|_| true), 4, "{from}");
        assert!((1..=2).contains(&most(&events, from, &|job| few.contains(&job))), "{from}");
        assert_eq!(most(&events, from, &|job| lens.contains(&job)), 1, "{from}");
    }
}

#[test]
fn each_live_job_has_one_supervisor_and_nothing_else_has() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let tasks: Vec<Value> = (0..9).map(|n| task(&format!("t{n}"), &gate.pass(), &[])).collect();
    let files = ["left", "right"].map(|name| plan(&sandbox, name, &json!(tasks)));
    let runs =
        files.map(|file| sandbox.start(sandbox.cx_command(["run", "-f", &file, "--jobs", "3"])));
    until_so_many(&sandbox, "running", 6);
    // Six of eighteen tasks live, as nothing is over, and so do their supervisors.
    let spawned = || sandbox.ledger().events().iter().filter(|e| e["ev"] == "spawned").count();
    assert_eq!((supervised(&sandbox), spawned()), ((1..=6).collect(), 6));
    gate.open();
    for run in runs {
        run.finish().ok();
    }
    let events = sandbox.ledger().events();
    let started = events.iter().filter(|event| event["ev"] == "started");
    let mut started: Vec<u64> = started.map(|event| event["job"].as_u64().unwrap()).collect();
    started.sort_unstable();
    assert_eq!(started, (1..=18).collect::<Vec<u64>>());
    assert_eq!(most(&events, "started", &|_| true), 6);
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
    let events = sandbox.ledger().events();
    assert!(most_live(&events) <= 8);
    // One supervisor for each, and no more of them than live jobs at any time.
    assert_eq!(events.iter().filter(|event| event["ev"] == "started").count(), 200);
    assert!(most(&events, "started", &|_| true) <= 8);
}

#[test]
fn the_limit_that_is_said_is_the_one_that_holds() {
    let sandbox = Sandbox::new();
    let file = plan(&sandbox, "one", &json!([task("a", "true", &[])]));
    let output = sandbox.cx(["run", "-f", &file, "--max-jobs", "1"]).ok();
    assert!(output.stderr().contains("run one: 1 task, at most 1 at once"), "{output}");
}
