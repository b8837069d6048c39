//! Writers: what they leave is committed for them, and merged.

use std::fs;

use super::{Lab, end};
use crate::support::Script;

const EDIT: &str = "*** Begin Patch\n*** Update File: README.md\n@@\n-A repository to work in.\n\
                    +Another line.\n*** End Patch\n";

#[test]
fn an_edit_by_the_patch_tool_is_committed_and_merged() {
    let lab = Lab::new();
    let script = Script::new()
        .write("src/auth.rs", "// one\n// two\n")
        .patch(EDIT)
        .say("**Refresh tokens before they expire**\n\nDetails follow.");
    lab.on("refresh", script);
    let (job, said) = lab.run("auth", &["-t", "coder", "Implement the refresh"], 0);
    assert_eq!(said, "");
    assert_eq!(end(&job), ("succeeded", ""));
    assert_eq!((&job["commits"], &job["files"]), (&1.into(), &2.into()));
    assert_eq!(job["branch"], "cx/auth");
    // The checkout is as it was.
    assert_eq!(lab.sandbox.git(["status", "--porcelain"]), "");
    assert_eq!(lab.sandbox.git(["rev-list", "--count", "main"]), "1");
    let message = lab.sandbox.git(["log", "-1", "--format=%B", "cx/auth"]);
    assert_eq!(
        message.trim_end(),
        "Refresh tokens before they expire\n\nCx-Job: 1 auth\nCx-Backend: codex\nCx-Agent: coder"
    );
    assert_eq!(
        lab.sandbox.git(["log", "-1", "--format=%an <%ae>", "cx/auth"]),
        "Test <test@example.com>"
    );
    assert_eq!(lab.sandbox.git(["status", "--porcelain", "--ignored"]), "");

    lab.cx(&["merge"]).ok();
    assert_eq!(lab.sandbox.read("src/auth.rs"), "// one\n// two\n");
    assert_eq!(lab.sandbox.read("README.md"), "Another line.\n");
    assert_eq!(lab.sandbox.git(["status", "--porcelain"]), "");
}

#[test]
fn files_that_a_command_made_are_committed() {
    let lab = Lab::new();
    lab.sandbox.write("old", "old\n");
    lab.sandbox.write("run.sh", "true\n");
    lab.sandbox.git(["add", "--all"]);
    lab.sandbox.git(["commit", "--quiet", "--message=More"]);
    let script = "mkdir -p a/b && echo new > a/b/c && rm old && chmod +x run.sh";
    lab.on("shuffle", Script::new().shell(script).say("Shuffled the files."));
    let (job, _) = lab.run("files", &["--write", "shuffle the files"], 0);
    assert_eq!(job["commits"], 1);
    let changed = lab.sandbox.git(["diff", "--summary", "main", "cx/files"]);
    let changed: Vec<_> = changed.lines().map(str::trim).collect();
    assert_eq!(
        changed,
        [
            "create mode 100644 a/b/c",
            "delete mode 100644 old",
            "mode change 100644 => 100755 run.sh"
        ]
    );
    lab.cx(&["merge", "files"]).ok();
    assert_eq!(lab.sandbox.read("a/b/c"), "new\n");
}

#[test]
fn a_worker_cannot_commit_and_its_work_is_kept_all_the_same() {
    let lab = Lab::new();
    let script = "echo new > new && git add new && git commit -m mine; true";
    lab.on("commit", Script::new().shell(script).say("Could not commit."));
    let (job, _) = lab.run("mine", &["--write", "commit something"], 0);
    assert_eq!(job["commits"], 1);
    let log = lab.cx(&["logs", "--raw", "mine"]).ok().stdout();
    assert!(log.contains("Read-only file system"), "{log}");
    let subject = lab.sandbox.git(["log", "-1", "--format=%s", "cx/mine"]);
    assert_eq!(subject, "Could not commit.");
}

#[test]
fn a_writer_that_changes_nothing_leaves_no_commit() {
    let lab = Lab::new();
    lab.on("look", Script::new().say("Nothing to do."));
    let (job, _) = lab.run("idle", &["--write", "look around"], 0);
    assert_eq!(job["commits"], 0);
    assert_eq!(job["tip"], job["base"]);
    assert!(lab.tree("idle").is_dir());
}

#[test]
fn a_writer_starts_in_the_subfolder_and_owns_the_whole_tree() {
    let lab = Lab::new();
    lab.sandbox.write("docs/guide.md", "The guide.\n");
    lab.sandbox.git(["add", "--all"]);
    lab.sandbox.git(["commit", "--quiet", "--message=Docs"]);
    lab.on("subfolder", Script::new().shell("pwd > here && echo top > ../top").say("Both."));
    let mut spawn = lab.sandbox.cx_command(["spawn", "-n", "sub", "-w", "in a subfolder"]);
    spawn.current_dir(lab.sandbox.repo().join("docs"));
    lab.sandbox.run(spawn).ok();
    lab.cx(&["wait", "sub"]).ok();
    let here = lab.sandbox.git(["show", "cx/sub:docs/here"]);
    assert!(here.ends_with("repo.cx/sub/docs"), "{here}");
    assert_eq!(lab.sandbox.git(["show", "cx/sub:top"]), "top");
}

#[test]
fn two_writers_of_one_file_conflict_and_one_is_held_back() {
    let lab = Lab::new();
    let edit = |line: &str| EDIT.replace("Another line.", line);
    lab.on("first way", Script::new().patch(&edit("The first way.")).say("First."));
    lab.on("second way", Script::new().patch(&edit("The second way.")).say("Second."));
    lab.on("elsewhere", Script::new().write("other.md", "Other.\n").say("Third."));
    lab.spawn("one", &["--write", "the first way"]);
    lab.spawn("two", &["--write", "the second way"]);
    lab.spawn("three", &["--write", "work elsewhere"]);
    lab.cx(&["wait"]).ok();
    let merged = lab.cx(&["merge"]).code(1);
    let said = format!("{}{}", merged.stdout(), merged.stderr());
    assert!(said.contains("two") && said.contains("README.md") && said.contains("one"), "{said}");
    assert_eq!(lab.sandbox.read("README.md"), "The first way.\n");
    assert_eq!(lab.sandbox.read("other.md"), "Other.\n");
    assert_eq!(lab.sandbox.git(["status", "--porcelain"]), "");
    // What was held back is all there.
    assert_eq!(lab.sandbox.git(["show", "cx/two:README.md"]), "The second way.");
    assert_eq!(
        lab.cx(&["path", "two"]).ok().stdout().trim_end(),
        lab.tree("two").display().to_string()
    );
}

#[test]
fn empty_folders_of_codex_are_not_left_in_the_worktree() {
    let lab = Lab::new();
    lab.sandbox.write(".agents/role.md", "A role.\n");
    lab.sandbox.write("docs/guide.md", "The guide.\n");
    lab.sandbox.git(["add", "--all"]);
    lab.sandbox.git(["commit", "--quiet", "--message=An agent and a guide"]);
    let gate = lab.sandbox.gate("gate");
    lab.on("long", Script::new().shell(&format!("echo new > new; {}", gate.pass())));
    let mut spawn = lab.sandbox.cx_command(["spawn", "-n", "long", "--write", "a long command"]);
    spawn.current_dir(lab.sandbox.repo().join("docs"));
    lab.sandbox.run(spawn).ok();
    gate.arrived();
    // Both folders that the worker may write to have them now.
    assert!(lab.tree("long").join(".codex").exists());
    assert!(lab.tree("long").join("docs/.codex").exists());
    lab.cx(&["kill", "-s", "INT", "long"]).ok();
    let names = |folder: &str| {
        let entries = fs::read_dir(lab.tree("long").join(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(""), [".agents", ".git", "README.md", "docs"]);
    assert_eq!(names(".agents"), ["role.md"]);
    assert_eq!(names("docs"), ["guide.md", "new"]);
}

#[test]
fn a_job_that_fails_has_its_work_committed_and_marked() {
    let lab = Lab::new();
    // The first request is answered by a tool call, the second fails.
    lab.on("half", Script::new().write("half.txt", "half\n").fail("server_error", "Gone."));
    let (job, _) = lab.run("half", &["--write", "do one half"], 1);
    assert_eq!(job["status"], "failed");
    assert_eq!(job["commits"], 1);
    let message = lab.sandbox.git(["log", "-1", "--format=%B", "cx/half"]);
    assert!(message.starts_with("[failed] do one half\n\nLeft behind by a job"), "{message}");
    assert!(message.contains("\nCx-Outcome: failed"), "{message}");
    assert_eq!(lab.sandbox.git(["show", "cx/half:half.txt"]), "half");
    // It is not merged unless it is named.
    let merged = lab.cx(&["merge"]);
    assert!(!lab.sandbox.repo().join("half.txt").exists(), "{merged}");
}
