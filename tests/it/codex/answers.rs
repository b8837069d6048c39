//! Readers that answer.

use std::fs;

use serde_json::json;

use super::{Lab, end};
use crate::support::{Sandbox, Script};

#[test]
fn a_reader_answers_with_message_tokens_and_thread() {
    let lab = Lab::new();
    lab.on("races", Script::new().say("None found.\n\nReally.").usage(700, 600, 50, 40));
    lab.spawn("races", &["Look for races"]);
    let waited = lab.cx(&["wait"]).ok();
    assert_eq!((waited.stdout(), waited.stderr()), (String::new(), String::new()));
    let job = lab.collect("races", 0);
    assert_eq!(job["message"], "None found.\n\nReally.");
    assert_eq!(job["status"], "succeeded");
    assert_eq!(job["backend"], "codex");
    assert_eq!(job["mode"], "reader");
    assert_eq!(job["exit_code"], 0);
    assert_eq!(job["reason"], json!(null));
    assert_eq!(job["usage"], json!({ "input": 700, "cached": 600, "output": 50 }));
    let thread = job["thread"].as_str().unwrap();
    assert_eq!((thread.len(), thread.matches('-').count()), (36, 4), "{thread}");
    assert_eq!(job["branch"], json!(null));
    assert_eq!(job["notes"], json!([]));
}

#[test]
fn for_people_an_answer_stands_below_its_headline() {
    let lab = Lab::new();
    lab.on("races", Script::new().say("None found.").usage(12_345, 600, 50, 40));
    lab.run("races", &["Look for races"], 0);
    let shown = lab.cx(&["collect"]).ok().stdout();
    let (head, message) = shown.split_once('\n').unwrap();
    assert!(head.starts_with("== [1] races · succeeded · "), "{head}");
    assert!(head.ends_with(" · 12345 tokens in, 50 out"), "{head}");
    assert_eq!(message, "None found.\n");
}

#[test]
fn the_last_message_is_the_answer() {
    let lab = Lab::new();
    let remark = json!({
        "type": "message", "role": "assistant", "id": "msg_remark", "status": "completed",
        "content": [{ "type": "output_text", "text": "I look first.", "annotations": [] }],
    });
    let script = Script::new().shell("true").after_item(remark).say("It is fine.");
    lab.on("check", script);
    let (job, _) = lab.run("check", &["check it"], 0);
    assert_eq!(end(&job), ("succeeded", ""));
    assert_eq!(lab.collect("check", 0)["message"], "It is fine.");
    let log = lab.cx(&["logs", "check"]).ok().stdout();
    // The command begins while the remark is on its way.
    let mut begun: Vec<&str> = log.lines().collect();
    assert_eq!(begun.pop(), Some("It is fine."), "{log}");
    begun.sort_unstable();
    assert_eq!(begun, ["$ true", "I look first."], "{log}");
}

#[test]
fn a_remark_before_the_last_command_is_no_answer() {
    let lab = Lab::new();
    let remark = json!({
        "type": "message", "role": "assistant", "id": "msg_remark", "status": "completed",
        "content": [{ "type": "output_text", "text": "I look first.", "annotations": [] }],
    });
    lab.on("check", Script::new().shell("true").after_item(remark).empty());
    let (job, said) = lab.run("check", &["check it"], 1);
    assert_eq!(end(&job).0, "no-answer");
    assert!(said.contains("[1] check no-answer: "), "{said}");
}

#[test]
fn an_empty_answer_is_no_success() {
    let lab = Lab::new();
    lab.on("nothing", Script::new().empty());
    let (job, said) = lab.run("nothing", &["Say nothing"], 1);
    assert_eq!(end(&job), ("no-answer", "codex ended its turn without a final message"));
    assert_eq!(said, "cx: [1] nothing no-answer: codex ended its turn without a final message\n");
    assert_eq!(job["exit_code"], 1);
    assert_eq!(job["exit"], json!({ "code": 0 }));
    let job = lab.collect("nothing", 1);
    assert_eq!(job["message"], json!(null));
}

#[test]
fn outside_of_a_repository_a_reader_works() {
    let lab = Lab::around(Sandbox::without_repository());
    // A sandbox lies in cx's own repository, and codex looks for one by itself.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "buy milk\n").unwrap();
    let cx = |words: &[&str]| {
        let mut command = lab.sandbox.cx_command(words);
        command.current_dir(folder.path());
        lab.sandbox.run(command)
    };
    lab.on("notes", Script::new().shell("cat notes.txt").say("Milk."));
    cx(&["spawn", "-n", "notes", "Read my notes"]).ok();
    cx(&["wait"]).ok();
    assert_eq!(cx(&["collect", "--json"]).ok().json()[0]["message"], "Milk.");
    let log = cx(&["logs", "--raw", "notes"]).ok();
    assert!(log.stdout().contains("buy milk"), "{log}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the notes lie there");
    let refused = cx(&["spawn", "--write", "Change my notes"]).code(2);
    assert!(refused.stderr().contains("repository"), "{refused}");
}

#[test]
fn a_reader_starts_in_the_folder_that_it_was_spawned_in() {
    let lab = Lab::new();
    lab.sandbox.write("docs/guide.md", "The guide.\n");
    lab.on("where", Script::new().shell("pwd; cat guide.md").say("Here."));
    let mut spawn = lab.sandbox.cx_command(["spawn", "-n", "where", "Say where"]);
    spawn.current_dir(lab.sandbox.repo().join("docs"));
    lab.sandbox.run(spawn).ok();
    lab.cx(&["wait", "where"]).ok();
    let log = lab.cx(&["logs", "--raw", "where"]).ok().stdout();
    assert!(log.contains("/repo/docs\\nThe guide.\\n"), "{log}");
}

#[test]
fn the_model_is_the_one_that_was_asked_for() {
    let lab = Lab::new();
    lab.spawn("plain", &["Which model?"]);
    lab.spawn("other", &["-m", "gpt-5.1-codex", "Which model?"]);
    lab.cx(&["wait"]).ok();
    let mut models: Vec<String> = lab
        .server
        .requests()
        .iter()
        .map(|request| request["model"].as_str().unwrap().to_owned())
        .collect();
    models.sort();
    assert_eq!(models, ["gpt-5.1-codex", "gpt-5.5"]);
    assert_eq!(lab.show("other")["model"], "gpt-5.1-codex");
}
