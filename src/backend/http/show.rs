//! What an HTTP worker does, for people. A line is looked at by itself: of an event only
//! its data tells what it is.

use serde_json::Value;

use super::super::text;
use super::{
    digest::Head,
    value::{self, Answered},
};

/// Longest line, in characters; listings cut it further.
const MAX: usize = 200;

/// The last thing in `tail` that is worth telling.
pub(in super::super) fn activity(tail: &[u8]) -> Option<String> {
    text::lines_from_end(tail).find_map(|line| {
        let line = String::from_utf8_lossy(line);
        let said = match data(&line) {
            Some(data) => value::piece(data)?,
            None => Head::begun(&line).map(|head| format!("HTTP {}", head.status))?,
        };
        let said = text::one_line(said.as_bytes(), MAX);
        (!said.is_empty()).then_some(said)
    })
}

/// What a line of the response says, or nothing where it says nothing to a person.
pub(in super::super) fn render(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line.trim_ascii_end());
    if let Some(head) = Head::begun(&line) {
        return (!head.is_success() && head.status >= 200)
            .then(|| format!("! HTTP {}", head.status));
    }
    if let Some(data) = data(&line) {
        return match serde_json::from_str::<Value>(data) {
            Ok(value) => told(&value).or_else(|| value::piece(data)),
            Err(_) => value::piece(data),
        };
    }
    if line.starts_with('{') {
        return serde_json::from_str::<Value>(&line).ok().as_ref().and_then(told);
    }
    let is_field = line.split_once(':').is_some_and(|(name, _)| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    (!is_field && !line.is_empty()).then(|| line.into_owned())
}

/// An answer, with what it logged before it; or an error.
fn told(value: &Value) -> Option<String> {
    let fields = value.as_object()?;
    if !["summary", "output", "error"].iter().any(|key| fields.contains_key(*key)) {
        return None;
    }
    if let Some(said) = value::error(value) {
        return Some(format!("! {said}"));
    }
    let answered = Answered::of(value).ok()?;
    let logs = match fields.get("logs") {
        Some(Value::Array(lines)) => lines.iter().map(value::words).collect(),
        Some(Value::String(lines)) => lines.lines().map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let logs = logs.iter().filter_map(|line| value::sentence(line)).map(|line| format!("· {line}"));
    let answer = answered.text.trim_end();
    let shown: Vec<String> = logs.chain((!answer.is_empty()).then(|| answer.to_owned())).collect();
    (!shown.is_empty()).then(|| shown.join("\n"))
}

/// The data of an event.
fn data(line: &str) -> Option<&str> {
    let data = line.strip_prefix("data:")?;
    Some(data.strip_prefix(' ').unwrap_or(data))
}
