//! The folders of the person that cx reads and writes.

use std::ffi::OsString;
use std::path::PathBuf;

/// The folders of the person, as the XDG base directories have them. All are
/// absolute; none of them has to exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// `$HOME`.
    pub home: PathBuf,
    /// `$XDG_CONFIG_HOME`, or `~/.config`.
    pub config_home: PathBuf,
    /// `$XDG_STATE_HOME`, or `~/.local/state`.
    pub state_home: PathBuf,
}

/// Why there are no such folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// `HOME` is not set, or no absolute path.
    #[error(
        "HOME is not set to an absolute path, so there is no place for configuration and state"
    )]
    NoHome,
}

impl RootsError {
    /// What helps.
    pub fn hint(&self) -> Option<String> {
        Some(
            "set HOME, for instance `HOME=$(getent passwd $(id -u) | cut -d: -f6) cx ...`"
                .to_owned(),
        )
    }
}

impl Roots {
    /// The folders that the environment names.
    ///
    /// # Errors
    /// [`RootsError::NoHome`].
    pub fn from_env() -> Result<Self, RootsError> {
        Self::read(|name| std::env::var_os(name))
    }

    /// The same with the variables given by `variable`. Relative paths count as
    /// not set, as the XDG specification demands.
    ///
    /// # Errors
    /// [`RootsError::NoHome`].
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, RootsError> {
        let folder =
            |name| variable(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
        let home = folder("HOME").ok_or(RootsError::NoHome)?;
        Ok(Self {
            config_home: folder("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")),
            state_home: folder("XDG_STATE_HOME").unwrap_or_else(|| home.join(".local/state")),
            home,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(set: &[(&str, &str)]) -> Result<Roots, RootsError> {
        Roots::read(|name| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn absolute_variables_count_and_the_home_fills_in() {
        let found = roots(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "rel")]);
        let expected = Roots {
            home: "/h".into(),
            config_home: "/c".into(),
            state_home: "/h/.local/state".into(),
        };
        assert_eq!(found, Ok(expected));
        assert_eq!(
            roots(&[("HOME", "/h")]).expect("home").config_home,
            PathBuf::from("/h/.config")
        );
        assert_eq!(roots(&[]), Err(RootsError::NoHome));
        assert_eq!(roots(&[("HOME", "h")]), Err(RootsError::NoHome));
    }
}
