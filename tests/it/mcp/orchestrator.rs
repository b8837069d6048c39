//! An orchestrator in a sandbox: the real codex, which spawns the real codex.

use std::fmt::Write as _;

use serde_json::json;

use crate::support::{CodexHome, ModelServer, Sandbox, Script};

#[test]
fn a_sandboxed_codex_orchestrates_through_mcp() {
    let mut sandbox = Sandbox::new();
    let server = ModelServer::start();
    let _home = CodexHome::new(&mut sandbox, &server);
    let bin = sandbox.root().join("bin");
    let cx = bin.join("cx");
    let writer = |name: &str| {
        let task = format!("@{name} write it");
        json!({ "task": task, "name": name, "mode": "writer" })
    };
    server.on("@one", Script::new().write("one.txt", "1\n").say("one is written"));
    server.on("@two", Script::new().write("two.txt", "2\n").say("two is written"));
    server.on("@look", Script::new().say("looks fine"));
    server.on("@long", Script::new().hang());
    server.on(
        "@orchestrate",
        Script::new()
            .shell(&format!("PATH={}:$PATH cx spawn --write x; echo code=$?", bin.display()))
            .tool("mcp__cx__spawn", writer("one"))
            .tool("mcp__cx__spawn", writer("two"))
            .tool("mcp__cx__spawn", json!({ "task": "@look at it", "name": "look" }))
            .tool("mcp__cx__wait", json!({}))
            .tool("mcp__cx__collect", json!({}))
            .tool("mcp__cx__merge", json!({}))
            .tool("mcp__cx__merge", json!({ "land": true }))
            .tool("mcp__cx__spawn", json!({ "task": "@long work", "name": "long" }))
            .say("all is merged"),
    );
    // What a person configures: codex passes only what is named here on to a server.
    let mut env = String::new();
    for name in sandbox.environment().keys() {
        let _ = write!(env, "{:?},", name.to_str().unwrap());
    }
    let config = format!(
        "mcp_servers.cx={{command={:?},args=[\"mcp\"],env_vars=[{env}],default_tools_approval_mode=\"approve\"}}",
        cx.display()
    );
    sandbox.cx(["skill", "install"]).ok();
    let mut codex = sandbox.command("codex");
    codex.args(["exec", "--json", "--color", "never", "-s", "workspace-write", "-c", &config, "-"]);
    let said = sandbox.run_with_input(codex, "@orchestrate this").ok();
    // The skill is offered to the model by its description.
    let first = server.requests()[0]["input"].to_string();
    assert!(first.contains("- cx: Run other coding agents in the background with cx"), "{first}");
    let answers: Vec<String> = said
        .json_lines()
        .iter()
        .filter(|event| event["type"] == "item.completed")
        .filter_map(|event| {
            let item = &event["item"];
            let text = item["result"]["content"][0]["text"].as_str();
            Some(text.or(item["aggregated_output"].as_str())?.to_owned())
        })
        .collect();
    let [shell, one, two, look, waited, collected, looked, merged, long] = answers.as_slice()
    else {
        panic!("{answers:?}\n{said}");
    };
    // Its own shell cannot, and says what can.
    assert!(shell.contains("code=125") && shell.contains("Read-only file system"), "{shell}");
    assert!(shell.contains("hint: ") && shell.contains("`cx mcp`"), "{shell}");
    assert_eq!([one, two, look], ["[1] one", "[2] two", "[3] look"]);
    assert_eq!(waited, "all succeeded; `collect` gives their results");
    for answer in ["one is written", "two is written", "looks fine"] {
        assert!(collected.contains(answer), "{collected}");
    }
    assert!(looked.contains("[1] one would merge into main"), "{looked}");
    assert!(merged.contains("[2] two merged into main"), "{merged}");
    assert_eq!((sandbox.read("one.txt"), sandbox.read("two.txt")), ("1\n".into(), "2\n".into()));
    // codex is gone, and the job it started is not.
    assert_eq!(long, "[4] long");
    assert_eq!(sandbox.job("long")["live"], true);
    sandbox.cx(["kill", "long"]).ok();
    sandbox.cx(["wait", "long"]).code(143);
}
