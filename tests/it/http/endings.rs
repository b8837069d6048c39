//! Every way in which a request fails, and how it is named. Nothing else is tried then.

use std::net::{Ipv4Addr, TcpListener};

use super::{ask, end, sandbox, stream};
use crate::support::{Part, WorkerServer, response};

#[test]
fn a_failure_is_named_and_nobody_else_is_asked() {
    let json = "application/json";
    for (answer, outcome, reason) in [
        (
            response("500 Oops", json, r#"{"error":{"message":"the disk is full"}}"#),
            "failed",
            "HTTP 500: the disk is full",
        ),
        (response("502 Bad Gateway", "text/html", "<html>oh"), "failed", "HTTP 502"),
        (
            response("401 No", json, r#"{"error":"who are you"}"#),
            "failed",
            "HTTP 401, the token is missing or was not accepted: who are you",
        ),
        (response("403 No", json, "{}"), "failed", "HTTP 403, the token does not allow this"),
        (response("404 No", "", ""), "failed", "HTTP 404"),
        (
            "HTTP/1.1 429 Slow\r\nRetry-After: 17\r\nConnection: close\r\n\r\nslow down".to_owned(),
            "rate-limited",
            "HTTP 429, retry after 17 s: slow down",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/run\r\nConnection: close\r\n\r\n".to_owned(),
            "failed",
            "HTTP 302, a redirect to http://elsewhere.example/run, and none is followed",
        ),
        (response("200 OK", json, "{\"output\": nope"), "failed", "the answer is no valid JSON: expected ident at line 1 column 13"),
        (response("200 OK", json, "{}"), "failed", "the answer has neither 'output' nor 'summary'"),
        (response("200 OK", json, r#"{"output":" "}"#), "no-answer", "the answer is blank"),
        (response("200 OK", json, ""), "no-answer", "HTTP 200 without an answer in it"),
        (
            response("200 OK", "text/html", "<html>welcome"),
            "failed",
            "the answer is text/html, and no JSON or event stream",
        ),
        (stream("event: start\ndata: {}\n\n"), "failed", "the stream ended without a 'complete' event"),
        (stream(""), "no-answer", "the stream was empty"),
        (
            stream("event: error\ndata: {\"message\":\"out of tokens\"}\n\n"),
            "failed",
            "the stream ended with an error: out of tokens",
        ),
    ] {
        let server = WorkerServer::start([Part::Say(answer.clone())]);
        let sandbox = sandbox();
        let job = ask(&sandbox, &server.url(), 1);
        assert_eq!(end(&job), (outcome, reason), "{answer}");
        assert_eq!(server.asked().len(), 1, "{answer}");
        assert_eq!(job["exit"]["code"], 0, "{job}");
    }
}

#[test]
fn a_connection_that_breaks_is_no_success() {
    // The length that is told never comes.
    let half = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"output\":\"o\"}";
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2c\r\nevent: complete\ndata: {\"output\":\"all\"}\n\n    \r\n";
    for (said, code, reason) in [
        (half, 18, "the connection broke before the answer was whole: "),
        (chunked, 18, "the connection broke before the answer was whole: "),
        ("", 52, "the server closed the connection without an answer: "),
        ("nonsense\r\n\r\n", 1, "the request failed: "),
    ] {
        let server = WorkerServer::start([Part::Say(said.to_owned())]);
        let sandbox = sandbox();
        let job = ask(&sandbox, &server.url(), code);
        let (outcome, why) = end(&job);
        assert!(outcome == "failed" && why.starts_with(reason), "{said:?}: {job}");
    }
}

#[test]
fn a_dead_port_is_named() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let sandbox = sandbox();
    let job = ask(&sandbox, &url, 7);
    let (outcome, why) = end(&job);
    assert!(outcome == "failed" && why.starts_with("nobody answers there: "), "{job}");
    let said = sandbox.cx(["wait", "asked"]).code(7).stderr();
    assert!(said.contains("hint: is http.url or CODEX_URL right"), "{said}");
}

#[test]
fn limits_and_kill_hold_for_a_server_that_says_nothing_more() {
    let begun = stream("event: start\ndata: {}\n\n");
    for (parts, limit, outcome, reason) in [
        (vec![Part::Hang], "--timeout", "timed-out", "its time limit of "),
        (
            vec![Part::Say(begun.clone()), Part::Hang],
            "--silence",
            "silent",
            "it wrote nothing for ",
        ),
    ] {
        let server = WorkerServer::start(parts);
        let sandbox = sandbox();
        let spawn = [
            "spawn",
            "-b",
            "http",
            "--codex-url",
            &server.url(),
            "-n",
            "a",
            limit,
            "300ms",
            "Look",
        ];
        sandbox.cx(spawn).ok();
        sandbox.cx(["wait", "a"]).code(143);
        let job = sandbox.job("a");
        let (ended, why) = end(&job);
        assert!(ended == outcome && why.starts_with(reason), "{job}");
        server.wait_for_abandoned();
    }
    let server = WorkerServer::start([Part::Say(begun), Part::Hang]);
    let sandbox = sandbox();
    sandbox.cx(["spawn", "-b", "http", "--codex-url", &server.url(), "-n", "a", "Look"]).ok();
    server.wait_for_request();
    sandbox.cx(["kill", "a"]).ok();
    server.wait_for_abandoned();
    assert_eq!(end(&sandbox.job("a")), ("killed", "ended by TERM"));
}

#[test]
fn a_job_that_is_refused_for_a_limit_asks_again_when_it_may() {
    let refused = "HTTP/1.1 429 Slow\r\nRetry-After: 30\r\nConnection: close\r\n\r\nslow down";
    let answer = response("200 OK", "application/json", r#"{"output":"At last."}"#);
    let server =
        WorkerServer::in_turn([refused.to_owned(), answer].map(|said| vec![Part::Say(said)]));
    let mut sandbox = sandbox();
    sandbox.set("CX_HOLD_MS", "50");
    sandbox.set("CODEX_API_KEY", "t0ken-of-the-shell");
    sandbox.cx(["spawn", "-b", "http", "--codex-url", &server.url(), "-n", "a", "Look"]).ok();
    let held = sandbox.until(1, "on-hold");
    assert_eq!(held["reason"], "HTTP 429, retry after 30 s: slow down");
    sandbox.cx(["wait", "a"]).ok();
    assert_eq!(sandbox.cx(["collect", "a"]).ok().stdout().lines().last(), Some("At last."));
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!((&asked[0].body, &asked[0].headers), (&asked[1].body, &asked[1].headers));
}
