//! What counts as a failure of a run, and turns.

use serde_json::json;

use super::{plan, task};
use crate::support::Sandbox;

#[test]
fn a_failure_that_the_plan_has_seen_to_is_none_of_the_run() {
    let when = |id: &str, script: &str, when: &str| json!({ "id": id, "prompt": script, "needs": ["bad"], "when": when });
    // What mends it, whether somebody else needs it, how it ends.
    for (mend, needed, code) in [("echo mended", false, 0), ("exit 4", false, 1), ("true", true, 1)]
    {
        let sandbox = Sandbox::new();
        let mut tasks = vec![
            task("bad", "exit 3", &[]),
            when("mend", mend, "bad.failed"),
            when("praise", "echo never", "bad.succeeded"),
        ];
        if needed {
            // It is skipped, and nobody has seen to that.
            tasks.push(task("after-bad", "echo never", &["bad"]));
        }
        let file = plan(&sandbox, "seen-to", &json!(tasks));
        let output = sandbox.cx(["run", "-f", &file]).code(code);
        let said = output.stderr();
        let status = sandbox.cx(["status", "--json"]).ok().json();
        assert_eq!(status["failed"], if mend == "exit 4" { 2 } else { 1 }, "{output}");
        if code == 0 {
            let end = "run seen-to succeeded (1 task failed and was seen to)";
            assert!(said.contains(end), "{said}");
            assert!(!said.contains("--resume"), "{said}");
            sandbox.cx(["run", "--resume", "seen-to"]).refused(2, "run seen-to has succeeded");
        } else {
            assert!(said.contains("run seen-to failed"), "{said}");
        }
    }
}

#[test]
fn members_that_failed_are_seen_to_by_the_name_of_the_whole() {
    let sandbox = Sandbox::new();
    let tasks = json!([
        { "id": "each", "argv": ["sh", "-c", "exit $1", "sh", "{{item}}"], "foreach": ["0", "3"] },
        { "id": "mend", "prompt": "echo mended", "needs": ["each"], "when": "each.failed" },
    ]);
    let file = plan(&sandbox, "members", &tasks);
    sandbox.cx(["run", "-f", &file]).ok();
}

#[test]
fn max_turns_go_to_claude_and_are_named_where_nothing_can_limit_them() {
    let sandbox = Sandbox::new();
    sandbox.script_tool("claude", "printf '%s\\n' \"$@\"; exit 3");
    let tasks = json!([
        { "id": "a", "agent": "scout", "prompt": "look", "backend": "claude", "max-turns": 7 },
        { "id": "b", "prompt": "echo b", "max-turns": 7 },
        { "id": "c", "prompt": "echo c", "max-turns": 8 },
    ]);
    let file = plan(&sandbox, "turns", &tasks);
    let output = sandbox.cx(["run", "-f", &file]).code(1);
    let note = "'max-turns' of task 'b' and 1 more is not honoured: sh cannot limit turns";
    assert!(output.stderr().contains(note), "{output}");
    let argv = std::fs::read_to_string(sandbox.repo().join(".git/cx/jobs/1/events.jsonl")).unwrap();
    assert!(argv.lines().any(|arg| arg == "--max-turns=7"), "{argv}");
    let note = "'max-turns' is not honoured: sh cannot limit turns";
    assert_eq!(sandbox.job("b")["notes"], json!([note]));
    assert_eq!(sandbox.job("c")["notes"], json!([note]));
}

#[test]
fn a_task_has_the_keywords_of_its_text() {
    let sandbox = Sandbox::new();
    let tasks =
        json!([{ "id": "a", "prompt": "echo '{{task_keywords}}'; : parse Tokens of parse" }]);
    let file = plan(&sandbox, "words", &tasks);
    sandbox.cx(["run", "-f", &file]).ok();
    let said = sandbox.cx(["collect", "a", "--format", "{message}"]).ok().stdout();
    assert_eq!(said, "parse, tokens\n");
}

#[test]
fn what_an_agent_says_and_nothing_honours_is_said_once_before_the_run() {
    let sandbox = Sandbox::new();
    sandbox.script_tool("codex", "exit 3");
    let agent = "---\ndescription: d\nmode: reader\ntools: [Read]\nhooks:\n  \
                 pre_task: ['true']\n---\nhi\n";
    sandbox.write(".cx/agents/picky.md", agent);
    let task =
        |id: &str| json!({ "id": id, "agent": "picky", "prompt": "look", "backend": "codex" });
    let file = plan(&sandbox, "picky", &json!([task("a"), task("b")]));
    let said = sandbox.cx(["run", "-f", &file]).code(1).stderr();
    for note in ["agent 'picky' has hooks, which do not run", "codex cannot be held to a list"] {
        assert_eq!(said.matches(note).count(), 1, "{said}");
    }
}
