//! Snapshots: what makes a fold cost what has happened since, not what has
//! ever happened.
//!
//! `snapshot.jsonl` is a header line, then a line with what was used, then one folded run a line, then one folded
//! job a line: the open ones and the last closed ones of both. The header alone is enough for `cx spawn`. It says
//! up to which offset of the ledger it speaks and what stands just before that
//! offset; where either does not hold, or the version is another, the ledger is
//! folded from its start.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
};

use serde::{Deserialize, Serialize};

use super::{
    fold::{Job, State},
    hold::Clocks,
    line::{decode, glance},
    pack::KEEP,
    parts::Chunks,
    runs::Run,
    store::{Store, StoreError, at},
    usage::Book,
};
use crate::job::JobId;

/// 2: with runs; 4: with how long they were worked on, and with what was used.
/// What an earlier cx makes of it is nothing, and the other way round.
const VERSION: u32 = 4;

/// How many closed jobs stay at hand.
const KEEP_CLOSED: usize = 100;

/// How many runs stay at hand, besides those that are not over.
const KEEP_RUNS: usize = 20;

/// A snapshot is renewed once this many bytes of ledger, or a quarter of the
/// snapshot's own size, have come since.
const RENEW_AFTER: u64 = 48 * 1024;

/// How much of the ledger before the offset is compared.
const CHECK: u64 = 64;

/// What a new job has to know about the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number that the next job gets.
    pub next: u64,
    /// Names in use, and by which job.
    pub taken: BTreeMap<String, JobId>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    snapshot: u32,
    pub(super) offset: u64,
    before: String,
    next: u64,
    torn: u64,
    /// How many lines of runs come before those of the jobs.
    runs: usize,
    #[serde(default, skip_serializing_if = "Clocks::is_empty")]
    clocks: Clocks,
    /// How many bytes follow the header: a snapshot that was cut off is none.
    body: u64,
    taken: Vec<Holder>,
}

/// A job whose name is in use.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Holder {
    job: JobId,
    name: String,
    /// It has a worktree, which keeps the name in use after its end.
    tree: bool,
    ended: bool,
}

impl Holder {
    fn of(job: &Job) -> Self {
        Self {
            job: job.job,
            name: job.spec.name.as_str().to_owned(),
            tree: job.spec.tree.is_some(),
            ended: job.exited.is_some(),
        }
    }
}

/// The fields of a line that [`Head`] needs.
#[derive(Deserialize)]
struct HeadLine<'a> {
    #[serde(borrow)]
    ev: std::borrow::Cow<'a, str>,
    job: JobId,
    #[serde(borrow, default)]
    name: Option<std::borrow::Cow<'a, str>>,
    /// An object in `spawned`, a flag in `cleaned`.
    #[serde(default)]
    tree: Option<serde::de::IgnoredAny>,
}

/// A ledger that is opened for reading, or nothing yet.
pub(super) fn open_ledger(store: &Store) -> Result<Option<File>, StoreError> {
    let path = store.ledger_path();
    match File::open(&path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(at("open", &path)(e)),
    }
}

/// The bytes of the ledger from `offset` up to its last newline.
pub(super) fn whole_lines_from(
    store: &Store,
    ledger: &mut File,
    offset: u64,
) -> Result<Vec<u8>, StoreError> {
    let path = store.ledger_path();
    let mut bytes = Vec::new();
    ledger
        .seek(SeekFrom::Start(offset))
        .and_then(|_| ledger.read_to_end(&mut bytes))
        .map_err(at("read", &path))?;
    let end = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    bytes.truncate(end);
    if is_punched(&bytes) {
        bytes.clear();
        let mut chunks = Chunks::new(store, offset)?;
        while let Some(chunk) = chunks.next()? {
            bytes.extend(chunk);
        }
    }
    Ok(bytes)
}

/// Whether some of `bytes`, which were read from the ledger up to its end, have
/// moved into a part. Nobody has to look through as few as always stay.
pub(super) fn is_punched(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0) || (bytes.len() as u64 > KEEP && bytes.contains(&0))
}

/// What stands in the ledger just before `offset`, as a string that compares.
fn before(ledger: &File, offset: u64) -> Option<String> {
    let len = offset.min(CHECK);
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    ledger.read_exact_at(&mut bytes, offset - len).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The snapshot's header and what follows it, if it fits this ledger.
pub(super) fn usable_header(store: &Store, ledger: &File) -> Option<(Header, BufReader<File>)> {
    let file = File::open(store.snapshot_path()).ok()?;
    let len = file.metadata().ok()?.len();
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let header: Header = serde_json::from_slice(&line).ok()?;
    let fits = header.snapshot == VERSION
        && header.body.checked_add(line.len() as u64) == Some(len)
        && before(ledger, header.offset).is_some_and(|found| found == header.before);
    fits.then_some((header, reader))
}

/// See [`super::log::Appender::head`].
pub(super) fn head(store: &Store) -> Result<Head, StoreError> {
    let Some(mut ledger) = open_ledger(store)? else {
        return Ok(Head { next: 1, taken: BTreeMap::new() });
    };
    // As `State::fold` does it, but for what is not needed here.
    let mut next = 1;
    let mut holders: BTreeMap<JobId, Holder> = BTreeMap::new();
    let mut offset = 0;
    if let Some((header, _)) = usable_header(store, &ledger) {
        (next, offset) = (header.next, header.offset);
        holders.extend(header.taken.into_iter().map(|holder| (holder.job, holder)));
    }
    let bytes = whole_lines_from(store, &mut ledger, offset)?;
    let (mut rest, mut line) = (bytes.as_slice(), Vec::new());
    loop {
        line.clear();
        // Of what the standard library has, this looks for newlines the fastest.
        if rest.read_until(b'\n', &mut line).map_err(at("read", &store.ledger_path()))? == 0 {
            break;
        }
        if let Some(number) = of_no_account(&line) {
            next = next.max(number.saturating_add(1));
            continue;
        }
        let Ok(line) = serde_json::from_slice::<HeadLine<'_>>(&line) else { continue };
        next = next.max(line.job.0.saturating_add(1));
        match (line.ev.as_ref(), holders.get_mut(&line.job)) {
            ("spawned", None) => {
                let name = line.name.map(std::borrow::Cow::into_owned).unwrap_or_default();
                let (job, tree) = (line.job, line.tree.is_some());
                holders.insert(job, Holder { job, name, tree, ended: false });
            }
            ("exited", Some(holder)) => holder.ended = true,
            ("cleaned", Some(holder)) if holder.ended && line.tree.is_some() => {
                holder.tree = false;
            }
            _ => {}
        }
    }
    let holding = holders.into_values().filter(|holder| !holder.ended || holder.tree);
    Ok(Head { next, taken: holding.map(|holder| (holder.name, holder.job)).collect() })
}

/// The job of a line that says nothing about names, if it is spelt as cx spells
/// it; any other line has to be parsed, which is most of what a long tail costs
/// `cx spawn`.
fn of_no_account(line: &[u8]) -> Option<u64> {
    const KINDS: [&str; 8] =
        ["started", "running", "used", "collected", "based", "worktree", "note", "merged"];
    let (kind, job) = glance(line)?;
    // A torn line is none, whatever it begins with.
    let whole = line.ends_with(b"}\n");
    (whole && KINDS.contains(&kind)).then_some(job.0)
}

/// See [`Store::state`].
pub(super) fn state(store: &Store) -> Result<State, StoreError> {
    Ok(fold(store, true)?.0)
}

/// See [`Store::follow_state`].
pub(super) fn follow(store: &Store) -> Result<(State, u64), StoreError> {
    let (state, offset, _) = fold(store, true)?;
    Ok((state, offset))
}

/// See [`Store::follow_history`].
pub(super) fn follow_history(store: &Store) -> Result<(State, u64), StoreError> {
    let (state, offset, _) = fold(store, false)?;
    Ok((state, offset))
}

/// Folds into `state` what has come since `offset`, and gives the new offset.
pub(super) fn catch_up(store: &Store, state: &mut State, offset: u64) -> Result<u64, StoreError> {
    let Some(mut ledger) = open_ledger(store)? else { return Ok(offset) };
    let bytes = whole_lines_from(store, &mut ledger, offset)?;
    fold_lines(state, &bytes);
    Ok(offset + bytes.len() as u64)
}

fn fold_lines(state: &mut State, bytes: &[u8]) {
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        match decode(line) {
            Some(record) => state.fold(record),
            None if line == b"\n" => {}
            None => state.torn += 1,
        }
    }
}

/// See [`Store::history`].
pub(super) fn history(store: &Store) -> Result<State, StoreError> {
    Ok(fold(store, false)?.0)
}

/// The state, the offset it speaks for, and where the snapshot ended that it
/// was made from.
fn fold(store: &Store, from_snapshot: bool) -> Result<(State, u64, u64), StoreError> {
    let Some(mut ledger) = open_ledger(store)? else {
        return Ok((State::new(), 0, 0));
    };
    let found = if from_snapshot { read_snapshot(store, &ledger) } else { None };
    let (mut state, offset) = found.unwrap_or_else(|| (State::new(), 0));
    let end = if offset == 0 {
        // Perhaps that is a lot.
        let mut chunks = Chunks::new(store, 0)?;
        while let Some(lines) = chunks.next()? {
            fold_lines(&mut state, &lines);
        }
        chunks.offset()
    } else {
        let bytes = whole_lines_from(store, &mut ledger, offset)?;
        fold_lines(&mut state, &bytes);
        offset + bytes.len() as u64
    };
    if from_snapshot {
        state.prune(KEEP_CLOSED, KEEP_RUNS);
    }
    Ok((state, end, offset))
}

fn read_snapshot(store: &Store, ledger: &File) -> Option<(State, u64)> {
    let (header, mut reader) = usable_header(store, ledger)?;
    let Header { next, torn, clocks, .. } = header;
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let book = Book::decode(&line)?;
    line.clear();
    let mut state = State { book, clocks, next, torn, ..State::new() };
    while reader.read_until(b'\n', &mut line).ok()? > 0 {
        // One line that cannot be read spoils the whole snapshot: a job must
        // not be missing.
        if state.runs.len() < header.runs {
            let run: Run = serde_json::from_slice(&line).ok()?;
            state.runs.insert(run.id().to_owned(), run);
        } else {
            let job: Job = serde_json::from_slice(&line).ok()?;
            state.jobs.insert(job.job, job);
        }
        line.clear();
    }
    Some((state, header.offset))
}

/// See [`Store::refresh_snapshot`].
pub(super) fn refresh(store: &Store) -> bool {
    let size = |path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let ledger_len = size(store.ledger_path());
    let snapshot_len = size(store.snapshot_path());
    let Ok(Some(ledger)) = open_ledger(store) else { return false };
    let since = usable_header(store, &ledger).map_or(0, |(header, _)| header.offset);
    if ledger_len.saturating_sub(since) < RENEW_AFTER.max(snapshot_len / 4) {
        return false;
    }
    // Whoever is at it already does it for all.
    let Some(_lock) = lock(store) else { return false };
    write(store, &ledger).is_ok()
}

/// The right to renew the snapshot and to pack, if nobody has it.
pub(super) fn lock(store: &Store) -> Option<File> {
    let path = store.dir().join("snapshot.lock");
    let file = File::options().create(true).append(true).mode(0o600).open(path).ok()?;
    file.try_lock().is_ok().then_some(file)
}

pub(super) fn write(store: &Store, ledger: &File) -> Result<(), StoreError> {
    let (state, offset, _) = fold(store, true)?;
    let path = store.snapshot_path();
    let Some(before) = before(ledger, offset) else { return Ok(()) };
    let mut body = Vec::with_capacity(64 * 1024);
    body.extend(state.book.encode()?);
    for run in state.runs.values() {
        jsonl::write(&mut body, run)?;
    }
    for job in state.jobs.values() {
        jsonl::write(&mut body, job)?;
    }
    let header = Header {
        snapshot: VERSION,
        offset,
        before,
        next: state.next,
        torn: state.torn,
        runs: state.runs.len(),
        clocks: state.clocks.clone(),
        body: body.len() as u64,
        taken: state.jobs.values().filter(|job| job.holds_name()).map(Holder::of).collect(),
    };
    let mut head = Vec::with_capacity(4 * 1024);
    jsonl::write(&mut head, &header)?;
    let persist = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(store.dir())?;
        file.write_all(&head)?;
        file.write_all(&body)?;
        file.persist(&path)?;
        Ok(())
    };
    persist().map_err(at("write", &path))
}
