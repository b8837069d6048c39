//! A ledger that has grown long: its beginning is packed, and nobody notices.

use std::{
    fs,
    io::{Read as _, Write as _},
};

use serde_json::Value;

use crate::support::{Sandbox, until_changed};

/// Points in a supervisor that packs the ledger. Of the second nothing is left to do.
pub(crate) const PACK: [&str; 2] = ["ledger-packed", "ledger-punched"];

/// A ledger with this many kilobytes of notes about job 1, and a first job that is
/// over.
fn with_past(kilobytes: usize) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.reader("first", "echo hello");
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["collect"]).ok();
    sandbox.until_quiet();
    let ledger = sandbox.repo().join(".git/cx/ledger.jsonl");
    let mut ledger = fs::File::options().append(true).open(ledger).unwrap();
    for n in 0..kilobytes {
        let text = "x".repeat(950);
        let line = format!(
            "{{\"v\":1,\"t\":\"2040-01-01T00:{:02}:{:02}.000Z\",\"ev\":\"note\",\"job\":1,\"text\":\"{text}\"}}\n",
            n / 60,
            n % 60
        );
        ledger.write_all(line.as_bytes()).unwrap();
    }
    sandbox.set("CX_LEDGER_PART", "20000");
    sandbox
}

fn begins_with_a_hole(sandbox: &Sandbox) -> bool {
    let mut first = [1];
    let ledger = fs::File::open(sandbox.repo().join(".git/cx/ledger.jsonl"));
    ledger.unwrap().read_exact(&mut first).unwrap();
    first == [0]
}

fn parts(sandbox: &Sandbox) -> usize {
    fs::read_dir(sandbox.repo().join(".git/cx/parts")).map_or(0, Iterator::count)
}

fn events(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.cx(["events", "--json"]).ok().json_lines()
}

/// What every job's life is made of, whatever happened to the file.
#[track_caller]
fn is_whole(sandbox: &Sandbox, jobs: u64) {
    let events = events(sandbox);
    for job in 1..=jobs {
        let of = |kind: &str| events.iter().filter(|e| e["job"] == job && e["ev"] == kind).count();
        assert_eq!((of("spawned"), of("exited")), (1, 1), "job {job}");
    }
    let notes = events.iter().filter(|e| e["ev"] == "note" && e["job"] == 1).count();
    assert_eq!(notes, 100);
    let shown = sandbox.cx(["show", "1", "--json"]).ok().json();
    assert_eq!((&shown["name"], &shown["collected"]), (&"first".into(), &true.into()));
    assert_eq!(shown["notes"].as_array().map(Vec::len), Some(100));
    let said = sandbox.cx(["jobs", "-a"]).ok();
    assert!(!said.stderr().contains("cannot be read"), "{said}");
}

#[test]
fn a_long_ledger_is_packed_under_those_who_follow_it() {
    let sandbox = with_past(100);
    let gate = sandbox.gate("gate");
    // Its supervisor holds on to a place in the ledger, as does who follows.
    sandbox.reader("long", &gate.pass());
    sandbox.until(2, "running");
    let following = sandbox.start(sandbox.cx_command(["events", "-f", "--json"]));
    following.wait_for_stdout("\"job\":2");
    sandbox.reader("packs", "true");
    until_changed(&sandbox.repo().join(".git/cx"), || begins_with_a_hole(&sandbox));
    sandbox.cx(["kill", "-s", "STOP", "long"]).ok();
    sandbox.cx(["kill", "-s", "CONT", "long"]).ok();
    gate.open();
    sandbox.cx(["wait"]).ok();
    is_whole(&sandbox, 3);
    let so_far = events(&sandbox).len();
    sandbox.cx(["collect", "long", "packs"]).ok();
    let last = events(&sandbox).last().unwrap()["t"].as_str().unwrap().to_owned();
    following.wait_for_stdout(&last);
    sandbox.sh(&format!("kill -INT {}", following.id())).ok();
    assert_eq!(following.finish().signal(2).json_lines().len(), so_far + 2);
    sandbox.add_tool("gzip");
    let packed = sandbox.sh("gzip -dc .git/cx/parts/*").ok().stdout();
    assert!(packed.lines().next().unwrap().contains("\"ev\":\"spawned\",\"job\":1,"), "{packed}");
    // Only what is new, whatever lies in parts.
    let since = sandbox.cx(["events", "--since", "2040-01-01", "--json"]).ok().json_lines();
    assert!(since.len() >= 100 && since.len() < so_far, "{}", since.len());
}

#[test]
fn whoever_packs_is_killed() {
    for at in PACK {
        let sandbox = with_past(100);
        let mut command = sandbox.cx_command(["spawn", "-b", "sh", "-n", "packs", "true"]);
        command.env("CX_CRASH_AT", at);
        sandbox.run(command).ok();
        sandbox.cx(["wait"]).ok();
        sandbox.until_quiet();
        assert_eq!((parts(&sandbox), begins_with_a_hole(&sandbox)), (1, at == "ledger-punched"));
        is_whole(&sandbox, 2);
        // The next one goes on where this one has left off.
        let job = "x".repeat(60_000);
        sandbox.cx(["spawn", "-b", "sh", "-n", "next", "--", "true", &job]).ok();
        sandbox.cx(["wait"]).ok();
        sandbox.until_quiet();
        assert!(begins_with_a_hole(&sandbox), "{at}");
        assert_eq!(parts(&sandbox), 2, "{at}");
        is_whole(&sandbox, 3);
    }
}
