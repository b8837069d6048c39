//! Live lines on a terminal: one for each job, drawn on stderr.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A block of lines that is redrawn in place.
#[derive(Debug)]
pub struct Lines {
    multi: MultiProgress,
    bars: Vec<ProgressBar>,
}

impl Lines {
    /// Room for `count` lines on stderr. Draws nothing where that is no terminal.
    pub fn new(count: usize) -> Self {
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bars = (0..count)
            .map(|_| multi.add(ProgressBar::new_spinner().with_style(style.clone())))
            .collect();
        Self { multi, bars }
    }

    /// How many lines there are.
    pub fn count(&self) -> usize {
        self.bars.len()
    }

    /// Sets a line's text, which is one line; what does not fit is cut.
    pub fn set(&self, index: usize, text: &str) {
        if let Some(bar) = self.bars.get(index) {
            bar.set_message(text.to_owned());
            bar.tick();
        }
    }

    /// Writes a line above them, which stays.
    pub fn above(&self, text: &str) {
        let _ = self.multi.println(text);
    }

    /// Leaves the lines as they are and draws no more. After a Ctrl-C nobody knows
    /// where the cursor is: the terminal has written `^C`.
    pub fn leave(&self) {
        self.multi.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// Takes the lines off the screen.
    pub fn clear(&self) {
        for bar in &self.bars {
            bar.finish_and_clear();
        }
        let _ = self.multi.clear();
    }
}
