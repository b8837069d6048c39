//! Landings that are cut short, and what the next command makes of them.

use std::cell::Cell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::*;

#[test]
fn what_the_user_committed_after_a_crash_is_not_undone() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("README", "merged\n"), ("new", "merged\n")]);
    let plan = planned(&fixture, &[a], Style::NoFf);
    stopped(&fixture, &plan, Step::Files);
    fs::remove_file(fixture.root().join(".git/index.lock")).unwrap();
    while fixture.root().join(".git/refs/heads/main.lock").exists() {
        std::thread::yield_now();
    }
    let mine = fixture.commit("the user goes on by hand");
    recover(&fixture.place(), &fixture.beside("state")).unwrap();
    assert_eq!((status(&fixture).as_str(), fixture.oid("main")), ("", mine));
    assert!(fixture.root().join("new").exists());
    assert_tidy(&fixture);
}

/// Stops a landing after `step` as kill -9 would: nothing is cleaned up.
fn stopped(fixture: &Fixture, plan: &MergePlan, step: Step) {
    let reached = Cell::new(false);
    let at = |now| {
        if now == step {
            reached.set(true);
            std::panic::resume_unwind(Box::new("stopped"));
        }
    };
    let ended = catch_unwind(AssertUnwindSafe(|| land_at(fixture, plan, &at)));
    assert!(ended.is_err() && reached.get(), "{step:?}");
}

#[test]
fn a_crash_at_any_step_is_finished_or_undone_by_the_next() {
    for step in [Step::Journal, Step::Locked, Step::Files, Step::Moved, Step::Index] {
        let fixture = Fixture::new();
        fixture.write("gone", "gone\n");
        fixture.write("kept", "kept\n");
        fixture.commit("more");
        let a = branch(&fixture, "a", &[("README", "merged\n"), ("gone", ""), ("n/e/w", "new\n")]);
        let plan = planned(&fixture, &[a], Style::NoFf);
        fixture.write("kept", "mine\n");
        fixture.write("src/lib", "staged\n");
        fixture.git(&["add", "src/lib"]);
        fixture.write("untracked", "mine\n");
        let mine = status(&fixture);
        stopped(&fixture, &plan, step);
        let recovered = recover(&fixture.place(), &fixture.beside("state")).unwrap();
        let branch = "main".to_owned();
        if matches!(step, Step::Moved | Step::Index) {
            assert_eq!(recovered, Some(Recovered::Finished { branch }), "{step:?}");
            assert_eq!(fixture.oid("main"), plan.result);
        } else {
            assert_eq!(recovered, Some(Recovered::RolledBack { branch }), "{step:?}");
            assert_eq!(fixture.oid("main"), plan.target);
            assert!(!fixture.root().join("n").exists() && fixture.root().join("gone").exists());
        }
        assert_eq!(status(&fixture), mine, "{step:?}");
        assert_tidy(&fixture);
        assert_eq!(recover(&fixture.place(), &fixture.beside("state")).unwrap(), None);
        if fixture.oid("main") == plan.target {
            land_plan(&fixture, &plan).unwrap();
            assert_eq!(status(&fixture), mine, "{step:?}");
        }
    }
}

#[test]
fn half_written_files_are_undone_and_the_users_later_edits_are_not() {
    let fixture = Fixture::new();
    fixture.write("later", "before\n");
    fixture.commit("more");
    let files = [("README", "merged, and longer\n"), ("later", "merged\n"), ("new", "merged\n")];
    let a = branch(&fixture, "a", &files);
    let plan = planned(&fixture, &[a], Style::NoFf);
    stopped(&fixture, &plan, Step::Files);
    fixture.write("README", "merged, a");
    fixture.write("later", "edited after the crash\n");
    fixture.write("new", "mer");
    // Also when the git that held the branch was killed with it.
    let locked = format!("{}\n", plan.result);
    write(&fixture.root(), ".git/refs/heads/main.lock", &locked);
    recover(&fixture.place(), &fixture.beside("state")).unwrap();
    assert_eq!(status(&fixture), " M later");
    assert_tidy(&fixture);
}

#[test]
fn failing_to_write_the_files_leaves_the_checkout_as_it_was() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("README", "merged\n"), ("z", "merged\n")]);
    let plan = planned(&fixture, &[a], Style::NoFf);
    // Checks pass, then a filter fails while the files are written.
    write(&fixture.root(), ".git/info/attributes", "z filter=broken\n");
    fixture.git(&["config", "filter.broken.smudge", "false"]);
    fixture.git(&["config", "filter.broken.required", "true"]);
    let error = land_plan(&fixture, &plan).unwrap_err();
    assert!(matches!(error, MergeError::Git(GitError::Command { .. })), "{error}");
    fs::remove_file(fixture.root().join(".git/info/attributes")).unwrap();
    assert_eq!((status(&fixture).as_str(), fixture.oid("main")), ("", plan.target.clone()));
    assert_tidy(&fixture);
}

#[test]
fn nobody_commits_between_files_and_branch() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let plan = planned(&fixture, &[a], Style::NoFf);
    let root = fixture.root();
    let tried = Cell::new(0);
    let at = |step| {
        if matches!(step, Step::Locked | Step::Files) {
            let commit = Git::at(&root).args(["commit", "-q", "--allow-empty", "-m", "x"]);
            assert_ne!(commit.output().unwrap().code(), 0);
            let moved = Git::at(&root).args(["update-ref", "refs/heads/main", "main~0", "main"]);
            assert_ne!(moved.output().unwrap().code(), 0);
            tried.set(tried.get() + 1);
        }
    };
    land_at(&fixture, &plan, &at).unwrap();
    assert_eq!(tried.get(), 2);
    let head = Repo::open(&fixture.place()).head().unwrap();
    assert_eq!(head, Head::Branch { name: "main".into(), oid: plan.result });
    assert!(worktree::state(&fixture.place(), Path::new(&root), None).unwrap().is_clean());
}

#[test]
fn a_commit_at_any_step_lands_whole_or_is_refused_whole() {
    for step in [Step::Journal, Step::Locked, Step::Files, Step::Moved, Step::Index] {
        let fixture = Fixture::new();
        let a = branch(&fixture, "a", &[("a", "a\n"), ("README", "merged\n")]);
        let plan = planned(&fixture, &[a], Style::NoFf);
        let root = fixture.root();
        let committed = Cell::new(None);
        let at = |now| {
            if now == step {
                fixture.write("mine", "mine\n");
                let git = |args: &[&str]| Git::at(&root).args(args).output().unwrap().code() == 0;
                let added = git(&["add", "mine"]);
                committed.set(Some(added && git(&["commit", "-q", "-m", "mine"])));
            }
        };
        let landed = land_at(&fixture, &plan, &at);
        let committed = committed.get().expect("the step was reached");
        // One of the two has gone first, and the other has seen it.
        let history = fixture.git(&["log", "--format=%s", "main"]);
        assert_eq!(history.contains("mine"), committed, "{step:?}");
        assert_eq!(history.contains("Merge a"), landed.is_ok(), "{step:?}: {landed:?}");
        assert!(landed.is_ok() || committed, "{step:?}: neither");
        if landed.is_err() {
            assert!(matches!(landed, Err(MergeError::TargetMoved(_))), "{step:?}: {landed:?}");
        }
        let expected = if committed { "" } else { "?? mine" };
        assert_eq!(status(&fixture), expected, "{step:?}");
        assert_eq!(root.join("a").exists(), landed.is_ok(), "{step:?}");
        assert_tidy(&fixture);
    }
}

#[test]
fn files_that_were_only_touched_are_not_in_the_way() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("README", "merged\n")]);
    let plan = planned(&fixture, &[a], Style::NoFf);
    fs::write(fixture.root().join("README"), "hello\n").unwrap();
    let file = fs::File::open(fixture.root().join("README")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    land_plan(&fixture, &plan).unwrap();
    assert_eq!(status(&fixture), "");
}

#[test]
fn a_sparse_checkout_stays_sparse() {
    let fixture = Fixture::new();
    fixture.write("docs/page", "text\n");
    fixture.commit("docs");
    let files = [("docs/page", "merged\n"), ("src/lib", "merged\n"), ("src/new", "merged\n")];
    let a = branch(&fixture, "a", &files);
    fixture.git(&["sparse-checkout", "set", "docs"]);
    let plan = planned(&fixture, &[a], Style::NoFf);
    stopped(&fixture, &plan, Step::Files);
    recover(&fixture.place(), &fixture.beside("state")).unwrap();
    assert_eq!(status(&fixture), "");
    land_plan(&fixture, &plan).unwrap();
    assert_eq!(status(&fixture), "");
    assert_eq!(fs::read_to_string(fixture.root().join("docs/page")).unwrap(), "merged\n");
    assert!(!fixture.root().join("src").exists());
}

#[test]
fn repositories_that_only_git_can_read_merge_and_recover_as_well() {
    for option in ["--object-format=sha256", "--ref-format=reftable"] {
        let fixture = Fixture::with(&[option]);
        let a = branch(&fixture, "a", &[("a", "a\n")]);
        let b = branch(&fixture, "b", &[("b", "b\n")]);
        for style in [Style::NoFf, Style::Squash, Style::Rebase] {
            let plan = planned(&fixture, &[a.clone(), b.clone()], style);
            stopped(&fixture, &plan, Step::Files);
            recover(&fixture.place(), &fixture.beside("state")).unwrap();
            land_plan(&fixture, &plan).unwrap();
            assert_eq!((status(&fixture).as_str(), fixture.oid("main")), ("", plan.result));
            fixture.git(&["reset", "-q", "--hard", plan.target.as_str()]);
        }
    }
}
