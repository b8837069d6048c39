//! How a request ended. Success is a status of 2xx, a transfer that curl calls whole, and
//! an answer in it that is not blank; everything else is named.

use std::io;

use jiff::Timestamp;

use super::super::{Answer, JudgeInput, Verdict, text};
use super::{
    digest::{Digest, Head},
    value,
};
use crate::job::{Outcome, WorkerExit};

/// How much of the end of stderr is looked at, in bytes.
const STDERR_MAX: u64 = 4 << 10;

pub(in super::super) fn judge(input: &JudgeInput<'_>) -> io::Result<Verdict> {
    let digest = Digest::read(text::open(input.stdout)?)?;
    let said = curl_said(&text::tail(input.stderr, STDERR_MAX)?);
    let streamed = digest.stream.end.clone().and_then(Result::ok);
    let is_stream = digest.head.as_ref().is_some_and(Head::is_stream);
    let whole = digest.head.as_ref().filter(|head| head.is_success() && head.is_json());
    let answered = if is_stream { streamed } else { whole.and_then(|_| digest.answer().ok()) };
    let (outcome, reason) = outcome(input, &digest, said);
    let answer = answered.as_ref().map(|answered| answered.text.clone());
    Ok(Verdict {
        outcome,
        reason,
        answer: answer.filter(|text| !text.trim().is_empty()).map_or(Answer::None, Answer::Text),
        usage: answered.and_then(|answered| answered.usage),
        resets: digest.head.as_ref().and_then(|head| head.asks_again(Timestamp::now())),
        thread_id: None,
        notes: Vec::new(),
        sandbox_unproven: false,
    })
}

/// The outcome and the sentence that says why.
fn outcome(
    input: &JudgeInput<'_>,
    digest: &Digest,
    said: Option<String>,
) -> (Outcome, Option<String>) {
    if let Some(interruption) = input.interruption() {
        return interruption;
    }
    let failed = |reason: String| (Outcome::Failed, Some(reason));
    let code = input.exit.map_or(1, WorkerExit::shell_code);
    // What a server says of an error is worth more than how the connection ended then.
    let told = digest.head.as_ref().filter(|head| digest.has_body && !head.is_success());
    if let Some(head) = told.filter(|_| code == 0 || BROKE.contains(&code)) {
        return refusal(head, digest.complaint());
    }
    if code != 0 {
        return failed(match said {
            Some(said) => format!("{}: {said}", broken(code)),
            None => format!("{} (exit code {code} of curl)", broken(code)),
        });
    }
    let Some(head) = digest.head.as_ref().filter(|_| digest.has_body) else {
        return failed("what came is no HTTP response".to_owned());
    };
    let answered = if head.is_stream() {
        match &digest.stream.end {
            Some(Ok(answered)) => Ok(answered.clone()),
            Some(Err(why)) if digest.stream.is_limited => {
                return (Outcome::RateLimited, Some(format!("the stream {why}")));
            }
            Some(Err(why)) => Err(format!("the stream {why}")),
            None if digest.stream.begun => {
                Err("the stream ended without a 'complete' event".to_owned())
            }
            None => return (Outcome::NoAnswer, Some("the stream was empty".to_owned())),
        }
    } else if digest.too_long {
        Err("the answer has more than 16 MiB".to_owned())
    } else if digest.is_blank() {
        let reason = format!("HTTP {} without an answer in it", head.status);
        return (Outcome::NoAnswer, Some(reason));
    } else if head.is_json() {
        digest.answer().map_err(|why| format!("the answer {why}"))
    } else {
        let kind = match head.content_type.as_str() {
            "" => "something without a content type",
            kind => kind,
        };
        Err(format!("the answer is {kind}, and no JSON or event stream"))
    };
    match answered {
        Err(reason) => failed(reason),
        Ok(answered) if answered.text.trim().is_empty() => {
            (Outcome::NoAnswer, Some("the answer is blank".to_owned()))
        }
        Ok(_) => (Outcome::Succeeded, None),
    }
}

/// A status that is no success.
fn refusal(head: &Head, said: Option<String>) -> (Outcome, Option<String>) {
    let status = head.status;
    let what = match status {
        401 => "HTTP 401, the token is missing or was not accepted".to_owned(),
        403 => "HTTP 403, the token does not allow this".to_owned(),
        300..=399 => match &head.location {
            Some(to) => format!("HTTP {status}, a redirect to {to}, and none is followed"),
            None => format!("HTTP {status}, a redirect, and none is followed"),
        },
        _ => format!("HTTP {status}"),
    };
    let is_limited = head.is_limit();
    let when = match &head.retry_after {
        Some(after) if is_limited => format!(", retry after {}", when(after)),
        _ => String::new(),
    };
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    let outcome = if is_limited { Outcome::RateLimited } else { Outcome::Failed };
    (outcome, Some(format!("{what}{when}{said}")))
}

/// A number of seconds, or a date.
fn when(after: &str) -> String {
    if after.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("{after} s")
    } else {
        after.to_owned()
    }
}

/// Exit codes of curl with which a response may have begun.
const BROKE: [u8; 7] = [16, 18, 55, 56, 92, 95, 96];

/// What curl's exit code means for who reads it.
fn broken(code: u8) -> &'static str {
    match code {
        5 | 97 => "the proxy could not be reached",
        6 => "the host was not found",
        7 => "nobody answers there",
        28 => "the connection took too long to begin",
        35 | 58 | 59 => "the TLS connection failed",
        51 | 60 | 77 | 80 | 82 | 83 | 90 | 91 => "the server's certificate was not accepted",
        52 => "the server closed the connection without an answer",
        code if BROKE.contains(&code) => "the connection broke before the answer was whole",
        2 => "this curl is too old",
        26 => "the request could not be read",
        23 => "the answer could not be written down",
        _ => "the request failed",
    }
}

/// The last that curl said, without its own name.
fn curl_said(stderr: &[u8]) -> Option<String> {
    text::lines_from_end(stderr).find_map(|line| {
        let line = value::sentence(&String::from_utf8_lossy(line))?;
        let said = line.strip_prefix("curl: ").unwrap_or(&line);
        // `(7) Failed to connect`; what follows on more lines is advice.
        let numbered = said.strip_prefix('(')?.split_once(") ")?;
        Some(numbered.1.to_owned())
    })
}

/// What a person does next.
pub(in super::super) fn hint(reason: &str) -> Option<&'static str> {
    if reason.starts_with("HTTP 401") || reason.starts_with("HTTP 403") {
        return Some(
            "the token is that of http.token-file or CODEX_API_KEY (`cx man http` says which)",
        );
    }
    if reason.starts_with("nobody answers") || reason.starts_with("the host was not found") {
        return Some("is http.url or CODEX_URL right, and does a server run there?");
    }
    reason
        .starts_with("the server's certificate")
        .then_some("CURL_CA_BUNDLE names the certificates that curl believes")
}
