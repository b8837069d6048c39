//! What is checked before anything starts, and what `cx doctor` says.

use std::fs;

use super::Lab;

#[test]
fn doctor_knows_claude() {
    let mut lab = Lab::new();
    let said = lab.cx(&["doctor"]).ok().stdout();
    for line in ["ok       claude  ", "ok       claude login ", "ok       claude readers "] {
        assert!(said.contains(line), "{line}: {said}");
    }
    lab.sandbox.set("ANTHROPIC_API_KEY", "");
    let said = lab.cx(&["doctor"]).code(1).stdout();
    assert!(said.contains("problem  claude login "), "{said}");
    lab.sandbox.set("CX_BACKEND", "sh");
    let said = lab.cx(&["doctor"]).ok().stdout();
    assert!(said.contains("note     claude login "), "{said}");
    fs::remove_file(lab.sandbox.root().join("bin/claude")).unwrap();
    let said = lab.cx(&["doctor"]).ok().stdout();
    assert!(!said.contains("  claude "), "{said}");
    lab.sandbox.set("CX_BACKEND", "claude");
    let said = lab.cx(&["doctor"]).code(1).stdout();
    assert!(said.contains("npm install -g @anthropic-ai/claude-code"), "{said}");
}

#[test]
fn what_cannot_work_starts_nothing() {
    let lab = Lab::new();
    let config = lab.sandbox.root().join("config/cx");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.toml"), "[claude]\nargs = ['--permission-mode=plan']\n").unwrap();
    let refused = lab.cx(&["spawn", "hello"]).code(2).stderr();
    assert!(refused.contains("the job's mode chooses the permissions"), "{refused}");
    assert!(refused.contains("change claude.args"), "{refused}");
    fs::remove_file(config.join("config.toml")).unwrap();
    fs::remove_file(lab.sandbox.root().join("bin/claude")).unwrap();
    let missing = lab.cx(&["spawn", "hello"]).code(127).stderr();
    assert!(missing.contains("claude was not found on PATH; nothing was started"), "{missing}");
    assert!(!lab.sandbox.repo().join(".git/cx/ledger.jsonl").exists());
}

#[test]
fn a_script_of_a_repository_is_used_only_when_trusted() {
    let lab = Lab::new();
    let mark = lab.sandbox.root().join("ran");
    lab.sandbox.write("evil", format!("#!/bin/sh\ntouch {}\n", mark.display()));
    lab.sandbox.write(".cx/config.toml", "[claude]\nprogram = './evil'\n");
    let spawned = lab.cx(&["spawn", "-n", "x", "hello"]).ok();
    assert!(spawned.stderr().contains("claude.program"), "{spawned}");
    lab.cx(&["wait", "x"]).ok();
    assert!(!mark.exists(), "the repository chose the program");
}
