//! `--schema` with the real claude.

use serde_json::json;

use super::{Lab, end};
use crate::support::Script;

const SCHEMA: &str =
    r#"{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}"#;

#[test]
fn it_answers_by_a_tool_of_that_shape() {
    let lab = Lab::new();
    lab.sandbox.write("s.json", SCHEMA);
    let script = Script::new().tool("StructuredOutput", json!({ "n": 7 })).say("Seven.");
    lab.on("count", script);
    let job = lab.run("count", &["--schema", "s.json", "count them"], 0);
    assert_eq!(end(&job), ("succeeded", ""));
    assert_eq!(job["notes"], json!([]));
    let answer = lab.cx(&["collect", "count", "--format", "{message}"]).ok().stdout();
    assert_eq!(answer, "{\"n\":7}\n");
    let tools = lab.server.requests()[0]["tools"].clone();
    let tool = tools.as_array().unwrap().iter().find(|tool| tool["name"] == "StructuredOutput");
    assert_eq!(tool.unwrap()["input_schema"]["required"], json!(["n"]));
}

#[test]
fn words_are_no_answer_and_the_session_goes_on_once() {
    let lab = Lab::new();
    lab.sandbox.write("s.json", SCHEMA);
    let again = Script::new().tool("StructuredOutput", json!({ "n": 7 })).say("Seven.");
    lab.on("Your answer was not accepted", again);
    lab.on("count", Script::new().say("Seven.").say("Seven.").say("Seven.").say("Seven."));
    let job = lab.run("count", &["--schema", "s.json", "count them"], 0);
    assert_eq!(end(&job), ("succeeded", ""), "{}", lab.logs("count"));
    assert!(job["notes"].to_string().contains("it was asked once more"), "{job}");
}
