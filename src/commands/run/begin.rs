//! From a plan that was read to a run: every task is checked, the run's id is
//! taken, and it is worked through here or in the background.
//!
//! # What a crash leaves
//! Before `run-started` a folder `runs/ID` of which nobody speaks, and which `cx
//! clean` takes; after it an interrupted run.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    path::PathBuf,
    process::ExitCode,
};

use super::{
    compat::Records,
    dry_run, end,
    front::{Front, Saying},
    rehearse::rehearse_all,
    runner::Runner,
    stored::{Prepared, Stored},
};
use crate::{
    commands::{
        session::{Session, store},
        settings::Settings,
    },
    failure::{Exit, Failure},
    job::{JobName, slug},
    ledger::{Event, JobFiles, NO_JOB, RunFiles, RunStarted, Store},
    process::{crash, lock, start},
    ui,
};

/// How the run is begun.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    pub(super) saying: Saying,
    pub(super) detach: bool,
}

/// Runs a plan.
pub(super) fn begin(
    session: &Session,
    settings: &Settings,
    prepared: Prepared,
    manner: Manner,
) -> Result<Exit, Failure> {
    let items = dry_run::items(&prepared.plan, &prepared.agents);
    let stored = rehearse_all(session, settings, prepared)?;
    settings.notes.iter().for_each(ui::warn);
    let records = stored.records().map(Records::below);
    if let Some(records) = &records {
        records.begin()?;
    }
    let (id, files, lock) = claim(session, &stored)?;
    if let Some(Err(failure)) = records.map(|records| {
        let said = stored.plan.tasks.iter().find_map(|task| task.backend);
        records.planned(said.unwrap_or(settings.config.backend).first(), &items)
    }) {
        ui::warn(failure);
    }
    if manner.detach {
        return detach(session, &id, &files, lock, manner.saying.json);
    }
    work_through(session, settings, (&id, stored), lock, manner.saying, false)
}

/// Takes the run's id and its lock, and writes it into the ledger.
fn claim(session: &Session, stored: &Stored) -> Result<(String, RunFiles, File), Failure> {
    let name = JobName::new(&stored.plan.name).unwrap_or_else(|_| slug(&stored.plan.name));
    // Also what a person has named so by CX_RUN: `cx collect` would mix them.
    let history = session.store.history().map_err(store)?;
    let used = |id: &str| {
        history.runs.contains_key(id)
            || history.jobs.values().any(|job| job.spec.run.as_deref() == Some(id))
    };
    let (id, files) = session.store.claim_run(&name, used).map_err(store)?;
    let started = || -> Result<File, Failure> {
        let lock = lock::create(&files.lock()).map_err(|e| {
            Failure::internal(format!("cannot make a lock in {}: {e}", files.dir().display()))
        })?;
        stored.write(&files)?;
        crash::point("run-claimed");
        let event = Event::RunStarted(RunStarted {
            run: id.to_string(),
            name: stored.plan.name.clone(),
            source: stored.source.clone(),
            tasks: stored.plan.tasks.len() as u64,
            jobs: Some(stored.jobs().get()),
            max_jobs: stored.max_jobs().map(u64::from),
            revision: stored.revision,
        });
        session.store.append(NO_JOB, &event).map_err(store)?;
        Ok(lock)
    };
    match started() {
        Ok(lock) => {
            crash::point("run-started");
            Ok((id.to_string(), files, lock))
        }
        Err(failure) => {
            // The run never came to be.
            let _ = files.remove();
            Err(failure)
        }
    }
}

/// Works through a run whose lock is held, to its end.
pub(super) fn work_through(
    session: &Session,
    settings: &Settings,
    (id, stored): (&str, Stored),
    lock: File,
    saying: Saying,
    resumed: bool,
) -> Result<Exit, Failure> {
    let mut front = Front::new(id, &stored, saying);
    let mut runner = Runner::new(session, settings, (id, stored), &mut front, resumed)?;
    let worked = runner.run();
    let ended = runner.over();
    front.clear();
    worked.map_err(|failure| {
        failure.maybe_hint(Some(format!("`cx run --resume {id}` goes on with it")))
    })?;
    let exit = end::end(session, &ended, saying, settings.config.notify)?;
    drop(lock);
    Ok(exit)
}

/// Leaves the run to a process of its own, and prints its id.
pub(super) fn detach(
    session: &Session,
    id: &str,
    files: &RunFiles,
    lock: File,
    json: bool,
) -> Result<Exit, Failure> {
    let log = JobFiles::create(&files.log()).map_err(store)?;
    let args = [session.store.dir().as_os_str(), OsStr::new(id)];
    start::runner(&args, lock, log).map_err(|e| {
        Failure::internal(format!("cannot start a process for run {id}: {e}"))
            .hint(format!("`cx run --resume {id}` goes on with it here"))
    })?;
    crash::point("run-detached");
    let mut out = ui::out();
    if json {
        out.json(&serde_json::json!({ "run": id }))?;
    } else {
        out.line(id)?;
    }
    out.finish()?;
    Ok(Exit::Success)
}

/// Works through a run that was detached; `args` are the state folder and its id,
/// and the lock is stdin.
pub fn main(args: &[OsString]) -> ExitCode {
    match detached(args) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            ui::failure(&failure);
            ExitCode::from(failure.exit.code())
        }
    }
}

fn detached(args: &[OsString]) -> Result<Exit, Failure> {
    let [state, id] = args else { return Err(Failure::internal("no run was named")) };
    let internal = |e: std::io::Error| Failure::internal(e.to_string());
    let lock = File::from(start::enter_supervisor().map_err(internal)?);
    let files = Store::new(PathBuf::from(state)).run(&id.to_string_lossy());
    let stored = Stored::read(&files)?;
    std::env::set_current_dir(&stored.cwd).map_err(internal)?;
    let session = Session::open()?;
    let settings = Settings::load(&session)?;
    let id = id.to_string_lossy();
    let state = session.store.state().map_err(store)?;
    let resumed = state.runs.get(&*id).is_some_and(|run| run.runner.is_some());
    let saying = Saying { verbose: true, ..Saying::default() };
    work_through(&session, &settings, (&id, stored), lock, saying, resumed)
}
