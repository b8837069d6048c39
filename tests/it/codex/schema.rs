//! `--schema` with the real codex.

use serde_json::json;

use super::{Lab, end};
use crate::support::Script;

const SCHEMA: &str = r#"{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false}"#;

#[test]
fn it_is_sent_to_the_model_and_a_misfit_is_asked_for_once_more_in_its_thread() {
    let lab = Lab::new();
    lab.sandbox.write("s.json", SCHEMA);
    lab.on("Your answer was not accepted", Script::new().say("{\"n\": 7}").usage(30, 0, 3, 0));
    lab.on("count", Script::new().say("Seven.").usage(10, 0, 1, 0));
    let (job, _) = lab.run("count", &["--schema", "s.json", "count them"], 0);
    assert_eq!(end(&job), ("succeeded", ""));
    let notes = job["notes"][0].as_str().unwrap();
    assert!(
        notes.contains("is no JSON: ") && notes.ends_with("; it was asked once more"),
        "{notes}"
    );
    let requests = lab.server.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert_eq!(request["text"]["format"]["schema"]["required"], json!(["n"]), "{request}");
    }
    // The same thread: the second request has all that was said before.
    let second = requests[1]["input"].to_string();
    assert!(second.contains("count them") && second.contains("Seven."), "{second}");
    assert_eq!(lab.collect("count", 0)["message"], "{\"n\": 7}");
}

#[test]
fn one_that_never_fits_ends_after_the_second() {
    let lab = Lab::new();
    lab.sandbox.write("s.json", SCHEMA);
    lab.on("Your answer was not accepted", Script::new().say("{\"n\": \"x\"}"));
    lab.on("count", Script::new().say("[]"));
    let (job, said) = lab.run("w", &["-w", "--schema", "s.json", "count them"], 1);
    let wrong = "its answer does not fit the schema: /n: is a string, and has to be integer";
    assert_eq!(end(&job), ("schema-mismatch", wrong));
    assert!(said.contains("[1] w schema-mismatch: "), "{said}");
    assert_eq!(lab.server.requests().len(), 2);
}
