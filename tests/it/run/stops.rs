//! Ctrl-C, time limits, a terminal that goes, `cx kill --run`.

use serde_json::{Value, json};

use super::{jobs_of, plan, task};
use crate::support::{Gate, Sandbox, Terminal};

/// A task at a gate, and one after it.
fn gated(sandbox: &Sandbox, name: &str) -> (String, Gate) {
    let gate = sandbox.gate("gate");
    let tasks = json!([
        task("slow", &format!("{}; echo done", gate.pass()), &[]),
        task("next", "echo next", &["slow"]),
    ]);
    (plan(sandbox, name, &tasks), gate)
}

fn ended(sandbox: &Sandbox, run: &str) -> Value {
    sandbox.ledger().wait_for(|event| event["ev"] == "run-ended" && event["run"] == run)
}

#[test]
fn ctrl_c_once_starts_no_more_and_waits_for_what_runs() {
    let sandbox = Sandbox::new();
    let (file, gate) = gated(&sandbox, "polite");
    let terminal = Terminal::start(&sandbox, "cx", ["run", "-f", &file]);
    gate.arrived();
    let screen = terminal.wait_for("next: next (after slow)");
    assert!(screen.contains("0/2 done · 1 running · 1 waiting"), "{screen}");
    terminal.send("\x03");
    terminal.wait_for("stopping; these still run; Ctrl-C again ends them: [1] slow");
    gate.open();
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(130), "{screen}");
    assert!(
        screen.contains("run polite stopped: it was stopped: 1 of 2 tasks was not run"),
        "{screen}"
    );
    assert_eq!(sandbox.job("slow")["status"], "succeeded");
    assert!(jobs_of(&sandbox, "polite", "next").is_empty());
    let event = ended(&sandbox, "polite");
    assert_eq!((&event["outcome"], &event["skipped"]), (&json!("stopped"), &json!(1)));
    // What was not run is run when it goes on.
    sandbox.cx(["run", "--resume", "polite"]).ok();
    assert_eq!(jobs_of(&sandbox, "polite", "slow").len(), 1);
    assert_eq!(sandbox.job("next")["status"], "succeeded");
}

#[test]
fn ctrl_c_twice_ends_all() {
    let sandbox = Sandbox::new();
    let (file, gate) = gated(&sandbox, "rude");
    let terminal = Terminal::start(&sandbox, "cx", ["run", "-f", &file, "--retries", "3"]);
    gate.arrived();
    terminal.send("\x03");
    terminal.wait_for("stopping;");
    terminal.send("\x03");
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(130), "{screen}");
    assert!(screen.contains("ending [1] slow"), "{screen}");
    assert_eq!(sandbox.job("slow")["status"], "killed");
    assert_eq!(jobs_of(&sandbox, "rude", "slow").len(), 1);
    assert_eq!(ended(&sandbox, "rude")["outcome"], "stopped");
}

#[test]
fn term_is_as_ctrl_c_once() {
    let sandbox = Sandbox::new();
    let (file, gate) = gated(&sandbox, "term");
    let running = sandbox.start(sandbox.cx_command(["run", "-f", &file]));
    gate.arrived();
    let mut kill = sandbox.command("kill");
    kill.args(["-TERM", &running.id().to_string()]);
    sandbox.run(kill).ok();
    running.wait_for_stderr("asked to stop; these still run: [1] slow");
    gate.open();
    running.finish().code(143);
    assert_eq!(sandbox.job("slow")["status"], "succeeded");
}

#[test]
fn a_terminal_that_goes_does_not_stop_the_run() {
    let sandbox = Sandbox::new();
    let (file, gate) = gated(&sandbox, "alone");
    let terminal = Terminal::start(&sandbox, "cx", ["run", "-f", &file]);
    gate.arrived();
    terminal.wait_for("next: next");
    terminal.hang_up();
    gate.open();
    assert_eq!(ended(&sandbox, "alone")["outcome"], "succeeded");
    assert_eq!(sandbox.job("next")["status"], "succeeded");
    sandbox.cx(["wait", "--run", "alone"]).ok();
}

#[test]
fn the_runs_time_limit_ends_what_runs() {
    let sandbox = Sandbox::new();
    let (file, gate) = gated(&sandbox, "late");
    let output = sandbox.cx(["run", "-f", &file, "--timeout", "300ms", "--retries", "2"]).code(124);
    let said = output.stderr();
    assert!(said.contains("the run's time is up"), "{output}");
    assert!(said.contains("run late timed-out: its time was up: "), "{output}");
    assert_eq!(sandbox.job("slow")["status"], "killed");
    assert_eq!(ended(&sandbox, "late")["outcome"], "timed-out");
    drop(gate);
}

#[test]
fn a_detached_run_goes_on_by_itself_and_can_be_ended() {
    let sandbox = Sandbox::new();
    let (file, gate) = gated(&sandbox, "far");
    let printed = sandbox.cx(["run", "-f", &file, "--detach"]).ok().stdout();
    assert_eq!(printed, "far\n");
    gate.arrived();
    let status = sandbox.cx(["status", "--json"]).ok().json();
    assert_eq!((&status["run"], &status["outcome"]), (&json!("far"), &json!("running")));
    sandbox.cx(["wait", "--run", "far", "--timeout", "50ms"]).code(124);
    let runs = sandbox.cx(["runs", "--json"]).ok().json();
    assert_eq!((&runs[0]["status"], &runs[0]["live"]), (&json!("running"), &json!(true)));
    gate.open();
    let waited = sandbox.cx(["wait", "--run", "far"]).ok();
    assert_eq!(waited.stderr(), "cx: run far succeeded\n");
    let collected = sandbox.cx(["collect", "--run", "far", "--format", "{name}: {message}"]).ok();
    assert_eq!(collected.stdout(), "slow: done\nnext: next\n");
    assert!(sandbox.read(".git/cx/runs/far/runner.log").contains("run far succeeded"));

    let gate = sandbox.gate("second");
    let tasks = json!([task("slow", &gate.pass(), &[]), task("next", "echo next", &["slow"])]);
    let file = plan(&sandbox, "far", &tasks);
    let printed = sandbox.cx(["run", "-f", &file, "--detach", "--json"]).ok().json();
    assert_eq!(printed, json!({ "run": "far-2" }));
    gate.arrived();
    sandbox.cx(["kill", "--run", "far-2"]).ok();
    let runs = sandbox.cx(["runs", "--json"]).ok().json();
    assert_eq!((&runs[1]["status"], &runs[1]["live"]), (&json!("stopped"), &json!(false)));
    let waited = sandbox.cx(["wait", "--run", "far-2"]).code(1);
    assert!(waited.stderr().contains("run far-2 stopped: it was stopped: "), "{waited}");
    assert!(jobs_of(&sandbox, "far-2", "next").is_empty());
    sandbox.cx(["wait", "--run", "nobody"]).refused(127, "no such run: nobody");
}
