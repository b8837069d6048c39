//! `cx run --resume`: going on with a run that was interrupted, stopped, or has
//! failed.

use super::{
    args::RunArgs,
    begin::{Manner, detach, work_through},
    load,
    stored::Stored,
};
use crate::{
    commands::{
        plan::Who,
        session::{Session, label},
        settings::Settings,
    },
    failure::{Exit, Failure},
    ledger::Run,
    process::lock,
    ui,
};

/// Takes the run's lock and goes on with what has not succeeded. What the command
/// line says about the whole run holds from here on.
pub(super) fn resume(
    session: &Session,
    run: &str,
    manner: Manner,
    args: &RunArgs,
) -> Result<Exit, Failure> {
    let state = session.history()?;
    let found = Session::find_run(run, &state)?;
    let id = found.id().to_owned();
    let files = session.store.run(&id);
    if found.ended.is_some() && !files.dir().exists() {
        return Err(Failure::usage(format!("run {id} is over and cleaned; nothing was started"))
            .hint(format!("`cx status {id}` shows what became of it")));
    }
    let path = files.lock();
    let claimed = lock::claim(&path).map_err(|e| {
        Failure::internal(format!("cannot use the lock {}: {e}", path.display()))
            .hint("where the run's folder is gone, its jobs are still there: `cx jobs -a`")
    })?;
    let Some(lock) = claimed else {
        let pid = found.runner.map(|runner| format!(" by pid {}", runner.pid)).unwrap_or_default();
        return Err(Failure::usage(format!("run {id} is being worked through{pid} already"))
            .hint(format!("`cx status {id}` shows how far it is")));
    };
    let mut stored = Stored::read(&files)?;
    refuse_finished(found)?;
    if stored.say_again(args) {
        stored.write(&files)?;
    }
    if let Some(digest) = &stored.digest {
        tell_of_change(&stored, digest);
    }
    for job in state.jobs.values() {
        if job.is_live() && job.spec.run.as_deref() == Some(id.as_str()) {
            ui::note(format_args!("{} goes on, and is waited for", label(job)));
        }
    }
    if manner.detach {
        return detach(session, &id, &files, lock, manner.saying.json);
    }
    std::env::set_current_dir(&stored.cwd).map_err(|e| {
        Failure::usage(format!(
            "run {id} was started in {}, which cannot be entered: {e}; nothing was started",
            stored.cwd.display()
        ))
    })?;
    let there = Session::open()?;
    if there.store.dir() != session.store.dir() {
        return Err(Failure::usage(format!(
            "run {id} was started in {}, which is no longer part of this repository; nothing was started",
            stored.cwd.display()
        )));
    }
    let settings = Settings::load(&there)?;
    if let Some(reviser) = stored.reviser() {
        Who::reviser(reviser, &settings)?.require(&there, &settings)?;
    }
    work_through(&there, &settings, (&id, stored), lock, manner.saying, true)
}

/// What stands in the plan's file by now is of no matter to a run that was begun.
fn tell_of_change(stored: &Stored, digest: &str) {
    let source = &stored.source;
    let file = stored.cwd.join(source);
    // One that is gone or cannot be read is no other plan.
    if std::fs::read(file).is_ok_and(|bytes| load::digest(&bytes) != digest) {
        ui::warn(format_args!(
            "{source} has changed since; the plan goes on as it was (cx run -f {source} starts a new run)"
        ));
    }
}

/// There is nothing to go on with where all is well.
fn refuse_finished(run: &Run) -> Result<(), Failure> {
    let all_well = run
        .ended
        .as_ref()
        .is_some_and(|ended| ended.outcome == crate::ledger::RunOutcome::Succeeded);
    if all_well {
        return Err(Failure::usage(format!(
            "run {} has succeeded, and there is nothing left to do; nothing was started",
            run.id()
        ))
        .hint(format!("`cx status {0}` shows it, `cx collect --run {0}` its answers", run.id())));
    }
    Ok(())
}
