//! Many shells at once in one repository.

use std::collections::BTreeSet;

use crate::support::Sandbox;

const SHELLS: u64 = 8;
const EACH: u64 = 25;

/// Eight shells spawn 25 jobs each, as fast as they can. Every third one fails.
fn storm(sandbox: &Sandbox, options: &str, worker: &str) {
    let shells: Vec<_> = (0..SHELLS)
        .map(|shell| {
            let script = format!(
                "for n in $(seq {EACH}); do cx spawn -b sh -n s{shell}-$n {options} '{worker}'\" exit $((n % 3 == 0))\" || exit; done"
            );
            let mut command = sandbox.command("sh");
            command.arg("-c").arg(script);
            sandbox.start(command)
        })
        .collect();
    let mut printed = BTreeSet::new();
    for shell in shells {
        printed.extend(shell.finish().ok().stdout().lines().map(str::to_owned));
    }
    assert_eq!(printed.len() as u64, SHELLS * EACH);
    let waited = sandbox.cx(["wait"]).code(1);
    let told = waited
        .stderr()
        .lines()
        .filter(|line| line.contains("failed: ended with exit code 1"))
        .count() as u64;
    assert_eq!(told, SHELLS * (EACH / 3), "{waited}");

    let events = sandbox.ledger().events();
    let jobs = |kind: &str| -> Vec<u64> {
        let of_kind = events.iter().filter(|event| event["ev"] == kind);
        of_kind.filter_map(|event| event["job"].as_u64()).collect()
    };
    assert_eq!(jobs("spawned"), (1..=SHELLS * EACH).collect::<Vec<_>>(), "in order, each once");
    for kind in ["started", "running", "exited"] {
        let mut once = jobs(kind);
        once.sort_unstable();
        assert_eq!(once, (1..=SHELLS * EACH).collect::<Vec<_>>(), "{kind}");
    }
    for event in events.iter().filter(|event| event["ev"] == "spawned") {
        let label = format!("[{}] {}", event["job"], event["name"].as_str().unwrap());
        assert!(printed.contains(&label), "{label}");
    }
    for job in sandbox.cx(["jobs", "-a", "--json"]).ok().json().as_array().unwrap() {
        let number: u64 = job["name"].as_str().unwrap().split('-').nth(1).unwrap().parse().unwrap();
        let status = if number.is_multiple_of(3) { "failed" } else { "succeeded" };
        assert_eq!(job["status"], status, "{job}");
    }
}

#[test]
fn two_hundred_spawns_from_eight_shells() {
    let sandbox = Sandbox::new();
    storm(&sandbox, "", "");
}

/// A job marks that it runs in its own TMPDIR, where a reader may write, and
/// counts the marks of all.
#[test]
fn two_hundred_spawns_take_turns() {
    let sandbox = Sandbox::new();
    let jobs = sandbox.repo().join(".git/cx/jobs");
    let worker = format!(
        "touch $TMPDIR/on; ls -d {}/*/tmp/on 2>/dev/null | wc -l; rm $TMPDIR/on;",
        jobs.display()
    );
    storm(&sandbox, "--max-jobs 3", &worker);
    let counts = sandbox.cx(["collect", "--format", "{message}"]).code(1).stdout();
    let counts: Vec<u64> = counts.lines().map(|line| line.trim().parse().unwrap()).collect();
    assert_eq!(counts.len() as u64, SHELLS * EACH);
    assert!(counts.iter().all(|count| (1..=3).contains(count)), "{counts:?}");
    // A job goes on only where there is room for all that were there before it too:
    // whoever has to wait is overtaken by nobody.
    let (mut waiting, mut running) = (BTreeSet::new(), BTreeSet::new());
    let mut turns = 0;
    for event in sandbox.ledger().events() {
        let job = event["job"].as_u64().unwrap();
        match event["ev"].as_str().unwrap() {
            "spawned" => {
                waiting.insert(job);
            }
            "admitted" => {
                turns += 1;
                assert!(waiting.remove(&job), "{event}");
                let before = waiting.range(..job).count();
                assert!(running.len() + before < 3, "{job}: {running:?}, {waiting:?}");
                running.insert(job);
            }
            "exited" => {
                running.remove(&job);
            }
            _ => {}
        }
    }
    assert_eq!(turns, SHELLS * EACH);
}
