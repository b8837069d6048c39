//! What a whole stream of events amounts to, in constant memory.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::super::text;
use super::event::{self, Event, Stage};
use crate::job::Usage;

/// Errors that are kept: the last ones.
const ERRORS_MAX: usize = 5;

/// Longest error that is kept, in bytes.
const ERROR_MAX: usize = 8 << 10;

/// What the first line of a command's output looks like where the sandbox itself
/// could not start.
const REFUSALS: [&str; 10] = [
    "bwrap: ",
    "bubblewrap is unavailable",
    "bubblewrap: ",
    "error building bubblewrap command",
    "failed to exec bundled bubblewrap",
    "failed to exec system bubblewrap",
    "failed to fork for bubblewrap",
    "error running landlock",
    "error applying legacy Linux sandbox",
    "codex-linux-sandbox",
];

/// Most lines that a sandbox writes before it gives up.
const REFUSAL_LINES: usize = 5;

/// A stream of events, folded.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Digest {
    /// The thread that the work belongs to.
    pub(super) thread_id: Option<String>,
    /// The last message of the agent.
    pub(super) last_message: Option<String>,
    /// Whether the agent began something else after `last_message`, which then
    /// was a remark on the way and no answer.
    pub(super) message_overtaken: bool,
    /// Whether the last turn was completed.
    pub(super) turn_completed: bool,
    /// What the last turn failed with, as it was written.
    pub(super) turn_failed: Option<String>,
    /// The last few errors, oldest first. None of them is fatal in itself.
    pub(super) errors: VecDeque<String>,
    /// Tokens over the whole thread, as last reported.
    pub(super) usage: Option<Usage>,
    /// Commands that ended.
    pub(super) commands: u64,
    /// Those of them that the sandbox could not start.
    pub(super) commands_refused: u64,
    /// What the sandbox wrote the first time.
    pub(super) refusal: Option<String>,
    /// Whether something was seen to run inside the sandbox.
    pub(super) sandbox_seen: bool,
    /// Edits that ended, and those that failed.
    pub(super) edits: u64,
    pub(super) edits_failed: u64,
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
        if let Some(value) = event::parse(line) {
            self.apply(&Event::of(&value));
        }
    }

    /// What the sandbox wrote, if it could not start for any command. One that
    /// failed now and then is not broken, and neither is one in which a program
    /// runs that prints the same words.
    pub(super) fn sandbox_broken(&self) -> Option<&str> {
        self.refusal.as_deref().filter(|_| !self.sandbox_seen)
    }

    fn apply(&mut self, event: &Event<'_>) {
        match event {
            Event::Thread(id) if !id.is_empty() => {
                // codex begins, perhaps once more: what it said before is no answer of
                // this turn, and how that one ended is not how this one does.
                (self.last_message, self.turn_failed) = (None, None);
                (self.message_overtaken, self.turn_completed) = (false, false);
                self.errors.clear();
                self.thread_id = Some((*id).to_owned());
            }
            Event::TurnStarted => {
                self.turn_completed = false;
                self.turn_failed = None;
            }
            Event::TurnCompleted { usage, message } => {
                self.turn_completed = true;
                self.usage = usage.or(self.usage);
                if let Some(message) = message {
                    self.message(message);
                    self.turn_failed = None;
                }
            }
            Event::TurnFailed(message) => {
                self.turn_completed = false;
                self.turn_failed = Some(cut(message));
            }
            Event::Error(message) => {
                if self.errors.len() == ERRORS_MAX {
                    self.errors.pop_front();
                }
                self.errors.push_back(cut(message));
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Message(message) => self.message(message),
            Event::CommandStarted { .. }
            | Event::Edit { stage: Stage::Started, .. }
            | Event::Search { stage: Stage::Started, .. }
            | Event::Tool { stage: Stage::Started, .. } => self.message_overtaken = true,
            Event::CommandEnded { command, exit, output } => self.command(command, *exit, output),
            Event::Edit { stage, .. } => {
                self.edits += 1;
                if *stage == Stage::Failed {
                    self.edits_failed += 1;
                } else {
                    self.sandbox_seen = true;
                }
            }
            Event::Thread(_)
            | Event::Thinking
            | Event::Todo { .. }
            | Event::Search { .. }
            | Event::Tool { .. }
            | Event::Other => {}
        }
    }

    fn message(&mut self, message: &str) {
        self.last_message = Some(message.to_owned());
        self.message_overtaken = false;
    }

    fn command(&mut self, command: &str, exit: Option<i64>, output: &str) {
        let Some(exit) = exit else { return };
        self.commands += 1;
        // A command that calls these programs itself proves nothing either way.
        let own = ["bwrap", "bubblewrap", "landlock", "codex"].iter().any(|w| command.contains(w));
        if exit == 0 || !is_refusal(output) {
            self.sandbox_seen |= exit == 0 || !own;
        } else if !own {
            self.commands_refused += 1;
            if self.refusal.is_none() {
                self.refusal = Some(text::one_line(output.as_bytes(), 200));
            }
        }
    }
}

/// Whether this is all that a sandbox said that could not start.
fn is_refusal(output: &str) -> bool {
    let mut lines = output.lines().filter(|line| !line.trim().is_empty());
    let Some(first) = lines.next() else { return false };
    let first = first.trim_start();
    (REFUSALS.iter().any(|start| first.starts_with(start))
        || first.contains("panicked at linux-sandbox/"))
        && lines.count() < REFUSAL_LINES
}

/// `message`, at most 8 KiB of it.
fn cut(message: &str) -> String {
    message[..message.floor_char_boundary(ERROR_MAX)].to_owned()
}
