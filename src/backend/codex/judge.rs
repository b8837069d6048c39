//! How a codex job ended. Exit code 0 says little: codex gives it for an empty
//! answer and for a sandbox in which nothing could run.

use std::fs;
use std::io;

use super::super::{Answer, JudgeInput, Verdict, sandbox_reason, text};
use super::digest::Digest;
use super::stderr::{Stderr, unwrap};
use crate::job::{Outcome, WorkerExit};

/// What the services and codex write when a limit of the account was hit.
const LIMITS: [&str; 12] = [
    "429 too many requests",
    "status 429",
    "status: 429",
    "too many requests",
    "usage limit",
    "usage_limit_reached",
    "usage_not_included",
    "rate limit",
    "rate_limit",
    "insufficient_quota",
    "quota exceeded",
    "exceeded your current quota",
];

pub(in super::super) fn judge(input: &JudgeInput<'_>) -> io::Result<Verdict> {
    let mut digest = Digest::read(text::open(input.stdout)?)?;
    let stderr = Stderr::read(text::open(input.stderr)?)?;
    if digest.last_message.is_none() && digest.turn_completed {
        // The events are torn, or have a shape that is not known yet.
        digest.last_message = answer_file(input)?;
    }
    let (outcome, reason) = outcome(input, &digest, &stderr);
    Ok(Verdict {
        sandbox_unproven: outcome.is_success() && !digest.sandbox_seen,
        outcome,
        reason,
        notes: notes(&digest, &stderr),
        answer: digest
            .last_message
            .filter(|message| !message.trim().is_empty())
            .map_or(Answer::None, Answer::Text),
        usage: digest.usage,
        resets: None,
        thread_id: digest.thread_id,
    })
}

/// The outcome and the sentence that says why.
fn outcome(input: &JudgeInput<'_>, digest: &Digest, stderr: &Stderr) -> (Outcome, Option<String>) {
    let said = || {
        let message = digest.turn_failed.as_ref().or(digest.errors.back());
        message.map(|message| unwrap(message)).filter(|sentence| !sentence.is_empty())
    };
    if let Some((outcome, reason)) = input.interruption() {
        return (outcome, reason.or_else(said));
    }
    let code = input.exit.map_or(1, WorkerExit::shell_code);
    if code != 0 || digest.turn_failed.is_some() {
        let reason = said().or_else(|| stderr.sentence.clone());
        // codex catches SIGTERM and exits; there is no event for it.
        if digest.turn_failed.is_none() && matches!(code, 129 | 130 | 137 | 143) {
            return (Outcome::Killed, Some(format!("ended by signal {}", code - 128)));
        }
        let limited = reason.as_ref().is_some_and(|reason| {
            let reason = reason.to_lowercase();
            LIMITS.iter().any(|words| reason.contains(words))
        });
        let outcome = if limited { Outcome::RateLimited } else { Outcome::Failed };
        return (outcome, reason.or_else(|| Some(format!("codex ended with exit code {code}"))));
    }
    if !digest.turn_completed {
        let reason = match said().or_else(|| stderr.sentence.clone()) {
            Some(said) => format!("codex ended without completing its turn: {said}"),
            None => "codex ended without completing its turn".to_owned(),
        };
        return (Outcome::Failed, Some(reason));
    }
    if let Some(expected) = input.expected_thread
        && digest.thread_id.as_deref() != Some(expected)
    {
        let other = digest.thread_id.as_deref().unwrap_or("unknown");
        let reason = format!("codex answered on thread {other} instead of {expected}");
        return (Outcome::Failed, Some(reason));
    }
    if let Some(refusal) = digest.sandbox_broken() {
        return (Outcome::SandboxBroken, Some(sandbox_reason(refusal.as_bytes())));
    }
    match &digest.last_message {
        Some(message) if message.trim().is_empty() => {}
        Some(_) if digest.message_overtaken => {
            let reason = "codex ended its turn without a final message; what it said last came \
                          before its last command";
            return (Outcome::NoAnswer, Some(reason.to_owned()));
        }
        Some(_) => return (Outcome::Succeeded, None),
        None => {}
    }
    (Outcome::NoAnswer, Some("codex ended its turn without a final message".to_owned()))
}

/// What a person does next.
pub(in super::super) fn hint(outcome: &Outcome, reason: &str) -> Option<&'static str> {
    match outcome {
        Outcome::SandboxBroken => Some("`codex sandbox -- /bin/true` fails until that is mended"),
        Outcome::Failed if reason.contains("401 Unauthorized") => Some(
            "sign in with `codex login`, or mend the key of the provider in codex's config.toml",
        ),
        _ => None,
    }
}

fn notes(digest: &Digest, stderr: &Stderr) -> Vec<String> {
    let mut notes = stderr.refused.clone();
    match stderr.more_refused {
        0 => {}
        n => notes.push(format!("codex refused {n} more")),
    }
    if digest.sandbox_seen && digest.commands_refused > 0 {
        notes.push(format!(
            "the sandbox could not start for {} of {} commands",
            digest.commands_refused, digest.commands
        ));
    }
    if digest.edits_failed > 0 {
        notes.push(format!("{} of {} edits failed", digest.edits_failed, digest.edits));
    }
    notes
}

/// The `-o` file. The job's folder is new, so a file there is of this run.
fn answer_file(input: &JudgeInput<'_>) -> io::Result<Option<String>> {
    let Some(path) = input.answer_file else { return Ok(None) };
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}
