//! What a whole stream of events amounts to, in constant memory.

use std::collections::BTreeSet;
use std::io::{self, BufRead};

use serde_json::Value;

use super::super::text;
use jiff::Timestamp;

use super::counter::Counter;
use super::event::{self, Call, Event, RunResult};

/// Denials that are named: the first ones.
const DENIED_MAX: usize = 5;

/// Denials that are known by their ids, so that one is not counted twice.
const DENIED_IDS_MAX: usize = 1000;

/// A stream of events, folded.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Digest {
    /// The session that the work belongs to.
    pub(super) session: Option<String>,
    /// How it ended; none where it did not say.
    pub(super) end: Option<End>,
    /// The last thing that the agent said.
    pub(super) last_text: Option<String>,
    /// Tokens of all runs of the program on this stream.
    pub(super) counter: Counter,
    /// When the service takes requests again that it has refused.
    pub(super) resets: Option<Timestamp>,
    /// The last request that had to be tried again.
    pub(super) retried: Option<String>,
    /// What was denied in earlier runs on this stream, in sentences, and how often.
    denied_before: (Vec<String>, usize),
    /// The calls that were denied.
    denied: BTreeSet<String>,
}

/// What the last `result` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct End {
    pub(super) subtype: String,
    pub(super) is_error: bool,
    pub(super) status: Option<u64>,
    pub(super) error_type: String,
    pub(super) text: String,
    pub(super) error: Option<String>,
    pub(super) turns: Option<u64>,
    /// What was denied, in sentences, a few at most, and how often.
    pub(super) denied: Vec<String>,
    pub(super) denials: usize,
}

impl Digest {
    /// Folds every line of `reader`.
    pub(super) fn read(reader: impl BufRead) -> io::Result<Self> {
        let mut digest = Self::default();
        text::for_each_line(reader, |line| digest.line(line))?;
        Ok(digest)
    }

    /// Folds one line; what is no event changes nothing.
    pub(super) fn line(&mut self, line: &[u8]) {
        let Some(value) = event::parse(line) else { return };
        self.counter.value(&value);
        self.resets = event::resets(&value).or(self.resets);
        for event in Event::of(&value) {
            match event {
                Event::Session(id) if !id.is_empty() => {
                    // The program begins, perhaps once more: how it ended before, and what
                    // it has said, is no end and no answer of this run.
                    if let Some(end) = self.end.take() {
                        self.denied_before = (end.denied, end.denials);
                    }
                    (self.last_text, self.retried, self.resets) = (None, None, None);
                    self.session = Some(id.to_owned());
                }
                Event::Text(said) => self.last_text = Some(said.to_owned()),
                Event::Retry { .. } => self.retried = super::activity::remark(&event),
                Event::Result(result) => self.end(&result),
                Event::Session(_)
                | Event::Thinking
                | Event::Call(_)
                | Event::Returned { .. }
                | Event::Denied { .. } => {}
            }
        }
    }

    fn end(&mut self, result: &RunResult<'_>) {
        if !result.session.is_empty() {
            self.session = Some(result.session.to_owned());
        }
        // Denials of an earlier result stay denials, whether this one repeats them or not.
        let before = self.end.take().map(|end| (end.denied, end.denials));
        let (denied, denials) = before.unwrap_or_else(|| std::mem::take(&mut self.denied_before));
        let mut end = End {
            subtype: result.subtype.to_owned(),
            is_error: result.is_error,
            status: result.status,
            error_type: result.error_type.to_owned(),
            text: result.structured.map_or_else(|| result.text.to_owned(), Value::to_string),
            error: result.errors.last().map(|error| (*error).to_owned()),
            turns: result.turns,
            denied,
            denials,
        };
        for call in &result.denied {
            if self.denied.len() < DENIED_IDS_MAX && !self.denied.insert(call.id.to_owned()) {
                continue;
            }
            end.denials += 1;
            if end.denied.len() < DENIED_MAX {
                end.denied.push(what(call));
            }
        }
        self.end = Some(end);
    }
}

/// What was asked for, in a few words.
fn what(call: &Call<'_>) -> String {
    let fields = ["file_path", "notebook_path", "url", "query"];
    let value = fields.map(|key| event::text(call.input, key)).into_iter().find(|v| !v.is_empty());
    let what = match (call.name, value) {
        ("Bash", _) => format!("the command {}", super::activity::command(call)),
        (name, Some(value)) => format!("{name} {value}"),
        (name, None) => name.to_owned(),
    };
    text::one_line(what.as_bytes(), 120)
}
