//! Whether a plan can run, task by task, before any of it does. Makes nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    num::NonZeroU64,
};

use super::{
    prompt::Filling,
    stored::{Prepared, Stored},
};
use crate::{
    commands::{
        plan::Who,
        session::Session,
        settings::Settings,
        spawn::{Spawner, Work},
    },
    failure::Failure,
    job::{BackendName, Budget, BudgetOf, Mode},
    ledger::TaskOf,
    plan::{Plan, Schedule, Task, TaskIx},
    ui,
};

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
    let (mut head, mut asks_server) = (None, false);
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
        asks_server |= matches!(rehearsed, Err(_) | Ok(BackendName::HTTP));
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
    if stored.names_server() && before.is_none() && !asks_server {
        let why = "--codex-url is for tasks of the backend http, and this plan has none";
        return Err(Failure::usage(format!("{why}; nothing was started")).hint("add -b http"));
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
    let mut work = work("", stored, task, 1);
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

/// What a task wants of its job, but for what is known only when its turn comes.
pub(super) fn work<'t>(run: &'t str, stored: &'t Stored, task: &'t Task, attempt: u32) -> Work<'t> {
    let alias = task.alias.clone();
    Work {
        run,
        task: TaskOf { id: task.id.clone(), alias, attempt, item: None },
        agent: task.alias.as_deref(),
        backend: task.backend,
        model: task.model.as_deref(),
        mode: task.mode,
        scope: Vec::new(),
        tools: task.tools.clone(),
        base: task.base.as_deref(),
        timeout: task.timeout,
        silence: task.silence,
        max_turns: task.max_turns,
        budget: Budget::new(
            BudgetOf::Job,
            task.max_tokens.map(NonZeroU64::get),
            task.max_budget_usd,
        ),
        schema: task.schema.as_deref(),
        recall: task.recall,
        prompt: String::from("-"),
        argv: Vec::new(),
        after: Vec::new(),
        max_jobs: stored.max_jobs(),
    }
}
