//! What claude has used so far. Each message tells what was sent for it, and of what
//! was written only the beginning; the result at the end tells both, and the cost.
//! A message with several parts comes as several lines, which say the same.

use serde_json::Value;

use super::event::{self, Event, Tokens};
use crate::job::Usage;

/// Folds lines as they come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Counter {
    /// Of the program's earlier runs on this stream.
    before: Option<Usage>,
    /// What results have told.
    told: Option<Usage>,
    /// Of messages since the last result.
    messages: Option<Usage>,
    /// The message of the last line, and what it has used.
    last: Option<(String, Usage)>,
    /// The model has answered.
    pub(in super::super) answered: bool,
    /// It has told a result, and nothing since.
    pub(in super::super) over: bool,
}

impl Counter {
    pub(in super::super) fn line(&mut self, line: &[u8]) {
        if let Some(value) = event::parse(line) {
            self.value(&value);
        }
    }

    /// The same of a line that was parsed.
    pub(super) fn value(&mut self, value: &Value) {
        if event::text(value, "type") == "assistant" {
            self.message(value.get("message").unwrap_or(&Value::Null));
            return;
        }
        for event in Event::of(value) {
            match event {
                // The program begins.
                Event::Session(_) => {
                    self.over = false;
                    self.settle();
                    let all = [self.before.take(), self.told.take()];
                    self.before = all.into_iter().flatten().reduce(sum);
                }
                Event::Result(result) => {
                    (self.messages, self.last, self.over) = (None, None, true);
                    match result.tokens {
                        Tokens::Unknown => {}
                        Tokens::SoFar(usage) => self.told = Some(usage),
                        Tokens::Since(more) => {
                            self.told = self.told.into_iter().chain([more]).reduce(sum);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Up to the last line.
    pub(in super::super) fn usage(&self) -> Option<Usage> {
        let last = self.last.as_ref().map(|(_, usage)| *usage);
        [self.before, self.told, self.messages, last].into_iter().flatten().reduce(sum)
    }

    fn message(&mut self, message: &Value) {
        // What the program itself says of an error.
        if event::text(message, "model") == "<synthetic>" {
            return;
        }
        (self.answered, self.over) = (true, false);
        let Some(used) = message.get("usage") else { return };
        let usage = event::tokens_of(used);
        let id = event::text(message, "id");
        match &mut self.last {
            Some((last, known)) if last == id => {
                known.input = known.input.max(usage.input);
                known.cached = known.cached.max(usage.cached);
                known.output = known.output.max(usage.output);
            }
            _ => {
                self.settle();
                self.last = Some((id.to_owned(), usage));
            }
        }
    }

    fn settle(&mut self) {
        if let Some((_, usage)) = self.last.take() {
            self.messages = self.messages.into_iter().chain([usage]).reduce(sum);
        }
    }
}

/// Both together; the cost only where nothing of it is missing.
fn sum(a: Usage, b: Usage) -> Usage {
    let is_known = |usage: Usage| usage.cost_usd.is_some() || usage.tokens() == 0;
    let sum: Usage = [a, b].into_iter().sum();
    Usage { cost_usd: sum.cost_usd.filter(|_| is_known(a) && is_known(b)), ..sum }
}
