//! `--timeout` and `--silence`, and the promise that `cx spawn` does not wait.

use std::time::{Duration, Instant};

use crate::support::Sandbox;

#[test]
fn spawn_returns_although_the_worker_runs_and_holds_nothing_of_it() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    // `finish` fails where something still holds the output.
    let output = sandbox
        .sh(&format!("id=$(cx spawn -b sh \"{}\" 2>&1); echo \"<$id>\"; cx jobs", gate.pass()))
        .ok();
    assert!(output.stdout().starts_with("<[1] "), "{output}");
    gate.arrived();
    gate.open();
    sandbox.cx(["wait"]).ok();
}

#[test]
fn a_time_limit_ends_the_worker() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.spawn_sh([
        "-w",
        "-n",
        "slow",
        "--timeout",
        "0.2",
        &format!("echo begun > f; {}", gate.pass()),
    ]);
    let waited = sandbox.cx(["wait", "slow"]);
    let job = sandbox.job("slow");
    assert_eq!(job["status"], "timed-out");
    assert!(job["reason"].as_str().unwrap().contains("its time limit of 0.2s ran out"), "{job}");
    let waited = waited.code(i32::try_from(job["exit_code"].as_u64().unwrap()).unwrap());
    assert!(waited.stderr().contains("[1] slow timed-out"), "{waited}");
    // Its work is kept.
    assert_eq!(sandbox.git(["show", "cx/slow:f"]), "begun");
    assert!(sandbox.git(["log", "-1", "--format=%B", "cx/slow"]).contains("Cx-Outcome: timed-out"));
}

#[test]
fn silence_ends_a_worker_that_says_nothing_but_not_one_that_speaks() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.spawn_sh(["-n", "mute", "--silence", "0.2", &gate.pass()]);
    sandbox.cx(["wait", "mute"]);
    let job = sandbox.job("mute");
    assert_eq!(job["status"], "silent");
    assert!(job["reason"].as_str().unwrap().contains("it wrote nothing for 0.2s"), "{job}");
    // One that writes 10 times its limit long, on stderr only: `read -t` is how bash sleeps.
    sandbox.script_tool(
        "chatter",
        &format!("exec bash -c 'for i in {{1..20}}; do echo $i >&2; read -r -t 0.1 _ < {}; done; exit 0'",
            sandbox.root().join("gates/never").display()),
    );
    let _never = sandbox.gate("never");
    let begun = Instant::now();
    sandbox.spawn_sh(["-n", "chatty", "--silence", "1", "chatter"]);
    sandbox.cx(["wait", "chatty"]).ok();
    assert!(begun.elapsed() > Duration::from_secs(1), "it was shorter than its limit");
}

#[test]
fn a_limit_on_a_worker_that_ignores_term_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.write(".cx/config.toml", "grace = \"100ms\"\n");
    let gate = sandbox.gate("gate");
    sandbox.spawn_sh([
        "-n",
        "deaf",
        "--timeout",
        "0.1",
        &format!("trap '' TERM; {}; echo woken", gate.pass()),
    ]);
    sandbox.cx(["wait", "deaf"]);
    assert_eq!(sandbox.job("deaf")["status"], "timed-out");
    assert_eq!(sandbox.cx(["logs", "deaf"]).ok().stdout(), "");
}
