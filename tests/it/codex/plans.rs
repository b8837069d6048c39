//! `cx plan --decomposer llm`: the real codex is asked for a plan.

use std::fs;

use super::Lab;
use crate::support::Script;

const GOAL: &str = "Make the uploads retry";

#[test]
fn the_backend_is_asked_as_a_reader_with_a_schema() {
    let lab = Lab::new();
    let bad = r#"{"tasks":[{"id":"a","agent":"wizard","prompt":"p","needs":["z"]}]}"#;
    let good = r#"{"tasks":[{"id":"look","agent":"scout","prompt":"Find it","needs":[]},
        {"id":"mend","agent":"coder","prompt":"Mend it","needs":["look"]}]}"#;
    lab.on("was refused: unknown_agent:wizard, unknown_dep:z", Script::new().say(good));
    lab.on(GOAL, Script::new().say(bad));
    let planned = lab.cx(&["plan", "--decomposer", "llm", GOAL]).ok();
    let said = planned.stderr();
    assert!(said.contains("cx: asking [1] plan; `cx logs -f plan` shows what it does\n"), "{said}");
    assert!(said.contains("unknown_agent:wizard, unknown_dep:z; asked once more\n"), "{said}");
    let plan = planned.stdout();
    assert!(plan.contains("[tasks.mend]\nagent = \"coder\"\nneeds = [\"look\"]\n"), "{plan}");
    fs::write(lab.sandbox.repo().join("plan.toml"), &plan).unwrap();
    lab.cx(&["run", "-f", "plan.toml", "--dry-run"]).ok();

    // Readers, over, and nothing of them is left to collect.
    let job = lab.show("plan");
    assert_eq!((&job["mode"], &job["collected"]), (&"reader".into(), &true.into()), "{job}");
    assert_eq!(lab.cx(&["collect"]).code(1).stderr(), "cx: nothing to collect\n");
    let formats: Vec<_> =
        lab.server.requests().iter().map(|r| r["text"]["format"].clone()).collect();
    assert_eq!(formats.len(), 2);
    for format in formats {
        assert_eq!(format["type"], "json_schema", "{format}");
        let item = &format["schema"]["properties"]["tasks"]["items"]["required"];
        assert_eq!(item, &serde_json::json!(["id", "agent", "prompt", "needs"]));
    }
}

#[test]
fn no_plan_comes_of_a_backend_that_fails() {
    let lab = Lab::new();
    lab.on(GOAL, Script::new().status(400));
    let failed = lab.cx(&["plan", "--decomposer", "llm", "-o", "plan.toml", GOAL]).code(1);
    assert!(failed.stderr().contains("[1] plan was to plan, and failed"), "{failed}");
    assert!(!lab.sandbox.repo().join("plan.toml").exists());
}

#[test]
fn a_planner_of_the_configuration_names_the_model() {
    let lab = Lab::new();
    let config = lab.sandbox.root().join("config/cx");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.toml"), "[planner.cloud]\nmodel = 'gpt-5.5-mini'\n").unwrap();
    let answer = r#"{"tasks":[{"id":"mend","agent":"coder","prompt":"Mend it","needs":[]}]}"#;
    lab.on(GOAL, Script::new().say(answer));
    let plan = lab.cx(&["plan", "--decomposer", "cloud", GOAL]).ok().stdout();
    assert!(plan.contains("[tasks.mend]"), "{plan}");
    assert_eq!(lab.server.requests()[0]["model"], "gpt-5.5-mini");
}

#[test]
fn the_backend_that_llm_asks_can_be_said() {
    let mut lab = Lab::new();
    // The default has no program here.
    lab.sandbox.set("CX_BACKEND", "claude");
    let answer = r#"{"tasks":[{"id":"mend","agent":"coder","prompt":"Mend it","needs":[]}]}"#;
    lab.on(GOAL, Script::new().say(answer));
    lab.cx(&["plan", "--decomposer", "llm", GOAL]).refused(127, "claude was not found");
    let plan = lab.cx(&["plan", "-b", "codex", "--decomposer", "llm", GOAL]).ok().stdout();
    assert!(plan.contains("[tasks.mend]"), "{plan}");
    assert_eq!(lab.show("plan")["backend"], "codex");
    for (args, what) in [
        (&["plan", "-b", "codex", GOAL][..], "llm is asked nothing"),
        (&["plan", "-b", "sh", "--selector", "llm", GOAL], "the backend sh runs commands"),
        (&["plan", "-b", "gpt", "--selector", "llm", GOAL], "there is no backend 'gpt'"),
    ] {
        lab.cx(args).refused(2, what);
    }
}
