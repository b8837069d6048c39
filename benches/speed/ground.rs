//! Where the measured programs run: a scratch repository, an environment with
//! nothing of this machine in it, and ledgers with a past.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cx::{
    job::{BackendName, JobId, JobName, Mode, Outcome, ProcessRef, WorkerExit},
    ledger::{Event, Exited, Running, Spawned, Started, Store},
};
use tempfile::TempDir;

use crate::Result;

/// The binary that is measured: built with the profile of this bench.
pub(crate) const BUILT: &str = env!("CARGO_BIN_EXE_cx");

/// A scratch repository; gone with this value.
pub(crate) struct Ground {
    folder: TempDir,
}

impl Ground {
    /// An empty repository with one commit.
    pub(crate) fn new() -> Result<Self> {
        let ground = Self { folder: tempfile::Builder::new().prefix("cx-speed-").tempdir()? };
        for part in ["home", "repo"] {
            fs::create_dir(ground.path(part))?;
        }
        // A copy, as `cargo install` makes one: what a linker has just written lies
        // in single pages in the page cache, and takes a fifth longer to start.
        fs::copy(BUILT, ground.path("cx"))?;
        ground.quiet("git", ["init", "--quiet", "--initial-branch=main"])?;
        ground.quiet("git", ["commit", "--quiet", "--allow-empty", "--message=start"])?;
        Ok(ground)
    }

    /// A path beside the repository.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The repository's state.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.path("repo/.git/cx"))
    }

    /// A program that is to run in the repository, with nothing on its streams.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path("repo"))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Bench");
            command.env(format!("GIT_{who}_EMAIL"), "bench@example.com");
        }
        command
    }

    /// `cx` with these arguments.
    pub(crate) fn cx<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(self.path("cx"));
        command.args(args);
        command
    }

    /// `cx` with these arguments, to its end, which has to be a success.
    pub(crate) fn quiet_cx<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        succeed(&mut self.cx(args))
    }

    /// Runs a program that has to succeed.
    pub(crate) fn quiet<S: AsRef<OsStr>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        succeed(self.command(program).args(args))
    }

    /// Gives the repository a past of `count` ended jobs, and the snapshot that
    /// the last of their supervisors would have left.
    pub(crate) fn with_past(self, count: u64, collected: bool) -> Result<Self> {
        let store = self.store();
        let cwd = self.path("repo").display().to_string();
        let mut appender = store.appender()?;
        for number in 1..=count {
            let job = JobId(number);
            let process = ProcessRef { pid: 1_000_000, start: 1 };
            let events = [
                Event::Spawned(Box::new(spawned(number, &cwd)?)),
                Event::Started(Started { supervisor: process }),
                Event::Running(Running { worker: process }),
                Event::Exited(Box::new(exited())),
                Event::Collected,
            ];
            let events = events.iter().take(if collected { 5 } else { 4 });
            for event in events {
                appender.append(job, event)?;
            }
        }
        drop(appender);
        store.refresh_snapshot();
        Ok(self)
    }

    /// The supervisors of so many jobs, once all their workers run.
    pub(crate) fn running(&self, count: usize) -> Result<Vec<i32>> {
        let mut supervisors = Vec::new();
        until("workers that run", || {
            let Ok(state) = self.store().state() else { return false };
            let running = state.jobs.values().filter(|job| job.worker.is_some());
            supervisors = running.filter_map(|job| job.supervisor).map(|s| s.pid).collect();
            supervisors.len() == count
        })?;
        Ok(supervisors)
    }
}

pub(crate) fn spawned(number: u64, cwd: &str) -> Result<Spawned> {
    Ok(Spawned {
        id: format!("{number:016x}"),
        name: JobName::new(&format!("job-{number}")).map_err(io::Error::other)?,
        mode: Mode::Reader,
        backend: BackendName::SH,
        program: "/usr/bin/sh".to_owned(),
        argv: Vec::new(),
        agent: None,
        alias: None,
        hooks: None,
        endpoint: None,
        model: None,
        run: None,
        task: None,
        group: None,
        cwd: cwd.to_owned(),
        checkout: Some(cwd.to_owned()),
        tree: None,
        scope: Vec::new(),
        resolves: None,
        resumes: None,
        repeats: None,
        port: None,
        after: Vec::new(),
        timeout_ms: None,
        silence_ms: None,
        budgets: Vec::new(),
        price: None,
        hold: None,
        grace_ms: 10_000,
        max_jobs: None,
        pools: Vec::new(),
        setup: Vec::new(),
        include: Vec::new(),
        fallbacks: Vec::new(),
        extra_args: Vec::new(),
        env_exclude: Vec::new(),
        git: false,
        mcp: false,
        schema: false,
        checkpoint_ms: None,
        secrets: Vec::new(),
        sharing: None,
        notice: None,
        title: "true".to_owned(),
    })
}

pub(crate) fn exited() -> Exited {
    Exited { exit: Some(WorkerExit::Code(0)), ran_ms: 1, ..Exited::of(Outcome::Succeeded) }
}

/// Runs a command that has to succeed.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let output = command.stderr(Stdio::piped()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} failed ({}): {said}", output.status).into())
}

/// From the start of a command until it is gone. It has to succeed.
pub(crate) fn time(command: &mut Command) -> Result<Duration> {
    let begin = Instant::now();
    let status = command.status()?;
    let took = begin.elapsed();
    if status.success() { Ok(took) } else { Err(format!("{command:?} failed ({status})").into()) }
}

/// A FIFO: who opens it for reading sleeps until [`open_gate`] lets go of it.
pub(crate) fn make_gate(path: &Path) -> Result<()> {
    succeed(Command::new("mkfifo").arg(path))
}

/// Returns once somebody sleeps at the gate; dropping the file wakes them.
pub(crate) fn open_gate(path: &Path) -> io::Result<File> {
    File::options().write(true).open(path)
}

/// Looks every millisecond until something is so, for at most a minute.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !so() {
        if begin.elapsed() > Duration::from_mins(1) {
            return Err(format!("waited a minute in vain: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
