//! The worker's face, as cx gives it to the real codex and the real claude.

use serde_json::{Value, json};

use super::client::Client;
use super::protocol::sandbox;
use crate::support::{ClaudeHome, CodexHome, ModelServer, Sandbox, Script};

/// What the tools have answered, as the model has read it: of a request the last.
fn answers(server: &ModelServer) -> Vec<String> {
    let read = |part: &Value| match part {
        Value::String(text) => text.clone(),
        parts => {
            let parts = parts.as_array().map_or(&[][..], Vec::as_slice);
            parts.iter().filter_map(|part| part["text"].as_str()).collect()
        }
    };
    let of = |body: &Value| {
        let codex = body["input"].as_array().and_then(|items| items.last()).cloned();
        let claude = body["messages"].as_array().and_then(|all| all.last()).cloned();
        match (codex, claude) {
            (Some(item), _) => read(&item["output"]),
            (_, Some(message)) => message["content"]
                .as_array()
                .map_or(&[][..], Vec::as_slice)
                .iter()
                .map(|part| read(&part["content"]))
                .collect(),
            _ => String::new(),
        }
    };
    server.requests().iter().map(of).filter(|text| !text.is_empty()).collect()
}

/// A worker that says how far it is, looks at its own job, and cannot do more.
fn reporting() -> Script {
    Script::new()
        .tool("mcp__cx__report", json!({ "text": "half of it\nand more" }))
        .tool("mcp__cx__job", json!({}))
        .say("done")
}

#[track_caller]
fn reports(sandbox: &Sandbox, server: &ModelServer, options: &[&str]) {
    server.on("@report", reporting());
    sandbox.cx([&["spawn", "-n", "told"], options, &["@report"]].concat()).ok();
    sandbox.cx(["wait", "told"]).ok();
    let said = answers(server).join("\n");
    assert!(said.contains("told"), "{said}");
    assert!(said.contains("[1] told") && said.contains("running"), "{said}");
    let report = sandbox.repo().join(".git/cx/jobs/1/report");
    assert_eq!(std::fs::read_to_string(report).unwrap(), "half of it");
    let notes = sandbox.job("told")["notes"].clone();
    assert_eq!(notes, json!([]), "a tool that was refused, or left behind");
    assert_eq!(sandbox.job("told")["stragglers"], 0);
}

fn codex() -> (Sandbox, ModelServer, CodexHome) {
    let mut sandbox = Sandbox::new();
    let server = ModelServer::start();
    let home = CodexHome::new(&mut sandbox, &server);
    (sandbox, server, home)
}

fn claude() -> (Sandbox, ModelServer, ClaudeHome) {
    let mut sandbox = Sandbox::new();
    sandbox.set("CX_BACKEND", "claude");
    let server = ModelServer::start();
    let home = ClaudeHome::new(&mut sandbox, &server);
    (sandbox, server, home)
}

#[test]
fn a_reader_of_codex_reports() {
    let (sandbox, server, _home) = codex();
    reports(&sandbox, &server, &[]);
}

#[test]
fn a_writer_of_codex_reports() {
    let (sandbox, server, _home) = codex();
    reports(&sandbox, &server, &["--write"]);
}

#[test]
fn a_reader_of_claude_reports() {
    let (sandbox, server, _home) = claude();
    reports(&sandbox, &server, &[]);
}

#[test]
fn a_writer_of_claude_reports() {
    let (sandbox, server, _home) = claude();
    reports(&sandbox, &server, &["--write"]);
}

#[test]
fn what_a_worker_reports_stands_in_the_listing() {
    let (sandbox, server, _home) = codex();
    let script = Script::new().tool("mcp__cx__report", json!({ "text": "half of it" })).hang();
    server.on("@report", script);
    sandbox.cx(["spawn", "-n", "told", "@report"]).ok();
    server.wait_for_requests(2);
    assert!(sandbox.cx(["jobs"]).ok().stdout().contains(" half of it · "));
    assert!(sandbox.cx(["jobs", "--brief"]).ok().stdout().contains(": half of it"));
    assert_eq!(sandbox.job("told")["report"], "half of it");
    sandbox.cx(["kill", "told"]).ok();
    sandbox.cx(["wait", "told"]).code(143);
}

#[test]
fn without_mcp_a_worker_has_no_tools_of_ours() {
    let (sandbox, server, _home) = codex();
    server.on("@report", reporting());
    for (name, options) in [("option", &["--no-mcp"][..]), ("config", &[])] {
        sandbox.cx([&["spawn", "-n", name], options, &["@report"]].concat()).ok();
        sandbox.cx(["wait", name]);
        assert!(answers(&server).iter().all(|said| said.contains("unsupported call")));
        sandbox.write(".cx/config.toml", "mcp = false\n");
    }
    assert!(answers(&server).len() >= 2);
}

#[test]
fn the_workers_face_has_nothing_else() {
    let mut sandbox = sandbox();
    let gate = sandbox.gate("open");
    sandbox.reader("held", &gate.pass());
    gate.arrived();
    let job = sandbox.job("held");
    sandbox.set("CX_JOB", "1");
    sandbox.set("CX_JOB_ID", "0123456789abcdef");
    sandbox.cx(["mcp", "--worker"]).refused(2, "job %1 is another one, or over");
    sandbox.set("CX_JOB_ID", job["id"].as_str().unwrap());
    let mut client = Client::start(&sandbox, &["mcp", "--worker"]);
    let tools = client.tools();
    let own = ["report", "job", "memory_store", "memory_search", "memory_get", "memory_list"];
    assert_eq!(tools, own);
    let said = client.ask(&json!({ "do": "call", "name": "spawn", "arguments": { "task": "x" } }));
    assert!(said["failed"].as_str().unwrap().contains("there is no tool 'spawn'"), "{said}");
    assert!(client.call("job", json!({})).contains("[1] held"));
    assert!(client.refused("report", json!({ "text": " " })).contains("nothing to report"));
    client.close();
    gate.open();
}

/// One worker stores what another one then finds; both are what `options` say.
#[track_caller]
fn shares(sandbox: &Sandbox, server: &ModelServer, options: &[&str]) {
    let value = "The limit is 5, set in src/retry.rs";
    let store =
        json!({ "key": "retry/limit", "value": value, "namespace": "facts", "upsert": true });
    server.on("@store", Script::new().tool("mcp__cx__memory_store", store).say("stored"));
    server.on(
        "@find",
        Script::new()
            .tool(
                "mcp__cx__memory_search",
                json!({ "query": "limit of retries", "namespace": "facts" }),
            )
            .tool("mcp__cx__memory_get", json!({ "key": "retry/limit", "namespace": "facts" }))
            .tool("mcp__cx__memory_list", json!({ "namespace": "facts" }))
            .tool("mcp__cx__memory_get", json!({ "key": "nothing" }))
            .say("found"),
    );
    sandbox.cx([&["spawn", "-n", "store"], options, &["@store it"]].concat()).ok();
    sandbox.cx(["wait", "store"]).ok();
    sandbox.cx([&["spawn", "-n", "find"], options, &["@find it"]].concat()).ok();
    sandbox.cx(["wait", "find"]).ok();
    let answers = answers(server);
    let [.., stored, search, get, list, nothing] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    assert!(stored.contains("retry/limit"), "{stored}");
    assert!(search.contains("retry/limit") && search.contains("The limit is 5"), "{search}");
    assert!(get.contains(value), "{get}");
    assert!(list.contains("retry/limit"), "{list}");
    assert!(nothing.contains("nothing"), "{nothing}");
    // The person sees it, and who has stored it.
    let entry = sandbox.cx(["memory", "get", "-n", "facts", "retry/limit", "--json"]).ok().json();
    assert_eq!((&entry["value"], &entry["by"]["name"]), (&json!(value), &json!("store")));
}

#[test]
fn readers_of_codex_share_a_memory() {
    let (sandbox, server, _home) = codex();
    shares(&sandbox, &server, &[]);
}

#[test]
fn writers_of_codex_share_a_memory() {
    let (sandbox, server, _home) = codex();
    shares(&sandbox, &server, &["--write"]);
}

#[test]
fn readers_of_claude_share_a_memory() {
    let (sandbox, server, _home) = claude();
    shares(&sandbox, &server, &[]);
}

#[test]
fn writers_of_claude_share_a_memory() {
    let (sandbox, server, _home) = claude();
    shares(&sandbox, &server, &["--write"]);
}
