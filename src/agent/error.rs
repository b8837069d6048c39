//! Why an agent cannot be used.

use std::io;
use std::path::PathBuf;

use super::{AliasError, Source};

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
    /// Several have that id, and none comes before the others.
    #[error("'{name}' is the id of {} agents: {}", places.len(), listed(places))]
    Ambiguous {
        /// As it was asked for.
        name: String,
        /// Qualified name and place of each.
        places: Vec<(String, Source)>,
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
    /// A folder that was asked for holds no agents.
    #[error("{from} is {}, and there are no agents in it", path.display())]
    NoBundle {
        /// What names it: `--agents-dir`.
        from: &'static str,
        /// The folder.
        path: PathBuf,
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
    /// An alias cannot be laid over its agent.
    #[error("{0}")]
    Alias(#[from] AliasError),
}

/// `analysis/x (/.../x.yaml) and ./x (/.../x.yaml)`.
fn listed(places: &[(String, Source)]) -> String {
    let each: Vec<String> =
        places.iter().map(|(name, source)| format!("{name} ({source})")).collect();
    each.join(" and ")
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
            Self::Ambiguous { places, .. } => {
                let names: Vec<&str> = places.iter().map(|(name, _)| name.as_str()).collect();
                Some(format!("say which: {}", names.join(" or ")))
            }
            Self::Invalid { place: Source::Repository(_) | Source::User(_), .. } => {
                Some("`cx agents show coder` prints one that works".to_owned())
            }
            Self::NoBundle { .. } => Some(
                "a bundle has an index.json, or DOMAIN/ID.codex.yaml files below it".to_owned(),
            ),
            Self::Alias(error) => error.hint(),
            Self::BadName(_) | Self::Unreadable { .. } | Self::Invalid { .. } => None,
        }
    }
}
