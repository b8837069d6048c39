//! What stops a run.

/// Why nothing more is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Ctrl-C.
    Interrupt,
    /// TERM.
    Terminate,
    /// The run's own limit.
    Timeout,
    /// A task has failed, and that was to stop the run.
    FailFast,
}

impl Stop {
    /// The word for the ledger.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Interrupt => "INT",
            Self::Terminate => "TERM",
            Self::Timeout => "timeout",
            Self::FailFast => "fail-fast",
        }
    }

    /// Why a task is skipped for it: the end of a sentence.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Interrupt | Self::Terminate => "the run was stopped",
            Self::Timeout => "the run's time was up",
            Self::FailFast => "another task had failed",
        }
    }
}
