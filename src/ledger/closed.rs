//! Closed jobs: those that the snapshot has no room for, each to be had without folding the ledger.
//!
//! `closed-ID.gz` holds folded jobs, a JSON line each, in members as the parts have them ([`super::parts`]);
//! `closed-ID.index` has a row for each number that was ever given, which says where the job lies and what it may
//! be asked for by. The snapshot's header names the two and says how many bytes of the first count.
//!
//! Both are derived like the snapshot, by the one who renews that, and only ever grow: a job about which more
//! is said is taken out by whoever folds that, and put away again behind the others by the next
//! renewal. A row that points behind the bytes that count was written by one who died before the new snapshot was there,
//! or is ahead of this reader. That is odd, and whatever is odd means: fold from the start.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{
    event::{Event, Record},
    fold::{Job, State},
    given::TaskOf,
    parts,
    run::NO_JOB,
    store::{Store, StoreError, at},
};
use crate::job::JobId;

/// Bytes of a row of the index.
const ROW: usize = 32;

/// How many jobs one member holds at most.
const TOGETHER: usize = 128;

/// How much of a name stands in a row.
const HEAD: usize = 8;

/// Where in a row stands what is looked for.
const NAME: usize = 12;
const TASK: usize = 16;
const GROUP: usize = 20;
const BEGINNING: usize = 24;

/// What the snapshot's header says of the two files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Named {
    id: String,
    bytes: u64,
}

/// The two files, opened.
#[derive(Debug)]
pub(super) struct Closed {
    named: Named,
    jobs: File,
    index: File,
    /// The last member that was unpacked, and its place.
    unpacked: Option<(u64, Vec<u8>)>,
    is_new: bool,
}

/// Whatever is odd about the files.
#[derive(Debug)]
pub(super) struct Odd;

impl From<io::Error> for Odd {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Where a job lies, and by what it may be looked for.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// The place of its member, and 1; 0 where there is no such job.
    place: u64,
    /// Which line of the member it is.
    line: u32,
    name: u32,
    task: u32,
    group: u32,
    /// How its name begins, zeros behind.
    head: [u8; HEAD],
}

impl Row {
    fn of(job: &Job, place: u64, line: u32) -> Self {
        let name = job.spec.name.as_str();
        let task = job.spec.task.as_ref();
        Self {
            place: place + 1,
            line,
            name: mark(name),
            task: task.map_or(0, |task| mark_of_task(job.spec.run.as_deref(), task)),
            group: job.spec.group.as_deref().map_or(0, mark),
            head: head(name),
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        let numbers = [self.line, self.name, self.task, self.group];
        let place = self.place.to_le_bytes().into_iter();
        place.chain(numbers.into_iter().flat_map(u32::to_le_bytes)).chain(self.head).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        Some(Self {
            place: u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?),
            line: number(8)?,
            name: number(NAME)?,
            task: number(TASK)?,
            group: number(GROUP)?,
            head: bytes.get(BEGINNING..)?.try_into().ok()?,
        })
    }
}

fn head(name: &str) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head.iter_mut().zip(name.bytes()).for_each(|(there, byte)| *there = byte);
    head
}

/// A number for a text, by which most others are told from it. Never 0.
fn mark(text: &str) -> u32 {
    // FNV-1a: it must be the same in every build.
    let hash = text
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.max(1)
}

fn mark_of_task(run: Option<&str>, task: &TaskOf) -> u32 {
    mark(&format!("{} {}", run.unwrap_or_default(), task.id))
}

fn paths(store: &Store, id: &str) -> (PathBuf, PathBuf) {
    let path = |end: &str| store.dir().join(format!("closed-{id}.{end}"));
    (path("gz"), path("index"))
}

impl Closed {
    /// The files that a snapshot names, to look into them.
    pub(super) fn open(store: &Store, named: &Named) -> Result<Self, Odd> {
        Self::open_with(store, named.clone(), File::options().read(true))
    }

    /// The same, to put more jobs away.
    pub(super) fn open_to_add(store: &Store, named: &Named) -> Result<Self, Odd> {
        Self::open_with(store, named.clone(), File::options().read(true).write(true))
    }

    fn open_with(store: &Store, named: Named, options: &OpenOptions) -> Result<Self, Odd> {
        let (jobs, index) = paths(store, &named.id);
        let (jobs, index) = (options.open(jobs)?, options.open(index)?);
        let is_whole = jobs.metadata()?.len() >= named.bytes;
        let closed = Self { named, jobs, index, unpacked: None, is_new: false };
        is_whole.then_some(closed).ok_or(Odd)
    }

    /// New files, with nothing in them.
    pub(super) fn create(store: &Store) -> Result<Self, StoreError> {
        let named = Named { id: fresh_id(store), bytes: 0 };
        let (jobs, index) = paths(store, &named.id);
        let mut options = File::options();
        options.read(true).write(true).create_new(true).mode(0o600);
        let jobs = options.open(&jobs).map_err(at("create", &jobs))?;
        let index = options.open(&index).map_err(at("create", &index))?;
        Ok(Self { named, jobs, index, unpacked: None, is_new: true })
    }

    /// Whether they were made just now.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// What the snapshot's header is to say of them.
    pub(super) fn named(&self) -> &Named {
        &self.named
    }

    /// Puts jobs away. They count once a snapshot says so.
    pub(super) fn put_away(&mut self, store: &Store, jobs: &[Job]) -> Result<(), StoreError> {
        let path = paths(store, &self.named.id).0;
        self.unpacked = None;
        for jobs in jobs.chunks(TOGETHER) {
            let mut text = Vec::new();
            for job in jobs {
                jsonl::write(&mut text, job)?;
            }
            self.named.bytes += self.write(&text, jobs).map_err(at("write", &path))?;
        }
        Ok(())
    }

    /// Writes a member and its rows, and gives the member's length.
    fn write(&self, text: &[u8], jobs: &[Job]) -> io::Result<u64> {
        let member = parts::member(text)?;
        self.jobs.write_all_at(&member, self.named.bytes)?;
        for (line, job) in (0..).zip(jobs) {
            let row = Row::of(job, self.named.bytes, line).to_bytes();
            self.index.write_all_at(&row, row_place(job.job))?;
        }
        Ok(member.len() as u64)
    }

    /// The job of this number, if it was put away.
    pub(super) fn job(&mut self, id: JobId) -> Result<Option<Job>, Odd> {
        let mut row = [0; ROW];
        match self.index.read_exact_at(&mut row, row_place(id)) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        match Row::from_bytes(&row) {
            Some(row) if row.place > 0 => self.load(id, row).map(Some),
            _ => Ok(None),
        }
    }

    /// All jobs of this name that were put away, in no order.
    pub(super) fn of_name(&mut self, name: &str) -> Result<Vec<Job>, Odd> {
        let found = self.matching(NAME, &mark(name).to_le_bytes())?;
        Ok(found.into_iter().filter(|job| job.spec.name.as_str() == name).collect())
    }

    /// All jobs that were put away whose names begin so, in no order.
    pub(super) fn named_like(&mut self, beginning: &str) -> Result<Vec<Job>, Odd> {
        let head = beginning.as_bytes();
        let found = self.matching(BEGINNING, head.get(..HEAD).unwrap_or(head))?;
        let like = |job: &Job| job.spec.name.as_str().starts_with(beginning);
        Ok(found.into_iter().filter(like).collect())
    }

    /// The attempts at a task of a run that were put away.
    fn attempts(&mut self, run: Option<&str>, task: &TaskOf) -> Result<Vec<Job>, Odd> {
        self.matching(TASK, &mark_of_task(run, task).to_le_bytes())
    }

    /// The jobs of a group that were put away.
    fn group(&mut self, group: &str) -> Result<Vec<Job>, Odd> {
        self.matching(GROUP, &mark(group).to_le_bytes())
    }

    /// The jobs in whose rows these bytes stand at `at`. Rows are looked at where they
    /// lie, as there is one for each job that there ever was.
    fn matching(&mut self, at: usize, wanted: &[u8]) -> Result<Vec<Job>, Odd> {
        let mut buffer = vec![0; 2048 * ROW];
        let (mut found, mut id) = (Vec::new(), 0);
        loop {
            let len = parts::read_at(&self.index, &mut buffer, row_place(JobId(id)))?;
            let rows = buffer.get(..len).unwrap_or_default().chunks_exact(ROW);
            let count = rows.len() as u64;
            for (id, row) in (id..).zip(rows) {
                if row.get(at..at + wanted.len()) == Some(wanted) {
                    found.extend(Row::from_bytes(row).map(|row| (id, row)));
                }
            }
            id += count;
            if len < buffer.len() {
                break;
            }
        }
        found.retain(|(_, row)| row.place > 0);
        // Each member is unpacked once.
        found.sort_unstable_by_key(|(_, row)| (row.place, row.line));
        found.into_iter().map(|(id, row)| self.load(JobId(id), row)).collect()
    }

    fn load(&mut self, id: JobId, row: Row) -> Result<Job, Odd> {
        let place = row.place - 1;
        if place >= self.named.bytes {
            return Err(Odd);
        }
        if self.unpacked.as_ref().is_none_or(|(of, _)| *of != place) {
            self.unpacked = Some((place, parts::unpack(&self.jobs, place)?.0));
        }
        let text = self.unpacked.as_ref().map(|(_, text)| text.as_slice()).unwrap_or_default();
        let line = text.split(|byte| *byte == b'\n').nth(row.line as usize).ok_or(Odd)?;
        let job: Job = serde_json::from_slice(line).map_err(|_| Odd)?;
        if job.job == id { Ok(job) } else { Err(Odd) }
    }

    /// Whether nothing that `record` says something about can have been put away;
    /// `known` is the number of the first job that is newer than the snapshot.
    pub(super) fn is_at_hand(state: &State, record: &Record, known: u64) -> bool {
        match &record.event {
            Event::Spawned(spec) => {
                let is_new_attempt = spec.task.as_ref().is_some_and(|task| task.attempt > 1);
                spec.resumes.is_none() && spec.repeats.is_none() && !is_new_attempt
            }
            Event::Exited(_) | Event::Unmerged(_) => {
                let job = state.jobs.get(&record.job);
                job.is_some_and(|job| job.spec.resumes.is_none() && job.spec.group.is_none())
            }
            _ => record.job.0 >= known || state.jobs.contains_key(&record.job),
        }
    }

    /// Takes out what `record` says something about, for it to be folded.
    pub(super) fn recall(&mut self, state: &mut State, record: &Record) -> Result<(), Odd> {
        if record.job == NO_JOB {
            return Ok(());
        }
        if let Event::Spawned(spec) = &record.event {
            for id in spec.resumes.as_ref().map(|r| r.job).into_iter().chain(spec.repeats) {
                self.take_out(state, id)?;
            }
            if let Some(task) = spec.task.as_ref().filter(|task| task.attempt > 1) {
                let before = self.attempts(spec.run.as_deref(), task)?;
                for job in before {
                    insert(state, job);
                }
            }
            return Ok(());
        }
        self.take_out(state, record.job)?;
        let Some(job) = state.jobs.get(&record.job) else { return Ok(()) };
        match record.event {
            // It gives back what it took over, if it never came to its worker.
            Event::Exited(_) => {
                if let Some(before) = job.spec.resumes.as_ref().map(|resumes| resumes.job) {
                    self.take_out(state, before)?;
                }
            }
            // The others of its group are to be had again.
            Event::Unmerged(_) => {
                if let Some(group) = job.spec.group.clone() {
                    for job in self.group(&group)? {
                        insert(state, job);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take_out(&mut self, state: &mut State, id: JobId) -> Result<(), Odd> {
        if !state.jobs.contains_key(&id)
            && let Some(job) = self.job(id)?
        {
            insert(state, job);
        }
        Ok(())
    }
}

/// What is folded already is newer.
fn insert(state: &mut State, job: Job) {
    state.jobs.entry(job.job).or_insert(job);
}

fn row_place(id: JobId) -> u64 {
    id.0.saturating_mul(ROW as u64)
}

/// A name that no file has.
fn fresh_id(store: &Store) -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    let mut ids = (0..).map(|more| format!("{:x}", now + more));
    ids.find(|id| !paths(store, id).0.exists()).unwrap_or_default()
}

/// Removes the files that no snapshot names any more.
pub(super) fn sweep(store: &Store, named: Option<&Named>) {
    let current = named.map(|named| format!("closed-{}.", named.id));
    for entry in fs::read_dir(store.dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with("closed-")) else { continue };
        if current.as_ref().is_none_or(|current| !name.starts_with(current)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
