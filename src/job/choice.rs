//! Which backend does a job's work, and which ones where that one cannot.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{BackendName, BackendNameError};

/// How many may come after the first.
const MORE: usize = 3;

/// A backend, and up to three others to fall back on, in their order: `codex,claude`.
/// A shell stands alone: what is written for a model must not be run as a script.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackendChoice {
    first: BackendName,
    more: [Option<BackendName>; MORE],
}

/// Why words are no choice of backends. Reads as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendChoiceError {
    /// One of them is no name.
    #[error("{0}")]
    Name(#[from] BackendNameError),
    /// One of several is no name.
    #[error("names '{name}', which {error}")]
    OneName {
        /// As it is written.
        name: String,
        /// What is wrong with it.
        error: BackendNameError,
    },
    /// More than four.
    #[error("names more than {} backends", MORE + 1)]
    TooMany,
    /// One stands there twice.
    #[error("names {0} twice")]
    Twice(BackendName),
    /// A shell among others.
    #[error("has sh among others: it would run as a script what is written for a model")]
    Shell,
}

impl BackendChoice {
    /// What does the work if it can.
    pub fn first(&self) -> BackendName {
        self.first
    }

    /// All of them, in their order.
    pub fn names(&self) -> impl Iterator<Item = BackendName> {
        std::iter::once(self.first).chain(self.more.into_iter().flatten())
    }

    /// Whether what it is told is run and not read.
    pub fn is_shell(&self) -> bool {
        self.first == BackendName::SH
    }

    fn of(words: &[&str]) -> Result<Self, BackendChoiceError> {
        let name = |word: &str| match (BackendName::new(word), words) {
            (Ok(name), _) => Ok(name),
            (Err(error), [_]) => Err(BackendChoiceError::Name(error)),
            (Err(error), _) => Err(BackendChoiceError::OneName { name: word.to_owned(), error }),
        };
        let (first, rest) = words.split_first().unwrap_or((&"", &[]));
        let mut choice = Self::from(name(first)?);
        for word in rest {
            let name = name(word)?;
            if choice.names().any(|other| other == name) {
                return Err(BackendChoiceError::Twice(name));
            }
            if name == BackendName::SH || choice.is_shell() {
                return Err(BackendChoiceError::Shell);
            }
            let free = choice.more.iter_mut().find(|place| place.is_none());
            *free.ok_or(BackendChoiceError::TooMany)? = Some(name);
        }
        Ok(choice)
    }
}

impl From<BackendName> for BackendChoice {
    fn from(first: BackendName) -> Self {
        Self { first, more: [None; MORE] }
    }
}

impl FromStr for BackendChoice {
    type Err = BackendChoiceError;

    fn from_str(words: &str) -> Result<Self, BackendChoiceError> {
        Self::of(&words.split(',').map(str::trim).collect::<Vec<_>>())
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.names().map(|name| name.to_string()).collect();
        f.pad(&names.join(","))
    }
}

impl fmt::Debug for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for BackendChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BackendChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = BackendChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a backend, or a list of them")
            }

            fn visit_str<E: de::Error>(self, words: &str) -> Result<BackendChoice, E> {
                words.parse().map_err(|e| E::custom(format_args!("'{words}' {e}")))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<BackendChoice, A::Error> {
                let mut words: Vec<String> = Vec::new();
                while let Some(word) = seq.next_element()? {
                    words.push(word);
                }
                let all: Vec<&str> = words.iter().map(String::as_str).collect();
                let wrong = |e| de::Error::custom(format_args!("'{}' {e}", words.join(",")));
                BackendChoice::of(&all).map_err(wrong)
            }
        }

        deserializer.deserialize_any(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_name_and_what_to_fall_back_on() {
        let choice: BackendChoice = "codex, mine,claude".parse().expect("a choice");
        assert_eq!(choice.to_string(), "codex,mine,claude");
        assert_eq!(choice.first(), BackendName::CODEX);
        assert_eq!(choice.names().count(), 3);
        let json = serde_json::to_string(&choice).expect("writes");
        assert_eq!(json, "\"codex,mine,claude\"");
        for same in [json.as_str(), "[\"codex\", \"mine\", \"claude\"]"] {
            assert_eq!(serde_json::from_str::<BackendChoice>(same).expect("reads"), choice);
        }
        assert_eq!("sh".parse(), Ok(BackendChoice::from(BackendName::SH)));
    }

    #[test]
    fn what_is_none() {
        for (words, expected) in [
            ("", "is empty, and so no name of a backend"),
            ("a,", "names '', which is empty, and so no name of a backend"),
            ("a,b,a", "names a twice"),
            ("a,b,c,d,e", "names more than 4 backends"),
            ("a,sh", "has sh among others: it would run as a script what is written for a model"),
            ("sh,a", "has sh among others: it would run as a script what is written for a model"),
        ] {
            let said = words.parse::<BackendChoice>().expect_err(words);
            assert_eq!(said.to_string(), expected, "{words}");
        }
        assert!(serde_json::from_str::<BackendChoice>("[]").is_err());
    }
}
