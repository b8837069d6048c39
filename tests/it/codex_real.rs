//! The real codex against the model server, without cx in between: the ground
//! that the tests of the codex backend stand on, and what that backend relies on.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{CodexHome, ModelServer, Output, Running, Sandbox, Script};

/// A sandbox with codex in it.
struct Lab {
    // Declared before the server: codex ends before what it talks to.
    sandbox: Sandbox,
    server: ModelServer,
    home: CodexHome,
}

impl Lab {
    fn new() -> Self {
        let server = ModelServer::start();
        let mut sandbox = Sandbox::new();
        let home = CodexHome::new(&mut sandbox, &server);
        Self { sandbox, server, home }
    }

    fn answer_file(&self) -> PathBuf {
        self.sandbox.root().join("last.txt")
    }

    /// Starts `codex exec` as cx will: the prompt on stdin, from a file.
    fn start(&self, mode: &str, prompt: &str) -> Running {
        let file = self.sandbox.root().join("prompt");
        fs::write(&file, prompt).unwrap();
        let mut command = self.sandbox.command("codex");
        command
            .args(["exec", "--json", "--color", "never", "-s", mode, "-C"])
            .arg(self.sandbox.repo())
            .args(["-c", "sandbox_workspace_write.exclude_slash_tmp=true"])
            .args(["-c", "shell_environment_policy.exclude=[\"*KEY*\",\"*TOKEN*\",\"*SECRET*\"]"])
            .args(["--disable", "unbounded_connection_retries", "-o"])
            .arg(self.answer_file())
            .arg("-")
            .stdin(File::open(&file).unwrap());
        self.sandbox.start(command)
    }

    fn read_only(&self, prompt: &str) -> Output {
        self.start("read-only", prompt).finish()
    }

    fn answer(&self) -> String {
        fs::read_to_string(self.answer_file()).unwrap()
    }
}

/// The events of a type.
fn events(output: &Output, kind: &str) -> Vec<Value> {
    output.json_lines().into_iter().filter(|event| event["type"] == kind).collect()
}

/// The completed items of a type.
fn items(output: &Output, kind: &str) -> Vec<Value> {
    let completed = events(output, "item.completed").into_iter();
    completed.map(|event| event["item"].clone()).filter(|item| item["type"] == kind).collect()
}

/// The message of the one `turn.failed`.
#[track_caller]
fn failure(output: &Output) -> String {
    let failed = events(output, "turn.failed");
    assert_eq!(failed.len(), 1, "{output}");
    failed[0]["error"]["message"].as_str().unwrap().to_owned()
}

fn terminate(running: &Running) {
    let pid = Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
}

#[test]
fn a_reader_answers() {
    let lab = Lab::new();
    lab.server.on("races", Script::new().say("None found.").usage(700, 600, 50, 40));
    let output = lab.read_only("Look for races").ok();
    assert_eq!(items(&output, "agent_message")[0]["text"], "None found.");
    assert_eq!(lab.answer(), "None found.");
    let usage = &events(&output, "turn.completed")[0]["usage"];
    assert_eq!(usage["input_tokens"], 700);
    assert_eq!(usage["cached_input_tokens"], 600);
    assert_eq!(usage["output_tokens"], 50);
    assert_eq!(usage["reasoning_output_tokens"], 40);
}

#[test]
fn a_prompt_arrives_byte_for_byte() {
    let lab = Lab::new();
    let awkward = "<b> \"quotes\" 'single' $HOME `id` \\n \\ \u{1F980} \t%s\r\n\n  last line \n\n";
    let long = format!("-{awkward}{}", "x".repeat(1_000_000));
    for prompt in [awkward, &long] {
        lab.read_only(prompt).ok();
        assert!(lab.server.prompts().last().unwrap() == prompt, "the prompt was changed");
    }
}

#[test]
fn a_reader_runs_commands_but_writes_nothing() {
    let lab = Lab::new();
    let script = Script::new().shell("head -c 12 README.md; touch new; env").say("It is refused.");
    lab.server.on("write", script);
    let output = lab.read_only("Try to write").ok();
    let commands = items(&output, "command_execution");
    let said = commands[0]["aggregated_output"].as_str().unwrap();
    assert!(said.contains("A repository"), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(said.contains("CX_SANDBOX=") && !said.contains("FAKE_KEY"), "{said}");
    assert_eq!(lab.sandbox.git(["status", "--porcelain"]), "");
}

#[test]
fn a_writer_edits_and_runs_commands() {
    let lab = Lab::new();
    let edit = "*** Begin Patch\n*** Update File: README.md\n@@\n-A repository to work in.\n\
                +Another line.\n*** End Patch\n";
    let script = Script::new()
        .write("src/auth.rs", "// one\n// two\n")
        .patch(edit)
        .shell("echo made > by-command; exit 3")
        .say("All done.");
    lab.server.on("refresh", script);
    let output = lab.start("workspace-write", "Implement the token refresh").finish().ok();
    assert_eq!(lab.sandbox.read("src/auth.rs"), "// one\n// two\n");
    assert_eq!(lab.sandbox.read("README.md"), "Another line.\n");
    assert_eq!(lab.sandbox.read("by-command"), "made\n");
    let changes = items(&output, "file_change");
    assert_eq!(changes.len(), 2, "{output}");
    assert_eq!(changes[0]["status"], "completed");
    assert_eq!(changes[0]["changes"][0]["kind"], "add");
    assert_eq!(items(&output, "command_execution")[0]["exit_code"], 3);
    assert_eq!(lab.answer(), "All done.");
    assert_eq!(lab.server.requests().len(), 4);
}

#[test]
fn an_empty_answer_is_a_success_for_codex() {
    let lab = Lab::new();
    lab.server.on("nothing", Script::new().empty());
    let output = lab.read_only("Say nothing").ok();
    assert!(items(&output, "agent_message").is_empty());
    assert_eq!(events(&output, "turn.completed").len(), 1);
    assert_eq!(lab.answer(), "");
}

#[test]
fn http_errors_fail_the_turn() {
    let lab = Lab::new();
    for (code, sentence) in [
        (400, "scripted status 400"),
        (429, "429 Too Many Requests"),
        (500, "high demand"),
        (503, "503 Service Unavailable"),
    ] {
        let marker = format!("status {code}");
        lab.server.on(&marker, Script::new().status(code));
        let start = lab.server.requests().len();
        let output = lab.read_only(&marker).code(1);
        let message = failure(&output);
        assert!(message.contains(sentence), "{code}: {message}");
        assert_eq!(lab.server.requests().len() - start, 1, "{code} was tried again");
        // Codex makes the file when it starts: that it is there says nothing.
        assert_eq!(lab.answer(), "");
    }
}

#[test]
fn an_older_answer_outlives_a_failure() {
    let lab = Lab::new();
    lab.server.on("fail", Script::new().status(400));
    fs::write(lab.answer_file(), "of another run").unwrap();
    lab.read_only("fail").code(1);
    assert_eq!(lab.answer(), "of another run");
}

#[test]
fn a_model_that_fails_the_response_fails_the_turn() {
    let lab = Lab::new();
    let script = Script::new().fail("context_length_exceeded", "Too long.");
    lab.server.on("long", script);
    let message = failure(&lab.read_only("too long").code(1));
    assert!(message.contains("context window"), "{message}");
}

#[test]
fn an_error_that_passes_is_only_a_warning() {
    let Lab { sandbox, server, home } = Lab::new();
    let lab = Lab { sandbox, server, home: home.retries(1) };
    lab.server.on("again", Script::new().status(500).times(2).say("At last."));
    let output = lab.read_only("Try again").ok();
    assert_eq!(lab.server.requests().len(), 3);
    assert_eq!(lab.answer(), "At last.");
    assert_eq!(events(&output, "error").len(), 1, "{output}");
    assert!(events(&output, "turn.failed").is_empty());
}

#[test]
fn retry_after_is_waited_for() {
    let lab = Lab::new();
    let Lab { sandbox, server, home } = lab;
    let lab = Lab { sandbox, server, home: home.retries(1) };
    lab.server.on("limit", Script::new().status_retry_after(429, 1).times(1).say("Let in."));
    let start = Instant::now();
    lab.read_only("the limit").ok();
    assert!(start.elapsed().as_secs() >= 1, "codex did not wait");
    assert_eq!(lab.server.requests().len(), 2);
}

#[test]
fn a_dropped_stream_fails_the_turn() {
    let lab = Lab::new();
    lab.server.on("drop", Script::new().drop_stream());
    let output = lab.read_only("drop it").code(1);
    assert!(failure(&output).contains("stream disconnected"), "{output}");
}

#[test]
fn bad_json_fails_the_turn() {
    let lab = Lab::new();
    lab.server.on("garble", Script::new().bad_json());
    let output = lab.read_only("garble it").code(1);
    assert!(failure(&output).contains("stream disconnected"), "{output}");
}

#[test]
fn a_stalled_stream_fails_the_turn_at_last() {
    let Lab { sandbox, server, home } = Lab::new();
    let lab = Lab { sandbox, server, home: home.stream_idle_timeout_ms(200) };
    lab.server.on("stall", Script::new().stall());
    let output = lab.read_only("stall").code(1);
    assert!(failure(&output).contains("idle timeout"), "{output}");
    lab.server.wait_for_abandoned(1);
}

#[test]
fn a_server_that_hangs_is_waited_for_until_a_signal_comes() {
    let lab = Lab::new();
    lab.server.on("hang", Script::new().hang());
    let running = lab.start("read-only", "hang");
    lab.server.wait_for_requests(1);
    terminate(&running);
    let output = running.finish().signal(15);
    assert!(events(&output, "turn.failed").is_empty(), "{output}");
    lab.server.wait_for_abandoned(1);
}

#[test]
fn a_signal_ends_a_sandboxed_command_too() {
    let lab = Lab::new();
    let gate = lab.sandbox.gate("gate");
    lab.server.on("long", Script::new().shell(&gate.pass()));
    let running = lab.start("workspace-write", "a long command");
    gate.arrived();
    // The command may run before codex has said so.
    running.wait_for_stdout("item.started");
    terminate(&running);
    let output = running.finish().signal(15);
    assert!(items(&output, "command_execution").is_empty(), "{output}");
    // The sandbox fails here if the command outlives codex.
}

#[test]
fn a_resumed_thread_goes_on() {
    let lab = Lab::new();
    lab.server.on("first", Script::new().shell("true").say("One."));
    lab.server.on("second", Script::new().shell("true").say("Two."));
    let first = lab.read_only("the first question").ok();
    let thread = &events(&first, "thread.started")[0]["thread_id"];
    let mut command = lab.sandbox.command("codex");
    command.args(["exec", "--json", "-s", "read-only", "-o"]).arg(lab.answer_file());
    command.args(["resume", thread.as_str().unwrap(), "-"]);
    let second = lab.sandbox.run_with_input(command, "the second question").ok();
    assert_eq!(&events(&second, "thread.started")[0]["thread_id"], thread);
    assert_eq!(lab.answer(), "Two.");
    let prompts = lab.server.prompts();
    let [one, two] = ["the first question", "the second question"];
    assert_eq!(prompts, [one, one, two, two]);
}

#[test]
fn two_codex_at_once_share_a_server() {
    let (one, two) = (Lab::new(), Sandbox::new());
    one.server.on("first", Script::new().shell("true").say("1"));
    one.server.on("second", Script::new().shell("true").say("2"));
    let mut two = two;
    let _home = CodexHome::new(&mut two, &one.server);
    let first = one.start("read-only", "the first");
    let mut command = two.command("codex");
    command.args(["exec", "--json", "-s", "read-only", "the second"]);
    let second = two.start(command);
    for (running, answer) in [(first, "1"), (second, "2")] {
        let output = running.finish().ok();
        assert_eq!(items(&output, "agent_message")[0]["text"], answer);
    }
}

#[test]
fn an_item_may_carry_its_id_twice() {
    let lab = Lab::new();
    let search = json!({
        "type": "web_search_call", "id": "ws_1", "status": "completed",
        "action": { "type": "search", "query": "rust cli" },
    });
    lab.server.on("search", Script::new().say("Found.").after_item(search));
    let output = lab.read_only("search").ok();
    let line = output.stdout();
    let line =
        line.lines().find(|line| line.contains("item.completed") && line.contains("web_search"));
    assert_eq!(line.unwrap().matches("\"id\":").count(), 2, "{output}");
}
