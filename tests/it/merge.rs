//! `cx merge`.

use std::fs;

use serde_json::Value;

use crate::support::Sandbox;

/// Everything of the checkout that a refused merge must leave alone.
fn state(sandbox: &Sandbox) -> (Vec<u8>, String, String, String) {
    (
        fs::read(sandbox.repo().join(".git/index")).unwrap(),
        sandbox.git(["status", "--porcelain"]),
        sandbox.git(["rev-parse", "HEAD"]),
        sandbox.git(["diff", "HEAD"]),
    )
}

#[test]
fn all_that_merge_land_in_job_order_and_a_conflict_is_held_back() {
    let sandbox = Sandbox::new();
    sandbox.written("one", "echo one > shared; echo 1 > a");
    sandbox.written("two", "echo two > shared; echo 2 > b");
    sandbox.written("three", "echo 3 > c");
    sandbox.reader("look", "true");
    sandbox.writer("ill", "echo x > d; exit 1");
    sandbox.cx(["wait"]).code(1);
    let merged = sandbox.cx(["merge"]).code(1);
    assert_eq!(
        merged.stdout(),
        "[1] one merged into main (1 commit, 2 files)\n\
         [2] two held back: conflicts with one in\n      shared (contents)\n\
         [3] three merged into main (1 commit, 1 file)\n"
    );
    assert_eq!(
        merged.stderr(),
        "cx: left out [5] ill, which is failed; `cx diff ill` shows its work, `cx merge ill` takes it all the same\n\
         cx: to bring two in: cx resolve two, or git merge cx/two, resolve, commit; then `cx clean` takes its worktree\n"
    );
    assert_eq!(sandbox.read("shared"), "one\n");
    assert_eq!((sandbox.read("a"), sandbox.read("c")), ("1\n".into(), "3\n".into()));
    assert!(!sandbox.repo().join("b").exists() && !sandbox.repo().join("d").exists());
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
    let subjects = sandbox.git(["log", "--first-parent", "--format=%s"]);
    assert!(subjects.starts_with("Merge branch 'cx/three' into main\n"), "{subjects}");
    // Marked in the ledger, each with its commit.
    let marks: Vec<Value> =
        sandbox.ledger().events().into_iter().filter(|event| event["ev"] == "merged").collect();
    assert_eq!(marks.len(), 2);
    assert_eq!((marks[0]["job"].as_u64(), marks[1]["job"].as_u64()), (Some(1), Some(3)));
    assert_eq!(marks[1]["commit"], sandbox.git(["rev-parse", "main"]));
    // The rest of the batch is as it was, and a failed one comes when named.
    assert_eq!(
        sandbox.cx(["merge"]).code(1).stdout().lines().next(),
        Some("[2] two held back: conflicts with main in")
    );
    sandbox.cx(["merge", "ill"]).ok();
    assert_eq!(sandbox.read("d"), "x\n");
}

#[test]
fn the_order_is_that_of_the_words() {
    let sandbox = Sandbox::new();
    sandbox.written("one", "echo one > shared");
    sandbox.written("two", "echo two > shared");
    let merged = sandbox.cx(["merge", "two", "one"]).code(1).stdout();
    assert!(merged.starts_with("[2] two merged into main"), "{merged}");
    assert!(merged.contains("[1] one held back: conflicts with two in"), "{merged}");
    assert_eq!(sandbox.read("shared"), "two\n");
}

#[test]
fn after_the_conflict_was_resolved_by_hand_cx_knows() {
    let sandbox = Sandbox::new();
    sandbox.written("one", "echo one > shared");
    sandbox.written("two", "echo two > shared");
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["merge"]).code(1);
    sandbox
        .sh("git merge -q cx/two; echo both > shared; git add shared; git commit -q --no-edit")
        .ok();
    let merged = sandbox.cx(["merge"]).ok().stdout();
    assert_eq!(merged, "[2] two is in main already\n");
    assert_eq!(sandbox.cx(["jobs"]).ok().stdout(), "");
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert_eq!(cleaned.matches("removed worktree, branch and files").count(), 2, "{cleaned}");
    assert_eq!(sandbox.git(["branch", "--format=%(refname:short)"]), "main");
}

#[test]
fn a_dry_run_says_it_and_does_nothing() {
    let sandbox = Sandbox::new();
    sandbox.written("one", "echo one > shared");
    sandbox.written("two", "echo two > shared");
    let before = state(&sandbox);
    let events = sandbox.ledger().events().len();
    let planned = sandbox.cx(["merge", "--dry-run"]).code(1).stdout();
    assert!(planned.contains("[1] one would merge into main (1 commit, 1 file)"), "{planned}");
    assert!(planned.contains("[2] two held back"), "{planned}");
    assert!(before == state(&sandbox));
    assert_eq!(sandbox.ledger().events().len(), events);
    sandbox.cx(["merge", "--dry-run", "one"]).ok();
    assert!(before == state(&sandbox));
}

#[test]
fn json_says_all_of_it() {
    let sandbox = Sandbox::new();
    sandbox.written("one", "echo one > shared");
    sandbox.written("two", "echo two > shared");
    let before = sandbox.git(["rev-parse", "main"]);
    let report = sandbox.cx(["merge", "--json"]).code(1).json();
    assert_eq!(
        (report["into"].as_str(), report["before"].as_str()),
        (Some("main"), Some(&*before))
    );
    assert_eq!(report["after"], sandbox.git(["rev-parse", "main"]));
    assert_eq!(report["jobs"][0]["result"], "merged");
    assert_eq!(report["jobs"][1]["result"], "conflict");
    assert_eq!(report["jobs"][1]["conflicts"][0]["path"], "shared");
    assert_eq!(report["jobs"][1]["with"], serde_json::json!(["one"]));
}

#[test]
fn nothing_to_merge() {
    let sandbox = Sandbox::new();
    let none = sandbox.cx(["merge"]).code(1);
    assert_eq!(none.stderr(), "cx: nothing to merge: no finished writer has unmerged commits\n");
    let json = sandbox.cx(["merge", "--json"]).code(1).json();
    assert_eq!(json["jobs"], serde_json::json!([]));
    sandbox.reader("r", "true");
    let gate = sandbox.gate("gate");
    sandbox.writer("live", &gate.pass());
    sandbox.cx(["wait", "r"]).ok();
    sandbox.cx(["merge", "r"]).refused(2, "[1] r is a reader and has no branch to merge");
    let live = sandbox.cx(["merge", "live"]).refused(2, "[2] live is not over yet");
    assert!(live.stderr().contains("hint: cx wait live && cx merge live"), "{live}");
    sandbox.cx(["merge", "ghost"]).refused(127, "no such job: ghost");
    gate.open();
    sandbox.cx(["wait"]).ok();
}

#[test]
fn what_is_in_the_way_of_one_job_holds_back_that_job_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("tracked", "1\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "tracked"]);
    sandbox.written("w", "echo new > README.md; echo new > fresh; mkdir d; echo new > d/f");
    sandbox.written("free", "echo free > free; echo 2 > tracked");
    for (script, path, kind, hint) in [
        ("echo mine > README.md", "README.md", "changed", ", or stash them"),
        ("echo mine > README.md; git add README.md", "README.md", "changed", ", or stash them"),
        ("git rm -q README.md", "README.md", "changed", ", or stash them"),
        ("echo mine > fresh", "fresh", "untracked", ", or stash them"),
        ("echo mine > fresh; git add fresh", "fresh", "changed", ", or stash them"),
        ("mkdir fresh; echo mine > fresh/file", "fresh/file", "untracked", ", or stash them"),
        ("echo mine > d", "d", "untracked", ", or stash them"),
        ("echo fresh > .git/info/exclude; echo mine > fresh", "fresh", "ignored", "away, then"),
        ("echo d > .git/info/exclude; mkdir d; echo mine > d/f", "d/f", "ignored", "away, then"),
    ] {
        sandbox.sh(script).ok();
        let before = state(&sandbox);
        let dry = sandbox.cx(["merge", "--dry-run"]).code(1);
        assert_eq!(before, state(&sandbox), "{script}: {dry}");
        let merged = sandbox.cx(["merge"]).code(1);
        let lines = format!(
            "[1] w held back: files in {} are in its way:\n      {path} ({kind})\n",
            sandbox.repo().display()
        );
        assert!(merged.stdout().contains(&lines), "{script}: {merged}");
        assert!(dry.stdout().contains(&lines), "{script}: {dry}");
        assert!(merged.stdout().contains("[2] free merged into main"), "{script}: {merged}");
        assert!(merged.stderr().contains("to bring w in: commit these files or"), "{merged}");
        assert!(merged.stderr().contains(hint), "{script}: {merged}");
        assert_eq!(sandbox.read("free") + &sandbox.read("tracked"), "free\n2\n");
        assert_eq!(state(&sandbox).1, before.1, "{script} changed the checkout");
        let alone = sandbox.cx(["merge", "--json"]).code(1).json();
        assert_eq!(alone["jobs"][0]["result"], "in-the-way", "{alone}");
        assert_eq!(alone["jobs"][0]["conflicts"][0]["path"], *path, "{alone}");
        assert_eq!(alone["before"], alone["after"], "{alone}");
        sandbox.cx(["merge", "--undo"]).ok();
        let (_, status, head, diff) = state(&sandbox);
        assert_eq!((status, head, diff), (before.1, before.2, before.3), "{script}");
        sandbox.sh("rm -rf fresh d .git/info/exclude; git reset -q --hard").ok();
    }
    sandbox.sh("echo m >> other; git add other; echo mine >> other; echo u > untracked").ok();
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.read("README.md"), "new\n");
    assert_eq!(sandbox.read("other"), "m\nmine\n");
    assert_eq!(sandbox.git(["status", "--porcelain"]), "AM other\n?? untracked");
}

#[test]
fn a_batch_costs_few_gits_however_many_its_jobs_are() {
    let sandbox = Sandbox::new();
    for n in 0..6 {
        sandbox.write(format!("d{n}/f"), "1\n");
    }
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "files"]);
    for n in 0..6 {
        sandbox.written(&format!("w{n}"), &format!("echo {n} > d{n}/f; echo {n} > new{n}"));
    }
    let (real, log) = (which::which("git").unwrap(), sandbox.root().join("gits"));
    fs::remove_file(sandbox.root().join("bin/git")).unwrap();
    let real = real.display();
    sandbox.script_tool("git", &format!("echo \"$@\" >> {}\nexec {real} \"$@\"", log.display()));
    let gits = |args: &[&str]| {
        let _ = fs::remove_file(&log);
        sandbox.cx(args).ok();
        let said = fs::read_to_string(&log).unwrap();
        let verb = |line: &str| {
            let mut words = line.split(' ');
            while let Some(word) = words.next() {
                match word {
                    "-c" => drop(words.next()),
                    verb => return verb.to_owned(),
                }
            }
            line.to_owned()
        };
        said.lines().map(verb).collect::<Vec<_>>()
    };
    let few = ["config", "merge-tree", "update-ref", "read-tree"];
    assert_eq!(gits(&["merge", "w0", "w1", "w2"]), few);
    assert_eq!(gits(&["merge", "w3", "w4", "w5"]), few);
    sandbox.cx(["merge", "--undo"]).ok();
    sandbox.cx(["merge", "--undo"]).ok();
    assert_eq!(gits(&["merge", "--squash"]), few);
    for n in 0..6 {
        assert_eq!(sandbox.read(format!("d{n}/f")), format!("{n}\n"));
    }
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
    assert_eq!(sandbox.git(["fsck", "--strict"]), "");
}

#[test]
fn who_is_freed_by_a_job_that_is_held_back_lands() {
    let sandbox = Sandbox::new();
    sandbox.written("first", "echo first > shared; echo first > mine");
    sandbox.written("second", "echo second > shared");
    sandbox.written("third", "echo third > third");
    sandbox.write("mine", "mine\n");
    let merged = sandbox.cx(["merge", "--in-order", "--squash"]).code(1);
    assert!(merged.stdout().contains("      mine (untracked)\n"), "{merged}");
    assert!(merged.stdout().contains("[2] second merged into main"), "{merged}");
    assert_eq!(sandbox.read("shared") + &sandbox.read("third"), "second\nthird\n");
    assert_eq!(sandbox.git(["status", "--porcelain"]), "?? mine");
}

#[test]
fn no_check_and_no_hook_runs_for_what_is_in_the_way() {
    let sandbox = Sandbox::new();
    sandbox.written("blocked", "echo blocked > blocked");
    sandbox.written("free", "echo free > free");
    sandbox.write("blocked", "mine\n");
    let merged = sandbox.cx(["merge", "--json", "--verify", "test ! -e blocked"]).code(1).json();
    assert_eq!(merged["jobs"][0]["result"], "in-the-way", "{merged}");
    assert_eq!(merged["jobs"][1]["result"], "merged", "{merged}");
    assert_eq!(merged["verify"].as_array().map(Vec::len), Some(1), "{merged}");
    assert_eq!(sandbox.read("blocked"), "mine\n");
    sandbox.cx(["merge", "--undo"]).ok();
    let runs = sandbox.root().join("runs");
    let hook = format!("#!/bin/sh\necho run >> {}\n", runs.display());
    sandbox.write(".git/hooks/pre-merge-commit", hook);
    sandbox.sh("chmod +x .git/hooks/pre-merge-commit").ok();
    sandbox.cx(["merge", "--no-ff"]).code(1);
    assert_eq!(fs::read_to_string(runs).unwrap(), "run\n");
}

#[test]
fn into_another_branch_leaves_the_checkout_alone() {
    let sandbox = Sandbox::new();
    sandbox.git(["branch", "release"]);
    sandbox.written("w", "echo x > f");
    sandbox.write("README.md", "mine\n");
    let before = state(&sandbox);
    let merged = sandbox.cx(["merge", "--into", "release"]).ok().stdout();
    assert_eq!(merged, "[1] w merged into release (1 commit, 1 file)\n");
    assert!(before == state(&sandbox));
    assert_eq!(sandbox.git(["show", "release:f"]), "x");
    // A new one is made from HEAD.
    sandbox.written("v", "echo y > g");
    sandbox.cx(["merge", "--into", "topic/new"]).ok();
    assert_eq!(sandbox.git(["show", "topic/new:g"]), "y");
    assert!(before == state(&sandbox));
    sandbox.written("u", "echo z > h");
    sandbox
        .cx(["merge", "--into", "bad..name"])
        .refused(2, "'bad..name' cannot be the name of a branch");
}

#[test]
fn into_a_branch_that_another_worktree_has_checked_out() {
    let sandbox = Sandbox::new();
    let linked = sandbox.root().join("linked");
    sandbox.git(["worktree", "add", "-q", "-b", "topic", linked.to_str().unwrap()]);
    sandbox.written("w", "echo x > f");
    sandbox.cx(["merge", "--into", "topic"]).ok();
    assert_eq!(fs::read_to_string(linked.join("f")).unwrap(), "x\n");
    assert_eq!(sandbox.git(["-C", linked.to_str().unwrap(), "status", "--porcelain"]), "");
    sandbox.written("v", "echo y > f2");
    fs::write(linked.join("f2"), "mine").unwrap();
    let held = sandbox.cx(["merge", "--into", "topic"]).code(1);
    let there = format!("held back: files in {} are in its way:\n      f2", linked.display());
    assert!(held.stdout().contains(&there), "{held}");
    assert_eq!(fs::read_to_string(linked.join("f2")).unwrap(), "mine");
}

#[test]
fn styles() {
    for (style, parents, subject) in [
        ("--squash", 1, "for n in first second; do echo $n > $n; git add .; git commit -qm $n; d…"),
        ("--rebase", 1, "second"),
        ("--no-ff", 2, "Merge branch 'cx/w' into main"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.written(
            "w",
            "for n in first second; do echo $n > $n; git add .; git commit -qm $n; done",
        );
        sandbox.git(["commit", "-q", "--allow-empty", "-m", "meanwhile"]);
        sandbox.cx(["merge", style]).ok();
        assert_eq!(sandbox.read("second"), "second\n", "{style}");
        let line = sandbox.git(["log", "-1", "--format=%P|%s"]);
        let (p, s) = line.split_once('|').unwrap();
        assert_eq!(p.split(' ').count(), parents, "{style}: {line}");
        assert_eq!(s, subject, "{style}");
        if style != "--rebase" {
            let trailers = sandbox.git(["log", "-1", "--format=%(trailers)"]);
            assert!(
                trailers.contains("Cx-Job: 1 w") && trailers.contains("Cx-Backend: sh"),
                "{style}: {trailers}"
            );
        }
        // cx knows that it is merged, though a squash left no trace in history.
        assert_eq!(sandbox.job("w")["merged_into"], "main", "{style}");
        sandbox.cx(["collect"]).ok();
        sandbox.cx(["clean", "w"]).ok();
    }
    let sandbox = Sandbox::new();
    sandbox.cx(["merge", "--squash", "--rebase"]).code(2);
}

#[test]
fn a_merge_under_way_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "echo x > f");
    sandbox.sh("git checkout -q -b side; echo s > README.md; git commit -qam side; git checkout -q main; echo m > README.md; git commit -qam main; git merge -q side").code(1);
    let before = (
        sandbox.git(["status", "--porcelain"]),
        sandbox.git(["rev-parse", "HEAD"]),
        sandbox.read("README.md"),
    );
    let refused = sandbox.cx(["merge"]).refused(1, "a merge is under way");
    assert!(refused.stderr().contains("hint:"), "{refused}");
    assert_eq!(
        before,
        (
            sandbox.git(["status", "--porcelain"]),
            sandbox.git(["rev-parse", "HEAD"]),
            sandbox.read("README.md")
        )
    );
    sandbox.git(["merge", "--abort"]);
    sandbox.cx(["merge"]).ok();
}

#[test]
fn a_target_that_moved_since_the_spawn_is_merged_with() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "echo x > f");
    sandbox.sh("echo y > g; git add g; git commit -qm meanwhile").ok();
    sandbox.cx(["merge"]).ok();
    assert_eq!((sandbox.read("f"), sandbox.read("g")), ("x\n".into(), "y\n".into()));
    assert_eq!(sandbox.git(["log", "-1", "--format=%s"]), "Merge branch 'cx/w' into main");
}

#[test]
fn a_branch_that_was_worked_on_by_hand_after_the_job() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "echo x > f");
    let tree = sandbox.root().join("repo.cx/w");
    let tree = tree.to_str().unwrap();
    fs::write(format!("{tree}/f"), "fixed by hand\n").unwrap();
    sandbox.git(["-C", tree, "commit", "-qam", "by hand"]);
    let merged = sandbox.cx(["merge"]).ok();
    assert_eq!(
        sandbox.read("f"),
        "fixed by hand\n",
        "the commit of the person must come along: {merged}"
    );
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["clean", "w"]).ok();
}

#[test]
fn a_worker_cannot_merge_or_clean() {
    let sandbox = Sandbox::new();
    sandbox.writer("w", "cx merge; echo $?; cx clean; echo $?");
    sandbox.cx(["wait", "w"]).ok();
    assert_eq!(sandbox.cx(["logs", "w"]).ok().stdout(), "2\n2\n");
}

#[test]
fn from_a_subfolder_and_after_the_worktree_has_gone() {
    let sandbox = Sandbox::new();
    sandbox.write("sub/file", "x\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "sub"]);
    sandbox.written("w", "echo y > sub/file");
    sandbox.git(["worktree", "remove", "--force", "../repo.cx/w"]);
    let mut command = sandbox.cx_command(["merge"]);
    command.current_dir(sandbox.repo().join("sub"));
    sandbox.run(command).ok();
    assert_eq!(sandbox.read("sub/file"), "y\n");
}

/// A job that was spawned on `feature`, which has a commit that `main` has not.
fn on_a_feature() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.git(["checkout", "-qb", "feature"]);
    sandbox.write("foreign", "foreign\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "half of a feature"]);
    sandbox.written("w", "echo own > own");
    sandbox.git(["checkout", "-q", "main"]);
    sandbox
}

#[test]
fn what_a_job_was_started_from_lands_only_when_told() {
    let sandbox = on_a_feature();
    let before = state(&sandbox);
    for args in [&["merge", "--dry-run"][..], &["merge"], &["merge", "--no-ff", "w"]] {
        let held = sandbox.cx(args.iter().copied()).code(1);
        let sentence = "w held back: it was started from, and would bring along, 1 commit of \
                        others, which feature has:\n      half of a feature\n";
        assert!(held.stdout().contains(sentence), "{held}");
        assert!(held.stderr().contains("merge feature first"), "{held}");
        assert!(before == state(&sandbox), "{held}");
    }
    let report = sandbox.cx(["merge", "--json"]).code(1).json();
    assert_eq!(report["jobs"][0]["result"], "foreign-base");
    let base = serde_json::json!({
        "commits": 1, "subjects": ["half of a feature"], "branches": ["feature"], "fate": "held-back"
    });
    assert_eq!(report["jobs"][0]["base"], base);
    let brought = sandbox.cx(["merge", "--with-base"]).ok();
    assert!(brought.stdout().contains("brings 1 commit of others"), "{brought}");
    assert_eq!(sandbox.read("foreign") + &sandbox.read("own"), "foreign\nown\n");
}

#[test]
fn a_squash_and_a_rebase_land_a_jobs_own_changes_alone() {
    for moved in [false, true] {
        for style in ["--squash", "--rebase"] {
            let sandbox = on_a_feature();
            if moved {
                sandbox.write("meanwhile", "meanwhile\n");
                sandbox.git(["add", "."]);
                sandbox.git(["commit", "-qm", "meanwhile"]);
            }
            let merged = sandbox.cx(["merge", style]).ok();
            assert!(
                merged.stdout().contains("its own changes alone, without 1 commit"),
                "{merged}"
            );
            assert_eq!(sandbox.git(["diff", "--name-only", "HEAD~", "HEAD"]), "own");
            assert!(!sandbox.repo().join("foreign").exists());
        }
    }
}

#[test]
fn a_job_merged_into_the_branch_that_it_was_started_from_brings_nothing_foreign() {
    let sandbox = on_a_feature();
    let merged = sandbox.cx(["merge", "--into", "feature"]).ok();
    assert!(!merged.stdout().contains("others"), "{merged}");
    let sandbox = on_a_feature();
    sandbox.git(["merge", "-q", "feature"]);
    let merged = sandbox.cx(["merge"]).ok();
    assert!(!merged.stdout().contains("others"), "{merged}");
}
