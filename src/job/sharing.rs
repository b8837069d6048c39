//! Whom a job shares with what it stores in the memory.

use serde::{Deserialize, Serialize};

/// Whom an agent shares its memory with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharing {
    /// Agents or jobs; all where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub share_with: Vec<String>,
    /// Keys of JSON values that others do not see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
}

impl Sharing {
    /// Whether it keeps nothing from anybody.
    pub fn is_open(&self) -> bool {
        self.share_with.is_empty() && self.redact.is_empty()
    }
}
