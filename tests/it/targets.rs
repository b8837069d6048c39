//! `cx merge`: what it merges into, and what stands in its way there.

use crate::support::Sandbox;

#[test]
fn from_a_jobs_own_worktree_nothing_is_merged_unless_that_is_named() {
    let sandbox = Sandbox::new();
    sandbox.written("a", "echo 1 > a");
    sandbox.written("b", "echo 2 > b");
    let before = sandbox.git(["rev-parse", "cx/a"]);
    for args in [&["merge"][..], &["merge", "b"], &["merge", "--dry-run"], &["pick", "a"]] {
        let inner = format!("cd \"$(cx path a)\" && cx {}", args.join(" "));
        let said = sandbox.sh(&inner).code(2);
        if args[0] == "merge" {
            said.refused(2, "cx/a is checked out here, which is the branch of [1] a");
        }
    }
    assert_eq!(sandbox.git(["rev-parse", "cx/a"]), before);
    sandbox.cx(["merge", "--into", "cx/a", "a"]).refused(2, "cx/a is the branch of [1] a itself");
    // Named, it is a branch like any other, and its job none to be merged there.
    let merged = sandbox.cx(["merge", "--into", "cx/a"]).ok().stdout();
    assert!(merged.starts_with("[2] b merged into cx/a"), "{merged}");
    sandbox.cx(["merge", "--into", "cx/a"]).code(1);
    let merged = sandbox.cx(["merge"]).ok();
    assert!(merged.stdout().starts_with("[1] a merged into main"), "{merged}");
    assert!(!merged.stderr().contains("by hand"), "{merged}");
    assert_eq!((sandbox.read("a"), sandbox.read("b")), ("1\n".into(), "2\n".into()));
}

#[test]
fn a_job_of_the_batch_lands_after_the_one_whose_branch_it_was_started_from() {
    for style in ["--ff", "--no-ff", "--squash", "--rebase"] {
        let sandbox = Sandbox::new();
        sandbox.written("ch1", "echo 1 > ch");
        sandbox.spawn_sh(["-w", "-n", "ch2", "--base", "cx/ch1", "echo 2 >> ch"]);
        sandbox.cx(["wait", "ch2"]).ok();
        // Alone it would bring the other one along, which says how.
        let alone = sandbox.cx(["merge", "--dry-run", "ch2"]).code(1);
        assert!(alone.stdout().contains("1 commit of others, which cx/ch1 has"), "{alone}");
        assert!(alone.stderr().contains("cx merge ch1 ch2"), "{alone}");
        let planned = sandbox.cx(["merge", style, "--dry-run"]).ok().stdout();
        assert_eq!(planned.matches("would merge into main").count(), 2, "{style}: {planned}");
        let merged = sandbox.cx(["merge", style]).ok().stdout();
        assert_eq!(merged.matches("merged into main").count(), 2, "{style}: {merged}");
        assert!(!merged.contains("others"), "{style}: {merged}");
        assert_eq!(sandbox.read("ch"), "1\n2\n", "{style}");
    }
}

#[test]
fn who_follows_a_job_that_is_held_back_is_held_back_too() {
    let sandbox = Sandbox::new();
    sandbox.spawn_sh(["-w", "-n", "ch1", "--scope", "docs", "--", "echo 1 > ch"]);
    sandbox.cx(["wait", "ch1"]).ok();
    sandbox.spawn_sh(["-w", "-n", "ch2", "--base", "cx/ch1", "echo 2 >> ch"]);
    sandbox.cx(["wait", "ch2"]).ok();
    let held = sandbox.cx(["merge"]).code(1).stdout();
    assert!(held.contains("[1] ch1 held back: it changes what is outside of its scope"), "{held}");
    assert!(held.contains("[2] ch2 held back: it brings along what ch1 changes"), "{held}");
    assert!(!sandbox.repo().join("ch").exists());
}

#[test]
fn after_an_amend_the_old_commit_is_nobody_elses() {
    let sandbox = Sandbox::new();
    sandbox.write("f", "f\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "to be amended"]);
    sandbox.written("w1", "echo 1 > one");
    sandbox.written("w2", "echo 2 > two");
    sandbox.git(["commit", "-q", "--amend", "-m", "better words"]);
    let held = sandbox.cx(["merge"]).code(1);
    let sentence = "held back: it was started from, and would bring back, 1 commit that main had \
                    before:\n      to be amended\n";
    assert_eq!(held.stdout().matches(sentence).count(), 2, "{held}");
    assert!(!held.stderr().contains("first"), "{held}");
    assert!(held.stderr().contains("cx merge --rebase w1 lands its own changes alone"), "{held}");
    sandbox.cx(["merge", "--rebase"]).ok();
    assert_eq!(sandbox.read("one") + &sandbox.read("two"), "1\n2\n");
    assert!(!sandbox.git(["log", "--format=%s"]).contains("to be amended"));
}

#[test]
fn a_branch_that_a_merge_makes_is_said_and_a_remotes_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.written("a", "echo 1 > a");
    sandbox.git(["update-ref", "refs/remotes/origin/main", "main"]);
    let refused = sandbox.cx(["merge", "--into", "origin/main"]);
    let refused = refused.refused(2, "origin/main is a branch of a remote");
    assert!(refused.stderr().contains("cx merge --into main"), "{refused}");
    let dry = sandbox.cx(["merge", "--into", "staging", "--dry-run"]).ok();
    assert!(dry.stderr().contains("staging would be made, from "), "{dry}");
    let report = sandbox.cx(["merge", "--into", "staging", "--dry-run", "--json"]).ok().json();
    assert_eq!(report["makes"], true);
    let made = sandbox.cx(["merge", "--into", "staging"]).ok();
    assert!(made.stderr().contains("staging was made, from "), "{made}");
    // What is only there is named, as long as it is.
    let nothing = sandbox.cx(["merge"]).code(1);
    let named = "[1] a is in staging only; `cx merge a` brings it here too";
    assert!(nothing.stderr().contains(named), "{nothing}");
    sandbox.cx(["merge", "a"]).ok();
    assert_eq!(sandbox.read("a"), "1\n");
    let nothing = sandbox.cx(["merge"]).code(1);
    assert!(!nothing.stderr().contains("only"), "{nothing}");
}

#[test]
fn a_conflict_that_a_worker_leaves_standing_is_no_success() {
    let sandbox = Sandbox::new();
    sandbox.write("f", "base\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "base"]);
    sandbox.git(["checkout", "-qb", "other"]);
    sandbox.write("f", "other\n");
    sandbox.git(["commit", "-qam", "other"]);
    sandbox.git(["checkout", "-q", "main"]);
    sandbox.writer("left", "echo mine > f; git commit -qam mine; git merge other; exit 0");
    let resolved = "echo mine > f; git commit -qam mine; git merge other; echo both > f";
    sandbox.writer("resolved", resolved);
    sandbox.cx(["wait", "left"]).code(1);
    sandbox.cx(["wait", "resolved"]).ok();
    let job = sandbox.job("left");
    assert_eq!(job["status"], "failed");
    assert_eq!(job["reason"], "it left conflict markers in f, of a merge of its own");
    let merged = sandbox.cx(["merge"]).ok();
    assert!(merged.stderr().contains("left out [1] left, which is failed"), "{merged}");
    assert_eq!(sandbox.read("f"), "both\n");
}

#[test]
fn a_commit_of_a_submodule_that_only_the_worktree_has_is_held_back() {
    let sandbox = Sandbox::new();
    let library = sandbox.root().join("library");
    let library = library.to_str().unwrap();
    sandbox.git(["init", "-q", "-b", "main", library]);
    sandbox.git(["-C", library, "commit", "-q", "--allow-empty", "-m", "library"]);
    let allowed = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library];
    sandbox.git(allowed.into_iter().chain(["lib"]));
    sandbox.git(["commit", "-qm", "submodule"]);
    sandbox.written("w", "cd lib && echo x > a && git add a && git commit -qm inside");
    sandbox.written("other", "echo 1 > one");
    for args in [&["merge"][..], &["merge", "w"], &["merge", "--dry-run"]] {
        let held = sandbox.cx(args.iter().copied()).code(1);
        let sentence = "[1] w held back: it names commits of submodules that are only in its \
                        worktree:\n      lib (commit ";
        assert!(held.stdout().contains(sentence), "{held}");
    }
    assert_eq!(sandbox.read("one"), "1\n");
    // The advice, as it is given.
    sandbox.sh("git -C lib fetch -q \"$(cx path w)/lib\" HEAD:refs/cx/w && cx merge").ok();
    sandbox.git(["submodule", "--quiet", "update"]);
    assert_eq!(sandbox.read("lib/a"), "x\n");
}
