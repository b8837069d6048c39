//! Supervisors: the process that owns one worker. There is one for each job and
//! no daemon above them.
//!
//! # Theory of operation
//! `cx spawn` writes `spawned`, starts a supervisor and hands it the job's
//! locked lock file. The supervisor then goes through these steps, each of
//! which is one event in the ledger:
//!
//! 1. `started`: it has left the terminal's session and hears signals.
//! 2. `waiting`, `queued`, `admitted`: it waits for the jobs it comes after and
//!    for its turn, asleep on other jobs' locks ([`queue`]).
//! 3. `worktree`: a writer's worktree and branch are made ([`prepare`]).
//! 4. `running`: the worker runs, and limits and requests are watched ([`watch`]).
//! 5. Everything below it is ended, what a writer left is committed, the answer
//!    is written down ([`finish`]), then `exited`, and only then the lock goes.
//!
//! # What a crash leaves
//! `kill -9` at any point frees the lock with no `exited` in the ledger. The
//! next command that looks writes `lost` and starts a supervisor again with the
//! lock in hand, in recovery ([`recover`]): it ends what runs, commits what
//! lies in the worktree, writes `exited` with the outcome `lost`. Every step of
//! that can be done twice.

mod finish;
mod prepare;
mod queue;
mod recover;
mod watch;

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    job::{JobId, Outcome, WorkerExit},
    ledger::{Event, Follower, JobFiles, Note, Spawned, Started, Store, StoreError},
    process::{crash, signals::Signals, start, tree},
};

/// One job, while its supervisor lives.
struct Supervisor {
    store: Store,
    id: JobId,
    spec: Spawned,
    files: JobFiles,
    lock: OwnedFd,
    signals: Signals,
    requests: Follower,
    /// The last signal that somebody wants sent and that ends the job.
    kill: Option<i32>,
    /// Signals to be passed on to the worker.
    pass_on: Vec<i32>,
}

/// Why a job ends before its worker could.
#[derive(Debug)]
struct Stop {
    outcome: Outcome,
    reason: String,
}

impl Stop {
    fn not_started(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotStarted, reason: reason.into() }
    }
}

/// What is wrong with the supervisor itself.
#[derive(Debug, thiserror::Error)]
enum SupervisorError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the ledger has no such job")]
    NoJob,
}

/// Runs a supervisor; `args` is what stands behind the hidden verb.
pub fn main(args: &[OsString]) -> ExitCode {
    let Some(call) = Call::parse(args) else { return ExitCode::FAILURE };
    let log = call.store.job(call.id).supervisor_log();
    let panic_log = log.clone();
    std::panic::set_hook(Box::new(move |panic| complain(&panic_log, panic)));
    match run(call) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&log, &error);
            ExitCode::FAILURE
        }
    }
}

/// Writes down what went wrong with the supervisor itself. It has no other
/// stream to say it on, and few ever have a reason to make this file.
fn complain(log: &Path, what: &dyn std::fmt::Display) {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(log);
    if let Ok(mut file) = file {
        let _ = writeln!(file, "supervisor: {what}");
    }
}

/// What a supervisor was started for.
struct Call {
    store: Store,
    id: JobId,
    /// Where the job's `spawned` begins; none in recovery.
    offset: Option<u64>,
}

impl Call {
    fn parse(args: &[OsString]) -> Option<Self> {
        let number = |word: &OsString| word.to_str()?.parse::<u64>().ok();
        let (state, job, offset) = match args {
            [flag, state, job] if flag == "--recover" => (state, job, None),
            [state, job, offset] => (state, job, Some(number(offset)?)),
            _ => return None,
        };
        let store = Store::new(PathBuf::from(state));
        Some(Self { store, id: JobId(number(job)?), offset })
    }
}

fn run(call: Call) -> Result<(), SupervisorError> {
    let Call { store, id, offset } = call;
    let lock = start::enter_supervisor()?;
    tree::become_subreaper()?;
    let signals = Signals::install()?;
    let Some(offset) = offset else { return recover::run(&store, id, &lock, signals) };
    let Some(Event::Spawned(spec)) = store.record_at(offset)?.map(|record| record.event) else {
        return Err(SupervisorError::NoJob);
    };
    let supervisor = Supervisor {
        files: store.job(id),
        requests: Follower::new(&store, offset),
        store,
        id,
        spec: *spec,
        lock,
        signals,
        kill: None,
        pass_on: Vec::new(),
    };
    supervisor.supervise()
}

impl Supervisor {
    fn supervise(mut self) -> Result<(), SupervisorError> {
        crash::point("supervisor-up");
        self.append(&Event::Started(Started { supervisor: tree::myself()? }))?;
        crash::point("started");
        let ended = match self.wait_for_turn()? {
            Some(stop) => finish::Ended::stopped(stop),
            None => self.work()?,
        };
        let mut exited = self.finish(&ended)?;
        if let (Outcome::Killed, None, Some(signal)) = (&exited.outcome, exited.exit, self.kill) {
            // Killed before its worker had started: the code is the same as after.
            exited.code = WorkerExit::Signal(signal).shell_code();
        }
        crash::point("before-exited");
        self.append(&Event::Exited(Box::new(exited)))?;
        crash::point("exited");
        // Unlocked by name rather than by exiting: waiters need not wait until
        // this process is torn down.
        let lock = std::fs::File::from(self.lock);
        lock.unlock()?;
        let _ = std::fs::remove_dir_all(self.files.tmp());
        self.store.refresh_snapshot();
        Ok(())
    }

    /// Steps 3 and 4: prepares, starts and watches the worker.
    fn work(&mut self) -> Result<finish::Ended, SupervisorError> {
        if let Err(stop) = self.prepare()? {
            return Ok(finish::Ended::stopped(stop));
        }
        self.run_worker()
    }

    fn append(&self, event: &Event) -> Result<(), StoreError> {
        self.store.append(self.id, event)
    }

    fn note(&self, text: impl Into<String>) -> Result<(), StoreError> {
        self.append(&Event::Note(Note { text: text.into() }))
    }

    /// Reads requests for this job out of the ledger.
    fn read_requests(&mut self) -> Result<(), StoreError> {
        for line in self.requests.lines()? {
            let Some(record) = crate::ledger::decode(&line) else { continue };
            if let (true, Event::KillRequested(request)) = (record.job == self.id, record.event) {
                if crate::process::signals::ends(request.signal) {
                    self.kill = Some(request.signal);
                } else {
                    self.pass_on.push(request.signal);
                }
            }
        }
        Ok(())
    }

    /// What stops the job before its worker has started, if anybody wants that.
    fn stop_if_killed(&self) -> Option<Stop> {
        let signal = self.kill?;
        let name = crate::process::signals::name(signal);
        Some(Stop {
            outcome: Outcome::Killed,
            reason: format!("ended by {name} before its worker started"),
        })
    }
}
