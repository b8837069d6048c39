//! What a shell is offered for an argument: jobs, runs, agents, branches.
//!
//! It comes from the ledger as it is; nothing is swept or written, and whatever
//! fails offers nothing.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};

use super::{session::Session, settings::Settings, view};
use crate::{
    agent::names,
    git::Repo,
    job::{BackendName, Mode},
    ledger::{Job, Run, RunOutcome},
    plan::{PATTERNS, Pattern},
};

fn jobs(wanted: fn(&Job) -> bool) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let candidates = || -> Option<Vec<CompletionCandidate>> {
            let begun = current.to_str()?;
            let session = Session::open().ok()?;
            let state = session.store.state().ok()?;
            let candidate = |job: &Job, word: &str| {
                let help = format!("{} · {}", view::status(job), job.spec.title);
                CompletionCandidate::new(word).help(Some(help.into()))
            };
            let jobs = state.jobs.values().rev().filter(|job| wanted(job));
            if begun.starts_with('%') {
                let numbered = jobs.map(|job| (job, job.job.to_string()));
                let matching = numbered.filter(|(_, word)| word.starts_with(begun));
                return Some(matching.map(|(job, word)| candidate(job, &word)).collect());
            }
            // Newest first; of several jobs with one name a name means the newest.
            let mut seen = std::collections::BTreeSet::new();
            let named = jobs.map(|job| (job, job.spec.name.as_str()));
            let matching = named.filter(|(_, name)| name.starts_with(begun));
            let first = matching.filter(|(_, name)| seen.insert((*name).to_owned()));
            Some(first.map(|(job, name)| candidate(job, name)).collect())
        };
        candidates().unwrap_or_default()
    })
}

/// Signals that somebody may want to send.
pub(crate) fn signal() -> ArgValueCandidates {
    let names = ["TERM", "INT", "KILL", "HUP", "QUIT", "STOP", "CONT", "USR1", "USR2"];
    ArgValueCandidates::new(move || names.map(CompletionCandidate::new).into())
}

/// Every job.
pub(crate) fn any_job() -> ArgValueCompleter {
    jobs(|_| true)
}

/// Jobs that are not over.
pub(crate) fn live_job() -> ArgValueCompleter {
    jobs(Job::is_live)
}

/// Jobs that are over.
pub(crate) fn finished_job() -> ArgValueCompleter {
    jobs(|job| !job.is_live() && !job.files_gone)
}

/// Writers.
pub(crate) fn writer() -> ArgValueCompleter {
    jobs(|job| job.spec.mode == Mode::Writer && !job.is_without_tree())
}

/// Writers that are over and hold unmerged work.
pub(crate) fn finished_writer() -> ArgValueCompleter {
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
