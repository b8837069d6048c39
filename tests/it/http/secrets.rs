//! The token is sent, and stands nowhere else.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{sandbox, stream};
use crate::support::{Part, WorkerServer, response};

const TOKEN: &str = "t0ken-that-nobody-may-see";

/// Every file below `folder` that has the token in it.
fn holding(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(holding(&path));
        } else if entry.file_type().unwrap().is_file()
            && String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(TOKEN)
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_token_stands_in_no_argument_no_environment_and_no_file_that_stays() {
    let server = WorkerServer::start([Part::Say(stream("event: start\ndata: {}\n\n")), Part::Wait]);
    let mut sandbox = sandbox();
    let state = sandbox.repo().join(".git/cx");
    let url = server.url();
    sandbox.set("CODEX_API_KEY", TOKEN);
    sandbox.cx(["spawn", "-b", "http", "--codex-url", &url, "-n", "a", "Look"]).ok();
    server.wait_for_request();
    let worker = sandbox.until(1, "running")["worker"]["pid"].as_i64().unwrap();
    for what in ["cmdline", "environ"] {
        let seen = fs::read(format!("/proc/{worker}/{what}")).unwrap();
        let seen = String::from_utf8_lossy(&seen);
        assert!(seen.contains(if what == "cmdline" { "curl" } else { "CX_JOB_ID" }), "{seen}");
        assert!(!seen.contains(TOKEN), "{what}: {seen}");
    }
    // While it is needed, in one file that only its owner reads.
    let held = holding(&state);
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(fs::metadata(&held[0]).unwrap().permissions().mode() & 0o777, 0o600);
    server.go_on();
    sandbox.cx(["wait", "a"]).code(1);
    assert_eq!(holding(&state), [] as [String; 0]);
    let asked = server.asked().remove(0);
    assert!(asked.headers.contains(&format!("authorization: Bearer {TOKEN}")), "{asked:?}");
}

#[test]
fn a_key_of_the_command_line_is_taken_and_warned_of() {
    let server = WorkerServer::answering("500 Oops", "text/plain", "no");
    let sandbox = sandbox();
    let spawn = [
        "spawn",
        "-b",
        "http",
        "--codex-url",
        &server.url(),
        "--codex-key",
        TOKEN,
        "-n",
        "a",
        "Look",
    ];
    let said = sandbox.cx(spawn).ok();
    assert!(said.stderr().contains("--codex-key can be read by others"), "{said}");
    assert!(!said.stderr().contains(TOKEN), "{said}");
    sandbox.cx(["wait", "a"]).code(1);
    assert_eq!(holding(&sandbox.repo().join(".git/cx")), [] as [String; 0]);
    let asked = server.asked().remove(0);
    assert!(asked.headers.contains(&format!("authorization: Bearer {TOKEN}")), "{asked:?}");
}

#[test]
fn a_server_that_says_the_token_back_does_not_bring_it_into_the_ledger() {
    let body = format!("the key {TOKEN} is out of date");
    let turns = ["429 Slow", "401 No"].map(|status| response(status, "text/plain", &body));
    let server = WorkerServer::in_turn(turns.map(|said| vec![Part::Say(said)]));
    let mut sandbox = sandbox();
    sandbox.set("CX_HOLD_MS", "20");
    fs::write(sandbox.root().join("token"), format!("{TOKEN}\n")).unwrap();
    let config = format!("[http]\nurl = '{}'\ntoken-file = '../../token'\n", server.url());
    sandbox.write("../config/cx/config.toml", config);
    sandbox.cx(["spawn", "-b", "http", "-n", "a", "Look"]).ok();
    sandbox.cx(["wait", "a"]).code(1);
    let job = sandbox.job("a");
    let reason =
        "HTTP 401, the token is missing or was not accepted: the key [token] is out of date";
    assert_eq!(job["reason"], reason);
    let held = sandbox.until(1, "on-hold");
    assert_eq!(held["reason"], "HTTP 429: the key [token] is out of date");
    let ledger = fs::read_to_string(sandbox.repo().join(".git/cx/ledger.jsonl")).unwrap();
    assert!(ledger.contains("[token]") && !ledger.contains(TOKEN), "{ledger}");
}

#[test]
fn a_lost_job_leaves_no_token() {
    let server = WorkerServer::start([Part::Hang]);
    let mut sandbox = sandbox();
    sandbox.expect_leftovers();
    sandbox.set("CODEX_API_KEY", TOKEN);
    sandbox.cx(["spawn", "-b", "http", "--codex-url", &server.url(), "-n", "a", "Look"]).ok();
    server.wait_for_request();
    let supervisor = sandbox.until(1, "started")["supervisor"]["pid"].as_i64().unwrap();
    sandbox.sh(&format!("kill -9 {supervisor}")).ok();
    sandbox.cx(["wait", "a"]).code(1);
    server.wait_for_abandoned();
    assert_eq!(sandbox.job("a")["status"], "lost");
    assert_eq!(holding(&sandbox.repo().join(".git/cx")), [] as [String; 0]);
}

#[test]
fn a_spawn_that_is_cut_short_leaves_no_token() {
    for point in ["draft", "settled", "spawned", "supervisor-started"] {
        let mut sandbox = sandbox();
        sandbox.expect_leftovers();
        sandbox.set("CODEX_API_KEY", TOKEN);
        let server = WorkerServer::answering("500 Oops", "text/plain", "no");
        let url = server.url();
        let mut spawn = sandbox.cx_command(["spawn", "-b", "http", "--codex-url", &url, "Look"]);
        sandbox
            .run({
                spawn.env("CX_CRASH_AT", point);
                spawn
            })
            .signal(9);
        sandbox.cx(["wait"]).status_code();
        assert_eq!(holding(&sandbox.repo().join(".git/cx")), [] as [String; 0], "{point}");
    }
}

#[test]
fn a_token_goes_to_the_server_that_was_named_and_to_nobody_else() {
    let elsewhere = WorkerServer::answering("200 OK", "application/json", r#"{"output":"o"}"#);
    let redirect = format!(
        "HTTP/1.1 307 Go\r\nLocation: {}/run\r\nConnection: close\r\n\r\n",
        elsewhere.url()
    );
    let server = WorkerServer::start([Part::Say(redirect)]);
    let mut sandbox = sandbox();
    sandbox.set("CODEX_API_KEY", TOKEN);
    // What stays on this machine is no proxy's business, and what curl does for its owner
    // is not what it does for us.
    for proxy in ["http_proxy", "all_proxy", "ALL_PROXY"] {
        sandbox.set(proxy, elsewhere.url());
    }
    fs::write(sandbox.root().join("home/.curlrc"), "location-trusted\nverbose\n").unwrap();
    sandbox.cx(["spawn", "-b", "http", "--codex-url", &server.url(), "-n", "a", "Look"]).ok();
    sandbox.cx(["wait", "a"]).code(1);
    assert!(sandbox.job("a")["reason"].as_str().unwrap().starts_with("HTTP 307, a redirect to "));
    assert_eq!((server.asked().len(), elsewhere.asked().len()), (1, 0));
    assert_eq!(holding(&sandbox.repo().join(".git/cx")), [] as [String; 0]);
}
