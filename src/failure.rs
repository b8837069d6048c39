//! The one error that reaches a person: a sentence, a hint, an exit code.
//!
//! Modules have error types of their own; the commands turn them into a
//! [`Failure`], because only they know which next command helps.

use std::fmt;

/// Exit codes, as documented in `cx --help`. Scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All well.
    Success,
    /// A worker failed, a merge conflicted, or nothing matched.
    Failed,
    /// Usage, bad input: nothing was started.
    Usage,
    /// A time limit of `cx wait` ran out.
    TimedOut,
    /// cx itself failed.
    Internal,
    /// The worker's program cannot be run.
    NotExecutable,
    /// The worker's program was not found, or there is no such job.
    NotFound,
    /// A job's own exit code, or 128 + signal.
    Code(u8),
}

impl Exit {
    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::TimedOut => 124,
            Self::Internal => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::Code(code) => code,
        }
    }
}

/// What went wrong, in one sentence, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One sentence that names the object and says what was kept. No full stop.
    pub message: String,
    /// The next command, or what else helps.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with an exit code of its own.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: without_numbers(message.into()), hint: None }
    }

    /// Bad input, exit code 2: nothing was started.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// cx itself failed, exit code 125.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, message)
    }

    /// Says nothing and is no error: whoever read our output has gone away.
    pub fn silent() -> Self {
        Self::new(Exit::Success, "")
    }

    /// Whether this is [`Failure::silent`].
    pub fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    /// The same with a hint, where there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The system's words without its number for them: ` (os error 13)`.
fn without_numbers(mut message: String) -> String {
    const BEFORE: &str = " (os error ";
    let mut from = 0;
    while let Some(at) = message[from..].find(BEFORE).map(|at| from + at) {
        let digits = message[at + BEFORE.len()..].find(|c: char| !c.is_ascii_digit());
        match digits.map(|digits| at + BEFORE.len() + digits) {
            Some(end) if message[end..].starts_with(')') => message.replace_range(at..=end, ""),
            _ => from = at + BEFORE.len(),
        }
    }
    message
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_numbers_are_not_told() {
        let told = |message: &str| Failure::internal(message).message;
        assert_eq!(
            told("cannot read a: Permission denied (os error 13); nothing was started"),
            "cannot read a: Permission denied; nothing was started"
        );
        for same in ["", "x (os error 1", "x (os error abc)"] {
            assert_eq!(told(same), same);
        }
    }
}
