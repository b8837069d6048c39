//! Recovery: a supervisor for a job whose own was found dead.
//!
//! It ends what still runs, keeps what is there, and says `lost`. Each step can
//! be done twice: a recovery that is killed is simply started again.

use std::{fs::File, io, os::fd::OwnedFd, path::Path, time::Duration};

use super::{
    SupervisorError,
    finish::{Ended, Finisher},
};
use crate::{
    git::{Oid, Place, refs, worktree},
    job::JobId,
    ledger::{Cleaned, Event, Exited, Job, Started, Store, Tree},
    process::{crash, signals::Signals, tree},
};

pub(super) fn run(
    store: &Store,
    id: JobId,
    lock: &OwnedFd,
    signals: Signals,
) -> Result<(), SupervisorError> {
    // Handlers stay, so that no signal ends the recovery; none is waited for.
    let _signals = signals;
    let mut state = store.state()?;
    let job = state.jobs.remove(&id).ok_or(SupervisorError::NoJob)?;
    if job.exited.is_some() {
        return Ok(());
    }
    store.append(id, &Event::Started(Started { supervisor: tree::myself()? }))?;
    let ended = end_processes(&job)?;
    crash::point("recovery-ended");
    let files = store.job(id);
    let finisher = Finisher { store, id, spec: &job.spec, files: &files };
    let started = job.worker.is_some() || files.stdout().exists();
    let reason = match (started, ended) {
        (false, _) => "its supervisor vanished before its worker was started".to_owned(),
        (true, 0) => "its supervisor vanished, and how the worker ended is not known".to_owned(),
        (true, n) => format!(
            "its supervisor vanished; the worker was still running and was ended ({n} processes)"
        ),
    };
    let ran = job.running_at.map_or(Duration::ZERO, |at| {
        Duration::try_from(jiff::Timestamp::now().duration_since(at)).unwrap_or_default()
    });
    let lost = Ended::lost(started, reason, ran, ended);
    let verdict = finisher.judge(&lost)?;
    let exited: Exited = finisher.finish(&lost, verdict)?;
    crash::point("recovery-before-exited");
    let half_made = if started { None } else { job.spec.tree.as_ref() };
    let removed = half_made.is_some_and(|tree| remove_half_made(store, &job, tree).is_ok());
    store.append(id, &Event::Exited(Box::new(exited)))?;
    if removed {
        store.append(id, &Event::Cleaned(Cleaned { tree: true, files: false, kept: None }))?;
    }
    File::from(lock.try_clone()?).unlock()?;
    let _ = std::fs::remove_dir_all(files.tmp());
    Ok(())
}

/// Ends the worker, its descendants, and whatever carries the job's mark.
fn end_processes(job: &Job) -> io::Result<u64> {
    let find = || {
        let mut found = tree::marked(&job.spec.id);
        if let Some(worker) = job.worker.filter(|worker| tree::is_alive(*worker)) {
            found.extend(tree::descendants(&[worker.pid]));
            found.push(worker);
        }
        found.sort_unstable_by_key(|process| process.pid);
        found.dedup();
        found
    };
    tree::end_strangers(find, 15, Duration::from_millis(job.spec.grace_ms))
}

/// Takes away a worktree in which no worker ever stood, and its branch.
fn remove_half_made(store: &Store, job: &Job, tree: &Tree) -> Result<(), crate::git::GitError> {
    let from = job.spec.checkout.as_deref().unwrap_or(&job.spec.cwd);
    let Some(place) = Place::discover(Path::new(from))? else { return Ok(()) };
    if let Some(trash) = worktree::remove(&place, Path::new(&tree.path), &store.worktree_lock())? {
        worktree::delete(&trash)?;
    }
    if let Ok(base) = Oid::new(&tree.base) {
        // One that has moved is somebody's work, and stays.
        let _ = refs::delete_branch(&place, &tree.branch, &base);
    }
    Ok(())
}
