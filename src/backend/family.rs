//! What stands behind a backend's name.
//!
//! A job goes on with the backend that it was checked for, whatever the
//! configuration says by then: what its name alone does not tell lies among its
//! files, as [`Backend::to_keep`] writes it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::command::Command;
use crate::job::BackendName;

/// What does a job's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// What people call it, and the ledger.
    pub name: BackendName,
    /// How it is started and understood.
    pub family: Family,
}

/// How a backend is started and understood, with all that has to be known for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// `codex exec`.
    Codex,
    /// `claude -p`, Claude Code without its terminal.
    Claude,
    /// A request over HTTP, sent by `curl`.
    Http,
    /// A shell command or an argv that runs as it is.
    Sh,
    /// A program that a definition describes.
    Command(Box<Command>),
}

/// Why it is not known what did a job's work. Reads as a sentence.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The file is not there, or cannot be read.
    #[error("cannot read the backend {name} in {}: {error}", path.display())]
    Unreadable {
        /// The backend.
        name: BackendName,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It says nothing that this cx understands.
    #[error("the backend {name} in {} is none that this cx knows: {error}", path.display())]
    Unknown {
        /// The backend.
        name: BackendName,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

impl Backend {
    /// `codex exec`.
    pub const CODEX: Self = Self { name: BackendName::CODEX, family: Family::Codex };
    /// `claude -p`.
    pub const CLAUDE: Self = Self { name: BackendName::CLAUDE, family: Family::Claude };
    /// A request over HTTP, sent by `curl`.
    pub const HTTP: Self = Self { name: BackendName::HTTP, family: Family::Http };
    /// A shell command or an argv that runs as it is.
    pub const SH: Self = Self { name: BackendName::SH, family: Family::Sh };

    /// One of those that are part of cx and need no definition.
    pub fn built_in(name: BackendName) -> Option<Self> {
        [Self::CODEX, Self::CLAUDE, Self::HTTP, Self::SH]
            .into_iter()
            .find(|backend| backend.name == name)
    }

    /// One of which nothing is known but its name: what its workers put out is
    /// shown as it is.
    pub fn unknown(name: BackendName) -> Self {
        Self { name, family: Family::Sh }
    }

    /// The one that a job was spawned for; `kept` is where [`Backend::to_keep`] was
    /// put. It is read only where the name does not tell everything.
    pub fn of_job(name: BackendName, kept: &Path) -> Result<Self, KeptError> {
        if let Some(backend) = Self::built_in(name) {
            return Ok(backend);
        }
        let path = || kept.to_owned();
        let text =
            fs::read(kept).map_err(|error| KeptError::Unreadable { name, path: path(), error })?;
        let family = family_of(name, &text).map_err(|error| KeptError::Unknown {
            name,
            path: path(),
            error,
        })?;
        Ok(Self { name, family })
    }

    /// What has to lie among the files of a job that these can do; nothing where their
    /// names tell everything.
    pub fn to_keep<'b>(
        all: impl IntoIterator<Item = &'b Self>,
    ) -> Result<Option<Vec<u8>>, serde_json::Error> {
        let defined = all.into_iter().filter(|one| Self::built_in(one.name).is_none());
        let defined: BTreeMap<_, _> = defined.map(|one| (one.name, &one.family)).collect();
        (!defined.is_empty()).then(|| serde_json::to_vec(&defined)).transpose()
    }

    /// Whether what its jobs are told is run rather than read.
    pub fn runs_commands(&self) -> bool {
        matches!(self.family, Family::Sh)
    }

    /// Whether its jobs are done by a server, which has to be [found](crate::job::Endpoint).
    pub fn works_elsewhere(&self) -> bool {
        matches!(self.family, Family::Http)
    }
}

/// The definition of this name, among those that were kept.
fn family_of(name: BackendName, text: &[u8]) -> Result<Family, serde_json::Error> {
    let mut all: BTreeMap<BackendName, serde_json::Value> = serde_json::from_slice(text)?;
    let missing = || serde::de::Error::custom("it is not there");
    serde_json::from_value(all.remove(&name).ok_or_else(missing)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_keeps_what_its_backends_name_does_not_tell() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("backend.json");
        for name in BackendName::BUILT_IN {
            let backend = Backend::built_in(name).expect("built in");
            assert_eq!(Backend::to_keep([&backend]).expect("writes"), None);
            assert_eq!(Backend::of_job(name, &path).expect("needs no file"), backend);
        }
        let name = BackendName::new("mine").expect("a name");
        assert_eq!(Backend::built_in(name), None);
        let err = Backend::of_job(name, &path).expect_err("no file");
        assert!(err.to_string().starts_with("cannot read the backend mine in "), "{err}");
        let mine = Backend { name, family: Family::Claude };
        let kept = Backend::to_keep([&Backend::CODEX, &mine]).expect("writes").expect("kept");
        fs::write(&path, kept).expect("writes");
        assert_eq!(Backend::of_job(name, &path).expect("reads"), mine);
        let other = BackendName::new("other").expect("a name");
        let err = Backend::of_job(other, &path).expect_err("another");
        assert!(err.to_string().ends_with(": it is not there"), "{err}");
        fs::write(&path, "{\"mine\":{\"from-2030\":{}}}").expect("writes");
        let err = Backend::of_job(name, &path).expect_err("unknown");
        assert!(err.to_string().contains("is none that this cx knows"), "{err}");
    }
}
