//! Appending to the ledger, and following it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
};

use jiff::Timestamp;

use super::{
    event::{Event, Record},
    fold::{Job, State},
    line::{decode, encode},
    parts::Chunks,
    renew,
    snapshot::{self, Head},
    store::{Store, StoreError, at},
};
use crate::job::JobId;

/// The right to append: an exclusive lock on the ledger, held until this value
/// is dropped. What is read through it stays true as long.
#[derive(Debug)]
pub struct Appender<'a> {
    store: &'a Store,
    path: PathBuf,
    file: File,
    len: u64,
}

impl Store {
    /// Takes the ledger's lock, waiting for others, and makes the ledger if it
    /// is not there.
    ///
    /// A torn last line is ended here and not with the next event: it may lack
    /// nothing but its newline, and then it counts before anything is decided.
    pub fn appender(&self) -> Result<Appender<'_>, StoreError> {
        let path = self.ledger_path();
        let open =
            || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
        let file = match open() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.create()?;
                open()
            }
            other => other,
        }
        .map_err(at("open", &path))?;
        file.lock().map_err(at("lock", &path))?;
        let len = file.metadata().map_err(at("read", &path))?.len();
        let mut last = [b'\n'];
        if len > 0 {
            file.read_exact_at(&mut last, len - 1).map_err(at("read", &path))?;
        }
        let mut appender = Appender { store: self, path, file, len };
        if last != [b'\n'] {
            appender.write(b"\n")?;
        }
        Ok(appender)
    }

    /// Appends one event: lock, write, unlock.
    pub fn append(&self, job: JobId, event: &Event) -> Result<(), StoreError> {
        self.appender()?.append(job, event).map(drop)
    }

    /// Appends the same event for each of `jobs`, under one lock.
    pub fn append_all(&self, jobs: &[JobId], event: &Event) -> Result<(), StoreError> {
        let mut appender = self.appender()?;
        jobs.iter().try_for_each(|job| appender.append(*job, event).map(drop))
    }

    /// The open jobs and the last closed ones.
    pub fn state(&self) -> Result<State, StoreError> {
        snapshot::state(self)
    }

    /// The same, to be kept up to date.
    pub fn follow_state(&self) -> Result<FollowedState<'_>, StoreError> {
        let (state, offset) = snapshot::follow(self)?;
        Ok(FollowedState { store: self, state, offset })
    }

    /// Every job that the ledger has ever seen, to be kept up to date.
    pub fn follow_history(&self) -> Result<FollowedState<'_>, StoreError> {
        let (state, offset) = snapshot::follow_history(self)?;
        Ok(FollowedState { store: self, state, offset })
    }

    /// Every job that the ledger has ever seen, folded from its start.
    pub fn history(&self) -> Result<State, StoreError> {
        snapshot::history(self)
    }

    /// The job of this number, however long ago it was closed.
    pub fn numbered(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        snapshot::numbered(self, id)
    }

    /// All jobs of this name that there ever were, or where there are none, all whose
    /// names begin so; ascending.
    pub fn named(&self, name: &str) -> Result<Vec<Job>, StoreError> {
        snapshot::named(self, name)
    }

    /// The record whose line begins at `offset`.
    pub fn record_at(&self, offset: u64) -> Result<Option<Record>, StoreError> {
        let path = self.ledger_path();
        let mut file = File::open(&path).map_err(at("open", &path))?;
        file.seek(SeekFrom::Start(offset)).map_err(at("read", &path))?;
        let mut line = Vec::new();
        io::BufRead::read_until(&mut io::BufReader::new(file), b'\n', &mut line)
            .map_err(at("read", &path))?;
        if line.first() == Some(&0) {
            let lines = Chunks::new(self, offset)?.next()?.unwrap_or_default();
            line = lines.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
        }
        Ok(decode(&line))
    }

    /// Folds what has come since the last snapshot into a new one, where that
    /// has grown long enough to be felt. Failing to is no error: a snapshot is
    /// never needed. Says whether there is a new one.
    pub fn refresh_snapshot(&self) -> bool {
        renew::refresh(self)
    }
}

impl Appender<'_> {
    /// Appends one event and gives the offset at which its line begins.
    ///
    /// When the write fails, the ledger is cut back to what it was.
    pub fn append(&mut self, job: JobId, event: &Event) -> Result<u64, StoreError> {
        self.append_all([(job, event)])
    }

    /// Appends events that belong together, in one write and with one time.
    /// Gives the offset at which the first line begins.
    pub fn append_all<'e>(
        &mut self,
        events: impl IntoIterator<Item = (JobId, &'e Event)>,
    ) -> Result<u64, StoreError> {
        let now = Timestamp::now().round(jiff::Unit::Millisecond).unwrap_or_default();
        let mut lines = Vec::new();
        for (job, event) in events {
            lines.extend(encode(now, job, event)?);
        }
        let begin = self.len;
        self.write(&lines)?;
        Ok(begin)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if let Err(error) = self.file.write_all(bytes) {
            // Nothing to be done where even this fails: readers skip torn lines.
            let _ = self.file.set_len(self.len);
            return Err(at("append to", &self.path)(error));
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// The next number and the names in use, as of now.
    pub fn head(&self) -> Result<Head, StoreError> {
        snapshot::head(self.store)
    }

    /// The open jobs, as of now.
    pub fn state(&self) -> Result<State, StoreError> {
        snapshot::state(self.store)
    }
}

impl Drop for Appender<'_> {
    fn drop(&mut self) {
        // Closing the file would do; but a child started meanwhile may hold a
        // copy of it for a moment.
        let _ = self.file.unlock();
    }
}

/// A state that is kept up to date: each look costs only what is new.
#[derive(Debug)]
pub struct FollowedState<'a> {
    store: &'a Store,
    state: State,
    offset: u64,
}

impl FollowedState<'_> {
    /// The state as of the last look.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The state as of the last look, for good.
    pub fn into_state(self) -> State {
        self.state
    }

    /// Looks again. No job is forgotten, however long ago it was closed.
    pub fn look(&mut self) -> Result<(), StoreError> {
        self.offset = snapshot::catch_up(self.store, &mut self.state, self.offset)?;
        Ok(())
    }
}

/// Reads the ledger's lines as they come, from any offset.
#[derive(Debug)]
pub struct Follower {
    store: Store,
    /// Where the next line begins.
    offset: u64,
}

impl Follower {
    /// From `offset`, which must be the beginning of a line.
    pub fn new(store: &Store, offset: u64) -> Self {
        Self { store: store.clone(), offset }
    }

    /// From the ledger's end.
    pub fn from_end(store: &Store) -> Self {
        let len = std::fs::metadata(store.ledger_path()).map_or(0, |meta| meta.len());
        Self::new(store, len)
    }

    /// From the first event of that time or a later one. Presumes that the clock was
    /// never set back: costs what looking up a word in a dictionary does.
    pub fn since(store: &Store, time: Timestamp) -> Result<Self, StoreError> {
        Ok(Self::new(store, super::since::offset(store, time)?))
    }

    /// The whole lines that have come since the last call, newline included. A
    /// line that is not finished yet comes with a later call, read anew: a write
    /// that failed is taken back, and another line may stand there then.
    pub fn lines(&mut self) -> Result<Vec<Vec<u8>>, StoreError> {
        let Some(mut ledger) = snapshot::open_ledger(&self.store)? else { return Ok(Vec::new()) };
        let bytes = snapshot::whole_lines_from(&self.store, &mut ledger, self.offset)?;
        self.offset += bytes.len() as u64;
        Ok(split(&bytes))
    }

    /// The same, but not more than about a megabyte of them at once, for those who
    /// read all that ever was. None where none have come.
    pub fn some_lines(&mut self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut chunks = Chunks::new(&self.store, self.offset)?;
        let lines = chunks.next()?.unwrap_or_default();
        self.offset = chunks.offset();
        Ok(split(&lines))
    }
}

fn split(lines: &[u8]) -> Vec<Vec<u8>> {
    lines.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}
