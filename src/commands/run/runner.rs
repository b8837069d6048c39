//! The process that works through a run.
//!
//! # Theory of operation
//! It holds `runs/ID/lock`. It starts what is ready and fits, as `cx spawn` would,
//! and sleeps until the ledger is written, a job's lock becomes free, a signal
//! comes, or time is up. What it knows it has from the plan and the ledger; it
//! owns no worker.
//!
//! # What a crash leaves
//! A run without `run-ended` whose lock is free. Its jobs go on, and say of which
//! task they are. `cx run --resume` makes the same book again and goes on.

mod border;
mod start;

use border::Phase;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    time::{Duration, Instant},
};

use super::{
    answer::text,
    book::{Book, Failed},
    compat::Records,
    end::Over,
    front::Front,
    stop::Stop,
    stored::Stored,
};
use crate::{
    commands::{
        kill,
        plan::Who,
        session::{Recoveries, Session, label, store},
        settings::Settings,
        spawn::Spawner,
    },
    failure::Failure,
    job::{JobId, Outcome},
    ledger::{Event, FollowedState, Job, NO_JOB, RunRunning, RunStopping, TaskSkipped},
    plan::{End, State, Step, TaskIx},
    process::{
        crash,
        lock::deadline_in,
        tree,
        vigil::{Roused, Vigil},
    },
};

/// How long an attempt is put off after the model's service refused for rate;
/// twice that the next time, and so on.
const BACK_OFF: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Runner<'a> {
    session: &'a Session,
    id: &'a str,
    settings: &'a Settings,
    stored: Stored,
    book: Book,
    followed: FollowedState<'a>,
    spawner: Spawner<'a>,
    vigil: Vigil,
    front: &'a mut Front,
    /// Who is asked after each phase.
    reviser: Option<Who>,
    phase: Phase,
    records: Option<Records>,
    /// What can be started, in the order of the file.
    ready: Vec<TaskIx>,
    /// What is tried again, and not before when.
    again: HashMap<TaskIx, Option<Instant>>,
    /// Live jobs and their tasks.
    live: BTreeMap<JobId, String>,
    /// Whose scope overlaps with whose.
    held: HashMap<TaskIx, JobId>,
    /// Whose locks are waited for.
    watched: BTreeSet<JobId>,
    recoveries: HashMap<JobId, Recoveries>,
    stop: Option<Stop>,
    killed: bool,
    deadline: Option<Instant>,
}

impl<'a> Runner<'a> {
    /// A runner of a run whose lock is held. `resumed`: somebody had it before.
    pub(super) fn new(
        session: &'a Session,
        settings: &'a Settings,
        (id, stored): (&'a str, Stored),
        front: &'a mut Front,
        resumed: bool,
    ) -> Result<Self, Failure> {
        let runner = tree::myself().map_err(|e| failed(&e))?;
        let running = RunRunning { run: id.to_owned(), runner, resumed };
        session.store.append(NO_JOB, &Event::RunRunning(running)).map_err(store)?;
        crash::point("run-running");
        let vigil = Vigil::keep(&session.store.ledger_path()).map_err(|e| failed(&e))?;
        let mut followed =
            if resumed { session.store.follow_history() } else { session.store.follow_state() }
                .map_err(store)?;
        session.look(&mut followed)?;
        let how = if resumed { Failed::Afresh } else { Failed::TryAgain };
        let book = Book::replay(id, &stored, followed.state(), how, &|job| text(session, job));
        let deadline = stored.plan.timeout.and_then(deadline_in);
        let reviser = stored.reviser().map(|word| Who::reviser(word, settings)).transpose()?;
        let mut runner = Self {
            session,
            id,
            settings,
            book,
            followed,
            spawner: Spawner::new(session, settings, stored.roles()?, stored.base.clone()),
            records: stored.records().map(Records::below),
            stored,
            reviser,
            phase: Phase::All,
            vigil,
            front,
            ready: Vec::new(),
            again: HashMap::new(),
            live: BTreeMap::new(),
            held: HashMap::new(),
            watched: BTreeSet::new(),
            recoveries: HashMap::new(),
            stop: None,
            killed: false,
            deadline,
        };
        let jobs = runner.followed.state().jobs.values();
        let mine = jobs.filter(|job| job.is_live() && job.spec.run.as_deref() == Some(id));
        runner.live =
            mine.filter_map(|job| Some((job.job, job.spec.task.as_ref()?.id.clone()))).collect();
        let groups: Vec<TaskIx> = runner.book.schedule.groups().collect();
        runner.tell_of_groups(&groups);
        let skipped: Vec<TaskIx> = runner.book.entries();
        runner.skip(skipped)?;
        runner.ready = runner.book.schedule.ready();
        runner.begin_phase(resumed)?;
        runner.record_all();
        Ok(runner)
    }

    /// Works until nothing is left to be done.
    pub(super) fn run(&mut self) -> Result<(), Failure> {
        self.front.begin(&self.stored, self.book.counts());
        loop {
            // Whose lock has become free is looked after where that is heard.
            self.followed.look().map_err(store)?;
            self.take_ends()?;
            if self.stop.is_none() && self.deadline.is_some_and(|at| Instant::now() >= at) {
                self.stop(Stop::Timeout)?;
                self.end_all()?;
            }
            self.start_what_fits()?;
            if self.is_at_border() {
                self.cross_border()?;
                continue;
            }
            if self.live.is_empty() && self.again.is_empty() && self.book.schedule.is_done() {
                return self.session.look(&mut self.followed);
            }
            self.watch()?;
            let frame = self.front.draw(self.session, &self.book, self.followed.state());
            let frame = frame.and_then(deadline_in);
            let limit = self.deadline.filter(|_| self.stop.is_none());
            let again = self.again.values().flatten().min().copied();
            let until = [frame, limit, again].into_iter().flatten().min();
            let roused = self.vigil.wait(until).map_err(|e| failed(&e))?;
            self.hear(&roused)?;
        }
    }

    /// What came of it.
    pub(super) fn over(self) -> Over {
        let state = self.followed.into_state();
        let run = state.runs.get(self.id);
        let elapsed = run.map(|run| run.worked(Some(jiff::Timestamp::now()))).unwrap_or_default();
        let Self { stored, book, stop, .. } = self;
        Over { run: self.id.to_owned(), stored, book, state, stop, elapsed }
    }

    /// Takes in what has ended since the last look.
    fn take_ends(&mut self) -> Result<(), Failure> {
        let state = self.followed.state();
        let over = |id: &JobId| state.jobs.get(id).is_some_and(|job| !job.is_live());
        let ended: Vec<JobId> = self.live.keys().filter(|id| over(id)).copied().collect();
        for id in ended {
            let Some(task) = self.live.remove(&id) else { continue };
            self.vigil.leave(id.0);
            let Some(job) = self.followed.state().jobs.get(&id).cloned() else { continue };
            self.held.retain(|_, with| *with != id);
            self.record(&job, None);
            let Some(at) = self.book.schedule.find(&task) else { continue };
            // One whose task waits again is looked at once that is ready.
            if *self.book.schedule.state(at) == State::Running {
                self.take_end(at, &job)?;
            } else {
                self.front.ended(&task, &job, None);
            }
        }
        Ok(())
    }

    /// Keeps the records that others read of a job, where that was asked for. What
    /// cannot be written is said once.
    fn record(&mut self, job: &Job, told: Option<&str>) {
        let (Some(records), Some(task)) = (&self.records, &job.spec.task) else { return };
        let Some(at) = self.book.schedule.find(&task.id) else { return };
        let whole = (self.book.schedule.task(at), job);
        if let Err(failure) = records.record(self.session, &self.stored, whole, told) {
            self.front.complain(&failure);
            self.records = None;
        }
    }

    /// The same of what was done before this process had the run.
    fn record_all(&mut self) {
        if self.records.is_none() {
            return;
        }
        let jobs = self.followed.state().jobs.values();
        let mine = jobs.filter(|job| job.spec.run.as_deref() == Some(self.id));
        for job in mine.cloned().collect::<Vec<_>>() {
            self.record(&job, None);
        }
    }

    fn take_end(&mut self, at: TaskIx, job: &Job) -> Result<(), Failure> {
        let task = self.book.schedule.task(at).id.clone();
        if job.succeeded() {
            self.front.ended(&task, job, None);
            let answer = text(self.session, job);
            let step = self.book.schedule.on_end(at, End::Succeeded { answer });
            crash::point("task-ended");
            return self.follow(step);
        }
        if self.stop.is_none() && self.book.may_retry(at, job, &self.stored) {
            let attempt = u32::try_from(self.book.jobs_of(at).len()).unwrap_or(u32::MAX);
            self.front.ended(&task, job, Some(attempt + 1));
            let wait = (job.outcome() == Some(&Outcome::RateLimited))
                .then(|| BACK_OFF * 2_u32.saturating_pow(attempt.saturating_sub(1).min(4)));
            self.again.insert(at, wait.and_then(deadline_in));
            return Ok(());
        }
        self.front.ended(&task, job, None);
        self.fail(at)
    }

    /// A failure that is final.
    fn fail(&mut self, at: TaskIx) -> Result<(), Failure> {
        let step = self.book.schedule.on_end(at, End::Failed);
        self.follow(step)?;
        if self.stored.plan.fail_fast && self.stop.is_none() {
            self.stop(Stop::FailFast)?;
        }
        Ok(())
    }

    fn follow(&mut self, step: Step) -> Result<(), Failure> {
        let session = self.session;
        let skipped = self.book.settle(
            step.ready.clone(),
            self.followed.state(),
            &self.stored,
            Failed::Afresh,
            &|job| text(session, job),
        );
        self.tell_of_groups(&step.ended);
        let all: Vec<TaskIx> = step.skipped.into_iter().chain(skipped).collect();
        self.skip(all)?;
        self.ready = self.book.schedule.ready();
        Ok(())
    }

    /// Says why a group has failed that has no members to say it.
    fn tell_of_groups(&self, groups: &[TaskIx]) {
        let schedule = &self.book.schedule;
        for at in groups.iter().filter(|at| schedule.members(**at).is_empty()) {
            if let State::Failed(Some(why)) = schedule.state(*at) {
                self.front.failed(&schedule.task(*at).id, why);
            }
        }
    }

    /// Writes down and says what will not run, of these.
    fn skip(&mut self, tasks: Vec<TaskIx>) -> Result<(), Failure> {
        let mut events = Vec::new();
        for at in tasks {
            let (reason, passed_over) = match self.book.schedule.state(at) {
                State::Skipped(why) => (why.clone(), false),
                State::PassedOver(why) => (why.clone(), true),
                _ => continue,
            };
            let task = self.book.schedule.task(at).id.clone();
            self.front.skipped(&task, &reason, passed_over);
            let run = self.id.to_owned();
            events.push(Event::TaskSkipped(TaskSkipped { run, task, reason, passed_over }));
        }
        if events.is_empty() {
            return Ok(());
        }
        let mut appender = self.session.store.appender().map_err(store)?;
        appender.append_all(events.iter().map(|event| (NO_JOB, event))).map_err(store)?;
        Ok(())
    }

    /// Starts nothing more.
    fn stop(&mut self, why: Stop) -> Result<(), Failure> {
        self.stop = Some(why);
        let (run, by) = (self.id.to_owned(), why.word().to_owned());
        let stopping = RunStopping { run, by };
        self.session.store.append(NO_JOB, &Event::RunStopping(stopping)).map_err(store)?;
        crash::point("run-stopping");
        // What would have been tried again has failed for good.
        let tried = |at: &TaskIx| !self.book.jobs_of(*at).is_empty();
        let mut over: Vec<TaskIx> = self.again.drain().map(|(at, _)| at).collect();
        over.extend(self.ready.iter().copied().filter(tried));
        self.ready.clear();
        for at in over {
            let step = self.book.schedule.on_end(at, End::Failed);
            self.skip(step.skipped)?;
        }
        let step = self.book.schedule.stop(why.reason());
        self.front.stopping(why, &self.names_of_live());
        self.skip(step.skipped)
    }

    fn names_of_live(&self) -> Vec<String> {
        let state = self.followed.state();
        let name = |id: &JobId| state.jobs.get(id).map(label);
        self.live.keys().filter_map(name).collect()
    }

    fn hear(&mut self, roused: &Roused) -> Result<(), Failure> {
        for token in &roused.freed {
            let id = JobId(*token);
            self.watched.remove(&id);
            self.look_after(id)?;
        }
        let mut calls = roused.interrupts + roused.terminations;
        if calls > 0 && !self.stop.is_some_and(|stop| stop != Stop::FailFast) {
            let why = if roused.interrupts > 0 { Stop::Interrupt } else { Stop::Terminate };
            self.stop(why)?;
            calls -= 1;
        }
        if calls > 0 {
            self.end_all()?;
        }
        Ok(())
    }

    /// A lock is free: its job is over, or is taken over by a recovery, or neither
    /// can be.
    fn look_after(&mut self, id: JobId) -> Result<(), Failure> {
        let is_live =
            |followed: &FollowedState<'_>| followed.state().jobs.get(&id).is_some_and(Job::is_live);
        // Most have ended, and then nobody has to look for lost ones.
        self.followed.look().map_err(store)?;
        if is_live(&self.followed) {
            self.session.look(&mut self.followed)?;
        }
        let Some(job) = self.followed.state().jobs.get(&id).filter(|job| job.is_live()) else {
            return Ok(());
        };
        let mended = self.recoveries.entry(id).or_default().failed(self.session, job);
        let Err(failure) = mended else { return Ok(()) };
        let Some(task) = self.live.remove(&id) else { return Ok(()) };
        // Neither waited for nor waited with: what cannot be mended holds nobody up.
        self.watched.insert(id);
        self.front.complain(&failure);
        match self.book.schedule.find(&task) {
            Some(at) => self.fail(at),
            None => Ok(()),
        }
    }

    /// Ends every live job of the run.
    fn end_all(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.killed, true) {
            return Ok(());
        }
        self.front.ending(&self.names_of_live());
        for id in self.live.keys() {
            if let Some(job) = self.followed.state().jobs.get(id).filter(|job| job.is_live()) {
                kill::request(self.session, job, 15)?;
            }
        }
        Ok(())
    }

    /// Sees to it that the end of a job is noticed also where nobody writes it down.
    fn watch(&mut self) -> Result<(), Failure> {
        let others = self.held.values().copied();
        let wanted: BTreeSet<JobId> = self.live.keys().copied().chain(others).collect();
        // Where the repository's limit holds us up, the jobs of others do.
        let mut wanted: Vec<JobId> = wanted.into_iter().collect();
        if !self.ready.is_empty() && self.stop.is_none() {
            let live = self.followed.state().jobs.values().filter(|job| job.is_live());
            wanted.extend(live.map(|job| job.job));
        }
        for id in wanted {
            if self.watched.insert(id) {
                let path = self.session.store.job(id).lock();
                self.vigil.until_free(&path, id.0).map_err(|e| failed(&e))?;
            }
        }
        Ok(())
    }
}

fn failed(error: &io::Error) -> Failure {
    Failure::internal(format!("cannot work through the run: {error}; its jobs go on"))
}
