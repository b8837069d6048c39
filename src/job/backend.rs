//! Names of backends: what people type and what the ledger records. What a name
//! stands for is for `backend` to say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest name, in bytes.
const MAX: usize = 31;

/// The name of a backend, at most 31 bytes: ASCII letters, digits, `.`, `_`, `-`,
/// beginning with a letter. It lies in the value itself, so that it is copied
/// like a number: every job, task and agent has one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendName {
    /// Zeros after the name.
    bytes: [u8; MAX],
    len: u8,
}

/// Why a word cannot be the name of a backend. Reads as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendNameError {
    /// No characters at all.
    #[error("is empty, and so no name of a backend")]
    Empty,
    /// More than 31 bytes.
    #[error("is no name of a backend: it is longer than {MAX} characters")]
    TooLong,
    /// A character that is not allowed where it stands.
    #[error(
        "is no name of a backend: {0:?} may not be there, only letters, digits, '.', '_' and '-' after a letter"
    )]
    Character(char),
}

impl BackendName {
    /// `codex exec`.
    pub const CODEX: Self = Self::literal(b"codex");
    /// `claude -p`, Claude Code without its terminal.
    pub const CLAUDE: Self = Self::literal(b"claude");
    /// A request over HTTP.
    pub const HTTP: Self = Self::literal(b"http");
    /// A shell command or an argv that runs as it is.
    pub const SH: Self = Self::literal(b"sh");

    /// The backends that are part of cx, in the order in which help lists them.
    pub const BUILT_IN: [Self; 4] = [Self::CODEX, Self::CLAUDE, Self::HTTP, Self::SH];

    /// A name that is known to be a good one.
    const fn literal<const N: usize>(word: &[u8; N]) -> Self {
        let mut bytes = [0; MAX];
        let (name, _) = bytes.split_at_mut(N);
        name.copy_from_slice(word);
        #[expect(clippy::cast_possible_truncation, reason = "split_at_mut has compared it to MAX")]
        Self { bytes, len: N as u8 }
    }

    /// Checks `word` and makes it a name.
    pub fn new(word: &str) -> Result<Self, BackendNameError> {
        if word.is_empty() {
            return Err(BackendNameError::Empty);
        }
        let wrong = word.char_indices().find(|&(at, c)| {
            let inner = at > 0 && (c.is_ascii_digit() || matches!(c, '.' | '_' | '-'));
            !c.is_ascii_alphabetic() && !inner
        });
        if let Some((_, c)) = wrong {
            return Err(BackendNameError::Character(c));
        }
        let mut bytes = [0; MAX];
        let name = bytes.get_mut(..word.len()).ok_or(BackendNameError::TooLong)?;
        name.copy_from_slice(word.as_bytes());
        let len = u8::try_from(word.len()).map_err(|_| BackendNameError::TooLong)?;
        Ok(Self { bytes, len })
    }

    /// The word people type: `codex`, `claude`, `sh`.
    pub fn as_str(&self) -> &str {
        let name = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        str::from_utf8(name).unwrap_or_default()
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackendName({})", self.as_str())
    }
}

impl FromStr for BackendName {
    type Err = BackendNameError;

    fn from_str(word: &str) -> Result<Self, BackendNameError> {
        Self::new(word)
    }
}

impl Serialize for BackendName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for BackendName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;

        impl serde::de::Visitor<'_> for Word {
            type Value = BackendName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a backend")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<BackendName, E> {
                BackendName::new(word).map_err(|e| E::custom(format_args!("'{word}' {e}")))
            }
        }

        deserializer.deserialize_str(Word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        for good in ["a", "codex", "cursor-agent", "my_1.0", &"x".repeat(MAX)] {
            assert_eq!(BackendName::new(good).expect(good).as_str(), good);
        }
        let wrong = |word: &str| BackendName::new(word).expect_err("no name");
        assert_eq!(wrong(""), BackendNameError::Empty);
        assert_eq!(wrong(&"x".repeat(MAX + 1)), BackendNameError::TooLong);
        for (word, c) in [("a,b", ','), ("-a", '-'), ("1a", '1'), ("a b", ' '), ("ä", 'ä')] {
            assert_eq!(wrong(word), BackendNameError::Character(c), "{word}");
        }
        assert_eq!("sh".parse(), Ok(BackendName::SH));
    }

    #[test]
    fn they_are_written_as_they_are_typed() {
        for name in BackendName::BUILT_IN {
            let json = serde_json::to_string(&name).expect("writes");
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<BackendName>(&json).expect("reads"), name);
        }
        let err = serde_json::from_str::<BackendName>("\"a,b\"").expect_err("no name");
        assert!(err.to_string().starts_with("'a,b' is no name of a backend"), "{err}");
    }
}
