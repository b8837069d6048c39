//! Jobs as pure values: numbers, names, modes, statuses, outcomes, and the
//! specs by which people name them (`%1`, `auth`, `%+`).
//!
//! Nothing here does I/O and nothing here knows another module of the crate,
//! so every rule in this folder is tested by calling it.

mod backend;
mod budget;
mod choice;
mod cost;
mod endpoint;
mod limit;
mod name;
mod outcome;
mod price;
pub mod secret;
mod sharing;
mod spec;
mod template;

pub use backend::{BackendName, BackendNameError};
pub use budget::{Budget, BudgetOf, Spent};
pub use choice::{BackendChoice, BackendChoiceError};
pub use cost::{Usd, UsdError};
pub use endpoint::{BaseUrl, Endpoint, UrlError};
pub use limit::{CountError, DurationError, parse_count, parse_duration};
pub use name::{JobName, NameError, slug};
pub use outcome::{Outcome, Usage, WorkerExit};
pub use price::Price;
pub use sharing::Sharing;
pub use spec::{Candidate, Spec, SpecError, resolve};
pub use template::{Template, Unset, is_template_name};

use std::fmt;

use serde::{Deserialize, Serialize};

/// A job's number: 1, 2, 3, ... in the order of the ledger, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// What a job may do to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Looks only: runs in the checkout under a read-only sandbox.
    Reader,
    /// Writes: has a linked worktree and a branch of its own.
    Writer,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
        })
    }
}

/// A process, safe against reused numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its number.
    pub pid: i32,
    /// When it started, clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start: u64,
}
