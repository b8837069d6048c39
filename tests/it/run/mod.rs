//! `cx run`: a plan is worked through.

mod answers;
mod bundle;
mod limits;
mod records;
mod resume;
mod revise;
mod shapes;
mod stops;
mod verdict;

use serde_json::{Value, json};

use crate::support::Sandbox;

/// A sandbox with a `codex` that answers `did NAME`.
pub(crate) fn with_codex() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.script_tool(
        "codex",
        r#"cat > /dev/null
        echo '{"type":"thread.started","thread_id":"t"}'
        echo '{"type":"item.completed","item":{"id":"1","type":"agent_message","text":"did '$CX_NAME'"}}'
        echo '{"type":"turn.completed","usage":{"input_tokens":1,"cached_input_tokens":0,"output_tokens":1}}'"#,
    );
    sandbox
}

/// A plan of `sh` tasks in a file `NAME.json`, for `cx run -f`.
pub(crate) fn plan(sandbox: &Sandbox, name: &str, tasks: &Value) -> String {
    plan_with(sandbox, name, json!({ "tasks": tasks }))
}

/// The same with what the plan says besides.
pub(crate) fn plan_with(sandbox: &Sandbox, name: &str, mut plan: Value) -> String {
    plan["backend"] = json!("sh");
    let file = format!("{name}.json");
    sandbox.write(".git/info/exclude", "*.json\nseen\n");
    sandbox.write(&file, plan.to_string());
    file
}

/// `ID SCRIPT` with these needs.
pub(crate) fn task(id: &str, script: &str, needs: &[&str]) -> Value {
    json!({ "id": id, "prompt": script, "needs": needs })
}

/// The numbers of a run's jobs of one task, in the order in which they started.
pub(crate) fn jobs_of(sandbox: &Sandbox, run: &str, task: &str) -> Vec<u64> {
    let events = sandbox.ledger().events();
    let mine = events.iter().filter(|event| {
        event["ev"] == "spawned" && event["run"] == run && event["task"]["id"] == task
    });
    mine.map(|event| event["job"].as_u64().unwrap()).collect()
}

/// What `cx status --json` says of one task.
pub(crate) fn task_of(status: &Value, id: &str) -> Value {
    let tasks = status["tasks"].as_array().unwrap();
    tasks.iter().find(|task| task["id"] == id).unwrap_or_else(|| panic!("no {id}")).clone()
}

#[test]
fn tasks_run_at_once_and_after_what_they_need() {
    let sandbox = Sandbox::new();
    let (a, b) = (sandbox.gate("a"), sandbox.gate("b"));
    let file = plan(
        &sandbox,
        "order",
        &json!([
            task("c", "echo c", &["a", "b"]),
            task("a", &a.pass(), &[]),
            task("b", &b.pass(), &[]),
            task("d", "echo d", &["c"]),
        ]),
    );
    let running = sandbox.start(sandbox.cx_command(["run", "-f", &file]));
    a.arrived();
    b.arrived();
    a.open();
    sandbox.ledger().wait_for(|event| event["ev"] == "exited");
    assert!(jobs_of(&sandbox, "order", "c").is_empty(), "b has not ended");
    b.open();
    let output = running.finish().ok();
    assert!(output.stderr().contains("run order succeeded"), "{output}");
    let events = sandbox.ledger().events();
    let at = |ev: &str, job: u64| {
        events.iter().position(|event| event["ev"] == ev && event["job"] == job).unwrap()
    };
    let job = |task: &str| jobs_of(&sandbox, "order", task)[0];
    assert!(at("spawned", job("c")) > at("exited", job("a")));
    assert!(at("spawned", job("c")) > at("exited", job("b")));
    assert!(at("spawned", job("d")) > at("exited", job("c")));
    assert_eq!(sandbox.job("d")["after"], json!([job("c")]));
    assert_eq!(sandbox.job("d")["run"], "order");
}

#[test]
fn a_failure_skips_by_name_what_needs_it_and_nothing_else() {
    let sandbox = Sandbox::new();
    let tasks = json!([
        task("good", "echo good", &[]),
        task("bad", "exit 3", &[]),
        task("after-bad", "echo never", &["bad"]),
        task("later", "echo never", &["after-bad"]),
        task("other", "echo other", &["good"]),
    ]);
    let file = plan(&sandbox, "mixed", &tasks);
    let output = sandbox.cx(["run", "-f", &file]).code(1);
    let said = output.stderr();
    assert!(said.contains("bad failed 3: ended with exit code 3"), "{output}");
    assert!(said.contains("after-bad is skipped: needs 'bad', which failed"), "{output}");
    assert!(said.contains("later is skipped: needs 'after-bad', which was skipped"), "{output}");
    assert!(said.contains("run mixed failed: 1 of 5 tasks failed, and 2 were not run"), "{output}");
    assert!(said.contains("cx run --resume mixed"), "{output}");
    assert!(jobs_of(&sandbox, "mixed", "later").is_empty());
    assert_eq!(sandbox.job("other")["status"], "succeeded");
    let skipped: Vec<Value> =
        sandbox.ledger().events().into_iter().filter(|e| e["ev"] == "task-skipped").collect();
    assert_eq!(skipped.len(), 2);
    assert!(skipped.iter().all(|event| event["job"] == 0));
}

#[test]
fn fail_fast_starts_nothing_more() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let tasks = json!([
        task("slow", &format!("{}; echo done", gate.pass()), &[]),
        task("bad", "exit 3", &[]),
        task("next", "echo never", &["slow"]),
    ]);
    let file = plan(&sandbox, "fast", &tasks);
    let running = sandbox.start(sandbox.cx_command(["run", "-f", &file, "--fail-fast"]));
    sandbox.ledger().wait_for(|event| event["ev"] == "run-stopping");
    gate.open();
    let output = running.finish().code(1);
    assert!(output.stderr().contains("next is skipped: another task had failed"), "{output}");
    // What runs is not ended for that.
    assert_eq!(sandbox.job("slow")["status"], "succeeded");
    assert!(jobs_of(&sandbox, "fast", "next").is_empty());
}

#[test]
fn what_failed_is_tried_again_where_that_is_worth_it() {
    let sandbox = Sandbox::new();
    let mark = sandbox.root().join("mark");
    let script = format!("test -e '{0}' || {{ : > '{0}'; exit 3; }}; echo second", mark.display());
    let tasks = json!([
        { "id": "flaky", "prompt": script, "write": true },
        { "id": "never", "prompt": "exit 4", "retries": 2 },
        { "id": "ended", "prompt": "kill -TERM $$", "retries": 5 },
        { "id": "once", "prompt": "exit 5", "retries": 0 },
        task("next", "echo next", &["flaky"]),
    ]);
    let file = plan(&sandbox, "again", &tasks);
    let output = sandbox.cx(["run", "-f", &file, "--retries", "1"]).code(1);
    let count = |task: &str| jobs_of(&sandbox, "again", task).len();
    let counts = ["flaky", "never", "ended", "once", "next"].map(count);
    assert_eq!(counts, [2, 3, 1, 1, 1], "{output}");
    let said = output.stderr();
    assert!(said.contains("flaky failed 3: ended with exit code 3 ("), "{output}");
    assert!(said.contains("; attempt 2 follows"), "{output}");
    let second = sandbox.job(&jobs_of(&sandbox, "again", "flaky")[1].to_string());
    assert_eq!(second["status"], "succeeded");
    let note = second["notes"][0].as_str().unwrap();
    assert!(note.starts_with("attempt 2 of task flaky; %"), "{note}");
    assert!(note.ends_with(" failed 3"), "{note}");
}

#[test]
fn a_task_whose_condition_does_not_hold_is_passed_over() {
    let sandbox = Sandbox::new();
    let tasks = json!([
        task("tests", "echo red; exit 1", &[]),
        { "id": "mend", "prompt": "echo mended", "needs": ["tests"], "when": "tests.failed" },
        { "id": "praise", "prompt": "echo no", "needs": ["tests"], "when": "tests.succeeded" },
        task("last", "echo last", &["praise"]),
    ]);
    let file = plan(&sandbox, "cond", &tasks);
    let output = sandbox.cx(["run", "-f", &file, "--json"]).ok();
    let summary = output.json();
    assert_eq!(task_of(&summary, "tests")["status"], "failed");
    assert_eq!(task_of(&summary, "mend")["status"], "succeeded");
    assert_eq!(task_of(&summary, "praise")["status"], "passed-over");
    assert_eq!(task_of(&summary, "last")["status"], "succeeded");
    assert_eq!((&summary["passedOver"], &summary["skipped"]), (&json!(1), &json!(0)));
    // A job that comes after a failed one would be skipped by its supervisor.
    assert_eq!(sandbox.job("mend")["after"], json!([]));
}

#[test]
fn nothing_starts_where_one_task_cannot() {
    let sandbox = Sandbox::new();
    let tasks = json!([
        task("good", "echo good", &[]),
        { "id": "where", "prompt": "echo x", "write": true, "base": "no-such-branch" },
        { "id": "what", "argv": ["no-such-program"] },
    ]);
    let file = plan(&sandbox, "wrong", &tasks);
    let output = sandbox.cx(["run", "-f", &file]).code(2);
    let said = output.stderr();
    assert!(said.contains("task 'where' (line 1): "), "{output}");
    assert!(said.contains("no-such-branch"), "{output}");
    assert!(
        said.contains("task 'what' (line 1): ") && said.contains("no-such-program"),
        "{output}"
    );
    assert!(said.contains("error: 2 tasks cannot be run; nothing was started"), "{output}");
    sandbox.assert_nothing_started(&output);
    assert!(!sandbox.repo().join(".git/cx/runs").exists());
    // One alone is the error itself.
    let tasks = json!([{ "id": "what", "argv": ["no-such-program"] }]);
    let file = plan(&sandbox, "wrong", &tasks);
    let output = sandbox.cx(["run", "-f", &file]).code(127);
    assert!(output.stderr().starts_with("cx: error: task 'what' (line 1): "), "{output}");
}

#[test]
fn a_worker_cannot_run_plans() {
    let sandbox = Sandbox::new();
    let file = plan(&sandbox, "inner", &json!([task("a", "echo a", &[])]));
    sandbox.reader("worker", &format!("cx run -f {file}; cx run --resume x; echo $?"));
    sandbox.cx(["wait", "worker"]).ok();
    let said = sandbox.cx(["logs", "--stderr", "worker"]).ok().stdout();
    assert_eq!(said.matches("a worker cannot run plans").count(), 2, "{said}");
    assert_eq!(sandbox.cx(["logs", "worker"]).ok().stdout(), "2\n");
}

#[test]
fn writers_build_on_writers_and_are_merged_at_the_end() {
    let sandbox = Sandbox::new();
    let tasks = json!([
        { "id": "first", "prompt": "echo one > one", "write": true },
        { "id": "look", "prompt": "cat one", "needs": ["first"] },
        { "id": "second", "prompt": "cat one > two", "write": true, "needs": ["look"] },
    ]);
    let file = plan_with(
        &sandbox,
        "chain",
        json!({ "tasks": tasks, "merge": true, "verify": "test -f one && test -f two" }),
    );
    // What is committed meanwhile is no part of it.
    let base = sandbox.git(["rev-parse", "HEAD"]);
    let output = sandbox.cx(["run", "-f", &file, "--json"]).ok();
    let summary = output.json();
    assert_eq!(summary["outcome"], "succeeded");
    assert!(summary["merge"].is_object(), "{summary}");
    assert_eq!(sandbox.read("two"), "one\n");
    for name in ["first", "second"] {
        assert_eq!(sandbox.job(name)["merged_into"], "main", "{output}");
    }
    assert_eq!(sandbox.job("first")["base"], base);
    // A check that fails is the run's failure, and nothing has landed.
    let tasks = json!([{ "id": "third", "prompt": "echo three > three", "write": true }]);
    let file =
        plan_with(&sandbox, "red", json!({ "tasks": tasks, "merge": true, "verify": "false" }));
    let output = sandbox.cx(["run", "-f", &file]).code(1);
    assert!(output.stderr().contains("run red failed: its work was not merged whole"), "{output}");
    assert!(output.stderr().contains("cx merge --run red --verify 'false'  "), "{output}");
    assert!(!sandbox.repo().join("three").exists());
}

#[test]
fn two_writers_of_one_scope_do_not_meet() {
    let sandbox = Sandbox::new();
    sandbox.write("src/a", "a\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "src"]);
    let gate = sandbox.gate("gate");
    let tasks = json!([
        { "id": "one", "prompt": gate.pass(), "write": true, "scope": ["src/"] },
        { "id": "two", "prompt": "echo b > src/b", "write": true, "scope": ["src/a", "src/b"] },
    ]);
    let file = plan(&sandbox, "scopes", &tasks);
    let running = sandbox.start(sandbox.cx_command(["run", "-v", "-f", &file]));
    running.wait_for_stderr("two waits: %1 one is at work in ");
    gate.open();
    running.finish().ok();
    let events = sandbox.ledger().events();
    let at = |ev: &str, job: u64| {
        events.iter().position(|event| event["ev"] == ev && event["job"] == job).unwrap()
    };
    assert!(at("spawned", 2) > at("exited", 1));
}

#[test]
fn an_attempt_that_was_tried_again_counts_no_more() {
    let sandbox = Sandbox::new();
    let mark = sandbox.root().join("mark");
    // The first attempt fails; the second finds the job of the first.
    let script =
        format!("test $(ls -d {}/*/ | wc -l) -gt 1", sandbox.repo().join(".git/cx/jobs").display());
    let tasks = json!([{ "id": "shaky", "prompt": script, "retries": 1 }]);
    let file = plan(&sandbox, "r", &tasks);
    sandbox.cx(["run", "-f", &file]).ok();
    let jobs = sandbox.cx(["jobs", "-a"]).ok().stdout();
    assert!(jobs.contains("tried again as %2"), "{jobs}");
    assert_eq!(sandbox.job("%1")["tried_again"], 2);
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["collect", "--run", "r"]).ok();
    sandbox.cx(["collect", "--run", "r", "--all"]).ok();
    // Who asks for it gets it.
    sandbox.cx(["wait", "%1"]).code(1);
    sandbox.cx(["collect", "%1"]).code(1);

    // The same where a person tries again, in the run and by hand.
    let tasks = json!([{ "id": "mend", "prompt": format!("test -e {}", mark.display()) }]);
    let file = plan(&sandbox, "m", &tasks);
    sandbox.cx(["run", "-f", &file]).code(1);
    sandbox.cx(["wait"]).code(1);
    sandbox.cx(["retry", "%3"]).ok();
    sandbox.cx(["wait", "%4"]).code(1);
    let status = sandbox.cx(["status", "m"]).ok().stdout();
    assert!(status.contains("tried again as %4"), "{status}");
    std::fs::write(&mark, "").unwrap();
    sandbox.cx(["retry", "%4"]).ok();
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["run", "--resume", "m"]).ok();
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["clean"]).ok();
    assert_eq!(sandbox.lines(["jobs"]).len(), 0);
}

#[test]
fn a_dry_run_refuses_what_a_run_refuses() {
    let sandbox = Sandbox::new();
    let answers = json!([task("a", "true", &[]), task("b", "echo {{results.a}}", &["a"])]);
    let file = plan(&sandbox, "answers", &answers);
    let absent = json!([{ "id": "x", "agent": "scout", "backend": "codex", "prompt": "Look" }]);
    let absent = plan(&sandbox, "absent", &absent);
    // There is no codex in a sandbox.
    for (file, code) in [(&file, 2), (&absent, 127)] {
        let dry = sandbox.cx(["run", "-f", file, "--dry-run"]).code(code);
        let real = sandbox.cx(["run", "-f", file]).code(code);
        assert_eq!((dry.stdout(), dry.stderr()), (String::new(), real.stderr()));
        sandbox.assert_nothing_started(&real);
    }
    sandbox.cx(["spawn", "-b", "codex", "x"]).code(127);
}
