//! Who is told of a job's end.

use serde::{Deserialize, Serialize};

/// What is done once a job is over and its end is in the ledger. The commands are
/// a program and its arguments each; they get the job as JSON on stdin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Runs whatever became of the job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_exit: Vec<String>,
    /// Runs where it did not succeed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<String>,
    /// Runs where no other job of the repository was live by then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_idle: Vec<String>,
    /// How long each of them may take, milliseconds.
    pub limit_ms: u64,
    /// The person is told, on the desktop or on `terminal`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub notify: bool,
    /// The terminal from which it was spawned, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
}

impl Notice {
    /// The same without the person, where there are hooks.
    #[must_use]
    pub fn for_hooks_alone(self) -> Option<Self> {
        let hooks = Self { notify: false, terminal: None, ..self };
        (!hooks.is_nothing()).then_some(hooks)
    }

    /// Whether there is nobody to tell.
    pub fn is_nothing(&self) -> bool {
        !self.notify
            && self.on_exit.is_empty()
            && self.on_failure.is_empty()
            && self.on_idle.is_empty()
    }
}
