//! A command of a worker within bounds (`cx --within COMMAND`).
//!
//! Some programs can be told to put a word or two before each command that they
//! run. With this one there, a command is confined more tightly than the program
//! that asks for it, which has to write to its login and its sessions, and does
//! not see the variables that hold secrets.
//!
//! The bounds come in a variable. Without it, or when they cannot be had,
//! nothing runs: exit code 126. This process becomes the shell, so there is none
//! more.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, Write},
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use serde::{Deserialize, Serialize};

use super::confine;
use crate::job::secret::fits_name;

/// What stands between cx and the command. It is an option by its looks because
/// claude takes the last word that begins with `-` for the first argument, and
/// all before it for the program's path.
pub const WITHIN: &str = "--within";

/// The variable with the bounds.
const VARIABLE: &str = "CX_WITHIN";

/// Set by claude for hooks and servers, and not for the commands of the model:
/// those are the person's own, and may need what is kept from a model.
const NOT_OF_THE_MODEL: &str = "CLAUDE_PROJECT_DIR";

/// What a command may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The only places that it may write to; `None` leaves it unconfined.
    pub writable: Option<Vec<PathBuf>>,
    /// Patterns of variables that it must not see, with `*` and `?`, in any case.
    pub exclude: Vec<String>,
}

impl Bounds {
    /// The variables that put them around each command of a program that reads the
    /// words to put before it from `prefix`.
    pub fn environment(&self, prefix: &str) -> io::Result<Vec<(OsString, OsString)>> {
        let mut words = own_path()?.into_os_string();
        words.push(" ");
        words.push(WITHIN);
        let bounds = serde_json::to_string(self).map_err(io::Error::other)?;
        Ok(vec![(prefix.into(), words), (VARIABLE.into(), bounds.into())])
    }
}

/// Where this binary lies; after it was replaced, where the new one does.
fn own_path() -> io::Result<PathBuf> {
    let path = env::current_exe()?;
    match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(replaced) if !path.exists() => Ok(PathBuf::from(OsStr::from_bytes(replaced))),
        _ => Ok(path),
    }
}

/// Runs `args`, one command for a shell, within the bounds of the environment.
pub fn main(args: &[OsString]) -> ExitCode {
    let error = match run(args) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    let _ = writeln!(io::stderr(), "cx: this command was not run: {error}");
    ExitCode::from(126)
}

fn run(args: &[OsString]) -> io::Result<std::convert::Infallible> {
    let [script] = args else {
        return Err(io::Error::other("it is not one command for a shell"));
    };
    let bounds = env::var(VARIABLE).map_err(|_| io::Error::other("its bounds are not known"))?;
    let bounds: Bounds = serde_json::from_str(&bounds).map_err(io::Error::other)?;
    let mut command = Command::new(shell());
    command.arg("-c").arg(script).env_remove(VARIABLE);
    if env::var_os(NOT_OF_THE_MODEL).is_none() {
        for (name, _) in env::vars_os() {
            if bounds.exclude.iter().any(|pattern| fits_name(pattern, &name.to_string_lossy())) {
                command.env_remove(name);
            }
        }
    }
    if let Some(writable) = &bounds.writable {
        confine::confine(writable).map_err(io::Error::other)?;
    }
    Err(command.exec())
}

/// The shell that the command was written for: claude says it in `SHELL`.
fn shell() -> OsString {
    let shell = env::var_os("SHELL").unwrap_or_default();
    let name = Path::new(&shell).file_name().and_then(OsStr::to_str);
    if matches!(name, Some("bash" | "zsh")) { shell } else { "bash".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_before_a_command_end_with_the_option() {
        let bounds =
            Bounds { writable: Some(vec!["/tmp/a b".into()]), exclude: vec!["*K*".into()] };
        let environment = bounds.environment("PREFIX").expect("a binary");
        let (name, words) = &environment[0];
        assert_eq!(name, "PREFIX");
        assert!(words.to_str().expect("text").ends_with(" --within"), "{words:?}");
        let (name, json) = &environment[1];
        assert_eq!(name, VARIABLE);
        let back: Bounds = serde_json::from_str(json.to_str().expect("text")).expect("reads");
        assert_eq!(back, bounds);
    }
}
