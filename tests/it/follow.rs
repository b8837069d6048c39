//! `cx logs -f`, `cx fg` and `cx events`: what is followed while it happens.

use crate::support::{Sandbox, Terminal};

#[test]
fn logs_follow_to_the_end() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("r", &format!("echo one; {}; printf 'two, no newline'", gate.pass()));
    let following = sandbox.start(sandbox.cx_command(["logs", "-f", "r"]));
    following.wait_for_stdout("one\n");
    gate.open();
    assert_eq!(following.finish().ok().stdout(), "one\ntwo, no newline");
}

#[test]
fn fg_follows_and_gives_the_jobs_code() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("r", &format!("echo begun; {}; echo ended; exit 6", gate.pass()));
    let following = sandbox.start(sandbox.cx_command(["fg"]));
    following.wait_for_stdout("begun\n");
    gate.open();
    let followed = following.finish().code(6);
    assert_eq!(followed.stdout(), "begun\nended\n");
    assert!(followed.stderr().contains("[1] r failed 6: ended with exit code 6"), "{followed}");
    // Of a job that is over: all at once.
    assert_eq!(sandbox.cx(["fg", "r"]).code(6).stdout(), "begun\nended\n");
}

#[test]
fn ctrl_c_lets_go_of_a_job() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("r", &format!("echo begun; {}", gate.pass()));
    let terminal = Terminal::start(&sandbox, "cx", ["fg", "r"]);
    terminal.wait_for("begun");
    terminal.send("\x03");
    terminal.finish();
    assert_eq!(sandbox.job("r")["live"], true);
    gate.open();
    sandbox.cx(["wait", "r"]).ok();
}

#[test]
fn events_follow_the_ledger() {
    let sandbox = Sandbox::new();
    // Before there is any.
    let following = sandbox.start(sandbox.cx_command(["events", "-f", "--json"]));
    sandbox.reader("r", "exit 2");
    following.wait_for_stdout("\"ev\":\"exited\"");
    sandbox.sh(&format!("kill -INT {}", following.id())).ok();
    following.finish().signal(2);
    let printed = sandbox.cx(["events", "--json"]).ok();
    assert_eq!(printed.json_lines(), sandbox.ledger().events());
    let told = sandbox.cx(["events"]).ok().stdout();
    assert!(told.contains("%1  spawned r (reader on sh): exit 2"), "{told}");
    assert!(
        told.lines().last().unwrap().ends_with("%1  failed (2): ended with exit code 2"),
        "{told}"
    );
}
