//! `cx logs`, `cx diff`, `cx path`, `cx prompt`: looking at a job.

use crate::support::Sandbox;

#[test]
fn stdout_and_stderr_byte_for_byte() {
    let sandbox = Sandbox::new();
    sandbox.reader("r", "printf 'a\\000\\377\\033[31mb'; printf 'err\\377' >&2");
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.cx(["logs", "r"]).ok().stdout_bytes(), b"a\0\xff\x1b[31mb");
    assert_eq!(sandbox.cx(["logs", "--raw", "r"]).ok().stdout_bytes(), b"a\0\xff\x1b[31mb");
    assert_eq!(sandbox.cx(["logs", "--stderr", "r"]).ok().stdout_bytes(), b"err\xff");
    sandbox.cx(["logs", "--raw", "--stderr", "r"]).code(2);
    sandbox.cx(["logs", "ghost"]).refused(127, "no such job: ghost");
}

#[test]
fn the_diff_of_a_live_job_is_its_worktree_now_and_touches_nothing() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.writer("w", &format!("echo new > f; echo more >> README.md; {}", gate.pass()));
    gate.arrived();
    let tree = sandbox.root().join("repo.cx/w");
    let status = || sandbox.git(["-C", tree.to_str().unwrap(), "status", "--porcelain"]);
    let before = status();
    assert_eq!(sandbox.lines(["diff", "--name-only", "w"]), ["README.md", "f"]);
    assert!(sandbox.cx(["diff", "w"]).ok().stdout().contains("+more"));
    assert_eq!(status(), before);
    gate.open();
    sandbox.cx(["wait", "w"]).ok();
    assert_eq!(sandbox.lines(["diff", "--name-only", "w"]), ["README.md", "f"]);
    assert!(sandbox.cx(["diff", "--stat", "w"]).ok().stdout().contains("2 files changed"));
}

#[test]
fn a_reader_has_no_diff() {
    let sandbox = Sandbox::new();
    sandbox.reader("r", "true");
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["diff", "r"]).refused(1, "[1] r is a reader and changes nothing");
}

#[test]
fn paths() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "true");
    sandbox.reader("r", "true");
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.redact(&sandbox.cx(["path", "w"]).ok().stdout()), "[ROOT]/repo.cx/w\n");
    assert_eq!(sandbox.redact(&sandbox.cx(["path", "r"]).ok().stdout()), "[ROOT]/repo\n");
    sandbox.cx(["path"]).code(2);
    sandbox.cx(["prompt", "ghost"]).refused(127, "no such job: ghost");
}
