//! What tasks see of each other.

use std::fs;

use serde_json::json;

use super::{plan, plan_with, task};
use crate::support::Sandbox;

/// A codex that keeps its prompt as `SEEN/N`, and answers with the prompt's first
/// line of the task in capitals.
fn codex(sandbox: &Sandbox) -> std::path::PathBuf {
    let seen = sandbox.root().join("seen");
    fs::create_dir(&seen).unwrap();
    let body = format!(
        "cat >> '{}'/$CX_NAME
        echo '{{\"type\":\"thread.started\",\"thread_id\":\"t\"}}'
        echo '{{\"type\":\"item.completed\",\"item\":{{\"id\":\"1\",\"type\":\"agent_message\",\"text\":\"answer of '$CX_NAME' {{{{item}}}}\"}}}}'
        echo '{{\"type\":\"turn.completed\",\"usage\":{{\"input_tokens\":10,\"cached_input_tokens\":2,\"output_tokens\":3}}}}'",
        seen.display()
    );
    sandbox.script_tool("codex", &body);
    seen
}

#[test]
fn an_answer_stands_where_the_plan_has_its_name_and_is_never_read_as_a_template() {
    let sandbox = Sandbox::new();
    let tasks = json!([
        { "id": "a", "argv": ["sh", "-c", "printf %s \"$1\"", "sh", "$(id) '{{{{results.a}}}}' \"x\" ; é"] },
        { "id": "b", "argv": ["sh", "-c", "printf '<%s>' \"$1\"", "sh", "{{results.a}}"], "needs": ["a"] },
        { "id": "c", "argv": ["sh", "-c", "printf %s \"$1\"", "sh", "{{goal}}/{{session_id}}/{{worker_id}}"] },
    ]);
    let file = plan(&sandbox, "flow", &tasks);
    sandbox.cx(["run", "-f", &file, "the {{goal}}"]).ok();
    let message = |job: &str| sandbox.cx(["collect", job, "--format", "{message}"]).ok().stdout();
    assert_eq!(message("b"), "<$(id) '{{results.a}}' \"x\" ; é>\n");
    assert_eq!(message("c"), "the {{goal}}/flow/c\n");
}

#[test]
fn an_answer_is_not_run_by_a_shell() {
    let sandbox = Sandbox::new();
    let tasks =
        json!([task("a", "echo '$(touch /tmp/x)'", &[]), task("b", "echo {{results.a}}", &["a"]),]);
    let file = plan(&sandbox, "shell", &tasks);
    let output = sandbox.cx(["run", "-f", &file]).code(2);
    assert!(
        output.stderr().contains("task 'b' (line 1): '{{results.a}}' stands in a shell script"),
        "{output}"
    );
    sandbox.assert_nothing_started(&output);
}

#[test]
fn the_answers_of_needs_are_appended_and_cut() {
    let sandbox = Sandbox::new();
    let seen = codex(&sandbox);
    let long = "0123456789\n".repeat(30);
    let tasks = json!([
        { "id": "long", "backend": "sh", "argv": ["sh", "-c", "printf %s \"$1\"", "sh", long] },
        { "id": "short", "backend": "sh", "argv": ["sh", "-c", "echo in short"] },
        { "id": "red", "backend": "sh", "prompt": "echo seen red; exit 1" },
        { "id": "all", "prompt": "Sum it up", "needs": ["long", "short", "red"],
          "when": "red.failed", "backend": "codex" },
        { "id": "named", "prompt": "Only: {{results.short}}", "needs": ["long", "short"],
          "answers": ["short"], "backend": "codex", "files": ["src/x.rs"], "type": "analysis" },
        { "id": "next", "prompt": "Go on", "needs": ["named"], "backend": "codex" },
    ]);
    let file = plan_with(&sandbox, "sum", json!({ "tasks": tasks }));
    let output = sandbox.cx(["run", "-f", &file, "--answer-bytes", "100", "--json"]).ok();
    let prompt = |name: &str| fs::read_to_string(seen.join(name)).unwrap();
    let all = prompt("all");
    assert!(all.contains("Sum it up\n\nRESULT OF long\n0123456789\n"), "{all}");
    let path = sandbox.repo().join(".git/cx/jobs");
    let cut = format!("[cut after 100 of 330 bytes; all of it is in {}/", path.display());
    assert!(all.contains(&cut), "{all}");
    assert!(all.contains("\n\nRESULT OF short\nin short\n"), "{all}");
    assert!(all.contains("RESULT OF red, which failed: ended with exit code 1\nseen red"), "{all}");
    let named = prompt("named");
    assert!(
        named.contains("Only: in short\n\nKind of task: analysis\n\nFiles: src/x.rs"),
        "{named}"
    );
    assert!(!named.contains("RESULT OF"), "it stands in the text already: {named}");
    // What a model says is no template either.
    assert!(prompt("next").contains("RESULT OF named\nanswer of named {{item}}"));
    let summary = output.json();
    assert_eq!(summary["usage"], json!({ "input": 30, "cached": 6, "output": 9 }));
}

#[test]
fn a_group_is_made_from_an_answer_and_answers_as_one() {
    let sandbox = Sandbox::new();
    let seen = codex(&sandbox);
    let tasks = json!([
        { "id": "list", "argv": ["sh", "-c", "printf %s \"$1\"", "sh", "[\"x\", \"y; {{{{goal}}}}\"]"] },
        { "id": "each", "argv": ["sh", "-c", "echo \"did $1\"", "sh", "{{item}}"], "needs": ["list"], "answers": [],
          "foreach": { "answer": "list", "max": 4 } },
        { "id": "sum", "prompt": "Sum: {{results.each}}", "needs": ["each"], "backend": "codex" },
    ]);
    let file = plan(&sandbox, "group", &tasks);
    sandbox.cx(["run", "-f", &file]).ok();
    let prompt = fs::read_to_string(seen.join("sum")).unwrap();
    let answers = "each-1 (x):\ndid x\n\neach-2 (y; {{goal}}):\ndid y; {{goal}}";
    assert!(prompt.contains(answers), "{prompt}");
    let spawned = sandbox.ledger().wait_for(|event| event["task"]["id"] == "each-2");
    assert_eq!(spawned["task"]["item"], "y; {{goal}}");
}

#[test]
fn messages_are_streamed_with_their_task() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let tasks = json!([
        task("one", &format!("echo first; {}; printf last", gate.pass()), &[]),
        task("two", "echo other", &[]),
    ]);
    let file = plan(&sandbox, "talk", &tasks);
    let running = sandbox.start(sandbox.cx_command(["run", "-f", &file, "--stream"]));
    running.wait_for_stdout("one: first\n");
    running.wait_for_stdout("two: other\n");
    gate.open();
    let output = running.finish().ok();
    assert!(output.stdout().contains("one: last\n"), "{output}");
}
