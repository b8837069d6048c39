//! The values that keys can have, and where they come from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use crate::job::parse_duration;

/// Whose file a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The person's own.
    User(PathBuf),
    /// The repository's, which others write.
    Repository(PathBuf),
}

impl Origin {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::User(path) | Self::Repository(path) => path,
        }
    }

    /// Whether others write the file.
    pub fn is_repository(&self) -> bool {
        matches!(self, Self::Repository(_))
    }
}

/// Something to be run, with the origin that decides whether it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commanded<T> {
    /// What is run.
    pub value: T,
    /// Whose word it is.
    pub origin: Origin,
}

/// A command, in one of its two spellings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// For `sh -c`.
    Shell(String),
    /// A program and its arguments, run as they are; never empty.
    Argv(Vec<String>),
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;

        impl<'de> Visitor<'de> for Spelling {
            type Value = Command;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command line for sh, or a list of a program and its arguments")
            }

            fn visit_str<E: de::Error>(self, line: &str) -> Result<Command, E> {
                match line.trim() {
                    "" => Err(E::invalid_value(de::Unexpected::Str(line), &self)),
                    _ => Ok(Command::Shell(line.to_owned())),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Command, A::Error> {
                let mut argv: Vec<String> = Vec::new();
                while let Some(word) = seq.next_element()? {
                    argv.push(word);
                }
                match argv.first() {
                    Some(program) if !program.is_empty() => Ok(Command::Argv(argv)),
                    _ => Err(de::Error::invalid_value(de::Unexpected::Seq, &self)),
                }
            }
        }

        deserializer.deserialize_any(Spelling)
    }
}

/// A time limit, or the word that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `none`: no limit, whatever a file further away says.
    None,
    /// This long.
    After(Duration),
}

impl Limit {
    /// The limit, if there is one.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::After(duration) => Some(duration),
        }
    }
}

impl std::str::FromStr for Limit {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "none" => Ok(Self::None),
            _ => parse_duration(word).map(Self::After).map_err(|error| format!("{error}, or none")),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = deserializer.deserialize_any(Word)?;
        word.parse().map_err(|problem| de::Error::custom(format_args!("'{word}' {problem}")))
    }
}

/// A duration that has to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = deserializer.deserialize_any(Word)?;
        let span = parse_duration(&word).map(Self);
        span.map_err(|problem| de::Error::custom(format_args!("'{word}' {problem}")))
    }
}

/// A duration as it is written: a string, or a bare number of seconds.
struct Word;

impl Visitor<'_> for Word {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"90s\", \"10m\" or a number of seconds")
    }

    fn visit_str<E>(self, word: &str) -> Result<String, E> {
        Ok(word.to_owned())
    }

    fn visit_i64<E>(self, seconds: i64) -> Result<String, E> {
        Ok(seconds.to_string())
    }

    fn visit_f64<E>(self, seconds: f64) -> Result<String, E> {
        Ok(seconds.to_string())
    }
}
