//! The two streams.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::text;
use crate::{failure::Failure, job::secret};

const BOLD_RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// stdout, locked and buffered. Whoever must know that the answer was written
/// calls [`Out::finish`].
#[derive(Debug)]
pub struct Out {
    stream: io::BufWriter<io::StdoutLock<'static>>,
    colour: bool,
    terminal: bool,
}

/// Opens stdout for an answer.
pub fn out() -> Out {
    let choice = anstream::AutoStream::choice(&io::stdout());
    Out {
        stream: io::BufWriter::new(io::stdout().lock()),
        colour: choice != anstream::ColorChoice::Never,
        terminal: is_terminal(),
    }
}

impl Out {
    /// Writes a line of ours; its colours go where they are not wanted.
    pub fn line(&mut self, text: impl std::fmt::Display) -> Result<(), Failure> {
        if self.colour {
            return writeln!(self.stream, "{text}").map_err(|e| stdout_failure(&e));
        }
        let text = text.to_string();
        let plain = anstream::adapter::strip_str(&text);
        writeln!(self.stream, "{plain}").map_err(|e| stdout_failure(&e))
    }

    /// Writes bytes of others as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(bytes).map_err(|e| stdout_failure(&e))
    }

    /// Writes what a worker has said: byte for byte, but on a terminal with its
    /// control characters made visible (colours and newlines stay), so that it
    /// cannot paint over what stands there or set a title.
    pub fn foreign(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.terminal { self.bytes(&text::tame(bytes)) } else { self.bytes(bytes) }
    }

    /// Writes a value as JSON on a line of its own.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_vec(value).map_err(|e| Failure::internal(e.to_string()))?;
        text.push(b'\n');
        self.bytes(&text)
    }

    /// Makes sure that all so far has been written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.stream.flush().map_err(|e| stdout_failure(&e))
    }

    /// Makes sure that all of it has been written.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.flush()
    }
}

/// A reader who has gone away, as in `cx jobs | head -1`, is no error; a disk
/// that is full is one.
fn stdout_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::silent();
    }
    Failure::internal(format!("cannot write to stdout: {error}"))
}

/// Whether stdout is a terminal.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether stderr is a terminal.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// `text` with its secrets kept.
fn kept(text: impl std::fmt::Display) -> String {
    let text = text.to_string();
    match secret::redacted(&text) {
        Cow::Owned(clean) => clean,
        Cow::Borrowed(_) => text,
    }
}

/// Narration on stderr: one line. Where stderr is gone there is nobody to tell.
pub fn note(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "cx: {}", kept(text));
}

/// A line on stderr as it is: part of a picture that was drawn there.
pub fn plain(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{}", kept(text));
}

/// Something that went not as it should, but did not stop the command.
pub fn warn(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "cx: {YELLOW}warning:{YELLOW:#} {}", kept(text));
}

/// The one error of a command, with its hint.
pub fn failure(failure: &Failure) {
    if failure.message.is_empty() {
        return;
    }
    let mut stderr = anstream::stderr();
    let _ = writeln!(stderr, "cx: {BOLD_RED}error:{BOLD_RED:#} {}", kept(&failure.message));
    if let Some(text) = &failure.hint {
        hint(text);
    }
}

/// What helps, below what it helps with.
pub fn hint(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "    {CYAN}hint:{CYAN:#} {}", kept(text));
}

/// The width of the terminal, or 80 where it does not tell.
pub fn columns() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0))
}

/// The same for stderr, where stdout may go elsewhere.
pub fn stderr_columns() -> usize {
    terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0))
}

/// The height of the terminal behind stderr, or 24.
pub fn stderr_rows() -> usize {
    terminal_size::terminal_size_of(io::stderr()).map_or(24, |(_, height)| usize::from(height.0))
}
