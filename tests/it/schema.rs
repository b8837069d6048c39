//! `cx spawn --schema`: an answer of a shape.

use crate::support::Sandbox;

const SCHEMA: &str =
    r#"{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}"#;

#[test]
fn an_answer_that_does_not_fit_is_an_outcome_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.write("s.json", SCHEMA);
    sandbox.spawn_sh(["--schema", "s.json", "-n", "good", "echo '{\"n\": 1}'"]);
    sandbox.cx(["wait", "good"]).ok();
    // A program is not told what was wrong, and so does not run twice.
    sandbox.spawn_sh(["--schema", "s.json", "-n", "bad", "echo '{\"n\": \"x\"}'"]);
    let waited = sandbox.cx(["wait", "bad"]).code(1);
    assert_eq!(
        waited.stderr(),
        "cx: [2] bad schema-mismatch: its answer does not fit the schema: /n: is a string, and has to be integer\n"
    );
    let events = sandbox.ledger().events();
    let ran = events.iter().filter(|line| line["ev"] == "running" && line["job"] == 2);
    assert_eq!(ran.count(), 1);
    sandbox.spawn_sh(["--schema", "s.json", "-n", "words", "echo fine"]);
    sandbox.cx(["wait", "words"]).code(1);
    let reason = sandbox.job("words")["reason"].to_string();
    assert!(reason.contains("the answer: is no JSON: "), "{reason}");
    // What failed by itself failed by itself.
    sandbox.spawn_sh(["--schema", "s.json", "-n", "fails", "exit 3"]);
    sandbox.cx(["wait", "fails"]).code(3);
    assert_eq!(sandbox.job("fails")["status"], "failed");
}

#[test]
fn the_schema_is_the_jobs_from_its_start() {
    let sandbox = Sandbox::new();
    sandbox.write("shapes/s.json", r#"{"properties": {"n": {"$ref": "parts/n.json"}}}"#);
    sandbox.write("shapes/parts/n.json", r#"{"type": "integer"}"#);
    let gate = sandbox.gate("gate");
    let script = format!("{}; echo '{{\"n\": \"x\"}}'", gate.pass());
    sandbox.spawn_sh(["--schema", "shapes/s.json", "-n", "r", &script]);
    gate.arrived();
    sandbox.sh("rm -r shapes").ok();
    gate.open();
    sandbox.cx(["wait", "r"]).code(1);
    assert_eq!(sandbox.job("r")["status"], "schema-mismatch");
    // Its task again has to have the same answer.
    sandbox.cx(["retry", "r"]).ok();
    sandbox.cx(["wait", "2"]).code(1);
    assert_eq!(sandbox.job("2")["status"], "schema-mismatch");
}

#[test]
fn a_schema_that_is_none_starts_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("no.json", "{");
    sandbox.write("far.json", r#"{"$ref": "https://example.com/s.json"}"#);
    sandbox.write("out.json", r#"{"$ref": "../home/s.json"}"#);
    sandbox.write("../home/s.json", "true");
    for (file, sentence) in [
        ("none.json", "the schema none.json cannot be read: "),
        ("no.json", "no.json is no JSON: "),
        ("far.json", "'https://example.com/s.json' is an address, and cx fetches nothing"),
        ("out.json", "'../home/s.json' lies outside of the schema's folder"),
    ] {
        let refused = sandbox.cx(["spawn", "-b", "sh", "--schema", file, "true"]);
        let refused = refused.refused(2, sentence);
        sandbox.assert_nothing_started(&refused);
    }
}

#[test]
fn a_task_of_a_plan_can_name_one_beside_the_plan() {
    let sandbox = Sandbox::new();
    sandbox.write("plans/s.json", SCHEMA);
    let plan = |schema: &str| {
        format!(
            "[tasks.a]\nbackend = 'sh'\nprompt = '''echo '{{\"n\": 1}}' '''\nschema = '{schema}'\n\
             [tasks.b]\nbackend = 'sh'\nprompt = 'echo 1'\nschema = '{schema}'\n"
        )
    };
    sandbox.write("plans/p.toml", plan("s.json"));
    sandbox.cx(["run", "-f", "plans/p.toml"]).code(1);
    assert_eq!(sandbox.job("a")["status"], "succeeded");
    assert_eq!(sandbox.job("b")["status"], "schema-mismatch");
    sandbox.write("plans/p.toml", plan("none.json"));
    let refused = sandbox.cx(["run", "-f", "plans/p.toml"]).code(2);
    assert!(refused.stderr().contains("plans/none.json cannot be read"), "{refused}");
}
