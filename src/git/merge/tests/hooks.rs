//! Hooks, editors and what they see.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn hook(fixture: &Fixture, name: &str, body: &str) {
    script(fixture, &format!(".git/hooks/{name}"), body);
}

fn script(fixture: &Fixture, path: &str, body: &str) {
    fixture.write(path, &format!("#!/bin/sh\n{body}\n"));
    let file = fixture.root().join(path);
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn pre_merge_commit_sees_the_merge_in_files_of_its_own_and_may_add_to_it() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let b = branch(&fixture, "b", &[("b", "b\n")]);
    let log = fixture.beside("log");
    let body = format!(
        "{{ git rev-parse HEAD; git diff --cached --name-only; ls; }} >>'{}'\n\
         echo counted >\"count-$(ls | wc -l | tr -d ' ')\" && git add .",
        log.display()
    );
    hook(&fixture, "pre-merge-commit", &body);
    fixture.write("README", "mine, not committed\n");
    let both = [a, b];
    let draft = planned(&fixture, &both, Style::NoFf);
    let plan = sealed(&fixture, &draft, &both, Style::NoFf, false).unwrap();
    assert_eq!(plan.landed, [0, 1]);
    let Verdict::Landed { commit } = &plan.entries[0].verdict else { panic!("{plan:?}") };
    let said = fs::read_to_string(log).unwrap();
    let expected =
        format!("{}\na\nREADME\na\nsrc\n{commit}\nb\nREADME\na\nb\ncount-3\nsrc\n", plan.target);
    assert_eq!(said, expected);
    let names = fixture.git(&["ls-tree", "--name-only", plan.result.as_str()]);
    assert_eq!(names, "README\na\nb\ncount-3\ncount-5\nsrc");
    assert_eq!(status(&fixture), " M README", "the checkout did not change");
}

#[test]
fn a_hook_that_refuses_one_job_holds_back_that_job_only() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let b = branch(&fixture, "b", &[("b", "b\n")]);
    let c = branch(&fixture, "c", &[("c", "c\n")]);
    let all = [a, b, c];
    hook(&fixture, "commit-msg", "! grep -q 'Merge b' \"$1\"");
    let draft = planned(&fixture, &all, Style::NoFf);
    let plan = sealed(&fixture, &draft, &all, Style::NoFf, false).unwrap();
    assert_eq!(plan.landed, [0, 2]);
    assert_eq!(plan.entries[1].verdict, Verdict::Refused { hook: "commit-msg" });
    let names = fixture.git(&["ls-tree", "--name-only", plan.result.as_str()]);
    assert_eq!(names, "README\na\nc\nsrc");
}

#[test]
fn message_hooks_stand_in_the_checkout_and_see_a_merge() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let tip = a.tip.clone();
    fixture.write("tools/check", "untracked, as node_modules is\n");
    // Found by a relative core.hooksPath that git does not track.
    fixture.git(&["config", "core.hooksPath", "tools/hooks"]);
    script(
        &fixture,
        "tools/hooks/commit-msg",
        "test -e tools/check && test ! -e a && git cat-file -e :a || exit 1\n\
         echo \"Merged: $(git rev-parse MERGE_HEAD)\" >>\"$1\"",
    );
    script(&fixture, "tools/hooks/prepare-commit-msg", "echo \"Kind: $2\" >>\"$1\"");
    let draft = planned(&fixture, std::slice::from_ref(&a), Style::NoFf);
    let plan = sealed(&fixture, &draft, &[a], Style::NoFf, false).unwrap();
    let message = fixture.git(&["log", "-1", "--format=%B", plan.result.as_str()]);
    assert_eq!(message, format!("Merge a\n\nCx-Job: a\nKind: merge\nMerged: {tip}"));
    assert!(!fixture.root().join(".git/MERGE_HEAD").exists());
}

#[test]
fn a_squash_is_a_commit_and_runs_the_hooks_of_one() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    hook(&fixture, "pre-merge-commit", "exit 1");
    hook(&fixture, "pre-commit", "test -e a && ! git rev-parse -q --verify MERGE_HEAD");
    hook(&fixture, "prepare-commit-msg", "echo \"$2\" >>\"$1\"");
    let all = [a];
    let draft = planned(&fixture, &all, Style::Squash);
    let plan = sealed(&fixture, &draft, &all, Style::Squash, false).unwrap();
    let message = fixture.git(&["log", "-1", "--format=%B", plan.result.as_str()]);
    assert!(message.ends_with("\nsquash"), "{message}");
    // Nothing is merged where the branch only moves forward: as in git.
    let draft = planned(&fixture, &all, Style::Merge);
    assert_eq!(sealed(&fixture, &draft, &all, Style::Merge, false).unwrap().result, all[0].tip);
}

#[test]
fn the_editor_has_the_last_word_and_an_empty_message_ends_it_all() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let all = [a];
    let draft = planned(&fixture, &all, Style::NoFf);
    let edit = |editor: &str| {
        fixture.git(&["config", "core.editor", editor]);
        sealed(&fixture, &draft, &all, Style::NoFf, true)
    };
    let editor = fixture.beside("my editor");
    fs::write(
        &editor,
        "#!/bin/sh\ngrep -q '^# Please' \"$2\" || exit 9\nsed -i \"s/Merge a/$1/\" \"$2\"\n",
    )
    .unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let plan = edit(&format!("'{}' 'In other words'", editor.display())).unwrap();
    let message = fixture.git(&["log", "-1", "--format=%B", plan.result.as_str()]);
    assert_eq!(message, "In other words\n\nCx-Job: a");
    assert!(matches!(edit("false"), Err(MergeError::Editor(_))));
    assert!(matches!(edit("sed -i d"), Err(MergeError::EmptyMessage(job)) if job == "a"));
    // With hooks the same, through the other door.
    hook(&fixture, "commit-msg", "exit 0");
    assert!(matches!(edit("sed -i d"), Err(MergeError::EmptyMessage(_))));
    assert!(matches!(edit("false"), Err(MergeError::Editor(_))));
}

#[test]
fn a_scratch_worktree_that_a_crash_left_is_taken_by_the_next() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let all = [a];
    let state = fixture.beside("state");
    fs::create_dir_all(&state).unwrap();
    let left = state.join("merge-hooks");
    let make = || {
        fixture.git(&["worktree", "add", "-q", "--detach", left.to_str().unwrap()]);
    };
    make();
    hook(&fixture, "pre-merge-commit", "test -e a");
    let draft = planned(&fixture, &all, Style::NoFf);
    assert_eq!(sealed(&fixture, &draft, &all, Style::NoFf, false).unwrap().landed, [0]);
    make();
    clear(&fixture.place(), &state, &fixture.lock()).unwrap();
    assert!(!left.exists());
    assert!(!fixture.git(&["worktree", "list"]).contains("merge-hooks"));
}
