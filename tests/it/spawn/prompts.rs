//! A prompt arrives byte for byte, whichever way it comes.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::support::Sandbox;

/// All that a shell, an option parser or an editor could spoil.
const UGLY: &str =
    "-n \"two\" 'one' `id` $HOME $(id) \\n \\\\ %s !! {a,b} * ~ # \u{1f980} é\ttab\n\n  end ";

/// Puts a codex on the PATH that keeps its stdin.
fn fake_codex(sandbox: &Sandbox) {
    let seen = sandbox.root().join("seen");
    sandbox.script_tool("codex", &format!("cat > '{}'", seen.display()));
}

/// What the fake codex was told.
fn seen(sandbox: &Sandbox) -> Vec<u8> {
    fs::read(sandbox.root().join("seen")).unwrap()
}

/// A task without preamble, given in three ways, to the worker and back.
#[test]
fn words_stdin_and_files_arrive_byte_for_byte() {
    for task in [UGLY, "no newline", "one\n", "three\n\n\n", "crlf\r\nline\r\n", "--help", "-"] {
        let sandbox = Sandbox::new();
        fake_codex(&sandbox);
        sandbox.write("task", task);
        let spawn = ["spawn", "--no-preamble"];
        // A lone dash is stdin by words; that is what it is for.
        if task != "-" {
            sandbox.cx(spawn.into_iter().chain(["--", task])).ok();
            sandbox.cx(["wait"]);
            assert_eq!(seen(&sandbox), task.as_bytes(), "as a word");
            assert_eq!(sandbox.cx(["prompt", "%+"]).ok().stdout(), task);
        }
        for dash in [&["-"][..], &[]] {
            let command = sandbox.cx_command(spawn.into_iter().chain(dash.iter().copied()));
            sandbox.run_with_input(command, task).ok();
            sandbox.cx(["wait"]);
            assert_eq!(seen(&sandbox), task.as_bytes(), "from stdin");
            assert_eq!(sandbox.cx(["prompt", "%+"]).ok().stdout(), task);
        }
        sandbox.cx(spawn.into_iter().chain(["-F", "task"])).ok();
        sandbox.cx(["wait"]);
        assert_eq!(seen(&sandbox), task.as_bytes(), "from a file");
        assert_eq!(sandbox.cx(["prompt", "%+"]).ok().stdout(), task);
    }
}

#[test]
fn several_words_are_joined_by_spaces() {
    let sandbox = Sandbox::new();
    fake_codex(&sandbox);
    sandbox.cx(["spawn", "--no-preamble", "--", "fix", "the  two", "-x", "--json"]).ok();
    sandbox.cx(["wait"]);
    assert_eq!(seen(&sandbox), b"fix the  two -x --json");
}

#[test]
fn the_preamble_stands_first_and_the_task_is_untouched() {
    let sandbox = Sandbox::new();
    fake_codex(&sandbox);
    sandbox.cx(["spawn", "-w", "--scope", "src/", "--goal", "ship it", "--", UGLY]).ok();
    sandbox.cx(["wait"]);
    let sent = String::from_utf8(seen(&sandbox)).unwrap();
    let preamble = "CONTEXT: WORKER\n\
        ROLE: You are a sub-agent run by the ORCHESTRATOR. Do only the assigned task.\n\
        RULES: No extra scope, no other workers.\n\
        Your final output will be provided back to the ORCHESTRATOR.\n";
    assert!(sent.starts_with(preamble), "{sent}");
    assert!(sent.contains(UGLY) && sent.contains("TASK:") && sent.contains("SCOPE:"), "{sent}");
    assert!(sent.contains("src/") && sent.contains("ship it"), "{sent}");
    assert_eq!(sandbox.cx(["prompt", "1"]).ok().stdout(), sent);
}

#[test]
fn a_mebibyte_arrives() {
    let sandbox = Sandbox::new();
    fake_codex(&sandbox);
    let task = "0123456789abcde\n".repeat(1 << 16);
    let command = sandbox.cx_command(["spawn", "--no-preamble", "-"]);
    sandbox.run_with_input(command, task.as_str()).ok();
    sandbox.cx(["wait"]);
    assert!(seen(&sandbox) == task.as_bytes(), "a mebibyte came changed");
    assert!(sandbox.cx(["prompt", "1"]).ok().stdout_bytes() == task.as_bytes());
}

#[test]
fn a_script_may_be_any_bytes_and_any_size() {
    let sandbox = Sandbox::new();
    let mut script = b"printf 'a\xff\xfeb'\n".to_vec();
    sandbox.run_with_input(sandbox.cx_command(["spawn", "-b", "sh", "-"]), script.clone()).ok();
    sandbox.cx(["wait", "1"]).ok();
    assert_eq!(sandbox.cx(["prompt", "1"]).ok().stdout_bytes(), script);
    assert_eq!(sandbox.cx(["logs", "1"]).ok().stdout_bytes(), b"a\xff\xfeb");
    // By words too.
    let word = OsStr::from_bytes(b"printf '\xff'");
    let spawn = ["spawn", "-b", "sh", "--"].map(OsStr::new);
    sandbox.cx(spawn.into_iter().chain([word])).ok();
    sandbox.cx(["wait", "2"]).ok();
    assert_eq!(sandbox.cx(["logs", "2"]).ok().stdout_bytes(), b"\xff");
    script.extend(b"# comment\n".repeat(100_000));
    script.extend(b"echo \"$0 $#\"");
    sandbox.run_with_input(sandbox.cx_command(["spawn", "-b", "sh", "-"]), script.clone()).ok();
    sandbox.cx(["wait", "3"]).ok();
    assert!(sandbox.cx(["prompt", "3"]).ok().stdout_bytes() == script);
    assert_eq!(sandbox.cx(["logs", "3"]).ok().stdout_bytes(), b"a\xff\xfebsh 0\n");
}

/// Several words are a program and its arguments: no shell looks at them.
#[test]
fn several_words_for_sh_are_an_argv() {
    let sandbox = Sandbox::new();
    sandbox.script_tool("say", "printf '<%s>' \"$@\"");
    let words = ["a b", "$HOME", "`id`", "", "--", "-n", "*", "'\"", "new\nline"];
    sandbox.spawn_sh(["--", "say"].into_iter().chain(words));
    sandbox.cx(["wait"]).ok();
    let expected = format!("<{}>", words.join("><"));
    assert_eq!(sandbox.cx(["logs", "1"]).ok().stdout(), expected);
    let told = sandbox.cx(["prompt", "1"]).ok();
    assert_eq!(told.stdout(), format!("say\0{}", words.join("\0")));
    // Options after the first word are the program's own.
    sandbox.spawn_sh(["say", "--json", "-w"]);
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.cx(["logs", "2"]).ok().stdout(), "<--json><-w>");
}

#[test]
fn the_worker_of_sh_has_nothing_on_stdin() {
    let sandbox = Sandbox::new();
    let command = sandbox.cx_command(["spawn", "-b", "sh", "cat; echo over"]);
    sandbox.run_with_input(command, "not for the worker").ok();
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.cx(["logs", "1"]).ok().stdout(), "over\n");
}

#[test]
fn a_dash_is_stdin_for_the_option_too() {
    let sandbox = Sandbox::new();
    sandbox.sh("printf 'echo from stdin' | cx spawn -b sh -n piped -F -").ok();
    sandbox.cx(["wait", "piped"]).ok();
    assert_eq!(sandbox.cx(["prompt", "piped"]).ok().stdout(), "echo from stdin");
}
