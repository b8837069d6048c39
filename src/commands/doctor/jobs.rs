//! Jobs that nobody supervises.

use super::Findings;
use crate::{
    commands::session::{Session, label, store},
    job::Outcome,
    process::lock,
    view,
};

pub(super) fn look(session: &Session, findings: &mut Findings) {
    let state = match session.store.state() {
        Ok(state) => state,
        Err(error) => return findings.failure("jobs", store(error)),
    };
    let mut live = 0;
    for job in state.jobs.values() {
        if job.is_live() {
            match lock::is_held(&session.store.job(job.job).lock()) {
                Ok(true) => live += 1,
                Ok(false) => findings.problem(
                    "jobs",
                    format!("{} is lost: its supervisor has vanished", label(job)),
                    "`cx jobs` ends what still runs of it and keeps what it left",
                ),
                Err(error) => findings.problem(
                    "jobs",
                    format!("cannot tell whether {} lives: {error}", label(job)),
                    "make its lock readable",
                ),
            }
        } else if job.outcome() == Some(&Outcome::Lost) && job.is_to_collect() {
            findings.note(
                "jobs",
                format!("{} was lost: its supervisor had vanished", label(job)),
                view::checkpoint_hint(job).unwrap_or_else(|| {
                    format!(
                        "`cx show {0}` says what is left; `cx collect {0}` puts it away",
                        job.spec.name
                    )
                }),
            );
        }
        if !job.is_live() && !job.files_gone && !session.store.job(job.job).dir().is_dir() {
            findings.problem(
                "jobs",
                format!("the folder of {} is gone, and its answer with it", label(job)),
                format!("`cx clean {}` forgets it", job.spec.name),
            );
        }
    }
    findings.ok_unless_said("jobs", format!("{live} live, each with its supervisor"));
}
