//! What a worker has used so far, and whether its model answers, from its stdout as
//! it grows. Costs what is new, and remembers no line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::Path,
};

use super::{Backend, Family, claude, codex, command, http};
use crate::job::Usage;

/// Counts as its worker runs.
#[derive(Debug)]
pub struct Meter {
    counter: Counter,
    offset: u64,
}

#[derive(Debug)]
enum Counter {
    Codex(codex::Counter),
    Claude(claude::Counter),
    Http(http::Counter),
    Command(Box<command::Counter>),
    None,
}

impl Meter {
    /// From the beginning of the stream.
    pub fn new(backend: &Backend) -> Self {
        let counter = match &backend.family {
            Family::Codex => Counter::Codex(codex::Counter::default()),
            Family::Claude => Counter::Claude(claude::Counter::default()),
            Family::Http => Counter::Http(http::Counter::default()),
            Family::Command(command) => Counter::Command(Box::new(command::Counter::new(command))),
            Family::Sh => Counter::None,
        };
        Self { counter, offset: 0 }
    }

    /// Reads what `stdout` has more by now, up to the last whole line.
    pub fn read(&mut self, stdout: &Path) -> io::Result<()> {
        let mut file = match File::open(stdout) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                return Ok(());
            }
            self.offset += read as u64;
            match &mut self.counter {
                Counter::Codex(counter) => counter.line(&line),
                Counter::Claude(counter) => counter.line(&line),
                Counter::Http(counter) => counter.line(&line),
                Counter::Command(counter) => counter.line(&line),
                Counter::None => {}
            }
        }
    }

    /// As [`super::Verdict::usage`] counts it; none where nothing is known yet.
    pub fn usage(&self) -> Option<Usage> {
        match &self.counter {
            Counter::Codex(counter) => counter.usage,
            Counter::Claude(counter) => counter.usage(),
            Counter::Command(counter) => counter.usage(),
            Counter::Http(_) | Counter::None => None,
        }
    }

    /// Whether the model has answered since [`Meter::forget_answers`].
    pub fn is_answered(&self) -> bool {
        match &self.counter {
            Counter::Codex(counter) => counter.answered,
            Counter::Claude(counter) => counter.answered,
            Counter::Http(counter) => counter.answered,
            Counter::Command(counter) => counter.answered,
            Counter::None => false,
        }
    }

    /// Whether it has done its work, and only has to end.
    pub fn is_over(&self) -> bool {
        match &self.counter {
            Counter::Codex(counter) => counter.over,
            Counter::Claude(counter) => counter.over,
            Counter::Command(counter) => counter.over,
            Counter::Http(_) | Counter::None => false,
        }
    }

    /// What it has answered so far says nothing of what it does now.
    pub fn forget_answers(&mut self) {
        match &mut self.counter {
            Counter::Codex(counter) => counter.answered = false,
            Counter::Claude(counter) => counter.answered = false,
            Counter::Http(counter) => counter.answered = false,
            Counter::Command(counter) => counter.answered = false,
            Counter::None => {}
        }
    }
}
