//! Agents of other tools, aliases, hooks and tools.

use crate::support::Sandbox;

/// A bundle in the shapes of codex-flow, beside the repository.
fn bundle(sandbox: &Sandbox) -> String {
    for (path, id, more) in [
        ("analysis/code-analyzer", "code-analyzer", ""),
        ("analysis/code-review/code-analyzer", "code-analyzer", "  timeout_ms: 600000\n"),
        (
            "core/coder",
            "coder",
            "capabilities:\n  detail:\n    tools:\n      allowed: [Read, Write]\n",
        ),
        (
            "core/helper",
            "helper",
            "hooks:\n  pre_task: ['echo before']\nmetrics:\n  tracked: [x]\n",
        ),
    ] {
        let text = format!(
            "version: 1\nagent:\n  id: {id}\n  name: The {id}\n  description: It is {path}\nruntime:\n  \
             autonomy_level: 0.5\n{more}"
        );
        sandbox.write(format!("../bundle/{path}.codex.yaml"), text);
    }
    sandbox.write("../bundle/planner.yaml", "id: planner\nprompt:\n  system: You plan.\n");
    sandbox.root().join("bundle").display().to_string()
}

#[test]
fn an_id_that_two_have_starts_nothing_and_its_longer_name_does() {
    let sandbox = Sandbox::new();
    let dir = bundle(&sandbox);
    let spawn =
        |name: &str| sandbox.cx(["spawn", "-b", "sh", "--agents-dir", &dir, "-t", name, "true"]);
    let refused = spawn("code-analyzer").refused(2, "'code-analyzer' is the id of 2 agents");
    for place in [
        "bundle/analysis/code-analyzer.codex.yaml",
        "analysis/code-review/code-analyzer.codex.yaml",
    ] {
        assert!(refused.stderr().contains(place), "{refused}");
    }
    sandbox.assert_nothing_started(&refused);
    spawn("analysis/code-review/code-analyzer").ok();
    spawn("./planner").ok();
    // The built-in alias counts, as the bundle was asked for; cx's own is there too.
    spawn("reviewer").ok();
    spawn("cx/reviewer").ok();
    sandbox.cx(["spawn", "-b", "sh", "-t", "reviewer", "true"]).ok();
    sandbox.cx(["wait"]).ok();
    let roles: Vec<_> = sandbox
        .ledger()
        .events()
        .into_iter()
        .filter(|line| line["ev"] == "spawned")
        .map(|line| (line["agent"].clone(), line["alias"].clone(), line["timeout_ms"].clone()))
        .collect();
    let none = serde_json::Value::Null;
    let qualified = "analysis/code-review/code-analyzer";
    assert_eq!(
        roles,
        [
            (qualified.into(), none.clone(), 600_000.into()),
            ("./planner".into(), none.clone(), none.clone()),
            (qualified.into(), "reviewer".into(), 600_000.into()),
            ("cx/reviewer".into(), none.clone(), none.clone()),
            ("reviewer".into(), none.clone(), none),
        ]
    );
    let nowhere = sandbox.root().join("nowhere").display().to_string();
    sandbox
        .cx(["spawn", "--agents-dir", &nowhere, "-t", "helper", "x"])
        .refused(2, "there are no agents in it");
}

#[test]
fn listings_show_where_each_comes_from_and_what_reaches_it() {
    let mut sandbox = Sandbox::new();
    let dir = bundle(&sandbox);
    sandbox.write(".claude/agents/x.md", "---\nname: tidy\ndescription: Tidies\n---\nTidy.\n");
    sandbox.write(
        ".codex/agents/look.toml",
        "name = \"look\"\ndescription = \"Looks\"\ndeveloper_instructions = \"Look.\"\n",
    );
    sandbox.set("CODEX_AGENTS_DIR", &dir);
    let row = |sandbox: &Sandbox, args: &[&str], name: &str, kind: &str| {
        let listed = sandbox.cx(["agents", "list", "--json"].iter().chain(args)).ok().json();
        let mut found: Vec<_> = listed.as_array().unwrap().clone();
        found.retain(|row| row["name"] == name && row["kind"] == kind);
        assert!(!found.is_empty(), "no {kind} {name} in {listed}");
        found.remove(0)
    };
    let tidy = row(&sandbox, &[], "tidy", "claude");
    assert_eq!((&tidy["mode"], &tidy["handle"]), (&"writer".into(), &"tidy".into()));
    assert_eq!(row(&sandbox, &[], "look", "codex")["mode"], "reader");
    let coder = row(&sandbox, &[], "coder", "bundle");
    assert_eq!(coder["handle"], "core/coder");
    assert_eq!(coder["shadowed_by"], "built-in");
    let twice = row(&sandbox, &[], "code-analyzer", "bundle");
    assert_eq!(twice["rivals"][0], "analysis/code-review/code-analyzer");
    // Without --agents-dir the built-in alias is for plans only.
    assert_eq!(row(&sandbox, &[], "reviewer", "built-in")["handle"], "reviewer");
    let alias = row(&sandbox, &[], "reviewer", "alias");
    assert_eq!(
        alias["description"],
        "alias of analysis/code-review/code-analyzer, in plans and with --agents-dir"
    );
    let asked = ["--agents-dir", dir.as_str()];
    assert_eq!(row(&sandbox, &asked, "reviewer", "built-in")["handle"], "cx/reviewer");
    assert_eq!(row(&sandbox, &asked, "frontend", "alias")["mode"], "writer");

    let shown = sandbox.cx(["agents", "show", "reviewer"]).ok();
    assert!(
        shown.stderr().contains("'reviewer' is the alias of analysis/code-review/code-analyzer"),
        "{shown}"
    );
    let shown =
        sandbox.cx(["agents", "show", "reviewer", "--json", "--agents-dir", &dir]).ok().json();
    assert_eq!((&shown["alias"], &shown["autonomy"]), (&"reviewer".into(), &0.7.into()));
    let shown = sandbox.cx(["agents", "show", "core/coder", "--json"]).ok().json();
    assert_eq!(shown["mode_because"], "its tools have Write");
    let path = sandbox.cx(["agents", "path", "helper"]).ok().stdout();
    assert!(path.ends_with("bundle/core/helper.codex.yaml\n"), "{path}");
}

#[test]
fn check_names_what_is_wrong_with_its_line() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.cx(["agents", "check"]).ok().stdout(), "");
    let dir = bundle(&sandbox);
    sandbox.write("../bundle/triggers.json", "{\"keywords\": {\n\"a\": [\"nobody\"]}}");
    sandbox.write("../bundle/core/broken.yaml", "id: broken\nruntime:\n  max_parallel: no\n");
    sandbox.write(
        ".cx/agents/odd.md",
        "---\ndescription: d\ncolour: red\ntriggers:\n  regex: ['(?=x)']\n---\nDo.\n",
    );
    sandbox.write(".cx/config.toml", "[alias]\ngone = \"nobody\"\n");
    let checked = sandbox.cx(["agents", "check", "--agents-dir", &dir]).code(1);
    let said = checked.stdout();
    for part in [
        "bundle/analysis/code-analyzer.codex.yaml:1: the id 'code-analyzer' is that of ",
        "bundle/triggers.json:2: names 'nobody' for 'a', and there is no such agent",
        "bundle/core/broken.yaml:3: 'runtime.max_parallel' has to be a number, 1 or more",
        ".cx/agents/odd.md:5: the trigger '(?=x)' is no regex",
        ".cx/agents/odd.md:3: 'colour' is not honoured",
        ".cx/config.toml: the alias 'gone': there is no agent 'nobody'",
        "bundle/core/helper.codex.yaml:10: 'metrics' is not honoured",
    ] {
        assert!(said.contains(part), "no {part} in {checked}");
    }
    assert!(checked.stderr().ends_with("5 problems\n"), "{checked}");
    let findings = sandbox.cx(["agents", "check", "--json", "--agents-dir", &dir]).code(1).json();
    let kinds =
        |kind: &str| findings.as_array().unwrap().iter().filter(|f| f["kind"] == kind).count();
    assert_eq!((kinds("problem"), kinds("duplicate"), kinds("not-honoured")), (4, 1, 2));
    // What is only not honoured is not wrong.
    sandbox.cx(["agents", "check", "coder"]).ok();
    sandbox.cx(["agents", "check", ".cx/agents/odd.md"]).code(1);
    sandbox.cx(["agents", "check", "nobody"]).refused(2, "there is no agent 'nobody'");
}

#[test]
fn new_and_import_write_files_that_work_and_replace_none() {
    let sandbox = Sandbox::new();
    let dir = bundle(&sandbox);
    let made = sandbox.cx(["agents", "new", "races", "--write"]).ok().stdout();
    assert!(made.ends_with("/.cx/agents/races.md\n"), "{made}");
    assert_eq!(sandbox.cx(["agents", "show", "races", "--json"]).ok().json()["mode"], "writer");
    let before = sandbox.read(".cx/agents/races.md");
    sandbox.cx(["agents", "new", "races", "--from", "scout"]).refused(2, "exists already");
    assert_eq!(sandbox.read(".cx/agents/races.md"), before);
    sandbox.cx(["agents", "new", "../x"]).refused(2, "cannot be an agent's name");
    sandbox
        .cx(["agents", "new", "mine", "--from", "core/coder", "--user", "--agents-dir", &dir])
        .ok();
    let mine = sandbox.cx(["agents", "show", "mine", "--json"]).ok().json();
    assert_eq!(
        (&mine["mode"], &mine["description"]),
        (&"writer".into(), &"It is core/coder".into())
    );

    let imported = sandbox.cx(["agents", "import", &dir]).ok();
    assert_eq!(imported.stdout().lines().count(), 5, "{imported}");
    assert!(
        imported.stderr().contains("helper.codex.yaml:10: 'metrics' is not carried over"),
        "{imported}"
    );
    assert!(imported.stderr().contains("comes before the built-in 'coder' now"), "{imported}");
    for name in [
        "analysis-code-analyzer",
        "analysis-code-review-code-analyzer",
        "coder",
        "helper",
        "planner",
    ] {
        let shown = sandbox.cx(["agents", "show", name, "--json"]).ok().json();
        assert_eq!(shown["kind"], "repository", "{name}");
    }
    sandbox.write(".cx/agents/coder.md", "changed");
    sandbox.cx(["agents", "import", &dir]).refused(2, "nothing was written");
    assert_eq!(sandbox.read(".cx/agents/coder.md"), "changed");
    sandbox.cx(["agents", "import", &dir, "--force"]).ok();
    assert_eq!(sandbox.cx(["agents", "show", "coder", "--json"]).ok().json()["mode"], "writer");
}

#[test]
fn an_alias_lays_keys_over_its_agent() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".cx/config.toml",
        "[alias]\nslow = { agent = \"scout\", timeout = \"1h\", runtime.autonomy_level = 0.9 }\n",
    );
    sandbox.cx(["spawn", "-b", "sh", "-t", "slow", "true"]).ok();
    sandbox
        .cx([
            "spawn",
            "-b",
            "sh",
            "--alias",
            "fast=scout:mode=writer,timeout=90s",
            "-t",
            "fast",
            "true",
        ])
        .ok();
    sandbox.cx(["wait"]).ok();
    let slow = sandbox.until(1, "spawned");
    assert_eq!((&slow["alias"], &slow["name"]), (&"slow".into(), &"slow".into()));
    assert_eq!((&slow["agent"], &slow["timeout_ms"]), (&"cx/scout".into(), &3_600_000.into()));
    let shown = sandbox.cx(["show", "slow"]).ok().stdout();
    assert!(shown.contains("\nagent   "), "{shown}");
    assert!(shown.lines().any(|line| line.split_whitespace().eq(["alias", "slow"])), "{shown}");
    assert_eq!(sandbox.job("slow")["alias"], "slow");
    let fast = sandbox.until(2, "spawned");
    assert_eq!((&fast["mode"], &fast["timeout_ms"]), (&"writer".into(), &90_000.into()));
    let shown = sandbox.cx(["agents", "show", "slow", "--json"]).ok().json();
    assert_eq!(shown["autonomy"], 0.9);
    sandbox
        .cx(["spawn", "--alias", "x=scout:mode=both", "-t", "x", "y"])
        .refused(2, "the alias 'x' (--alias): 'mode' is 'both': write reader or writer");
    sandbox.cx(["spawn", "--alias", "x", "-t", "x", "y"]).refused(2, "is no alias");
    sandbox.write(".cx/config.toml", "[alias]\nslow = { timeout = 3 }\n");
    sandbox
        .cx(["spawn", "-b", "sh", "true"])
        .refused(2, "config.toml:2: 'alias.slow' has to name its 'agent'");
}

const HOOKY: &str = "---\ndescription: d\nmode: writer\nhooks:\n  pre_task: ['echo $CX_HOOK $TASK > before']\n  \
                     post_task: ['echo $CX_OUTCOME', 'exit 3']\n  failure: ['echo $CX_OUTCOME']\n---\nDo.\n";

#[test]
fn hooks_run_where_they_are_asked_for_and_trusted() {
    let sandbox = Sandbox::new();
    sandbox.write(".cx/agents/hooky.md", HOOKY);
    let plain =
        sandbox.cx(["spawn", "-b", "sh", "-t", "hooky", "-n", "plain", "test ! -e before"]).ok();
    assert!(plain.stderr().contains("agent 'hooky' has hooks, which do not run"), "{plain}");
    sandbox.cx(["wait", "plain"]).ok();
    let spawn = |name: &str, script: &str| {
        sandbox.cx(["spawn", "-b", "sh", "-t", "hooky", "--hooks", "-n", name, script])
    };
    let refused = spawn("early", "true")
        .refused(2, "agent 'hooky' of this repository has hooks, and is not trusted");
    assert!(refused.stderr().contains("`cx trust --show`"), "{refused}");
    let shown = sandbox.cx(["trust"]).ok();
    assert!(
        shown.stdout().contains("hooks.pre_task = [\"echo $CX_HOOK $TASK > before\"]"),
        "{shown}"
    );
    spawn("good", "cat before").ok();
    spawn("bad", "exit 4").ok();
    sandbox.cx(["wait", "good"]).ok();
    sandbox.cx(["wait", "bad"]).code(4);
    assert_eq!(sandbox.read(".git/cx/jobs/2/events.jsonl"), "pre_task cat before\n");
    let log = |job: u64| sandbox.read(format!(".git/cx/jobs/{job}/hooks.log"));
    assert_eq!((log(2).as_str(), log(3).as_str()), ("succeeded\n", "failed\n"));
    let notes = sandbox.cx(["show", "good"]).ok();
    assert!(notes.stdout().contains("the post_task hook `exit 3`: failed (3)"), "{notes}");
    // One word more, and it has to be trusted anew.
    sandbox.write(".cx/agents/hooky.md", HOOKY.replace("exit 3", "exit 5"));
    spawn("late", "true").refused(2, "is not trusted");
    sandbox.cx(["spawn", "-b", "sh", "--hooks", "true"]).refused(2, "there is no agent");
}

#[test]
fn a_hook_that_fails_before_the_worker_keeps_it_from_starting() {
    let sandbox = Sandbox::new();
    // A person's own file needs nobody's trust.
    let own = HOOKY.replace("echo $CX_HOOK $TASK > before", "echo why; exit 6");
    sandbox.write("../config/cx/agents/hooky.md", own);
    sandbox.cx(["spawn", "-b", "sh", "-t", "hooky", "--hooks", "touch ran"]).ok();
    let ended = sandbox.cx(["wait", "hooky"]);
    assert_ne!(ended.status_code(), Some(0), "{ended}");
    let exited = sandbox.until(1, "exited");
    assert_eq!(exited["outcome"], "not-started");
    let reason = exited["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("the pre_task hook `echo why; exit 6` failed (6); its output is in "),
        "{reason}"
    );
    assert_eq!(sandbox.read(".git/cx/jobs/1/hooks.log"), "why\n");
}

#[test]
fn hooks_of_a_repositorys_alias_count_only_when_they_are_trusted() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".cx/config.toml",
        "[alias.sly]\nagent = \"scout\"\n\"hooks.pre_task\" = [\"touch ran\"]\nhooks.failure = [\"true\"]\n",
    );
    let spawned = sandbox.cx(["spawn", "-b", "sh", "-t", "sly", "--hooks", "true"]).ok();
    assert!(
        spawned.stderr().contains("alias.sly.hooks, alias.sly.hooks.pre_task of this repository's"),
        "{spawned}"
    );
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.until(1, "spawned")["hooks"], serde_json::Value::Null);
    sandbox.cx(["trust"]).ok();
    sandbox.cx(["spawn", "-b", "sh", "-t", "sly", "--hooks", "true"]).ok();
    sandbox.cx(["wait"]).ok();
    assert_eq!(sandbox.until(2, "spawned")["hooks"]["pre_task"][0], "touch ran");
    assert!(sandbox.repo().join("ran").exists());
}

#[test]
fn a_task_that_needs_more_than_its_agent_may_use_is_warned_of_or_refused() {
    let sandbox = Sandbox::new();
    let dir = bundle(&sandbox);
    sandbox.write(
        "../bundle/analysis/code-analyzer.codex.yaml",
        "id: code-analyzer\npolicy:\n  tools_allowlist: [Read]\n",
    );
    let spawn = |name: &str, tool: &str, strict: bool| {
        let strict = if strict { &["--strict-tools"][..] } else { &[] };
        let start = ["spawn", "-b", "sh", "-r", "--agents-dir", &dir, "-t", name, "--tool", tool];
        sandbox.cx(start.iter().chain(strict).chain(&["true"]))
    };
    let refused = spawn("core/coder", "Bash", true)
        .refused(2, "core/coder may not use Bash, since it is not among");
    spawn("code-analyzer", "Bash", true).refused(2, "analysis/code-analyzer may not use Bash");
    spawn("code-analyzer", "read", true).refused(2, "is the id of 2 agents");
    sandbox.assert_nothing_started(&refused);
    let warned = spawn("core/coder", "Bash", false).ok();
    assert!(
        warned.stderr().contains("agent 'coder' may not use Bash: it is not among"),
        "{warned}"
    );
    let allowed = spawn("core/coder", "write", true).ok();
    assert!(allowed.stderr().contains("sh knows no tools"), "{allowed}");
    sandbox.cx(["wait"]).ok();
}
