//! Where a job may be spawned, and where its worker then stands.

use std::fs;
use std::path::Path;

use crate::support::{Output, Sandbox};

/// `cx ...` in another folder of the sandbox.
#[track_caller]
fn cx_in(sandbox: &Sandbox, folder: &Path, args: &[&str]) -> Output {
    let mut command = sandbox.cx_command(args);
    command.current_dir(folder);
    sandbox.run(command)
}

#[test]
fn a_worker_starts_in_the_same_subfolder() {
    let sandbox = Sandbox::new();
    sandbox.write("a/b/file", "committed\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "files"]);
    let folder = sandbox.repo().join("a/b");
    cx_in(&sandbox, &folder, &["spawn", "-b", "sh", "-n", "r", "pwd; cat file"]).ok();
    cx_in(&sandbox, &folder, &["spawn", "-b", "sh", "-w", "-n", "w", "pwd; echo new > file"]).ok();
    cx_in(&sandbox, &folder, &["wait"]).ok();
    let r = sandbox.cx(["logs", "r"]).ok().stdout();
    assert_eq!(sandbox.redact(&r), "[ROOT]/repo/a/b\ncommitted\n");
    let w = sandbox.cx(["logs", "w"]).ok().stdout();
    assert_eq!(sandbox.redact(&w), "[ROOT]/repo.cx/w/a/b\n");
    cx_in(&sandbox, &folder, &["merge"]).ok();
    assert_eq!(sandbox.read("a/b/file"), "new\n");
}

#[test]
fn a_subfolder_that_git_does_not_know_is_there_for_the_worker() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.repo().join("empty")).unwrap();
    let folder = sandbox.repo().join("empty");
    cx_in(&sandbox, &folder, &["spawn", "-b", "sh", "-w", "-n", "w", "echo x > here"]).ok();
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.lines(["diff", "--name-only", "w"]), ["empty/here"]);
}

#[test]
fn without_commits_a_reader_works_and_a_writer_is_told() {
    let sandbox = Sandbox::without_repository();
    sandbox.git(["init", "-q", "-b", "main"]);
    let refused = sandbox.cx(["spawn", "-b", "sh", "-w", "true"]);
    let refused = refused.refused(2, "branch 'main' has no commits yet");
    assert!(refused.stderr().contains("git commit --allow-empty"), "{refused}");
    sandbox.assert_nothing_started(&refused);
    sandbox.spawn_sh(["-n", "r", "echo read"]);
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.cx(["logs", "r"]).ok().stdout(), "read\n");
    assert_eq!(sandbox.cx(["merge"]).code(1).stdout(), "");
}

#[test]
fn a_bare_repository_has_writers_and_readers() {
    let sandbox = Sandbox::new();
    let bare = sandbox.root().join("bare.git");
    sandbox.git(["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    cx_in(&sandbox, &bare, &["spawn", "-b", "sh", "-w", "-n", "w", "pwd; echo x > f"]).ok();
    cx_in(&sandbox, &bare, &["spawn", "-b", "sh", "-n", "r", "pwd"]).ok();
    cx_in(&sandbox, &bare, &["wait"]).ok();
    let said = cx_in(&sandbox, &bare, &["logs", "w"]).ok().stdout();
    assert_eq!(sandbox.redact(&said), "[ROOT]/bare.cx/w\n");
    let said = cx_in(&sandbox, &bare, &["logs", "r"]).ok().stdout();
    assert_eq!(sandbox.redact(&said), "[ROOT]/bare.git\n");
    cx_in(&sandbox, &bare, &["merge"]).ok();
    cx_in(&sandbox, &bare, &["collect"]).ok();
    let mut show = sandbox.command("git");
    show.args(["-C", bare.to_str().unwrap(), "show", "main:f"]);
    assert_eq!(sandbox.run(show).ok().stdout(), "x\n");
    let cleaned = cx_in(&sandbox, &bare, &["clean"]).ok();
    assert!(cleaned.stdout().contains("[1] w removed worktree, branch and files"), "{cleaned}");
}

#[test]
fn a_detached_head_is_the_base_and_merging_needs_a_branch() {
    let sandbox = Sandbox::new();
    sandbox.git(["commit", "-q", "--allow-empty", "-m", "second"]);
    sandbox.git(["checkout", "-q", "--detach", "HEAD~1"]);
    sandbox.written("w", "echo x > f");
    let base = sandbox.git(["rev-parse", "HEAD"]);
    assert_eq!(sandbox.job("w")["base"], base);
    let refused = sandbox.cx(["merge"]).refused(2, "nothing was merged");
    assert!(refused.stderr().contains("--into"), "{refused}");
    assert_eq!(sandbox.git(["rev-parse", "HEAD"]), base);
    sandbox.cx(["merge", "--into", "main"]).ok();
    assert_eq!(sandbox.git(["show", "main:f"]), "x");
    assert_eq!(sandbox.git(["rev-parse", "HEAD"]), base);
}

/// One state for a repository, whichever of its worktrees one stands in.
#[test]
fn from_another_worktree_it_is_the_same_repository() {
    let sandbox = Sandbox::new();
    let linked = sandbox.root().join("linked");
    sandbox.git(["worktree", "add", "-q", "-b", "topic", linked.to_str().unwrap()]);
    let mut commit = sandbox.command("git");
    commit.current_dir(&linked).args(["commit", "-q", "--allow-empty", "-m", "on topic"]);
    sandbox.run(commit).ok();
    cx_in(&sandbox, &linked, &["spawn", "-b", "sh", "-w", "-n", "w", "pwd; echo x > f"]).ok();
    cx_in(&sandbox, &linked, &["spawn", "-b", "sh", "-n", "r", "pwd"]).ok();
    sandbox.cx(["wait"]).ok();
    let said = sandbox.cx(["logs", "w"]).ok().stdout();
    assert_eq!(sandbox.redact(&said), "[ROOT]/repo.cx/w\n");
    assert_eq!(sandbox.redact(&sandbox.cx(["logs", "r"]).ok().stdout()), "[ROOT]/linked\n");
    assert_eq!(sandbox.job("w")["base"], sandbox.git(["rev-parse", "topic"]));
    // Merged where one stands, and nowhere else.
    let main = sandbox.git(["rev-parse", "main"]);
    let merged = cx_in(&sandbox, &linked, &["merge"]).ok();
    assert!(merged.stdout().contains("merged into topic"), "{merged}");
    assert_eq!(fs::read_to_string(linked.join("f")).unwrap(), "x\n");
    assert_eq!(sandbox.git(["rev-parse", "main"]), main);
    assert!(!sandbox.repo().join("f").exists());
}

#[test]
fn a_base_other_than_head() {
    let sandbox = Sandbox::new();
    sandbox.git(["tag", "old"]);
    sandbox.git(["commit", "-q", "--allow-empty", "-m", "second"]);
    sandbox.spawn_sh(["-w", "-n", "w", "--base", "old", "git log --format=%s"]);
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.cx(["logs", "w"]).ok().stdout(), "The first commit\n");
}

#[test]
fn outside_of_a_repository_there_are_readers_only() {
    let sandbox = Sandbox::without_repository();
    let refused = sandbox.cx(["spawn", "-b", "sh", "-w", "true"]);
    refused.refused(2, "a writer needs a git repository");
    sandbox.spawn_sh(["-n", "r", "pwd; echo x > f"]);
    sandbox.cx(["wait", "r"]).code(2);
    let said = sandbox.cx(["logs", "r"]).ok().stdout();
    assert_eq!(sandbox.redact(&said), "[ROOT]/repo\n");
    assert!(!sandbox.repo().join("f").exists());
    assert_eq!(sandbox.lines(["jobs"]).len(), 1);
    sandbox.cx(["collect"]).code(1);
    sandbox.cx(["merge"]).refused(2, "merge needs a git repository");
    sandbox.cx(["clean"]).ok();
    assert!(fs::read_dir(sandbox.repo()).unwrap().next().is_none(), "nothing is made there");
}

#[test]
fn another_folder_by_c() {
    let sandbox = Sandbox::new();
    let home = sandbox.root().join("home");
    let repo = sandbox.repo();
    cx_in(&sandbox, &home, &["-C", repo.to_str().unwrap(), "spawn", "-b", "sh", "pwd"]).ok();
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.redact(&sandbox.cx(["logs", "1"]).ok().stdout()), "[ROOT]/repo\n");
    cx_in(&sandbox, &home, &["-C", "absent", "jobs"]).refused(2, "absent");
}

#[test]
fn a_writer_leaves_the_checkout_as_it_was() {
    let sandbox = Sandbox::new();
    sandbox.write("README.md", "changed\n");
    sandbox.write("staged", "x");
    sandbox.git(["add", "staged"]);
    sandbox.write("untracked", "x");
    let state = || {
        let index = fs::read(sandbox.repo().join(".git/index")).unwrap();
        (index, sandbox.git(["status", "--porcelain"]), sandbox.read("README.md"))
    };
    let before = state();
    sandbox.written("w", "cat README.md; ls; echo y > README.md; echo y > untracked");
    assert_eq!(sandbox.cx(["logs", "w"]).ok().stdout(), "A repository to work in.\nREADME.md\n");
    assert!(before == state(), "the checkout or its index has changed");
}

#[test]
fn a_program_of_the_repository_is_meant_from_where_the_worker_stands() {
    let sandbox = Sandbox::new();
    sandbox.write("sub/tool", "#!/bin/sh\necho \"$1 in $(basename \"$PWD\")\"\n");
    sandbox.git(["add", "--all"]);
    sandbox.git(["update-index", "--chmod=+x", "sub/tool"]);
    sandbox.git(["commit", "--quiet", "--message=A tool"]);
    sandbox.sh("chmod +x sub/tool").ok();
    for mode in ["--write", "--read"] {
        let mut command = sandbox.cx_command(["spawn", "-b", "sh", mode, "--", "./tool", "ran"]);
        command.current_dir(sandbox.repo().join("sub"));
        sandbox.run(command).ok();
        sandbox.cx(["wait", "%+"]).ok();
        let said = sandbox.cx(["collect", "%+", "--format", "{message}"]).ok().stdout();
        assert_eq!(said, "ran in sub\n", "{mode}");
    }
}
