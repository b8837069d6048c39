//! What a task has to be about for an agent to be chosen.

use std::str::FromStr;

use serde::Serialize;

/// The triggers of one agent: those of its definition, then those that its
/// bundle's `triggers.json` gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Triggers {
    /// Words or phrases of a task's text.
    pub keywords: Vec<String>,
    /// Expressions for a task's text.
    pub regex: Vec<RegexTrigger>,
    /// Globs for the files that a task names.
    pub file_patterns: Vec<String>,
}

/// An expression, as it is written, and how much it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexTrigger {
    /// The expression.
    pub pattern: String,
    /// How much it counts.
    pub priority: Priority,
}

/// How much a trigger counts against others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// After all others.
    Low,
    /// Where nothing is said.
    #[default]
    Medium,
    /// Before all others.
    High,
}

impl Priority {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl FromStr for Priority {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Low, Self::Medium, Self::High]
            .into_iter()
            .find(|priority| priority.as_str().eq_ignore_ascii_case(word))
            .ok_or(())
    }
}

impl Triggers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keywords.is_empty() && self.regex.is_empty() && self.file_patterns.is_empty()
    }

    /// Whether all of `other` is there.
    pub(super) fn has(&self, other: &Self) -> bool {
        other.keywords.iter().all(|one| self.keywords.contains(one))
            && other.file_patterns.iter().all(|one| self.file_patterns.contains(one))
            && other.regex.iter().all(|one| self.regex.iter().any(|own| own.pattern == one.pattern))
    }

    /// Takes in what is not there yet.
    pub(super) fn add(&mut self, other: Self) {
        fn extend<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
            for one in more {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        extend(&mut self.keywords, other.keywords);
        extend(&mut self.file_patterns, other.file_patterns);
        for one in other.regex {
            // The definition's own priority stays.
            if !self.regex.iter().any(|known| known.pattern == one.pattern) {
                self.regex.push(one);
            }
        }
    }
}
