//! `scripts/demo`, which is what a newcomer runs first.

use std::fs;
use std::path::Path;

use super::support::{Sandbox, Terminal};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo");

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::without_repository();
    for tool in ["mktemp", "realpath", "sleep"] {
        sandbox.add_tool(tool);
    }
    sandbox
}

fn demo(sandbox: &Sandbox, bin: &Path) -> super::support::Output {
    let mut command = sandbox.command("bash");
    command.arg(DEMO).arg("--bin").arg(bin);
    sandbox.run(command)
}

fn assert_nothing_is_left(sandbox: &Sandbox) {
    for folder in ["tmp", "home", "config", "state", "repo"] {
        let left: Vec<_> = fs::read_dir(sandbox.root().join(folder)).unwrap().collect();
        assert!(left.is_empty(), "in {folder}: {left:?}");
    }
}

#[test]
fn it_plays_the_main_job_and_leaves_nothing() {
    let mut sandbox = sandbox();
    // What somebody has set must not make it go another way.
    sandbox.set("CX_RUN", "theirs");
    sandbox.set("CX_MAX_JOBS", "1");
    sandbox.set("GIT_DIR", "/nowhere");
    let said = demo(&sandbox, &sandbox.root().join("bin/cx")).ok();
    assert_eq!(said.stderr(), "");
    let shown = said.stdout();
    let mut rest = shown.as_str();
    for line in [
        "[1] price\n",
        "[4] lint\n",
        "$ cx jobs\n",
        "$ cx wait\ncx: [4] lint failed 3: ended with exit code 3: no such linter\n# exit code 1\n",
        "$ cx collect\n== [1] price · succeeded",
        "1 commit, 1 file on cx/price\nTea is 4.\n",
        "$ cx merge\n[1] price merged into main (1 commit, 1 file)\n[2] chai held back: conflicts with price in\n      menu.txt",
        "$ cx clean\n[1] price removed worktree, branch and files\n[2] chai kept:",
        "Next:\n",
    ] {
        let at = rest
            .find(line)
            .unwrap_or_else(|| panic!("{line:?} is not there or too early in\n{shown}"));
        rest = &rest[at + line.len()..];
    }
    assert!(!shown.contains('\u{1b}'), "escapes without a terminal: {shown}");
    assert_nothing_is_left(&sandbox);
}

#[test]
fn it_plays_on_a_terminal() {
    let sandbox = sandbox();
    let bin = sandbox.root().join("bin/cx");
    let terminal = Terminal::start(&sandbox, "bash", [Path::new(DEMO), Path::new("--bin"), &bin]);
    terminal.wait_for("That is all. Next:");
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(0), "{screen}");
    assert_nothing_is_left(&sandbox);
}

#[test]
fn it_fails_when_a_verb_does_not_do_as_told() {
    let sandbox = sandbox();
    let real = sandbox.root().join("bin/cx");
    let bad = sandbox.root().join("bin/bad");
    for (verb, lie, complaint) in [
        ("wait", "exit 0", "that ended with 0 and not 1"),
        ("merge", "exit 1", "the menu: expected"),
        ("clean", "exit 0", "branches: expected"),
    ] {
        let _ = fs::remove_file(&bad);
        sandbox.script_tool(
            "bad",
            &format!("[ \"$1\" != {verb} ] || {{ {lie}; exit; }}\nexec {} \"$@\"", real.display()),
        );
        let said = demo(&sandbox, &bad).code(1);
        assert!(said.stderr().contains(complaint) || said.stdout().contains(complaint), "{said}");
        assert_nothing_is_left(&sandbox);
    }
}
