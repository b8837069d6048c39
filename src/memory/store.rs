//! Looking entries up, storing and deleting them.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    entry::{Author, Entry, MAX_VALUE, Name, Value},
    error::{MemoryError, at},
    index::{Index, Look},
    log::{Appender, Log, each},
    reader::Reader,
};

/// How much of the log is read at once.
const PIECE: u64 = 8 << 20;

/// The memory of one repository, or the one for places without.
#[derive(Clone, Debug)]
pub struct Memory {
    dir: PathBuf,
    log: Log,
    index: Index,
    /// What is not written down, since it cannot be, and counts as if it were.
    unwritten: Vec<Entry>,
}

/// The last version of every key.
#[derive(Debug, Default)]
pub struct All {
    /// By namespace and key; also those that were deleted or have expired.
    pub entries: BTreeMap<Name, Entry>,
    /// How many lines could not be read.
    pub torn: u64,
}

/// What came of storing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How often the key was stored or deleted by now.
    pub version: u64,
    /// Whether there was a value before.
    pub updated: bool,
}

/// What the worker of a job has answered, to be stored as if it had done so itself.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Under which key.
    pub name: Name,
    /// The job.
    pub by: Author,
    /// When it ended.
    pub at: Timestamp,
    /// The answer.
    pub value: Value,
}

impl Answer {
    /// The entry that it becomes after `before`; none where that is as new.
    fn after(self, before: Option<&Entry>) -> Option<Entry> {
        if before.is_some_and(|before| before.at >= self.at) {
            return None;
        }
        let version = before.map_or(0, |entry| entry.version) + 1;
        let Self { name, by, at, value } = self;
        Some(Entry { name, version, at, by: Some(by), value: Some(value) })
    }
}

/// The right to change the memory, held until it is dropped. What is looked up
/// through it stays true as long.
#[derive(Debug)]
pub struct Writer<'a> {
    memory: &'a Memory,
    appender: Appender,
}

/// The time, as entries have it.
fn now() -> Timestamp {
    Timestamp::now().round(jiff::Unit::Millisecond).unwrap_or_default()
}

impl Memory {
    /// Names the memory in a state folder; nothing is read or made.
    pub fn new(state: &Path) -> Self {
        let dir = state.join("memory");
        Self { log: Log::new(&dir), index: Index::new(&dir), dir, unwritten: Vec::new() }
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The right to change it; waits for others.
    pub fn writer(&self) -> Result<Writer<'_>, MemoryError> {
        Ok(Writer { memory: self, appender: self.log.appender()? })
    }

    /// Makes what is looked up later quick to find. Failing to is no error.
    pub fn tidy(&self) {
        self.index.catch_up(&self.log);
    }

    /// Looks something up. Where the index is odd it is put away, and all is read.
    pub(super) fn looked_up<T>(
        &self,
        ask: &mut dyn FnMut(&mut Look) -> io::Result<T>,
    ) -> Result<T, MemoryError> {
        let failed = |e| at("read", self.dir())(e);
        let first = ask(&mut Look::new(Some(&self.index), &self.log, &self.unwritten)?);
        match first {
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                self.index.put_away();
                ask(&mut Look::new(None, &self.log, &self.unwritten)?).map_err(failed)
            }
            other => other.map_err(failed),
        }
    }

    /// Has answers count that cannot be written down.
    pub fn count_in(&mut self, answers: Vec<Answer>) -> Result<(), MemoryError> {
        for answer in answers {
            let before = self.last(&answer.name)?;
            self.unwritten.extend(answer.after(before.as_ref()));
        }
        Ok(())
    }

    /// The last version of a key, whether it is there still or not.
    pub fn last(&self, name: &Name) -> Result<Option<Entry>, MemoryError> {
        self.tidy();
        self.looked_up(&mut |look| look.last(name))
    }

    /// The last version of every key.
    pub fn all(&self) -> Result<All, MemoryError> {
        let mut entries = BTreeMap::new();
        let torn = self.each(&mut |_, entry| {
            entries.insert(entry.name.clone(), entry);
        })?;
        Ok(All { entries, torn })
    }

    /// Every version of a key, the oldest first.
    pub fn history(&self, name: &Name) -> Result<Vec<Entry>, MemoryError> {
        let mut versions = Vec::new();
        self.each(&mut |_, entry| {
            if entry.name == *name {
                versions.push(entry);
            }
        })?;
        Ok(versions)
    }

    /// Goes through all there is, the oldest first. Gives the number of torn lines.
    fn each(&self, take: &mut dyn FnMut(u64, Entry)) -> Result<u64, MemoryError> {
        let mut torn = 0;
        if let Some(mut file) = self.log.open()? {
            let mut from = 0;
            loop {
                let lines = self.log.lines(&mut file, from, PIECE)?;
                if lines.is_empty() {
                    break;
                }
                torn += each(&lines, |at, entry| take(from + at, entry));
                from += lines.len() as u64;
            }
        }
        for entry in &self.unwritten {
            take(u64::MAX, entry.clone());
        }
        Ok(torn)
    }
}

impl Writer<'_> {
    /// The last version of a key, whether it is there still or not.
    pub fn last(&self, name: &Name) -> Result<Option<Entry>, MemoryError> {
        // Whoever waits for the lock waits for no index.
        self.memory.looked_up(&mut |look| look.last(name))
    }

    /// Stores a value. `upsert` says whether another may be put away for it.
    ///
    /// # Errors
    /// Among others, where the key is taken and is to stay, or is another's who does
    /// not share it with `reader`.
    pub fn store(
        &mut self,
        name: &Name,
        value: Value,
        by: Option<Author>,
        (reader, upsert): (&Reader, bool),
    ) -> Result<Stored, MemoryError> {
        if value.bytes.len() > MAX_VALUE {
            return Err(MemoryError::TooLarge { name: name.clone(), bytes: value.bytes.len() });
        }
        let before = self.last(name)?;
        let at = now();
        let is_there = before.as_ref().is_some_and(|entry| entry.said(at).is_some());
        if let Some(entry) = before.as_ref().filter(|_| is_there) {
            if !reader.may_read(entry) {
                return Err(MemoryError::NotShared(name.clone()));
            }
            if !upsert {
                return Err(MemoryError::Taken(name.clone()));
            }
        }
        let version = before.map_or(0, |entry| entry.version) + 1;
        let entry = Entry { name: name.clone(), version, at, by, value: Some(value) };
        self.appender.append(&[entry])?;
        Ok(Stored { version, updated: is_there })
    }

    /// Stores many at once. Keys that may not be changed are left as they are; gives the
    /// number of those that were stored.
    pub fn store_all(
        &mut self,
        entries: Vec<(Name, Value)>,
        by: Option<&Author>,
        (reader, upsert): (&Reader, bool),
    ) -> Result<usize, MemoryError> {
        let at = now();
        let mut known = self.memory.all()?.entries;
        let mut new = Vec::new();
        for (name, value) in entries {
            let before = known.get(&name);
            let there = before.filter(|entry| entry.said(at).is_some());
            if there.is_some_and(|entry| !upsert || !reader.may_read(entry)) {
                continue;
            }
            // What is there already keeps its author and its time.
            if there.is_some_and(|entry| entry.value.as_ref() == Some(&value)) {
                continue;
            }
            let version = before.map_or(0, |entry| entry.version) + 1;
            let by = by.cloned();
            let entry = Entry { name: name.clone(), version, at, by, value: Some(value) };
            known.insert(name, entry.clone());
            new.push(entry);
        }
        // One write a piece: whoever reads meanwhile sees whole lines.
        for piece in new.chunks(1000) {
            self.appender.append(piece)?;
        }
        Ok(new.len())
    }

    /// Stores what workers have answered. An answer is passed over that is no newer than
    /// what its key has.
    pub fn take_in(&mut self, answers: Vec<Answer>) -> Result<(), MemoryError> {
        let mut new: Vec<Entry> = Vec::new();
        for answer in answers {
            let before = match new.iter().rev().find(|entry| entry.name == answer.name) {
                Some(entry) => Some(entry.clone()),
                None => self.last(&answer.name)?,
            };
            new.extend(answer.after(before.as_ref()));
        }
        self.appender.append(&new)
    }

    /// Deletes a key. `false` where there was none that `reader` may read.
    pub fn delete(
        &mut self,
        name: &Name,
        by: Option<Author>,
        reader: &Reader,
    ) -> Result<bool, MemoryError> {
        let at = now();
        let before = self.last(name)?.filter(|entry| entry.said(at).is_some());
        let Some(before) = before.filter(|entry| reader.may_read(entry)) else {
            return Ok(false);
        };
        let version = before.version + 1;
        self.appender.append(&[Entry { name: name.clone(), version, at, by, value: None }])?;
        Ok(true)
    }
}
