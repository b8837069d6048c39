//! Live lines on a terminal: one for each job, drawn on stderr.
//!
//! All of them are one picture, written in one go: what somebody types while it
//! is drawn, a Ctrl-C above all, lands after it and not in between.

use std::{borrow::Cow, io};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::job::secret;

/// A block of lines that is redrawn in place.
#[derive(Debug)]
pub struct Lines {
    picture: ProgressBar,
    count: usize,
    colour: bool,
}

impl Lines {
    /// Room for `count` lines on stderr. Draws nothing where that is no terminal.
    pub fn new(count: usize) -> Self {
        let style = ProgressStyle::with_template("{msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let picture = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let choice = anstream::AutoStream::choice(&io::stderr());
        let colour = choice != anstream::ColorChoice::Never;
        Self { picture: picture.with_style(style), count, colour }
    }

    /// How many lines there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Shows these lines, none of which is wider than the terminal; the rest of
    /// the room stays empty.
    pub fn show(&self, lines: &[String]) {
        let mut rows: Vec<_> =
            lines.iter().map(|line| self.wanted(line)).take(self.count).collect();
        rows.resize(self.count, Cow::Borrowed(""));
        self.picture.set_message(rows.join("\n"));
    }

    /// Writes a line above them, which stays.
    pub fn above(&self, text: &str) {
        self.picture.println(self.wanted(&secret::redacted(text)));
    }

    /// The line without its colours, where those are not wanted.
    fn wanted<'t>(&self, line: &'t str) -> Cow<'t, str> {
        if self.colour {
            return Cow::Borrowed(line);
        }
        Cow::Owned(anstream::adapter::strip_str(line).to_string())
    }

    /// Does something with the lines off the screen.
    pub fn aside<T>(&self, what: impl FnOnce() -> T) -> T {
        self.picture.suspend(what)
    }

    /// Leaves the lines as they are and draws no more. After a Ctrl-C nobody knows
    /// where the cursor is: the terminal has written `^C`.
    pub fn leave(&self) {
        self.picture.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// Takes the lines off the screen.
    pub fn clear(&self) {
        self.picture.finish_and_clear();
    }
}
