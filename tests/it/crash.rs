//! `kill -9` of every process of cx at every point where it changes state, and
//! what the next command makes of it.
//!
//! `CX_CRASH_AT=NAME` has a process die where `crash::point("NAME")` stands. A
//! supervisor inherits it from `cx spawn`, a recovery from the command that
//! found the job lost.

mod merging;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Gate, Output, Sandbox};

/// Points in `cx spawn`, and whether a job exists afterwards.
const SPAWN: [(&str, bool); 4] =
    [("draft", false), ("settled", false), ("spawned", true), ("supervisor-started", true)];

/// Points in a supervisor before its worker is started.
const BEFORE_WORKER: [&str; 7] = [
    "supervisor-up",
    "started",
    "worktree-added",
    "worktree-filled",
    "worktree-made",
    "worktree",
    "before-worker",
];

/// Points while its worker runs.
const WITH_WORKER: [&str; 2] = ["worker", "running"];

/// Points after its worker has ended, and whether the job's end is known.
const AFTER_WORKER: [(&str, bool); 6] = [
    ("worker-ended", false),
    ("answered", false),
    ("committed", false),
    ("before-exited", false),
    ("exited", true),
    ("unlocked", true),
];

/// Points that are tried elsewhere: in `backends.rs`, `checkpoints.rs`, `codex/commits.rs`,
/// `spawn/pools.rs`, `holds.rs` and `notice.rs`.
const ELSEWHERE: [&str; 7] =
    ["fell-over", "checkpoint", "grant-closed", "turn-got", "on-hold", "hold-left", "telling"];

/// Points in the supervisor of a resolver.
const RESOLVER: [&str; 2] = ["conflict-stands", "verified"];

/// Points in a supervisor whose job starts from the work of others.
const NEEDS: [&str; 2] = ["gathered", "based"];

/// Points in a supervisor that waits for its turn.
const QUEUE: [&str; 3] = ["waiting", "queued", "admitted"];

/// Points in a recovery; the first is in the command that finds the job lost.
const RECOVERY: [&str; 8] = [
    "lost",
    "recovery-started",
    "recovery-ended",
    "answered",
    "committed",
    "recovery-before-exited",
    "recovery-removed",
    "recovery-exited",
];

/// Points in `cx merge`, and whether the merge has happened.
const MERGE: [(&str, bool); 8] = [
    ("merge-promised", false),
    ("merge-journal", false),
    ("merge-locked", false),
    ("merge-files", false),
    ("merge-moved", true),
    ("merge-index", true),
    ("landed", true),
    ("merge-marked", true),
];

/// Points in `cx merge --undo`, besides those of a landing; tried in `landing.rs`.
const UNDO: [&str; 1] = ["undo-marked"];

/// Points in `cx merge --verify`, besides those of a landing.
const VERIFY: [&str; 1] = ["verify-checked-out"];

/// Points in `cx clean`.
const CLEAN: [&str; 5] = ["clean-kept", "clean-renamed", "clean-worktree", "clean-tree", "cleaned"];

/// Points in giving a worktree to the pool, and in deleting one in the background; tried in
/// `pool.rs`.
pub(crate) const GIVE: [&str; 5] =
    ["pool-renamed", "pool-given", "tidy-ordered", "pool-cleaned", "tidy-deleting"];

/// Points in taking one out of the pool; tried there too.
pub(crate) const TAKE: [&str; 3] = ["pool-claimed", "pool-moved", "pool-switched"];

/// Points in `cx collect`.
const COLLECT: [&str; 2] = ["collect-written", "collected"];

/// Points in `cx run`, and whether a run exists afterwards; tried in
/// `run/resume.rs`, as is what comes after.
pub(crate) const RUN: [(&str, bool); 7] = [
    ("run-claimed", false),
    ("run-started", true),
    ("run-running", true),
    ("task-started", true),
    ("task-ended", true),
    ("run-summary", true),
    ("run-ended", true),
];

/// Points in `cx run` that not every run comes to.
const RUN_SELDOM: [&str; 4] =
    ["run-stopping", "run-detached", "run-revision-stored", "run-revised"];

/// All of them.
fn points() -> BTreeSet<&'static str> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let pairs = SPAWN.iter().chain(&AFTER_WORKER).chain(&MERGE).chain(&RUN);
    known.extend(pairs.map(|(point, _)| *point));
    known.extend(
        [
            &BEFORE_WORKER[..],
            &WITH_WORKER,
            &ELSEWHERE,
            &RESOLVER,
            &NEEDS,
            &QUEUE,
            &RECOVERY,
            &UNDO,
            &VERIFY,
            &CLEAN,
            &COLLECT,
            &GIVE,
            &TAKE,
            &RUN_SELDOM,
            &crate::packed::PACK,
        ]
        .concat(),
    );
    known
}

#[test]
fn every_crash_point_is_in_a_table() {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let after = text.split("crash::point(").skip(1);
            found
                .extend(after.filter_map(|rest| {
                    Some(rest.strip_prefix('"')?.split('"').next()?.to_owned())
                }));
            // Those of a landing have their names in one place.
            let steps = text.lines().filter(|line| line.trim().starts_with("Step::"));
            let name = |line: &str| Some(line.split_once("=> \"")?.1.split('"').next()?.to_owned());
            found.extend(steps.filter_map(name));
        }
    }
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, points());
}

#[test]
fn every_crash_point_is_in_the_manual() {
    let manual = include_str!("../../docs/architecture.md");
    let (_, crashes) = manual.split_once("\n## A job's way, and what a crash leaves\n").unwrap();
    let (crashes, _) = crashes.split_once("\n## ").unwrap();
    let told: BTreeSet<&str> = crashes
        .split('[')
        .filter_map(|rest| Some(rest.split_once(']')?.0))
        .flat_map(|inside| inside.split('`').skip(1).step_by(2))
        .collect();
    assert_eq!(told, points());
}

/// Runs `cx ...`, which is to die at this point, or to start what does.
#[track_caller]
fn crashing<'a>(sandbox: &Sandbox, at: &str, args: impl IntoIterator<Item = &'a str>) -> Output {
    let mut command = sandbox.cx_command(args);
    command.env("CX_CRASH_AT", at);
    sandbox.run(command)
}

fn is_there(sandbox: &Sandbox, branch: &str) -> bool {
    !sandbox.git(["branch", "--list", branch]).is_empty()
}

/// What holds after every crash once a command has looked: the ledger can be
/// read, each number was given once, each job has ended once, a new job works,
/// and git finds nothing wrong.
#[track_caller]
fn understood(sandbox: &Sandbox, at: &str) {
    let mut spawned: BTreeMap<u64, usize> = BTreeMap::new();
    let mut exited: BTreeMap<u64, usize> = BTreeMap::new();
    for event in sandbox.ledger().events() {
        let job = event["job"].as_u64().unwrap();
        match event["ev"].as_str().unwrap() {
            "spawned" => *spawned.entry(job).or_default() += 1,
            "exited" => *exited.entry(job).or_default() += 1,
            _ => {}
        }
    }
    assert!(spawned.values().all(|count| *count == 1), "{at}: {spawned:?}");
    assert_eq!(spawned, exited, "{at}: each job ends once");
    let jobs = sandbox.cx(["jobs", "-a", "--json"]).ok().json();
    let live: Vec<&Value> =
        jobs.as_array().unwrap().iter().filter(|job| job["live"] == true).collect();
    assert!(live.is_empty(), "{at}: {live:?}");
    let left = sandbox.live_processes();
    assert!(left.iter().all(|what| what.contains("__supervise")), "{at}: {left:?}");
    sandbox.written("fresh", "echo fresh > fresh; echo fine");
    assert_eq!(sandbox.cx(["collect", "fresh", "--format", "{message}"]).ok().stdout(), "fine\n");
    sandbox.git(["fsck", "--strict"]);
    assert_eq!(sandbox.git(["status", "--porcelain"]), "", "{at}");
    assert_eq!(sandbox.read("README.md"), "A repository to work in.\n");
}

/// A writer that writes, answers, and stops at a gate, as does a child of it in
/// a session of its own.
fn worker(sandbox: &Sandbox) -> (String, [Gate; 2]) {
    sandbox.write(".git/info/exclude", ".cx/\n");
    sandbox.write(".cx/config.toml", "grace = \"100ms\"\n");
    let gates = [sandbox.gate("one"), sandbox.gate("two")];
    let child = gates[1].pass().replace('\'', "");
    let script = format!(
        "echo work > work; echo answer; setsid sh -c 'trap \"\" TERM; {child}' & {}",
        gates[0].pass()
    );
    (script, gates)
}

/// What a lost job that had worked has kept.
#[track_caller]
fn kept(sandbox: &Sandbox, at: &str) {
    let job = sandbox.job("auth");
    assert_eq!(job["status"], "lost", "{at}: {job}");
    assert_eq!(job["commits"], 1, "{at}: {job}");
    assert_eq!(sandbox.git(["show", "cx/auth:work"]), "work", "{at}");
    let message = sandbox.cx(["collect", "auth", "--format", "{message}"]).code(1).stdout();
    assert_eq!(message, "answer\n", "{at}");
}

#[test]
fn spawn_is_killed() {
    for (at, exists) in SPAWN {
        let sandbox = Sandbox::new();
        let (script, gates) = worker(&sandbox);
        gates.iter().for_each(Gate::open);
        crashing(&sandbox, at, ["spawn", "-b", "sh", "-w", "-n", "auth", &script]).signal(9);
        let waited = sandbox.cx(["wait"]);
        if at == "supervisor-started" {
            waited.ok();
            assert_eq!(sandbox.git(["show", "cx/auth:work"]), "work");
        } else if exists {
            waited.code(1);
            assert_eq!(sandbox.job("auth")["status"], "lost", "{at}");
            assert!(!is_there(&sandbox, "cx/auth"), "{at}");
        } else {
            waited.ok();
            sandbox.cx(["show", "auth"]).code(127);
            sandbox.written("auth", "echo work > work");
        }
        understood(&sandbox, at);
        // What never became a job does not lie about for ever. A draft that is not
        // locked yet may be somebody's who is at it, as long as it is young.
        sandbox.sh("for draft in .git/cx/jobs/.new-*; do test ! -d $draft || touch -d '2 hours ago' $draft; done").ok();
        sandbox.cx(["clean"]).ok();
        let folders = fs::read_dir(sandbox.repo().join(".git/cx/jobs")).unwrap().flatten();
        let folders: BTreeSet<_> =
            folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
        let jobs = sandbox.cx(["jobs", "-a", "--json"]).ok().json();
        let jobs = jobs.as_array().unwrap().iter().map(|job| job["job"].to_string()).collect();
        assert!(folders.is_subset(&jobs), "{at}: {folders:?}");
    }
}

#[test]
fn a_supervisor_is_killed_before_its_worker_starts() {
    for at in BEFORE_WORKER {
        let sandbox = Sandbox::new();
        let (script, _gates) = worker(&sandbox);
        crashing(&sandbox, at, ["spawn", "-b", "sh", "-w", "-n", "auth", &script]).ok();
        let waited = sandbox.cx(["wait", "auth"]).code(1);
        assert!(waited.stderr().contains("vanished before its worker was started"), "{waited}");
        assert_eq!(sandbox.job("auth")["status"], "lost", "{at}");
        assert!(!is_there(&sandbox, "cx/auth"), "{at}");
        assert!(!sandbox.root().join("repo.cx/auth").exists(), "{at}");
        // Its name is free again.
        sandbox.written("auth", "echo again > again");
        understood(&sandbox, at);
    }
}

#[test]
fn a_supervisor_is_killed_while_its_worker_runs() {
    for at in WITH_WORKER {
        let sandbox = Sandbox::new();
        let (script, gates) = worker(&sandbox);
        crashing(&sandbox, at, ["spawn", "-b", "sh", "-w", "-n", "auth", &script]).ok();
        gates.iter().for_each(Gate::arrived);
        let waited = sandbox.cx(["wait", "auth"]).code(1);
        assert!(waited.stderr().contains("still running and was ended"), "{waited}");
        kept(&sandbox, at);
        understood(&sandbox, at);
    }
}

#[test]
fn a_supervisor_is_killed_after_its_worker_has_ended() {
    for (at, known) in AFTER_WORKER {
        let sandbox = Sandbox::new();
        let (script, gates) = worker(&sandbox);
        gates.iter().for_each(Gate::open);
        crashing(&sandbox, at, ["spawn", "-b", "sh", "-w", "-n", "auth", &script]).ok();
        if known {
            sandbox.cx(["wait", "auth"]).ok();
            assert_eq!(sandbox.git(["show", "cx/auth:work"]), "work", "{at}");
        } else {
            sandbox.cx(["wait", "auth"]).code(1);
            kept(&sandbox, at);
        }
        understood(&sandbox, at);
        assert_eq!(sandbox.cx(["merge", "auth"]).ok().stderr(), "", "{at}");
        assert_eq!(sandbox.read("work"), "work\n");
    }
}

#[test]
fn a_supervisor_is_killed_in_the_queue() {
    for at in QUEUE {
        let sandbox = Sandbox::new();
        let gate = sandbox.gate("gate");
        sandbox.reader("first", &gate.pass());
        let spawn = ["spawn", "-b", "sh", "-n", "second", "--after", "first", "--max-jobs", "1"];
        crashing(&sandbox, at, spawn.into_iter().chain(["true"])).ok();
        sandbox.spawn_sh(["-n", "third", "--max-jobs", "1", "echo third"]);
        gate.open();
        // Nobody looks after the second, and the third has its turn.
        sandbox.until(3, "exited");
        sandbox.cx(["wait", "third"]).ok();
        sandbox.cx(["wait", "second"]).code(1);
        assert_eq!(sandbox.job("second")["status"], "lost", "{at}");
        understood(&sandbox, at);
    }
}

/// The branch is made at a commit that nobody but the job's supervisor knows.
#[test]
fn a_supervisor_is_killed_that_starts_from_the_work_of_others() {
    for at in NEEDS.iter().chain(&BEFORE_WORKER[2..]) {
        for mode in ["-w", "-r"] {
            let sandbox = Sandbox::new();
            sandbox.written("auth", "echo auth > auth");
            sandbox.written("docs", "echo docs > docs");
            let needs = ["-n", "both", "--after", "auth", "--after", "docs", "cat auth docs"];
            let spawn = ["spawn", "-b", "sh", mode].into_iter().chain(needs);
            crashing(&sandbox, at, spawn).ok();
            sandbox.cx(["wait", "both"]).code(1);
            assert_eq!(sandbox.job("both")["status"], "lost", "{at}");
            assert!(!is_there(&sandbox, "cx/both"), "{at}");
            assert!(!sandbox.root().join("repo.cx/both").exists(), "{at}");
            // Its name is free again, and nothing of the needs is lost.
            sandbox.spawn_sh([mode].into_iter().chain(needs));
            sandbox.cx(["wait", "4"]).ok();
            let said = sandbox.cx(["collect", "4", "--format", "{message}"]).ok().stdout();
            assert_eq!(said, "auth\ndocs\n", "{at}");
            understood(&sandbox, at);
        }
    }
}

#[test]
fn a_recovery_is_killed() {
    for lost_at in ["worktree-made", "running"] {
        for at in RECOVERY {
            let sandbox = Sandbox::new();
            let (script, gates) = worker(&sandbox);
            crashing(&sandbox, lost_at, ["spawn", "-b", "sh", "-w", "-n", "auth", &script]).ok();
            if lost_at == "running" {
                gates.iter().for_each(Gate::arrived);
            } else {
                sandbox.until(1, "started");
            }
            // Until the lock is free there is nothing to be found.
            let recovered = |event: &Value| event["ev"] == "lost";
            while !sandbox.ledger().events().iter().any(recovered) {
                crashing(&sandbox, at, ["jobs"]);
            }
            sandbox.cx(["wait", "auth"]).code(1);
            if lost_at == "running" {
                kept(&sandbox, at);
            } else {
                assert_eq!(sandbox.job("auth")["status"], "lost", "{at}");
                sandbox.cx(["clean", "auth"]);
                assert!(!is_there(&sandbox, "cx/auth"), "{at}");
            }
            understood(&sandbox, at);
        }
    }
}

/// Jobs that were never started are lost, those that were go on, and what there
/// is of the group can be picked from.
#[test]
fn a_spawn_of_a_group_is_killed_half_way() {
    for at in ["draft", "settled", "spawned", "supervisor-started"] {
        let sandbox = Sandbox::new();
        let script = "echo $CX_NAME > answer";
        crashing(&sandbox, at, ["spawn", "-b", "sh", "-n", "auth", "-N", "3", script]).signal(9);
        sandbox.cx(["wait"]);
        let jobs = sandbox.cx(["jobs", "-a", "--json"]).ok().json();
        let jobs = jobs.as_array().unwrap();
        let groups: BTreeSet<String> = jobs.iter().map(|job| job["group"].to_string()).collect();
        assert!(groups.len() <= 1 && !groups.contains("null"), "{at}: {groups:?}");
        let well: Vec<&str> = jobs
            .iter()
            .filter(|job| job["status"] == "succeeded")
            .map(|job| job["name"].as_str().unwrap())
            .collect();
        for job in jobs {
            assert!(job["status"] == "lost" || job["status"] == "succeeded", "{at}: {job}");
        }
        assert_eq!(well.is_empty(), at != "supervisor-started", "{at}: {jobs:?}");
        if let [one, ..] = well.as_slice() {
            sandbox.cx(["pick", one]).ok();
            assert_eq!(sandbox.read("answer"), format!("{one}\n"));
        }
        understood(&sandbox, at);
        // The names are free again, or taken by what there is.
        sandbox.spawn_sh(["-n", "again", "-N", "2", "true"]);
        sandbox.cx(["wait", "again"]).ok();
    }
}

#[test]
fn clean_is_killed() {
    for at in CLEAN {
        let sandbox = Sandbox::new();
        sandbox.written("auth", "echo work > work");
        sandbox.cx(["collect"]).ok();
        let discard = at == "clean-kept";
        let clean: &[&str] = if discard { &["clean", "--discard", "auth"] } else { &["clean"] };
        if !discard {
            sandbox.cx(["merge"]).ok();
        }
        let tip = sandbox.git(["rev-parse", "cx/auth"]);
        crashing(&sandbox, at, clean.iter().copied()).signal(9);
        sandbox.cx(clean.iter().copied().chain(["--dry-run"])).ok();
        let cleaned = sandbox.cx(clean.iter().copied()).ok();
        assert!(!is_there(&sandbox, "cx/auth"), "{at}: {cleaned}");
        assert!(!sandbox.root().join("repo.cx/auth").exists(), "{at}");
        assert!(!sandbox.root().join("repo.cx/.trash").exists(), "{at}");
        assert!(!sandbox.repo().join(".git/cx/jobs/1").exists(), "{at}");
        if discard {
            assert_eq!(sandbox.git(["rev-parse", "refs/cx/trash/auth-1"]), tip);
        } else {
            assert_eq!(sandbox.read("work"), "work\n");
        }
        assert_eq!(sandbox.git(["worktree", "prune", "--dry-run", "--verbose"]), "", "{at}");
        let job = sandbox.job("1");
        assert_eq!((&job["tree_gone"], &job["files_gone"]), (&true.into(), &true.into()), "{at}");
        understood(&sandbox, at);
    }
}

#[test]
fn collect_is_killed() {
    for at in COLLECT {
        let sandbox = Sandbox::new();
        sandbox.reader("one", "echo first");
        sandbox.reader("two", "echo second");
        sandbox.cx(["wait"]).ok();
        let said = crashing(&sandbox, at, ["collect", "--format", "{message}"]).signal(9);
        assert_eq!(said.stdout(), "first\nsecond\n", "{at}");
        // Rather twice than never.
        if at == "collect-written" {
            let again = sandbox.cx(["collect", "--format", "{message}"]).ok().stdout();
            assert_eq!(again, "first\nsecond\n", "{at}");
        }
        sandbox.cx(["collect"]).code(1);
        understood(&sandbox, at);
    }
}

#[test]
fn a_supervisor_of_a_resolver_is_killed() {
    for at in RESOLVER {
        let sandbox = Sandbox::new();
        sandbox.writer("a", "echo from-a > f");
        sandbox.writer("b", "echo from-b > f");
        sandbox.cx(["wait"]).ok();
        sandbox.cx(["merge", "a"]).ok();
        let tip = sandbox.git(["rev-parse", "cx/b"]);
        let resolve = ["resolve", "b", "-b", "sh", "--verify", "true", "--", "echo both > f"];
        crashing(&sandbox, at, resolve).ok();
        sandbox.cx(["wait", "b-resolve"]).code(1);
        assert_eq!(sandbox.job("b-resolve")["status"], "lost", "{at}");
        assert_eq!(sandbox.git(["rev-parse", "cx/b"]), tip, "{at}: what it resolves is as it was");
        assert_eq!(sandbox.read("f"), "from-a\n", "{at}: nothing lands by itself");
        understood(&sandbox, at);
    }
}
