//! The backend http: the real curl, asking a scripted server.

mod endings;
mod refusals;
mod secrets;

use serde_json::{Value, json};

use crate::support::{Output, Part, Sandbox, WorkerServer, response};

/// A sandbox with curl in it, and no server yet.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.add_tool("curl");
    sandbox
}

/// Outcome and reason of a job.
fn end(job: &Value) -> (&str, &str) {
    (job["status"].as_str().unwrap(), job["reason"].as_str().unwrap_or_default())
}

/// Asks the server at `url`, waits, and gives the job.
#[track_caller]
fn ask(sandbox: &Sandbox, url: &str, code: i32) -> Value {
    let spawn = ["spawn", "-b", "http", "--no-hold", "--codex-url", url, "-n", "asked", "Look"];
    sandbox.cx(spawn).ok();
    sandbox.cx(["wait", "asked"]).code(code);
    sandbox.job("asked")
}

fn stream(body: &str) -> String {
    response("200 OK", "text/event-stream", body)
}

#[test]
fn a_server_is_asked_and_its_answer_and_usage_are_the_jobs() {
    let body =
        r#"{"summary":"short","output":"All of it.\n","usage":{"tokensIn":70,"tokensOut":8}}"#;
    let server = WorkerServer::answering("200 OK", "application/json", body);
    let mut sandbox = sandbox();
    sandbox.set("CODEX_URL", server.url());
    sandbox.set("CODEX_API_KEY", "t0ken-of-the-shell");
    let config = "[http]\nprovider = 'their-best'\nfallback = 'their-second'\n";
    std::fs::create_dir_all(sandbox.root().join("config/cx")).unwrap();
    std::fs::write(sandbox.root().join("config/cx/config.toml"), config).unwrap();
    let awkward = "\"quotes\" 'single' $HOME `id` \\n \u{1F980} \t\r\n\n  last line \n\n";
    sandbox.run_with_input(sandbox.cx_command(["spawn", "-b", "http", "-n", "a"]), awkward).ok();
    sandbox.cx(["wait", "a"]).ok();
    let collected = sandbox.cx(["collect", "a", "--json"]).ok().json();
    assert_eq!(collected[0]["message"], "All of it.\n");
    assert_eq!(collected[0]["url"], server.url());
    assert!(sandbox.cx(["show", "a"]).ok().stdout().contains(&server.url()));
    assert_eq!(collected[0]["usage"], json!({ "input": 70, "cached": 0, "output": 8 }));

    let asked = server.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].line, "POST /run?stream=1 HTTP/1.1");
    let has = |header: &str| asked[0].headers.iter().any(|line| line == header);
    assert!(has("authorization: Bearer t0ken-of-the-shell"), "{asked:?}");
    assert!(has("content-type: application/json"), "{asked:?}");
    let sent = json!({
        "agentId": "default", "alias": "default", "task": awkward,
        "provider": "their-best", "fallback": "their-second",
    });
    assert_eq!(asked[0].json(), sent);
}

#[test]
fn a_role_is_named_and_a_stream_need_not_be_asked_for() {
    let server = WorkerServer::answering("200 OK", "application/json", r#"{"summary":"s"}"#);
    let sandbox = sandbox();
    sandbox.write(
        "../config/cx/config.toml",
        format!("[http]\nurl = '{}/v1/'\nstream = false\n", server.url()),
    );
    sandbox.cx(["spawn", "-b", "http", "-t", "reviewer", "-n", "a", "Look at src"]).ok();
    sandbox.cx(["wait", "a"]).ok();
    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "POST /v1/run HTTP/1.1");
    assert!(!asked.headers.iter().any(|line| line.starts_with("authorization")), "{asked:?}");
    let body = asked.json();
    assert_eq!((&body["agentId"], &body["alias"]), (&json!("reviewer"), &json!("reviewer")));
    let task = body["task"].as_str().unwrap();
    assert!(task.contains("Look at src") && !task.contains("CONTEXT: WORKER"), "{task}");
}

#[test]
fn what_a_server_says_meanwhile_is_seen_meanwhile() {
    let server = WorkerServer::start([
        Part::Say(stream(
            "event: start\ndata: {}\n\nevent: chunk\ndata: {\"text\":\"reads src/lib.rs\"}\n\n",
        )),
        Part::Wait,
        Part::Say("event: chunk\ndata: {\"text\":\"thinks\"}\n\n".to_owned()),
        Part::Say("event: complete\ndata: {\"output\":\"Done.\"}\n\n".to_owned()),
    ]);
    let sandbox = sandbox();
    sandbox.cx(["spawn", "-b", "http", "--codex-url", &server.url(), "-n", "a", "Look"]).ok();
    let following = sandbox.start(sandbox.cx_command(["logs", "-f", "a"]));
    following.wait_for_stdout("reads src/lib.rs\n");
    assert_eq!(sandbox.job("a")["activity"], "reads src/lib.rs");
    server.go_on();
    assert_eq!(following.finish().ok().stdout(), "reads src/lib.rs\nthinks\nDone.\n");
    assert_eq!(end(&sandbox.job("a")), ("succeeded", ""));
    assert_eq!(sandbox.cx(["collect", "a"]).ok().stdout().lines().last(), Some("Done."));
}

#[test]
fn a_job_is_done_again_by_the_same_server() {
    let server = WorkerServer::answering("500 Oops", "text/plain", "no");
    let mut sandbox = sandbox();
    sandbox.set("CODEX_URL", server.url());
    sandbox.set("CODEX_API_KEY", "t0ken");
    sandbox.cx(["spawn", "-b", "http", "-n", "a", "Look"]).ok();
    sandbox.cx(["wait", "a"]).code(1);
    sandbox.cx(["retry", "a"]).ok();
    sandbox.cx(["wait", "%2"]).code(1);
    // Another server is meant by now, and its token is not the first one's.
    let other = WorkerServer::answering("500 Oops", "text/plain", "no");
    sandbox.set("CODEX_URL", other.url());
    sandbox.cx(["retry", "%2"]).ok();
    sandbox.cx(["wait", "%3"]).code(1);
    assert!(other.asked().is_empty());
    let tokens: Vec<bool> = server
        .asked()
        .iter()
        .map(|asked| asked.headers.iter().any(|line| line == "authorization: Bearer t0ken"))
        .collect();
    assert_eq!(tokens, [true, true, false]);
    let refused: Output = sandbox.cx(["resume", "%3", "more"]);
    refused.refused(2, "has no conversation to go on with");
}
