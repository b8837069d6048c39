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
//!    for its turn, asleep on other jobs' locks (`queue`).
//! 3. `based`, `worktree`: a writer's worktree and branch are made, from the work of
//!    the writers that it comes after (`base`, `prepare`).
//! 4. `running`: the worker runs (`worker`), and limits and requests are watched
//!    (`watch`). Where the model's service refuses: `on-hold`, and again from 2 (`hold`).
//! 5. Everything below it is ended, what a writer left is committed, the answer
//!    is written down (`finish`), then `exited`, and only then the lock goes.
//! 6. Whoever is to be told of the end is told (`notice`).
//!
//! # What a crash leaves
//! `kill -9` at any point frees the lock with no `exited` in the ledger. The
//! next command that looks writes `lost` and starts a supervisor again with the
//! lock in hand, in recovery (`recover`): it ends what runs, commits what
//! lies in the worktree, writes `exited` with the outcome `lost`. Every step of
//! that can be done twice. A supervisor that cannot go on (a full disk) ends what
//! runs and leaves the rest to the same recovery.

mod answer;
mod base;
mod budget;
mod checkpoint;
mod fall_over;
mod finish;
mod grant;
mod hold;
mod hooks;
mod litter;
mod notice;
mod prepare;
mod queue;
mod recover;
mod resolve;
mod resume;
mod watch;
mod worker;

pub use checkpoint::main as main_checkpoint;
pub use recover::{RecoverError, recover_lost};

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use crate::{
    backend::{Backend, KeptError},
    git::{GitError, Oid, merge::Undecided},
    job::{JobId, Outcome, WorkerExit, secret},
    ledger::{
        Cleaned, Event, Follower, JobFiles, Note, Spawned, Started, Store, StoreError, decode,
        glance,
    },
    process::{crash, disk, ending, secrets, signals::Signals, start, tree},
};

/// One job, while its supervisor lives.
struct Supervisor {
    store: Store,
    id: JobId,
    spec: Spawned,
    backend: Backend,
    files: JobFiles,
    lock: OwnedFd,
    signals: Signals,
    requests: Follower,
    /// The last signal that somebody wants sent and that ends the job.
    kill: Option<i32>,
    /// Somebody wants its hold to end.
    go_on: bool,
    /// How often it was refused, how long it was on hold, how long its workers ran.
    tries: hold::Tries,
    /// What it uses, as it runs.
    usage: budget::Running,
    /// The commit that it was asked to start from, before the work of others.
    asked_base: Option<String>,
    /// Its worktree was made.
    has_tree: bool,
    /// Whether files that git does not track came along into it.
    came_along: bool,
    /// Of a writer at work: when what it has done is to be kept.
    checkpoints: Option<checkpoint::Checkpoints>,
    /// Of a resolver: what stood in conflict without markers.
    undecided: Vec<Undecided>,
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
    #[error("{0}")]
    Backend(#[from] KeptError),
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

/// Recovers one job, if it is lost; `args` are the state folder and its number.
pub fn main_recover(args: &[OsString]) -> ExitCode {
    let [state, job] = args else { return ExitCode::FAILURE };
    let Some(id) = job.to_str().and_then(|word| word.parse().ok()) else {
        return ExitCode::FAILURE;
    };
    let store = Store::new(PathBuf::from(state));
    match recover_lost(&store, JobId(id)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let log = store.job(JobId(id)).supervisor_log();
            complain(&log, &format_args!("cannot recover %{id}: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes down what went wrong with the supervisor itself. It has no other
/// stream to say it on, and few ever have a reason to make this file.
fn complain(log: &Path, what: &dyn std::fmt::Display) {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(log);
    if let Ok(mut file) = file {
        let _ = writeln!(file, "supervisor: {}", secret::redacted(&what.to_string()));
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
    let signals = Signals::install()?;
    let Some(offset) = offset else { return recover::run(&store, id, lock, signals) };
    let Some(Event::Spawned(spec)) = store.record_at(offset)?.map(|record| record.event) else {
        return Err(SupervisorError::NoJob);
    };
    secrets::keep_also(&spec.secrets);
    let files = store.job(id);
    let backend = Backend::of_job(spec.backend, &files.backend())?;
    let supervisor = Supervisor {
        usage: budget::Running::new(&backend),
        backend,
        files,
        requests: Follower::new(&store, offset),
        store,
        id,
        // That of the job before is there already.
        has_tree: spec.resumes.is_some(),
        came_along: false,
        spec: *spec,
        lock,
        signals,
        kill: None,
        go_on: false,
        tries: hold::Tries::default(),
        asked_base: None,
        checkpoints: None,
        undecided: Vec::new(),
    };
    supervisor.supervise()
}

const TERM: i32 = 15;
const KILL: i32 = 9;

impl Supervisor {
    fn supervise(mut self) -> Result<(), SupervisorError> {
        crash::point("supervisor-up");
        let over = match self.see_through() {
            Ok(over) => over,
            Err(error) => {
                // Nothing may run on that nobody watches. The lock goes only after.
                let grace = Duration::from_millis(self.spec.grace_ms);
                ending::end_descendants(None, &mut self.signals, TERM, grace, &mut || false)?;
                return Err(error);
            }
        };
        crash::point("exited");
        let telling = over.and_then(|over| over.tell(&self.store));
        // Unlocked by name rather than by exiting: waiters need not wait until
        // this process is torn down. Closing it lets go of the turn.
        let lock = std::fs::File::from(self.lock);
        lock.unlock()?;
        drop(lock);
        // Whoever waits was woken just now, and often to run on this very processor.
        // What follows here nobody waits for, so it steps aside: a third of what
        // `cx wait` takes was spent behind it. Yielding alone does not let a
        // task go first that has just been woken.
        std::thread::sleep(Duration::from_millis(1));
        crash::point("unlocked");
        if self.tries.was_held {
            hold::wake_others(&self.store, self.spec.backend.as_str());
        }
        self.files.empty_tmp();
        let is_renewed = self.store.refresh_snapshot();
        if let Some(telling) = telling {
            telling.attend(&mut self.signals);
        }
        if is_renewed {
            pack(&self.store)?;
        }
        Ok(())
    }

    /// From `started` to `exited`.
    fn see_through(&mut self) -> Result<Option<notice::Over>, SupervisorError> {
        self.append(&Event::Started(Started { supervisor: tree::myself()? }))?;
        crash::point("started");
        let ended = if let Some(stop) = self.wait_to_begin()? {
            finish::Ended::stopped(stop)
        } else {
            ending::become_subreaper()?;
            self.work()?
        };
        let mut exited = self.finish(ended)?;
        self.verify(&mut exited)?;
        if let (Outcome::Killed, None, Some(signal)) = (&exited.outcome, exited.exit, self.kill) {
            // Killed before its worker had started: the code is the same as after.
            exited.code = WorkerExit::Signal(signal).shell_code();
        }
        crash::point("before-exited");
        let is_over_budget = exited.outcome == Outcome::OverBudget;
        let exited = Event::Exited(Box::new(exited));
        let nothing = Event::Cleaned(Cleaned { tree: true, files: false, kept: None });
        let mut events = vec![&exited];
        if self.spec.tree.is_some() && !self.has_tree {
            // There is nothing to clean, and the name is free again.
            events.push(&nothing);
        }
        let over = notice::write_end(&self.store, self.id, self.spec.notice.as_ref(), &events)?;
        if !is_over_budget {
            self.tell_if_spent();
        }
        Ok(over)
    }

    /// Steps 3 and 4: prepares, starts and watches the worker.
    fn work(&mut self) -> Result<finish::Ended, SupervisorError> {
        if let Err(stop) = self.prepare()? {
            return Ok(finish::Ended::stopped(stop));
        }
        if let Err(stop) = self.hooks_before()? {
            return Ok(finish::Ended::stopped(stop));
        }
        // Preparing a worktree and hooks may have taken a while.
        if (self.spec.tree.is_some() || self.spec.hooks.is_some())
            && let Some(stop) = self.check_killed()?
        {
            return Ok(finish::Ended::stopped(stop));
        }
        loop {
            let mut ended = self.run_worker()?;
            if self.falls_over(&mut ended)? {
                continue;
            }
            let ended = match self.wait_to_go_on(ended)? {
                hold::Next::GoOn => continue,
                hold::Next::Ended(ended) => ended,
            };
            return Ok(*ended);
        }
    }

    fn append(&self, event: &Event) -> Result<(), StoreError> {
        self.store.append(self.id, event)
    }

    fn note(&self, text: impl Into<String>) -> Result<(), StoreError> {
        self.append(&Event::Note(Note { text: text.into() }))
    }

    /// Reads requests for this job out of the ledger.
    fn read_requests(&mut self) -> Result<(), StoreError> {
        let requested = requested(&mut self.requests, self.id)?;
        // What does not end the worker was sent to it by whoever asked.
        self.go_on |= requested.contains(&crate::process::signals::CONT);
        let ending = requested.into_iter().rfind(|s| crate::process::signals::ends(*s));
        self.kill = ending.or(self.kill);
        Ok(())
    }

    /// What stops the job before its worker has started, if anybody wants that.
    fn stop_if_killed(&self) -> Option<Stop> {
        let signal = self.kill?;
        let name = crate::process::signals::name(signal);
        Some(Stop {
            outcome: Outcome::Killed,
            reason: if self.tries.has_run() {
                format!("ended by {name} while it was on hold")
            } else {
                format!("ended by {name} before its worker started")
            },
        })
    }
}

/// Moves the beginning of a ledger that has grown long into a compressed part.
fn pack(store: &Store) -> Result<(), SupervisorError> {
    if let Some(packed) = store.pack(|file| disk::punch(file, 1).is_ok())? {
        crash::point("ledger-packed");
        disk::punch(&packed.file, packed.end)?;
        crash::point("ledger-punched");
    }
    Ok(())
}

/// A commit as the ledger has it.
fn oid(text: &str) -> Result<Oid, GitError> {
    Oid::new(text).map_err(|_| GitError::NoSuchRevision(text.to_owned()))
}

/// The signals that were asked for since the last look.
fn requested(requests: &mut Follower, id: JobId) -> Result<Vec<i32>, StoreError> {
    let lines = requests.lines()?;
    // Most lines are about other jobs.
    let may_be_ours = |line: &&Vec<u8>| glance(line).is_none_or(|(_, job)| job == id);
    let records = lines.iter().filter(may_be_ours).filter_map(|line| decode(line));
    Ok(records
        .filter(|record| record.job == id)
        .filter_map(|record| match record.event {
            Event::KillRequested(request) => Some(request.signal),
            _ => None,
        })
        .collect())
}
