//! Worktrees that are used again, and what is deleted in the background.

use std::fs::{self, File};
use std::path::PathBuf;

use crate::crash::{GIVE, TAKE};
use crate::support::Sandbox;

/// A repository whose worktrees are worth keeping, however small.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("Cargo.toml", "[package]\n");
    sandbox.write(".gitignore", "target/\n*.log\n.cx/\n");
    sandbox.git(["add", "-A"]);
    sandbox.git(["commit", "-q", "-m", "a project"]);
    sandbox.write(".cx/config.toml", "[pool]\nmin-files = 0\n");
    sandbox
}

/// Waits until nothing is deleted or cleaned in the background.
fn tidied(sandbox: &Sandbox) {
    if let Ok(lock) = File::open(sandbox.repo().join(".git/cx/tidy.lock")) {
        lock.lock_shared().unwrap();
    }
    sandbox.until_quiet();
}

fn trees(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("repo.cx")
}

/// What lies in a folder among the worktrees.
fn among(sandbox: &Sandbox, name: &str) -> usize {
    fs::read_dir(trees(sandbox).join(name)).into_iter().flatten().count()
}

/// A writer that is merged and collected.
fn done_with(sandbox: &Sandbox, name: &str, script: &str) {
    sandbox.written(name, script);
    sandbox.cx(["collect", name]).ok();
    // Not every one has something to merge.
    sandbox.cx(["merge"]);
}

fn made_by(sandbox: &Sandbox, name: &str) -> String {
    let shown = sandbox.cx(["show", name]).ok().stdout();
    let line = shown.lines().find_map(|line| line.strip_prefix("made by")).unwrap();
    line.trim().split(" in ").next().unwrap().to_owned()
}

#[test]
fn a_worktree_goes_to_the_next_writer_with_its_cache_and_nothing_else() {
    let sandbox = sandbox();
    let script = "mkdir -p target/deep empty; echo warm > target/deep/cache; echo x > secret.log; \
                  echo y > work; chmod 777 README.md";
    done_with(&sandbox, "one", script);
    assert_ne!(made_by(&sandbox, "one"), "pool");
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert_eq!(cleaned, "[1] one removed worktree, branch and files\n");
    assert!(!trees(&sandbox).join("one").exists());
    tidied(&sandbox);
    assert_eq!(among(&sandbox, ".pool"), 1);
    sandbox.git(["worktree", "prune"]);
    assert!(sandbox.cx(["doctor"]).stdout().contains("1 worktree is kept to be used again"));

    let look = "ls -A; cat target/deep/cache work; git status --porcelain --ignored";
    sandbox.written("two", look);
    let seen = sandbox.cx(["collect", "two", "--format", "{message}"]).ok().stdout();
    assert_eq!(
        seen,
        ".git\n.gitignore\nCargo.toml\nREADME.md\ntarget\nwork\nwarm\ny\n!! target/\n"
    );
    assert_eq!(made_by(&sandbox, "two"), "pool");
    assert_eq!(among(&sandbox, ".pool"), 0);
    assert_eq!(sandbox.git(["worktree", "list"]).lines().count(), 2);
    let mode = fs::metadata(trees(&sandbox).join("two/README.md")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&mode) & 0o022, 0);

    // Given back once more, and then not wanted.
    sandbox.cx(["clean"]).ok();
    tidied(&sandbox);
    assert!(sandbox.cx(["clean", "--pool", "-n"]).ok().stdout().starts_with("would remove "));
    assert_eq!(among(&sandbox, ".pool"), 1);
    sandbox.cx(["clean", "--pool"]).ok();
    tidied(&sandbox);
    assert!(!trees(&sandbox).exists());
    assert_eq!(sandbox.git(["worktree", "list"]).lines().count(), 1);
    assert_eq!(sandbox.cx(["clean", "--pool"]).ok().stderr(), "cx: the pool is empty\n");
}

#[test]
fn without_a_pool_and_of_what_is_small_nothing_stays() {
    for config in ["[pool]\nmax = 0\nmin-files = 0\n", "[pool]\nkeep = []\n"] {
        let sandbox = sandbox();
        sandbox.write(".cx/config.toml", config);
        done_with(&sandbox, "one", "mkdir target; echo warm > target/cache");
        sandbox.cx(["clean"]).ok();
        assert!(!trees(&sandbox).exists());
        assert!(!sandbox.repo().join(".git/cx/tidy").exists());
    }
}

#[test]
fn what_is_large_is_deleted_in_the_background() {
    let sandbox = sandbox();
    sandbox.write(".cx/config.toml", "[pool]\nmax = 0\n");
    done_with(&sandbox, "one", "mkdir target; for n in $(seq 600); do echo > target/$n; done");
    sandbox.cx(["clean"]).ok();
    tidied(&sandbox);
    assert!(!trees(&sandbox).exists());
    assert_eq!(among(&sandbox, ".trash"), 0);
}

#[test]
fn a_crash_while_one_is_given_up_is_finished_by_the_next_clean() {
    for at in GIVE {
        let sandbox = sandbox();
        if at == "tidy-deleting" {
            sandbox.write(".cx/config.toml", "[pool]\nmax = 0\n");
        }
        let script = "mkdir target; for n in $(seq 600); do echo > target/$n; done; echo y > work";
        done_with(&sandbox, "one", script);
        let mut clean = sandbox.cx_command(["clean"]);
        clean.env("CX_CRASH_AT", at);
        let crashed = sandbox.run(clean);
        let in_background = ["pool-cleaned", "tidy-deleting"].contains(&at);
        if in_background {
            crashed.ok()
        } else {
            crashed.signal(9)
        };
        tidied(&sandbox);
        // Also a listing goes on with what was ordered.
        let next: &[&str] = if in_background { &["jobs", "-a"] } else { &["clean"] };
        sandbox.cx(next).ok();
        tidied(&sandbox);
        assert!(!trees(&sandbox).join("one").exists(), "{at}");
        assert_eq!(among(&sandbox, ".trash"), 0, "{at}");
        let kept = usize::from(!["pool-renamed", "tidy-deleting"].contains(&at));
        assert_eq!(among(&sandbox, ".pool"), kept, "{at}");
        assert_eq!(sandbox.git(["worktree", "list"]).lines().count(), 1 + kept, "{at}");
        assert_eq!(sandbox.read("work"), "y\n");
        sandbox.written("two", "cat work");
        assert_eq!(made_by(&sandbox, "two") == "pool", kept == 1, "{at}");
        sandbox.git(["fsck", "--strict"]);
    }
}

#[test]
fn a_crash_while_one_is_taken_leaves_no_half_of_it() {
    for at in TAKE {
        let sandbox = sandbox();
        done_with(&sandbox, "one", "mkdir target; echo warm > target/cache");
        sandbox.cx(["clean"]).ok();
        tidied(&sandbox);
        let mut spawn = sandbox.cx_command(["spawn", "-w", "-b", "sh", "-n", "two", "echo x > f"]);
        spawn.env("CX_CRASH_AT", at);
        sandbox.run(spawn).ok();
        sandbox.cx(["wait", "two"]).code(1);
        assert_eq!(sandbox.job("two")["status"], "lost", "{at}");
        assert!(!trees(&sandbox).join("two").exists(), "{at}");
        assert_eq!(sandbox.git(["branch", "--list", "cx/two"]), "", "{at}");
        sandbox.cx(["collect", "two"]);
        sandbox.cx(["clean"]).ok();
        tidied(&sandbox);
        let kept = usize::from(at == "pool-claimed");
        assert_eq!(among(&sandbox, ".pool"), kept, "{at}");
        assert_eq!(among(&sandbox, ".trash"), 0, "{at}");
        assert_eq!(sandbox.git(["worktree", "list"]).lines().count(), 1 + kept, "{at}");
        sandbox.written("two", "cat Cargo.toml");
        assert_eq!(made_by(&sandbox, "two") == "pool", kept == 1, "{at}");
    }
}

#[test]
fn jobs_have_ports_of_their_own_and_a_folder_together() {
    let sandbox = sandbox();
    let ports = |name: &str| -> u16 {
        let said = sandbox.cx(["collect", name, "--format", "{message}"]).ok().stdout();
        said.lines().next().unwrap().parse().unwrap()
    };
    sandbox.written("one", "echo $CX_PORT; echo shared > \"$CX_CACHE/file\"");
    sandbox.reader("two", "echo $CX_PORT; cat \"$CX_CACHE/file\"; echo x > \"$CX_CACHE/file\"");
    sandbox.cx(["wait", "two"]);
    let said = sandbox.cx(["collect", "two", "--format", "{message}"]).stdout();
    assert!(said.ends_with("\nshared\n"), "{said}");
    let cache = sandbox.repo().join(".git/cx/cache/file");
    assert_eq!(fs::read_to_string(cache).unwrap(), "shared\n", "a reader only reads there");
    let (one, two) = (ports("one"), said.lines().next().unwrap().parse::<u16>().unwrap());
    assert!(one >= 20_000 && one.abs_diff(two) >= 10, "{one} {two}");
    sandbox.cx(["retry", "one"]).ok();
    sandbox.cx(["wait"]).ok();
    let events = sandbox.ledger().events();
    let given: Vec<_> = events.iter().filter_map(|e| e["port"].as_u64()).collect();
    assert_eq!(given, [one, two, one].map(u64::from), "who goes on has the same");

    sandbox.write(".cx/config.toml", "[port]\nfirst = 30000\ncount = 100\n");
    sandbox.reader("three", "echo $CX_PORT");
    sandbox.cx(["wait", "three"]).ok();
    assert!(ports("three") >= 30_000 && ports("three") % 100 == 0);
    sandbox.write(".cx/config.toml", "[port]\ncount = 0\n");
    sandbox.reader("four", "echo ${CX_PORT-none}");
    sandbox.cx(["wait", "four"]).ok();
    assert_eq!(sandbox.cx(["collect", "four", "--format", "{message}"]).ok().stdout(), "none\n");
}

#[test]
fn what_things_take_on_disk_is_told() {
    let sandbox = sandbox();
    assert_eq!(sandbox.cx(["du", "--json"]).ok().json()["jobs"], serde_json::json!([]));
    done_with(&sandbox, "one", "mkdir target; head -c 300000 /dev/zero > target/cache; echo hello");
    let all = sandbox.cx(["du", "--json"]).ok().json();
    let one = &all["jobs"][0];
    assert!(one["worktree"].as_u64().unwrap() > 300_000, "{all}");
    assert!(
        one["outputs"].as_u64().unwrap() > 0 && all["total"].as_u64() > one["worktree"].as_u64()
    );
    let shown = sandbox.cx(["du"]).ok().stdout();
    assert!(shown.contains("[1] one") && shown.contains(" total"), "{shown}");
    sandbox.cx(["clean"]).ok();
    tidied(&sandbox);
    let all = sandbox.cx(["du", "--json"]).ok().json();
    assert_eq!((&all["jobs"], &all["trash"]), (&serde_json::json!([]), &serde_json::json!(0)));
    assert!(all["pool"][0]["bytes"].as_u64().unwrap() > 300_000, "{all}");
    assert_eq!(all["pool"][0]["caches"], serde_json::json!(["target"]));
    assert!(sandbox.cx(["du"]).ok().stdout().contains(", with target"));
    sandbox.cx(["clean", "--pool"]).ok();
    tidied(&sandbox);
}
