//! No room: every write that fails is an error, and nothing earlier is lost.
//!
//! A limit on the size of files stands for the disk, since everybody can set one.

use std::fs::{self, OpenOptions};
use std::io::Write;

use crate::support::{Output, Sandbox};

/// Runs a command in which no file can grow beyond this many KiB.
#[track_caller]
fn limited(sandbox: &Sandbox, kib: u64, script: &str) -> Output {
    let mut command = sandbox.command("bash");
    command.arg("-c").arg(format!("ulimit -f {kib}; {script}"));
    sandbox.run(command)
}

/// Fills the ledger with an event that means nothing, up to this size.
fn fill_ledger(sandbox: &Sandbox, size: usize) {
    let path = sandbox.repo().join(".git/cx/ledger.jsonl");
    let has = fs::metadata(&path).map_or(0, |meta| usize::try_from(meta.len()).unwrap());
    let [before, after] = [
        "{\"v\":1,\"t\":\"2026-01-02T03:04:05.000Z\",\"ev\":\"noise\",\"job\":1,\"text\":\"",
        "\"}\n",
    ];
    let text = "x".repeat(size - has - before.len() - after.len());
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(format!("{before}{text}{after}").as_bytes()).unwrap();
}

/// Wherever in a job's life the room runs out: it is refused whole, or it runs
/// and is told truly, now or when there is room again.
#[test]
fn a_ledger_that_cannot_grow_refuses_or_loses_a_job_but_never_lies() {
    let mut seen = std::collections::BTreeSet::new();
    for room in (200..1500).step_by(100) {
        let sandbox = Sandbox::new();
        sandbox.reader("earlier", "echo earlier");
        sandbox.cx(["wait"]).ok();
        fill_ledger(&sandbox, 16 * 1024 - room);
        let ledger = sandbox.repo().join(".git/cx/ledger.jsonl");
        let before = fs::read(&ledger).unwrap();
        let spawned =
            limited(&sandbox, 16, "cx spawn -b sh -w -n late 'echo work > work; echo said'");
        if spawned.status_code() == Some(125) {
            assert!(spawned.stderr().contains("cannot append to"), "{spawned}");
            assert_eq!(fs::read(&ledger).unwrap(), before);
            sandbox.cx(["show", "late"]).code(127);
            assert!(!sandbox.repo().join(".git/cx/jobs/2").exists());
            seen.insert("refused");
            sandbox.written("late", "echo work > work; echo said");
        } else {
            spawned.ok();
            let waited = sandbox.cx(["wait", "late"]);
            let job = sandbox.job("late");
            if waited.status_code() == Some(0) {
                seen.insert("succeeded");
                assert_eq!(job["status"], "succeeded");
            } else {
                waited.code(1);
                assert_eq!(job["status"], "lost", "{job}");
                let reason = job["reason"].as_str().unwrap();
                assert!(reason.contains("cannot append to"), "{reason}");
                seen.insert("lost");
            }
        }
        // Nothing of it runs, what it did is kept, what was there is there.
        let left = sandbox.live_processes();
        assert!(left.iter().all(|what| what.contains("__supervise")), "{left:?}");
        if sandbox.job("late")["commits"] == 1 {
            // A lost job's worker is ended wherever it is, even between opening its
            // file and writing to it.
            let kept = sandbox.git(["show", "cx/late:work"]);
            assert!("work".starts_with(&kept), "{kept}");
        }
        assert_eq!(sandbox.ledger().events().iter().filter(|e| e["ev"] == "spawned").count(), 2);
        let message = sandbox.cx(["collect", "earlier", "--format", "{message}"]).ok().stdout();
        assert_eq!(message, "earlier\n");
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["lost", "refused", "succeeded"]);
}

#[test]
fn a_worker_that_cannot_write_its_output_is_no_success() {
    let sandbox = Sandbox::new();
    limited(&sandbox, 64, "cx spawn -b sh -n loud 'head -c 200000 /dev/zero; exit $?'").ok();
    let code = sandbox.cx(["wait", "loud"]).status_code().unwrap();
    assert_ne!(code, 0);
    assert_eq!(sandbox.job("loud")["status"], "failed");
}

#[test]
fn a_prompt_that_finds_no_room_starts_nothing() {
    let sandbox = Sandbox::new();
    let refused =
        limited(&sandbox, 64, "head -c 100000 /dev/zero | tr '\\0' '#' | cx spawn -b sh -n big -");
    assert!(refused.stderr().contains("nothing was started"), "{refused}");
    let refused = refused.code(125);
    sandbox.assert_nothing_started(&refused);
}

#[test]
fn an_answer_that_finds_no_room_is_not_collected_and_replaces_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write(".git/info/exclude", "out/\n");
    sandbox.write("out/long.md", "an earlier answer\n");
    sandbox.reader("long", "head -c 100000 /dev/zero | tr '\\0' x");
    sandbox.cx(["wait"]).ok();
    let failed = limited(&sandbox, 64, "cx collect -o out").code(125);
    assert!(failed.stderr().contains("is not collected"), "{failed}");
    assert_eq!(sandbox.read("out/long.md"), "an earlier answer\n");
    assert_eq!(fs::read_dir(sandbox.repo().join("out")).unwrap().count(), 1);
    assert_eq!(sandbox.job("long")["collected"], false);
    sandbox.cx(["collect", "-o", "out"]).ok();
    assert_eq!(sandbox.read("out/long.md").len(), 100_000);
}

/// Without room a lost job cannot even be called lost. Waiting for it is an
/// error then, and neither success nor for ever.
#[test]
fn a_job_that_cannot_be_recovered_is_waited_for_in_vain_but_not_for_ever() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.cx_command(["spawn", "-b", "sh", "-n", "look", "true"]);
    command.env("CX_CRASH_AT", "started");
    sandbox.run(command).ok();
    sandbox.until(1, "started");
    let failed = limited(&sandbox, 0, "cx wait look").code(125);
    assert!(failed.stderr().contains("cannot be recovered"), "{failed}");
    limited(&sandbox, 0, "cx jobs").ok();
    sandbox.cx(["wait", "look"]).code(1);
    assert_eq!(sandbox.job("look")["status"], "lost");
}
