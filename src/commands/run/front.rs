//! What a run says while it goes on: lines that stay, on a terminal a picture of
//! what runs below them, and with `--stream` the workers' own words.
//!
//! Whoever listens may go at any time: nothing that cannot be said stops a run.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    book::{Book, Counts},
    picture,
    stop::Stop,
    stored::Stored,
};
use crate::{
    commands::{
        logs::Reader,
        session::{Session, label},
        view,
    },
    failure::Failure,
    job::JobId,
    ledger::{Job, State as LedgerState},
    ui::{self, progress::Lines},
};

/// How often the picture is drawn.
const FRAME: Duration = Duration::from_millis(250);

/// What is to be said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Saying {
    /// Each task's start and end.
    pub(super) verbose: bool,
    /// The workers' messages.
    pub(super) stream: bool,
    /// stdout is for one JSON object.
    pub(super) json: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Front {
    saying: Saying,
    run: String,
    begun: Instant,
    screen: Option<Lines>,
    streams: HashMap<JobId, (String, Reader)>,
}

impl Front {
    /// A picture is drawn where stderr is a terminal.
    pub(super) fn new(run: &str, stored: &Stored, saying: Saying) -> Self {
        let screen = ui::stderr_is_terminal().then(|| {
            let jobs = usize::try_from(stored.jobs().get()).unwrap_or(usize::MAX);
            let repeats = stored.plan.tasks.iter().any(|task| task.foreach.is_some());
            let tasks = if repeats { jobs } else { stored.plan.tasks.len() };
            let rows = picture::ROWS.min(jobs.min(tasks).saturating_add(2));
            // The line below the last belongs to the cursor.
            Lines::new(rows.min(ui::stderr_rows().saturating_sub(1).max(1)))
        });
        let (run, begun) = (run.to_owned(), Instant::now());
        Self { saying, run, begun, screen, streams: HashMap::new() }
    }

    pub(super) fn begin(&self, stored: &Stored, counts: Counts) {
        let tasks = ui::plural(counts.total(), "task");
        let jobs = stored.max_jobs().map_or(stored.jobs(), |max| max.min(stored.jobs()));
        let done = match counts.succeeded {
            0 => String::new(),
            n => format!(", {n} of them done already"),
        };
        self.say(&format!("run {}: {tasks}{done}, at most {jobs} at once", self.run));
    }

    pub(super) fn started(&mut self, task: &str, job: &Job, reader: Reader) {
        if self.saying.verbose {
            let again = match job.spec.task.as_ref().map_or(1, |task| task.attempt) {
                0 | 1 => String::new(),
                n => format!(", attempt {n}"),
            };
            self.say(&format!("{task} started as {}{again}", label(job)));
        }
        if self.saying.stream {
            self.streams.insert(job.job, (task.to_owned(), reader));
        }
    }

    /// `again`: the attempt that comes next.
    pub(super) fn ended(&mut self, task: &str, job: &Job, again: Option<u32>) {
        self.stream_rest(job.job);
        let status = view::status_with_code(job);
        if job.succeeded() {
            if self.saying.verbose {
                let took = ui::short(view::elapsed(job));
                self.say(&format!("{task} {status} in {took}"));
            }
            return;
        }
        let reason = job.exited.as_ref().and_then(|exited| exited.reason.as_deref());
        let reason = reason.map(|reason| format!(": {}", ui::clean(reason))).unwrap_or_default();
        let again = again.map(|n| format!("; attempt {n} follows")).unwrap_or_default();
        self.say(&format!("{task} {status}{reason} ({}){again}", label(job)));
    }

    /// A failure without a job.
    pub(super) fn failed(&self, task: &str, why: &str) {
        self.say(&format!("{task} failed: {}", ui::clean(why)));
    }

    pub(super) fn skipped(&self, task: &str, reason: &str, passed_over: bool) {
        if !passed_over {
            self.say(&format!("{task} is skipped: {reason}"));
        } else if self.saying.verbose {
            self.say(&format!("{task} is passed over: {reason}"));
        }
    }

    pub(super) fn not_started(&self, task: &str, why: &Failure) {
        self.say(&format!("{task} could not be started: {why}"));
        if let Some(hint) = &why.hint {
            self.say(&format!("    hint: {hint}"));
        }
    }

    pub(super) fn held(&self, task: &str, by: &str) {
        if self.saying.verbose {
            self.say(&format!("{task} waits: {by}"));
        }
    }

    pub(super) fn asking(&self, phase: &str) {
        if self.screen.is_some() || self.saying.verbose {
            self.say(&format!("asking about the plan, {phase}"));
        }
    }

    /// A failure that changes nothing.
    pub(super) fn warn(&self, failure: &Failure) {
        self.say(&format!("warning: {failure}"));
    }

    pub(super) fn revised(&self, why: &str) {
        self.say(&format!("the plan is revised: {why}"));
    }

    /// Does something that may say something itself.
    pub(super) fn aside<T>(&self, what: impl FnOnce() -> T) -> T {
        match &self.screen {
            Some(screen) => screen.aside(what),
            None => what(),
        }
    }

    pub(super) fn complain(&self, failure: &Failure) {
        self.say(&failure.to_string());
    }

    pub(super) fn stopping(&self, why: Stop, live: &[String]) {
        let what = match why {
            Stop::Interrupt => "stopping",
            Stop::Terminate => "asked to stop",
            Stop::Timeout => "the run's time is up",
            Stop::FailFast => "a task has failed, and nothing more is started",
        };
        let more = if why == Stop::Interrupt { "; Ctrl-C again ends them" } else { "" };
        match live {
            [] => self.say(what),
            live => self.say(&format!("{what}; these still run{more}: {}", live.join(", "))),
        }
    }

    pub(super) fn ending(&self, live: &[String]) {
        if !live.is_empty() {
            self.say(&format!("ending {}", live.join(", ")));
        }
    }

    /// Whether what workers write is of interest at once.
    pub(super) fn streams(&self) -> bool {
        self.saying.stream
    }

    /// Draws the picture and copies what the workers have said. How long it may
    /// stay as it is.
    pub(super) fn draw(
        &mut self,
        session: &Session,
        book: &Book,
        state: &LedgerState,
    ) -> Option<Duration> {
        let ids: Vec<JobId> = self.streams.keys().copied().collect();
        for id in ids {
            self.stream(id, false);
        }
        let screen = self.screen.as_ref()?;
        let lines =
            picture::lines(session, book, state, &self.run, self.begun.elapsed(), screen.count());
        screen.show(&lines);
        Some(FRAME)
    }

    /// Takes the picture away.
    pub(super) fn clear(&mut self) {
        if let Some(screen) = self.screen.take() {
            screen.clear();
        }
    }

    fn stream_rest(&mut self, id: JobId) {
        self.stream(id, true);
        self.streams.remove(&id);
    }

    fn stream(&mut self, id: JobId, over: bool) {
        let Some((task, reader)) = self.streams.get_mut(&id) else { return };
        let lines = reader.lines(over).unwrap_or_default();
        let lines: Vec<String> = lines.iter().map(|line| format!("{task}: {line}")).collect();
        if lines.is_empty() {
            return;
        }
        if let Some(screen) = &self.screen {
            for line in &lines {
                screen.above(line);
            }
        } else if self.saying.json {
            lines.iter().for_each(ui::plain);
        } else {
            let mut out = ui::out();
            let told = lines.iter().try_for_each(|line| out.line(line));
            let _ = told.and_then(|()| out.finish());
        }
    }

    fn say(&self, text: &str) {
        match &self.screen {
            Some(screen) => screen.above(&format!("cx: {text}")),
            None => ui::note(text),
        }
    }
}
