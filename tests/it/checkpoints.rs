//! `cx spawn --checkpoint`: what a writer has done is kept while it works.

use std::fs;

use crate::support::{Gate, Sandbox, until_changed, until_there};

const REF: &str = "refs/cx/checkpoints/w";

/// Starts the writer `w`, which does `first`, stops at a gate, and does `then`; and
/// waits until it has a checkpoint.
fn at_work(sandbox: &Sandbox, first: &str, then: &str) -> Gate {
    let refs = sandbox.repo().join(".git/refs/cx/checkpoints");
    fs::create_dir_all(&refs).unwrap();
    let gate = sandbox.gate("gate");
    let script = format!("{first}; {}; {then}", gate.pass());
    sandbox.spawn_sh(["-w", "--checkpoint", "20ms", "-n", "w", &script]);
    until_there(&refs, "w");
    gate
}

#[test]
fn the_tree_of_a_running_writer_is_kept_and_nothing_of_it_touched() {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "*.log\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "ignore logs"]);
    let base = sandbox.git(["rev-parse", "HEAD"]);
    let first = "echo new > new; echo more >> README.md; echo x > a.log; git add README.md; echo later >> README.md";
    let gate = at_work(&sandbox, first, "echo after > after; rm new");
    let tree = sandbox.root().join("repo.cx/w");
    // All of it may not have been there at the first look.
    let whole = || sandbox.git(["diff", "--name-only", &base, REF]) == "README.md\nnew";
    until_changed(&sandbox.repo().join(".git/logs/refs/cx/checkpoints"), whole);
    assert_eq!(sandbox.git(["show", &format!("{REF}:README.md")]).lines().last(), Some("later"));
    assert_eq!(
        sandbox.git(["log", "-1", "--format=%s %P", REF]),
        format!("Checkpoint of w {base}")
    );
    let in_tree = |args: &[&str]| {
        let tree = tree.to_str().unwrap();
        sandbox.git(["-C", tree].iter().chain(args))
    };
    assert_eq!(in_tree(&["rev-parse", "HEAD"]), base, "the branch stays");
    let staged = in_tree(&["diff", "--cached"]);
    assert!(staged.contains("+more") && !staged.contains("+later"), "the index stays: {staged}");
    assert_eq!(in_tree(&["status", "--porcelain", "new"]), "?? new");
    // Nothing has come since.
    assert_eq!(sandbox.cx(["diff", "--since-checkpoint", "w"]).ok().stdout(), "");
    gate.open();
    sandbox.cx(["wait", "w"]).ok();
    let since = sandbox.cx(["diff", "--since-checkpoint", "--name-only", "w"]).ok().stdout();
    assert!(since == "after\nnew\n" || since.is_empty(), "{since}");
    assert_eq!(sandbox.job("w")["notes"], serde_json::json!([]));
    sandbox.cx(["merge"]).ok();
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["clean"]).ok();
    assert_eq!(sandbox.git(["for-each-ref", "refs/cx"]), "");
    let none = sandbox.cx(["diff", "--since-checkpoint", "w"]).code(1);
    assert!(none.stderr().contains("[1] w has no checkpoint"), "{none}");
}

#[test]
fn after_a_lost_worker_the_last_one_is_offered_and_taken_up() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.repo().join(".git/refs/cx/checkpoints")).unwrap();
    let gate = sandbox.gate("gate");
    let script = format!("test -e one && exit 0; echo one > one; {}", gate.pass());
    let args = ["spawn", "-b", "sh", "-w", "--checkpoint", "20ms", "-n", "w", &script];
    let mut spawn = sandbox.cx_command(args);
    // Its supervisor dies as soon as there is one.
    spawn.env("CX_CRASH_AT", "checkpoint");
    sandbox.run(spawn).ok();
    let waited = sandbox.cx(["wait", "w"]).code(1);
    let said = waited.stderr();
    assert!(said.contains("; its last checkpoint is refs/cx/checkpoints/w of "), "{said}");
    assert!(said.contains("hint: `cx diff --since-checkpoint w` shows"), "{said}");
    assert!(sandbox.cx(["show", "w"]).ok().stdout().contains("cx retry --from-checkpoint w"));
    let doctor = sandbox.cx(["doctor"]);
    assert!(doctor.stdout().contains("cx retry --from-checkpoint w"), "{doctor}");
    let kept = sandbox.git(["rev-parse", REF]);

    sandbox.cx(["retry", "--from-checkpoint", "w"]).ok();
    sandbox.cx(["wait", "w-2"]).ok();
    let job = sandbox.job("w-2");
    assert_eq!(job["tip"], kept, "it found the file that the first had made");
    assert_eq!(job["commits"], 1);
    sandbox.cx(["merge", "w-2"]).ok();
    assert_eq!(sandbox.read("one"), "one\n");
}

#[test]
fn a_recovery_that_is_killed_offers_it_still() {
    let sandbox = Sandbox::new();
    let mut spawn =
        sandbox.cx_command(["spawn", "-b", "sh", "-w", "--checkpoint", "20ms", "-n", "w"]);
    let gate = sandbox.gate("gate");
    spawn.arg(format!("echo one > one; {}", gate.pass())).env("CX_CRASH_AT", "checkpoint");
    sandbox.run(spawn).ok();
    let mut wait = sandbox.cx_command(["wait", "w"]);
    wait.env("CX_CRASH_AT", "recovery-ended");
    sandbox.run(wait).code(125);
    sandbox.cx(["wait", "w"]).code(1);
    assert!(sandbox.job("w")["reason"].as_str().unwrap().contains("its last checkpoint is"));
}

#[test]
fn where_none_can_be_made_the_worker_goes_on_and_it_is_said_once() {
    let sandbox = Sandbox::new();
    // What stands where the ref would be.
    sandbox.git(["update-ref", "refs/cx/checkpoints", "HEAD"]);
    let gate = sandbox.gate("gate");
    let script = format!("echo one > one; {}", gate.pass());
    sandbox.spawn_sh(["-w", "--checkpoint", "10ms", "-n", "w", &script]);
    let note = sandbox.until(1, "note");
    let text = note["text"].as_str().unwrap();
    assert!(text.starts_with("no checkpoint could be made: "), "{text}");
    gate.open();
    sandbox.cx(["wait", "w"]).ok();
    assert_eq!(sandbox.job("w")["notes"].as_array().unwrap().len(), 1);
    let refused = sandbox.cx(["diff", "--since-checkpoint", "w"]).code(1);
    assert!(refused.stderr().contains("none was due yet"), "{refused}");
}

#[test]
fn only_a_writers_work_can_be_kept() {
    let sandbox = Sandbox::new();
    let refused = sandbox.cx(["spawn", "-b", "sh", "--checkpoint", "1m", "true"]);
    let refused = refused.refused(2, "--checkpoint keeps the work of a writer");
    sandbox.assert_nothing_started(&refused);
    let refused = sandbox.cx(["spawn", "-b", "sh", "-w", "--checkpoint", "0s", "true"]);
    sandbox.assert_nothing_started(&refused.code(2));
}

/// A large tree takes long to look at, and nobody waits for that: git stops here as soon
/// as it is to look for a checkpoint.
#[test]
fn whoever_ends_a_job_does_not_wait_for_its_checkpoint() {
    let sandbox = Sandbox::new();
    let real = which::which("git").unwrap();
    let (slow, gate) = (sandbox.gate("slow"), sandbox.gate("gate"));
    let stop =
        format!("case \"$GIT_INDEX_FILE $*\" in */checkpoint/*' add '*) {};; esac", slow.pass());
    sandbox.script_tool("git", &format!("{stop}\nexec {} \"$@\"", real.display()));
    for (name, ends) in [("killed", false), ("ended", true)] {
        let script = format!("echo one > one; {}", gate.pass());
        sandbox.spawn_sh(["-w", "--checkpoint", "1ms", "-n", name, &script]);
        slow.arrived();
        if ends {
            gate.step();
            sandbox.cx(["wait", name]).ok();
        } else {
            sandbox.cx(["kill", name]).ok();
        }
        let job = sandbox.job(name);
        assert_eq!(job["status"], if ends { "succeeded" } else { "killed" }, "{job}");
        assert_eq!((&job["stragglers"], &job["notes"]), (&0.into(), &serde_json::json!([])));
        assert_eq!(sandbox.git(["show", &format!("cx/{name}:one")]), "one");
        let folder = job["folder"].as_str().unwrap();
        assert!(!std::path::Path::new(folder).join("checkpoint").exists());
    }
}
