//! A model's service that fails: each failure has its outcome and its reason.

use std::net::{Ipv4Addr, TcpListener};

use super::{Lab, end};
use crate::support::Script;

/// The job's end after `script`, and what `cx wait` said of it.
#[track_caller]
fn failed(script: Script) -> (String, String, String) {
    let lab = Lab::new();
    lab.on("fail", script);
    let (job, said) = lab.run("fails", &["--no-hold", "fail, please"], 1);
    let (outcome, reason) = end(&job);
    assert_eq!(said, format!("cx: [1] fails {outcome}: {reason}\n"));
    let collected = lab.collect("fails", 1);
    assert!(collected["message"].is_null(), "{collected}");
    (outcome.to_owned(), reason.to_owned(), lab.cx(&["logs", "fails"]).ok().stdout())
}

#[test]
fn http_400_says_what_the_service_said() {
    let (outcome, reason, log) = failed(Script::new().status(400));
    assert_eq!((outcome.as_str(), reason.as_str()), ("failed", "scripted status 400"));
    assert_eq!(log, "! scripted status 400\n");
}

#[test]
fn http_429_is_a_limit() {
    let (outcome, reason, _) = failed(Script::new().status(429));
    assert_eq!(outcome, "rate-limited");
    assert_eq!(reason, "exceeded retry limit, last status: 429 Too Many Requests");
}

#[test]
fn http_401_says_how_to_sign_in() {
    let lab = Lab::new();
    lab.on("who", Script::new().status(401));
    let (job, said) = lab.run("stranger", &["who am I"], 1);
    let (outcome, reason) = end(&job);
    assert_eq!(outcome, "failed");
    assert!(
        reason.starts_with("unexpected status 401 Unauthorized: scripted status 401"),
        "{reason}"
    );
    assert!(said.contains("\n    hint: sign in with `codex login`, or "), "{said}");
}

#[test]
fn http_500_is_a_failure() {
    let (outcome, reason, _) = failed(Script::new().status(500));
    assert_eq!(outcome, "failed");
    assert!(reason.contains("high demand"), "{reason}");
}

#[test]
fn a_model_that_fails_the_response_says_why() {
    let (outcome, reason, _) = failed(Script::new().fail("context_length_exceeded", "Too long."));
    assert_eq!(outcome, "failed");
    assert!(reason.contains("context window"), "{reason}");
    let (outcome, reason, _) = failed(Script::new().fail("insufficient_quota", "Pay first."));
    assert_eq!(outcome, "rate-limited");
    assert!(reason.contains("Quota exceeded"), "{reason}");
}

#[test]
fn a_dropped_stream_is_a_failure() {
    let (outcome, reason, _) = failed(Script::new().drop_stream());
    assert_eq!(outcome, "failed");
    assert!(reason.contains("stream disconnected"), "{reason}");
}

#[test]
fn bad_json_is_a_failure() {
    let (outcome, reason, _) = failed(Script::new().bad_json());
    assert_eq!(outcome, "failed");
    assert!(reason.contains("stream disconnected"), "{reason}");
}

#[test]
fn an_error_that_passes_is_no_failure() {
    let Lab { sandbox, server, home } = Lab::new();
    let lab = Lab { sandbox, server, home: home.retries(1) };
    lab.on("again", Script::new().status(500).times(2).say("At last."));
    let (job, _) = lab.run("again", &["Try again"], 0);
    assert_eq!(end(&job), ("succeeded", ""));
    assert_eq!(lab.collect("again", 0)["message"], "At last.");
}

#[test]
fn a_service_that_is_not_there_is_given_up() {
    let port = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let Lab { sandbox, server, home } = Lab::new();
    let home = home.at(&format!("http://127.0.0.1:{port}/v1"));
    let lab = Lab { sandbox, server, home };
    let (job, _) = lab.run("nobody", &["Is anybody there?"], 1);
    let (outcome, reason) = end(&job);
    assert_eq!(outcome, "failed");
    assert!(reason.contains("error sending request"), "{reason}");
    assert!(lab.server.requests().is_empty());
}

#[test]
fn no_failure_hides_among_successes() {
    let lab = Lab::new();
    lab.on("fine", Script::new().say("Fine."));
    lab.on("broken", Script::new().status(400));
    lab.spawn("good", &["all is fine"]);
    lab.spawn("bad", &["all is broken"]);
    let waited = lab.cx(&["wait"]).code(1);
    assert_eq!(waited.stderr(), "cx: [2] bad failed: scripted status 400\n");
    let shown = lab.cx(&["collect"]).code(1).stdout();
    assert!(shown.contains("== [1] good · succeeded"), "{shown}");
    assert!(shown.contains("== [2] bad · failed"), "{shown}");
    assert!(shown.contains("\n-- scripted status 400\n"), "{shown}");
}
