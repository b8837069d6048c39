//! `cx run --resume`.

use serde_json::json;

use super::{jobs_of, plan, task, task_of};
use crate::crash::RUN;
use crate::support::{Output, Sandbox};

#[test]
fn a_run_that_was_killed_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let tasks = json!([
        task("first", "echo first", &[]),
        task("slow", &format!("{}; echo slow", gate.pass()), &["first"]),
        task("bad", "exit 3", &["first"]),
        { "id": "last", "argv": ["sh", "-c", "printf %s+%s \"$@\"", "sh", "{{results.slow}}", "{{results.first}}"],
          "needs": ["slow", "first"] },
    ]);
    let file = plan(&sandbox, "cut", &tasks);
    let running = sandbox.start(sandbox.cx_command(["run", "-f", &file]));
    gate.arrived();
    sandbox.ledger().wait_for(|event| event["ev"] == "exited" && event["outcome"] == "failed");
    let pid = running.id().to_string();
    let refused = sandbox.cx(["run", "--resume", "cut"]);
    refused.refused(2, &format!("run cut is being worked through by pid {pid} already"));
    let mut kill = sandbox.command("kill");
    kill.args(["-9", &pid]);
    sandbox.run(kill).ok();
    running.finish().signal(9);

    let runs = sandbox.cx(["runs"]).ok();
    assert!(runs.stdout().contains("cut  interrupted"), "{runs}");
    assert!(runs.stderr().contains("cx run --resume cut"), "{runs}");
    let status = sandbox.cx(["status", "--json"]).ok().json();
    assert_eq!(status["outcome"], "interrupted");
    assert_eq!(task_of(&status, "slow")["status"], "running");
    assert_eq!(task_of(&status, "last")["after"], json!(["slow"]));
    // The job has gone on.
    assert_eq!(sandbox.job("slow")["live"], true);

    let running = sandbox.start(sandbox.cx_command(["run", "--resume", "cu"]));
    running.wait_for_stderr("[2] slow goes on, and is waited for");
    sandbox.ledger().wait_for(|event| event["ev"] == "run-running" && event["resumed"] == true);
    gate.open();
    let output = running.finish().code(1);
    assert!(output.stderr().contains("run cut: 4 tasks, 1 of them done already"), "{output}");
    let count = |task: &str| jobs_of(&sandbox, "cut", task).len();
    assert_eq!(["first", "slow", "bad", "last"].map(count), [1, 1, 2, 1]);
    let last = sandbox.cx(["collect", "last", "--format", "{message}"]).ok().stdout();
    assert_eq!(last, "slow+first\n");
    let status = sandbox.cx(["status", "cut", "--json"]).ok().json();
    assert_eq!(status["outcome"], "failed");
    assert_eq!(task_of(&status, "bad")["attempts"], 2);
}

#[test]
fn what_was_skipped_for_a_failure_runs_once_that_is_mended() {
    let sandbox = Sandbox::new();
    let mark = sandbox.root().join("mended");
    let tasks = json!([
        { "id": "fix", "prompt": format!("test -e '{}'", mark.display()) },
        task("use", "echo used", &["fix"]),
        task("good", "echo good", &[]),
    ]);
    let file = plan(&sandbox, "mend", &tasks);
    sandbox.cx(["run", "-f", &file]).code(1);
    std::fs::write(&mark, "").unwrap();
    // Also from another folder of the repository, and without the plan's file.
    std::fs::remove_file(sandbox.repo().join(&file)).unwrap();
    std::fs::create_dir(sandbox.repo().join("below")).unwrap();
    let mut command = sandbox.cx_command(["run", "--resume", "mend", "--json"]);
    command.current_dir(sandbox.repo().join("below"));
    let summary = sandbox.run(command).ok().json();
    assert_eq!(summary["outcome"], "succeeded");
    assert_eq!(summary["succeeded"], 3);
    let count = |task: &str| jobs_of(&sandbox, "mend", task).len();
    assert_eq!(["fix", "use", "good"].map(count), [2, 1, 1]);
    let repo = sandbox.repo();
    assert_eq!(sandbox.job("use")["cwd"], repo.to_str().unwrap());
    sandbox
        .cx(["run", "--resume", "mend"])
        .refused(2, "run mend has succeeded, and there is nothing left to do");
    sandbox.cx(["run", "--resume", "nobody"]).refused(127, "no such run: nobody");
}

/// `cx ARGS`, which dies at this point.
#[track_caller]
fn crashing(sandbox: &Sandbox, at: &str, args: &[&str]) -> Output {
    let mut command = sandbox.cx_command(args);
    command.env("CX_CRASH_AT", at);
    sandbox.run(command).signal(9)
}

/// How often each task of a run has succeeded.
fn successes(sandbox: &Sandbox, run: &str, tasks: &[&str]) -> Vec<usize> {
    let well = |job: &u64| sandbox.job(&job.to_string())["status"] == "succeeded";
    tasks
        .iter()
        .map(|task| jobs_of(sandbox, run, task).iter().filter(|job| well(job)).count())
        .collect()
}

#[test]
fn a_runner_that_dies_anywhere_leaves_a_run_that_can_go_on() {
    let spawn = ["draft", "settled", "spawned", "supervisor-started"].map(|at| (at, true));
    for (at, exists) in RUN.into_iter().chain(spawn) {
        let sandbox = Sandbox::new();
        let tasks = json!([
            { "id": "a", "prompt": "echo a > a; echo one", "write": true },
            task("b", "cat a", &["a"]),
            task("c", "echo three", &[]),
        ]);
        let file = plan(&sandbox, "crash", &tasks);
        crashing(&sandbox, at, &["run", "-f", &file]);
        let run = if exists {
            // The jobs are nobody's but their supervisors'.
            sandbox.cx(["wait"]);
            let resumed = sandbox.cx(["run", "--resume", "crash"]);
            if at == "run-ended" {
                resumed.refused(2, "run crash has succeeded");
            } else {
                resumed.ok();
            }
            "crash"
        } else {
            assert_eq!(sandbox.cx(["runs", "--json"]).ok().json(), json!([]), "{at}");
            sandbox.cx(["run", "--resume", "crash"]).refused(127, "no such run: crash");
            sandbox.cx(["run", "-f", &file]).ok();
            // What nobody speaks of is taken by the next clean, and only that.
            let folder = |id: &str| sandbox.repo().join(".git/cx/runs").join(id).exists();
            assert_eq!(["crash", "crash-2"].map(folder), [true, true], "{at}");
            sandbox.cx(["clean"]);
            assert_eq!(["crash", "crash-2"].map(folder), [false, true], "{at}");
            "crash-2"
        };
        assert_eq!(successes(&sandbox, run, &["a", "b", "c"]), [1, 1, 1], "{at}");
        // Only a job that never came to work is there twice.
        let jobs: usize =
            ["a", "b", "c"].iter().map(|task| jobs_of(&sandbox, run, task).len()).sum();
        assert_eq!(jobs, 3 + usize::from(at == "spawned"), "{at}");
        let status = sandbox.cx(["status", run, "--json"]).ok().json();
        assert_eq!(
            (&status["outcome"], &status["succeeded"]),
            (&json!("succeeded"), &json!(3)),
            "{at}"
        );
    }
}

#[test]
fn a_runner_may_die_while_it_stops_and_a_starter_once_it_has_handed_over() {
    let sandbox = Sandbox::new();
    let mark = sandbox.root().join("mended");
    let tasks = json!([
        task("bad", &format!("test -e '{}'", mark.display()), &[]),
        task("next", "echo next", &["bad"]),
    ]);
    let file = plan(&sandbox, "stop", &tasks);
    crashing(&sandbox, "run-stopping", &["run", "-f", &file, "--fail-fast"]);
    assert_eq!(sandbox.cx(["status", "--json"]).ok().json()["outcome"], "interrupted");
    std::fs::write(&mark, "").unwrap();
    sandbox.cx(["run", "--resume", "stop"]).ok();
    assert_eq!(successes(&sandbox, "stop", &["bad", "next"]), [1, 1]);

    crashing(&sandbox, "run-detached", &["run", "-f", &file, "--detach"]);
    sandbox.cx(["wait", "--run", "stop-2"]).ok();
    assert_eq!(successes(&sandbox, "stop-2", &["bad", "next"]), [1, 1]);
}

#[test]
fn what_is_said_when_a_run_is_taken_up_counts() {
    let sandbox = Sandbox::new();
    let mark = sandbox.root().join("mark");
    let gate = sandbox.gate("gate");
    let wait = format!("test -e '{}' || exit 3; {}", mark.display(), gate.pass());
    let tasks =
        json!([task("slow", &wait, &[]), task("b", "exit 1", &[]), task("c", "exit 1", &[])]);
    let file = plan(&sandbox, "again", &tasks);
    sandbox.cx(["run", "-f", &file, "--retries", "0"]).code(1);
    for words in [&["-b", "sh"][..], &["--model", "x"], &["--alias", "a=coder"], &["--hooks"]] {
        let refused = sandbox.cx(["run", "--resume", "again"].iter().chain(words));
        refused.code(2);
    }
    std::fs::write(&mark, "").unwrap();
    // Its file is another plan by now.
    plan(&sandbox, "again", &json!([task("other", "true", &[])]));
    let args = ["run", "--resume", "again", "--timeout", "1s", "--retries", "1", "-j", "1"];
    let resumed = sandbox.cx(args).code(124);
    let warned = format!("{file} has changed since; the plan goes on as it was");
    assert!(resumed.stderr().contains(&warned), "{resumed}");
    let status = sandbox.cx(["status", "again", "--json"]).ok().json();
    assert_eq!(status["outcome"], "timed-out");
    assert_eq!(status["totalTasks"], 3);
    // And it counts the next time too.
    gate.open();
    sandbox.cx(["run", "--resume", "again", "--timeout", "1h"]).code(1);
    assert!(jobs_of(&sandbox, "again", "b").len() >= 3, "one attempt, then two");
}
