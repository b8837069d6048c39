//! Sentences out of codex's errors and its stderr.

use std::io::{self, BufRead};

use serde_json::Value;

use super::super::text;

/// Longest sentence, in characters.
const SENTENCE_MAX: usize = 400;

/// Notes that are kept.
const NOTES_MAX: usize = 5;

/// What stderr told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stderr {
    /// The last line that says something, without its log prefix.
    pub(super) sentence: Option<String>,
    /// What codex refused to run or to write; there is no event for it.
    pub(super) refused: Vec<String>,
    /// Refusals that are not in `refused`.
    pub(super) more_refused: usize,
}

impl Stderr {
    /// Reads all of it.
    pub(super) fn read(reader: impl BufRead) -> io::Result<Self> {
        let mut stderr = Self::default();
        text::for_each_line(reader, |line| {
            if let Some(refused) = refusal(line) {
                if stderr.refused.len() < NOTES_MAX {
                    stderr.refused.push(refused);
                } else {
                    stderr.more_refused += 1;
                }
            }
            if let Some(sentence) = meaning(line) {
                stderr.sentence = Some(sentence);
            }
        })?;
        Ok(stderr)
    }
}

/// The sentence in an error's message. Messages are often JSON in a string, on
/// its own or after a few words, and those about reconnecting have it in brackets.
pub(super) fn unwrap(message: &str) -> String {
    let mut plain = message.trim().to_owned();
    if let Some((_, rest)) = plain.strip_prefix("Reconnecting...").and_then(|m| m.split_once(" ("))
        && let Some(inner) = rest.strip_suffix(')')
    {
        plain = inner.to_owned();
    }
    if let Some(at) = plain.find('{') {
        let mut objects = serde_json::Deserializer::from_str(&plain[at..]).into_iter::<Value>();
        if let Some(Ok(object)) = objects.next()
            && let Some(inner) = human(&object, 4)
        {
            plain = format!("{}{inner}", &plain[..at]);
        }
    }
    let line = text::one_line(plain.as_bytes(), SENTENCE_MAX);
    line.strip_suffix('.').unwrap_or(&line).to_owned()
}

/// The text for people in an error object, looking `depth` objects deep.
fn human(value: &Value, depth: u8) -> Option<String> {
    match value {
        Value::String(text) if text.trim_start().starts_with('{') && depth > 0 => {
            let inner = serde_json::from_str(text).ok();
            inner.and_then(|inner| human(&inner, depth - 1)).or_else(|| Some(text.clone()))
        }
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Object(object) if depth > 0 => ["error", "message", "detail"]
            .iter()
            .filter_map(|key| object.get(*key))
            .find_map(|inner| human(inner, depth - 1)),
        _ => None,
    }
}

/// What a line on stderr says; none for noise.
fn meaning(line: &[u8]) -> Option<String> {
    // Indented lines are the rest of something: backtraces, usage, tips.
    if line.first().is_none_or(u8::is_ascii_whitespace) {
        return None;
    }
    let line = text::one_line(line, SENTENCE_MAX);
    let noise = [
        "Reading additional input from stdin",
        "Reading prompt from stdin",
        "For more information, try",
        "Usage:",
        "Stack backtrace:",
        "stack backtrace:",
        "note:",
        "warning:",
        "Warning:",
        "Wall time:",
        "Output:",
    ];
    // `8 | bad = [`: a line of a file, quoted below what is wrong with it.
    let quoted = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    if line.is_empty()
        || quoted.starts_with('|')
        || noise.iter().any(|start| line.starts_with(start))
        || line.contains("failed to record rollout items")
    {
        return None;
    }
    let mut rest = line.as_str();
    // 2026-11-20T13:04:42.605286Z ERROR codex_core::tools::router: error=...
    let mut words = rest.splitn(3, ' ');
    if let (Some(time), Some(level), Some(said)) = (words.next(), words.next(), words.next())
        && time.starts_with(|c: char| c.is_ascii_digit())
        && time.ends_with('Z')
    {
        if level != "ERROR" {
            return None;
        }
        rest = said.split_once(": ").map_or(said, |(_, said)| said);
    }
    for prefix in ["error=", "Error: ", "error: "] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    Some(unwrap(rest)).filter(|sentence| !sentence.is_empty())
}

/// What codex refused by itself, without asking anybody.
fn refusal(line: &[u8]) -> Option<String> {
    // Most lines are neither, and need no cleaning.
    let line = str::from_utf8(line).ok()?;
    if let Some((_, rest)) = line.split_once("Rejected(") {
        let inner = rest.rsplit_once(')').map_or(rest, |(inner, _)| inner);
        let plain = inner.replace('\\', "");
        let plain = plain.trim_matches(|c| matches!(c, '"' | ')' | ' '));
        return Some(format!("codex refused: {}", unwrap(plain)));
    }
    let (_, rest) = line.split_once("patch rejected: ")?;
    // Nobody is asked, and nothing of the kind is set.
    let rest = rest.strip_suffix("; rejected by user approval settings").unwrap_or(rest);
    Some(format!("codex refused an edit: {}", unwrap(rest)))
}
