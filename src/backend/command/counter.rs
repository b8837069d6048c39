//! What a program has used so far, from its events as they come.

use super::digest::Digest;
use super::path;
use super::spec::{AnswerFrom, Command, Output};
use crate::backend::text;
use crate::job::Usage;

/// Counts line by line.
#[derive(Debug)]
pub(in super::super) struct Counter {
    command: Command,
    digest: Digest,
    /// It has said something that is part of an answer.
    pub(in super::super) answered: bool,
    /// It has said that it succeeded.
    pub(in super::super) over: bool,
}

impl Counter {
    pub(in super::super) fn new(command: &Command) -> Self {
        let command = command.clone();
        Self { command, digest: Digest::default(), answered: false, over: false }
    }

    pub(in super::super) fn line(&mut self, line: &[u8]) {
        if self.command.output != Output::Events {
            // Whatever it says, it says because it works.
            self.answered |= self.command.output == Output::Text;
            return;
        }
        let Some(event) = text::object(line) else { return };
        self.digest.count(&self.command, &event);
        let answer = &self.command.answer;
        let says = path::fits(&event, &answer.within) && path::text(&event, &answer.path).is_some();
        self.answered |= says && answer.from == AnswerFrom::Path;
        self.over |= self.command.success.as_ref().is_some_and(|within| path::fits(&event, within));
    }

    pub(in super::super) fn usage(&self) -> Option<Usage> {
        self.digest.usage
    }
}
