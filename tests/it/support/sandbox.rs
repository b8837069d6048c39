//! A place for one test: a home, a repository, an empty environment.
//!
//! The folder lies under `target/tmp` and not in `/tmp`, which codex and a
//! confined reader treat specially. Every program that is started here carries
//! `CX_SANDBOX=...` in its environment, and so does all that it starts. When
//! the sandbox is dropped nothing of it may run any more: what does is ended,
//! and the test fails. A test that kills programs on purpose says so with
//! [`Sandbox::expect_leftovers`].

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::{GRACE, Gate, Ledger, Output, Running, processes};

/// The programs that every sandbox has on its PATH, besides `cx`. `id` is for
/// `/etc/profile`, which the login shells of codex read.
const TOOLS: &[&str] = &[
    "awk", "bash", "basename", "cat", "chmod", "cp", "cut", "dd", "dirname", "env", "false", "git",
    "grep", "head", "id", "kill", "ln", "ls", "mkdir", "mkfifo", "mv", "pwd", "readlink", "rm",
    "rmdir", "sed", "seq", "setsid", "sh", "sort", "tail", "test", "touch", "tr", "true", "uname",
    "wc",
];

/// When every commit in a sandbox was made, unless the test says otherwise:
/// 2026-01-02T03:04:05Z, in the form that cx reads without git.
const DATE: &str = "@1767323045 +0000";

/// See the module.
pub(crate) struct Sandbox {
    folder: TempDir,
    environment: BTreeMap<OsString, OsString>,
    leftovers_expected: AtomicBool,
    gates: Mutex<Vec<Arc<File>>>,
    grace: Duration,
}

impl Sandbox {
    /// A sandbox whose repository has one commit, on `main`.
    pub(crate) fn new() -> Self {
        let sandbox = Self::without_repository();
        sandbox.git(["init", "--quiet", "--initial-branch=main"]);
        sandbox.write("README.md", "A repository to work in.\n");
        sandbox.git(["add", "--all"]);
        sandbox.git(["commit", "--quiet", "--message=The first commit"]);
        sandbox
    }

    /// A sandbox where the folder `repo` is empty and no repository.
    pub(crate) fn without_repository() -> Self {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(place).expect("the folder for sandboxes can be made");
        let folder = tempfile::Builder::new()
            .prefix("cx-")
            .tempdir_in(place)
            .expect("a sandbox's folder can be made");
        let mut sandbox = Self {
            folder,
            environment: BTreeMap::new(),
            leftovers_expected: false.into(),
            gates: Mutex::default(),
            grace: GRACE,
        };
        for part in ["home", "config", "state", "tmp", "bin", "gates", "repo"] {
            fs::create_dir(sandbox.root().join(part)).expect("a folder of the sandbox can be made");
        }
        sandbox.set_environment();
        for tool in TOOLS {
            sandbox.add_tool(tool);
        }
        sandbox.link_tool("cx", Path::new(env!("CARGO_BIN_EXE_cx")));
        sandbox
    }

    fn set_environment(&mut self) {
        for (name, part) in [
            ("HOME", "home"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("TMPDIR", "tmp"),
            ("PATH", "bin"),
        ] {
            self.set(name, self.root().join(part));
        }
        for who in ["AUTHOR", "COMMITTER"] {
            self.set(format!("GIT_{who}_NAME"), "Test");
            self.set(format!("GIT_{who}_EMAIL"), "test@example.com");
            self.set(format!("GIT_{who}_DATE"), DATE);
        }
        // The sandbox lies in the repository of cx itself, which is out of bounds.
        self.set("GIT_CEILING_DIRECTORIES", self.root().to_owned());
        self.set("GIT_CONFIG_GLOBAL", "/dev/null");
        self.set("GIT_CONFIG_SYSTEM", "/dev/null");
        self.set("LC_ALL", "C.UTF-8");
        self.set("TZ", "UTC");
        self.set("COLUMNS", "100");
        let name = self.root().file_name().expect("a sandbox has a name").to_owned();
        self.set("CX_SANDBOX", name);
    }

    /// Sets a variable for all programs started from now on.
    pub(crate) fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.environment.insert(name.into(), value.into());
    }

    /// The environment of all programs here.
    pub(crate) fn environment(&self) -> &BTreeMap<OsString, OsString> {
        &self.environment
    }

    /// Puts a program of this machine on the sandbox's PATH.
    pub(crate) fn add_tool(&self, name: &str) {
        let program = which::which(name)
            .unwrap_or_else(|_| panic!("the tests need {name}: run scripts/setup-tests"));
        self.link_tool(name, &program);
    }

    /// Puts `program` on the sandbox's PATH as `name`.
    pub(crate) fn link_tool(&self, name: &str, program: &Path) {
        symlink(program, self.root().join("bin").join(name)).expect("a tool can be linked");
    }

    /// Puts a shell script of the test's own on the sandbox's PATH.
    pub(crate) fn script_tool(&self, name: &str, body: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.root().join("bin").join(name);
        // It may be a link to the real one, which is not to be written through.
        let _ = fs::remove_file(&path);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("a script can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod works");
    }

    /// The folder that holds everything.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The repository, where programs are started unless they are told otherwise.
    pub(crate) fn repo(&self) -> PathBuf {
        self.root().join("repo")
    }

    /// The ledger of the repository.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::at(self.repo().join(".git/cx/ledger.jsonl"))
    }

    /// A new gate for a scripted worker.
    pub(crate) fn gate(&self, name: &str) -> Gate {
        let gate = Gate::at(&self.root().join("gates").join(name));
        self.gates.lock().unwrap().push(gate.hold());
        gate
    }

    /// Writes a file of the repository, and the folders that it needs.
    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.repo().join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("mkdir works");
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Reads a file of the repository, which must be UTF-8.
    #[track_caller]
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.repo().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A command in this sandbox, in the repository, with nothing on stdin. A
    /// name is looked up on the sandbox's PATH only.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(self.root().join("bin").join(program));
        command.env_clear().envs(&self.environment);
        command.current_dir(self.repo()).stdin(Stdio::null());
        command
    }

    /// The command `cx ...`.
    pub(crate) fn cx_command(&self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Command {
        let mut command = self.command("cx");
        command.args(args);
        command
    }

    /// Runs `cx ...` to its end.
    #[track_caller]
    pub(crate) fn cx(&self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Output {
        self.run(self.cx_command(args))
    }

    /// Runs a shell script to its end.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> Output {
        let mut command = self.command("sh");
        command.arg("-c").arg(script);
        self.run(command)
    }

    /// Runs git, which must succeed, and gives what it printed without the last newline.
    #[track_caller]
    pub(crate) fn git(&self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> String {
        let mut command = self.command("git");
        command.args(args);
        let mut said = self.run(command).ok().stdout();
        if said.ends_with('\n') {
            said.pop();
        }
        said
    }

    /// Runs a command of this sandbox to its end.
    #[track_caller]
    pub(crate) fn run(&self, command: Command) -> Output {
        self.start(command).finish()
    }

    /// Runs a command with these bytes on a pipe as its stdin.
    #[track_caller]
    pub(crate) fn run_with_input(&self, command: Command, input: impl Into<Vec<u8>>) -> Output {
        Running::start(self.checked(command), Some(input.into()), self.grace).finish()
    }

    /// Starts a command of this sandbox.
    #[track_caller]
    pub(crate) fn start(&self, command: Command) -> Running {
        Running::start(self.checked(command), None, self.grace)
    }

    /// Only what carries our mark is found again when the test ends.
    #[track_caller]
    fn checked(&self, command: Command) -> Command {
        let marked = command.get_envs().any(|(name, value)| {
            name == "CX_SANDBOX" && value == self.environment.get(name).map(OsString::as_os_str)
        });
        assert!(marked, "{command:?} was not made by this sandbox");
        command
    }

    /// `text` with the sandbox's own folder as `[ROOT]`, for snapshots.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(self.root().to_str().expect("sandboxes have UTF-8 paths"), "[ROOT]")
    }

    /// This test leaves processes or locks behind on purpose, by killing what
    /// would have tidied up. They are still ended.
    pub(crate) fn expect_leftovers(&self) {
        self.leftovers_expected.store(true, Ordering::Relaxed);
    }

    /// Gives programs hardly any time to exit by themselves, for a test that
    /// expects the sandbox to complain.
    pub(crate) fn lose_patience(&mut self) {
        self.grace = Duration::from_millis(200);
    }

    /// The commands of all processes of this sandbox that are alive.
    pub(crate) fn live_processes(&self) -> Vec<String> {
        processes::with_variable(&self.mark()).into_iter().map(|process| process.what).collect()
    }

    /// Waits until nothing of this sandbox runs any more.
    #[track_caller]
    pub(crate) fn until_quiet(&self) {
        let quiet = processes::all_exit(&self.mark(), super::DEADLINE);
        assert!(quiet, "still run: {:?}", self.live_processes());
    }

    fn mark(&self) -> String {
        let name = self.root().file_name().and_then(OsStr::to_str);
        format!("CX_SANDBOX={}", name.expect("sandboxes have UTF-8 names"))
    }

    /// What lies about in the repository that an orderly end removes.
    fn litter(&self) -> Vec<String> {
        let git = self.repo().join(".git");
        let mut litter = Vec::new();
        let worktrees = fs::read_dir(git.join("worktrees")).into_iter().flatten().flatten();
        for worktree in worktrees.map(|entry| entry.path()) {
            for lock in ["locked", "index.lock", "HEAD.lock"] {
                litter.push(worktree.join(lock));
            }
        }
        for lock in ["index.lock", "HEAD.lock", "config.lock", "packed-refs.lock"] {
            litter.push(git.join(lock));
        }
        litter.retain(|path| path.exists());
        let in_refs = files_below(&git.join("refs"));
        litter.extend(in_refs.into_iter().filter(|path| path.extension() == Some("lock".as_ref())));
        litter.into_iter().map(|path| path.display().to_string()).collect()
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_below(&entry.path())),
            _ => files.push(entry.path()),
        }
    }
    files
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let forgiving = self.leftovers_expected.load(Ordering::Relaxed);
        if !forgiving && !thread::panicking() {
            processes::all_exit(&self.mark(), self.grace);
        }
        let mut complaint = String::new();
        for survivor in processes::end_all(&self.mark()) {
            let _ = write!(complaint, "\n  still ran: {survivor}");
        }
        for lock in self.litter() {
            let _ = write!(complaint, "\n  still locked: {lock}");
        }
        if forgiving {
            complaint.clear();
        }
        if std::env::var_os("CX_KEEP_SANDBOX").is_some() {
            self.folder.disable_cleanup(true);
        } else if let Err(error) = fs::remove_dir_all(self.root()) {
            let _ = write!(complaint, "\n  cannot be removed: {error}");
        }
        if complaint.is_empty() {
            return;
        }
        let complaint =
            format!("the sandbox {} was left untidy:{complaint}", self.root().display());
        if thread::panicking() {
            #[expect(clippy::print_stderr, reason = "a second panic would hide the first")]
            {
                eprintln!("{complaint}");
            }
        } else {
            panic!("{complaint}");
        }
    }
}
