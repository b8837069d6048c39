//! The patterns: plans that are part of cx, the files of `plans/`.

use super::{Plan, PlanError};

/// A plan that is part of cx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The word after `cx run`.
    pub name: &'static str,
    /// Its file.
    pub text: &'static str,
}

/// All of them, in the order in which they are told.
pub const PATTERNS: [Pattern; 6] = [
    Pattern { name: "review", text: include_str!("../../plans/review.toml") },
    Pattern { name: "fix", text: include_str!("../../plans/fix.toml") },
    Pattern { name: "scout", text: include_str!("../../plans/scout.toml") },
    Pattern { name: "split", text: include_str!("../../plans/split.toml") },
    Pattern { name: "research", text: include_str!("../../plans/research.toml") },
    Pattern { name: "options", text: include_str!("../../plans/options.toml") },
];

impl Pattern {
    /// The pattern of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PATTERNS.iter().find(|pattern| pattern.name == name)
    }

    /// Its plan.
    ///
    /// # Errors
    /// None: a test reads each of them.
    pub fn plan(&self) -> Result<Plan, PlanError> {
        Plan::read(self.text.as_bytes(), &format!("{}.toml", self.name))
    }
}
