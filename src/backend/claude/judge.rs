//! How a claude job ended. `subtype` says little: API errors come as `success`.
//! What counts is the exit code, `is_error` of the last result, and whether
//! anything was denied, of which neither of the two tells.

use std::io;

use super::super::{Answer, JudgeInput, Verdict, text};
use super::digest::{Digest, End};
use crate::job::{Outcome, WorkerExit};

/// Longest sentence, in characters.
const SENTENCE_MAX: usize = 400;

/// How much of the end of stderr is looked at, in bytes.
const STDERR_MAX: u64 = 16 << 10;

/// What claude and the services write when a limit of the account was hit.
const LIMITS: [&str; 8] = [
    "usage limit",
    "limit reached",
    "hit your limit",
    "rate limit",
    "rate_limit",
    "overloaded",
    "too many requests",
    "credit balance is too low",
];

pub(in super::super) fn judge(input: &JudgeInput<'_>) -> io::Result<Verdict> {
    let digest = Digest::read(text::open(input.stdout)?)?;
    let stderr = sentence_of(&text::tail(input.stderr, STDERR_MAX)?);
    let (outcome, reason) = outcome(input, &digest, stderr);
    let end = digest.end.as_ref();
    // What an error's text says is the reason, and no answer.
    let answered = end.filter(|end| !end.is_error && asked_the_model(end)).map(|end| &end.text);
    let said = answered.or(digest.last_text.as_ref().filter(|_| end.is_none()));
    Ok(Verdict {
        outcome,
        reason,
        notes: end.map(notes).unwrap_or_default(),
        answer: said
            .filter(|message| !message.trim().is_empty())
            .map_or(Answer::None, |message| Answer::Text(message.clone())),
        usage: digest.counter.usage(),
        resets: digest.resets,
        thread_id: digest.session,
        sandbox_unproven: false,
    })
}

/// The outcome and the sentence that says why.
fn outcome(
    input: &JudgeInput<'_>,
    digest: &Digest,
    stderr: Option<String>,
) -> (Outcome, Option<String>) {
    let end = digest.end.as_ref();
    let said = || {
        let error = end.filter(|end| end.is_error);
        error.and_then(|end| end.error.as_ref().or(Some(&end.text))).and_then(|s| sentence(s))
    };
    if let Some((outcome, reason)) = input.interruption() {
        return (outcome, reason.or_else(said).or_else(|| digest.retried.clone()));
    }
    let code = input.exit.map_or(1, WorkerExit::shell_code);
    let Some(end) = end else {
        if matches!(code, 129 | 130 | 137 | 143) {
            return (Outcome::Killed, Some(format!("ended by signal {}", code - 128)));
        }
        let reason = stderr.or_else(|| digest.retried.clone());
        return (
            Outcome::Failed,
            Some(match (code, reason) {
                (0, Some(said)) => format!("claude ended without a result: {said}"),
                (0, None) => "claude ended without a result".to_owned(),
                (_, Some(said)) => said,
                (code, None) => format!("claude ended with exit code {code}"),
            }),
        );
    };
    if code != 0 || end.is_error {
        let reason = said().or(stderr);
        let outcome = match end.subtype.as_str() {
            "error_max_turns" => Outcome::TurnLimit,
            "error_max_budget_usd" => Outcome::OverBudget,
            _ if is_limited(end, reason.as_deref()) => Outcome::RateLimited,
            _ if !end.is_error && matches!(code, 129 | 130 | 137 | 143) => Outcome::Killed,
            _ => Outcome::Failed,
        };
        let reason = reason.unwrap_or_else(|| format!("claude ended with exit code {code}"));
        return (outcome, Some(reason));
    }
    if let Some(expected) = input.expected_thread
        && digest.session.as_deref() != Some(expected)
    {
        let other = digest.session.as_deref().unwrap_or("unknown");
        let reason = format!("claude answered in session {other} instead of {expected}");
        return (Outcome::Failed, Some(reason));
    }
    if !asked_the_model(end) {
        let reason = match sentence(&end.text) {
            Some(said) => format!("claude took the prompt for a command of its own: {said}"),
            None => "claude took the prompt for a command of its own".to_owned(),
        };
        return (Outcome::NoAnswer, Some(reason));
    }
    if let [first, ..] = end.denied.as_slice() {
        let reason = match end.denials {
            1 => format!("claude was denied {first}"),
            n => format!("claude was denied {first} and {} more", n - 1),
        };
        return (Outcome::Denied, Some(reason));
    }
    if end.text.trim().is_empty() {
        return (
            Outcome::NoAnswer,
            Some("claude ended its turn without a final message".to_owned()),
        );
    }
    (Outcome::Succeeded, None)
}

/// A prompt that begins with the name of one of claude's commands never reaches
/// the model.
fn asked_the_model(end: &End) -> bool {
    end.turns != Some(0)
}

fn is_limited(end: &End, reason: Option<&str>) -> bool {
    let told = matches!(end.status, Some(429 | 529))
        || matches!(end.error_type.as_str(), "rate_limit_error" | "overloaded_error");
    told || reason.is_some_and(|reason| {
        let reason = reason.to_lowercase();
        LIMITS.iter().any(|words| reason.contains(words))
    })
}

/// Every denial but the one that the reason names.
fn notes(end: &End) -> Vec<String> {
    let named: Vec<String> =
        end.denied.iter().skip(1).map(|what| format!("claude was denied {what}")).collect();
    let more = end.denials.saturating_sub(end.denied.len());
    let more = (more > 0).then(|| format!("claude was denied {more} more"));
    named.into_iter().chain(more).collect()
}

/// What a person does next.
pub(in super::super) fn hint(outcome: &Outcome, reason: &str) -> Option<&'static str> {
    match outcome {
        Outcome::Denied => Some(
            "what it says is in `cx collect`; `permissions.allow` in ~/.claude/settings.json allows more",
        ),
        Outcome::TurnLimit => Some("give it more with --max-turns in claude.args"),
        Outcome::Failed if reason.contains("/login") || reason.contains("authenticate") => {
            Some("sign in with `claude`, or set ANTHROPIC_API_KEY")
        }
        _ => None,
    }
}

/// `text` in one line, without a full stop.
fn sentence(text: &str) -> Option<String> {
    let line = text::one_line(text.as_bytes(), SENTENCE_MAX);
    let line = line.strip_suffix('.').unwrap_or(&line);
    (!line.is_empty()).then(|| line.to_owned())
}

/// The last line of stderr that begins a sentence.
fn sentence_of(stderr: &[u8]) -> Option<String> {
    text::lines_from_end(stderr).find_map(|line| {
        if line.first().is_none_or(|b| b.is_ascii_whitespace() || *b == b'(') {
            return None;
        }
        let said = sentence(&String::from_utf8_lossy(line))?;
        let said = said.strip_prefix("Error: ").or(said.strip_prefix("error: ")).unwrap_or(&said);
        Some(said.to_owned())
    })
}
