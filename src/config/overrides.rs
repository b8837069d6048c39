//! `CX_*` variables that stand above the files, for one shell or one command.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::{ConfigError, Limit};
use crate::job::{BackendChoice, BackendChoiceError, parse_duration};

/// What the variables say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub(super) backend: Option<BackendChoice>,
    pub(super) model: Option<String>,
    pub(super) max_jobs: Option<NonZeroUsize>,
    pub(super) timeout: Option<Limit>,
    pub(super) silence: Option<Limit>,
    pub(super) grace: Option<Duration>,
}

impl Overrides {
    /// The variables that are read.
    pub const NAMES: [&str; 6] =
        ["CX_BACKEND", "CX_MODEL", "CX_MAX_JOBS", "CX_TIMEOUT", "CX_SILENCE", "CX_GRACE"];

    /// Reads them through `variable`, for instance `std::env::var_os`. An empty
    /// one counts as not set.
    ///
    /// # Errors
    /// [`ConfigError::Variable`].
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for name in Self::NAMES {
            let Some(value) = variable(name).filter(|value| !value.is_empty()) else { continue };
            let value = value.to_string_lossy().into_owned();
            all.set(name, &value).map_err(|problem| ConfigError::Variable {
                name,
                value,
                problem,
            })?;
        }
        Ok(all)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "CX_BACKEND" => {
                let name: Result<_, BackendChoiceError> = value.parse();
                self.backend = Some(name.map_err(|error| error.to_string())?);
            }
            "CX_MAX_JOBS" => {
                let wrong = |_| "is not a number of jobs: write 1 or more".to_owned();
                self.max_jobs = Some(value.parse().map_err(wrong)?);
            }
            "CX_TIMEOUT" => self.timeout = Some(value.parse()?),
            "CX_SILENCE" => self.silence = Some(value.parse()?),
            "CX_GRACE" => {
                self.grace = Some(parse_duration(value).map_err(|error| error.to_string())?);
            }
            _ if value.starts_with('-') => return Err("is no name of a model".to_owned()),
            _ => self.model = Some(value.to_owned()),
        }
        Ok(())
    }
}
