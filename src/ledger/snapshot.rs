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
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
};

use serde::{Deserialize, Serialize};

use super::{
    closed::{Closed, Named, Odd},
    event::Record,
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

/// 2: with runs; 4: with how long they were worked on, and with what was used; 5: with
/// the jobs that are put away. What an earlier cx makes of it is nothing, and the other
/// way round.
pub(super) const VERSION: u32 = 5;

/// How many closed jobs stay at hand.
pub(super) const KEEP_CLOSED: usize = 100;

/// How many runs stay at hand, besides those that are not over.
pub(super) const KEEP_RUNS: usize = 20;

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
    pub(super) snapshot: u32,
    pub(super) offset: u64,
    pub(super) before: String,
    pub(super) next: u64,
    pub(super) torn: u64,
    /// How many lines of runs come before those of the jobs.
    pub(super) runs: usize,
    #[serde(default, skip_serializing_if = "Clocks::is_empty")]
    pub(super) clocks: Clocks,
    /// How many bytes follow the header: a snapshot that was cut off is none.
    pub(super) body: u64,
    /// Where the jobs are that have no line here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) closed: Option<Named>,
    pub(super) taken: Vec<Holder>,
}

/// A job whose name is in use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Holder {
    job: JobId,
    name: String,
    /// It has a worktree, which keeps the name in use after its end.
    tree: bool,
    ended: bool,
}

impl Holder {
    pub(super) fn of(job: &Job) -> Self {
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
pub(super) fn before(ledger: &File, offset: u64) -> Option<String> {
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
    Ok(follow(store)?.0)
}

/// See [`Store::follow_state`].
pub(super) fn follow(store: &Store) -> Result<(State, u64), StoreError> {
    let Folded { mut state, end, .. } = fold(store)?;
    state.prune(KEEP_CLOSED, KEEP_RUNS);
    Ok((state, end))
}

/// See [`Store::follow_history`].
pub(super) fn follow_history(store: &Store) -> Result<(State, u64), StoreError> {
    let Folded { state, end, .. } = fold_all(store)?;
    Ok((state, end))
}

/// See [`Store::history`].
pub(super) fn history(store: &Store) -> Result<State, StoreError> {
    Ok(fold_all(store)?.state)
}

/// See [`Store::numbered`].
pub(super) fn numbered(store: &Store, id: JobId) -> Result<Option<Job>, StoreError> {
    let Folded { mut state, closed, .. } = fold(store)?;
    if let Some(job) = state.jobs.remove(&id) {
        return Ok(Some(job));
    }
    match Past::new(store, closed).look(|closed| closed.job(id)) {
        Ok(found) => Ok(found.flatten()),
        Err(Odd) => Ok(history(store)?.jobs.remove(&id)),
    }
}

/// See [`Store::named`].
pub(super) fn named(store: &Store, name: &str) -> Result<Vec<Job>, StoreError> {
    let Folded { state, closed, .. } = fold(store)?;
    let mut past = Past::new(store, closed);
    let mut look = |whole: bool| -> Result<Vec<Job>, Odd> {
        let found =
            past.look(|closed| if whole { closed.of_name(name) } else { closed.named_like(name) });
        Ok(among(&state, found?.unwrap_or_default(), name, whole))
    };
    let found = match look(true) {
        Ok(none) if none.is_empty() => look(false),
        found => found,
    };
    if let Ok(found) = found {
        return Ok(found);
    }
    let history = history(store)?;
    let whole = among(&history, Vec::new(), name, true);
    Ok(if whole.is_empty() { among(&history, Vec::new(), name, false) } else { whole })
}

/// The jobs of this name, or those whose names begin so, of `state` and of what was
/// put away, ascending.
fn among(state: &State, put_away: Vec<Job>, name: &str, whole: bool) -> Vec<Job> {
    let is_wanted = |job: &&Job| {
        let own = job.spec.name.as_str();
        if whole { own == name } else { own.starts_with(name) }
    };
    let mut jobs: BTreeMap<JobId, Job> =
        state.jobs.values().filter(is_wanted).map(|job| (job.job, job.clone())).collect();
    // What is folded already is newer.
    for job in put_away.into_iter().filter(|job| !state.jobs.contains_key(&job.job)) {
        jobs.insert(job.job, job);
    }
    jobs.into_values().collect()
}

/// Folds into `state` what has come since `offset`, and gives the new offset.
pub(super) fn catch_up(store: &Store, state: &mut State, offset: u64) -> Result<u64, StoreError> {
    let Some(mut ledger) = open_ledger(store)? else { return Ok(offset) };
    let bytes = whole_lines_from(store, &mut ledger, offset)?;
    fold_lines(state, &bytes);
    Ok(offset + bytes.len() as u64)
}

fn fold_lines(state: &mut State, bytes: &[u8]) {
    // With nothing put away nothing can be odd.
    let _ = fold_lines_with(state, bytes, &mut |_, _| Ok(()));
}

/// Folds lines; before each, `recall` has a chance to bring back what was put away.
pub(super) fn fold_lines_with(
    state: &mut State,
    bytes: &[u8],
    recall: &mut dyn FnMut(&mut State, &Record) -> Result<(), Odd>,
) -> Result<(), Odd> {
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        match decode(line) {
            Some(record) => {
                recall(state, &record)?;
                state.fold(record);
            }
            None if line == b"\n" => {}
            None => state.torn += 1,
        }
    }
    Ok(())
}

/// What comes of folding.
#[derive(Default)]
pub(super) struct Folded {
    pub(super) state: State,
    /// Up to where.
    pub(super) end: u64,
    /// Where the jobs are that are not in `state`; none where all are.
    pub(super) closed: Option<Named>,
    /// It began with a snapshot.
    pub(super) is_resumed: bool,
}

/// The jobs that were put away, opened once something is wanted of them.
struct Past<'a> {
    store: &'a Store,
    named: Option<Named>,
    opened: Option<Closed>,
}

impl<'a> Past<'a> {
    fn new(store: &'a Store, named: Option<Named>) -> Self {
        Self { store, named, opened: None }
    }

    /// What `what` makes of them; none where none were put away.
    fn look<T>(
        &mut self,
        what: impl FnOnce(&mut Closed) -> Result<T, Odd>,
    ) -> Result<Option<T>, Odd> {
        let Some(named) = &self.named else { return Ok(None) };
        let closed = match &mut self.opened {
            Some(closed) => closed,
            none => none.insert(Closed::open(self.store, named)?),
        };
        what(closed).map(Some)
    }
}

/// Folds what has come since the snapshot.
pub(super) fn fold(store: &Store) -> Result<Folded, StoreError> {
    let Some(mut ledger) = open_ledger(store)? else {
        return Ok(Folded { state: State::new(), ..Folded::default() });
    };
    let Some((mut state, offset, closed)) = read_snapshot(store, &ledger) else {
        return fold_all(store);
    };
    let bytes = whole_lines_from(store, &mut ledger, offset)?;
    let mut past = Past::new(store, closed);
    let known = state.next;
    let mut recall = |state: &mut State, record: &Record| {
        // Most is said of jobs that are at hand.
        if Closed::is_at_hand(state, record, known) {
            return Ok(());
        }
        past.look(|closed| closed.recall(state, record)).map(drop)
    };
    if let Err(Odd) = fold_lines_with(&mut state, &bytes, &mut recall) {
        return fold_all(store);
    }
    let end = offset + bytes.len() as u64;
    Ok(Folded { state, end, closed: past.named, is_resumed: true })
}

/// Folds all that there ever was.
fn fold_all(store: &Store) -> Result<Folded, StoreError> {
    let mut state = State::new();
    let mut chunks = Chunks::new(store, 0)?;
    while let Some(lines) = chunks.next()? {
        fold_lines(&mut state, &lines);
    }
    Ok(Folded { state, end: chunks.offset(), ..Folded::default() })
}

fn read_snapshot(store: &Store, ledger: &File) -> Option<(State, u64, Option<Named>)> {
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
    Some((state, header.offset, header.closed))
}
