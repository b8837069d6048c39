//! What a shell is offered for an argument: jobs, runs, agents, branches.
//!
//! It comes from the ledger as it is; nothing is swept or written, and whatever
//! fails offers nothing.

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::{session::Session, settings::Settings, view};
use crate::{
    agent::names,
    git::Repo,
    job::{BackendName, Mode},
    ledger::{Job, Run, RunOutcome},
    plan::{PATTERNS, Pattern},
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
pub(crate) fn any_job() -> ArgValueCandidates {
    jobs(|_| true)
}

/// Jobs that are not over.
pub(crate) fn live_job() -> ArgValueCandidates {
    jobs(Job::is_live)
}

/// Jobs that are over.
pub(crate) fn finished_job() -> ArgValueCandidates {
    jobs(|job| !job.is_live() && !job.files_gone)
}

/// Writers.
pub(crate) fn writer() -> ArgValueCandidates {
    jobs(|job| job.spec.mode == Mode::Writer && !job.is_without_tree())
}

/// Writers that are over and hold unmerged work.
pub(crate) fn finished_writer() -> ArgValueCandidates {
    jobs(Job::is_unmerged)
}

fn runs(wanted: fn(&Run) -> bool) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let candidates = || -> Option<Vec<CompletionCandidate>> {
            let state = Session::open().ok()?.store.state().ok()?;
            let mut runs: Vec<&Run> = state.runs.values().filter(|run| wanted(run)).collect();
            runs.sort_by_key(|run| std::cmp::Reverse(run.order));
            Some(runs.into_iter().map(|run| CompletionCandidate::new(run.id())).collect())
        };
        candidates().unwrap_or_default()
    })
}

/// The plans that are part of cx.
pub(crate) fn pattern() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let candidate = |pattern: Pattern| {
            let plan = pattern.plan().unwrap_or_default();
            CompletionCandidate::new(pattern.name).help(Some(plan.description.into()))
        };
        PATTERNS.into_iter().map(candidate).collect()
    })
}

/// Every run, the newest first.
pub(crate) fn any_run() -> ArgValueCandidates {
    runs(|_| true)
}

/// Runs that are not over.
pub(crate) fn live_run() -> ArgValueCandidates {
    runs(Run::is_open)
}

/// Runs that have not succeeded.
pub(crate) fn open_run() -> ArgValueCandidates {
    runs(|run| run.ended.as_ref().is_none_or(|ended| ended.outcome != RunOutcome::Succeeded))
}

/// Agents.
pub(crate) fn agent() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let names = || {
            let session = Session::open().ok()?;
            names(&session.places(None)).ok()
        };
        names().unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
    })
}

/// Backends.
pub(crate) fn backend() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let session = Session::open();
        let settings = session.and_then(|session| Settings::load(&session));
        let names = settings.map_or_else(|_| BackendName::BUILT_IN.to_vec(), |s| s.catalog.names());
        names.iter().map(|name| CompletionCandidate::new(name.as_str())).collect()
    })
}

/// Branches.
pub(crate) fn branch() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let branches = || {
            let session = Session::open().ok()?;
            Repo::open(session.place.as_ref()?).branches().ok()
        };
        branches().unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
    })
}
