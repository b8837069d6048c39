//! What the shell is offered for arguments: jobs, agents, branches.
//!
//! Candidates come from the ledger as it is; nothing is swept or written, and
//! whatever fails offers nothing.

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::{session::Session, view};
use crate::{
    agent::{Folders, names},
    git::Repo,
    job::{BackendKind, Mode},
    ledger::Job,
};

fn jobs(wanted: fn(&Job) -> bool) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let candidates = || -> Option<Vec<CompletionCandidate>> {
            let session = Session::open().ok()?;
            let state = session.store.state().ok()?;
            let candidate = |job: &Job| {
                let help = format!("{} · {}", view::status(job), job.spec.title);
                CompletionCandidate::new(job.spec.name.as_str()).help(Some(help.into()))
            };
            // Newest first; of several jobs with one name a name means the newest.
            let mut seen = std::collections::BTreeSet::new();
            let jobs = state.jobs.values().rev().filter(|job| wanted(job));
            Some(
                jobs.filter(|job| seen.insert(job.spec.name.as_str().to_owned()))
                    .map(candidate)
                    .collect(),
            )
        };
        candidates().unwrap_or_default()
    })
}

/// Every job.
pub fn any_job() -> ArgValueCandidates {
    jobs(|_| true)
}

/// Jobs that are not over.
pub fn live_job() -> ArgValueCandidates {
    jobs(Job::is_live)
}

/// Jobs that are over.
pub fn finished_job() -> ArgValueCandidates {
    jobs(|job| !job.is_live() && !job.files_gone)
}

/// Writers.
pub fn writer() -> ArgValueCandidates {
    jobs(|job| job.spec.mode == Mode::Writer && !job.tree_gone)
}

/// Writers that are over and hold unmerged work.
pub fn finished_writer() -> ArgValueCandidates {
    jobs(Job::is_unmerged)
}

/// Agents.
pub fn agent() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let names = || {
            let session = Session::open().ok()?;
            let checkout = session.place.as_ref().and_then(|place| place.checkout.as_deref());
            names(&Folders { checkout, config_home: &session.roots.config_home }).ok()
        };
        names().unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
    })
}

/// Backends.
pub fn backend() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        BackendKind::ALL.into_iter().map(|kind| CompletionCandidate::new(kind.as_str())).collect()
    })
}

/// Branches.
pub fn branch() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let branches = || {
            let session = Session::open().ok()?;
            Repo::open(session.place.as_ref()?).branches().ok()
        };
        branches().unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
    })
}
