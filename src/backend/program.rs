//! Finding the program that does a job's work.
//!
//! This runs in the foreground of `cx spawn`: a few `stat`s, and one `read` of
//! 4 KiB where codex is no symlink. Nothing is listed and nothing is run.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Backend, Family};

/// Where npm puts the native binary of this machine: the platform package and
/// the target triple.
#[cfg(target_arch = "aarch64")]
const CODEX_PLATFORM: (&str, &str) = ("codex-linux-arm64", "aarch64-unknown-linux-musl");
#[cfg(not(target_arch = "aarch64"))]
const CODEX_PLATFORM: (&str, &str) = ("codex-linux-x64", "x86_64-unknown-linux-musl");

/// The end of the path of npm's node wrapper.
const CODEX_WRAPPER: &str = "@openai/codex/bin/codex.js";

/// A program that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its path, absolute.
    pub path: PathBuf,
    /// False for a script that starts another process, such as codex's node
    /// wrapper: a SIGKILL on that one leaves the real worker running.
    pub native: bool,
}

/// Why a program cannot be started. Reads as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// There is none of that name.
    #[error(
        "{} was not found{}",
        if program.is_empty() { "the program, whose name is empty," } else { program },
        if program.contains('/') { "" } else { " on PATH" }
    )]
    NotFound {
        /// How it is installed, where that is known.
        install: Option<String>,
        /// The name or path that was looked for.
        program: String,
    },
    /// A file is there, but it cannot be executed.
    #[error("{} cannot be executed", path.display())]
    NotExecutable {
        /// That file.
        path: PathBuf,
    },
}

impl ProgramError {
    /// The exit code of shells for it: 127 not found, 126 not executable.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
        }
    }

    /// What helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { install, .. } => {
                install.as_ref().map(|how| format!("install it: {how}"))
            }
            Self::NotExecutable { path } => Some(format!("chmod +x {}", path.display())),
        }
    }
}

/// Finds the program of a backend: `configured` (a path, or a name to look for)
/// or else the backend's usual name, in the folders of `path_env`.
pub fn locate(
    backend: &Backend,
    configured: Option<&Path>,
    path_env: &OsStr,
) -> Result<Program, ProgramError> {
    let name = configured.map_or(OsStr::new(usual_name(backend)), Path::as_os_str);
    let path = find(name, install(backend), path_env)?;
    Ok(match &backend.family {
        Family::Codex => native_codex(&path),
        Family::Claude | Family::Command(_) => {
            let native = !head(&path).starts_with(b"#!");
            Program { path, native }
        }
        Family::Http | Family::Sh => Program { path, native: true },
    })
}

/// Finds the first word of an argv, as a shell would. A relative path with a `/`
/// is looked up where the worker starts, which may not exist yet: it is given
/// back as it is.
pub fn locate_word(word: &OsStr, path_env: &OsStr) -> Result<PathBuf, ProgramError> {
    if word.as_bytes().contains(&b'/') && !Path::new(word).is_absolute() {
        return Ok(PathBuf::from(word));
    }
    find(word, None, path_env)
}

/// What the program of a backend is called.
fn usual_name(backend: &Backend) -> &str {
    match &backend.family {
        Family::Codex => "codex",
        Family::Claude => "claude",
        Family::Http => "curl",
        Family::Sh => "sh",
        Family::Command(command) => command.argv.first().map_or("", String::as_str),
    }
}

/// The command that installs the program of a backend.
pub fn install(backend: &Backend) -> Option<&str> {
    match &backend.family {
        Family::Codex => Some("npm install -g @openai/codex"),
        Family::Claude => Some("npm install -g @anthropic-ai/claude-code"),
        Family::Http => Some("apt install curl, dnf install curl or the like"),
        Family::Sh => None,
        Family::Command(command) => command.install.as_deref(),
    }
}

fn find(name: &OsStr, install: Option<&str>, path_env: &OsStr) -> Result<PathBuf, ProgramError> {
    // Relative folders in PATH count from here; what is given back is absolute.
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    which::which_in(name, Some(path_env), &cwd).map_err(|_| {
        let candidates = || -> Vec<PathBuf> {
            if name.as_bytes().contains(&b'/') {
                return vec![cwd.join(name)];
            }
            std::env::split_paths(path_env).map(|dir| cwd.join(dir).join(name)).collect()
        };
        match candidates().into_iter().find(|path| path.is_file()) {
            Some(path) => ProgramError::NotExecutable { path },
            None => ProgramError::NotFound {
                install: install.map(str::to_owned),
                program: name.display().to_string(),
            },
        }
    })
}

/// The native binary behind npm's or pnpm's `codex`, or `found` itself.
fn native_codex(found: &Path) -> Program {
    let mut real = fs::canonicalize(found).unwrap_or_else(|_| found.to_owned());
    let mut script = false;
    if !real.ends_with(CODEX_WRAPPER) {
        let head = head(&real);
        script = head.starts_with(b"#!");
        if script && let Some(target) = shim_target(&head, real.parent()) {
            real = target;
        }
    }
    if !real.ends_with(CODEX_WRAPPER) {
        return Program { path: found.to_owned(), native: !script };
    }
    let (platform, triple) = CODEX_PLATFORM;
    // .../node_modules/@openai/codex
    let package = real.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let nested = package.join("node_modules/@openai").join(platform);
    let sibling = package.with_file_name(platform);
    [nested, sibling, package.to_owned()]
        .into_iter()
        .map(|home| home.join("vendor").join(triple).join("bin/codex"))
        .find(|path| path.is_file())
        .map_or_else(
            || Program { path: found.to_owned(), native: false },
            |path| Program { path, native: true },
        )
}

/// The first 4 KiB of a file, or what there is of them.
fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = File::open(path) {
        // Half a head is as good as none: it only has to be recognised.
        let _ = file.take(4096).read_to_end(&mut head);
    }
    head
}

/// The node wrapper that a pnpm shim starts: `exec node "$basedir/.../codex.js"`.
fn shim_target(head: &[u8], folder: Option<&Path>) -> Option<PathBuf> {
    let text = str::from_utf8(head).ok()?;
    let path = text
        .split("\"$basedir/")
        .filter_map(|part| part.split('"').next())
        .find(|path| path.ends_with(CODEX_WRAPPER))?;
    fs::canonicalize(folder?.join(path)).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use tempfile::TempDir;

    use super::*;
    use crate::backend::testing::CODEX;

    /// A folder with `files` in it, executable where they are in a `bin`.
    fn layout(files: &[(&str, &str)]) -> TempDir {
        let dir = tempfile::tempdir().expect("folder");
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("folders");
            fs::write(&path, text).expect("writes");
            let mode = if name.contains("plain") { 0o644 } else { 0o755 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        }
        dir
    }

    fn codex(dir: &TempDir, path_env: &str) -> Program {
        let path_env = dir.path().join(path_env);
        let program = locate(&CODEX, None, path_env.as_os_str()).expect("found");
        let real = fs::canonicalize(dir.path()).expect("real");
        let path = program.path.strip_prefix(&real).or(program.path.strip_prefix(dir.path()));
        Program { path: path.expect("inside").to_owned(), native: program.native }
    }

    fn native(platform_home: &str) -> String {
        let (platform, triple) = CODEX_PLATFORM;
        format!("{platform_home}/{platform}/vendor/{triple}/bin/codex")
    }

    #[test]
    fn the_native_binary_is_preferred_to_npms_wrapper() {
        const JS: (&str, &str) =
            ("lib/node_modules/@openai/codex/bin/codex.js", "#!/usr/bin/env node\n");
        for home in
            ["lib/node_modules/@openai", "lib/node_modules/@openai/codex/node_modules/@openai"]
        {
            let native = native(home);
            let dir = layout(&[JS, (&native, "\x7fELF")]);
            fs::create_dir(dir.path().join("bin")).expect("bin");
            symlink(format!("../{}", JS.0), dir.path().join("bin/codex")).expect("links");
            assert_eq!(codex(&dir, "bin"), Program { path: native.into(), native: true });
        }
        // Nothing native: the wrapper is better than nothing.
        let dir = layout(&[JS]);
        fs::create_dir(dir.path().join("bin")).expect("bin");
        symlink(format!("../{}", JS.0), dir.path().join("bin/codex")).expect("links");
        assert_eq!(codex(&dir, "bin"), Program { path: "bin/codex".into(), native: false });
    }

    #[test]
    fn pnpm_starts_the_wrapper_from_a_script() {
        let store = "store/node_modules/@openai";
        let wrapper = format!("{store}/codex/bin/codex.js");
        let native = native(store);
        let shim = "#!/bin/sh\nbasedir=$(dirname \"$0\")\nif [ -x \"$basedir/node\" ]; then\n  exec \
                    \"$basedir/node\"  \"$basedir/global/@openai/codex/bin/codex.js\" \"$@\"\nfi\n";
        let dir = layout(&[(&wrapper, "#!"), (&native, "\x7fELF"), ("bin/codex", shim)]);
        fs::create_dir_all(dir.path().join("bin/global/@openai")).expect("folders");
        let link = dir.path().join("bin/global/@openai/codex");
        symlink(dir.path().join(store).join("codex"), link).expect("links");
        assert_eq!(codex(&dir, "bin"), Program { path: native.into(), native: true });
    }

    #[test]
    fn other_binaries_and_scripts_are_taken_as_they_are() {
        let dir = layout(&[("bin/codex", "\x7fELF"), ("shims/codex", "#!/bin/sh\nexec x\n")]);
        assert_eq!(codex(&dir, "bin"), Program { path: "bin/codex".into(), native: true });
        assert_eq!(codex(&dir, "shims"), Program { path: "shims/codex".into(), native: false });
        let path = dir.path().join("bin/codex");
        let program = locate(&CODEX, Some(&path), OsStr::new("")).expect("found");
        assert_eq!(program, Program { path, native: true });
    }

    #[test]
    fn what_is_missing_and_what_cannot_run() {
        let dir = layout(&[("plain/codex", "")]);
        let path_env = dir.path().join("none");
        let err = locate(&CODEX, None, path_env.as_os_str()).expect_err("missing");
        assert_eq!(
            (err.to_string().as_str(), err.exit_code()),
            ("codex was not found on PATH", 127)
        );
        assert_eq!(err.hint().as_deref(), Some("install it: npm install -g @openai/codex"));
        let path_env = dir.path().join("plain");
        let err = locate(&CODEX, None, path_env.as_os_str()).expect_err("plain file");
        assert_eq!(err, ProgramError::NotExecutable { path: path_env.join("codex") });
        assert_eq!(err.exit_code(), 126);
        let path = dir.path().join("none/codex");
        let err = locate(&CODEX, Some(&path), OsStr::new("")).expect_err("missing");
        assert_eq!(err.to_string(), format!("{} was not found", path.display()));
    }

    #[test]
    fn the_first_word_of_an_argv() {
        let dir = layout(&[("bin/tool", "#!/bin/sh\n")]);
        let bin = dir.path().join("bin");
        let found = locate_word(OsStr::new("tool"), bin.as_os_str());
        assert_eq!(found, Ok(bin.join("tool")));
        assert_eq!(locate_word(OsStr::new("./x"), bin.as_os_str()), Ok("./x".into()));
        assert!(locate_word(OsStr::new("nope"), bin.as_os_str()).is_err());
    }
}
