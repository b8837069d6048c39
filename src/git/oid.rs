//! Object ids as text, so that SHA-1 and SHA-256 repositories are alike.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The full name of a git object: 40 (SHA-1) or 64 (SHA-256) lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Oid(String);

/// A text that is no full object id. Reads as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a full object id")]
pub struct OidError;

impl Oid {
    /// Checks `text` and makes it an id.
    pub fn new(text: &str) -> Result<Self, OidError> {
        let whole = matches!(text.len(), 40 | 64);
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if whole && hex { Ok(Self(text.to_owned())) } else { Err(OidError) }
    }

    /// The id as hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }

    /// Whether this is git's way to say "no object": only zeros.
    pub fn is_null(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<std::ffi::OsStr> for Oid {
    fn as_ref(&self) -> &std::ffi::OsStr {
        self.0.as_ref()
    }
}

impl TryFrom<String> for Oid {
    type Error = OidError;

    fn try_from(text: String) -> Result<Self, OidError> {
        Self::new(&text)
    }
}

impl From<Oid> for String {
    fn from(oid: Oid) -> Self {
        oid.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_ids_are_ids() {
        let sha1 = "a".repeat(40);
        assert_eq!(Oid::new(&sha1).map(|oid| oid.to_string()), Ok(sha1.clone()));
        assert!(Oid::new(&"0".repeat(64)).is_ok_and(|oid| oid.is_null()));
        for bad in ["", "HEAD", &sha1[..39], &sha1.to_uppercase(), &"g".repeat(40)] {
            assert_eq!(Oid::new(bad), Err(OidError), "{bad}");
        }
    }
}
