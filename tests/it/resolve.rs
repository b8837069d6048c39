//! `cx resolve` and `cx merge --resolve`: a conflict, a new writer, the same gate.

use crate::support::Sandbox;

/// Two writers that change the same line; `a` has landed, `b` conflicts.
fn conflict() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.writer("a", "echo from-a > README.md; echo a > a");
    sandbox.writer("b", "echo from-b > README.md; echo b > b");
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["merge", "a"]).ok();
    sandbox
}

const GOOD: &str = "printf 'from-a\\nfrom-b\\n' > README.md";

/// `cx resolve b -b sh`, to its end.
fn resolve(sandbox: &Sandbox, more: &[&str], script: &str) -> i32 {
    let (first, last) = (["resolve", "b", "-b", "sh"], ["--", script]);
    sandbox.cx(first.iter().chain(more).chain(&last).copied()).ok();
    sandbox.cx(["wait", "%+"]).status_code().unwrap()
}

#[test]
fn the_conflict_stands_is_resolved_and_lands_with_both() {
    let sandbox = conflict();
    let before = sandbox.git(["rev-parse", "main"]);
    let output = sandbox.cx(["merge", "b"]).code(1);
    assert!(output.stderr().contains("to bring b in: cx resolve b, or git merge cx/b"), "{output}");
    // What the writer finds is a merge of git's own.
    let look = "git status --porcelain; git rev-parse MERGE_HEAD; grep -c '^|||||||' README.md";
    assert_eq!(resolve(&sandbox, &["--verify", "test -f b"], &format!("{look}; {GOOD}")), 0);
    let b = sandbox.git(["rev-parse", "cx/b"]);
    let seen = sandbox.cx(["logs", "b-resolve"]).ok().stdout();
    assert_eq!(seen, format!("UU README.md\nA  b\n{b}\n1\n"));
    // Nothing has landed by itself.
    assert_eq!(sandbox.git(["rev-parse", "main"]), before);
    let parents = sandbox.git(["log", "-1", "--format=%P", "cx/b-resolve"]);
    assert_eq!(parents, format!("{before} {b}"));
    let spawned = sandbox.until(3, "spawned");
    assert_eq!(spawned["resolves"]["job"], 2);
    assert_eq!(spawned["resolves"]["tip"], b);
    sandbox.cx(["resolve", "b"]).refused(1, "[3] b-resolve resolves [2] b already");

    let output = sandbox.cx(["merge"]).ok();
    assert!(output.stdout().contains("[3] b-resolve merged into main"), "{output}");
    assert_eq!(sandbox.read("README.md"), "from-a\nfrom-b\n");
    assert_eq!((sandbox.read("a"), sandbox.read("b")), ("a\n".to_owned(), "b\n".to_owned()));
    assert_eq!(sandbox.until(2, "merged")["into"], "main");
    sandbox.cx(["merge"]).code(1);
    // Both are taken back together, and both are done with after that.
    sandbox.cx(["merge", "--undo"]).ok();
    assert_eq!(sandbox.git(["rev-parse", "main"]), before);
    sandbox.cx(["merge"]).ok();
    sandbox.cx(["collect"]);
    sandbox.cx(["clean"]).ok();
    assert_eq!(
        sandbox.git(["for-each-ref", "--format=%(refname)", "refs/heads"]),
        "refs/heads/main"
    );
}

#[test]
fn markers_and_a_red_check_are_failures() {
    let sandbox = conflict();
    let why = |job| sandbox.until(job, "exited")["reason"].as_str().unwrap().to_owned();
    assert_eq!(resolve(&sandbox, &[], "true"), 1);
    assert_eq!(why(3), "conflict markers were left in README.md");
    // What failed is kept as an ordinary commit, and not taken for the merge.
    let base = sandbox.git(["rev-parse", "main"]);
    assert_eq!(sandbox.git(["log", "-1", "--format=%P", "cx/b-resolve"]), base);
    assert_eq!(resolve(&sandbox, &["--verify", "echo said; false"], GOOD), 1);
    let reason = why(4);
    assert!(reason.starts_with("the check fails with its resolution (exit 1)"), "{reason}");
    assert_eq!(sandbox.read(".git/cx/jobs/4/verify.log"), "said\n");
    sandbox.cx(["merge"]).code(1);
    assert_eq!(sandbox.git(["rev-parse", "main"]), base);
    // A worker's own failure stays its own.
    assert_eq!(resolve(&sandbox, &[], &format!("{GOOD}; exit 7")), 7);
}

#[test]
fn a_worker_may_commit_the_merge_itself() {
    let sandbox = conflict();
    let (main, b) = (sandbox.git(["rev-parse", "main"]), sandbox.git(["rev-parse", "cx/b"]));
    let script = format!("{GOOD}; git add -A; git commit -qm mine; echo late > late");
    assert_eq!(resolve(&sandbox, &[], &script), 0);
    let log = sandbox.git(["log", "-2", "--format=%P", "--first-parent", "cx/b-resolve"]);
    assert!(log.ends_with(&format!("\n{main} {b}")), "{log}");
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.read("late"), "late\n");
}

#[test]
fn a_merge_gives_away_what_conflicts_where_that_is_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.script_tool("codex", "cat > \"$CX_TEST_SEEN\"; exit 3");
    let seen = sandbox.root().join("seen");
    sandbox.writer("a", "echo from-a > README.md");
    sandbox.writer("b", "echo from-b > README.md");
    sandbox.cx(["wait"]).ok();
    let mut command =
        sandbox.cx_command(["merge", "--in-order", "--resolve", "--verify", "true", "--json"]);
    command.env("CX_TEST_SEEN", &seen);
    let report = sandbox.run(command).code(1).json();
    assert_eq!(report["jobs"][0]["result"], "merged");
    assert_eq!(report["jobs"][1]["resolver"]["name"], "b-resolve");
    sandbox.cx(["wait", "b-resolve"]);
    let told = std::fs::read_to_string(&seen).unwrap();
    for part in [
        "the job b (commit ",
        "- README.md (contents)\n",
        "Afterwards this has to succeed: `sh -c true`",
        "    echo from-b > README.md\n",
        "[1] a: echo from-a > README.md\n",
        "    +from-b\n",
        "    +from-a\n",
    ] {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }
    assert!(told.starts_with("CONTEXT: WORKER\n"), "{told}");
}

#[test]
fn what_does_not_conflict_is_not_given_to_anybody() {
    let sandbox = conflict();
    sandbox.written("c", "echo c > c");
    sandbox.reader("r", "true");
    sandbox.cx(["wait"]).ok();
    let sh = |job| ["resolve", "-b", "sh", job, "--", "true"];
    sandbox.cx(sh("c")).refused(1, "[3] c does not conflict with main; nothing was started");
    sandbox.cx(sh("a")).refused(1, "[1] a is in main already; nothing was started");
    sandbox.cx(sh("r")).refused(1, "[4] r is a reader and has nothing to merge");
    // What is written for a model is never run by a shell.
    sandbox.cx(["resolve", "-b", "sh", "b"]).refused(2, "has to be told how to resolve");
    sandbox.cx(["resolve", "b", "--verify", ""]).refused(2, "--verify is empty");
    assert_eq!(sandbox.lines(["jobs", "-a"]).iter().filter(|l| l.contains("resolve")).count(), 0);
}

/// A job that changes what the target has removed, a binary file, and a link.
fn without_markers() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.sh("echo one > gone; printf 'one\\0' > bin; ln -s one link; git add -A; git commit -qm base").ok();
    sandbox.writer("a", "git rm -q gone; printf 'a\\0' > bin; ln -sf a link");
    sandbox.writer("b", "echo b > gone; printf 'b\\0' > bin; ln -sf b link; echo b > b");
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["merge", "a"]).ok();
    sandbox
}

#[test]
fn what_has_no_markers_has_to_be_decided_too() {
    let sandbox = without_markers();
    let why = |job| sandbox.until(job, "exited")["reason"].as_str().unwrap().to_owned();
    // Doing nothing, or only a part of it, resolves nothing.
    assert_eq!(resolve(&sandbox, &[], "ls; git status --porcelain"), 1);
    assert!(why(3).starts_with("unresolved: bin, "), "{}", why(3));
    assert!(why(3).contains(", gone, link"), "{}", why(3));
    let links = "rm -f link link~*; ln -s both link";
    assert_eq!(resolve(&sandbox, &[], &format!("printf 'both\\0' > bin; {links}")), 1);
    assert!(why(4).starts_with("unresolved: gone stood in conflict"), "{}", why(4));
    let main = sandbox.git(["rev-parse", "main"]);
    sandbox.cx(["merge", "b"]).code(1);
    assert_eq!(sandbox.git(["rev-parse", "main"]), main);
    // A decision is a change, or a word in the answer.
    let decided = format!("echo 'KEEP: bin'; rm gone; {links}");
    assert_eq!(resolve(&sandbox, &[], &decided), 0);
    sandbox.cx(["merge"]).ok();
    assert!(!sandbox.repo().join("gone").exists());
    assert_eq!(sandbox.read("bin"), "a\0");
    assert_eq!(std::fs::read_link(sandbox.repo().join("link")).unwrap().to_str(), Some("both"));
    assert_eq!(sandbox.read("b"), "b\n");
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
}

#[test]
fn adding_a_path_decides_it() {
    let sandbox = without_markers();
    assert_eq!(resolve(&sandbox, &[], "rm -f link~*; git add -A"), 0);
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.read("gone"), "b\n");
}

#[test]
fn who_resolves_what_a_merge_holds_back_can_be_said() {
    let sandbox = Sandbox::new();
    sandbox.script_tool("codex", "printf '%s\\n' \"$@\" > \"$CX_TEST_SEEN\"; exit 3");
    let seen = sandbox.root().join("seen");
    sandbox.writer("a", "echo from-a > README.md");
    sandbox.writer("b", "echo from-b > README.md");
    sandbox.cx(["wait"]).ok();
    // Bad input stops everything, also the merge.
    let before = sandbox.git(["rev-parse", "main"]);
    sandbox.cx(["merge", "--resolve", "-t", "ghost"]).refused(2, "; nothing was merged");
    sandbox.cx(["merge", "--resolve", "-b", "sh"]).refused(2, "; nothing was merged");
    sandbox.cx(["merge", "-t", "coder"]).code(2);
    assert_eq!(sandbox.git(["rev-parse", "main"]), before);
    let who = ["-t", "coder", "-b", "codex", "--model", "gpt-9"];
    let mut command =
        sandbox.cx_command(["merge", "--in-order", "--resolve"].into_iter().chain(who));
    command.env("CX_TEST_SEEN", &seen);
    sandbox.run(command).code(1);
    sandbox.cx(["wait", "b-resolve"]);
    let spawned = sandbox.until(3, "spawned");
    assert_eq!((&spawned["agent"], &spawned["model"]), (&"coder".into(), &"gpt-9".into()));
    assert!(std::fs::read_to_string(&seen).unwrap().contains("gpt-9"));
}
