//! Starting a task: what fits under the limits, and what its job is told.

use std::time::Instant;

use super::{Runner, failed};
use crate::{
    commands::{
        logs::Reader,
        run::{
            answer::{Answer, answer},
            prompt::Filling,
            stored::Stored,
        },
        session::store,
        spawn::{Begun, Work},
        view,
    },
    failure::Failure,
    job::JobId,
    ledger::{Event, NO_JOB, Note, TaskOf, TaskSkipped},
    plan::{State, Task, TaskIx},
    process::crash,
};

impl Runner<'_> {
    pub(super) fn start_what_fits(&mut self) -> Result<(), Failure> {
        if self.stop.is_some() {
            return Ok(());
        }
        let now = Instant::now();
        let due: Vec<TaskIx> = self
            .again
            .iter()
            .filter(|(_, at)| at.is_none_or(|at| at <= now))
            .map(|(task, _)| *task)
            .collect();
        let fresh = self.ready.iter().copied();
        let wanted: Vec<TaskIx> = due.into_iter().chain(fresh).collect();
        for at in wanted {
            if self.held.contains_key(&at) {
                continue;
            }
            if !self.has_room() || self.stop.is_some() {
                break;
            }
            self.start(at)?;
        }
        Ok(())
    }

    /// Whether one more job fits under the limits, as of the last look.
    fn has_room(&self) -> bool {
        if self.live.len() as u64 >= self.stored.options.jobs().get() {
            return false;
        }
        let Some(limit) = self.max_jobs() else { return true };
        let live = self.followed.state().jobs.values().filter(|job| job.is_live());
        let others = live.filter(|job| !self.live.contains_key(&job.job)).count();
        ((others + self.live.len()) as u64) < limit.get()
    }

    fn max_jobs(&self) -> Option<std::num::NonZeroU64> {
        self.stored.options.max_jobs.or(self.stored.plan.max_jobs)
    }

    fn start(&mut self, at: TaskIx) -> Result<(), Failure> {
        let attempt = u32::try_from(self.book.jobs_of(at).len()).unwrap_or(u32::MAX) + 1;
        let begun = match self.begin(at, attempt) {
            Ok(begun) => begun,
            Err(why) => {
                let task = self.book.schedule.task(at).id.clone();
                self.again.remove(&at);
                self.ready.retain(|other| *other != at);
                self.front.not_started(&task, &why);
                let (run, reason) = (self.id.to_owned(), format!("could not be started: {why}"));
                let event = TaskSkipped { run, task, reason, passed_over: false };
                self.session.store.append(NO_JOB, &Event::TaskSkipped(event)).map_err(store)?;
                return self.fail(at);
            }
        };
        let job = match begun {
            Begun::Started(job) => job,
            Begun::Overlaps { with, name, what } => {
                let task = &self.book.schedule.task(at).id;
                self.front.held(task, &format!("{with} {name} is at work in {what}"));
                self.held.insert(at, with);
                return Ok(());
            }
        };
        crash::point("task-started");
        let task = self.book.schedule.task(at).id.clone();
        if attempt > 1 {
            let before = self.book.last_of(at).and_then(|id| self.followed.state().jobs.get(&id));
            if let Some(before) = before {
                let how = view::status_with_code(before);
                let text = format!("attempt {attempt} of task {task}; {} {how}", before.job);
                self.session.store.append(job.id, &Event::Note(Note { text })).map_err(store)?;
            }
        }
        self.again.remove(&at);
        self.ready.retain(|other| *other != at);
        self.book.schedule.start(at);
        self.book.attempts.entry(task.clone()).or_default().push(job.id);
        self.live.insert(job.id, task.clone());
        self.session.look(&mut self.followed)?;
        if let Some(job) = self.followed.state().jobs.get(&job.id) {
            let path = self.session.store.job(job.job).stdout();
            self.front.started(&task, job, Reader::new(job, path, false));
            if self.front.streams() {
                let folder = self.session.store.job(job.job);
                self.vigil.follow(folder.dir(), job.job.0).map_err(|e| failed(&e))?;
            }
        }
        Ok(())
    }

    /// An error is a sentence about the task.
    fn begin(&mut self, at: TaskIx, attempt: u32) -> Result<Begun, Failure> {
        let schedule = &self.book.schedule;
        let task = schedule.task(at).clone();
        let rehearsed = self.spawner.check(&work(self.id, self.stored, &task, attempt))?;
        let state = self.followed.state();
        let answer = |need: TaskIx| -> Option<Answer> {
            let job = state.jobs.get(&self.book.last_of(need)?)?;
            answer(self.session, job)
        };
        let filling = Filling { run: self.id, stored: self.stored, schedule, answer: &answer };
        let told = filling.tell(at, rehearsed.backend).map_err(Failure::usage)?;
        let mut work = work(self.id, self.stored, &task, attempt);
        work.task.item = schedule.item(at).map(str::to_owned);
        (work.prompt, work.argv) = (told.prompt, told.argv);
        work.after = self.stands_on(at);
        self.spawner.start(&work)
    }

    /// The jobs whose work a task builds on: those of its needs that succeeded.
    fn stands_on(&self, at: TaskIx) -> Vec<JobId> {
        let schedule = &self.book.schedule;
        let needs = schedule.needs(at).iter().flat_map(|need| schedule.runs_of(*need));
        let good = needs.filter(|need| *schedule.state(*need) == State::Succeeded);
        let mut jobs: Vec<JobId> = good.filter_map(|need| self.book.last_of(need)).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs
    }
}

/// What a task wants of its job, but for what is known only when its turn comes.
pub(in crate::commands::run) fn work<'t>(run: &'t str, stored: &'t Stored, task: &'t Task, attempt: u32) -> Work<'t> {
    let alias = task.alias.clone();
    Work {
        run,
        task: TaskOf { id: task.id.clone(), alias, attempt, item: None },
        agent: task.alias.as_deref(),
        backend: task.backend,
        model: task.model.as_deref(),
        mode: task.mode,
        scope: &task.scope,
        base: task.base.as_deref(),
        timeout: task.timeout,
        silence: task.silence,
        prompt: String::from("-"),
        argv: Vec::new(),
        after: Vec::new(),
        max_jobs: stored.options.max_jobs.or(stored.plan.max_jobs),
    }
}
