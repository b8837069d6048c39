//! `cx kill`, and that nothing of a job outlives it.

use std::time::{Duration, Instant};

use crate::support::{Sandbox, Terminal};

/// Little time between TERM and KILL.
fn impatient(sandbox: &Sandbox) {
    sandbox.write(".cx/config.toml", "grace = \"100ms\"\n");
}

#[test]
fn the_whole_tree_goes_whatever_it_did_to_stay() {
    let sandbox = Sandbox::new();
    impatient(&sandbox);
    let gates: Vec<_> = (0..4).map(|n| sandbox.gate(&format!("g{n}"))).collect();
    let script = format!(
        "setsid sh -c 'trap \"\" TERM HUP INT; {deaf}' & (sh -c '{orphan}' &) & sh -c \"trap '' TERM; {child}\" & {own}",
        deaf = gates[0].pass().replace('\'', ""),
        orphan = gates[1].pass().replace('\'', ""),
        child = gates[2].pass(),
        own = gates[3].pass(),
    );
    sandbox.writer("tree", &script);
    for gate in &gates {
        gate.arrived();
    }
    let killed = sandbox.cx(["kill", "tree"]).ok();
    assert_eq!(
        (killed.stdout().as_str(), killed.stderr().as_str()),
        ("", "cx: [1] tree killed 143\n")
    );
    // When `cx kill` has returned nothing of the job is there, but perhaps its
    // supervisor's last breath.
    let left = sandbox.live_processes();
    assert!(left.iter().all(|process| process.contains("__supervise")), "{left:?}");
    let job = sandbox.job("tree");
    assert_eq!(
        (job["status"].as_str(), job["reason"].as_str()),
        (Some("killed"), Some("ended by TERM"))
    );
    sandbox.cx(["wait", "tree"]).code(143);
}

#[test]
fn what_is_left_after_success_is_ended_and_said() {
    let sandbox = Sandbox::new();
    impatient(&sandbox);
    let gates: Vec<_> = (0..2).map(|n| sandbox.gate(&format!("g{n}"))).collect();
    let script = format!(
        "{} & setsid sh -c '{}' >/dev/null 2>&1 & echo done",
        gates[0].pass(),
        gates[1].pass().replace('\'', "")
    );
    sandbox.reader("server", &script);
    sandbox.cx(["wait", "server"]).ok();
    let job = sandbox.job("server");
    assert_eq!(job["status"], "succeeded");
    assert!(job["stragglers"].as_u64().unwrap() >= 1, "{job}");
    assert!(sandbox.live_processes().iter().all(|process| process.contains("__supervise")));
    let collected = sandbox.cx(["collect", "server"]).ok().stdout();
    assert!(collected.contains("left behind"), "the job must say so:\n{collected}");
}

#[test]
fn an_ended_job_says_so_and_an_unknown_one_is_not_found() {
    let sandbox = Sandbox::new();
    sandbox.reader("r", "true");
    sandbox.cx(["wait"]).ok();
    let killed = sandbox.cx(["kill", "r"]).code(1);
    assert_eq!(killed.stderr(), "cx: [1] r has already ended: succeeded\n");
    sandbox.cx(["kill", "ghost"]).refused(127, "no such job: ghost");
    sandbox.cx(["kill", "-s", "SIGNOPE", "r"]).refused(2, "'SIGNOPE' is not a signal");
    sandbox.cx(["kill"]).code(2);
    sandbox.cx(["kill", "--all"]).ok();
    // A name that is wrong ends nothing.
    let gate = sandbox.gate("gate");
    sandbox.reader("live", &gate.pass());
    sandbox.cx(["kill", "live", "ghost"]).refused(127, "no such job: ghost");
    assert_eq!(sandbox.job("live")["live"], true);
    gate.open();
    sandbox.cx(["wait", "live"]).ok();
}

#[test]
fn all_live_jobs_at_once() {
    let sandbox = Sandbox::new();
    let gates: Vec<_> = (0..3).map(|n| sandbox.gate(&format!("g{n}"))).collect();
    for (n, gate) in gates.iter().enumerate() {
        sandbox.reader(&format!("r{n}"), &gate.pass());
        gate.arrived();
    }
    let killed = sandbox.cx(["kill", "--all"]).ok();
    assert_eq!(killed.stderr().lines().count(), 3, "{killed}");
    assert_eq!(sandbox.cx(["jobs", "--json"]).ok().json()[2]["status"], "killed");
}

#[test]
fn kill_does_not_wait_for_a_grace_time() {
    let sandbox = Sandbox::new();
    sandbox.write(".cx/config.toml", "grace = \"1h\"\n");
    let gate = sandbox.gate("gate");
    sandbox.reader("deaf", &format!("trap '' TERM; while :; do {}; done", gate.pass()));
    gate.arrived();
    sandbox.cx(["kill", "-s", "KILL", "deaf"]).ok();
    sandbox.cx(["wait", "deaf"]).code(137);
}

/// A first signal that is ignored must not make a second, stronger one wait.
#[test]
fn kill_after_term_ends_the_grace_time() {
    let sandbox = Sandbox::new();
    sandbox.write(".cx/config.toml", "grace = \"1h\"\n");
    let gate = sandbox.gate("gate");
    sandbox.reader("deaf", &format!("trap '' TERM; {}", gate.pass()));
    gate.arrived();
    let first = sandbox.start(sandbox.cx_command(["kill", "deaf"]));
    sandbox.until(1, "kill-requested");
    let begun = Instant::now();
    sandbox.cx(["kill", "-s", "KILL", "deaf"]).ok();
    first.finish().ok();
    assert!(begun.elapsed() < Duration::from_mins(1));
    assert_eq!(sandbox.job("deaf")["status"], "killed");
    // What ended it is said, and not only what was tried first.
    let reason = sandbox.job("deaf")["reason"].to_string();
    assert!(reason.contains("KILL"), "{reason}");
}

#[test]
fn stop_and_cont_pause_and_go_on() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("r", &format!("{}; echo went on", gate.pass()));
    gate.arrived();
    sandbox.cx(["kill", "-s", "STOP", "r"]).ok();
    let listed = sandbox.cx(["jobs"]).ok().stdout();
    assert!(listed.contains("stopped; `cx kill -s CONT 1` lets it go on"), "{listed}");
    gate.open();
    sandbox.cx(["wait", "--timeout", "0.3", "r"]).code(124);
    sandbox.cx(["kill", "-s", "CONT", "r"]).ok();
    sandbox.cx(["wait", "r"]).ok();
    assert_eq!(sandbox.cx(["logs", "r"]).ok().stdout(), "went on\n");
}

#[test]
fn a_stopped_job_can_be_ended() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("r", &gate.pass());
    gate.arrived();
    sandbox.cx(["kill", "-s", "stop", "r"]).ok();
    sandbox.cx(["kill", "r"]).ok();
    assert_eq!(sandbox.job("r")["status"], "killed");
}

#[test]
fn other_signals_reach_the_worker() {
    let sandbox = Sandbox::new();
    let (ready, gate) = (sandbox.gate("ready"), sandbox.gate("gate"));
    sandbox.reader(
        "r",
        &format!(
            "trap 'echo heard; exit 0' USR1; {}; {}; {}",
            ready.pass(),
            gate.pass(),
            gate.pass()
        ),
    );
    ready.arrived();
    sandbox.cx(["kill", "-s", "USR1", "r"]).ok();
    ready.open();
    gate.open();
    sandbox.cx(["wait", "r"]).ok();
    assert_eq!(sandbox.cx(["logs", "r"]).ok().stdout(), "heard\n");
}

#[test]
fn a_job_that_is_killed_at_once_after_its_spawn() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    for n in 0..10 {
        let name = format!("w{n}");
        sandbox.writer(&name, &gate.pass());
        sandbox.cx(["kill", &name]).ok();
        let job = sandbox.job(&name);
        assert_eq!(
            (job["status"].as_str(), job["exit_code"].as_u64()),
            (Some("killed"), Some(143)),
            "{job}"
        );
    }
}

/// The terminal may go, and the shell in it: jobs go on.
#[test]
fn a_closed_terminal_does_not_end_jobs() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let script = format!("cx spawn -b sh -n kept \"{}\"; cx wait", gate.pass());
    let terminal = Terminal::start(&sandbox, "bash", ["-c", &script]);
    gate.arrived();
    terminal.wait_for("running");
    terminal.hang_up();
    assert_eq!(sandbox.job("kept")["live"], true);
    gate.open();
    sandbox.cx(["wait", "kept"]).ok();
}

#[test]
fn ctrl_c_at_the_terminal_of_the_spawner_does_not_reach_the_job() {
    let sandbox = Sandbox::new();
    let (gate, hold) = (sandbox.gate("gate"), sandbox.gate("hold"));
    let script = format!("cx spawn -b sh -n kept \"{}\"; {}", gate.pass(), hold.pass());
    let terminal = Terminal::start(&sandbox, "bash", ["-c", &script]);
    gate.arrived();
    hold.arrived();
    terminal.send("\x03");
    terminal.finish();
    assert_eq!(sandbox.job("kept")["live"], true);
    gate.open();
    sandbox.cx(["wait", "kept"]).ok();
}

#[test]
fn a_signal_for_a_worker_that_is_not_there_yet_is_not_lost_in_silence() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("first", &gate.pass());
    sandbox.spawn_sh(["-n", "second", "--after", "first", "true"]);
    let output = sandbox.cx(["kill", "-s", "STOP", "second"]).code(1);
    assert_eq!(output.stderr(), "cx: [2] second has no worker yet that could get STOP\n");
    gate.open();
    sandbox.cx(["wait"]).ok();
}
