//! Responses as curl writes them, and what becomes of them.

use std::{fs, path::Path};

use super::super::{Answer, Backend, JudgeInput, LaunchInput, Stdin, Verdict, testing};
use super::*;
use crate::job::{Endpoint, Mode, Outcome, Usage, WorkerExit};

/// What is made of a response, and of curl's exit code and stderr.
fn judged(stdout: &str, code: i32, stderr: &str) -> Verdict {
    let dir = tempfile::tempdir().expect("folder");
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    fs::write(&out, stdout).expect("writes");
    fs::write(&err, stderr).expect("writes");
    judge(&JudgeInput {
        exit: Some(WorkerExit::Code(code)),
        stdout: &out,
        stderr: &err,
        answer_file: None,
        ended_by_us: None,
        expected_thread: None,
    })
    .expect("reads")
}

fn response(status: &str, headers: &str, body: &str) -> String {
    let headers = headers.lines().flat_map(|line| [line, "\r\n"]).collect::<String>();
    format!("HTTP/1.1 {status}\r\nServer: x\r\n{headers}\r\n{body}")
}

fn json(body: &str) -> String {
    response("200 OK", "Content-Type: application/json; charset=utf-8", body)
}

fn stream(body: &str) -> String {
    response("200 OK", "content-type: text/event-stream", body)
}

/// Outcome and reason.
fn why(stdout: &str) -> (Outcome, String) {
    let verdict = judged(stdout, 0, "");
    assert!(!verdict.outcome.is_success(), "{verdict:?}");
    (verdict.outcome, verdict.reason.expect("a reason"))
}

fn failed(reason: &str) -> (Outcome, String) {
    (Outcome::Failed, reason.to_owned())
}

#[test]
fn an_answer_is_its_output_or_else_its_summary() {
    let usage = Some(Usage { input: 12, output: 3, ..Usage::default() });
    for (body, text, used) in [
        (
            r#"{"summary":"s","output":"o\nmore","usage":{"tokensIn":12,"tokensOut":3}}"#,
            "o\nmore",
            usage,
        ),
        (r#"{"summary":"s","output":" ","error":null}"#, "s", None),
        (r#"{"output":{"a":[1]}}"#, r#"{"a":[1]}"#, None),
        ("{\n  \"summary\": \"s\",\n  \"output\": null\n}\n", "s", None),
    ] {
        let verdict = judged(&json(body), 0, "");
        assert_eq!((verdict.outcome, verdict.reason), (Outcome::Succeeded, None), "{body}");
        assert_eq!((verdict.answer, verdict.usage), (Answer::Text(text.to_owned()), used));
    }
}

#[test]
fn a_stream_is_its_complete_event() {
    let body = ": ping\n\nevent: start\ndata: {\"id\":1}\n\nevent: chunk\ndata: {\"text\":\"a\"}\n\n\
                id: 7\r\nevent: complete\r\ndata: {\"summary\":\"s\",\r\ndata: \"output\":\"o\"}\r\n\r\n";
    let verdict = judged(&stream(body), 0, "");
    assert_eq!((verdict.outcome, verdict.reason), (Outcome::Succeeded, None));
    assert_eq!(verdict.answer, Answer::Text("o".to_owned()));
    // Its end may be that of the response.
    assert!(judged(&stream(body.trim_end()), 0, "").outcome.is_success());
    // Who is asked for a stream may answer without one.
    assert!(judged(&json(r#"{"output":"o"}"#), 0, "").outcome.is_success());
    // Leave to send comes before it, and is no head of the response.
    let after_leave = format!("HTTP/1.1 100 Continue\r\n\r\n{}", stream(body));
    assert!(judged(&after_leave, 0, "").outcome.is_success());
    assert!(
        judged(&stream(body).replace("HTTP/1.1 200 OK", "HTTP/2 200 "), 0, "").outcome.is_success()
    );
}

#[test]
fn a_stream_that_ends_in_any_other_way_is_a_failure() {
    let start = "event: start\ndata: {}\n\n";
    for (body, reason) in [
        (start.to_owned(), "the stream ended without a 'complete' event"),
        (
            format!("{start}event: complete\ndata: {{\"summ"),
            "the stream ended with an event that is no valid JSON: EOF while parsing a string at line 1 column 6",
        ),
        (
            format!("{start}event: complete\ndata: {{}}\n\n"),
            "the stream ended with an event that has neither 'output' nor 'summary'",
        ),
        (
            format!("{start}event: error\ndata: {{\"message\":\"out of memory.\"}}\n\n"),
            "the stream ended with an error: out of memory",
        ),
        (
            format!("{start}event: error\ndata: plain words\n\n"),
            "the stream ended with an error: plain words",
        ),
        // What comes after an error does not undo it.
        (
            "event: error\ndata: {}\n\nevent: complete\ndata: {\"output\":\"o\"}\n\n".to_owned(),
            "the stream ended with an error",
        ),
    ] {
        assert_eq!(why(&stream(&body)), failed(reason), "{body}");
    }
    let limited = "event: error\ndata: {\"error\":{\"message\":\"wait\"},\"status\":429}\n\n";
    let reason = "the stream ended with an error: wait".to_owned();
    assert_eq!(why(&stream(limited)), (Outcome::RateLimited, reason));
    assert_eq!(why(&stream(": ping\n\n")), (Outcome::NoAnswer, "the stream was empty".to_owned()));
    let blank = "event: complete\ndata: {\"output\":\" \\n\"}\n\n";
    assert_eq!(why(&stream(blank)), (Outcome::NoAnswer, "the answer is blank".to_owned()));
}

#[test]
fn what_is_no_answer_is_named() {
    for (body, reason) in [
        (
            "{\"output\":",
            "the answer is no valid JSON: EOF while parsing a value at line 2 column 0",
        ),
        ("[1]", "the answer is no JSON object"),
        ("{\"result\":1}", "the answer has neither 'output' nor 'summary'"),
        (r#"{"output":"o","error":"no\nway."}"#, "the answer says that it failed: no way"),
    ] {
        assert_eq!(why(&json(body)), failed(reason), "{body}");
    }
    let html = response("200 OK", "Content-Type: text/html", "<html>");
    assert_eq!(why(&html), failed("the answer is text/html, and no JSON or event stream"));
    let bare = response("200 OK", "X: y", "{\"output\":\"o\"}");
    let reason = "the answer is something without a content type, and no JSON or event stream";
    assert_eq!(why(&bare), failed(reason));
    assert_eq!(why("nonsense\n"), failed("what came is no HTTP response"));
    let empty = (Outcome::NoAnswer, "HTTP 204 without an answer in it".to_owned());
    assert_eq!(why(&response("204 No Content", "X: y", "")), empty);
}

#[test]
fn an_error_status_is_told_with_the_words_of_its_body() {
    let kind = "Content-Type: application/json";
    for (status, headers, body, reason) in [
        (
            "500 Oops",
            kind,
            r#"{"error":{"message":"the disk is full.","code":7}}"#,
            "HTTP 500: the disk is full",
        ),
        ("500 Oops", kind, r#"{"error":"boom"}"#, "HTTP 500: boom"),
        ("502 Bad", kind, r#"{"detail":"no worker"}"#, "HTTP 502: no worker"),
        ("500 Oops", "Content-Type: text/plain", "\nwent wrong\nmore", "HTTP 500: went wrong"),
        ("500 Oops", "Content-Type: text/html", "<html>\n", "HTTP 500"),
        (
            "401 No",
            kind,
            r#"{"error":"bad"}"#,
            "HTTP 401, the token is missing or was not accepted: bad",
        ),
        ("403 No", "X: y", "", "HTTP 403, the token does not allow this"),
        ("404 No", "X: y", "", "HTTP 404"),
        (
            "302 Found",
            "Location: http://elsewhere/run",
            "",
            "HTTP 302, a redirect to http://elsewhere/run, and none is followed",
        ),
        ("503 Busy", "X: y", "", "HTTP 503"),
        // Not a stream, whatever it says of itself.
        (
            "500 Oops",
            "Content-Type: text/event-stream",
            "event: complete\ndata: {\"output\":\"o\"}\n\n",
            "HTTP 500: event: complete",
        ),
    ] {
        assert_eq!(why(&response(status, headers, body)), failed(reason), "{status} {body}");
    }
    for (status, headers, reason) in [
        ("429 Slow", "Retry-After: 30", "HTTP 429, retry after 30 s: wait"),
        ("429 Slow", "X: y", "HTTP 429: wait"),
        (
            "503 Busy",
            "retry-after: Wed, 21 Oct 2026 07:28:00 GMT",
            "HTTP 503, retry after Wed, 21 Oct 2026 07:28:00 GMT: wait",
        ),
    ] {
        let limited = (Outcome::RateLimited, reason.to_owned());
        assert_eq!(why(&response(status, headers, "wait")), limited);
    }
}

#[test]
fn after_a_refusal_the_next_response_counts() {
    let refused = "HTTP/1.1 429 Slow\r\nRetry-After: 30\r\n\r\nslow down\n";
    let now = jiff::Timestamp::now();
    let resets = judged(refused, 0, "").resets.expect("a time");
    let wait = resets.duration_since(now).as_secs();
    assert!((29..=31).contains(&wait), "{wait}");
    let date = refused.replace("30", "Wed, 21 Oct 2099 07:28:00 GMT");
    let at = judged(&date, 0, "").resets.expect("a time").to_string();
    assert_eq!(at, "2099-10-21T07:28:00Z");
    assert_eq!(judged(&refused.replace("30", "soon"), 0, "").resets, None);

    let answer = json(r#"{"output":"o"}"#);
    let verdict = judged(&format!("{refused}{answer}\n"), 0, "");
    assert_eq!((verdict.outcome, verdict.reason, verdict.resets), (Outcome::Succeeded, None, None));
    assert_eq!(verdict.answer, Answer::Text("o".to_owned()));
    let limited = stream("event: error\ndata: {\"message\":\"wait\",\"status\":429}\n\n\n");
    assert!(judged(&format!("{limited}{answer}\n"), 0, "").outcome.is_success());
    // Nobody there any more: that is no refusal.
    let verdict = judged(refused, 7, "curl: (7) Failed to connect\n");
    let reason = "nobody answers there: Failed to connect";
    assert_eq!((verdict.outcome, verdict.reason.as_deref()), (Outcome::Failed, Some(reason)));
    // What an answer says that looks like a head is no head.
    let quoted = json("{\"output\":\"o\"\nHTTP/1.1 200 OK\n}");
    assert_eq!(judged(&quoted, 0, "").outcome, Outcome::Failed);

    let mut counter = Counter::default();
    refused.lines().for_each(|line| counter.line(line.as_bytes()));
    assert!(!counter.answered);
    stream("event: chunk\n").lines().for_each(|line| counter.line(line.as_bytes()));
    assert!(!counter.answered);
    counter.line(b"event: complete\r\n");
    assert!(std::mem::take(&mut counter.answered));
    answer.lines().for_each(|line| counter.line(line.as_bytes()));
    assert!(counter.answered);
}

#[test]
fn a_broken_transfer_is_no_success_whatever_came() {
    let complete = stream("event: complete\ndata: {\"output\":\"o\"}\n\n");
    let said = "curl: (18) transfer closed with outstanding read data remaining.\n";
    let verdict = judged(&complete, 18, said);
    let reason = "the connection broke before the answer was whole: transfer closed with outstanding read data remaining";
    assert_eq!((verdict.outcome, verdict.reason.as_deref()), (Outcome::Failed, Some(reason)));
    assert_eq!(verdict.answer, Answer::Text("o".to_owned()));
    for (code, stderr, reason) in [
        (
            7,
            "curl: (7) Failed to connect to a port 1: No\n",
            "nobody answers there: Failed to connect to a port 1: No",
        ),
        (
            52,
            "curl: (52) Empty reply from server\n",
            "the server closed the connection without an answer: Empty reply from server",
        ),
        (
            60,
            "curl: (60) SSL certificate problem: self-signed certificate\nMore details here: https://curl.se\n\ncurl failed to verify\n",
            "the server's certificate was not accepted: SSL certificate problem: self-signed certificate",
        ),
        (99, "", "the request failed (exit code 99 of curl)"),
    ] {
        let verdict = judged("", code, stderr);
        assert_eq!((verdict.outcome, verdict.reason.as_deref()), (Outcome::Failed, Some(reason)));
        assert_eq!(verdict.answer, Answer::None);
    }
    // Half of an error is still that error.
    let half = response("500 Oops", "Content-Type: text/plain", "went wro");
    assert_eq!(judged(&half, 18, said).reason.as_deref(), Some("HTTP 500: went wro"));
}

#[test]
fn what_a_worker_does_is_shown_line_by_line() {
    let shown = |line: &str| render(line.as_bytes());
    for silent in [
        "HTTP/1.1 200 OK\r",
        "Content-Type: text/event-stream\r",
        "\r",
        ": ping",
        "event: chunk",
        "id: 3",
        "data: {\"id\":1}",
        "data:",
        "{\"usage\":{}}",
    ] {
        assert_eq!(shown(silent), None, "{silent:?}");
    }
    for (line, text) in [
        ("data: {\"text\":\"reads a\"}", "reads a"),
        ("data: \"reads b\"", "reads b"),
        ("data: plain", "plain"),
        ("data: {\"output\":\"o\",\"logs\":[\"one\",\"two\"]}", "· one\n· two\no"),
        ("{\"summary\":\"s\",\"output\":\"o\"}", "o"),
        ("{\"error\":{\"message\":\"no\"}}", "! no"),
        ("HTTP/2 503 ", "! HTTP 503"),
        ("went wrong", "went wrong"),
    ] {
        assert_eq!(shown(line).as_deref(), Some(text), "{line}");
    }
    let tail = b"ut line\ndata: {\"text\":\"reads a\\nfile\"}\n\nevent: chunk\n";
    assert_eq!(activity(tail).as_deref(), Some("reads a file"));
    assert_eq!(activity(b"HTTP/1.1 200 OK\r\nX: y\r\n").as_deref(), Some("HTTP 200"));
    assert_eq!(activity(b"\n"), None);
}

fn endpoint(url: &str, stream: bool) -> Endpoint {
    Endpoint {
        url: url.parse().expect("a URL"),
        stream,
        provider: Some("p".to_owned()),
        fallback: None,
    }
}

#[test]
fn a_request_is_made_by_curl_and_the_token_is_in_no_argument() {
    let here = endpoint("http://localhost:8080/", true);
    let input = LaunchInput {
        prompt: "say \"ä\"\n".as_bytes(),
        endpoint: Some(&here),
        agent: Some("reviewer"),
        token_file: Some(Path::new("/jobs/1/token")),
        ..testing::input(&Backend::HTTP, Mode::Reader, None)
    };
    let launched = launch(&input);
    let args: Vec<&str> = launched.args.iter().map(|arg| arg.to_str().expect("text")).collect();
    assert_eq!(args.first(), Some(&"--disable"));
    assert!(args.windows(2).any(|pair| pair == ["--header", "@/jobs/1/token"]), "{args:?}");
    assert!(args.windows(2).any(|pair| pair == ["--noproxy", "*"]), "{args:?}");
    assert!(args.ends_with(&["--url", "http://localhost:8080/run?stream=1"]), "{args:?}");
    assert!(!args.iter().any(|arg| arg.starts_with("--location")), "{args:?}");
    let Stdin::Bytes(body) = launched.stdin else { panic!("{:?}", launched.stdin) };
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let sent = serde_json::json!({
        "agentId": "reviewer", "alias": "reviewer", "task": "say \"ä\"\n", "provider": "p",
    });
    assert_eq!(body, sent);

    let there = endpoint("https://a.example", false);
    let input = LaunchInput { agent: None, token_file: None, endpoint: Some(&there), ..input };
    let launched = launch(&input);
    let args: Vec<&str> = launched.args.iter().map(|arg| arg.to_str().expect("text")).collect();
    assert!(args.ends_with(&["--url", "https://a.example/run"]), "{args:?}");
    assert!(!args.iter().any(|arg| arg.starts_with('@') && *arg != "@-"), "{args:?}");
    assert!(!args.contains(&"--noproxy"), "{args:?}");
    let Stdin::Bytes(body) = launched.stdin else { panic!("{:?}", launched.stdin) };
    assert!(String::from_utf8_lossy(&body).contains(r#""agentId":"default","alias":"default""#));
}

#[test]
fn a_token_is_one_word_of_a_header() {
    assert_eq!(authorization(" s3cret\n").as_deref(), Ok("Authorization: Bearer s3cret\n"));
    assert_eq!(token_in("Authorization: Bearer s3cret\n"), Some("s3cret"));
    assert_eq!(authorization("\n"), Err(TokenError::Empty));
    for token in ["a b", "a\r\nX: y", "ä", "a\u{7f}"] {
        assert_eq!(authorization(token), Err(TokenError::Character), "{token:?}");
    }
}

#[test]
fn prompts_are_text_and_curl_takes_no_more_arguments() {
    assert_eq!(check_prompt(b" \n"), Err(PromptError::Empty));
    assert!(matches!(check_prompt(b"a\xff"), Err(PromptError::NotUtf8 { at: 1, .. })));
    assert!(matches!(
        check_prompt(&vec![b'a'; PROMPT_MAX + 1]),
        Err(PromptError::TooManyBytes { .. })
    ));
    assert_eq!(check_prompt(&vec![b'a'; PROMPT_MAX]), Ok(()));
    assert!(check_args(&[]).is_ok());
    assert!(check_args(&["--verbose".to_owned()]).is_err());
}
