//! Jobs that come after writers start from their work.

use serde_json::Value;

use crate::support::{Output, Sandbox};

/// A writer that comes after others, to its end.
#[track_caller]
fn after(sandbox: &Sandbox, name: &str, needs: &[&str], script: &str) -> Output {
    let needs = needs.iter().flat_map(|need| ["--after", need]);
    let args = ["-w", "-n", name].into_iter().chain(needs).chain([script]);
    sandbox.spawn_sh(args);
    sandbox.cx(["wait", name])
}

fn subjects(sandbox: &Sandbox, range: &str) -> Vec<String> {
    sandbox.git(["log", "--format=%s", range]).lines().map(str::to_owned).collect()
}

#[track_caller]
fn number(job: &Value, key: &str) -> u64 {
    job[key].as_u64().unwrap_or_else(|| panic!("{key} in {job}"))
}

#[test]
fn a_chain_of_writers_hands_its_work_on() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.writer("auth", &format!("{}; echo auth > auth", gate.pass()));
    sandbox.spawn_sh(["-w", "-n", "docs", "--after", "auth", "cat auth; echo docs > docs"]);
    sandbox.spawn_sh(["-w", "-n", "more", "--after", "docs", "cat auth docs; echo more > more"]);
    gate.open();
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.cx(["collect", "docs", "--format", "{message}"]).ok().stdout(), "auth\n");
    let more = sandbox.cx(["collect", "more", "--format", "{message}"]).ok().stdout();
    assert_eq!(more, "auth\ndocs\n");
    // Nothing but the work before it: no merge was needed.
    assert_eq!(sandbox.git(["rev-parse", "cx/docs~1"]), sandbox.git(["rev-parse", "cx/auth"]));
    let docs = sandbox.job("docs");
    assert_eq!(docs["base"], sandbox.git(["rev-parse", "cx/auth"]));
    assert_eq!(docs["with_work_of"], serde_json::json!([1]));
    assert_eq!((number(&docs, "commits"), number(&docs, "files")), (1, 1));
    assert!(sandbox.lines(["show", "docs"]).iter().any(|line| line.contains("work of %1")));
    // What it shows as its own is its own.
    let names = |name: &str| sandbox.lines(["diff", "--name-only", name]);
    assert_eq!((names("docs"), names("more")), (vec!["docs".to_owned()], vec!["more".to_owned()]));
    // Its own branch keeps it alive, whatever becomes of the others.
    sandbox.git(["fsck", "--strict"]);
}

#[test]
fn three_into_one_and_all_of_it_is_merged() {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c"] {
        sandbox.written(name, &format!("echo {name} > {name}"));
    }
    after(&sandbox, "all", &["c", "a", "b"], "cat a b c; echo all > all").ok();
    assert_eq!(sandbox.cx(["collect", "all", "--format", "{message}"]).ok().stdout(), "a\nb\nc\n");
    let all = sandbox.job("all");
    assert_eq!((number(&all, "commits"), number(&all, "files")), (1, 1));
    let base = all["base"].as_str().unwrap();
    assert_eq!(
        subjects(&sandbox, &format!("--first-parent {base}").replace("--first-parent ", ""))[..2],
        ["Merge branch 'cx/b' for all", "Merge branch 'cx/a' for all"]
    );
    let trailers = sandbox.git(["log", "-1", "--format=%(trailers)", base]);
    assert!(trailers.contains("Cx-Job: 2 b"), "{trailers}");
    let merged = sandbox.cx(["merge"]).ok();
    assert_eq!(
        merged.stdout(),
        "[1] a merged into main (1 commit, 1 file)\n\
         [2] b merged into main (1 commit, 1 file)\n\
         [3] c merged into main (1 commit, 1 file)\n\
         [4] all merged into main (1 commit, 1 file)\n"
    );
    for name in ["a", "b", "c", "all"] {
        assert_eq!(sandbox.read(name), format!("{name}\n"));
    }
    sandbox.cx(["clean"]).ok();
    assert_eq!(sandbox.git(["branch", "--list", "cx/*"]), "");
}

#[test]
fn the_last_of_a_chain_brings_the_others_along() {
    for style in ["--no-ff", "--squash", "--rebase"] {
        let sandbox = Sandbox::new();
        sandbox.written("auth", "echo one > auth");
        after(&sandbox, "docs", &["auth"], "echo two >> auth; echo docs > docs").ok();
        let said = sandbox.cx(["merge", style, "docs"]).ok();
        assert_eq!(
            said.stdout(),
            "[2] docs merged into main (1 commit, 2 files), and brings the work of auth along\n"
        );
        assert_eq!(sandbox.read("auth"), "one\ntwo\n", "{style}");
        assert_eq!(sandbox.job("auth")["merged_into"], "main", "{style}");
        sandbox.cx(["merge"]).code(1);
        // And it is taken back as one.
        sandbox.cx(["merge", "--undo"]).ok();
        assert_eq!(sandbox.job("auth")["merged_into"], Value::Null, "{style}");
        assert!(!sandbox.repo().join("auth").exists());
        // In whichever order.
        let said = sandbox.cx(["merge", style, "--in-order", "docs", "auth"]).ok();
        assert!(said.stdout().contains("[1] auth came along with docs\n"), "{said}");
        assert_eq!(sandbox.read("auth"), "one\ntwo\n", "{style}");
        sandbox.cx(["merge", "--undo"]).ok();
        let said = sandbox.cx(["merge", style, "--in-order", "auth", "docs"]).ok();
        assert!(said.stdout().contains("[1] auth merged into main (1 commit, 1 file)\n"), "{said}");
        assert_eq!(sandbox.read("auth"), "one\ntwo\n", "{style}");
        sandbox.cx(["collect"]).ok();
        sandbox.cx(["clean"]).ok();
        assert_eq!(sandbox.git(["branch", "--list", "cx/*"]), "", "{style}");
    }
}

#[test]
fn a_need_may_be_merged_meanwhile_in_any_way() {
    for style in ["--no-ff", "--squash", "--rebase"] {
        // Before the one that needs it is spawned.
        let sandbox = Sandbox::new();
        sandbox.written("auth", "echo one > auth");
        sandbox.sh("echo x > x; git add x; git commit -qm x").ok();
        sandbox.cx(["merge", style, "auth"]).ok();
        sandbox.sh("echo changed > auth; git commit -qam changed").ok();
        after(&sandbox, "docs", &["auth"], "cat auth; echo two >> auth").ok();
        let docs = sandbox.job("docs");
        assert_eq!(docs["base"], sandbox.git(["rev-parse", "main"]), "{style}");
        assert_eq!(docs["with_work_of"], serde_json::json!([]));
        // And while it is at work.
        let gate = sandbox.gate("gate");
        sandbox.written("next", "echo next > next");
        let script = format!("{}; echo two >> next", gate.pass());
        sandbox.spawn_sh(["-w", "-n", "late", "--after", "next", &script]);
        gate.arrived();
        sandbox.cx(["merge", style, "next"]).ok();
        sandbox.sh("sed -i s/next/NEXT/ next; git commit -qam upper").ok();
        gate.open();
        sandbox.cx(["wait", "late"]).ok();
        sandbox.git(["reset", "--quiet", "--hard", "HEAD~1"]);
        let merged = sandbox.cx(["merge", style, "late"]).ok();
        assert_eq!(merged.stdout(), "[4] late merged into main (1 commit, 1 file)\n", "{style}");
        assert_eq!(sandbox.read("next"), "next\ntwo\n", "{style}");
    }
}

#[test]
fn needs_that_conflict_are_named_and_the_job_does_not_start() {
    let sandbox = Sandbox::new();
    sandbox.written("auth", "echo a > shared; echo a > a");
    sandbox.written("docs", "echo b > shared");
    let waited = after(&sandbox, "both", &["auth", "docs"], "echo never").code(1);
    assert_eq!(
        waited.stderr(),
        "cx: [3] both not-started: the work of %2 docs, which it comes after, conflicts with that of %1 auth in shared\n"
    );
    let both = sandbox.job("both");
    assert_eq!(
        both["notes"],
        serde_json::json!([
            "to have both start: cx merge auth, then cx resolve docs, cx merge, and spawn it again"
        ])
    );
    assert!(!sandbox.root().join("repo.cx/both").exists());
    assert_eq!(sandbox.git(["branch", "--list", "cx/both"]), "");
    // As the note says; its name is free.
    sandbox.cx(["merge", "auth"]).ok();
    sandbox.cx(["resolve", "docs", "-b", "sh", "--", "echo ab > shared"]).ok();
    sandbox.cx(["wait", "docs-resolve"]).ok();
    sandbox.cx(["merge"]).ok();
    after(&sandbox, "both", &["auth", "docs"], "cat shared").ok();
    assert_eq!(sandbox.cx(["collect", "both", "--format", "{message}"]).ok().stdout(), "ab\n");

    // With the base itself.
    sandbox.written("far", "echo far > shared");
    sandbox.sh("echo near > shared; git commit -qam near").ok();
    let waited = after(&sandbox, "again", &["far"], "echo never").code(1);
    assert!(
        waited.stderr().contains("conflicts with the commit that this job starts from in shared"),
        "{waited}"
    );
    after(&sandbox, "before", &["far"], "true").code(1);
    let args = ["-w", "-n", "there", "--base", "main~1", "--after", "far", "cat shared"];
    sandbox.spawn_sh(args);
    sandbox.cx(["wait", "there"]).ok();
    assert_eq!(sandbox.cx(["collect", "there", "--format", "{message}"]).ok().stdout(), "far\n");
}

#[test]
fn a_needs_branch_may_be_moved_or_deleted_by_hand() {
    let sandbox = Sandbox::new();
    sandbox.written("auth", "echo auth > auth");
    sandbox.sh("cd ../repo.cx/auth && echo mended > auth && git commit -qam mended").ok();
    after(&sandbox, "one", &["auth"], "cat auth").ok();
    assert_eq!(sandbox.cx(["collect", "one", "--format", "{message}"]).ok().stdout(), "mended\n");
    sandbox.git(["worktree", "remove", "--force", "../repo.cx/auth"]);
    sandbox.git(["branch", "--quiet", "-D", "cx/auth"]);
    // The last commit that the ledger knows counts.
    after(&sandbox, "two", &["auth"], "cat auth").ok();
    assert_eq!(sandbox.cx(["collect", "two", "--format", "{message}"]).ok().stdout(), "auth\n");
    sandbox.git(["worktree", "remove", "--force", "../repo.cx/two"]);
    sandbox.git(["worktree", "remove", "--force", "../repo.cx/one"]);
    sandbox.git(["branch", "--quiet", "-D", "cx/two", "cx/one"]);
    sandbox.git(["reflog", "expire", "--expire=now", "--all"]);
    sandbox.git(["gc", "--quiet", "--prune=now"]);
    let waited = after(&sandbox, "three", &["auth"], "echo never").code(1);
    assert!(
        waited.stderr().contains("cx/auth was deleted by hand, and its commits too"),
        "{waited}"
    );
    // What was thrown away is not brought back by the way.
    sandbox.written("gone", "echo gone > gone");
    sandbox.cx(["clean", "--discard", "gone"]).ok();
    let waited = after(&sandbox, "four", &["gone"], "echo never").code(1);
    assert!(waited.stderr().contains("was discarded; it is kept at refs/cx/trash/"), "{waited}");
}

#[test]
fn a_need_that_failed_or_did_nothing() {
    let sandbox = Sandbox::new();
    sandbox.writer("bad", "echo half > half; exit 3");
    sandbox.cx(["wait"]).code(1);
    let waited = after(&sandbox, "after", &["bad"], "echo never").code(1);
    assert!(
        waited.stderr().contains("skipped: it comes after %1 bad, which is failed"),
        "{waited}"
    );
    // A name that nothing was made under is free.
    sandbox.written("idle", "true");
    sandbox.written("first", "echo first > first");
    after(&sandbox, "second", &["first"], "true").ok();
    after(&sandbox, "after", &["idle", "second"], "cat first").ok();
    assert_eq!(sandbox.cx(["collect", "after", "--format", "{message}"]).ok().stdout(), "first\n");
    assert_eq!(sandbox.job("6")["with_work_of"], serde_json::json!([5]));
}

#[test]
fn a_reader_after_writers_looks_at_their_work() {
    let sandbox = Sandbox::new();
    sandbox.write("sub/in", "in\n");
    sandbox.sh("git add .; git commit -qm sub").ok();
    sandbox.written("auth", "echo auth > auth");
    sandbox.written("docs", "echo docs > docs");
    sandbox.write("mine", "not committed\n");
    let gate = sandbox.gate("gate");
    let script =
        format!("cat ../auth ../docs in; ls ..; echo x > ../auth && echo WROTE; {}", gate.pass());
    let mut command = sandbox.cx_command(["spawn", "-b", "sh", "-n", "verify"]);
    command.args(["--after", "auth", "--after", "docs", &script]);
    command.current_dir(sandbox.repo().join("sub"));
    sandbox.run(command).ok();
    gate.arrived();
    let verify = sandbox.job("verify");
    assert_eq!((&verify["mode"], &verify["branch"]), (&"reader".into(), &Value::Null));
    let tree = sandbox.root().join("repo.cx/verify");
    assert_eq!(verify["worktree"].as_str(), tree.to_str());
    assert_eq!(sandbox.lines(["path", "verify"]), [tree.to_str().unwrap()]);
    gate.open();
    sandbox.cx(["wait", "verify"]).ok();
    let said = sandbox.cx(["collect", "verify", "--format", "{message}"]).ok().stdout();
    assert_eq!(said, "auth\ndocs\nin\nREADME.md\nauth\ndocs\nsub\n");
    assert_eq!(sandbox.git(["branch", "--list", "cx/verify"]), "");
    for verb in ["merge", "diff", "resolve"] {
        let refused = sandbox.cx([verb, "verify"]);
        assert!(refused.stderr().contains("is a reader"), "{refused}");
    }
    sandbox.cx(["doctor"]);
    let cleaned = sandbox.cx(["clean", "verify"]).ok();
    assert_eq!(cleaned.stdout(), "[3] verify removed worktree and files\n");
    assert!(!tree.exists());
    assert_eq!(sandbox.git(["worktree", "list"]).lines().count(), 3);
    assert_eq!(sandbox.git(["status", "--porcelain"]), "?? mine");
}

#[test]
fn scopes_of_a_chain() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let scope = ["-w", "--scope", "src/"];
    let spawn = |more: &[&str]| sandbox.spawn_sh(scope.iter().chain(more).copied());
    spawn(&["-n", "auth", &format!("{}; mkdir src; echo a > src/a; echo o > out", gate.pass())]);
    sandbox
        .cx(["spawn", "-b", "sh", "-w", "--scope", "src/a", "-n", "x", "true"])
        .refused(2, "overlaps");
    // They never run at once.
    spawn(&["-n", "docs", "--after", "auth", "echo d > src/d"]);
    spawn(&["-n", "last", "--after", "docs", "true"]);
    gate.open();
    sandbox.cx(["wait"]).ok();
    // Its own changes are in its scope; what it would bring along is not.
    let held = sandbox.cx(["merge", "docs"]).code(1);
    assert_eq!(
        held.stdout(),
        "[2] docs held back: it brings along what auth changes outside of its scope:\n      out\n"
    );
    let held = sandbox.cx(["merge"]).code(1).stdout();
    assert!(held.contains("[1] auth held back") && held.contains("[2] docs held back"), "{held}");
    sandbox.cx(["merge", "--outside", "keep", "docs"]).ok();
    assert_eq!((sandbox.read("src/d"), sandbox.read("out")), ("d\n".into(), "o\n".into()));
}
