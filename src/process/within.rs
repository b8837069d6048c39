//! A command of a worker within bounds (`cx-within COMMAND`).
//!
//! Some programs can be told to put a word before each command that they run. With this
//! one there, a command is confined more tightly than the program
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
    os::unix::{ffi::OsStrExt, fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use serde::{Deserialize, Serialize};

use super::confine;
use crate::job::secret::fits_name;

/// The name by which this binary is called for that, a link in the job's folder. It is one
/// word, because claude takes all that it is given for the path of a program, at least when
/// it starts a server.
pub const WITHIN: &str = "cx-within";

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
    /// The command of the server of our own tools, which the worker's program starts as it
    /// does any other. It is not confined further, since it has to write to the state; a
    /// worker that runs it as a command gets what it has anyway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server: Vec<String>,
}

impl Bounds {
    /// The variables that put them around each command of a program that reads the
    /// word to put before it from `prefix`. Makes the link that this word names in `dir`,
    /// in which the worker must not be able to write.
    pub fn environment(&self, prefix: &str, dir: &Path) -> io::Result<Vec<(OsString, OsString)>> {
        let link = dir.join(WITHIN);
        match symlink(own_path()?, &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let bounds = serde_json::to_string(self).map_err(io::Error::other)?;
        Ok(vec![(prefix.into(), link.into()), (VARIABLE.into(), bounds.into())])
    }

    /// Whether a command is the server of our own tools, as a program quotes it.
    fn is_server(&self, script: &str) -> bool {
        let mut rest = Some(script);
        for (at, word) in self.server.iter().enumerate() {
            let said = rest.map(|rest| if at > 0 { rest.strip_prefix(' ') } else { Some(rest) });
            let bare = word.chars().all(|c| c.is_alphanumeric() || "/._-+:@%,=".contains(c));
            let forms = [word.clone(), format!("'{word}'"), format!("\"{word}\"")];
            let quoted = !word.contains(['\'', '"', '$', '`', '\\', '!']);
            let forms =
                forms.iter().enumerate().filter(|(form, _)| if *form == 0 { bare } else { quoted });
            rest = said.flatten().and_then(|said| {
                forms.map(|(_, form)| form).find_map(|form| said.strip_prefix(form.as_str()))
            });
        }
        !self.server.is_empty() && rest == Some("")
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
    if let (true, [program, args @ ..]) =
        (bounds.is_server(&script.to_string_lossy()), bounds.server.as_slice())
    {
        return Err(Command::new(program).args(args).env_remove(VARIABLE).exec());
    }
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

    fn bounds(server: &[&str]) -> Bounds {
        Bounds {
            writable: Some(vec!["/tmp/a b".into()]),
            exclude: vec!["*K*".into()],
            server: server.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    #[test]
    fn the_word_before_a_command_is_a_link_to_this_binary() {
        let dir = tempfile::tempdir().expect("a folder");
        let bounds = bounds(&[]);
        let environment = bounds.environment("PREFIX", dir.path()).expect("a link");
        // A worker that is tried again has it already.
        assert_eq!(bounds.environment("PREFIX", dir.path()).expect("the link"), environment);
        let (name, word) = &environment[0];
        assert_eq!(
            (name.as_os_str(), Path::new(word)),
            ("PREFIX".as_ref(), &*dir.path().join(WITHIN))
        );
        assert_eq!(std::fs::read_link(word).ok(), env::current_exe().ok());
        let (name, json) = &environment[1];
        assert_eq!(name, VARIABLE);
        let back: Bounds = serde_json::from_str(json.to_str().expect("text")).expect("reads");
        assert_eq!(back, bounds);
    }

    #[test]
    fn only_the_very_server_is_not_confined_further() {
        let bounds = bounds(&["/bin/cx", "-C", "/a b", "mcp"]);
        assert!(bounds.is_server("/bin/cx -C '/a b' mcp"));
        assert!(bounds.is_server("'/bin/cx' '-C' \"/a b\" mcp"));
        for other in [
            "",
            "/bin/cx -C '/a b' mcp; rm x",
            "/bin/cx -C '/a b' mcp ",
            "/bin/cx -C /a b mcp",
            "/bin/cx -C '/a b'mcp",
            "/bin/cx  -C '/a b' mcp",
            "CX_JOB=2 /bin/cx -C '/a b' mcp",
            "/bin/cx -C '/a b'",
        ] {
            assert!(!bounds.is_server(other), "{other}");
        }
        assert!(
            !super::Bounds { server: vec!["$(x)".to_owned()], ..bounds.clone() }
                .is_server("\"$(x)\"")
        );
        assert!(!super::Bounds { server: Vec::new(), ..bounds }.is_server(""));
    }
}
