//! One pass over what a program put out.

use std::io::{self, Read as _};
use std::path::Path;

use regex_lite::Regex;
use serde_json::Value;

use super::path;
use super::spec::{AnswerFrom, Command, Found, Output, Signs, Take, UsageRule};
use crate::backend::text;
use crate::job::{Usage, Usd};

/// The longest document that is read, in bytes.
const DOCUMENT_MAX: u64 = 64 << 20;

/// How much of the end of plain output is looked at, in bytes.
const TAIL: u64 = 64 << 10;

/// The longest answer that is put together, in bytes.
const ANSWER_MAX: usize = 16 << 20;

/// What was found in the output.
#[derive(Debug, Default)]
pub(super) struct Digest {
    /// The final message, where it is in events, in a document or a last line.
    pub(super) answer: Option<String>,
    /// The thread.
    pub(super) thread: Option<String>,
    /// What was used.
    pub(super) usage: Option<Usage>,
    /// What has to be there for a success was there.
    pub(super) succeeded: bool,
    /// That it failed, and what it says of it.
    pub(super) failure: Option<String>,
    /// What it was refused, where its output says so.
    pub(super) refused: Option<String>,
    /// A limit that its output names.
    pub(super) limited: Option<String>,
    /// There was any JSON where JSON was expected.
    pub(super) readable: bool,
}

impl Digest {
    pub(super) fn read(command: &Command, stdout: &Path) -> io::Result<Self> {
        let mut digest = Self::default();
        match command.output {
            Output::Text => digest.text(command, stdout)?,
            Output::Json => {
                let mut bytes = Vec::new();
                text::open(stdout)?.take(DOCUMENT_MAX).read_to_end(&mut bytes)?;
                if let Some(document) = document(&bytes) {
                    digest.take(command, &document);
                }
            }
            Output::Events => text::for_each_line(text::open(stdout)?, |line| {
                if let Some(event) = text::object(line) {
                    digest.take(command, &event);
                }
            })?,
        }
        Ok(digest)
    }

    fn text(&mut self, command: &Command, stdout: &Path) -> io::Result<()> {
        self.readable = true;
        self.succeeded = true;
        if command.answer.from == AnswerFrom::LastLine {
            let tail = text::tail(stdout, TAIL)?;
            self.answer = text::lines_from_end(&tail)
                .map(|line| String::from_utf8_lossy(line).trim().to_owned())
                .find(|line| !line.is_empty());
        }
        Ok(())
    }

    /// What an event, or the document, says.
    fn take(&mut self, command: &Command, value: &Value) {
        self.readable = true;
        let found = |signs: &Option<Signs>| {
            signs.as_ref()?.found.as_ref().and_then(|found| path::found(value, found))
        };
        match &command.success {
            None => self.succeeded = true,
            // What went wrong before was mended: a try after a hold goes on in the same file.
            Some(within) if path::fits(value, within) => {
                self.succeeded = true;
                (self.failure, self.limited, self.refused) = (None, None, None);
            }
            Some(_) => {}
        }
        let failure = command.failure.as_ref().and_then(|signs| signs.found.as_ref());
        if let Some(failure) = failure.filter(|rule| path::fits(value, &rule.within)) {
            let said = path::text(value, &failure.path).unwrap_or_default();
            // Under a condition the event is the failure, whatever it says.
            let means = !failure.within.0.is_empty() || !said.is_empty();
            if means && self.failure.as_ref().is_none_or(String::is_empty) {
                self.failure = Some(said);
            }
        }
        self.refused = self.refused.take().or_else(|| found(&command.refusal));
        self.limited = self.limited.take().or_else(|| found(&command.rate_limit));
        if let Some(rule) = command.thread.as_ref().and_then(|thread| thread.found.as_ref()) {
            self.thread = text_of(value, rule).or(self.thread.take());
        }
        self.count(command, value);
        self.answer(command, value);
    }

    /// What an event says of usage.
    pub(super) fn count(&mut self, command: &Command, value: &Value) {
        if let Some(rule) = command.usage.as_ref().filter(|rule| path::fits(value, &rule.within)) {
            self.usage(rule, value);
        }
    }

    fn answer(&mut self, command: &Command, value: &Value) {
        let rule = &command.answer;
        if rule.restart.as_ref().is_some_and(|within| path::fits(value, within)) {
            self.answer = None;
        }
        if rule.from != AnswerFrom::Path || !path::fits(value, &rule.within) {
            return;
        }
        let Some(said) = path::text(value, &rule.path) else { return };
        match (rule.take, &mut self.answer) {
            (Take::Join, Some(before)) if before.len() < ANSWER_MAX => before.push_str(&said),
            (Take::First | Take::Join, Some(_)) => {}
            (_, answer) => *answer = Some(said),
        }
    }

    fn usage(&mut self, rule: &UsageRule, value: &Value) {
        let count = |paths: &[String]| {
            #[expect(clippy::cast_possible_truncation, reason = "it lies within the range")]
            #[expect(clippy::cast_sign_loss, reason = "path::sum leaves out what is below 0")]
            path::sum(value, paths).filter(|sum| *sum < 1e15).map(|sum| sum.round() as u64)
        };
        let (input, cached, output) =
            (count(&rule.input), count(&rule.cached), count(&rule.output));
        let cost_usd = path::sum(value, &rule.cost_usd).and_then(Usd::from_dollars);
        if input.is_none() && output.is_none() && cost_usd.is_none() {
            return;
        }
        let now = Usage {
            input: input.unwrap_or_default(),
            cached: cached.unwrap_or_default(),
            output: output.unwrap_or_default(),
            cost_usd,
        };
        self.usage = match self.usage {
            Some(before) if rule.sum => Some([before, now].into_iter().sum()),
            _ => Some(now),
        };
    }
}

/// The thread that plain output or stderr names.
pub(super) fn thread_in(command: &Command, outputs: &[&Path]) -> io::Result<Option<String>> {
    let pattern = command.thread.as_ref().and_then(|thread| thread.text.as_ref());
    let Some(regex) = pattern.and_then(|pattern| Regex::new(pattern).ok()) else {
        return Ok(None);
    };
    for output in outputs {
        let tail = text::tail(output, TAIL)?;
        let tail = String::from_utf8_lossy(&tail);
        let last = regex.captures_iter(&tail).last();
        if let Some(id) = last.and_then(|captures| captures.get(1)) {
            return Ok(Some(id.as_str().to_owned()));
        }
    }
    Ok(None)
}

fn text_of(value: &Value, rule: &Found) -> Option<String> {
    path::fits(value, &rule.within).then(|| path::text(value, &rule.path)).flatten()
}

/// The JSON document in what was put out: all of it, or what begins on a line of
/// its own after other words.
fn document(bytes: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Some(value);
    }
    let starts = bytes
        .split_inclusive(|b| *b == b'\n')
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line))
        })
        .filter(|(_, line)| matches!(line.first(), Some(b'{' | b'[')));
    for (start, _) in starts {
        let rest = bytes.get(start..).unwrap_or_default();
        let first = serde_json::Deserializer::from_slice(rest).into_iter::<Value>().next();
        if let Some(Ok(value)) = first {
            return Some(value);
        }
    }
    None
}
