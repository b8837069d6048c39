//! Starting workers.
//!
//! A worker gets a process group of its own, files for stdin, stdout and
//! stderr (never pipes: a grandchild that keeps a pipe open would hang us), and
//! the environment that its spawner had, less what names another repository.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    time::Instant,
};

use super::{confine, tree};
use crate::job::{ProcessRef, WorkerExit};

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
    begun: Instant,
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
        // Each of these is one more expression around it, and hardly ever is one set.
        for name in self.env_remove.iter().filter(|name| std::env::var_os(name).is_some()) {
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
        let begun = Instant::now();
        let handle = match &self.confine {
            None => expression.start()?,
            Some(writable) => confine::start_within(writable, || expression.start())?,
        };
        let pid = handle.pids().first().copied().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or_else(|| io::Error::other("the worker has no process id"))?;
        // It is our child and not reaped, so its entry is there.
        let process = tree::reference(pid).unwrap_or(ProcessRef { pid, start: 0 });
        Ok(Worker { handle, process, exit: None, begun })
    }
}

impl Worker {
    /// Its first process.
    pub fn process(&self) -> ProcessRef {
        self.process
    }

    /// When it was started.
    pub fn begun(&self) -> Instant {
        self.begun
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
