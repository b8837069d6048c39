//! The one place that starts `git`.
//!
//! Contract: the repository is the one of the folder given to [`Git::at`], or
//! the one given by [`Git::repository`], never the one that the environment
//! names ([`SCRUBBED`]); messages are English (`LC_ALL=C`); nothing is asked
//! (no terminal prompt, stdin is empty); the user's hooks and file-system
//! monitor do not run; output is captured whole; a read takes no locks. The
//! user's configuration, identity (`GIT_AUTHOR_*`) and `GIT_CONFIG_COUNT`
//! pairs count, as they are what the user asked for.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use super::{GitError, Oid};

/// Variables that redirect git to another repository, index or meaning of
/// paths. No child of cx gets them: neither git, nor a worker.
pub const SCRUBBED: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXTERNAL_DIFF",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INDEX_VERSION",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REFLOG_ACTION",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// What a finished `git` left.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its stdout.
    pub stdout: Vec<u8>,
    /// All of its stderr, as text.
    pub stderr: String,
    command: String,
}

impl Output {
    /// The exit code; a signal gives -1.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// stdout without the line end, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end_matches('\n').to_owned()
    }

    /// stdout as one object id.
    pub fn oid(&self) -> Result<Oid, GitError> {
        Oid::new(&self.text()).map_err(|_| GitError::Answer(self.command.clone()))
    }

    /// The error that this output is.
    pub fn error(&self) -> GitError {
        let exit = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no exit code".to_owned(),
        };
        GitError::Command {
            command: verb(&self.command),
            exit,
            message: telling_line(&self.stderr),
        }
    }

    /// `self` when the exit code is 0, and the error otherwise.
    pub fn success(self) -> Result<Self, GitError> {
        if self.status.success() { Ok(self) } else { Err(self.error()) }
    }
}

/// A command without what cx has passed to it: `git worktree add`.
fn verb(command: &str) -> String {
    let words: Vec<&str> = command.split(' ').take_while(|word| !word.starts_with('-')).collect();
    let has_two = matches!(words.get(1), Some(&("worktree" | "submodule" | "reflog")));
    words[..words.len().min(if has_two { 3 } else { 2 })].join(" ")
}

/// What in `stderr` says why: the first `fatal:` or `error:`, or the first line at all. One
/// that only announces others (`gpg failed to sign the data:`) comes with the last of them.
pub(super) fn telling_line(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let begins = |word: &str| lines.iter().position(|line| line.starts_with(word));
    let at = begins("fatal: ").or_else(|| begins("error: ")).unwrap_or_default();
    let Some(told) = lines.get(at) else { return "it said nothing".to_owned() };
    let told = told.trim_start_matches("fatal: ").trim_start_matches("error: ");
    let last = lines[at + 1..].iter().rfind(|line| !line.starts_with('['));
    match last.filter(|_| told.ends_with(':')) {
        Some(why) => format!("{told} {why}"),
        None => told.trim_end_matches(':').to_owned(),
    }
}

/// A `git` command that is being put together.
#[derive(Debug)]
pub struct Git {
    command: Command,
    shown: String,
    stdin: Option<Vec<u8>>,
    held: Option<File>,
}

impl Git {
    /// `git` in `folder`, whose repository it will find as git does.
    pub fn at(folder: &Path) -> Self {
        let mut command = scrubbed();
        command.current_dir(folder).stdin(Stdio::null());
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_EDITOR", ":");
        for setting in ["core.hooksPath=/dev/null", "core.fsmonitor=false"] {
            command.arg("-c").arg(setting);
        }
        Self { command, shown: "git".to_owned(), stdin: None, held: None }
    }

    /// Names the repository outright: its git dir and its checkout. What lies
    /// in the checkout as `.git` does not count then.
    #[must_use]
    pub fn repository(self, git_dir: &Path, checkout: &Path) -> Self {
        self.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", checkout)
    }

    /// Sets a variable for this command.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Sets a configuration value for this command; only before the first argument.
    #[must_use]
    pub fn config(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        let mut pair = OsString::from(key);
        pair.push("=");
        pair.push(value);
        self.command.arg("-c").arg(pair);
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        if self.shown.len() < 120 {
            self.shown.push(' ');
            self.shown.push_str(&arg.as_ref().to_string_lossy());
        }
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(self, args: I) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// What it reads on stdin. Without this stdin is empty.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Hands it an open file as stdin, so that a lock on that file lasts for
    /// as long as the child, even when cx is killed.
    #[must_use]
    pub fn holding(mut self, file: File) -> Self {
        self.held = Some(file);
        self
    }

    /// Runs it as a reader, taking no optional locks, and wants exit 0.
    pub fn read(self) -> Result<Output, GitError> {
        self.env("GIT_OPTIONAL_LOCKS", "0").output()?.success()
    }

    /// Runs it and wants exit 0.
    pub fn run(self) -> Result<Output, GitError> {
        self.output()?.success()
    }

    /// Runs it; every exit code is an answer.
    pub fn output(mut self) -> Result<Output, GitError> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(file) = self.held.take() {
            self.command.stdin(file);
        }
        let output = if let Some(bytes) = self.stdin.take() {
            let mut child = self.command.stdin(Stdio::piped()).spawn().map_err(GitError::NotRun)?;
            let stdin = child.stdin.take();
            // A thread writes, so that a full pipe in either direction blocks nobody.
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    // git may stop reading early; its exit code then says why.
                    stdin.map(|mut pipe| pipe.write_all(&bytes))
                });
                child.wait_with_output()
            })
        } else {
            self.command.output()
        }
        .map_err(GitError::NotRun)?;
        Ok(Output {
            status: output.status,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            command: self.shown,
        })
    }

    /// Starts it with pipes to its stdin and stdout, for a dialogue.
    pub(super) fn dialogue(mut self) -> Result<Dialogue, GitError> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(GitError::NotRun)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => {
                Ok(Dialogue { child, stdin, stdout: BufReader::new(stdout), command: self.shown })
            }
            _ => Err(GitError::Answer(self.shown)),
        }
    }
}

/// A `git` that answers line by line.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) child: Child,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: BufReader<ChildStdout>,
    pub(super) command: String,
}

impl Dialogue {
    /// Says `words` and reads the line that answers; none when it has ended.
    pub(super) fn ask(&mut self, words: &str) -> Option<String> {
        self.stdin.write_all(words.as_bytes()).and_then(|()| self.stdin.flush()).ok()?;
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Closes its stdin and collects how it ended.
    pub(super) fn finish(self) -> Result<Output, GitError> {
        drop(self.stdin);
        drop(self.stdout);
        let output = self.child.wait_with_output().map_err(GitError::NotRun)?;
        Ok(Output {
            status: output.status,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            command: self.command,
        })
    }
}

/// `git` with nothing but the scrubbed environment: for output that goes to the
/// user's terminal, in the user's language, colours and pager.
pub fn on_terminal(folder: &Path) -> Command {
    let mut command = scrubbed();
    command.current_dir(folder);
    command
}

/// The version of the `git` on the PATH: `[2, 47, 3]`.
pub fn version() -> Result<Vec<u32>, GitError> {
    let output = Git::at(Path::new("/")).arg("--version").read()?;
    let text = output.text();
    let word = text.split_whitespace().nth(2).unwrap_or_default();
    let parts: Vec<u32> = word.split('.').map_while(|part| part.parse().ok()).collect();
    if parts.len() < 2 { Err(GitError::Answer("git --version".to_owned())) } else { Ok(parts) }
}

fn scrubbed() -> Command {
    let mut command = Command::new("git");
    for key in SCRUBBED {
        command.env_remove(key);
    }
    #[cfg(test)]
    super::testing::environment(&mut command);
    command
}

/// The records of NUL-separated output, without the empty one after the last NUL.
pub(super) fn records(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|b| *b == 0).filter(move |_| !bytes.is_empty())
}

/// A path as git wrote it, byte for byte.
pub(super) fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Paths as git reads them with `-z --stdin`.
pub(super) fn nul_terminated<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for path in paths {
        bytes.extend_from_slice(path.as_os_str().as_bytes());
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_child_loses_what_redirects_git() {
        let local = Git::at(Path::new("/")).args(["rev-parse", "--local-env-vars"]).read().unwrap();
        // These are settings of the user's, not another repository.
        let kept = ["GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"];
        let local = local.text();
        for key in local.lines().filter(|key| !kept.contains(key)) {
            assert!(SCRUBBED.contains(&key), "git calls {key} local to a repository");
        }
        for command in [Git::at(Path::new("/")).command, on_terminal(Path::new("/"))] {
            for key in SCRUBBED {
                let mut envs = command.get_envs();
                assert!(envs.any(|(k, v)| k == OsStr::new(key) && v.is_none()), "{key}");
            }
        }
    }

    #[test]
    fn an_error_says_what_was_run_and_why_it_failed() {
        let error = Git::at(Path::new("/")).args(["cat-file", "-t", "nope"]).run().unwrap_err();
        let expected = "git cat-file failed: not a git repository (or any of the parent \
                        directories): .git";
        assert_eq!(error.to_string(), expected);
        assert_eq!(telling_line("warning: a\nhint: b\nfatal: c\n"), "c");
        assert_eq!(telling_line("\n  "), "it said nothing");
        let gpg =
            "error: gpg failed to sign the data:\n[GNUPG:] X\ngpg: no secret key\n[GNUPG:] Y\n";
        assert_eq!(telling_line(gpg), "gpg failed to sign the data: gpg: no secret key");
        assert_eq!(
            telling_line("error: gpg failed to sign the data:\n"),
            "gpg failed to sign the data"
        );
        assert_eq!(verb("git worktree add --no-track -b x /a"), "git worktree add");
        assert_eq!(verb("git merge-base a b"), "git merge-base");
    }

    #[test]
    fn large_input_and_output_do_not_block_each_other() {
        let line = format!("{}\n", "x".repeat(99));
        let input = line.repeat(20_000);
        let output = Git::at(Path::new("/")).arg("stripspace").stdin(input.clone()).run().unwrap();
        assert_eq!(output.stdout, input.as_bytes());
    }

    #[test]
    fn records_are_what_lies_between_nuls() {
        assert_eq!(records(b"").count(), 0);
        assert_eq!(records(b"a\0b\n\0").collect::<Vec<_>>(), [&b"a"[..], b"b\n"]);
    }
}
