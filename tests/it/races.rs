//! Who comes in between: several commands at one lost job, kills at odd moments,
//! workers that hide, a binary that is replaced.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Gate, Sandbox};

fn pid(event: &Value, who: &str) -> Pid {
    let pid = event[who]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    Pid::from_raw(pid.unwrap()).unwrap()
}

/// Sends a signal to the supervisor of this job, once it is known.
fn signal_supervisor(sandbox: &Sandbox, job: u64, signal: Signal) {
    let started = sandbox.until(job, "started");
    kill_process(pid(&started, "supervisor"), signal).unwrap();
}

fn count(sandbox: &Sandbox, event: &str) -> usize {
    sandbox.ledger().events().iter().filter(|line| line["ev"] == event).count()
}

fn impatient(sandbox: &Sandbox) {
    sandbox.write(".git/info/exclude", ".cx/\n");
    sandbox.write(".cx/config.toml", "grace = \"100ms\"\n");
}

/// A supervisor is killed from outside while all that its worker started stands
/// at gates: a child, one in a session of its own, one that was orphaned there,
/// one that has also thrown its environment away.
#[test]
fn nothing_that_hides_outlives_a_supervisor_that_was_killed() {
    let sandbox = Sandbox::new();
    impatient(&sandbox);
    let gates: Vec<Gate> = (0..4).map(|n| sandbox.gate(&format!("g{n}"))).collect();
    let bare: Vec<String> = gates.iter().map(|gate| gate.pass().replace('\'', "")).collect();
    let mark = sandbox.environment()[std::ffi::OsStr::new("CX_SANDBOX")].to_str().unwrap();
    // The sandbox's own mark stays, so that the test sees what is left.
    let script = format!(
        "echo work > work; sh -c '{}' & setsid sh -c 'trap \"\" TERM HUP; {}' & \
         (setsid env -i CX_SANDBOX={mark} PATH=\"$PATH\" sh -c '{}' &) & {}",
        bare[0],
        bare[1],
        bare[2],
        gates[3].pass()
    );
    sandbox.writer("hides", &script);
    gates.iter().for_each(Gate::arrived);
    sandbox.until(1, "running");
    signal_supervisor(&sandbox, 1, Signal::KILL);
    sandbox.cx(["wait", "hides"]).code(1);
    let left = sandbox.live_processes();
    assert!(left.iter().all(|what| what.contains("__supervise")), "{left:?}");
    assert_eq!(sandbox.git(["show", "cx/hides:work"]), "work");
}

#[test]
fn a_supervisor_that_is_asked_to_end_ends_its_job_and_keeps_the_work() {
    let sandbox = Sandbox::new();
    impatient(&sandbox);
    let gate = sandbox.gate("gate");
    sandbox.writer("auth", &format!("echo work > work; {}", gate.pass()));
    gate.arrived();
    sandbox.until(1, "running");
    signal_supervisor(&sandbox, 1, Signal::TERM);
    sandbox.cx(["wait", "auth"]).code(143);
    assert_eq!(sandbox.job("auth")["status"], "killed");
    assert_eq!(sandbox.git(["show", "cx/auth:work"]), "work");
}

#[test]
fn hang_ups_of_every_kind_pass_a_supervisor_by() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("look", &format!("{}; echo answer", gate.pass()));
    gate.arrived();
    for signal in [Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::PIPE] {
        signal_supervisor(&sandbox, 1, signal);
    }
    gate.open();
    sandbox.cx(["wait", "look"]).ok();
}

#[test]
fn many_commands_find_one_lost_job_at_once() {
    let sandbox = Sandbox::new();
    impatient(&sandbox);
    let gate = sandbox.gate("gate");
    sandbox.writer("auth", &format!("echo work > work; {}", gate.pass()));
    gate.arrived();
    sandbox.until(1, "running");
    let waiters: Vec<_> =
        (0..4).map(|_| sandbox.start(sandbox.cx_command(["wait", "auth"]))).collect();
    signal_supervisor(&sandbox, 1, Signal::KILL);
    let lookers: Vec<_> = (0..8).map(|_| sandbox.start(sandbox.cx_command(["jobs"]))).collect();
    for waiter in waiters {
        waiter.finish().code(1);
    }
    for looker in lookers {
        assert_eq!(looker.finish().ok().stderr(), "");
    }
    assert_eq!((count(&sandbox, "lost"), count(&sandbox, "exited")), (1, 1));
    assert_eq!(sandbox.job("auth")["status"], "lost");
}

#[test]
fn any_is_woken_by_the_recovery_of_a_lost_job() {
    let sandbox = Sandbox::new();
    impatient(&sandbox);
    let gates = [sandbox.gate("one"), sandbox.gate("two")];
    sandbox.reader("one", &gates[0].pass());
    sandbox.reader("two", &gates[1].pass());
    gates.iter().for_each(Gate::arrived);
    sandbox.until(1, "running");
    let waiting = sandbox.start(sandbox.cx_command(["wait", "-n"]));
    signal_supervisor(&sandbox, 1, Signal::KILL);
    assert_eq!(waiting.finish().code(1).stdout(), "[1] one\n");
    gates[1].open();
    sandbox.cx(["wait", "two"]).ok();
}

#[test]
fn kill_of_a_lost_job_returns_when_nothing_of_it_runs() {
    let sandbox = Sandbox::new();
    impatient(&sandbox);
    let gate = sandbox.gate("gate");
    sandbox.reader("look", &format!("trap '' TERM; {}", gate.pass()));
    gate.arrived();
    sandbox.until(1, "running");
    signal_supervisor(&sandbox, 1, Signal::KILL);
    sandbox.cx(["kill", "look"]).ok();
    let left = sandbox.live_processes();
    assert!(left.iter().all(|what| what.contains("__supervise")), "{left:?}");
    sandbox.cx(["wait", "look"]).code(1);
}

/// Every second one of a queue is killed, all at once. Whoever waits behind one
/// must neither look too early and sleep on, nor not look at all.
#[test]
fn killed_jobs_in_the_queue_do_not_hold_up_the_next() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.spawn_sh(["-n", "first", "--max-jobs", "1", &gate.pass()]);
    gate.arrived();
    let (mut killed, mut left) = (Vec::new(), Vec::new());
    for number in 2..=31 {
        let name = format!("job-{number}");
        sandbox.spawn_sh(["-n", &name, "--max-jobs", "1", "true"]);
        if number % 2 == 0 { killed.push(name) } else { left.push(name) }
    }
    for job in 2..=31 {
        sandbox.until(job, "started");
    }
    let words = |verb, names: &[String]| {
        sandbox.cx([verb].into_iter().chain(names.iter().map(String::as_str)))
    };
    words("kill", &killed).ok();
    gate.open();
    words("wait", &left).ok();
    words("wait", &killed).code(1);
}

/// The worker of a dead supervisor still runs: whoever is next in the queue sees
/// to its end before it starts its own.
#[test]
fn a_lost_job_counts_against_the_limit_until_it_has_been_ended() {
    let sandbox = Sandbox::new();
    impatient(&sandbox);
    let gate = sandbox.gate("gate");
    sandbox.spawn_sh(["-n", "first", "--max-jobs", "1", &gate.pass()]);
    gate.arrived();
    sandbox.until(1, "running");
    sandbox.spawn_sh(["-n", "second", "--max-jobs", "1", "echo well"]);
    sandbox.until(2, "started");
    signal_supervisor(&sandbox, 1, Signal::KILL);
    // Nobody looks: the queue helps itself.
    sandbox.until(2, "exited");
    sandbox.cx(["wait", "second"]).ok();
    let events = sandbox.ledger().events();
    let at = |job: u64, ev: &str| {
        events.iter().position(|event| event["job"] == job && event["ev"] == ev).unwrap()
    };
    assert!(at(1, "exited") < at(2, "admitted"), "{events:#?}");
    assert_eq!(sandbox.job("first")["status"], "lost");
}

#[test]
fn what_comes_after_a_lost_job_is_skipped() {
    let sandbox = Sandbox::new();
    impatient(&sandbox);
    let gate = sandbox.gate("gate");
    sandbox.reader("first", &gate.pass());
    gate.arrived();
    sandbox.spawn_sh(["-n", "second", "--after", "first", "true"]);
    sandbox.until(2, "waiting");
    signal_supervisor(&sandbox, 1, Signal::KILL);
    sandbox.until(2, "exited");
    sandbox.cx(["wait", "second"]).code(1);
    assert_eq!(sandbox.job("second")["status"], "skipped");
    sandbox.cx(["wait", "first"]).code(1);
}

#[test]
fn a_lost_job_whose_folder_is_gone_is_still_ended() {
    let sandbox = Sandbox::new();
    impatient(&sandbox);
    let gate = sandbox.gate("gate");
    sandbox.reader("look", &gate.pass());
    gate.arrived();
    sandbox.until(1, "running");
    signal_supervisor(&sandbox, 1, Signal::KILL);
    fs::remove_dir_all(sandbox.repo().join(".git/cx/jobs/1")).unwrap();
    sandbox.cx(["wait", "look"]).code(1);
    assert_eq!(sandbox.job("look")["status"], "lost");
}

/// The supervisors that run go on with the binary that they were started with.
#[test]
fn the_binary_is_replaced_while_jobs_run() {
    let sandbox = Sandbox::new();
    let program = sandbox.root().join("bin/own");
    fs::hard_link(env!("CARGO_BIN_EXE_cx"), &program).unwrap();
    let gate = sandbox.gate("gate");
    let spawn = |args: [&str; 2]| {
        let mut command = sandbox.command("own");
        command.args(["spawn", "-b", "sh", "--max-jobs", "1", "-n"]).args(args);
        sandbox.run(command).ok();
    };
    spawn(["first", &gate.pass()]);
    gate.arrived();
    spawn(["second", "echo confined"]);
    sandbox.until(2, "started");
    sandbox.script_tool("other", "echo 'not me' >&2; exit 70");
    fs::rename(sandbox.root().join("bin/other"), &program).unwrap();
    gate.open();
    sandbox.cx(["wait", "first", "second"]).ok();
    assert_eq!(
        sandbox.cx(["collect", "second", "--format", "{message}"]).ok().stdout(),
        "confined\n"
    );
}

/// Something else has the number of a dead supervisor's worker by now.
#[test]
fn a_stranger_with_a_reused_number_is_left_alone() {
    let sandbox = Sandbox::new();
    impatient(&sandbox);
    let gates = [sandbox.gate("job"), sandbox.gate("stranger")];
    sandbox.reader("look", &gates[0].pass());
    gates[0].arrived();
    sandbox.until(1, "running");
    let mut command = sandbox.command("sh");
    command.arg("-c").arg(format!("{}; exit 3", gates[1].pass()));
    let stranger = sandbox.start(command);
    gates[1].arrived();
    signal_supervisor(&sandbox, 1, Signal::KILL);
    // As it would be if the number had been given away: the ledger names the
    // stranger's, with the start time of another.
    let ledger = sandbox.repo().join(".git/cx/ledger.jsonl");
    let text = fs::read_to_string(&ledger).unwrap();
    let running = sandbox.until(1, "running");
    // Another start for certain: both may have started within one clock tick.
    let (worker, start) = (&running["worker"]["pid"], &running["worker"]["start"]);
    let named = |pid: &str, start: &str| format!("\"worker\":{{\"pid\":{pid},\"start\":{start}}}");
    let was = named(&worker.to_string(), &start.to_string());
    assert!(text.contains(&was), "{text}");
    fs::write(&ledger, text.replace(&was, &named(&stranger.id().to_string(), "1"))).unwrap();
    sandbox.cx(["wait", "look"]).code(1);
    gates[1].open();
    stranger.finish().code(3);
}
