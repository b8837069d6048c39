//! Starting a task: what fits under the limits, and what its job is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{Runner, failed};
use crate::{
    commands::{
        logs::Reader,
        run::{
            answer::{Answer, answer},
            prompt::Filling,
            rehearse::work,
        },
        session::store,
        spawn::Begun,
        view,
    },
    failure::Failure,
    ledger::{Event, Job, NO_JOB, Note, Phase, TaskSkipped},
    plan::TaskIx,
    process::crash,
};

impl Runner<'_> {
    pub(super) fn start_what_fits(&mut self) -> Result<(), Failure> {
        if self.stop.is_some() {
            return Ok(());
        }
        let now = Instant::now();
        let due = self.again.iter().filter(|(_, at)| at.is_none_or(|at| at <= now));
        let mut due: Vec<TaskIx> = due.map(|(task, _)| *task).collect();
        due.sort_unstable();
        let wanted: Vec<TaskIx> = {
            let ready = self.ready.iter().copied().filter(|at| self.is_in_phase(*at));
            due.into_iter().chain(ready).collect()
        };
        let mut full: BTreeSet<String> = BTreeSet::new();
        for at in wanted {
            if self.stop.is_some() || !self.has_room() {
                break;
            }
            let role = self.stored.role(self.book.schedule.task(at));
            let pool = role.map(|role| role.pool.clone()).unwrap_or_default();
            if self.held.contains_key(&at) || full.contains(&pool) {
                continue;
            }
            if self.is_pool_full(at) {
                full.insert(pool);
                continue;
            }
            self.start(at)?;
        }
        Ok(())
    }

    /// Whether one more job fits under the limits of the run and the repository, as
    /// of the last look.
    fn has_room(&self) -> bool {
        if self.live.len() as u64 >= self.stored.jobs().get() {
            return false;
        }
        let Some(limit) = self.stored.max_jobs() else { return true };
        let state = self.followed.state();
        // Who waits in the queue of a pool, where another run was faster, takes up no
        // room here yet.
        let waits = state.waits();
        let is_in_pool = |job: &&Job| {
            let turn = waits.get(&job.job).map(|wait| wait.turn);
            turn.is_some_and(|at| job.spec.turns().get(at).is_some_and(|turn| turn.pool.is_some()))
        };
        // One on hold has given its place back.
        let takes_room =
            |job: &&Job| job.is_live() && job.phase != Phase::OnHold && !is_in_pool(job);
        let live = state.jobs.values().filter(takes_room);
        (live.count() as u64) < limit.get()
    }

    /// Whether as many jobs of the task's pool live as may.
    fn is_pool_full(&self, at: TaskIx) -> bool {
        let role = self.stored.role(self.book.schedule.task(at));
        let Some((pool, limit)) = role.and_then(|role| Some((&role.pool, role.limit?))) else {
            return false;
        };
        let live = self.followed.state().jobs.values().filter(|job| job.is_live());
        let in_pool = live.filter(|job| job.spec.pools.iter().any(|other| other.name == *pool));
        in_pool.count() as u64 >= limit.get()
    }

    fn start(&mut self, at: TaskIx) -> Result<(), Failure> {
        let attempt = u32::try_from(self.book.jobs_of(at).len()).unwrap_or(u32::MAX) + 1;
        let (begun, text) = match self.begin(at, attempt) {
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
        if let Some(job) = self.followed.state().jobs.get(&job.id).cloned() {
            self.record(&job, Some(&text));
            let job = &job;
            let files = self.session.store.job(job.job);
            self.front.started(&task, job, Reader::new(&files, job, files.stdout(), false));
            if self.front.streams() {
                self.vigil.follow(files.dir(), job.job.0).map_err(|e| failed(&e))?;
            }
        }
        Ok(())
    }

    /// What has become of it, and what it is told. An error is a sentence about the
    /// task.
    fn begin(&mut self, at: TaskIx, attempt: u32) -> Result<(Begun, String), Failure> {
        let schedule = &self.book.schedule;
        let task = schedule.task(at).clone();
        let rehearsed = self.spawner.check(&work(self.id, &self.stored, &task, attempt))?;
        let state = self.followed.state();
        let answer = |need: TaskIx| -> Option<Answer> {
            let job = state.jobs.get(&self.book.last_of(need)?)?;
            answer(self.session, job)
        };
        let filling = Filling { run: self.id, stored: &self.stored, schedule, answer: &answer };
        let told = filling.tell(at, rehearsed.backend).map_err(Failure::usage)?;
        let mut work = work(self.id, &self.stored, &task, attempt);
        work.task.item = schedule.item(at).map(str::to_owned);
        (work.prompt, work.argv, work.scope) = (told.prompt, told.argv, told.scope);
        work.after = self.stands_on(at);
        let begun = self.spawner.start(&work)?;
        let text = if work.argv.is_empty() { work.prompt } else { work.argv.join(" ") };
        Ok((begun, text))
    }

    /// The jobs whose work a task builds on: those of its needs that succeeded, and
    /// the writers whose work its readers have looked at.
    fn stands_on(&self, at: TaskIx) -> Vec<Job> {
        let (schedule, state) = (&self.book.schedule, self.followed.state());
        let mut found = BTreeMap::new();
        for need in schedule.needs(at).iter().flat_map(|need| schedule.runs_of(*need)) {
            let mut jobs = self.book.jobs_of(need).iter().filter_map(|id| state.jobs.get(id));
            let Some(job) = jobs.rfind(|job| job.succeeded()) else { continue };
            found.insert(job.job, job);
            if job.spec.branch().is_none() {
                let behind = job.spec.after.iter().filter_map(|id| state.jobs.get(id));
                found.extend(
                    behind.filter(|job| job.spec.branch().is_some()).map(|job| (job.job, job)),
                );
            }
        }
        found.into_values().cloned().collect()
    }
}
