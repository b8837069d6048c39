//! What is refused before anything starts.

use super::sandbox;
use crate::support::{Sandbox, WorkerServer};

#[test]
fn a_server_has_to_be_named_and_to_be_one() {
    let mut sandbox = sandbox();
    let refused = |sandbox: &Sandbox, args: &[&str], why: &str| {
        let words = [&["spawn", "-b", "http"], args, &["Look"]].concat();
        let refusal = sandbox.cx(&words).refused(2, why);
        sandbox.assert_nothing_started(&refusal);
    };
    refused(&sandbox, &[], "no server is named for the backend http");
    let login = ["--codex-url", "http://me:s3cret@a/"];
    refused(&sandbox, &login, "the URL of --codex-url has a user or a password in it");
    let said =
        sandbox.cx(["spawn", "-b", "http", "--codex-url", "http://me:s3cret@a/", "x"]).stderr();
    assert!(!said.contains("s3cret"), "{said}");
    refused(
        &sandbox,
        &["--codex-url", "ftp://a"],
        "'ftp://a' of --codex-url does not begin with http://",
    );
    let here = ["--codex-url", "http://127.0.0.1:1"];
    let key = ["--codex-key", "two words"];
    refused(&sandbox, &[here, key].concat(), "the token of --codex-key has a character in it");
    refused(&sandbox, &[&here[..], &["-m", "big"]].concat(), "http has no models to choose from");
    sandbox.set("CODEX_URL", "nonsense");
    refused(&sandbox, &[], "'nonsense' of CODEX_URL does not begin with http://");
}

#[test]
fn a_run_names_a_server_for_the_tasks_that_one_does() {
    let body = r#"{"output":"Seen."}"#;
    let server = WorkerServer::answering("200 OK", "application/json", body);
    let mut sandbox = sandbox();
    sandbox.set("CODEX_API_KEY", "t0ken");
    let plan = "[tasks.far]\nprompt = 'Look'\nbackend = 'http'\n\
                [tasks.near]\nprompt = 'true'\nbackend = 'sh'\n";
    sandbox.write("plan.toml", plan);
    let refuse = |url: &str, file: &str, why: &str| {
        let refusal = sandbox.cx(["run", "-f", file, "--codex-url", url]).refused(2, why);
        sandbox.assert_nothing_started(&refusal);
        assert!(!refusal.stderr().contains("s3cret"), "{refusal}");
    };
    refuse("http://me:s3cret@a/", "plan.toml", "the URL of --codex-url has a user or a password");
    sandbox.write("near.toml", "[tasks.near]\nprompt = 'true'\nbackend = 'sh'\n");
    refuse("http://me:s3cret@a/", "near.toml", "and this plan has none");
    sandbox.cx(["run", "-f", "plan.toml", "--codex-url", &server.url()]).ok();
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].headers.iter().any(|line| line == "authorization: Bearer t0ken"), "{asked:?}");
}

#[test]
fn a_server_cannot_write_here() {
    let mut sandbox = sandbox();
    sandbox.set("CODEX_URL", "http://127.0.0.1:1");
    for args in [&["--write"][..], &["-t", "coder"], &["-N", "2"]] {
        let words = [&["spawn", "-b", "http"], args, &["Look"]].concat();
        let refusal = sandbox.cx(&words).refused(2, "http has no writers");
        sandbox.assert_nothing_started(&refusal);
    }
    let words = ["spawn", "-b", "sh", "--codex-url", "http://127.0.0.1:1", "true"];
    let refusal = sandbox.cx(words).refused(2, "--codex-url is for the backend http");
    sandbox.assert_nothing_started(&refusal);
}

#[test]
fn without_curl_nothing_starts_and_it_is_said_how_to_get_it() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CODEX_URL", "http://127.0.0.1:1");
    let refusal =
        sandbox.cx(["spawn", "-b", "http", "Look"]).refused(127, "curl was not found on PATH");
    assert!(refusal.stderr().contains("hint: install it: apt install curl"), "{refusal}");
    sandbox.assert_nothing_started(&refusal);
}

#[test]
fn a_repository_that_nobody_trusts_says_not_where_prompts_go() {
    let sandbox = sandbox();
    sandbox.write(".cx/config.toml", "backend = 'http'\n[http]\nurl = 'http://127.0.0.1:1'\n");
    let refusal = sandbox.cx(["spawn", "Look"]).code(2);
    assert!(refusal.stderr().contains("no server is named"), "{refusal}");
    sandbox.assert_nothing_started(&refusal);
    let shown = sandbox.cx(["trust", "--show"]).stdout();
    assert!(shown.contains("http.url"), "{shown}");
}
