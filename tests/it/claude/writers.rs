//! A writer changes its worktree and nothing else.

use std::fs;

use serde_json::json;

use super::{Lab, end};
use crate::support::Script;

#[test]
fn a_writer_writes_in_its_worktree_and_cx_commits() {
    let lab = Lab::new();
    let file = lab.tree("wr").join("new.txt");
    let script = Script::new()
        .tool("Write", json!({ "file_path": file, "content": "hello\n" }))
        .shell("echo more >> new.txt; git commit -qam mine; git status --short")
        .say("Added the file.");
    lab.on("Add", script);
    let job = lab.run("wr", &["--write", "Add a file"], 0);
    assert_eq!(end(&job), ("succeeded", ""));
    assert_eq!(job["commits"], 1);
    assert_eq!(lab.sandbox.git(["show", "cx/wr:new.txt"]), "hello\nmore");
    let message = lab.sandbox.git(["log", "-1", "--format=%s%n%b", "cx/wr"]);
    assert!(message.starts_with("Added the file.\n"), "{message}");
    assert!(message.contains("Cx-Backend: claude"), "{message}");
    assert!(lab.logs("wr").contains("· editing new.txt\n"), "{}", lab.logs("wr"));
    assert_eq!(lab.sandbox.git(["status", "--porcelain"]), "");
}

#[test]
fn a_writer_cannot_write_into_the_checkout() {
    let lab = Lab::new();
    let (repo, beside) = (lab.sandbox.repo(), lab.sandbox.root().join("beside"));
    let command = format!(
        "echo x > {}/README.md; echo x > {}; sh -c 'touch {}/.git/hooks/pre-commit'; touch mine",
        repo.display(),
        beside.display(),
        repo.display()
    );
    let readme = repo.join("README.md");
    let script = Script::new()
        .shell(&command)
        .tool("Read", json!({ "file_path": readme }))
        .tool("Write", json!({ "file_path": readme, "content": "mine\n" }));
    lab.on("astray", script.say("Tried."));
    lab.run("wr", &["--write", "Go astray"], 0);
    assert_eq!(lab.sandbox.git(["status", "--porcelain"]), "");
    assert!(!beside.exists() && !repo.join(".git/hooks/pre-commit").exists());
    assert!(lab.tree("wr").join("mine").exists());
}

#[test]
fn more_folders_of_the_configuration_can_be_written_to() {
    let lab = Lab::new();
    let cache = lab.sandbox.root().join("cache");
    fs::create_dir(&cache).unwrap();
    let args = format!("[claude]\nargs = ['--add-dir={}', '--effort=low']\n", cache.display());
    fs::create_dir_all(lab.sandbox.root().join("config/cx")).unwrap();
    fs::write(lab.sandbox.root().join("config/cx/config.toml"), args).unwrap();
    let command = format!("echo x > {}/built && touch done", cache.display());
    lab.on("build", Script::new().shell(&command).say("Built."));
    lab.run("wr", &["--write", "build it"], 0);
    assert!(cache.join("built").exists() && lab.tree("wr").join("done").exists());
    lab.on("look", Script::new().shell(&format!("touch {}/looked", cache.display())).say("No."));
    lab.run("rd", &["look at it"], 0);
    assert!(!cache.join("looked").exists(), "a reader wrote");
}

#[test]
fn what_failed_is_committed_too() {
    let lab = Lab::new();
    lab.on("half", Script::new().shell("echo half > part").status(400));
    let job = lab.run("wr", &["--write", "half of it"], 1);
    assert_eq!(end(&job).0, "failed");
    assert_eq!(lab.sandbox.git(["show", "cx/wr:part"]), "half");
    assert!(lab.sandbox.git(["log", "-1", "--format=%s", "cx/wr"]).starts_with("[failed] "));
}
