//! Why there is no configuration.

use std::io;
use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file is there and cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file says something that it cannot say.
    #[error("{}:{line}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong there; names the key.
        problem: String,
    },
    /// A `CX_*` variable says something that it cannot say.
    #[error("the variable {name} is '{value}', which {problem}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What it says.
        value: String,
        /// What is wrong with it; reads as the end of a sentence.
        problem: String,
    },
}

impl ConfigError {
    /// What helps, where this module knows it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => None,
            Self::Invalid { .. } => Some("`cx man config` lists every key".to_owned()),
            Self::Variable { name, .. } => Some(format!("`unset {name}` leaves it to the files")),
        }
    }
}
