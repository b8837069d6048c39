//! Backends that do a job's work where the one before cannot.

use serde::{Deserialize, Serialize};

use super::Spawned;
use crate::job::{BackendName, Price, Usage};

/// A backend to fall back on, with all that was decided for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// What does the work.
    pub backend: BackendName,
    /// The worker's program, absolute.
    pub program: String,
    /// The model, if there is one for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What its tokens cost, where that is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// More arguments for the worker's program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<String>,
    /// Variables that the worker's commands must not see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_exclude: Vec<String>,
}

/// [`super::Event::FellOver`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FellOver {
    /// The backend that could not do it.
    pub from: BackendName,
    /// The one that does it from here on.
    pub to: BackendName,
    /// Why, as the end of a sentence about `from`.
    pub reason: String,
    /// What `from` has used, where its program told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// How long its worker ran, milliseconds; 0 where it was not there.
    #[serde(default)]
    pub ran_ms: u64,
}

impl Spawned {
    /// Makes it a job of the backend that it falls back on. Those before that one are
    /// passed over.
    pub fn fall_over(&mut self, to: BackendName) {
        let Some(at) = self.fallbacks.iter().position(|fallback| fallback.backend == to) else {
            return;
        };
        let Some(fallback) = self.fallbacks.drain(..=at).next_back() else { return };
        self.backend = fallback.backend;
        self.program = fallback.program;
        self.model = fallback.model;
        self.price = fallback.price;
        self.extra_args = fallback.extra_args;
        self.env_exclude = fallback.env_exclude;
    }
}
