//! Recovery: a supervisor for a job whose own was found dead.
//!
//! It ends what still runs, keeps what is there, and says `lost`. Each step can
//! be done twice: a recovery that is killed is simply started again.

use std::{
    ffi::OsStr,
    fs,
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    SupervisorError,
    finish::{Ended, Finisher},
    notice,
};
use crate::{
    backend::{Backend, Verdict},
    git::{Oid, Place, checkpoint, refs, worktree},
    job::{JobId, Usage},
    ledger::{Cleaned, Event, Exited, Job, JobFiles, Started, Store, StoreError, Tree},
    process::{crash, ending, lock, secrets, signals::Signals, start, tree},
    ui,
};

/// Why a job that was found lost could not be given a new supervisor.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The ledger could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job's lock could not be used.
    #[error("cannot use the lock {}: {source}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No process could be started.
    #[error("cannot start a supervisor: {0}")]
    Start(io::Error),
}

/// Takes the lock of a live job whose supervisor is dead, writes `lost` and
/// hands the lock to a supervisor that ends and keeps what is left.
///
/// `true` when that was done; `false` when somebody else was faster, or when the
/// job has ended properly after all.
pub fn recover_lost(store: &Store, id: JobId) -> Result<bool, RecoverError> {
    let files = store.job(id);
    let path = files.lock();
    let claimed = match lock::claim(&path) {
        // Its folder is gone: it was cleaned, or somebody has removed it.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if !store.state()?.jobs.get(&id).is_some_and(Job::is_live) {
                return Ok(false);
            }
            files.create_dir()?;
            lock::claim(&path)
        }
        claimed => claimed,
    };
    let claimed = claimed.map_err(|source| RecoverError::Lock { path, source })?;
    let Some(lock) = claimed else { return Ok(false) };
    let mark = {
        let mut appender = store.appender()?;
        let state = appender.state()?;
        // It may have ended properly between the look and the lock.
        let Some(job) = state.jobs.get(&id).filter(|job| job.is_live()) else { return Ok(false) };
        appender.append(id, &Event::Lost)?;
        job.spec.id.clone()
    };
    crash::point("lost");
    let number = id.0.to_string();
    let args = [OsStr::new("--recover"), store.dir().as_os_str(), OsStr::new(&number)];
    start::supervisor(&args, &mark, lock).map_err(RecoverError::Start)?;
    Ok(true)
}

pub(super) fn run(
    store: &Store,
    id: JobId,
    lock: OwnedFd,
    mut signals: Signals,
) -> Result<(), SupervisorError> {
    // Its handlers stay, so that no signal ends the recovery; none is waited for.
    let mut state = store.state()?;
    let job = state.jobs.remove(&id).ok_or(SupervisorError::NoJob)?;
    if job.exited.is_some() {
        return Ok(());
    }
    secrets::keep_also(&job.spec.secrets);
    store.append(id, &Event::Started(Started { supervisor: tree::myself()? }))?;
    crash::point("recovery-started");
    let files = store.job(id);
    let ended = end_processes(&job, &files)?;
    crash::point("recovery-ended");
    // What it said is shown as it is where nobody knows any more how to read it.
    let backend = Backend::of_job(job.spec.backend, &files.backend()).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "recovery: {error}");
        Backend::unknown(job.spec.backend)
    });
    let place = Place::discover(Path::new(job.spec.checkout.as_deref().unwrap_or(&job.spec.cwd)));
    let finisher = Finisher { store, id, spec: &job.spec, backend: &backend, files: &files };
    if let (true, Ok(Some(place))) = (job.spec.git, &place) {
        // Whatever was done to it, no git has run there yet.
        finisher.close_grant(place)?;
    }
    let started = job.worker.is_some() || files.stdout().exists();
    let ran = job.running_at.map_or(Duration::ZERO, |at| {
        Duration::try_from(jiff::Timestamp::now().duration_since(at)).unwrap_or_default()
    });
    let reason = reason(&files, started, ended);
    let reason = match checkpoint_of(&job) {
        Some(kept) => format!("{reason}; its last checkpoint is {kept}"),
        None => reason,
    };
    let lost = Ended::lost(started, reason, ran, ended);
    // What the worker said is worth having, and no reason to fail.
    let verdict = finisher.judge(&lost).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "recovery: {error}");
        lost.overrule(Verdict::nothing())
    });
    let exited: Exited = finisher.finish(&lost, verdict, Usage::default())?;
    crash::point("recovery-before-exited");
    // What was taken over is somebody's work.
    let is_kept = started || job.spec.resumes.is_some();
    let half_made = if is_kept { None } else { job.spec.tree.as_ref() };
    let removed = half_made.is_some_and(|tree| remove_half_made(store, &job, tree).is_ok());
    crash::point("recovery-removed");
    let exited = Event::Exited(Box::new(exited));
    let over = notice::write_end(store, id, job.spec.notice.as_ref(), &[&exited])?;
    crash::point("recovery-exited");
    if removed {
        store.append(id, &Event::Cleaned(Cleaned { tree: true, files: false, kept: None }))?;
    }
    let telling = over.and_then(|over| over.tell(store));
    File::from(lock).unlock()?;
    files.empty_tmp();
    if let Some(telling) = telling {
        telling.attend(&mut signals);
    }
    Ok(())
}

/// One sentence: what became of the supervisor, and of the worker.
fn reason(files: &JobFiles, started: bool, ended: u64) -> String {
    // One that could not go on has said why.
    let log = fs::read_to_string(files.supervisor_log()).unwrap_or_default();
    let said = log.lines().rev().find_map(|line| line.strip_prefix("supervisor: "));
    let what = match said {
        Some(said) => format!("its supervisor failed ({said})"),
        None => "its supervisor vanished".to_owned(),
    };
    match (started, ended) {
        (false, _) => format!("{what} before its worker was started"),
        (true, 0) => format!("{what}, and how the worker ended is not known"),
        (true, 1) => format!("{what}; the worker was still running and was ended"),
        (true, n) => {
            format!("{what}; the worker was still running and was ended ({n} processes)")
        }
    }
}

/// Where what it had done is kept, and since when.
fn checkpoint_of(job: &Job) -> Option<String> {
    job.spec.checkpoint_ms?;
    let from = job.spec.checkout.as_deref().unwrap_or(&job.spec.cwd);
    let place = Place::discover(Path::new(from)).ok()??;
    let last = checkpoint::last(&place, job.spec.name.as_str()).ok()??;
    let at = jiff::Timestamp::from_second(last.since).ok()?;
    Some(format!("{} of {}", last.name, ui::clock(at)))
}

/// Ends the worker, its descendants, whatever carries the job's mark, and
/// whatever writes to its outputs.
fn end_processes(job: &Job, files: &JobFiles) -> io::Result<u64> {
    let outputs = [files.stdout(), files.stderr(), files.setup_log(), files.hooks_log()];
    let outputs = outputs.each_ref().map(std::path::PathBuf::as_path);
    let me = tree::myself()?;
    let find = || {
        let mut found = tree::marked(&job.spec.id);
        found.extend(tree::writing_to(&outputs));
        found.extend(job.worker.filter(|worker| tree::is_alive(*worker)));
        let roots: Vec<i32> = found.iter().map(|process| process.pid).collect();
        found.extend(tree::descendants(&roots));
        found.retain(|process| *process != me);
        found.sort_unstable_by_key(|process| process.pid);
        found.dedup();
        found
    };
    ending::end_strangers(find, 15, Duration::from_millis(job.spec.grace_ms))
}

/// Takes away a worktree in which no worker ever stood, and its branch.
fn remove_half_made(store: &Store, job: &Job, tree: &Tree) -> Result<(), crate::git::GitError> {
    let from = job.spec.checkout.as_deref().unwrap_or(&job.spec.cwd);
    let Some(place) = Place::discover(Path::new(from))? else { return Ok(()) };
    if let Some(trash) = worktree::remove(&place, Path::new(&tree.path), &store.worktree_lock())? {
        worktree::delete(&trash)?;
    }
    if let (Some(branch), Ok(base)) = (&tree.branch, Oid::new(tree.beginning())) {
        // One that has moved is somebody's work, and stays.
        let _ = refs::delete_branch(&crate::git::Repo::open(&place), branch, &base);
    }
    Ok(())
}
