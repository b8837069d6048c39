//! `cx apply`: all or nothing, and nothing but files.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::Sandbox;

const WORK: &str = "echo more >> README.md; mkdir src; echo new > src/new; echo other > other";

#[test]
fn the_changes_are_there_uncommitted_and_the_job_stays_unmerged() {
    let sandbox = Sandbox::new();
    sandbox.written("a", WORK);
    let (head, index) = (sandbox.git(["rev-parse", "HEAD"]), sandbox.repo().join(".git/index"));
    let before = fs::read(&index).unwrap();
    let output = sandbox.cx(["apply", "--check", "a"]).ok();
    assert_eq!(output.stdout(), "[1] a would fit, uncommitted (3 files)\n");
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
    sandbox.cx(["apply", "a", "src", "README.md"]).ok();
    assert_eq!(fs::read(&index).unwrap(), before);
    assert_eq!(sandbox.git(["status", "--porcelain"]), " M README.md\n?? src/");
    assert_eq!(sandbox.git(["rev-parse", "HEAD"]), head);
    sandbox.cx(["apply", "a", "src"]).refused(1, "have these changes already; nothing was changed");
    sandbox.cx(["apply", "a", "elsewhere"]).code(1);
    // Pathspecs are as seen from the folder one stands in.
    fs::remove_file(sandbox.repo().join("src/new")).unwrap();
    sandbox.cx(["-C", "src", "apply", "a", "new"]).ok();
    assert_eq!(sandbox.read("src/new"), "new\n");
    assert!(!sandbox.repo().join("other").exists());
    let output = sandbox.cx(["-C", "src", "apply", "a", "../other"]).ok();
    assert_eq!(output.stdout(), "[1] a applied, uncommitted (1 file)\n");
    assert_eq!(sandbox.read("other"), "other\n");
    sandbox.git(["checkout", "--quiet", "."]);
    sandbox.git(["clean", "-fdq"]);
    sandbox.cx(["merge"]).ok();
}

#[test]
fn whatever_is_in_the_way_is_named_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    sandbox.written("a", WORK);
    let refused = |what: &str| {
        let output = sandbox.cx(["apply", "a"]).refused(1, what);
        assert!(output.stderr().contains("nothing was changed"), "{output}");
    };
    // An untracked file.
    sandbox.write("other", "mine\n");
    refused("other: already exists in working directory");
    assert_eq!(sandbox.git(["status", "--porcelain"]), "?? other");
    assert_eq!(sandbox.read("other"), "mine\n");
    fs::remove_file(sandbox.repo().join("other")).unwrap();
    // Local changes in the same place.
    sandbox.write("README.md", "Mine.\n");
    refused("README.md: patch does not apply");
    assert_eq!(sandbox.git(["status", "--porcelain"]), " M README.md");
    sandbox.git(["checkout", "--quiet", "."]);
    // A link to a folder outside, where a folder should be.
    let outside = sandbox.root().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, sandbox.repo().join("src")).unwrap();
    refused("'src/new' is beyond a symbolic link");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(sandbox.git(["status", "--porcelain"]), "?? src");
}

#[test]
fn of_a_live_job_comes_what_lies_there_now() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("go");
    sandbox.writer("a", &format!("echo half > half; {}", gate.pass()));
    gate.arrived();
    sandbox.cx(["apply", "a"]).ok();
    assert_eq!(sandbox.read("half"), "half\n");
    gate.open();
    sandbox.cx(["wait", "a"]).ok();
}

#[test]
fn readers_and_unknown_jobs_have_nothing_to_apply() {
    let sandbox = Sandbox::new();
    sandbox.reader("r", "true");
    sandbox.cx(["apply", "r"]).refused(1, "[1] r is a reader and changes nothing");
    sandbox.cx(["apply", "nobody"]).refused(127, "no such job: nobody");
}
