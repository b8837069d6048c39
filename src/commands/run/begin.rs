//! From a plan that was read to a run: every task is checked, the run's id is
//! taken, and it is worked through here or in the background.
//!
//! # What a crash leaves
//! Before `run-started` a folder `runs/ID` of which nobody speaks, and which `cx
//! clean` takes; after it an interrupted run.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::{OsStr, OsString},
    fs::File,
    path::PathBuf,
    process::ExitCode,
};

use super::{
    dry_run, end,
    front::{Front, Saying},
    prompt::Filling,
    runner::{self, Runner},
    stored::{Options, Stored},
};
use crate::{
    agent::Resolved,
    commands::{
        plan::Who,
        session::{Session, store},
        settings::Settings,
        spawn::Spawner,
    },
    failure::{Exit, Failure},
    job::{BackendName, JobName, Mode, slug},
    ledger::{Event, JobFiles, NO_JOB, RunFiles, RunStarted, Store},
    plan::{Plan, Schedule, Task, TaskIx},
    process::{crash, lock, start},
    ui,
};

/// A plan that was read and checked by itself.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) plan: Plan,
    /// Where it was read.
    pub(super) source: String,
    /// The hash of that file, where there is one.
    pub(super) digest: Option<String>,
    pub(super) options: Options,
    /// What its aliases stand for.
    pub(super) agents: BTreeMap<String, Resolved>,
}

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
    let records = stored.records();
    if let Some(records) = &records {
        records.begin()?;
    }
    let (id, files, lock) = claim(session, &stored)?;
    if let Some(Err(failure)) = records.map(|records| {
        let said = stored.plan.tasks.iter().find_map(|task| task.backend);
        records.planned(said.unwrap_or(settings.config.backend), &items)
    }) {
        ui::warn(failure);
    }
    if manner.detach {
        return detach(session, &id, &files, lock, manner.saying.json);
    }
    work_through(session, settings, (&id, stored), lock, manner.saying, false)
}

/// The run as it would be begun, with all of it checked. Makes nothing.
pub(super) fn rehearse_all(
    session: &Session,
    settings: &Settings,
    prepared: Prepared,
) -> Result<Stored, Failure> {
    let mut stored = Stored::new(prepared, session.cwd.clone());
    if let Some(reviser) = stored.reviser() {
        Who::reviser(reviser, settings)?.require(session, settings)?;
    }
    check(session, settings, &mut stored)?;
    Ok(stored)
}

/// Checks every task, and settles where writers start. Each task that cannot be run
/// is named.
fn check(session: &Session, settings: &Settings, stored: &mut Stored) -> Result<(), Failure> {
    let Looked { mut wrong, total, notes } = look(session, settings, stored, None)?;
    if total < 2
        && let Some(one) = wrong.pop()
    {
        return Err(Failure { message: format!("{}; nothing was started", one.message), ..one });
    }
    if wrong.is_empty() {
        notes.iter().for_each(ui::warn);
        return Ok(());
    }
    for failure in wrong.iter().take(20) {
        ui::note(failure);
        failure.hint.iter().for_each(ui::hint);
    }
    let tasks = ui::plural(total, "task");
    let mut failure = Failure::usage(format!("{tasks} cannot be run; nothing was started"));
    // Where one thing is wrong with all of them, that is what the code says.
    if let Some(first) =
        wrong.first().filter(|first| wrong.iter().all(|one| one.exit == first.exit))
    {
        failure.exit = first.exit;
    }
    Err(failure)
}

/// What a look at all tasks has shown.
#[derive(Debug)]
pub(super) struct Looked {
    /// What is wrong, each once.
    pub(super) wrong: Vec<Failure>,
    /// How many tasks cannot be run.
    total: u64,
    /// What of them is not honoured.
    pub(super) notes: Vec<String>,
}

/// Looks at the tasks, as far as that is possible before their needs have ended.
/// Settles where writers start. Of a revision only that counts which is not as it
/// was in the plan before.
pub(super) fn look(
    session: &Session,
    settings: &Settings,
    stored: &mut Stored,
    before: Option<&Plan>,
) -> Result<Looked, Failure> {
    let schedule = Schedule::new(&stored.plan);
    let mut spawner = Spawner::new(session, settings, stored.roles()?, stored.base.clone());
    let known: HashMap<&str, &Task> = before
        .map(|plan| plan.tasks.iter().map(|task| (task.id.as_str(), task)).collect())
        .unwrap_or_default();
    let is_as_it_was = |id: &str| {
        let now = stored.plan.tasks.iter().find(|task| task.id == id);
        known.get(id).is_some_and(|before| Some(*before) == now)
    };
    let mut wrong: BTreeMap<String, (Failure, Vec<String>)> = BTreeMap::new();
    let mut head = None;
    let scopes = stored.plan.tasks.iter().map(|task| &task.scope);
    let scopes: BTreeSet<&Vec<String>> = scopes.filter(|scope| !scope.is_empty()).collect();
    // One alone costs the same later.
    if scopes.len() > 1 {
        spawner.scopes(&scopes.into_iter().cloned().collect::<Vec<_>>());
    }
    for at in schedule.tasks().chain(schedule.groups()).collect::<Vec<TaskIx>>() {
        let task = schedule.task(at);
        let whole = schedule.group(at).map_or(task, |group| schedule.task(group));
        if before.is_some() && is_as_it_was(&whole.id) {
            continue;
        }
        let rehearsed = rehearse(&mut spawner, stored, &schedule, at, &mut head);
        let rehearsed = rehearsed.and_then(|backend| match backend {
            BackendName::SH if before.is_some() => {
                Err(Failure::usage("a shell would run it, and only the plan's file can say what"))
            }
            _ => Ok(()),
        });
        if let Err(failure) = rehearsed {
            let place = match task.line {
                0 => format!("task '{}'", task.id),
                line => format!("task '{}' (line {line})", task.id),
            };
            let (_, places) =
                wrong.entry(failure.message.clone()).or_insert_with(|| (failure, Vec::new()));
            places.push(place);
        }
    }
    stored.base = stored.base.take().or(head);
    let wrong: Vec<(Failure, Vec<String>)> = wrong.into_values().collect();
    let total: usize = wrong.iter().map(|(_, places)| places.len()).sum();
    let named = |(failure, places): &(Failure, Vec<String>)| {
        let first = places.first().map_or("", String::as_str);
        let message = match places.len() {
            0 | 1 => format!("{first}: {failure}"),
            n => format!("{first} and {} more: {failure}", n - 1),
        };
        let message = message.trim_end_matches("; nothing was started").to_owned();
        Failure::new(failure.exit, message).maybe_hint(failure.hint.clone())
    };
    let wrong = wrong.iter().map(named).collect();
    Ok(Looked { wrong, total: total as u64, notes: spawner.into_notes() })
}

fn rehearse(
    spawner: &mut Spawner<'_>,
    stored: &Stored,
    schedule: &Schedule,
    at: TaskIx,
    head: &mut Option<String>,
) -> Result<BackendName, Failure> {
    let task = schedule.task(at);
    let mut work = runner::work("", stored, task, 1);
    // Whoever read the plan has said what becomes of these.
    work.max_turns = None;
    // The prompt is looked at below, once it is known what is to read it.
    if !task.argv.is_empty() {
        work.argv.clone_from(&task.argv);
    }
    let spec = spawner.check(&work)?;
    let filling = Filling { run: "", stored, schedule, answer: &|_| None };
    let told = filling.rehearse(at, spec.backend).map_err(Failure::usage)?;
    (work.prompt, work.argv, work.scope) = (told.prompt, told.argv, told.scope);
    spawner.check(&work)?;
    if spec.mode == Mode::Writer && task.base.is_none() && head.is_none() {
        *head = Some(spawner.head()?);
    }
    Ok(spec.backend)
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
    let history = session.store.history().map_err(store)?;
    let resumed = history.runs.get(&*id).is_some_and(|run| run.runner.is_some());
    let saying = Saying { verbose: true, ..Saying::default() };
    work_through(&session, &settings, (&id, stored), lock, saying, resumed)
}
