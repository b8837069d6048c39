//! `cx run` up to where something would start: forms, patterns, refusals.

use serde_json::{Value, json};

use crate::support::{Output, Sandbox};

/// `cx run ARGS --dry-run --json`.
#[track_caller]
fn plan(sandbox: &Sandbox, args: &[&str]) -> Value {
    let command = ["run", "--dry-run", "--json"].iter().chain(args);
    let output = sandbox.cx(command).ok();
    let plan = output.json();
    assert_eq!(plan["kind"], "plan");
    plan
}

/// The ids in each wave, `a b|c`.
fn waves(plan: &Value) -> String {
    let wave = |wave: &Value| {
        let ids = wave.as_array().unwrap().iter();
        ids.map(|id| id.as_str().unwrap()).collect::<Vec<_>>().join(" ")
    };
    plan["waves"].as_array().unwrap().iter().map(wave).collect::<Vec<_>>().join("|")
}

/// Refused with exit code 2, with all of these lines as the message, and with
/// nothing made.
#[track_caller]
fn refused(sandbox: &Sandbox, args: &[&str], message: &[&str]) -> Output {
    let mut output = None;
    // A dry run refuses what a run refuses, in the same words.
    for more in [&["--dry-run"][..], &[]] {
        let refusal = sandbox.cx(["run"].iter().chain(args).chain(more)).code(2);
        assert_eq!(refusal.stdout(), "", "{refusal}");
        let said = refusal.stderr();
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| !line.starts_with("    hint: "))
            .map(|line| line.trim_start_matches("cx: error: ").trim_start())
            .collect();
        assert_eq!(lines, message, "{refusal}");
        sandbox.assert_nothing_started(&refusal);
        output = Some(refusal);
    }
    output.unwrap()
}

#[test]
fn a_task_map_runs_on_a_bundle_as_it_is() {
    let sandbox = Sandbox::new();
    // Whether it is there is asked; nothing of it runs.
    sandbox.script_tool("codex", "exit 0");
    let agent = |id: &str, limit: u32| {
        format!(
            "agent:\n  id: {id}\n  name: {id}\n  description: Looks\nruntime:\n  concurrency:\n    max_parallel_tasks: {limit}\n"
        )
    };
    sandbox.write(
        "bundle/index.json",
        json!({ "agents": [
            { "id": "code-analyzer", "domain": "analysis", "subdomain": "code-review" },
            { "id": "system-architect", "domain": "architecture", "subdomain": "system-design" },
        ] })
        .to_string(),
    );
    sandbox
        .write("bundle/analysis/code-review/code-analyzer.codex.yaml", agent("code-analyzer", 2));
    sandbox.write(
        "bundle/architecture/system-design/system-architect.codex.yaml",
        agent("system-architect", 1),
    );
    let map = r#"{"reviewer": ["Review a.ts", {"type": "analysis", "files": ["b.ts"]}],
        "reviewer2": ["Refactor c.ts"], "architect": ["Propose {{area}}"]}"#;
    sandbox.write("tasks.json", map);
    let args = ["-f", "tasks.json", "--agents-dir", "bundle", "--var", "area=mail"];
    let of_file = plan(&sandbox, &args);
    assert_eq!(
        of_file["plan"],
        json!([
            { "alias": "reviewer", "agentId": "code-analyzer", "limit": 2,
              "tasks": ["Review a.ts", "analysis"] },
            { "alias": "reviewer2", "agentId": "code-analyzer", "limit": 2,
              "tasks": ["Refactor c.ts"] },
            { "alias": "architect", "agentId": "system-architect", "limit": 1,
              "tasks": ["Propose mail"] },
        ])
    );
    // And from stdin, in which there is no name to go by.
    let mut args = args.map(|arg| if arg == "tasks.json" { "-" } else { arg }).to_vec();
    args.extend(["--dry-run", "--json"]);
    let command = sandbox.cx_command(["run"].iter().chain(&args));
    let piped = sandbox.run_with_input(command, map).ok().json();
    assert_eq!(piped["plan"], of_file["plan"]);
    // An alias of one's own is before those of cx.
    let args = ["-f", "tasks.json", "--agents-dir", "bundle", "--var", "area=mail"];
    let own = ["--alias", "reviewer=scout:timeout=5m"];
    let aliased = plan(&sandbox, &[&args[..], &own].concat());
    assert_eq!(aliased["plan"][0]["agentId"], "scout");
}

#[test]
fn a_pipeline_is_told_its_goal() {
    let sandbox = Sandbox::new();
    // Whether it is there is asked; nothing of it runs.
    sandbox.script_tool("codex", "exit 0");
    sandbox.write(
        "pipe.yaml",
        "steps:
  - swarm_init: { topology: mesh, maxAgents: 3 }
  - spawn: architect
  - wait_for: architecture
  - spawn: [coder-1, coder-2]
  - wait_for: implementation
  - spawn_workers: [{ type: tester, count: 2 }]
  - aggregate_results
",
    );
    let message = "pipe.yaml:3: 'architect' and 4 more ask for the goal, and none was given";
    let refusal = refused(&sandbox, &["-f", "pipe.yaml"], &[message]);
    assert!(refusal.stderr().contains("cx run -f pipe.yaml \"GOAL\""), "{refusal}");
    let plan = plan(&sandbox, &["-f", "pipe.yaml", "Build", "it"]);
    assert_eq!(waves(&plan), "architect|coder-1 coder-2|tester-1 tester-2");
    assert_eq!(
        plan["plan"][1],
        json!({ "alias": "coder", "agentId": "coder", "limit": null, "tasks": ["Build it", "Build it"] })
    );
    assert_eq!(plan["maxJobs"], 3);
    assert_eq!(plan["tasks"][1]["mode"], "writer");
    assert_eq!(plan["notes"], json!(["line 2: 'topology' is not honoured"]));
    let output = sandbox.cx(["run", "--dry-run", "-f", "pipe.yaml", "Build it"]).ok();
    assert_eq!(
        output.stdout(),
        "pipe
1  architect  architect  reader                          Build it
2  coder-1    coder      writer  after architect         Build it
   coder-2    coder      writer  after architect         Build it
3  tester-1   tester     writer  after coder-1, coder-2  Build it
   tester-2   tester     writer  after coder-1, coder-2  Build it
5 tasks in 3 waves, at most 3 at once
"
    );
    assert_eq!(output.stderr(), "cx: warning: pipe.yaml: line 2: 'topology' is not honoured\n");
}

#[test]
fn every_bad_plan_is_refused_with_its_lines_and_nothing_starts() {
    let sandbox = Sandbox::new();
    for (text, message) in [
        ("{}", &["plan: the plan has no tasks"][..]),
        ("", &["plan:1: the plan is empty"]),
        ("prose", &["plan:1: this is no plan"]),
        ("{\"reviewer\": [1]}", &["plan:1: a task has to be a text or a table, and is a number"]),
        (
            "{\"nobody\": [\"x\"],\n\"revewer\": [\"y\"]}",
            &[
                "plan:1: there is no agent 'nobody' (`cx agents list` shows all)",
                "plan:2: there is no agent 'revewer' (did you mean 'reviewer'? `cx agents list` shows all)",
            ],
        ),
        ("{\"reviewer\": [\"\"]}", &["plan:1: 'reviewer' is told nothing: it has no prompt"]),
        (
            "{\"reviewer\": [\"x\"],\n\"reviewer\": [\"y\"]}",
            &["plan:2: this is no valid JSON: 'reviewer' stands here a second time, after line 1"],
        ),
        (
            "{\"reviewer\": [\"{{foo}} ${{ secrets.X }}\"]}",
            &["plan:1: '{{foo}}' in 'reviewer' has no value"],
        ),
        (
            "[tasks.a]\nprompt = 'x'\nneeds = ['b']\n[tasks.b]\nprompt = 'x'\nneeds = ['a', 'c']\n",
            &[
                "plan:1: tasks wait for each other: a needs b (line 1), b needs a (line 4)",
                "plan:4: 'b' needs 'c', and there is no such task",
            ],
        ),
        (
            "workers:\n- {id: a, prompt: x}\n- {id: a, prompt: y}\n- {prompt: z}\n- {id: b c, prompt: z}\n",
            &[
                "plan:3: there are two tasks 'a', the first in line 2",
                "plan:4: a task has no id",
                "plan:5: 'b c' cannot be a task's id: it may not contain ' ' there: letters, digits, '.', '_' and '-' only, beginning with a letter or digit",
            ],
        ),
        (
            "[tasks.a]\nprompt = 'x'\nfor-each = ['b']\n",
            &["plan:3: a task has no key 'for-each': did you mean 'foreach'?"],
        ),
        (
            "steps:\n- spawn: x\n- wait_four: y\n",
            &["plan:3: a step has no key 'wait_four': did you mean 'wait_for'?"],
        ),
        (
            "phases:\n- name: a\n  tasks: {reviewer: x}\n",
            &["plan:3: 'reviewer' has to be a list of tasks, and is a text"],
        ),
        (
            "[aliases]\nfast = 1\n[tasks.a]\nagent = 'fast'\nprompt = 'x'",
            &["plan 'fast' is no alias: it has to name its 'agent'"],
        ),
    ] {
        sandbox.write("plan", text);
        refused(&sandbox, &["-f", "plan"], message);
    }
    refused(
        &sandbox,
        &["-f", "none"],
        &["cannot read the plan from none: No such file or directory"],
    );
    refused(&sandbox, &[], &["there is no plan to run"]);
    sandbox.write("plan", "{\"reviewer\": [\"x\"]}");
    refused(&sandbox, &["-f", "plan", "-b", "gpt"], &["there is no backend 'gpt'"]);
    for (var, message) in
        [("x", "--var 'x' gives no value"), ("1=x", "'1' cannot be a name in a template")]
    {
        refused(&sandbox, &["-f", "plan", "--var", var], &[message]);
    }
    refused(&sandbox, &["-f", "plan", "go", "--var", "goal=x"], &["'goal' is given twice"]);
}

#[test]
fn patterns_ask_for_what_they_need() {
    let sandbox = Sandbox::new();
    // Whether it is there is asked; nothing of it runs.
    sandbox.script_tool("codex", "exit 0");
    let review =
        plan(&sandbox, &["review", "src/auth", "--lenses", "security,Backward compatibility"]);
    assert_eq!(waves(&review), "look|list");
    assert_eq!(review["plan"][0]["tasks"].as_array().unwrap().len(), 3);
    let first = review["plan"][0]["tasks"][0].as_str().unwrap();
    assert!(first.starts_with("Review src/auth\n") && first.contains("\nSecurity: "), "{first}");
    for (pattern, expected) in [
        ("fix", "review|fix|verify"),
        ("scout", "scout|act|verify"),
        ("split", "sections|work"),
        ("research", "questions|find|brief"),
        ("options", "propose|choose"),
    ] {
        assert_eq!(waves(&plan(&sandbox, &[pattern, "x"])), expected);
        let shown = sandbox.cx(["run", "--show", pattern]).ok().stdout();
        sandbox.write("copy.toml", &shown);
        assert_eq!(waves(&plan(&sandbox, &["-f", "copy.toml", "x"])), expected);
    }
    let refusal = refused(
        &sandbox,
        &["review"],
        &["review: WHAT is missing: what to review: files, a change, a text"],
    );
    let usage = "hint: usage: cx run review WHAT [--lenses LENS,LENS]\n";
    assert!(refusal.stderr().ends_with(usage), "{refusal}");
    let one = ["review", "x", "--lenses", "risk"];
    refused(&sandbox, &one, &["review: 'lenses' has 1 of at least 2 words"]);
    let slip = ["review", "x", "--lenses", "risk,clarity"];
    refused(&sandbox, &slip, &["review: 'lenses' cannot be 'risk': did you mean 'risks'?"]);
    refused(&sandbox, &["reviw", "x"], &["there is no pattern 'reviw'"]);
    sandbox.cx(["run", "--show", "nothing"]).refused(2, "there is no pattern 'nothing'");
}

#[test]
fn what_is_said_on_the_command_line_reaches_the_tasks() {
    let sandbox = Sandbox::new();
    // Whether it is there is asked; nothing of it runs.
    sandbox.script_tool("codex", "exit 0");
    sandbox.write(
        "plan.yaml",
        "fail-fast: true\ntasks:\n  a: {prompt: x, backend: codex}\n  b: {prompt: y, foreach: '{{these}}', needs: a}\n",
    );
    let said =
        ["-f", "plan.yaml", "-b", "sh", "-m", "m", "--var", "these=p, q", "--timeout", "90s"];
    let plan = plan(&sandbox, &said);
    assert_eq!(plan["tasks"][0]["backend"], "codex");
    assert_eq!(
        (&plan["tasks"][1]["backend"], &plan["tasks"][1]["model"]),
        (&json!("sh"), &json!("m"))
    );
    assert_eq!(plan["tasks"][1]["foreach"], json!(["p", "q"]));
    assert_eq!((&plan["failFast"], &plan["timeoutMs"]), (&json!(true), &json!(90_000)));
    let kept = sandbox.cx(["run", "--dry-run", "--json", "--keep-going"].iter().chain(&said)).ok();
    assert_eq!(kept.json()["failFast"], false);
    let text = sandbox.cx(["run", "--dry-run"].iter().chain(&said)).ok().stdout();
    assert!(
        text.ends_with("3 tasks in 2 waves, for at most 1m30s, until the first failure\n"),
        "{text}"
    );
}
