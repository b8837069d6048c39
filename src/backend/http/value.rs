//! What a worker's JSON says: its answer, or an error.

use serde_json::Value;

use super::super::text;
use crate::job::Usage;

/// Longest sentence, in characters.
const SENTENCE_MAX: usize = 400;

/// An answer, `{summary, output, logs?, usage?}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    /// The answer: `output`, or `summary` where that is blank. Possibly blank itself.
    pub(super) text: String,
    pub(super) usage: Option<Usage>,
}

impl Answered {
    /// What `value` answers; else why that is no answer, which ends a sentence.
    pub(super) fn of(value: &Value) -> Result<Self, String> {
        if let Some(said) = error(value) {
            return Err(format!("says that it failed: {said}"));
        }
        let Some(fields) = value.as_object() else {
            return Err("is no JSON object".to_owned());
        };
        let output = fields.get("output").filter(|value| !value.is_null());
        let summary = fields.get("summary").filter(|value| !value.is_null());
        if output.is_none() && summary.is_none() {
            return Err("has neither 'output' nor 'summary'".to_owned());
        }
        let texts = [output, summary].into_iter().flatten().map(words);
        let text = texts.into_iter().find(|text| !text.trim().is_empty()).unwrap_or_default();
        let usage = fields.get("usage").and_then(Value::as_object).map(|usage| {
            let count = |key| usage.get(key).and_then(Value::as_u64).unwrap_or_default();
            Usage { input: count("tokensIn"), output: count("tokensOut"), ..Usage::default() }
        });
        Ok(Self { text, usage })
    }
}

/// A text as it is, and anything else as JSON.
pub(super) fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The words of an error, in the ways in which services tell them: `{error: "..."}`,
/// `{error: {message}}`.
pub(super) fn error(value: &Value) -> Option<String> {
    let error =
        value.get("error").filter(|error| !matches!(error, Value::Null | Value::Bool(false)))?;
    let said = error.get("message").filter(|message| message.is_string()).unwrap_or(error);
    sentence(&words(said)).or_else(|| message(value)).or_else(|| Some("no reason given".to_owned()))
}

/// The same of something that is known to be an error: also `{message}`, `{detail}`.
pub(super) fn complaint(value: &Value) -> Option<String> {
    error(value).or_else(|| message(value))
}

fn message(value: &Value) -> Option<String> {
    let keys = ["message", "detail", "title"].into_iter();
    keys.filter_map(|key| value.get(key)?.as_str()).find_map(sentence)
}

/// `said` in one line, without a full stop.
pub(super) fn sentence(said: &str) -> Option<String> {
    let line = text::one_line(said.as_bytes(), SENTENCE_MAX);
    let line = line.strip_suffix('.').unwrap_or(&line);
    (!line.is_empty()).then(|| line.to_owned())
}

/// What a piece of a stream says: JSON with a text in it, or a text.
pub(super) fn piece(data: &str) -> Option<String> {
    let said = match serde_json::from_str::<Value>(data) {
        Ok(Value::String(text)) => text,
        Ok(value) => {
            let keys = ["text", "chunk", "delta", "content", "output", "message"];
            keys.into_iter().find_map(|key| value.get(key)?.as_str())?.to_owned()
        }
        Err(_) => data.to_owned(),
    };
    (!said.trim().is_empty()).then_some(said)
}
