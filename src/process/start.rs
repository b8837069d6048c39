//! Starting supervisors and workers.
//!
//! # The hand-over
//! `cx spawn` starts the same binary again with the job's locked lock file as
//! its stdin. All signals are blocked across the start, so that neither the
//! terminal's Ctrl-C nor its hang-up can end a supervisor that has not left the
//! terminal's session yet; the supervisor calls `setsid` first of all and then
//! installs its handlers.
//!
//! # Workers
//! A worker gets a process group of its own, files for stdin, stdout and
//! stderr (never pipes: a grandchild that keeps a pipe open would hang us), and
//! the environment that its spawner had, less what names another repository.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, OwnedFd, RawFd},
        unix::{fs::OpenOptionsExt, process::CommandExt, process::ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{confine, signals, tree};
use crate::job::{ProcessRef, WorkerExit};

/// The hidden verb of the supervisor.
pub const SUPERVISE: &str = "__supervise";

/// The hidden verb that finds a new supervisor for a lost job.
pub const RECOVER: &str = "__recover";

/// The hidden verb that works through a run that was detached.
pub const RUN: &str = "__run";

/// This binary, also when it was replaced meanwhile.
pub fn own_binary() -> PathBuf {
    match env::current_exe() {
        Ok(path) if path.exists() => path,
        _ => PathBuf::from("/proc/self/exe"),
    }
}

/// Starts a supervisor with `args` behind the hidden verb and hands it `lock`.
///
/// It carries its job's mark (`id` as `CX_JOB_ID`), and so does whatever it
/// starts itself: a `git` that outlives a killed supervisor must be found.
pub fn supervisor(args: &[&OsStr], id: &str, lock: File) -> io::Result<()> {
    let mut command = Command::new(own_binary());
    command.arg0("cx").arg(SUPERVISE).args(args).env("CX_JOB_ID", id);
    command.stdin(Stdio::from(lock)).stdout(Stdio::null()).stderr(Stdio::null());
    let mask = signals::block_all()?;
    let started = command.spawn();
    signals::restore(mask)?;
    // Not waited for: it outlives us, and init reaps it.
    started.map(drop)
}

/// Starts a process that works through a run, with `args` behind the hidden verb,
/// and hands it the run's `lock`. What it says goes to `log`.
pub fn runner(args: &[&OsStr], lock: File, log: File) -> io::Result<()> {
    let mut command = Command::new(own_binary());
    command.arg0("cx").arg(RUN).args(args).stdin(Stdio::from(lock));
    command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
    let mask = signals::block_all()?;
    let started = command.spawn();
    signals::restore(mask)?;
    // Not waited for: it outlives us, and init reaps it.
    started.map(drop)
}

/// Runs this binary with a hidden verb to its end. Whether that went well.
pub fn helper(verb: &str, args: &[&OsStr]) -> io::Result<bool> {
    let mut command = Command::new(own_binary());
    command.arg0("cx").arg(verb).args(args).stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command.status()?.success())
}

/// Runs this binary with these arguments to its end, where we stand and with our
/// streams; `capture` takes its stdout. Whether it ended well.
pub fn own(args: &[String], capture: bool) -> io::Result<(bool, Option<Vec<u8>>)> {
    let mut command = Command::new(own_binary());
    command.arg0("cx").args(args).stdin(Stdio::null());
    if !capture {
        return Ok((command.status()?.success(), None));
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    Ok((output.status.success(), Some(output.stdout)))
}

/// What a supervisor does first: leaves the terminal's session, takes the lock
/// out of stdin, stands in no folder that somebody may want to remove, and
/// holds nothing open that its spawner had open: whoever reads from a pipe that
/// a script keeps as descriptor 3 must not have to wait for our end.
///
/// To be called before anything else is opened.
pub fn enter_supervisor() -> io::Result<OwnedFd> {
    nix::unistd::setsid()?;
    close_inherited()?;
    let lock = io::stdin().as_fd().try_clone_to_owned()?;
    let null = File::open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    env::set_current_dir("/")?;
    Ok(lock)
}

/// Closes every descriptor but the three standard ones.
fn close_inherited() -> io::Result<()> {
    let open = fs::read_dir("/proc/self/fd")?;
    let open: Vec<RawFd> =
        open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The listing itself is among them, and closed already.
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        let _ = nix::unistd::close(fd);
    }
    Ok(())
}

/// What a worker reads on stdin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    Null,
    /// This file, from its beginning.
    File(PathBuf),
}

/// A worker that is to be started.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// Absolute, or relative to `dir`.
    pub program: PathBuf,
    /// Without the program itself.
    pub args: Vec<OsString>,
    /// Working directory.
    pub dir: PathBuf,
    /// Added to the inherited environment.
    pub env: Vec<(OsString, OsString)>,
    /// Taken out of it.
    pub env_remove: Vec<String>,
    /// What it reads.
    pub stdin: Input,
    /// Its stdout goes here, appended.
    pub stdout: PathBuf,
    /// Its stderr goes here, appended.
    pub stderr: PathBuf,
    /// The only places that it may write to; `None` leaves it unconfined.
    pub confine: Option<Vec<PathBuf>>,
}

/// A worker that was started.
#[derive(Debug)]
pub struct Worker {
    handle: duct::Handle,
    process: ProcessRef,
    exit: Option<WorkerExit>,
}

impl WorkerCommand {
    /// Starts the worker.
    pub fn start(&self) -> io::Result<Worker> {
        let append =
            |path: &Path| OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        // Where it is relative it is meant from where the worker stands, and not from
        // where we do.
        let program = self.dir.join(&self.program);
        let mut expression = duct::cmd(program, &self.args).dir(&self.dir).unchecked();
        expression = match &self.stdin {
            Input::Null => expression.stdin_null(),
            Input::File(path) => expression.stdin_file(File::open(path)?),
        };
        expression =
            expression.stdout_file(append(&self.stdout)?).stderr_file(append(&self.stderr)?);
        for name in &self.env_remove {
            expression = expression.env_remove(name);
        }
        for (name, value) in &self.env {
            expression = expression.env(name, value);
        }
        // A group of its own: what the worker signals by group 0 is not us.
        expression = expression.before_spawn(|command| {
            command.process_group(0);
            Ok(())
        });
        let handle = match &self.confine {
            None => expression.start()?,
            Some(writable) => confine::start_within(writable, || expression.start())?,
        };
        let pid = handle.pids().first().copied().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or_else(|| io::Error::other("the worker has no process id"))?;
        // It is our child and not reaped, so its entry is there.
        let process = tree::reference(pid).unwrap_or(ProcessRef { pid, start: 0 });
        Ok(Worker { handle, process, exit: None })
    }
}

impl Worker {
    /// Its first process.
    pub fn process(&self) -> ProcessRef {
        self.process
    }

    pub(super) fn pid(&self) -> i32 {
        self.process.pid
    }

    /// How its first process ended, once it was reaped.
    pub fn exit(&self) -> Option<WorkerExit> {
        self.exit
    }

    /// Reaps the first process, which is known to be dead.
    pub(super) fn reap(&mut self) -> io::Result<()> {
        if let Some(output) = self.handle.try_wait()? {
            let status = output.status;
            self.exit = status
                .code()
                .map(WorkerExit::Code)
                .or_else(|| status.signal().map(WorkerExit::Signal));
        }
        Ok(())
    }
}
