//! Tests of what the tests stand on: each promise of the sandbox is broken here
//! once, so that a test that relies on it can fail.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;

use serde_json::json;

use crate::support::{Gate, Ledger, Running, Sandbox, Terminal};

/// What a closure panics with; fails when it does not panic.
#[track_caller]
fn panic_of<T>(work: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(work)) else {
        panic!("this should have failed the test");
    };
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
    }
}

/// Starts a shell script that is not waited for.
fn start_script(sandbox: &Sandbox, script: &str) -> Running {
    let mut command = sandbox.command("sh");
    command.arg("-c").arg(script);
    sandbox.start(command)
}

#[test]
fn the_environment_is_empty_but_for_what_is_said() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(sandbox.command("env")).ok().stdout();
    let mut names: Vec<_> = output.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    let expected = [
        "COLUMNS",
        "CX_SANDBOX",
        "GIT_AUTHOR_DATE",
        "GIT_AUTHOR_EMAIL",
        "GIT_AUTHOR_NAME",
        "GIT_CEILING_DIRECTORIES",
        "GIT_COMMITTER_DATE",
        "GIT_COMMITTER_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "HOME",
        "LC_ALL",
        "PATH",
        "TMPDIR",
        "TZ",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
    ];
    assert_eq!(names, expected);
}

#[test]
fn the_repository_is_the_same_every_time() {
    let first = Sandbox::new().git(["rev-parse", "main"]);
    let second = Sandbox::new().git(["rev-parse", "main"]);
    assert_eq!(first, second);
    assert_eq!(Sandbox::new().read("README.md"), "A repository to work in.\n");
}

#[test]
fn a_sandbox_lies_outside_tmp_and_goes_away() {
    let sandbox = Sandbox::without_repository();
    let root = sandbox.root().to_owned();
    assert!(!root.starts_with("/tmp"), "{}", root.display());
    assert_eq!(sandbox.redact(&format!("in {}/repo", root.display())), "in [ROOT]/repo");
    drop(sandbox);
    assert!(!root.exists());
}

#[test]
fn cx_is_on_the_path() {
    let sandbox = Sandbox::new();
    sandbox.cx(["--version"]).ok();
    sandbox.sh("command -v cx").ok();
}

#[test]
fn exit_codes_signals_and_json_are_told_apart() {
    let sandbox = Sandbox::new();
    sandbox.sh("exit 3").code(3);
    sandbox.sh("kill -TERM $$").signal(15);
    let output = sandbox.sh("echo '{\"a\":1}'; echo said >&2").ok();
    assert_eq!(output.json(), json!({ "a": 1 }));
    assert_eq!(output.json_lines(), [json!({ "a": 1 })]);
    assert_eq!(output.stderr(), "said\n");
    let wrong = panic_of(|| sandbox.sh("echo why >&2; exit 3").ok());
    assert!(wrong.contains("exit status: 3") && wrong.contains("why"), "{wrong}");
}

#[test]
fn input_arrives_byte_for_byte() {
    let sandbox = Sandbox::new();
    let input: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let output = sandbox.run_with_input(sandbox.command("cat"), input.clone()).ok();
    assert!(output.stdout_bytes() == input, "a mebibyte came back changed");
}

#[test]
fn a_survivor_is_ended_and_fails_the_test() {
    let mut sandbox = Sandbox::new();
    sandbox.lose_patience();
    let gate = sandbox.gate("gate");
    let script = format!("{} & echo $!", gate.pass());
    let mut command = sandbox.command("setsid");
    command.args(["sh", "-c", &format!("exec >/dev/null 2>&1; {script}; {}", gate.pass())]);
    let running = sandbox.start(command);
    gate.arrived();
    assert_eq!(sandbox.live_processes().len(), 2);
    let pid = running.id();
    let complaint = panic_of(|| drop(sandbox));
    assert_eq!(complaint.matches("still ran").count(), 2, "{complaint}");
    assert!(complaint.contains(&pid.to_string()), "{complaint}");
    running.finish().signal(9);
}

#[test]
fn a_panicking_test_ends_its_processes_too() {
    let mut started = None;
    let complaint = panic_of(|| {
        let sandbox = Sandbox::new();
        let gate = sandbox.gate("gate");
        started = Some(start_script(&sandbox, &gate.pass()));
        gate.arrived();
        panic!("the test's own reason");
    });
    assert_eq!(complaint, "the test's own reason");
    started.unwrap().finish().signal(9);
}

#[test]
fn expected_leftovers_are_ended_without_a_word() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let running = start_script(&sandbox, &gate.pass());
    gate.arrived();
    sandbox.write(".git/index.lock", "");
    sandbox.expect_leftovers();
    drop(sandbox);
    running.finish().signal(9);
}

#[test]
fn a_lock_that_is_left_fails_the_test() {
    for lock in ["index.lock", "refs/heads/cx/auth.lock", "worktrees/auth/index.lock"] {
        let sandbox = Sandbox::new();
        sandbox.write(Path::new(".git").join(lock), "");
        let complaint = panic_of(|| drop(sandbox));
        assert!(complaint.contains("still locked") && complaint.contains(lock), "{complaint}");
    }
    let sandbox = Sandbox::new();
    sandbox.git(["worktree", "add", "--quiet", "--lock", "../tree"]);
    let complaint = panic_of(|| drop(sandbox));
    assert!(complaint.contains("worktrees/tree/locked"), "{complaint}");
}

#[test]
fn output_held_by_something_else_fails_the_test() {
    let mut sandbox = Sandbox::new();
    sandbox.lose_patience();
    let gate = sandbox.gate("gate");
    // The background job keeps stdout, as a careless `spawn` would.
    let running = start_script(&sandbox, &format!("sh -c \"{}\" 2>/dev/null &", gate.pass()));
    gate.arrived();
    let complaint = panic_of(|| running.finish());
    assert!(complaint.contains("still holds its stdout"), "{complaint}");
    gate.open();
}

#[test]
fn a_command_of_another_sandbox_is_refused() {
    let (one, other) = (Sandbox::without_repository(), Sandbox::without_repository());
    let complaint = panic_of(|| one.run(other.command("true")));
    assert!(complaint.contains("was not made by this sandbox"), "{complaint}");
}

#[test]
fn a_tool_that_is_missing_says_what_to_run() {
    let sandbox = Sandbox::without_repository();
    let complaint = panic_of(|| sandbox.add_tool("no-such-tool"));
    assert!(complaint.contains("run scripts/setup-tests"), "{complaint}");
}

#[test]
fn a_gate_holds_a_worker_until_it_is_opened() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let running = start_script(&sandbox, &format!("echo before; {}; echo after", gate.pass()));
    running.wait_for_stdout("before");
    gate.arrived();
    assert_eq!(sandbox.live_processes().len(), 1);
    gate.open();
    assert_eq!(running.finish().ok().stdout(), "before\nafter\n");
    // It stays open for all who come later.
    sandbox.sh(&format!("{pass} && {pass}", pass = gate.pass())).ok();
}

#[test]
fn a_worker_left_at_a_gate_fails_the_test() {
    let complaint = panic_of(|| {
        let mut sandbox = Sandbox::new();
        sandbox.lose_patience();
        let gate = sandbox.gate("gate");
        // Whoever starts it and forgets it: the gate is dropped before the sandbox.
        drop(start_script(&sandbox, &gate.pass()));
        gate.arrived();
    });
    assert!(complaint.contains("still ran"), "{complaint}");
}

#[test]
fn a_gate_that_is_gone_lets_go() {
    let sandbox = Sandbox::new();
    let gate = Gate::at(&sandbox.root().join("gates/gate"));
    let running = start_script(&sandbox, &format!("{} || echo gone >&2", gate.pass()));
    gate.arrived();
    drop(gate);
    running.wait_for_stderr("gone");
    running.finish().ok();
}

#[test]
fn a_ledger_is_followed_from_before_it_exists() {
    let sandbox = Sandbox::new();
    let ledger = sandbox.ledger();
    let path = sandbox.repo().join(".git/cx/ledger.jsonl");
    let (came, comes) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for kind in ["spawned", "exited"] {
                came.send(ledger.wait_for(|event| event["event"] == kind)["job"].clone()).unwrap();
            }
        });
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        file.write_all(b"{\"event\":\"spawned\",\"job\":1}\n{\"event\":\"exi").unwrap();
        assert_eq!(comes.recv().unwrap(), 1);
        file.write_all(b"ted\",\"job\":2}\n").unwrap();
        assert_eq!(comes.recv().unwrap(), 2);
    });
    assert_eq!(Ledger::at(path).events().len(), 2);
}

#[test]
fn a_torn_ledger_fails_the_test() {
    let sandbox = Sandbox::new();
    sandbox.write(".git/cx/ledger.jsonl", "{\"event\":\"spa{\"event\":\"spawned\"}\n");
    let complaint = panic_of(|| sandbox.ledger().events());
    assert!(complaint.contains("in the ledger's line"), "{complaint}");
}

#[test]
fn a_terminal_shows_what_a_person_would_see() {
    let sandbox = Sandbox::new();
    let script =
        "printf 'one\\r\\033[31mtwo\\033[0m\\n'; test -t 1 && read -r line && echo \"got $line\"";
    let terminal = Terminal::start(&sandbox, "sh", ["-c", script]);
    assert_eq!(terminal.wait_for("two"), "two");
    terminal.send("typed\r");
    let (code, screen) = terminal.finish();
    assert_eq!((code, screen.as_str()), (Some(0), "two\ntyped\ngot typed"));
}

#[test]
fn a_terminal_passes_ctrl_c_and_hangs_up() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let terminal = Terminal::start(&sandbox, "sh", ["-c", &gate.pass()]);
    gate.arrived();
    terminal.send("\x03");
    assert_eq!(terminal.finish(), (None, "^C".to_owned()));

    let terminal = Terminal::start(&sandbox, "sh", ["-c", &gate.pass()]);
    gate.arrived();
    terminal.hang_up();
    // The sandbox fails here if the hang-up did not end the shell.
}

#[test]
fn a_script_of_the_test_can_stand_in_for_a_program() {
    let sandbox = Sandbox::new();
    sandbox.script_tool("codex", "echo \"codex-cli 0.0.1 $*\"");
    assert_eq!(sandbox.sh("codex --version").ok().stdout(), "codex-cli 0.0.1 --version\n");
}

#[test]
fn every_shell_starts_on_a_terminal() {
    for (shell, quiet) in [("bash", "--norc"), ("zsh", "-f"), ("fish", "--no-config")] {
        let sandbox = Sandbox::new();
        if shell != "bash" {
            sandbox.add_tool(shell);
        }
        let terminal = Terminal::start(&sandbox, shell, [quiet, "-i"]);
        // Asked for in two parts, so that the echo of what is typed is not taken for the answer.
        terminal.send("echo re''ady; exit 3\r");
        terminal.wait_for("ready");
        let (code, screen) = terminal.finish();
        assert_eq!(code, Some(3), "{shell}: {screen}");
    }
}
