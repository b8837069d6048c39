//! Workers that are ended: by a limit, or by somebody.

use super::{Lab, end};
use crate::support::Script;

#[test]
fn a_hang_is_ended_by_silence() {
    let lab = Lab::new();
    lab.on("hang", Script::new().hang());
    let (job, said) = lab.run("hang", &["--silence", "1s", "hang"], 143);
    assert_eq!(end(&job), ("silent", "it wrote nothing for 1.0s"));
    assert_eq!(said, "cx: [1] hang silent 143: it wrote nothing for 1.0s\n");
    assert_eq!(lab.server.requests().len(), 1);
    lab.server.wait_for_abandoned(1);
}

#[test]
fn a_stalled_stream_is_ended_by_the_time_limit() {
    let lab = Lab::new();
    lab.on("stall", Script::new().stall());
    let (job, _) = lab.run("stall", &["--timeout", "2s", "stall"], 143);
    assert_eq!(end(&job), ("timed-out", "its time limit of 2.0s ran out"));
    lab.server.wait_for_abandoned(1);
}

#[test]
fn a_stalled_stream_is_ended_by_silence() {
    let lab = Lab::new();
    lab.on("stall", Script::new().stall());
    let (job, _) = lab.run("stall", &["--silence", "2s", "stall"], 143);
    assert_eq!(end(&job), ("silent", "it wrote nothing for 2.0s"));
    lab.server.wait_for_abandoned(1);
}

#[test]
fn a_writer_that_ran_out_of_time_keeps_its_work() {
    let lab = Lab::new();
    let gate = lab.sandbox.gate("gate");
    let script = format!("echo half > half.txt; {}", gate.pass());
    lab.on("long", Script::new().shell(&script));
    let (job, _) = lab.run("long", &["--write", "--timeout", "3s", "a long command"], 143);
    assert_eq!(job["status"], "timed-out");
    assert_eq!(job["commits"], 1);
    let subject = lab.sandbox.git(["log", "-1", "--format=%s", "cx/long"]);
    assert_eq!(subject, "[timed-out] a long command");
    assert_eq!(lab.sandbox.git(["show", "cx/long:half.txt"]), "half");
}

#[test]
fn kill_ends_a_long_command_and_all_below_it() {
    for (mode, signal) in [("--write", "TERM"), ("--read", "KILL")] {
        let lab = Lab::new();
        let gates = ["one", "two", "three"].map(|name| lab.sandbox.gate(name));
        let [one, two, three] = gates.each_ref().map(|gate| gate.pass().replace('\'', "\""));
        // A child, a grandchild in a session of its own that ignores TERM, and
        // the command itself.
        let script =
            format!("(setsid sh -c 'trap \"\" TERM HUP INT; {one}' &) ; sh -c '{two}' & {three}");
        lab.on("long", Script::new().shell(&script));
        lab.spawn("long", &[mode, "a long command"]);
        for gate in &gates {
            gate.arrived();
        }
        assert!(lab.workers().len() >= 4, "{:?}", lab.workers());
        let killed = lab.cx(&["kill", "-s", signal, "long"]).ok();
        assert_eq!(lab.workers(), Vec::<String>::new());
        let code = if signal == "TERM" { 143 } else { 137 };
        assert_eq!(killed.stderr(), format!("cx: [1] long killed {code}\n"));
        let job = lab.show("long");
        assert_eq!(end(&job), ("killed", format!("ended by {signal}").as_str()));
        lab.cx(&["wait", "long"]).code(code);
        let lists = lab.cx(&["jobs"]).ok().stdout();
        assert!(lists.contains("killed") && !lists.contains("running"), "{lists}");
    }
}

#[test]
fn kill_ends_a_job_that_waits_for_the_model() {
    let lab = Lab::new();
    lab.on("hang", Script::new().hang());
    lab.spawn("hang", &["hang"]);
    lab.server.wait_for_requests(1);
    lab.cx(&["kill", "hang"]).ok();
    lab.server.wait_for_abandoned(1);
    assert_eq!(lab.show("hang")["status"], "killed");
    assert_eq!(lab.workers(), Vec::<String>::new());
}

#[test]
fn what_a_success_leaves_running_is_ended() {
    let lab = Lab::new();
    let gate = lab.sandbox.gate("gate");
    let left = gate.pass().replace('\'', "\"");
    let script =
        format!("setsid sh -c 'trap \"\" TERM HUP; {left}' >/dev/null 2>&1 & echo started");
    lab.on("serve", Script::new().shell(&script).say("It is up."));
    let (job, _) = lab.run("serve", &["--write", "serve it"], 0);
    assert_eq!(job["status"], "succeeded");
    assert_eq!(lab.workers(), Vec::<String>::new());
}

#[test]
fn ctrl_c_ends_the_waiting_and_not_the_work() {
    use crate::support::Terminal;
    let lab = Lab::new();
    let gate = lab.sandbox.gate("gate");
    lab.on("long", Script::new().shell(&gate.pass()).say("Done at last."));
    lab.spawn("long", &["a long command"]);
    gate.arrived();
    let terminal = Terminal::start(&lab.sandbox, "cx", ["wait"]);
    let screen = terminal.wait_for("running read -r _");
    assert!(screen.contains("[1]+  running"), "{screen}");
    terminal.send("\x03");
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(130), "{screen}");
    assert!(screen.contains("no longer waiting"), "{screen}");
    gate.open();
    lab.cx(&["wait", "long"]).ok();
    assert_eq!(lab.collect("long", 0)["message"], "Done at last.");
}
