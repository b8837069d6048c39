//! Checkpoints of a running writer, so often.
//!
//! A child makes each of them (`__checkpoint`), so that whoever wants the job ended, a
//! person or a limit, does not wait for a `git add -A` of a large tree: the child is
//! ended first. A worker is not stopped for it. What a child needs for a while lies in a
//! folder of the job that the supervisor removes. One that cannot be made is a note,
//! once, and is tried again; one that was ended is nothing.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use super::{Supervisor, SupervisorError, TERM, prepare::place_of};
use crate::{
    git::{CommitMessage, checkpoint, grant},
    job::{JobId, WorkerExit, secret},
    ledger::{Job, Store},
    process::{crash, ending, secrets, start, worker::Worker},
};

/// How a child says that there was nothing new to keep.
const NOTHING_NEW: u8 = 3;

/// How long a child and its git have, once they are asked to end.
const GRACE: Duration = Duration::from_secs(1);

/// When the next one is due, and who makes one.
#[derive(Debug)]
pub(super) struct Checkpoints {
    every: Duration,
    /// None for a time that no clock can say, and while one is made.
    pub(super) next: Option<Instant>,
    child: Option<Worker>,
    complained: bool,
}

impl Checkpoints {
    pub(super) fn every(every: Duration) -> Self {
        let next = Instant::now().checked_add(every);
        Self { every, next, child: None, complained: false }
    }
}

impl Supervisor {
    /// Reaps what has ended, `worker` and who makes a checkpoint among it. Whether any
    /// child is left.
    pub(super) fn reap(&mut self, worker: &mut Worker) -> io::Result<bool> {
        match self.checkpoints.as_mut().and_then(|points| points.child.as_mut()) {
            Some(child) => ending::reap(&mut [worker, child]),
            None => ending::reap(&mut [worker]),
        }
    }

    /// Starts one, if one is due; sees how one fared that was made.
    pub(super) fn checkpoint(&mut self) -> Result<(), SupervisorError> {
        let Some(mut points) = self.checkpoints.take() else { return Ok(()) };
        let mut problem = None;
        if let Some(exit) = points.child.as_ref().and_then(Worker::exit) {
            points.child = None;
            // From now: where it takes long, it must not be all that is done.
            points.next = Instant::now().checked_add(points.every);
            problem = self.settle(exit);
        } else if points.next.is_some_and(|due| Instant::now() >= due) {
            points.next = None;
            match self.start_checkpoint() {
                Ok(child) => points.child = Some(child),
                Err(error) => {
                    points.next = Instant::now().checked_add(points.every);
                    problem = Some(error.to_string());
                }
            }
        }
        let is_new =
            problem.is_some() && !std::mem::replace(&mut points.complained, problem.is_some());
        self.checkpoints = Some(points);
        if let Some(problem) = problem.filter(|_| is_new) {
            self.note(format!("no checkpoint could be made: {problem}"))?;
        }
        Ok(())
    }

    fn start_checkpoint(&self) -> io::Result<Worker> {
        let folder = self.files.checkpoint();
        fs::create_dir_all(&folder)?;
        let args = [
            start::CHECKPOINT.into(),
            self.store.dir().as_os_str().to_owned(),
            self.id.0.to_string().into(),
        ];
        let log = folder.join("log");
        self.step(start::own_binary(), args.to_vec(), PathBuf::from("/"), &log).start()
    }

    /// What was wrong with one that has ended so.
    fn settle(&self, exit: WorkerExit) -> Option<String> {
        let folder = self.files.checkpoint();
        let said = fs::read_to_string(folder.join("log")).unwrap_or_default();
        let _ = fs::remove_dir_all(&folder);
        match exit {
            WorkerExit::Code(0) => {
                crash::point("checkpoint");
                None
            }
            WorkerExit::Code(code) if code == i32::from(NOTHING_NEW) => None,
            WorkerExit::Code(_) => Some(said.trim_end().to_owned()),
            // It has heard a signal that was meant for the worker.
            WorkerExit::Signal(_) => None,
        }
    }

    /// Ends one that is under way: nobody waits for it who wants the job ended.
    pub(super) fn end_checkpoint(&mut self, worker: &mut Worker) -> Result<(), SupervisorError> {
        let Some(points) = self.checkpoints.take() else { return Ok(()) };
        let Some(mut child) = points.child else { return Ok(()) };
        // TERM, since git takes its lock files away then.
        ending::end_one(&mut child, worker, &mut self.signals, TERM, GRACE)?;
        // Those who asked for something meanwhile have woken us in vain.
        self.read_requests()?;
        let _ = fs::remove_dir_all(self.files.checkpoint());
        Ok(())
    }
}

/// Makes one; `args` are the state folder and the job's number.
pub fn main(args: &[OsString]) -> ExitCode {
    let [state, job] = args else { return ExitCode::FAILURE };
    let Some(id) = job.to_str().and_then(|word| word.parse().ok()).map(JobId) else {
        return ExitCode::FAILURE;
    };
    match take(&Store::new(PathBuf::from(state)), id) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOTHING_NEW),
        Err(problem) => {
            let _ = writeln!(io::stderr(), "{}", secret::redacted(&problem));
            ExitCode::FAILURE
        }
    }
}

/// Whether there was anything new to keep.
fn take(store: &Store, id: JobId) -> Result<bool, String> {
    let mut state = store.state().map_err(|e| e.to_string())?;
    let Some(Job { spec, .. }) = state.jobs.remove(&id) else { return Ok(false) };
    secrets::keep_also(&spec.secrets);
    let Some(tree) = &spec.tree else { return Ok(false) };
    let message = CommitMessage {
        subject: format!("Checkpoint of {}", spec.name),
        body: spec.title.clone(),
        trailers: vec![("Cx-Job".to_owned(), format!("{} {}", id.0, spec.name))],
    };
    let files = store.job(id);
    let place = place_of(&spec)?;
    let (stand_in, scratch) = (files.stand_in(), files.checkpoint());
    grant::seen(&place, Path::new(&tree.path), Some(&stand_in))
        .and_then(|there| {
            checkpoint::take((&place, &there), &scratch, spec.name.as_str(), &message)
        })
        .map(|taken| taken.is_some())
        .map_err(|error| error.to_string())
}
