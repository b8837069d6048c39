//! Going on from another job: in its tree, and in its thread.
//!
//! The tree was handed over when this job was written into the ledger, so nothing
//! of it is made here and, whatever happens, nothing of it is taken away.

use std::path::Path;

use super::{Stop, Supervisor, SupervisorError, finish::Finisher};
use crate::{
    backend,
    git::{Place, worktree},
    job::{JobId, Usage},
    ledger::{Event, Job, Spawned, State, Store, StoreError, Tree, Worktree},
};

impl Supervisor {
    /// The thread to go on in; `Ok(Ok(None))` for a new one.
    pub(super) fn thread(&self) -> Result<Result<Option<String>, Stop>, SupervisorError> {
        let Some(resumes) = self.spec.resumes.as_ref().filter(|resumes| !resumes.anew) else {
            return Ok(Ok(None));
        };
        let jobs = jobs(&self.store, resumes.job)?;
        Ok(match thread_of(&jobs, resumes.job) {
            Some(thread) => Ok(Some(thread)),
            None => Err(Stop::not_started(format!(
                "the conversation of {} is not known, so it cannot go on",
                resumes.job
            ))),
        })
    }

    /// Looks whether the tree of the job before is still as it should be.
    pub(super) fn take_over(
        &mut self,
        place: &Place,
        tree: &Tree,
    ) -> Result<Result<(), Stop>, SupervisorError> {
        let path = Path::new(&tree.path);
        if !path.is_dir() || worktree::admin_dir(place, path).is_none() {
            return Ok(Err(Stop::not_started(format!("its worktree {} is gone", tree.path))));
        }
        self.append(&Event::Worktree(Worktree {
            engine: "taken over".to_owned(),
            took_ms: 0,
            why: None,
        }))?;
        Ok(Ok(()))
    }
}

impl Finisher<'_> {
    /// What of `usage`, as its backend counts it, is this job's.
    pub(super) fn own_usage(&self, usage: Option<Usage>) -> Result<Option<Usage>, StoreError> {
        let resumes = self.spec.resumes.as_ref().filter(|resumes| !resumes.anew);
        let (Some(usage), Some(resumes)) = (usage, resumes) else { return Ok(usage) };
        if !backend::counts_whole_thread(self.backend) {
            return Ok(Some(usage));
        }
        let jobs = jobs(self.store, resumes.job)?;
        let before = chain(&jobs, resumes.job).filter_map(|job| job.exited.as_ref()?.usage).sum();
        Ok(Some(usage.since(before)))
    }
}

/// The jobs that are remembered; all of them where one of the chain is not.
fn jobs(store: &Store, last: JobId) -> Result<State, StoreError> {
    let state = store.state()?;
    let first = chain(&state, last).last();
    let whole = first.is_some_and(|job| is_first(&job.spec));
    if whole { Ok(state) } else { store.history() }
}

fn is_first(spec: &Spawned) -> bool {
    spec.resumes.as_ref().is_none_or(|resumes| resumes.anew)
}

/// `last` and the jobs before it in the same thread, the latest first.
fn chain(state: &State, last: JobId) -> impl Iterator<Item = &Job> {
    let before = |job: &&Job| {
        let resumes = job.spec.resumes.as_ref().filter(|resumes| !resumes.anew)?;
        // Numbers only grow, so this ends whatever the ledger says.
        state.jobs.get(&resumes.job).filter(|before| before.job < job.job)
    };
    std::iter::successors(state.jobs.get(&last), before)
}

/// One that never came to its worker has the thread of the job before.
fn thread_of(state: &State, last: JobId) -> Option<String> {
    chain(state, last).find_map(|job| job.exited.as_ref()?.thread.clone())
}
