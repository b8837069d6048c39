//! `cx merge --verify`: what lands, what is held back, how often the check runs,
//! and what is left of it.

use std::fs;
use std::path::PathBuf;

use crate::support::{Output, Sandbox};

/// A sandbox with writers that each make the file of their name, all finished.
fn batch(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    for name in names {
        sandbox.writer(name, &format!("echo {name} > {name}"));
    }
    sandbox.cx(["wait"]).ok();
    sandbox
}

/// A check that writes down every run, and then says what `script` says.
fn check(sandbox: &Sandbox, script: &str) -> String {
    format!("echo run >> '{}'; {script}", counter(sandbox).display())
}

fn counter(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("runs")
}

fn runs(sandbox: &Sandbox) -> usize {
    fs::read_to_string(counter(sandbox)).map_or(0, |text| text.lines().count())
}

fn merge(sandbox: &Sandbox, script: &str, more: &[&str]) -> Output {
    let check = check(sandbox, script);
    let args = ["merge", "--verify", &check];
    sandbox.cx(args.iter().chain(more).copied())
}

fn scratch(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("repo.cx/.verify")
}

#[test]
fn what_is_green_lands_after_one_run_on_the_merged_tree() {
    let sandbox = batch(&["a", "b"]);
    let script = "test -f a && test -f b && test -f README.md && echo said && echo also >&2; \
                  env | grep -E '^(GIT_|CX_MERGE)' || true";
    let output = merge(&sandbox, script, &[]).ok();
    assert_eq!(runs(&sandbox), 1);
    assert!(output.stdout().contains("[1] a merged into main"), "{output}");
    assert!(output.stderr().contains("verify 1: a, b\n"), "{output}");
    assert!(output.stderr().contains("verify 1: green after "), "{output}");
    let log = sandbox.read(".git/cx/verify/1/1.log");
    assert_eq!(log, "said\nalso\nCX_MERGE=1\n");
    assert!(sandbox.repo().join("a").is_file());
    // Kept for the next time, with what git ignores, until it is cleaned.
    assert!(scratch(&sandbox).join("b").is_file());
    let output = sandbox.cx(["clean"]).ok();
    assert!(output.stdout().contains("removed the scratch worktree"), "{output}");
    assert!(!scratch(&sandbox).exists() && !sandbox.repo().join(".git/cx/verify").exists());
    assert_eq!(sandbox.git(["worktree", "list"]).lines().count(), 1);
}

#[test]
fn a_culprit_is_found_held_back_and_named_and_the_rest_lands() {
    let names = ["a", "b", "c", "d"];
    for (culprit, most) in [("a", 5), ("b", 5), ("c", 5), ("d", 5)] {
        let sandbox = batch(&names);
        let output = merge(&sandbox, &format!("test ! -e {culprit}"), &[]).code(1);
        // 2 log2 4 + 2 would be 6.
        assert!(runs(&sandbox) <= most, "{} runs: {output}", runs(&sandbox));
        let held = format!("{culprit} held back: the check fails with it\n");
        assert!(output.stdout().contains(&held), "{output}");
        for name in names {
            assert_eq!(sandbox.repo().join(name).exists(), name != culprit, "{output}");
        }
        for number in 1..=runs(&sandbox) {
            assert!(sandbox.repo().join(format!(".git/cx/verify/1/{number}.log")).is_file());
        }
    }
}

#[test]
fn a_pair_that_is_red_only_together_is_named_as_such() {
    let sandbox = batch(&["a", "b", "c", "d", "e"]);
    let output = merge(&sandbox, "! { test -e b && test -e d; }", &["--json"]).code(1);
    assert!(runs(&sandbox) <= 9, "{} runs: {output}", runs(&sandbox));
    let report = output.json();
    let row =
        |at: usize| (report["jobs"][at]["result"].clone(), report["jobs"][at]["with"].clone());
    assert_eq!(row(1), ("red-together".into(), serde_json::json!(["d"])));
    assert_eq!(row(3), ("red-together".into(), serde_json::json!(["b"])));
    for at in [0, 2, 4] {
        assert_eq!(row(at).0, "merged", "{output}");
    }
    assert_eq!(report["verify"].as_array().unwrap().len(), runs(&sandbox));
    assert_eq!(report["verify"][0]["result"], "red");
    assert_eq!(report["verify"][0]["jobs"], serde_json::json!(["a", "b", "c", "d", "e"]));
    // Either of them lands by itself.
    merge(&sandbox, "! { test -e b && test -e d; }", &["b"]).ok();
    let output = merge(&sandbox, "! { test -e b && test -e d; }", &["d"]).code(1);
    assert!(output.stdout().contains("d held back: the check fails with it\n"), "{output}");
}

#[test]
fn a_red_base_is_said_and_nothing_lands() {
    let sandbox = batch(&["a", "b", "c"]);
    let before = sandbox.git(["rev-parse", "main"]);
    let output = merge(&sandbox, "false", &[]).code(1);
    assert!(output.stderr().contains("main is red before anything is merged into it"), "{output}");
    assert!(output.stderr().contains("main as it is\n"), "{output}");
    assert_eq!(sandbox.git(["rev-parse", "main"]), before);
    assert!(runs(&sandbox) <= 4);
    // What mends it lands.
    merge(&sandbox, "test -e a", &[]).ok();
}

#[test]
fn every_step_is_checked_where_that_is_asked_for() {
    let sandbox = batch(&["a", "b", "c"]);
    let output = merge(&sandbox, "test ! -e b", &["--verify-each"]).code(1);
    assert_eq!(runs(&sandbox), 3);
    let held = "[2] b held back: the check fails with it on top of a\n";
    assert!(output.stdout().contains(held), "{output}");
    assert!(sandbox.repo().join("c").is_file() && !sandbox.repo().join("b").exists());
    let output = sandbox.cx(["merge", "--verify-each"]).code(2);
    assert!(output.stderr().contains("needs a command"), "{output}");
}

#[test]
fn a_dry_run_checks_and_lands_nothing() {
    let sandbox = batch(&["a", "b"]);
    let before = sandbox.git(["rev-parse", "main"]);
    let output = merge(&sandbox, "test ! -e b", &["--dry-run"]).code(1);
    assert!(output.stdout().contains("[1] a would merge into main"), "{output}");
    assert!(output.stdout().contains("[2] b held back"), "{output}");
    assert_eq!(sandbox.git(["rev-parse", "main"]), before);
}

#[test]
fn what_takes_too_long_is_red_and_ended_with_all_that_it_started() {
    let sandbox = batch(&["a", "b"]);
    let gate = sandbox.gate("never");
    let pass = gate.pass();
    let script = format!("test ! -e b || {{ setsid sh -c \"{pass}\" & {pass}; }}");
    let output = merge(&sandbox, &script, &["--verify-timeout", "1"]).code(1);
    assert!(output.stderr().contains("red, ended after 1."), "{output}");
    assert!(output.stdout().contains("[2] b held back"), "{output}");
    assert!(output.stdout().contains("[1] a merged"), "{output}");
    assert_eq!(sandbox.live_processes(), [] as [String; 0]);
}

#[test]
fn what_it_leaves_running_is_ended_also_after_success() {
    let sandbox = batch(&["a"]);
    let gate = sandbox.gate("never");
    let script = format!("setsid sh -c \"{}\" & true", gate.pass());
    merge(&sandbox, &script, &[]).ok();
    assert_eq!(sandbox.live_processes(), [] as [String; 0]);
}

#[test]
fn interrupted_or_killed_it_lands_nothing_and_leaves_nothing_running() {
    for (signal, code) in
        [("INT", Some(130)), ("TERM", Some(143)), ("HUP", Some(129)), ("KILL", None)]
    {
        let sandbox = batch(&["a", "b"]);
        let before = sandbox.git(["rev-parse", "main"]);
        let gate = sandbox.gate("gate");
        let pass = gate.pass();
        let script = format!("setsid sh -c \"{pass}\" & {pass}");
        let running =
            sandbox.start(sandbox.cx_command(["merge", "--verify", &check(&sandbox, &script)]));
        running.wait_for_stderr("verify 1: a, b\n");
        gate.arrived();
        sandbox.sh(&format!("kill -{signal} {}", running.id())).ok();
        let output = running.finish();
        match code {
            Some(code) => {
                let output = output.code(code);
                assert!(output.stderr().contains("interrupted; nothing was merged"), "{output}");
            }
            None => drop(output.signal(9)),
        }
        assert_eq!(sandbox.git(["rev-parse", "main"]), before);
        assert_eq!(runs(&sandbox), 1);
        if code.is_some() {
            assert_eq!(sandbox.live_processes(), [] as [String; 0]);
        }
        // The next one works, and the scratch worktree goes with the next clean.
        sandbox.cx(["merge", "--verify", "test -e a"]).ok();
        assert!(scratch(&sandbox).is_dir());
        sandbox.cx(["clean"]).ok();
        assert!(!scratch(&sandbox).exists());
        // When it is dropped the sandbox sees to it that nothing runs any more.
    }
}

#[test]
fn the_repositorys_own_check_counts_once_it_is_trusted() {
    let sandbox = batch(&["a"]);
    sandbox.write(".cx/config.toml", "[merge]\nverify = ['test', '-e', 'b']\n");
    let output = sandbox.cx(["merge"]).code(1);
    assert!(output.stderr().contains("merge.verify"), "{output}");
    assert!(output.stderr().contains("is not trusted; nothing was merged"), "{output}");
    sandbox.cx(["trust"]).ok();
    let output = sandbox.cx(["merge"]).code(1);
    assert!(output.stderr().contains("main is red"), "{output}");
    let output = sandbox.cx(["merge", "--verify", "test -e a", "--dry-run"]).ok();
    assert!(output.stdout().contains("would merge"), "{output}");
    sandbox.cx(["merge", "--no-verify"]).ok();
}

#[test]
fn builds_are_warm_and_a_new_scratch_worktree_is_set_up() {
    let sandbox = batch(&["a", "b"]);
    sandbox.write(".gitignore", "cache\nkey\n.worktreeinclude\n");
    sandbox.write(".worktreeinclude", "key\n");
    sandbox.write("key", "secret\n");
    sandbox.git(["add", "--all"]);
    sandbox.git(["commit", "--quiet", "--message=ignore"]);
    fs::create_dir_all(sandbox.root().join("config/cx")).unwrap();
    fs::write(
        sandbox.root().join("config/cx/config.toml"),
        "[worktree]\nsetup = 'echo set up > cache'\n[merge]\nverify = 'echo more >> cache; cat cache key'\n",
    )
    .unwrap();
    sandbox.cx(["merge", "a"]).ok();
    assert_eq!(sandbox.read(".git/cx/verify/1/1.log"), "set up\nmore\nsecret\n");
    sandbox.cx(["merge", "b"]).ok();
    assert_eq!(sandbox.read(".git/cx/verify/2/1.log"), "set up\nmore\nmore\nsecret\n");
}

#[test]
fn who_adds_nothing_to_one_that_is_held_back_lands_itself() {
    for style in [&[][..], &["--verify-each"], &["--squash"], &["--rebase"], &["--no-ff"]] {
        let sandbox = Sandbox::new();
        sandbox.written("bigger", "echo same > good; echo x > bad");
        sandbox.written("smaller", "echo same > good");
        let output = merge(&sandbox, "test ! -e bad", style).code(1);
        let said = output.stdout();
        assert!(said.contains("bigger held back: the check fails with it\n"), "{output}");
        assert!(said.contains("smaller merged into main"), "{output}");
        assert_eq!(sandbox.git(["show", "main:good"]), "same", "{style:?}");
        sandbox.git(["diff", "--quiet", "main", "cx/smaller"]);
        // Both are bad: neither is taken for landed.
        let sandbox = Sandbox::new();
        sandbox.written("one", "echo x > bad");
        sandbox.written("two", "echo x > bad");
        let output = merge(&sandbox, "test ! -e bad", style).code(1);
        assert_eq!(output.stdout().matches("held back: the check fails").count(), 2, "{output}");
        sandbox.cx(["clean"]);
        sandbox.git(["show", "cx/two:bad"]);
    }
}

#[test]
fn a_branch_within_one_that_is_held_back_lands_itself() {
    let sandbox = Sandbox::new();
    sandbox.written("inner", "echo 1 > good");
    sandbox.written("outer", "git merge -q cx/inner && echo x > bad");
    let output = merge(&sandbox, "test ! -e bad", &["outer", "inner"]).code(1);
    assert!(output.stdout().contains("inner merged into main"), "{output}");
    assert_eq!(sandbox.read("good"), "1\n");
    sandbox.git(["merge-base", "--is-ancestor", "cx/inner", "main"]);
}
