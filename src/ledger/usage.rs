//! What was used: tokens and dollars, folded by day, backend and agent.
//!
//! A job says how much it has used so far, and counts from its own beginning; the
//! fold takes differences, so nothing counts twice however often it is said. Where
//! another backend does its work, that one counts from its own beginning, and what
//! the one before has used is its own. The sums of all days stay in the snapshot, so
//! they cost nothing to ask for.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{
    event::Spawned,
    fold::{Job, State},
    line::glance,
    parts::Chunks,
    runs::Run,
    store::{Store, StoreError},
};
use crate::job::{BudgetOf, JobId, Spent, Usage, Usd};

/// [`Event::Used`](super::Event::Used).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// From the beginning of the backend that does the job up to here.
    pub usage: Usage,
}

/// A sum over jobs, and what is missing from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Jobs that are over and had a worker.
    pub jobs: u64,
    /// Tokens sent, cached ones included.
    pub input: u64,
    /// Those of them that came from the cache.
    pub cached: u64,
    /// Tokens written.
    pub output: u64,
    /// Dollars, of the jobs of which that is known.
    pub cost_usd: Usd,
    /// Jobs whose cost is not known: neither did the program tell it, nor was there
    /// a price.
    pub cost_unknown: u64,
    /// Jobs of which not even the tokens are known.
    pub tokens_unknown: u64,
}

impl Tally {
    /// As a job's usage, for budgets.
    pub fn usage(&self) -> Usage {
        Usage {
            input: self.input,
            cached: self.cached,
            output: self.output,
            cost_usd: Some(self.cost_usd),
        }
    }

    /// What one job has come to.
    pub fn of(usage: Option<Usage>, is_over: bool, tells: bool) -> Self {
        let used = usage.unwrap_or_default();
        let count = |is| u64::from(is && is_over);
        Self {
            jobs: count(true),
            input: used.input,
            cached: used.cached,
            output: used.output,
            cost_usd: used.cost_usd.unwrap_or_default(),
            cost_unknown: count(usage.is_some() && used.tokens() > 0 && used.cost_usd.is_none()),
            tokens_unknown: count(usage.is_none() && tells),
        }
    }
}

impl Tally {
    /// What the try of a backend has come to that could not do the job, of which
    /// `counted` counts already. No job is over by it.
    fn of_try(usage: Usage, counted: Usage) -> Self {
        let more = usage.since(counted);
        Self {
            input: more.input,
            cached: more.cached,
            output: more.output,
            cost_usd: more.cost_usd.unwrap_or_default(),
            cost_unknown: u64::from(usage.tokens() > 0 && usage.cost_usd.is_none()),
            ..Self::default()
        }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.jobs += more.jobs;
        self.input += more.input;
        self.cached += more.cached;
        self.output += more.output;
        self.cost_usd = [self.cost_usd, more.cost_usd].into_iter().sum();
        self.cost_unknown += more.cost_unknown;
        self.tokens_unknown += more.tokens_unknown;
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        all.for_each(|one| sum += one);
        sum
    }
}

/// What a sum is over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Page {
    /// The day, of UTC, on which it was used.
    pub day: Date,
    /// By workers of this backend.
    pub backend: String,
    /// In this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    page: Page,
    #[serde(flatten)]
    tally: Tally,
}

/// Everything that was ever used. What the snapshot has of it stays unread until
/// somebody asks.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Rows as JSON.
    old: Vec<u8>,
    new: BTreeMap<Page, Tally>,
}

impl PartialEq for Book {
    fn eq(&self, other: &Self) -> bool {
        self.pages() == other.pages()
    }
}

impl Book {
    /// All sums.
    pub fn pages(&self) -> BTreeMap<Page, Tally> {
        let rows: Vec<Row> = serde_json::from_slice(&self.old).unwrap_or_default();
        let mut pages: BTreeMap<Page, Tally> =
            rows.into_iter().map(|row| (row.page, row.tally)).collect();
        for (page, tally) in &self.new {
            *pages.entry(page.clone()).or_default() += *tally;
        }
        pages
    }

    /// The sum of one day.
    pub fn on(&self, day: Date) -> Tally {
        self.pages().iter().filter(|(page, _)| page.day == day).map(|(_, tally)| *tally).sum()
    }

    fn add(&mut self, at: Timestamp, job: &Job, tally: Tally) {
        let (backend, agent) = (job.spec.backend.as_str().to_owned(), job.spec.agent.clone());
        *self.new.entry(Page { day: day_of(at), backend, agent }).or_default() += tally;
    }

    /// One line for the snapshot.
    pub(super) fn encode(&self) -> Result<Vec<u8>, jsonl::WriteError> {
        let rows: Vec<Row> =
            self.pages().into_iter().map(|(page, tally)| Row { page, tally }).collect();
        let mut line = Vec::new();
        jsonl::write(&mut line, &rows)?;
        Ok(line)
    }

    /// The book that [`Book::encode`] has written; none where that is spoilt.
    pub(super) fn decode(line: &[u8]) -> Option<Self> {
        let is_whole = line.starts_with(b"[") && line.ends_with(b"]\n");
        is_whole.then(|| Self { old: line.to_vec(), new: BTreeMap::new() })
    }
}

/// The day of UTC.
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// Whether workers of this backend use tokens that they may tell of.
fn tells(backend: &str) -> bool {
    backend != "sh"
}

/// Counts what the try of a backend came to that could not do `job`. Called while
/// that one is still its backend.
pub(super) fn count_try(
    book: &mut Book,
    run: Option<&mut Run>,
    job: &mut Job,
    (at, usage): (Timestamp, Option<Usage>),
) {
    let Some(now) = usage.or(job.used) else { return };
    let tally = Tally::of_try(now, job.used.take().unwrap_or_default());
    book.add(at, job, tally);
    if let Some(run) = run {
        run.used += tally;
    }
}

/// Counts what `job` says that it has used so far, and what is new of that.
pub(super) fn count(
    book: &mut Book,
    run: Option<&mut Run>,
    job: &mut Job,
    (at, usage): (Timestamp, Option<Usage>),
) {
    let is_over = job.exited.is_some();
    if is_over && job.running_at.is_none() {
        return;
    }
    let before = job.used.unwrap_or_default();
    let now = usage.or(job.used);
    let mut tally = Tally::of(now, is_over, tells(job.spec.backend.as_str()));
    let more = now.unwrap_or_default().since(before);
    (tally.input, tally.cached, tally.output) = (more.input, more.cached, more.output);
    tally.cost_usd = more.cost_usd.unwrap_or_default();
    // What it has come to stands in its end.
    job.used = now.filter(|_| !is_over || usage.is_none());
    book.add(at, job, tally);
    if let Some(run) = run {
        run.used += tally;
    }
}

impl State {
    /// The budget that is used up, if one is: by what the ledger knows of, and by what
    /// the job has used since it said so last, which is `untold`. `own` is all that it
    /// has used.
    pub fn spent(
        &self,
        spec: &Spawned,
        own: Usage,
        untold: Usage,
        now: Timestamp,
    ) -> Option<Spent> {
        let more = Tally::of(Some(untold), false, true);
        spec.budgets.iter().find_map(|budget| {
            let used = match budget.of {
                BudgetOf::Job => return budget.spent(&own),
                BudgetOf::Run => self.runs.get(spec.run.as_deref()?)?.used,
                BudgetOf::Day => self.book.on(day_of(now)),
            };
            budget.spent(&[used, more].into_iter().sum::<Tally>().usage())
        })
    }

    /// The fewest dollars that are left of its budgets, where one is in dollars.
    /// `own` is what the job has used itself.
    pub fn usd_left(&self, spec: &Spawned, own: Usage, now: Timestamp) -> Option<Usd> {
        let left = spec.budgets.iter().filter_map(|budget| {
            let used = match budget.of {
                BudgetOf::Job => own,
                BudgetOf::Run => self.runs.get(spec.run.as_deref()?)?.used.usage(),
                BudgetOf::Day => self.book.on(day_of(now)).usage(),
            };
            budget.usd_left(&used)
        });
        left.min()
    }
}

/// What one job has used, for those who ask for each.
#[derive(Clone, Debug, PartialEq)]
pub struct JobUse {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// The run it belongs to.
    pub run: Option<String>,
    /// Its role.
    pub agent: Option<String>,
    /// Its backend; where several did its work, the last.
    pub backend: String,
    /// The model that was asked for.
    pub model: Option<String>,
    /// When it was spawned, or said last what it has used.
    pub at: Timestamp,
    /// Whether it is not over.
    pub live: bool,
    /// How much.
    pub tally: Tally,
}

#[derive(Deserialize)]
struct SpawnedLine {
    t: Timestamp,
    name: String,
    backend: String,
    run: Option<String>,
    agent: Option<String>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct UsageLine {
    t: Timestamp,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct FellLine {
    t: Timestamp,
    to: String,
    usage: Option<Usage>,
}

/// A job, as far as the lines up to here tell of it.
struct Entry {
    job: JobUse,
    /// What its backend said last.
    used: Option<Usage>,
    /// What the backends before came to.
    before: Tally,
    /// It had a worker.
    ran: bool,
}

impl Store {
    /// What each job that had a worker has used, from the whole ledger, of whose
    /// lines only those are parsed that tell of it.
    pub fn usage_of_jobs(&self) -> Result<Vec<JobUse>, StoreError> {
        let mut jobs: BTreeMap<JobId, Entry> = BTreeMap::new();
        let mut chunks = Chunks::new(self, 0)?;
        while let Some(lines) = chunks.next()? {
            lines.split_inclusive(|b| *b == b'\n').for_each(|line| fold_line(&mut jobs, line));
        }
        let all = jobs.into_values();
        Ok(all.filter(|entry| entry.ran).map(|entry| entry.job).collect())
    }
}

fn fold_line(jobs: &mut BTreeMap<JobId, Entry>, line: &[u8]) {
    let Some((kind, id)) = glance(line) else { return };
    match kind {
        "spawned" => {
            let Ok(spec) = serde_json::from_slice::<SpawnedLine>(line) else { return };
            let SpawnedLine { t, name, backend, run, agent, model } = spec;
            let tally = Tally::default();
            let job =
                JobUse { job: id, name, run, agent, backend, model, at: t, live: true, tally };
            jobs.entry(id).or_insert(Entry { job, used: None, before: tally, ran: false });
        }
        "running" => {
            if let Some(entry) = jobs.get_mut(&id) {
                entry.ran = true;
            }
        }
        "used" | "exited" => {
            let entry = jobs.get_mut(&id).filter(|entry| entry.job.live);
            let Some(Entry { job, used, before, .. }) = entry else { return };
            let Ok(UsageLine { t, usage }) = serde_json::from_slice(line) else { return };
            *used = usage.or(*used);
            job.live = kind == "used";
            job.at = t;
            job.tally = *before;
            job.tally += Tally::of(*used, !job.live, tells(&job.backend));
            job.tally.cost_unknown = job.tally.cost_unknown.min(1);
        }
        "fell-over" => {
            let Some(Entry { job, used, before, .. }) = jobs.get_mut(&id) else { return };
            let Ok(FellLine { t, to, usage }) = serde_json::from_slice(line) else { return };
            if let Some(usage) = usage.or(used.take()) {
                *before += Tally::of_try(usage, Usage::default());
                job.tally = *before;
                job.at = t;
            }
            *used = None;
            job.backend = to;
        }
        _ => {}
    }
}
