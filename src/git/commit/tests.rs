use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::git::testing::{Fixture, commit, git, write};

fn message() -> CommitMessage {
    CommitMessage {
        subject: "Add the\nthing".into(),
        body: "Because.\n".into(),
        trailers: vec![("Cx-Job".into(), "3".into()), ("Cx-Agent".into(), "coder".into())],
    }
}

fn keep(fixture: &Fixture, tree: &Path) -> Kept {
    let place = fixture.place();
    let what = Leftovers {
        place: &place,
        worktree: tree,
        branch: "cx/a",
        name: "a",
        message: &message(),
        merges: None,
    };
    leftovers(&what).expect("kept")
}

fn files(fixture: &Fixture, rev: &str) -> Vec<String> {
    fixture.git(&["ls-tree", "-r", "--name-only", rev]).lines().map(str::to_owned).collect()
}

#[test]
fn everything_that_is_not_ignored_is_committed() {
    let fixture = Fixture::new();
    fixture.write(".gitignore", "*.log\n");
    fixture.write("old", "a\nb\nc\nd\n");
    fixture.commit("more");
    let tree = fixture.worktree("a");
    fs::rename(tree.join("old"), tree.join("renamed")).unwrap();
    fs::remove_file(tree.join("README")).unwrap();
    fs::set_permissions(tree.join("src/lib"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(tree.join(OsStr::from_bytes(b"odd\n\xff\"")), "x").unwrap();
    symlink("/etc/hostname", tree.join("link")).unwrap();
    write(&tree, "a.log", "ignored");
    write(&tree, "-n", "dash");
    let kept = keep(&fixture, &tree);
    assert_eq!(kept.notes, []);
    assert_eq!(kept.tip, kept.commit);
    assert_eq!(kept.commit, Some(fixture.oid("cx/a")));
    let expected = ["-n", ".gitignore", "link", "\"odd\\n\\377\\\"\"", "renamed", "src/lib"];
    assert_eq!(files(&fixture, "cx/a"), expected);
    assert!(fixture.git(&["ls-tree", "cx/a", "src/lib"]).starts_with("100755 "));
    assert_eq!(
        fixture.git(&["log", "-1", "--format=%an %ae%n%B", "cx/a"]),
        "Ada ada@example.org\nAdd the thing\n\nBecause.\n\nCx-Job: 3\nCx-Agent: coder\n".trim_end()
    );
    assert_eq!(fixture.git(&["log", "-1", "--format=%(trailers:key=Cx-Job)", "cx/a"]), "Cx-Job: 3");
    assert!(worktree::state(&fixture.place(), &tree, None).unwrap().is_clean());
    let again = keep(&fixture, &tree);
    assert_eq!((again.commit, again.tip, again.notes), (None, kept.tip, vec![]));
}

#[test]
fn hooks_signing_and_a_missing_identity_stop_nothing() {
    let fixture = Fixture::new();
    for hook in ["pre-commit", "commit-msg", "reference-transaction"] {
        let path = format!(".git/hooks/{hook}");
        fixture.write(&path, "#!/bin/sh\nexit 1\n");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(fixture.root().join(path), executable).unwrap();
    }
    fixture.git(&["config", "commit.gpgSign", "true"]);
    fixture.git(&["config", "gpg.program", "/bin/false"]);
    fixture.git(&["config", "--unset", "user.name"]);
    fixture.git(&["config", "--unset", "user.email"]);
    fixture.git(&["config", "user.useConfigOnly", "true"]);
    let tree = fixture.worktree("a");
    write(&tree, "new", "x");
    let kept = keep(&fixture, &tree);
    assert_eq!(kept.notes, [Note::FallbackIdentity]);
    assert_eq!(fixture.git(&["log", "-1", "--format=%an %ce", "cx/a"]), "cx cx@localhost");
}

#[test]
fn nested_repositories_are_named_and_stay() {
    let fixture = Fixture::new();
    let tree = fixture.worktree("a");
    for name in ["empty repo", "full"] {
        fs::create_dir(tree.join(name)).unwrap();
        git(&tree.join(name), &["init", "-q"]);
        write(&tree.join(name), "file", "x");
    }
    git(&tree.join("full"), &["config", "user.name", "w"]);
    git(&tree.join("full"), &["config", "user.email", "w@w"]);
    commit(&tree.join("full"), "inner");
    write(&tree, "new", "x");
    let kept = keep(&fixture, &tree);
    assert_eq!(kept.notes, [Note::Nested("empty repo".into()), Note::Nested("full".into())]);
    assert_eq!(files(&fixture, "cx/a"), ["README", "new", "src/lib"]);
    assert!(tree.join("full/file").exists());
    assert_eq!(
        worktree::state(&fixture.place(), &tree, None).unwrap().untracked.len(),
        2,
        "clean must see them"
    );
}

#[test]
fn a_killed_git_and_a_broken_index_are_mended() {
    let fixture = Fixture::new();
    let tree = fixture.worktree("a");
    let admin = worktree::admin_dir(&fixture.place(), &tree).unwrap();
    for content in [Some("garbage that is no index"), None] {
        write(&tree, "new", content.unwrap_or("second"));
        write(&admin, "index.lock", "");
        match content {
            Some(text) => write(&admin, "index", text),
            None => fs::remove_file(admin.join("index")).unwrap(),
        }
        let kept = keep(&fixture, &tree);
        assert_eq!(kept.notes, [Note::StaleLock(admin.join("index.lock")), Note::IndexRebuilt]);
        assert_eq!(files(&fixture, "cx/a"), ["README", "new", "src/lib"]);
        assert!(worktree::state(&fixture.place(), &tree, None).unwrap().is_clean());
    }
    assert_eq!(fixture.git(&["show", "cx/a:new"]), "second");
}

#[test]
fn a_broken_index_of_a_sparse_worktree_deletes_nothing() {
    let fixture = Fixture::new();
    fixture.write("docs/page", "text\n");
    fixture.write("docs/gone", "text\n");
    fixture.commit("docs");
    fixture.git(&["sparse-checkout", "set", "docs"]);
    let tree = fixture.worktree("a");
    let admin = worktree::admin_dir(&fixture.place(), &tree).unwrap();
    write(&admin, "index", "garbage");
    write(&tree, "src/outside", "x");
    fs::remove_file(tree.join("docs/gone")).unwrap();
    let kept = keep(&fixture, &tree);
    assert_eq!(kept.notes, [Note::IndexRebuilt]);
    assert_eq!(files(&fixture, "cx/a"), ["README", "docs/page", "src/lib", "src/outside"]);
}

#[test]
fn work_on_another_branch_comes_to_the_jobs_branch() {
    let fixture = Fixture::new();
    let tree = fixture.worktree("a");
    git(&tree, &["checkout", "-q", "-b", "own"]);
    let own = commit(&tree, "own commit");
    write(&tree, "new", "x");
    let kept = keep(&fixture, &tree);
    assert_eq!(kept.notes, [Note::Elsewhere(Some("own".into()))]);
    assert_eq!(fixture.oid("cx/a^"), own);
    assert_eq!(fixture.oid("own"), own, "the worker's branch stays where it was");
    assert_eq!(git(&tree, &["symbolic-ref", "HEAD"]), "refs/heads/cx/a");
    assert!(worktree::state(&fixture.place(), &tree, None).unwrap().is_clean());
    // Also when the worker renamed the job's branch.
    git(&tree, &["branch", "-m", "renamed"]);
    let kept = keep(&fixture, &tree);
    assert_eq!(kept.notes, [Note::Elsewhere(Some("renamed".into()))]);
    assert_eq!(kept.tip, Some(fixture.oid("renamed")));
}

#[test]
fn work_that_parted_from_the_jobs_branch_is_kept_beside_it() {
    let fixture = Fixture::new();
    let start = fixture.oid("HEAD");
    let tree = fixture.worktree("a");
    let tip = commit(&tree, "on the branch");
    git(&tree, &["checkout", "-q", "--detach", start.as_str()]);
    write(&tree, "new", "x");
    let kept = keep(&fixture, &tree);
    let stray = kept.commit.clone().unwrap();
    let name = "refs/cx/stray/a".to_owned();
    assert_eq!(kept.notes, [Note::Stray { name: name.clone(), oid: stray.clone() }]);
    assert_eq!((kept.tip, fixture.oid(&name)), (Some(tip), stray.clone()));
    assert_eq!(git(&tree, &["rev-parse", "HEAD"]), stray.to_string());
    assert!(worktree::state(&fixture.place(), &tree, None).unwrap().is_clean());
    // An orphan has no history at all in common.
    git(&tree, &["checkout", "-q", "--orphan", "orphan"]);
    write(&tree, "newer", "x");
    let kept = keep(&fixture, &tree);
    assert!(matches!(&kept.notes[..], [Note::Stray { name, .. }] if name == "refs/cx/stray/a-2"));
}

#[test]
fn an_unfinished_merge_or_rebase_is_said_and_its_files_kept() {
    let fixture = Fixture::new();
    let tree = fixture.worktree("a");
    write(&tree, "README", "ours\n");
    let ours = commit(&tree, "ours");
    fixture.write("README", "theirs\n");
    fixture.commit("theirs");
    let merge = Git::at(&tree).args(["merge", "-q", "main"]).output().unwrap();
    assert_eq!(merge.code(), 1);
    let kept = keep(&fixture, &tree);
    assert_eq!(kept.notes, [Note::Unfinished("merge")]);
    assert_eq!(fixture.oid("cx/a^"), ours);
    assert!(fixture.git(&["show", "cx/a:README"]).contains("<<<<<<<"));

    git(&tree, &["merge", "--quit"]);
    git(&tree, &["reset", "-q", "--hard", ours.as_str()]);
    let rebase = Git::at(&tree).args(["rebase", "-q", "main"]).output().unwrap();
    assert_eq!(rebase.code(), 1);
    let kept = keep(&fixture, &tree);
    assert!(matches!(&kept.notes[..], [Note::Unfinished("rebase"), Note::Stray { .. }]));
    assert_eq!(kept.tip, Some(ours));
}

#[test]
fn a_missing_or_replaced_git_file_loses_nothing() {
    let fixture = Fixture::new();
    let tree = fixture.worktree("a");
    fs::remove_file(tree.join(".git")).unwrap();
    write(&tree, "one", "x");
    assert_eq!(keep(&fixture, &tree).notes, [Note::GitFile]);
    assert!(worktree::state(&fixture.place(), &tree, None).unwrap().is_clean());
    fs::remove_file(tree.join(".git")).unwrap();
    git(&tree, &["init", "-q"]);
    write(&tree, "two", "x");
    assert_eq!(keep(&fixture, &tree).notes, [Note::GitFile, Note::Nested(".git".into())]);
    assert_eq!(files(&fixture, "cx/a"), ["README", "one", "src/lib", "two"]);
    let state = worktree::state(&fixture.place(), &tree, None).unwrap();
    assert_eq!((state.uncommitted, state.untracked), (vec![], vec![".git/".into()]));
    assert_eq!(state.head.branch(), Some("cx/a"));
}

#[test]
fn messages_are_one_subject_a_body_and_trailers() {
    let message = CommitMessage { subject: "\0 \n".into(), ..CommitMessage::default() };
    assert_eq!(message.to_string(), "(no subject)\n");
    let trailers = vec![("Cx-Job".to_owned(), "a\nb".to_owned())];
    let message = CommitMessage { subject: "s".into(), trailers, ..CommitMessage::default() };
    assert_eq!(message.to_string(), "s\n\nCx-Job: a b\n");
}

#[test]
fn repositories_that_only_git_can_read_are_committed_to_as_well() {
    for option in ["--object-format=sha256", "--ref-format=reftable"] {
        let fixture = Fixture::with(&[option]);
        let tree = fixture.worktree("a");
        write(&tree, "new", "x");
        let kept = keep(&fixture, &tree);
        assert_eq!((kept.tip, kept.notes), (kept.commit, vec![]), "{option}");
        assert_eq!(files(&fixture, "cx/a"), ["README", "new", "src/lib"]);
    }
}
