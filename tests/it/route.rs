//! `cx route`, and the plans that `cx run --route` makes of it.

use crate::support::Sandbox;

/// A sandbox with a small bundle: two agents of one id, and one with a bad regex.
fn with_bundle() -> Sandbox {
    let sandbox = Sandbox::new();
    // Whether it is there is asked; nothing of it runs.
    sandbox.script_tool("codex", "exit 0");
    let agent = |domain: &str, id: &str, triggers: &str| {
        let text = format!(
            "version: 1\nagent:\n  id: {id}\n  name: {id}\n  classification:\n    domain: {domain}\n  \
             description: It does {id}\ntriggers:\n{triggers}"
        );
        sandbox.write(format!("codex/agents/{domain}/{id}.codex.yaml"), text);
    };
    agent(
        "docs",
        "scribe",
        "  keywords:\n    - api docs\n    - api\n  regex:\n    - pattern: ^write .* guide$\n      \
         priority: high\n    - pattern: '(unclosed'\n      priority: low\n  file_patterns:\n    - '**/*.md'\n    \
         - '!**/CHANGELOG.md'\n",
    );
    agent("one", "twin", "  keywords:\n    - twin\n  file_patterns:\n    - 'src/*.{js,ts}'\n");
    agent("two", "twin", "  keywords:\n    - twin\n");
    agent("two", "mute", "  keywords: []\n");
    let index = "{\"agents\":[{\"id\":\"scribe\",\"domain\":\"docs\"},{\"id\":\"twin\",\"domain\":\"one\"},\
                 {\"id\":\"twin\",\"domain\":\"two\"},{\"id\":\"mute\",\"domain\":\"two\"}]}";
    sandbox.write("codex/agents/index.json", index);
    sandbox
}

#[test]
fn agents_are_chosen_for_a_text_and_it_is_said_why() {
    let sandbox = with_bundle();
    let routed = sandbox.cx(["route", "Write", "the API  docs guide"]).ok();
    assert_eq!(
        routed.stdout(),
        "scribe  311\n    regex '^write .* guide$' (high) at 1:1: Write the API docs guide (+300)\n    \
         keyword 'api docs' at 1:11: API docs (+8)\n    keyword 'api' at 1:11: API (+3)\n"
    );
    let bad = "docs/scribe.codex.yaml:15: the trigger '(unclosed' of 'scribe' is no regex";
    assert!(routed.stderr().contains(bad), "{routed}");
    let nothing = sandbox.cx(["route", "Name the capital of Peru"]).code(1);
    assert_eq!(nothing.stdout(), "");
    assert!(nothing.stderr().contains("cx: no agent was found: 3 have triggers"), "{nothing}");
}

#[test]
fn agents_of_one_id_have_their_qualified_names() {
    let sandbox = with_bundle();
    let json = sandbox.cx(["route", "--json", "Twin?"]).ok().json();
    let agents: Vec<&str> =
        json["routes"].as_array().unwrap().iter().map(|r| r["agent"].as_str().unwrap()).collect();
    assert_eq!(agents, ["one/twin", "two/twin"]);
    let place = serde_json::json!({"line": 1, "column": 1});
    assert_eq!(json["routes"][0]["matches"][0]["at"], place);
    let bad = &json["bad_triggers"][0];
    assert_eq!((bad["agent"].as_str(), bad["line"].as_u64()), (Some("scribe"), Some(15)));
}

#[test]
fn files_are_meant_from_the_root_of_the_checkout() {
    let sandbox = with_bundle();
    let all = ["route", "--files", "src/a.js", "README.md", "docs/CHANGELOG.md", "src/x/b.ts"];
    assert_eq!(
        sandbox.cx(all).ok().stdout(),
        "one/twin  10\n    file pattern 'src/*.{js,ts}': src/a.js (+10)\nscribe  4\n    \
         file pattern '**/*.md': README.md (+4)\n"
    );
    sandbox.write("src/deep/x", "");
    let from_below =
        sandbox.sh("cd src/deep && cx route --files ../a.ts \"$OLDPWD/src/b.js\"").ok();
    assert!(from_below.stdout().contains(": src/a.ts (+10)\n"), "{from_below}");
    assert!(from_below.stdout().contains(": src/b.js (+10)\n"), "{from_below}");
    sandbox.cx(["route", "--files", "a.zig"]).code(1);
}

#[test]
fn a_route_is_a_plan() {
    let sandbox = with_bundle();
    let plan = |words: &[&str]| {
        let run = [["run", "--dry-run", "--json"].as_slice(), words].concat();
        let json = sandbox.cx(run).ok().json();
        let tasks: Vec<String> = json["plan"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("{}: {}", one["alias"].as_str().unwrap(), one["tasks"]))
            .collect();
        tasks
    };
    assert_eq!(
        plan(&["--route", "the twin of {{api}}"]),
        [
            "one/twin: [\"the twin of {{api}}\"]",
            "two/twin: [\"the twin of {{api}}\"]",
            "scribe: [\"the twin of {{api}}\"]"
        ]
    );
    assert_eq!(
        plan(&["--route-files", "src/a.ts", "src/b.js", "c.md"]),
        ["one/twin: [\"Review src/a.ts\",\"Review src/b.js\"]", "scribe: [\"Review c.md\"]"]
    );
    let left_out = sandbox.cx(["run", "--dry-run", "--route-files", "a.zig", "c.md"]).ok();
    let warning = "cx: warning: no agent has a file pattern for a.zig: it is left out";
    assert!(left_out.stderr().contains(warning), "{left_out}");
    let nothing = sandbox.cx(["run", "--route", "Name the capital"]).code(1);
    assert!(nothing.stderr().contains("no agent was found: 3 have triggers"), "{nothing}");
    assert!(nothing.stderr().contains("; nothing was started"), "{nothing}");
    sandbox.cx(["run", "--route", "x", "-f", "plan.toml"]).code(2);
}
