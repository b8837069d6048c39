//! `cx merge` beyond the usual: who lands, how, how it is taken back, and what
//! is in the way.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::support::Sandbox;

fn state(sandbox: &Sandbox) -> (String, String) {
    (sandbox.git(["rev-parse", "main"]), sandbox.git(["status", "--porcelain", "-uall"]))
}

fn hook(sandbox: &Sandbox, name: &str, body: &str) {
    let path = format!(".git/hooks/{name}");
    sandbox.write(&path, format!("#!/bin/sh\n{body}\n"));
    let path = sandbox.repo().join(path);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Commits a file on `main`.
fn commit(sandbox: &Sandbox, path: &str, text: &str) {
    sandbox.write(path, text);
    sandbox.git(["add", "-A"]);
    sandbox.git(["commit", "-qm", "meanwhile"]);
}

#[test]
fn the_one_that_collides_with_most_gives_way_unless_the_order_counts() {
    let sandbox = Sandbox::new();
    sandbox.written("all", "echo all > a; echo all > b; echo all > c");
    for name in ["a", "b", "c"] {
        sandbox.written(name, &format!("echo {name} > {name}"));
    }
    let said = sandbox.cx(["merge", "--dry-run"]).code(1).stdout();
    assert!(said.starts_with("[1] all held back: conflicts with a, b, c in\n"), "{said}");
    let said = sandbox.cx(["merge", "--dry-run", "--in-order"]).code(1).stdout();
    assert!(said.starts_with("[1] all would merge into main"), "{said}");
    assert!(
        said.contains("[2] a held back: conflicts with all in\n      a (contents)\n"),
        "{said}"
    );
    let merged = sandbox.cx(["merge"]).code(1);
    assert_eq!(sandbox.read("a") + &sandbox.read("b") + &sandbox.read("c"), "a\nb\nc\n");
    assert!(
        merged.stderr().contains("to bring all in: cx resolve all, or git merge cx/all"),
        "{merged}"
    );
}

#[test]
fn ff_only_and_words_of_ones_own() {
    let sandbox = Sandbox::new();
    sandbox.written("one", "echo 1 > one");
    sandbox.written("two", "echo 2 > two");
    let said = sandbox.cx(["merge", "--ff-only"]).code(1).stdout();
    assert!(said.contains("[1] one merged into main"), "{said}");
    assert!(said.contains("[2] two held back: main has commits that it has not"), "{said}");
    assert_eq!(sandbox.git(["rev-parse", "main"]), sandbox.git(["rev-parse", "cx/one"]));
    sandbox.cx(["merge", "-m", "Bring two", "-m", "It counts."]).ok();
    let message = sandbox.git(["log", "-1", "--format=%B"]);
    assert!(message.starts_with("Bring two\n\nIt counts.\n\nCx-Job: 2 two\n"), "{message}");
    sandbox.cx(["merge", "--ff-only", "-m", "x"]).code(2);
    sandbox.cx(["merge", "--ff-only", "--squash"]).code(2);
}

#[test]
fn hooks_run_as_git_runs_them_and_not_when_told() {
    let mut sandbox = Sandbox::new();
    sandbox.set("GIT_EDITOR", "sed -i s/Merge/Edited/");
    for name in ["one", "two", "bad", "four"] {
        sandbox.written(name, &format!("echo {name} > {name}"));
    }
    hook(&sandbox, "pre-merge-commit", "test ! -e bad || { echo 'bad is bad' >&2; exit 1; }");
    hook(&sandbox, "commit-msg", "echo 'Checked: yes' >>\"$1\"");
    hook(&sandbox, "post-merge", "echo \"$1 $(git log --oneline | wc -l)\" >>../post");
    let dry = sandbox.cx(["merge", "--no-ff", "--dry-run"]).ok();
    assert!(dry.stdout().contains("[3] bad would merge into main"), "{dry}");
    let merged = sandbox.cx(["merge", "--no-ff", "--edit", "one", "two", "bad"]).code(1);
    assert!(
        merged.stdout().contains("[3] bad held back: the hook pre-merge-commit said no\n"),
        "{merged}"
    );
    assert!(merged.stderr().starts_with("bad is bad\n"), "{merged}");
    let log = sandbox.git(["log", "--first-parent", "--format=%s %(trailers:key=Checked)", "-2"]);
    assert_eq!(log.matches("Edited branch").count(), 2, "{log}");
    assert_eq!(log.matches("Checked: yes").count(), 2, "{log}");
    assert_eq!(state(&sandbox).1, "");
    let post = fs::read_to_string(sandbox.root().join("post")).unwrap();
    assert_eq!(post.lines().count(), 1, "one landing: {post}");
    sandbox.cx(["merge", "--squash", "--no-hooks", "bad"]).ok();
    assert!(sandbox.repo().join("bad").exists());
    sandbox.cx(["merge", "--squash", "four"]).ok();
    let post = fs::read_to_string(sandbox.root().join("post")).unwrap();
    assert!(post.lines().nth(1).is_some_and(|line| line.starts_with("1 ")), "{post}");
}

#[test]
fn an_editor_that_says_no_ends_it_all() {
    let mut sandbox = Sandbox::new();
    sandbox.written("one", "echo 1 > one");
    let before = state(&sandbox);
    sandbox.set("GIT_EDITOR", "false");
    sandbox.cx(["merge", "--no-ff", "-e"]).refused(1, "the editor did not say yes");
    sandbox.set("GIT_EDITOR", "sed -i d");
    sandbox.cx(["merge", "--no-ff", "-e"]).refused(1, "the message for one is empty");
    assert_eq!(state(&sandbox), before);
    assert_eq!(sandbox.job("one")["merged_into"], serde_json::Value::Null);
}

#[test]
fn undo_takes_the_last_merge_back_and_the_jobs_can_be_merged_again() {
    let sandbox = Sandbox::new();
    sandbox.written("one", "echo 1 > one; echo changed > README.md");
    sandbox.written("two", "echo 2 > two");
    sandbox.cx(["merge", "--undo"]).refused(1, "no merge into main is known");
    let before = state(&sandbox);
    sandbox.cx(["merge"]).ok();
    let merged = state(&sandbox);
    sandbox.write("mine", "untracked\n");
    let dry = sandbox.cx(["merge", "--undo", "--dry-run"]).ok().stdout();
    assert!(dry.starts_with("would take back the merge of one, two: main is at"), "{dry}");
    assert_eq!(state(&sandbox).0, merged.0);
    sandbox.write("one", "edited since\n");
    sandbox.cx(["merge", "--undo"]).refused(1, "would be overwritten");
    assert_eq!(sandbox.job("one")["merged_into"], "main", "still merged");
    sandbox.git(["checkout", "one"]);
    let undone = sandbox.cx(["merge", "--undo", "--json"]).ok().json();
    assert_eq!(undone["jobs"].as_array().unwrap().len(), 2);
    assert_eq!(state(&sandbox), (before.0.clone(), "?? mine".to_owned()));
    assert!(!sandbox.repo().join("two").exists());
    sandbox.cx(["merge", "--undo"]).refused(1, "no merge into main is known");
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.read("two"), "2\n");
    commit(&sandbox, "later", "later\n");
    let now = state(&sandbox);
    sandbox.cx(["merge", "--undo"]).refused(1, "main has moved on");
    assert_eq!(state(&sandbox), now);
}

#[test]
fn undo_loses_nothing_of_a_job_that_was_cleaned_and_takes_a_new_branch_away() {
    let sandbox = Sandbox::new();
    sandbox.written("one", "echo 1 > one");
    sandbox.written("two", "echo 2 > two");
    let tip = sandbox.git(["rev-parse", "cx/one"]);
    sandbox.cx(["merge", "--squash", "one"]).ok();
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["clean", "one"]).ok();
    let undone = sandbox.cx(["merge", "--undo"]).ok();
    assert!(undone.stderr().contains("kept as refs/cx/trash/one"), "{undone}");
    assert_eq!(sandbox.git(["rev-parse", "refs/cx/trash/one"]), tip);
    sandbox.cx(["merge", "--into", "fresh", "two"]).ok();
    assert!(sandbox.cx(["merge", "--undo"]).code(1).stdout().is_empty());
    let undone = sandbox.cx(["merge", "--undo", "--into", "fresh"]).ok().stdout();
    assert_eq!(undone, "took back the merge of two, and fresh with it\n");
    assert_eq!(sandbox.git(["branch", "--list", "fresh"]), "");
    assert_eq!(sandbox.job("two")["merged_into"], serde_json::Value::Null);
}

#[test]
fn an_undo_that_is_killed_is_understood_by_the_next_merge() {
    for at in ["undo-marked", "merge-locked", "merge-files", "merge-moved", "merge-index"] {
        let sandbox = Sandbox::new();
        sandbox.expect_leftovers();
        sandbox.written("one", "echo 1 > one");
        let before = state(&sandbox);
        sandbox.cx(["merge"]).ok();
        let merged = state(&sandbox);
        let mut command = sandbox.cx_command(["merge", "--undo"]);
        command.env("CX_CRASH_AT", at);
        sandbox.run(command).signal(9);
        let said = sandbox.cx(["merge", "--dry-run"]).ok().stdout();
        let back = matches!(at, "merge-moved" | "merge-index");
        assert_eq!(
            state(&sandbox),
            if back { before.clone() } else { merged.clone() },
            "{at}: {said}"
        );
        // Taken for merged again, with all that belongs to it: it can be undone.
        let back = sandbox.cx(["merge"]).status_code() == Some(0);
        assert_eq!(back, matches!(at, "merge-moved" | "merge-index"), "{at}");
        assert_eq!(state(&sandbox), merged, "{at}");
        assert_eq!(sandbox.job("one")["merged_into"], "main", "{at}");
        sandbox.cx(["merge", "--undo"]).ok();
        assert_eq!(state(&sandbox), before, "{at}");
    }
}

#[test]
fn a_branch_that_was_rebased_deleted_or_reset_by_hand() {
    let sandbox = Sandbox::new();
    for name in ["rebased", "deleted", "reset"] {
        sandbox.written(name, &format!("echo {name} > {name}"));
    }
    commit(&sandbox, "later", "later\n");
    let tree = sandbox.root().join("repo.cx/rebased");
    sandbox.git(["-C", tree.to_str().unwrap(), "rebase", "-q", "main"]);
    for name in ["deleted", "reset"] {
        let tree = sandbox.root().join("repo.cx").join(name);
        sandbox.git(["worktree", "remove", "--force", tree.to_str().unwrap()]);
    }
    sandbox.git(["branch", "-qD", "cx/deleted"]);
    sandbox.git(["branch", "-qf", "cx/reset", "main~1"]);
    let merged = sandbox.cx(["merge"]).ok();
    // Who deletes a branch does not want it, unless it is named.
    assert!(merged.stderr().contains("left out [2] deleted, whose branch was deleted"), "{merged}");
    assert!(!sandbox.repo().join("deleted").exists());
    let named = sandbox.cx(["merge", "deleted"]).ok();
    assert!(named.stderr().contains("[2] deleted: cx/deleted was deleted by hand"), "{named}");
    assert_eq!(sandbox.read("rebased") + &sandbox.read("deleted"), "rebased\ndeleted\n");
    assert!(
        merged.stderr().contains("[1] rebased: cx/rebased was moved after its end from"),
        "{merged}"
    );
    // Its work is not in main, so it is not said to be merged.
    assert!(merged.stdout().contains("[3] reset is in main already\n"), "{merged}");
    assert_eq!(sandbox.job("reset")["merged_into"], serde_json::Value::Null);
    assert_eq!(sandbox.job("rebased")["merged_into"], "main");
}

#[test]
fn histories_without_a_common_ancestor_are_held_back() {
    let sandbox = Sandbox::new();
    sandbox.written(
        "w",
        "git checkout -q --orphan x && git add -A && git commit -qm x && git branch -M cx/w",
    );
    sandbox.written("other", "echo 1 > one");
    let merged = sandbox.cx(["merge"]).code(1);
    assert!(merged.stdout().contains("held back: it has no common history with main"), "{merged}");
    assert!(merged.stdout().contains("[2] other merged into main"), "{merged}");
}

#[test]
fn a_target_that_was_deleted_is_made_again_from_head() {
    let sandbox = Sandbox::new();
    sandbox.git(["branch", "topic"]);
    sandbox.written("w", "echo 1 > one");
    sandbox.git(["branch", "-qD", "topic"]);
    sandbox.cx(["merge", "--into", "topic"]).ok();
    assert_eq!(sandbox.git(["rev-parse", "topic"]), sandbox.git(["rev-parse", "cx/w"]));
}

#[test]
fn a_target_that_moves_or_goes_away_while_a_check_runs_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.git(["branch", "topic"]);
    sandbox.written("w", "echo 1 > one");
    let git = format!(
        "git -c user.name=x -c user.email=x@y --git-dir={0}/.git --work-tree={0}",
        sandbox.repo().display()
    );
    for (into, meanwhile, there) in [
        ("main", "commit -q --allow-empty -m meanwhile", true),
        ("topic", "branch -qf topic main", true),
        ("topic", "branch -qD topic", false),
    ] {
        let verify = format!("{git} {meanwhile}");
        let refused = sandbox.cx(["merge", "--into", into, "--verify", &verify]).code(1);
        let why = format!("branch '{into}' has moved meanwhile, and was left as it is");
        assert!(refused.stderr().contains(&why) && refused.stdout().is_empty(), "{refused}");
        assert_eq!(sandbox.git(["branch", "--list", into]).is_empty(), !there, "{meanwhile}");
        assert_eq!(sandbox.git(["log", "--format=%s", "--all", "--", "one"]).lines().count(), 1);
        assert_eq!(sandbox.job("w")["merged_into"], serde_json::Value::Null, "{meanwhile}");
        assert_eq!(state(&sandbox).1, "", "{meanwhile}");
        sandbox.git(["branch", "-f", "topic", "main~1"]);
    }
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.read("one"), "1\n");
}

#[test]
fn a_target_whose_worktree_was_removed_by_hand_is_left_alone_until_that_is_mended() {
    let sandbox = Sandbox::new();
    let linked = sandbox.root().join("linked");
    sandbox.git(["worktree", "add", "-q", "-b", "topic", linked.to_str().unwrap()]);
    sandbox.written("w", "echo 1 > one");
    fs::remove_dir_all(&linked).unwrap();
    let before = sandbox.git(["rev-parse", "topic"]);
    let refused = sandbox.cx(["merge", "--into", "topic"]).refused(1, "linked, which is gone");
    assert!(refused.stderr().contains("git worktree prune"), "{refused}");
    assert_eq!(sandbox.git(["rev-parse", "topic"]), before);
    sandbox.git(["worktree", "prune"]);
    // The job's own may be gone as well.
    fs::remove_dir_all(sandbox.root().join("repo.cx/w")).unwrap();
    sandbox.cx(["merge", "--into", "topic"]).ok();
    assert_eq!(sandbox.git(["show", "topic:one"]), "1");
}

#[test]
fn what_the_person_has_under_way_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "echo x > f");
    sandbox.sh("git checkout -q -b side; echo s > README.md; git commit -qam side").ok();
    sandbox.sh("git checkout -q main; echo m > README.md; git commit -qam main").ok();
    for (begin, what, into) in [
        ("git merge -q side", "merge", "main"),
        ("git rebase -q side", "rebase", "main"),
        ("git cherry-pick side", "cherry-pick", "main"),
        ("git revert --no-edit HEAD~1", "revert", "main"),
        // Into the branch that is being rebased, whose HEAD is detached meanwhile.
        ("git checkout -q side; git rebase -q main", "rebase", "side"),
    ] {
        if what == "revert" {
            sandbox
                .sh("echo 1 > README.md; git commit -qam 1; echo 2 > README.md; git commit -qam 2")
                .ok();
        }
        sandbox.sh(begin).code(1);
        let look = || (state(&sandbox), sandbox.git(["ls-files", "-s"]), sandbox.read("README.md"));
        let before = look();
        let refused = sandbox.cx(["merge", "--into", into]);
        let refused = refused.refused(1, &format!("a {what} is under way in"));
        assert!(refused.stderr().contains(&format!("git {what} --abort")), "{refused}");
        assert_eq!(look(), before, "{begin}");
        sandbox.sh(&format!("git {what} --abort; git checkout -q main")).ok();
    }
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.read("f"), "x\n");
}

#[test]
fn a_job_without_changes_keeps_nobody_from_landing() {
    let sandbox = Sandbox::new();
    sandbox.written("none", "true");
    sandbox.written("some", "echo 1 > one");
    sandbox.written("undone", "echo 1 > two; git add two; git commit -qm two; git rm -q two");
    let merged = sandbox.cx(["merge", "none", "some", "undone"]).ok();
    assert!(merged.stdout().contains("[1] none has nothing to merge\n"), "{merged}");
    assert!(merged.stdout().contains("[2] some merged into main"), "{merged}");
    assert!(merged.stdout().contains("[3] undone adds nothing: "), "{merged}");
    assert_eq!(sandbox.git(["log", "-1", "--format=%s"]), "some".replace("some", "echo 1 > one"));
    let again = sandbox.cx(["merge", "none", "--json"]).ok().json();
    assert_eq!(again["jobs"][0]["result"], "no-changes", "{again}");
    assert_eq!(again["before"], again["after"]);
}

#[test]
fn names_that_differ_in_case_only_are_a_clash_where_case_does_not_count() {
    let sandbox = Sandbox::new();
    sandbox.written("small", "echo small > notes");
    sandbox.written("capital", "echo capital > NOTES");
    sandbox.written("readme", "echo x > Readme.md");
    sandbox.git(["config", "core.ignoreCase", "true"]);
    // With what the branch has had all along, also where it would only move forward.
    for style in ["--ff", "--no-ff", "--squash", "--rebase"] {
        let said = sandbox.cx(["merge", style, "readme"]).code(1).stdout();
        let clash = "[3] readme held back: conflicts with main in\n      README.md (case)\n      Readme.md (case)\n";
        assert_eq!(said, clash, "{style}");
    }
    assert!(!sandbox.repo().join("Readme.md").exists());
    let said = sandbox.cx(["merge"]).code(1);
    assert!(said.stdout().contains("[1] small merged into main"), "{said}");
    assert!(said.stdout().contains("[2] capital held back: conflicts with small in\n      NOTES (case)\n      notes (case)\n"), "{said}");
    sandbox.git(["config", "core.ignoreCase", "false"]);
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.read("NOTES") + &sandbox.read("notes"), "capital\nsmall\n");
}

#[test]
fn a_file_against_a_folder_is_held_back_with_its_path() {
    let sandbox = Sandbox::new();
    sandbox.written("file", "echo 1 > thing");
    sandbox.written("folder", "mkdir thing; echo 1 > thing/part");
    let said = sandbox.cx(["merge"]).code(1).stdout();
    let expected = "[2] folder held back: conflicts with file in\n      thing (file/directory)\n";
    assert!(said.contains(expected), "{said}");
    // And against the branch itself, either way round.
    sandbox.written("below", "mkdir other; echo 1 > other/part");
    sandbox.written("above", "echo 1 > d");
    commit(&sandbox, "other", "meanwhile\n");
    commit(&sandbox, "d/part", "meanwhile\n");
    sandbox.written("apart", "echo 1 > apart");
    let said = sandbox.cx(["merge", "below", "above", "apart"]).code(1).stdout();
    for (job, path) in [("[3] below", "other"), ("[4] above", "d")] {
        let held =
            format!("{job} held back: conflicts with main in\n      {path} (file/directory)\n");
        assert!(said.contains(&held), "{said}");
    }
    assert!(said.contains("[5] apart merged into main"), "{said}");
    assert_eq!(state(&sandbox).1, "");
}

#[test]
fn ten_thousand_changed_files_land_and_go_back() {
    let sandbox = Sandbox::new();
    let script = "for d in $(seq 100); do mkdir -p d$d; for f in $(seq 100); do echo $f > d$d/f$f; done; done";
    sandbox.written("many", script);
    sandbox.cx(["merge", "--no-ff"]).ok();
    assert_eq!(state(&sandbox).1, "");
    assert_eq!(sandbox.read("d100/f100"), "100\n");
    sandbox.cx(["merge", "--undo"]).ok();
    assert_eq!(state(&sandbox).1, "");
    assert!(!sandbox.repo().join("d1").exists());
}

#[test]
fn what_was_merged_by_hand_is_not_taken_back() {
    let sandbox = Sandbox::new();
    sandbox.written("one", "echo 1 > one");
    sandbox.git(["merge", "--quiet", "--no-ff", "--no-edit", "cx/one"]);
    sandbox.cx(["merge"]).ok();
    let before = state(&sandbox);
    let refused = sandbox.cx(["merge", "--undo"]);
    let refused = refused.refused(1, "what main holds of one was not merged by cx");
    assert!(refused.stderr().contains("git revert takes it back"), "{refused}");
    assert_eq!(state(&sandbox), before);
}

#[test]
fn one_of_two_alike_lands_where_a_hook_refuses_the_other() {
    for style in ["--no-ff", "--squash"] {
        let sandbox = Sandbox::new();
        sandbox.written("bigger", "echo same > good; echo x > bad");
        sandbox.written("smaller", "echo same > good");
        for name in ["pre-merge-commit", "pre-commit"] {
            hook(&sandbox, name, "test ! -e bad");
        }
        let merged = sandbox.cx(["merge", style]).code(1);
        assert!(merged.stdout().contains("bigger held back: the hook"), "{merged}");
        assert!(merged.stdout().contains("smaller merged into main"), "{merged}");
        assert_eq!(sandbox.read("good"), "same\n");
    }
}

#[test]
fn who_added_nothing_is_unmerged_again_with_what_it_added_nothing_to() {
    let sandbox = Sandbox::new();
    sandbox.written("one", "echo same > good");
    sandbox.written("two", "echo same > good");
    let merged = sandbox.cx(["merge"]).ok();
    assert!(merged.stdout().contains("two adds nothing"), "{merged}");
    let undone = sandbox.cx(["merge", "--undo"]).ok();
    assert!(undone.stdout().contains("took back the merge of one, two"), "{undone}");
    sandbox.cx(["clean"]);
    let merged = sandbox.cx(["merge", "two"]).ok();
    assert!(merged.stdout().contains("two merged into main"), "{merged}");
    assert_eq!(sandbox.read("good"), "same\n");
}
