//! Server-sent events, a line at a time.

use serde_json::Value;

use super::value::{self, Answered};

/// What a stream has come to.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The event that is being read.
    name: String,
    data: Option<String>,
    /// Whether any event has come.
    pub(super) begun: bool,
    /// The first end that came: an answer, or why there is none, which ends a sentence
    /// that begins with "the stream".
    pub(super) end: Option<Result<Answered, String>>,
    /// The error was that of a limit: its `status` is 429, as it would have been without a
    /// stream.
    pub(super) is_limited: bool,
}

impl Stream {
    /// The next line, without its end.
    pub(super) fn line(&mut self, line: &str) {
        if line.is_empty() {
            self.dispatch();
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // Comments, which keep a quiet stream open, and what we have no use for.
            _ => {}
        }
    }

    /// The end of an event.
    pub(super) fn dispatch(&mut self) {
        let (name, data) = (std::mem::take(&mut self.name), self.data.take());
        if name.is_empty() && data.is_none() {
            return;
        }
        self.begun = true;
        if self.end.is_some() {
            return;
        }
        let data = data.unwrap_or_default();
        let parsed = serde_json::from_str::<Value>(&data);
        self.end = match (name.as_str(), parsed) {
            ("complete", Ok(value)) => {
                Some(Answered::of(&value).map_err(|why| format!("ended with an event that {why}")))
            }
            ("complete", Err(error)) => {
                Some(Err(format!("ended with an event that is no valid JSON: {error}")))
            }
            ("error", Ok(value)) => {
                let status = value.get("status").and_then(Value::as_u64);
                self.is_limited = matches!(status, Some(429 | 529));
                let said = value::complaint(&value).or_else(|| value::sentence(value.as_str()?));
                Some(Err(ended_with(said)))
            }
            ("error", Err(_)) => Some(Err(ended_with(value::sentence(&data)))),
            _ => None,
        };
    }
}

fn ended_with(said: Option<String>) -> String {
    match said {
        Some(said) => format!("ended with an error: {said}"),
        None => "ended with an error".to_owned(),
    }
}
