//! How far a job has come.

use serde::{Deserialize, Serialize};

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Spawned; its supervisor prepares it.
    Starting,
    /// Waits for the jobs it comes after.
    Waiting,
    /// Waits for its turn.
    Queued,
    /// The worker runs.
    Running,
    /// Waits until the model's service may be asked again.
    OnHold,
    /// Its supervisor is dead and its end is not known yet.
    Lost,
    /// Over; see [`Job::exited`](super::Job::exited).
    Ended,
}
