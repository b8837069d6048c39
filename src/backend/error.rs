//! What a backend cannot take.

use crate::job::BackendName;

/// Why a backend cannot take a prompt. Reads as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// Nothing but white space.
    #[error("the prompt is empty")]
    Empty,
    /// The backend reads UTF-8 only.
    #[error("the prompt is not valid UTF-8 (byte {at}), and {name} takes nothing else")]
    NotUtf8 {
        /// Offset of the first bad byte, from 0.
        at: usize,
        /// The backend.
        name: BackendName,
    },
    /// The backend refuses more on its stdin.
    #[error("the prompt has {bytes} bytes, and {name} takes at most {max}")]
    TooManyBytes {
        /// Of the prompt as it is sent.
        bytes: usize,
        /// The most that is taken.
        max: usize,
        /// The backend.
        name: BackendName,
    },
    /// codex refuses more on its stdin.
    #[error("the prompt has {chars} characters, and codex takes at most {max}")]
    TooLong {
        /// Characters of the prompt as it is sent.
        chars: usize,
        /// The most that is taken.
        max: usize,
    },
    /// No argument can have one.
    #[error("the prompt has a NUL byte (byte {at}), and {name} takes it as an argument")]
    NulInArgument {
        /// Offset of the first one, from 0.
        at: usize,
        /// The backend.
        name: BackendName,
    },
    /// It would pass for an option.
    #[error("the prompt begins with '-', and {name} would take it for an option")]
    Option {
        /// The backend.
        name: BackendName,
    },
    /// A shell drops or misreads NUL bytes.
    #[error("the script has a NUL byte (byte {at}), which no shell can run")]
    Nul {
        /// Offset of the first one, from 0.
        at: usize,
    },
}

impl PromptError {
    /// The same, said of `task` where the fault is in it: nobody knows how long what
    /// stands around it in `prompt` is.
    #[must_use]
    pub fn within(mut self, task: &[u8], prompt: &[u8]) -> Self {
        if let Self::NotUtf8 { at, .. } | Self::NulInArgument { at, .. } = &mut self {
            let mut places = prompt.windows(task.len().max(1)).enumerate();
            let begins = places.find(|(_, part)| *part == task).map(|(begins, _)| begins);
            let inner = begins.and_then(|begins| at.checked_sub(begins));
            if let Some(inner) = inner.filter(|inner| *inner < task.len()) {
                *at = inner;
            }
        }
        self
    }

    /// What helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty | Self::NulInArgument { .. } => None,
            Self::Option { .. } => Some("begin it with a word".to_owned()),
            Self::NotUtf8 { .. } => {
                Some("convert it first, for example with `iconv -t UTF-8`".to_owned())
            }
            Self::TooLong { .. } | Self::TooManyBytes { .. } => {
                Some("put the long part into a file and name the file in the prompt".to_owned())
            }
            Self::Nul { .. } => {
                Some("to run a program file, give it as words: `-- ./program ARG`".to_owned())
            }
        }
    }
}

/// An argument in the configuration that cx cannot allow. Reads as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{arg}' may not be among the arguments for {name}: {why}")]
pub struct ArgError {
    /// As it stands in the configuration.
    pub arg: String,
    /// The backend.
    pub name: BackendName,
    /// The end of the sentence.
    pub why: &'static str,
}

impl ArgError {
    /// The first of `args`, of a backend that takes none.
    pub(super) fn of_any(
        args: &[String],
        name: BackendName,
        why: &'static str,
    ) -> Result<(), Self> {
        match args.first() {
            None => Ok(()),
            Some(arg) => Err(Self { arg: arg.clone(), name, why }),
        }
    }
}
