//! What runs around a worker.

use serde::{Deserialize, Serialize};

/// What runs around a worker: lines for `sh -c`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// Before it; one that fails keeps it from starting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre_task: Vec<String>,
    /// After it, where it succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_task: Vec<String>,
    /// After it, where it did not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure: Vec<String>,
}
