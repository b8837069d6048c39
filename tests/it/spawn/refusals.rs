//! What cannot be started is refused before anything is made.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::support::Sandbox;

/// Arguments after `cx spawn`, the exit code, and words of the sentence.
const REFUSALS: &[(&[&str], i32, &str)] = &[
    (&["-b", "sh", ""], 2, "the prompt is empty"),
    (&["-b", "sh", " \n\t"], 2, "the prompt is empty"),
    (&["-F", "absent"], 2, "absent"),
    (&["-F", "."], 2, "cannot read the prompt from ."),
    (&["-t", "nobody", "x"], 2, "nobody"),
    (&["-b", "gemina", "x"], 2, "there is no backend 'gemina'"),
    (&["-b", "sh", "-w", "--base", "nowhere", "x"], 2, "nowhere"),
    (&["-b", "sh", "-w", "--base", "HEAD~7", "x"], 2, "HEAD~7"),
    (&["-b", "sh", "--base", "main", "x"], 2, "--base is for writers"),
    (&["-b", "sh", "--scope", "src", "x"], 2, "--scope is for writers"),
    (&["-b", "sh", "--require-setup", "x"], 2, "--require-setup is for writers"),
    (&["-b", "sh", "-w", "--require-setup", "x"], 2, "no setup command"),
    (&["-b", "sh", "--after", "ghost", "x"], 127, "no such job: ghost"),
    (&["-b", "sh", "-n", "", "x"], 2, "it is empty"),
    (&["-b", "sh", "-n", "7", "x"], 2, "'7' cannot be a job's name"),
    (&["-b", "sh", "-n", "a/b", "x"], 2, "'a/b' cannot be a job's name"),
    (&["-b", "sh", "-n", "../up", "x"], 2, "'../up' cannot be a job's name"),
    (&["-b", "sh", "-n", "a.lock", "x"], 2, "'a.lock' cannot be a job's name"),
    (&["-b", "sh", "-n=-n", "x"], 2, "'-n' cannot be a job's name"),
    (&["-b", "sh", "--goal", "all", "x"], 2, "a shell command cannot be given context"),
    (&["do it", "-t", "coder"], 2, "'-t' stands after the prompt"),
    (&["do", "it", "--timeout=3s"], 2, "'--timeout=3s' stands after the prompt"),
    (&["-m=-x", "x"], 2, "a model's name"),
    (&["-b", "sh", "--", "no-such-program", "x"], 127, "no-such-program"),
    (&["-b", "sh", "--", "./README.md", "x"], 126, "README.md"),
    (&["-b", "sh", "--", "", "x"], 127, "whose name is empty"),
];

#[test]
fn nothing_is_made_for_what_cannot_start() {
    let sandbox = Sandbox::new();
    sandbox.script_tool("codex", "exit 0");
    for (args, code, sentence) in REFUSALS {
        let output = sandbox.cx(["spawn"].iter().chain(*args)).refused(*code, sentence);
        sandbox.assert_nothing_started(&output);
    }
    assert_eq!(sandbox.git(["status", "--porcelain", "--ignored"]), "");
    assert_eq!(sandbox.git(["branch", "--format=%(refname:short)"]), "main");
}

#[test]
fn codex_takes_only_some_prompts() {
    let sandbox = Sandbox::new();
    sandbox.script_tool("codex", "exit 0");
    let spawn = || sandbox.cx_command(["spawn", "--no-preamble", "-"]);
    let bad =
        sandbox.run_with_input(spawn(), b"ab\xff".to_vec()).refused(2, "not valid UTF-8 (byte 2)");
    sandbox.assert_nothing_started(&bad);
    // It is the person's text that is counted in, and not what cx puts before it.
    let dressed = sandbox.cx_command(["spawn", "-t", "scout", "-"]);
    sandbox.run_with_input(dressed, b"ab\xff".to_vec()).refused(2, "not valid UTF-8 (byte 2)");
    let long = sandbox
        .run_with_input(spawn(), "é".repeat((1 << 20) + 1))
        .refused(2, "has 1048577 characters, and codex takes at most 1048576");
    sandbox.assert_nothing_started(&long);
    let empty = sandbox.run_with_input(spawn(), "\n \n").refused(2, "the prompt is empty");
    sandbox.assert_nothing_started(&empty);
    // stdin is /dev/null here, which is no terminal.
    sandbox.assert_nothing_started(&sandbox.cx(["spawn"]).refused(2, "the prompt is empty"));
    // Exactly as many as it takes, though more bytes.
    sandbox.run_with_input(spawn(), "é".repeat(1 << 20)).ok();
    sandbox.cx(["wait"]).code(1);
}

#[test]
fn a_script_with_a_nul_byte_is_refused() {
    let sandbox = Sandbox::new();
    let command = sandbox.cx_command(["spawn", "-b", "sh", "-"]);
    let output = sandbox.run_with_input(command, b"echo a\0b".to_vec()).refused(2, "NUL");
    sandbox.assert_nothing_started(&output);
}

#[test]
fn a_missing_codex_is_not_found_and_a_broken_one_cannot_run() {
    let sandbox = Sandbox::new();
    let missing = sandbox.cx(["spawn", "look"]).refused(127, "codex");
    assert!(missing.stderr().contains("hint:"), "{missing}");
    sandbox.assert_nothing_started(&missing);
    let codex = sandbox.root().join("bin/codex");
    fs::write(&codex, "no program").unwrap();
    fs::set_permissions(&codex, fs::Permissions::from_mode(0o644)).unwrap();
    sandbox.assert_nothing_started(&sandbox.cx(["spawn", "look"]).refused(126, "codex"));
}

#[test]
fn a_path_that_is_not_utf8_is_refused() {
    let sandbox = Sandbox::new();
    let folder = sandbox.repo().join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&folder).unwrap();
    let mut command = sandbox.cx_command(["spawn", "-b", "sh", "pwd"]);
    command.current_dir(&folder);
    sandbox.assert_nothing_started(&sandbox.run(command).refused(2, "is not UTF-8"));
}

#[test]
fn options_that_contradict_each_other_are_usage_errors() {
    let sandbox = Sandbox::new();
    for args in [
        &["--read", "--write", "x"][..],
        &["-F", "README.md", "x"],
        &["--timeout", "soon", "x"],
        &["--timeout", "0", "x"],
        &["--max-jobs", "0", "x"],
    ] {
        let output = sandbox.cx(["spawn", "-b", "sh"].iter().chain(args)).code(2);
        sandbox.assert_nothing_started(&output);
    }
}

#[test]
fn a_worker_cannot_spawn() {
    let sandbox = Sandbox::new();
    sandbox.reader("nosy", "cx spawn -b sh true; echo $?; cx jobs | wc -l");
    sandbox.cx(["wait", "nosy"]).ok();
    assert_eq!(sandbox.cx(["logs", "nosy"]).ok().stdout(), "2\n1\n");
    let said = sandbox.cx(["logs", "--stderr", "nosy"]).ok().stdout();
    assert!(said.contains("a worker cannot spawn workers"), "{said}");
    assert_eq!(sandbox.lines(["jobs", "-a"]).len(), 1);
}

#[test]
fn help_has_examples_and_an_unknown_option_names_itself() {
    let sandbox = Sandbox::new();
    assert!(sandbox.cx(["spawn", "--help"]).ok().stdout().contains("Examples:"));
    let output = sandbox.cx(["spawn", "--wrte", "x"]).code(2);
    assert!(output.stderr().contains("--wrte") && output.stderr().contains("--write"), "{output}");
    sandbox.assert_nothing_started(&output);
}

#[test]
fn prose_for_an_agent_is_no_script_because_of_the_configuration() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CX_BACKEND", "sh");
    let prose = "Fix the `touch PWNED` helper";
    let refused = sandbox.cx(["spawn", "-t", "coder", prose]);
    let refused = refused.refused(2, "'coder' is an agent, and the configured backend is sh");
    sandbox.assert_nothing_started(&refused);
    for more in [&["--dry-run"][..], &[]] {
        let run = sandbox.cx(["run", "review", "README.md"].iter().chain(more)).code(2);
        assert!(run.stderr().contains("is an agent, and the configured backend is sh"), "{run}");
        sandbox.assert_nothing_started(&run);
    }
    // Where it is said of the job or of the agent, it is meant.
    sandbox.cx(["spawn", "-b", "sh", "-t", "coder", "-n", "a", "true"]).ok();
    sandbox.cx(["spawn", "-t", "coder", "-n", "b", "--", "sh", "-c", "true"]).ok();
    sandbox.write(".cx/agents/checks.md", "---\ndescription: Checks\nbackend: sh\n---\nCheck.\n");
    sandbox.cx(["trust"]).ok();
    sandbox.cx(["spawn", "-t", "checks", "-n", "c", "true"]).ok();
    sandbox.cx(["spawn", "-n", "d", "true"]).ok();
    sandbox.cx(["wait"]).ok();
}
