//! What codex has used so far: it tells at the end of a turn, over the whole thread.

use super::event::{self, Event};
use crate::job::Usage;

/// Folds lines as they come.
#[derive(Debug, Default)]
pub(in super::super) struct Counter {
    /// Over the whole thread.
    pub(in super::super) usage: Option<Usage>,
    /// The model has answered.
    pub(in super::super) answered: bool,
    /// The turn is over.
    pub(in super::super) over: bool,
}

impl Counter {
    pub(in super::super) fn line(&mut self, line: &[u8]) {
        let Some(value) = event::parse(line) else { return };
        match Event::of(&value) {
            Event::Usage(usage) => self.usage = Some(usage),
            Event::TurnCompleted { usage, .. } => {
                self.usage = usage.or(self.usage);
                (self.answered, self.over) = (true, true);
            }
            Event::Message(_)
            | Event::Thinking
            | Event::CommandStarted { .. }
            | Event::CommandEnded { .. }
            | Event::Edit { .. }
            | Event::Todo { .. }
            | Event::Search { .. }
            | Event::Tool { .. } => self.answered = true,
            Event::TurnStarted => self.over = false,
            Event::Thread(_) | Event::TurnFailed(_) | Event::Error(_) | Event::Other => {}
        }
    }
}
