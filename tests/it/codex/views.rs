//! What people see while codex works, and afterwards.

use super::Lab;
use crate::support::{Script, Terminal};

#[test]
fn jobs_show_what_codex_does_now() {
    let lab = Lab::new();
    let gate = lab.sandbox.gate("gate");
    lab.on("long", Script::new().shell(&gate.pass()).say("Done."));
    lab.spawn("long", &["a long command"]);
    gate.arrived();
    lab.doing("long", "$ read -r _ < ", "running read -r _ < ");
    let lists = lab.cx(&["jobs"]).ok().stdout();
    assert!(lists.starts_with("[1]+  running  "), "{lists}");
    assert!(lists.contains("  long  running read -r _ < "), "{lists}");
    gate.open();
    lab.cx(&["wait"]).ok();
    let lists = lab.cx(&["jobs"]).ok().stdout();
    assert!(lists.starts_with("[1]+  succeeded  "), "{lists}");
}

#[test]
fn logs_are_readable() {
    let lab = Lab::new();
    let script = Script::new()
        .shell("printf 'one\\ntwo\\n'")
        .write("src/new.rs", "// new\n")
        .shell("echo no >&2; exit 3")
        .say("All done.\n\n- one\n- two\n");
    lab.on("several", script);
    lab.run("log", &["--write", "do several things"], 0);
    assert_eq!(
        lab.cx(&["logs", "log"]).ok().stdout(),
        "$ printf 'one\\ntwo\\n'\n  one\n  two\n· edited src/new.rs\n$ echo no >&2; exit 3\n  no\n\
         · exit 3\nAll done.\n\n- one\n- two\n"
    );
    let raw = lab.cx(&["logs", "--raw", "log"]).ok();
    let file = std::fs::read(lab.job_file(1, "events.jsonl")).unwrap();
    assert_eq!(raw.stdout_bytes(), file);
    let kinds: Vec<_> = raw.json_lines().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds[0], "thread.started");
    assert_eq!(kinds[kinds.len() - 1], "turn.completed");
    let stderr = std::fs::read(lab.job_file(1, "stderr")).unwrap();
    assert_eq!(lab.cx(&["logs", "--stderr", "log"]).ok().stdout_bytes(), stderr);
}

#[test]
fn logs_follow_a_worker_to_its_end() {
    let lab = Lab::new();
    let gate = lab.sandbox.gate("gate");
    lab.on("long", Script::new().shell("echo first").shell(&gate.pass()).say("Done."));
    lab.spawn("long", &["a long command"]);
    let logs = lab.sandbox.start(lab.sandbox.cx_command(["logs", "-f", "long"]));
    gate.arrived();
    logs.wait_for_stdout("$ read -r _");
    gate.open();
    let shown = logs.finish().ok().stdout();
    assert!(shown.starts_with("$ echo first\n  first\n$ read -r _ < "), "{shown}");
    assert!(shown.ends_with("\nDone.\n"), "{shown}");
}

#[test]
fn fg_follows_and_gives_the_code() {
    let lab = Lab::new();
    let gate = lab.sandbox.gate("gate");
    lab.on("long", Script::new().shell(&gate.pass()).fail("server_error", "Gone."));
    lab.spawn("long", &["a long command"]);
    let fg = lab.sandbox.start(lab.sandbox.cx_command(["fg"]));
    gate.arrived();
    fg.wait_for_stdout("$ read -r _");
    gate.open();
    let output = fg.finish().code(1);
    assert!(output.stderr().contains("[1] long failed: "), "{output}");
}

#[test]
fn a_wait_on_a_terminal_shows_each_job_live() {
    let lab = Lab::new();
    let gate = lab.sandbox.gate("gate");
    lab.on("long", Script::new().shell(&gate.pass()).say("Done."));
    lab.on("refused", Script::new().status(400));
    lab.spawn("long", &["a long command"]);
    lab.spawn("bad", &["be refused"]);
    let terminal = Terminal::start(&lab.sandbox, "cx", ["wait"]);
    gate.arrived();
    let screen = terminal.wait_for("running read -r _");
    assert!(screen.contains("[1]-  running"), "{screen}");
    terminal.wait_for("scripted status 400");
    gate.open();
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(1), "{screen}");
    assert!(screen.contains("[1]-  succeeded  "), "{screen}");
    assert!(screen.contains("[2]+  failed  "), "{screen}");
    assert!(screen.contains("  bad   scripted status 400"), "{screen}");
}

impl Lab {
    /// Waits until `name` is seen to be doing `what`: a command may run before
    /// codex has said so.
    #[track_caller]
    fn doing(&self, name: &str, logged: &str, what: &str) {
        let log = self.sandbox.start(self.sandbox.cx_command(["logs", "-f", name]));
        log.wait_for_stdout(logged);
        let pid = rustix::process::Pid::from_raw(i32::try_from(log.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        log.finish().signal(2);
        let doing = self.show(name)["activity"].as_str().unwrap_or_default().to_owned();
        assert!(doing.starts_with(what), "{doing}");
    }
}
