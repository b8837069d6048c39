//! Jobs that are in the ledger and whose supervisors could not be started, as where a
//! person may have no more processes: they are over, and nothing of them is left to be
//! recovered.

use std::io;

use super::Entered;
use crate::{
    commands::session::{Session, store},
    failure::Failure,
    job::Outcome,
    ledger::{Cleaned, Event, Exited},
    process::lock,
};

/// Ends `jobs`, none of which has a supervisor, and says so. The first could not be
/// started, which is why the others were not.
pub(super) fn end(session: &Session, jobs: Vec<Entered>, error: &io::Error) -> Failure {
    let names: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    let reason = format!("its supervisor could not be started: {error}");
    if let Err(failure) = write_ends(session, jobs, &reason) {
        return failure;
    }
    let (names, is) = (names.join(", "), if names.len() > 1 { "are" } else { "is" });
    Failure::internal(format!("cannot start a supervisor: {error}; {names} {is} not started"))
        .maybe_hint(lock::are_too_many(error).then(|| {
            "wait for jobs that run, or raise the limits: `ulimit -u`, `ulimit -n`".to_owned()
        }))
}

/// One that somebody has found lost meanwhile is left to them.
fn write_ends(session: &Session, jobs: Vec<Entered>, reason: &str) -> Result<(), Failure> {
    for mut job in jobs {
        let files = session.store.job(job.id);
        let lock = match job.lock.take() {
            Some(lock) => Some(lock),
            // It went with the attempt.
            None => lock::claim(&files.lock()).ok().flatten(),
        };
        let Some(_lock) = lock else { continue };
        let reason = Some(reason.to_owned());
        let exited = Exited { reason, ..Exited::of(Outcome::NotStarted) };
        let exited = Event::Exited(Box::new(exited));
        let nothing = Event::Cleaned(Cleaned { tree: true, files: false, kept: None });
        // There is no tree, and the name is free again; one that was taken over is given back.
        let has_none = job.spec.tree.is_some() && job.spec.resumes.is_none();
        let events = [&exited].into_iter().chain(has_none.then_some(&nothing));
        files.remove_token().map_err(store)?;
        let mut appender = session.store.appender().map_err(store)?;
        appender.append_all(events.map(|event| (job.id, event))).map_err(store)?;
    }
    Ok(())
}
