//! `cx collect`.

use std::fs;

use crate::support::{Sandbox, Terminal};

#[test]
fn each_job_is_handed_out_once() {
    let sandbox = Sandbox::new();
    sandbox.reader("a", "echo answer a");
    sandbox.written("b", "echo x > f; echo answer b");
    sandbox.cx(["wait"]).ok();
    let collected = sandbox.cx(["collect"]).ok().stdout();
    assert!(collected.starts_with("== [1] a · succeeded · "), "{collected}");
    assert!(collected.contains("\nanswer a\n\n== [2] b · succeeded · "), "{collected}");
    assert!(collected.contains(" · 1 commit, 1 file on cx/b\nanswer b\n"), "{collected}");
    let again = sandbox.cx(["collect"]).code(1);
    assert_eq!(
        (again.stdout(), again.stderr()),
        (String::new(), "cx: nothing to collect\n".into())
    );
    // Named or with --all: again.
    assert!(sandbox.cx(["collect", "a"]).ok().stdout().contains("answer a"));
    assert_eq!(sandbox.cx(["collect", "--all", "--format", "{name}"]).ok().stdout(), "a\nb\n");
}

#[test]
fn an_answer_paints_on_no_terminal_and_is_whole_elsewhere() {
    let sandbox = Sandbox::new();
    let painted = "one\u{1b}[2J\u{1b}[1;1Htwo\u{1b}[31mred\u{1b}[0m\r";
    sandbox.reader("r", "printf 'one\\033[2J\\033[1;1Htwo\\033[31mred\\033[0m\\r'");
    sandbox.cx(["wait"]).ok();
    for verb in [&["collect", "r"][..], &["logs", "r"]] {
        let (code, screen) = Terminal::start(&sandbox, "cx", verb).finish();
        assert_eq!(code, Some(0));
        assert!(screen.contains("one␛[2J␛[1;1Htwored␍"), "{screen}");
        assert!(sandbox.cx(verb).ok().stdout().contains(painted));
    }
}

#[test]
fn a_failed_job_is_shown_as_one_and_gives_1() {
    let sandbox = Sandbox::new();
    sandbox.reader("well", "echo fine");
    sandbox.reader("ill", "echo half; echo broke >&2; exit 6");
    sandbox.cx(["wait"]).code(1);
    let collected = sandbox.cx(["collect"]).code(1).stdout();
    assert!(collected.contains("== [2] ill · failed 6 · "), "{collected}");
    assert!(collected.contains("-- ended with exit code 6: broke\nhalf\n"), "{collected}");
    // The one that was well gives 0 by itself.
    sandbox.cx(["collect", "well"]).ok();
}

#[test]
fn a_live_job_is_not_collected() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("r", &format!("echo partial; {}", gate.pass()));
    gate.arrived();
    // A worker may be at work before its supervisor has said so.
    sandbox.until(1, "running");
    assert_eq!(sandbox.cx(["collect"]).code(1).stderr(), "cx: nothing to collect\n");
    sandbox.cx(["collect", "r"]).refused(1, "[1] r is not over: running");
    gate.open();
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["collect"]).ok();
}

#[test]
fn what_could_not_be_written_is_not_collected() {
    let sandbox = Sandbox::new();
    sandbox.reader("r", "echo answer");
    sandbox.cx(["wait"]).ok();
    let full = sandbox.sh("cx collect > /dev/full").code(125);
    assert!(full.stderr().contains("cannot write to stdout"), "{full}");
    sandbox.sh("cx collect >&-").refused(125, "stdout is closed; nothing was collected");
    assert_eq!(sandbox.job("r")["collected"], false);
    sandbox.sh("cx collect --json > /dev/full").code(125);
    // Nobody wants to see it: that is another thing.
    sandbox.sh("cx collect > /dev/null").ok();
    assert_eq!(sandbox.job("r")["collected"], true);
    // A reader that goes away before it has read all.
    sandbox.reader("large", "seq 1 200000");
    sandbox.cx(["wait", "large"]).ok();
    sandbox.sh("cx collect large | head -n 1 >/dev/null");
    assert_eq!(sandbox.job("large")["collected"], false);
    assert_eq!(sandbox.cx(["collect"]).ok().stdout().lines().count(), 200_001);
    assert_eq!(sandbox.job("large")["collected"], true);
}

#[test]
fn json_is_one_array_with_the_message() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "echo x > f; echo 'line \"one\"'; echo two");
    sandbox.reader("bad", "exit 2");
    sandbox.cx(["wait"]).code(1);
    let all = sandbox.cx(["collect", "--json"]).code(1).json();
    assert_eq!(all[0]["message"], "line \"one\"\ntwo\n");
    assert_eq!((all[0]["commits"].as_u64(), all[0]["files"].as_u64()), (Some(1), Some(1)));
    assert_eq!(
        (all[1]["status"].as_str(), all[1]["exit_code"].as_u64()),
        (Some("failed"), Some(2))
    );
    assert_eq!(all[1]["message"], "");
    // None left: still an array, for scripts.
    assert_eq!(sandbox.cx(["collect", "--json"]).code(1).json(), serde_json::json!([]));
}

#[test]
fn formats() {
    let sandbox = Sandbox::new();
    sandbox.reader("r", "printf '%s' 'a {name} \\n'; exit 3");
    sandbox.cx(["wait"]).code(1);
    let format = "{job}\\t{name}|{status}|{code}|{backend}|{{x}}|{message}";
    let output = sandbox.cx(["collect", "--format", format]).code(1);
    assert_eq!(output.stdout(), "1\tr|failed|3|sh|{x}}|a {name} \\n\n");
    let wrong = sandbox.cx(["collect", "--all", "--format", "{nmae}"]);
    let wrong = wrong.refused(2, "--format has no field 'nmae'");
    assert!(wrong.stderr().contains("the fields are name, job"), "{wrong}");
    sandbox.cx(["collect", "--json", "--format", "x"]).code(2);
}

#[test]
fn messages_go_to_a_folder_byte_for_byte() {
    let sandbox = Sandbox::new();
    sandbox.reader("bytes", "printf 'a\\377b'");
    sandbox.reader("twin", "echo one");
    sandbox.cx(["wait"]).ok();
    sandbox.reader("twin", "echo two");
    sandbox.cx(["wait"]).ok();
    let out = sandbox.root().join("out/deep");
    let listed = sandbox.cx(["collect", "-o", out.to_str().unwrap()]).ok().stdout();
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert_eq!(fs::read(out.join("bytes.md")).unwrap(), b"a\xffb");
    assert_eq!(fs::read(out.join("twin.2.md")).unwrap(), b"one\n");
    assert_eq!(fs::read(out.join("twin.3.md")).unwrap(), b"two\n");
    sandbox.reader("r", "echo three");
    sandbox.cx(["wait"]).ok();
    fs::write(sandbox.root().join("file"), "").unwrap();
    let wrong = sandbox.cx(["collect", "-o", "../file/x"]);
    wrong.refused(2, "nothing was collected");
    assert_eq!(sandbox.job("r")["collected"], false);
}

/// An older answer must not be taken for this job's.
#[test]
fn never_an_older_answer() {
    let sandbox = Sandbox::new();
    sandbox.reader("same", "echo old");
    sandbox.cx(["wait"]).ok();
    let out = sandbox.root().join("out");
    sandbox.cx(["collect", "-o", out.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(out.join("same.md")).unwrap(), "old\n");
    let gate = sandbox.gate("gate");
    sandbox.reader("first", &gate.pass());
    sandbox.spawn_sh(["-n", "same", "--after", "first", "echo never"]);
    sandbox.cx(["kill", "same"]).ok();
    gate.open();
    sandbox.cx(["wait"]).code(1);
    sandbox.cx(["collect", "-o", out.to_str().unwrap(), "same"]).code(1);
    assert!(!out.join("same.md").exists(), "the old answer stands for a job that gave none");
    let json = sandbox.cx(["collect", "--json", "same"]).code(1).json();
    assert!(json[0]["message"].is_null(), "{json}");
}

#[test]
fn a_message_is_only_stdout_and_logs_have_both() {
    let sandbox = Sandbox::new();
    sandbox.reader("r", "echo out; echo err >&2");
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.cx(["collect", "--format", "{message}"]).ok().stdout(), "out\n");
    assert_eq!(sandbox.cx(["logs", "--stderr", "r"]).ok().stdout(), "err\n");
}

#[test]
fn words_in_place_of_a_template_count_the_jobs() {
    let sandbox = Sandbox::new();
    let nothing = sandbox.cx(["collect", "--format", "json"]).code(1).json();
    assert_eq!(nothing["summary"]["total"], 0);
    sandbox.reader("well", "echo fine");
    sandbox.reader("ill", "echo half; exit 6");
    sandbox.cx(["wait"]).code(1);
    let summary = sandbox.cx(["collect", "--format", "summary"]).code(1).stdout();
    let lines: Vec<&str> = summary.lines().collect();
    assert!(lines[0].starts_with("== [1] well · succeeded · "), "{summary}");
    assert!(lines[1].starts_with("== [2] ill · failed 6 · "), "{summary}");
    assert_eq!(lines[2..], ["== 2 jobs: 1 completed, 1 failed"]);
    let detailed = sandbox.cx(["collect", "-a", "--format", "detailed"]).code(1).stdout();
    assert!(detailed.contains("\nfine\n\n== [2] ill"), "{detailed}");
    assert!(detailed.ends_with("\nhalf\n== 2 jobs: 1 completed, 1 failed\n"), "{detailed}");
    let json = sandbox.cx(["collect", "-a", "--format", "json"]).code(1).json();
    let count = serde_json::json!({"total": 2, "completed": 1, "failed": 1});
    assert_eq!(json["summary"], count);
    let told = |at: usize| {
        let worker = &json["workers"][at];
        ["id", "status", "outcome", "result"].map(|key| worker[key].as_str().unwrap().to_owned())
    };
    assert_eq!(told(0), ["well", "completed", "succeeded", "fine\n"]);
    assert_eq!(told(1), ["ill", "failed", "failed", "half\n"]);
}

/// The second collector waits for the first, and then there is nothing left.
#[test]
fn two_collectors_at_once_hand_out_each_job_once() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    // More than a pipe takes, so that the first one stands in the middle of it.
    sandbox.reader("long", "head -c 300000 /dev/zero | tr '\\0' x");
    sandbox.cx(["wait"]).ok();
    let mut command = sandbox.command("sh");
    // The first byte has come, so it is at it.
    let script = format!(
        "cx collect --format '{{message}}' | (dd bs=1 count=1 of=/dev/null 2>/dev/null; {}; wc -c)",
        gate.pass()
    );
    command.args(["-c", &script]);
    let first = sandbox.start(command);
    gate.arrived();
    let second = sandbox.start(sandbox.cx_command(["collect", "--format", "{message}"]));
    second.wait_for_stderr("another `cx collect` hands out results; waiting for it");
    // Who names a job gets it all the same.
    assert_eq!(sandbox.cx(["collect", "long", "--format", "{name}"]).ok().stdout(), "long\n");
    gate.open();
    assert_eq!(first.finish().ok().stdout().trim(), "300000");
    let second = second.finish().code(1);
    assert_eq!(second.stdout(), "");
    assert!(second.stderr().ends_with("cx: nothing to collect\n"), "{second}");
}
