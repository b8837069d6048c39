//! Job names: what may be one, and how one is made from a prompt.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest job name, in bytes. Branches and folders are named after it.
const MAX: usize = 64;

/// A valid job name: ASCII letters, digits, `.`, `_`, `-`; begins with a letter
/// or digit, is not a number, and can be the last part of a branch name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobName(String);

/// Why a word cannot be a job's name. Reads as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No characters at all.
    #[error("is empty")]
    Empty,
    /// More than 64 bytes.
    #[error("is longer than {MAX} characters")]
    TooLong,
    /// Only digits, and so it would be read as a job's number.
    #[error("is a number, and would be read as one")]
    Number,
    /// A character that is not allowed where it stands.
    #[error(
        "may not contain {0:?} there: letters, digits, '.', '_' and '-' only, beginning with a letter or digit"
    )]
    Character(char),
    /// Git refuses it in a branch name.
    #[error("cannot be part of a branch name (no '..', no '.lock' or '.' at the end)")]
    Branch,
}

impl JobName {
    /// Checks `word` and makes it a name.
    pub fn new(word: &str) -> Result<Self, NameError> {
        if word.is_empty() {
            return Err(NameError::Empty);
        }
        if word.len() > MAX {
            return Err(NameError::TooLong);
        }
        for (at, c) in word.char_indices() {
            let inner = matches!(c, '.' | '_' | '-') && at > 0;
            if !c.is_ascii_alphanumeric() && !inner {
                return Err(NameError::Character(c));
            }
        }
        if word.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NameError::Number);
        }
        // In any case: some file systems fold it.
        let suffix = word.rsplit_once('.').map_or("", |(_, suffix)| suffix);
        if word.contains("..") || suffix.eq_ignore_ascii_case("lock") || word.ends_with('.') {
            return Err(NameError::Branch);
        }
        Ok(Self(word.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `self`, or `self-2`, `self-3`, ... : the first that `taken` does not know.
    #[must_use]
    pub fn untaken(&self, taken: impl Fn(&str) -> bool) -> Self {
        if !taken(&self.0) {
            return self.clone();
        }
        let mut n = 2_u64;
        loop {
            let suffix = format!("-{n}");
            let stem = self.0.get(..MAX - suffix.len()).unwrap_or(&self.0);
            let candidate = format!("{stem}{suffix}");
            if !taken(&candidate) {
                return Self(candidate);
            }
            n += 1;
        }
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for JobName {
    type Error = NameError;

    fn try_from(word: String) -> Result<Self, NameError> {
        Self::new(&word)
    }
}

impl From<JobName> for String {
    fn from(name: JobName) -> Self {
        name.0
    }
}

/// A name from the first three words of `text` ("Fix the login bug" gives
/// `fix-the-login`), or `job` where the text has no usable word.
pub fn slug(text: &str) -> JobName {
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(3)
        .map(str::to_ascii_lowercase)
        .collect();
    let joined: String = words.join("-").chars().take(32).collect();
    let joined = joined.trim_end_matches('-');
    JobName::new(joined).unwrap_or_else(|_| JobName("job".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_and_the_shell_can_live_with() {
        for good in ["a", "auth", "auth-core", "v1.2", "x_y", "1st"] {
            assert!(JobName::new(good).is_ok(), "{good}");
        }
        assert_eq!(JobName::new(""), Err(NameError::Empty));
        assert_eq!(JobName::new("12"), Err(NameError::Number));
        assert_eq!(JobName::new("a/b"), Err(NameError::Character('/')));
        assert_eq!(JobName::new("-a"), Err(NameError::Character('-')));
        assert_eq!(JobName::new("a b"), Err(NameError::Character(' ')));
        assert_eq!(JobName::new("ä"), Err(NameError::Character('ä')));
        assert_eq!(JobName::new("a..b"), Err(NameError::Branch));
        assert_eq!(JobName::new("a.LOCK"), Err(NameError::Branch));
        assert_eq!(JobName::new(&"x".repeat(65)), Err(NameError::TooLong));
    }

    #[test]
    fn a_taken_name_gets_the_first_free_suffix() {
        let name = JobName::new("auth").expect("valid");
        assert_eq!(name.untaken(|_| false).as_str(), "auth");
        assert_eq!(name.untaken(|n| n == "auth" || n == "auth-2").as_str(), "auth-3");
        let long = JobName::new(&"x".repeat(64)).expect("valid");
        assert_eq!(long.untaken(|n| n.len() == 64 && !n.contains('-')).as_str().len(), 64);
    }

    #[test]
    fn slugs_are_names() {
        assert_eq!(slug("Fix the login bug").as_str(), "fix-the-login");
        assert_eq!(slug("`rm -rf /`").as_str(), "rm-rf");
        assert_eq!(slug("¿?").as_str(), "job");
        assert_eq!(slug("42").as_str(), "job");
    }
}
