//! What can go wrong with the memory.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::entry::Name;

/// Why the memory could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// A file or folder of it could not be used.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried: `read`, `append to`, `create`, ...
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An entry could not be encoded.
    #[error("cannot encode an entry: {0}")]
    Encode(serde_json::Error),
    /// A word that cannot be a key, a namespace or a tag.
    #[error("the {what} '{word}' {wrong}")]
    Word {
        /// Which of them.
        what: &'static str,
        /// The word, or its beginning.
        word: String,
        /// Reads as the end of a sentence.
        wrong: &'static str,
    },
    /// More than 1 MiB.
    #[error("the value of {name} has {bytes} bytes, and 1048576 is the most; nothing was stored")]
    TooLarge {
        /// Whose.
        name: Name,
        /// How large it is.
        bytes: usize,
    },
    /// The key has a value, and no other was to be put in its place.
    #[error("{0} is stored already; nothing was changed")]
    Taken(Name),
    /// Whoever stored it does not share it.
    #[error("{0} is stored by another and not shared with this job; nothing was changed")]
    NotShared(Name),
}

impl MemoryError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Some("make room on that disk; nothing earlier was lost".to_owned())
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(
                    "inside a sandbox the memory can only be read: a worker stores through `cx mcp --worker`".to_owned(),
                ),
                _ => None,
            },
            Self::Encode(_) => None,
            Self::Word { .. } => Some("it has to fit on a line".to_owned()),
            Self::TooLarge { .. } => {
                Some("store where it lies, or a summary of it".to_owned())
            }
            Self::Taken(_) => Some("leave out --no-upsert to store another value".to_owned()),
            Self::NotShared(_) => Some("choose another key or namespace".to_owned()),
        }
    }
}

/// Attaches what was tried and where to an I/O error.
pub(super) fn at<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> MemoryError + 'a {
    move |source| MemoryError::Io { what, path: path.to_owned(), source }
}
