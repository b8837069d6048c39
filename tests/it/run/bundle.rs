//! The task map that codex-flow ships, in its shape, on a bundle in the shape of
//! the one that it ships, and on none.

use serde_json::{Value, json};

use super::with_codex;
use crate::support::Sandbox;

/// What the ten built-in aliases stand for in that bundle, with who does the same
/// for cx.
const TEN: [(&str, &str, &str, &str); 10] = [
    ("architect", "architecture/system-design/system-architect", "architect", "reader"),
    ("backend", "development/backend/backend-dev", "coder", "writer"),
    ("docs", "documentation/api-docs/api-docs", "docs", "writer"),
    ("frontend", "core/coder", "coder", "writer"),
    ("planner", "templates/task-orchestrator", "architect", "reader"),
    ("reviewer", "analysis/code-review/code-analyzer", "reviewer", "reader"),
    ("reviewer2", "analysis/code-review/code-analyzer", "reviewer", "reader"),
    ("scaffold", "core/coder", "coder", "writer"),
    ("tester", "core/tester", "tester", "writer"),
    ("validator", "testing/validation/production-validator", "verifier", "reader"),
];

/// As it is shipped, but for the words.
const MAP: &str = r#"{
  "reviewer": ["Review a.ts", "Review b.ts"],
  "reviewer2": ["Suggest for c.ts"],
  "architect": ["Propose a module"]
}
"#;

/// A bundle with all ten, and a second agent of one of the ids.
fn add_bundle(sandbox: &Sandbox) {
    let mut index = Vec::new();
    let names = TEN.iter().map(|(_, name, ..)| *name).chain(["analysis/code-analyzer"]);
    for name in names {
        let parts: Vec<&str> = name.split('/').collect();
        let id = *parts.last().unwrap();
        index.push(json!({ "id": id, "domain": parts[0] }));
        let text = format!(
            "version: 1\nagent:\n  id: {id}\n  name: {id}\n  description: It is {name}\nruntime:\n  \
             autonomy_level: 0.5\n  concurrency:\n    max_parallel_tasks: 2\n"
        );
        sandbox.write(format!("../bundle/{name}.codex.yaml"), text);
    }
    sandbox.write("../bundle/index.json", json!({ "agents": index }).to_string());
}

/// `ALIAS AGENT AUTONOMY` of each job of the ledger.
fn roles(sandbox: &Sandbox) -> Vec<String> {
    let spawned = sandbox.ledger().events().into_iter().filter(|event| event["ev"] == "spawned");
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let role = |job: Value| {
        let prompt = sandbox.repo().join(format!(".git/cx/jobs/{}/prompt", job["job"]));
        let prompt = std::fs::read_to_string(prompt).unwrap();
        let autonomy = prompt.split_once("AUTONOMY:\n").map_or("-", |(_, rest)| &rest[..3]);
        format!("{} {} {autonomy}", word(&job["alias"]), word(&job["agent"]))
    };
    let mut roles: Vec<String> = spawned.map(role).collect();
    roles.sort();
    roles
}

#[test]
fn the_task_map_runs_unchanged_on_the_bundle() {
    let mut sandbox = with_codex();
    add_bundle(&sandbox);
    sandbox.write("tasks.json", MAP);
    sandbox.set("CODEX_AGENTS_DIR", sandbox.root().join("bundle"));
    let output = sandbox.cx(["run", "-f", "tasks.json", "--json"]).ok();
    let summary = output.json();
    assert_eq!((&summary["totalTasks"], &summary["succeeded"]), (&json!(4), &json!(4)));
    let reviewer = &summary["resultsByAlias"]["reviewer"];
    assert_eq!((&reviewer["agentId"], &reviewer["count"]), (&json!("code-analyzer"), &json!(2)));
    assert_eq!(reviewer["tasks"][1]["output"], "did reviewer-2");
    assert!(!output.stderr().contains("stands for"), "{output}");
    assert_eq!(
        roles(&sandbox),
        [
            "architect architecture/system-design/system-architect 0.5",
            "reviewer analysis/code-review/code-analyzer 0.7",
            "reviewer analysis/code-review/code-analyzer 0.7",
            "reviewer2 analysis/code-review/code-analyzer 0.9",
        ]
    );
}

#[test]
fn without_the_bundle_it_runs_on_agents_of_cx_and_says_so() {
    let sandbox = with_codex();
    sandbox.write("tasks.json", MAP);
    let output = sandbox.cx(["run", "-f", "tasks.json"]).ok();
    let note = "'reviewer2' stands for cx's own 'reviewer': no bundle of agents here has \
                analysis/code-review/code-analyzer";
    assert_eq!(output.stderr().matches("stands for").count(), 1, "{output}");
    assert!(output.stderr().contains(note), "{output}");
    assert_eq!(
        roles(&sandbox),
        ["- architect -", "- reviewer -", "- reviewer -", "reviewer2 cx/reviewer 0.9"]
    );
}

#[test]
fn all_ten_aliases_stand_for_somebody_with_and_without_the_bundle() {
    let mut sandbox = with_codex();
    let map: serde_json::Map<String, Value> =
        TEN.iter().map(|(alias, ..)| ((*alias).to_owned(), json!(["Do it"]))).collect();
    sandbox.write("ten.json", Value::Object(map).to_string());
    let check = |sandbox: &Sandbox, agent: &dyn Fn(&str, &str) -> String| {
        let plan = sandbox.cx(["run", "-f", "ten.json", "--dry-run", "--json"]).ok().json();
        for (at, (alias, name, own, mode)) in TEN.iter().enumerate() {
            assert_eq!(plan["plan"][at]["alias"], *alias);
            assert_eq!(plan["plan"][at]["agentId"], agent(name, own), "{alias}");
            assert_eq!(plan["tasks"][at]["mode"], *mode, "{alias}");
        }
    };
    check(&sandbox, &|_, own| own.to_owned());
    add_bundle(&sandbox);
    sandbox.set("CODEX_AGENTS_DIR", sandbox.root().join("bundle"));
    check(&sandbox, &|name, _| name.rsplit('/').next().unwrap().to_owned());
}

/// The template of an agent names the worker and values of `--var`, in `spawn` and in
/// plans; what has no value starts nothing.
#[test]
fn the_template_of_an_agent_takes_the_values_of_its_command() {
    let sandbox = with_codex();
    let template = "{{worker_name}}|{{worker_id}}|{{session_id}}|{{foo}}: {{worker_task}}";
    let text = format!("---\ndescription: x\ntemplate: \"{template}\"\n---\nBe brief.\n");
    sandbox.write(".cx/agents/worded.md", text);
    sandbox.write("plan.toml", "[tasks.one]\nagent = \"worded\"\nprompt = \"Do {{goal}}\"\n");
    let unset = "the template of agent 'worded' has '{{foo}}', which has no value";
    for args in [&["spawn", "-t", "worded", "Do it"][..], &["run", "-f", "plan.toml", "it"]] {
        let refused = sandbox.cx(args).refused(2, unset);
        sandbox.assert_nothing_started(&refused);
    }
    sandbox
        .cx(["spawn", "-t", "coder", "--var", "foo=1", "x"])
        .refused(2, "agent 'coder' has none");
    // A value is never read as a template.
    let foo = "foo={{goal}}";
    sandbox.cx(["spawn", "-t", "worded", "--var", foo, "Do {{it}}"]).ok();
    sandbox.cx(["wait"]).ok();
    let told = |job: &str, line: &str| {
        let prompt = sandbox.cx(["prompt", job]).ok().stdout();
        assert!(prompt.contains(&format!("\n{line}\n")), "{line}: {prompt}");
    };
    let id = sandbox.job("%1")["id"].as_str().unwrap().to_owned();
    told("%1", &format!("worded|{id}|{id}|{{{{goal}}}}: Do {{{{it}}}}"));
    sandbox.cx(["run", "-f", "plan.toml", "--var", foo, "it"]).ok();
    told("%2", "worded|one|plan|{{goal}}: Do it");
}
