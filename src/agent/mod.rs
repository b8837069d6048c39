//! Agents: the roles that a job can be given, and the prompt made from one.
//!
//! An agent is one file: what a job may do (front matter) and how it goes about
//! it (body). Those in `agents/` are part of the binary; a repository's own lie
//! in `.cx/agents/`, a person's own in `~/.config/cx/agents/`. The first of the
//! three that has a file of the name wins.
//!
//! Looking one up opens at most two files and parses one; nothing is read when
//! no agent is asked for. Nothing here writes, so a crash leaves nothing.

mod builtin;
mod context;
mod format;
mod lookup;
mod prompt;

pub use context::ContextPack;
pub use lookup::{Folders, Listed, definition, find, list, names};
pub use prompt::{PREAMBLE, PromptParts};

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::job::{BackendKind, Mode};

/// A role that a job can be given.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// The name of its file, without `.md`.
    pub name: String,
    /// One line, for listings and for choosing among agents.
    pub description: String,
    /// What its jobs may do to files; a reader where the file says nothing.
    pub mode: Mode,
    /// The backend its jobs run on, where the file names one.
    pub backend: Option<BackendKind>,
    /// The model, in the backend's own words.
    pub model: Option<String>,
    /// Wall-clock limit of its jobs.
    pub timeout: Option<Duration>,
    /// How long its jobs may write nothing.
    pub silence: Option<Duration>,
    /// Pathspecs that its jobs may touch, as `--scope` takes them.
    pub scope: Vec<String>,
    /// Where it was found.
    pub source: Source,
    /// The role in words: everything after the front matter, without empty lines
    /// around it.
    pub body: String,
    /// Keys of the front matter that this cx does not honour, in their order.
    pub extra: Vec<ExtraKey>,
}

impl Agent {
    /// Whether its jobs would run, as a program, what stands in a repository's
    /// own file: an agent of the repository on the `sh` backend. That is for
    /// `cx trust` to decide.
    pub fn needs_trust(&self) -> bool {
        matches!(self.source, Source::Repository(_)) && self.backend == Some(BackendKind::Sh)
    }
}

/// A key that a definition has and this cx does not honour. It is kept so that
/// commands can name it, and later ones honour it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtraKey {
    /// The key, as it is written.
    pub key: String,
    /// Its line in the file, from 1.
    pub line: u64,
    /// What it says.
    pub value: serde_json::Value,
}

/// Where an agent comes from, in the order in which they are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file in `.cx/agents/` of the checkout.
    Repository(PathBuf),
    /// A file in the person's own configuration folder.
    User(PathBuf),
    /// Part of cx.
    BuiltIn,
}

impl Source {
    /// The file, unless the agent is part of cx.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Repository(path) | Self::User(path) => Some(path),
            Self::BuiltIn => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => path.display().fmt(f),
            None => f.write_str("built-in"),
        }
    }
}

/// Why an agent cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is none of that name.
    #[error("there is no agent '{name}'")]
    Unknown {
        /// As it was asked for.
        name: String,
        /// Names that are nearly the same, the nearest first.
        nearest: Vec<String>,
    },
    /// The name could not be a file's.
    #[error(
        "'{0}' cannot be an agent's name: letters, digits, '.', '_' and '-' only, beginning with a letter or digit"
    )]
    BadName(String),
    /// The file is there and cannot be read.
    #[error("cannot read the agent {}: {error}", path.display())]
    Unreadable {
        /// The file, or the folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file does not say what an agent is.
    #[error("{place}:{line}: {problem}")]
    Invalid {
        /// The file.
        place: Source,
        /// The line, from 1.
        line: u64,
        /// What is wrong there.
        problem: String,
    },
}

impl AgentError {
    /// What helps, where this module knows it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { nearest, .. } => {
                let quoted: Vec<String> = nearest.iter().map(|name| format!("'{name}'")).collect();
                Some(match quoted.as_slice() {
                    [] => "`cx agents list` shows all".to_owned(),
                    _ => {
                        format!("did you mean {}? `cx agents list` shows all", quoted.join(" or "))
                    }
                })
            }
            Self::Invalid { place: Source::Repository(_) | Source::User(_), .. } => {
                Some("`cx agents show coder` prints one that works".to_owned())
            }
            Self::BadName(_) | Self::Unreadable { .. } | Self::Invalid { .. } => None,
        }
    }
}
