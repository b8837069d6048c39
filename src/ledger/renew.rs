//! Renewing the snapshot, with the jobs that it has no room for.
//!
//! Whoever renews holds `snapshot.lock`. First the jobs are put away ([`super::closed`]), then the snapshot is
//! replaced in one step, and counts what was put away. Killed in between, it has written what nobody counts.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
};

use super::{
    closed::{self, Closed, Odd},
    fold::State,
    parts::Chunks,
    snapshot::{
        self, Folded, Header, Holder, KEEP_CLOSED, KEEP_RUNS, VERSION, before, fold_lines_with,
        open_ledger, usable_header,
    },
    store::{Store, StoreError, at},
};

/// A snapshot is renewed once this many bytes of ledger, or a quarter of the
/// snapshot's own size, have come since.
const RENEW_AFTER: u64 = 48 * 1024;

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

/// Writes a snapshot of all that the ledger has.
pub(super) fn write(store: &Store, ledger: &File) -> Result<(), StoreError> {
    let (state, end, closed) = match since_the_last(store)? {
        Some(found) => found,
        None => from_the_start(store)?,
    };
    let named = closed.as_ref().map(|closed| closed.named().clone());
    let path = store.snapshot_path();
    let Some(before) = before(ledger, end) else { return Ok(()) };
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
        offset: end,
        before,
        next: state.next,
        torn: state.torn,
        runs: state.runs.len(),
        clocks: state.clocks.clone(),
        body: body.len() as u64,
        closed: named.clone(),
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
    persist().map_err(at("write", &path))?;
    if closed.is_some_and(|closed| closed.is_new()) {
        closed::sweep(store, named.as_ref());
    }
    Ok(())
}

type Renewed = (State, u64, Option<Closed>);

/// Goes on from the snapshot that is there; none where that cannot be.
fn since_the_last(store: &Store) -> Result<Option<Renewed>, StoreError> {
    let Folded { mut state, end, closed: named, is_resumed: true } = snapshot::fold(store)? else {
        return Ok(None);
    };
    let gone = state.prune(KEEP_CLOSED, KEEP_RUNS);
    let mut closed = match named {
        Some(named) => match Closed::open_to_add(store, &named) {
            Ok(closed) => Some(closed),
            Err(Odd) => return Ok(None),
        },
        None if gone.is_empty() => None,
        None => Some(Closed::create(store)?),
    };
    if let Some(closed) = &mut closed {
        closed.put_away(store, &gone)?;
    }
    Ok(Some((state, end, closed)))
}

/// Folds all that there ever was, and never has more of it in memory than what is
/// at hand in the end and one chunk.
fn from_the_start(store: &Store) -> Result<Renewed, StoreError> {
    let (mut state, mut closed) = (State::new(), None);
    let mut chunks = Chunks::new(store, 0)?;
    while let Some(lines) = chunks.next()? {
        let mut recall = |state: &mut State, record: &_| match &mut closed {
            Some(closed) => Closed::recall(closed, state, record),
            None => Ok(()),
        };
        if let Err(Odd) = fold_lines_with(&mut state, &lines, &mut recall) {
            // It was written a moment ago.
            return Err(at("read what was put away in", store.dir())(
                io::ErrorKind::InvalidData.into(),
            ));
        }
        let gone = state.prune(KEEP_CLOSED, KEEP_RUNS);
        if gone.is_empty() {
            continue;
        }
        let closed = match &mut closed {
            Some(closed) => closed,
            none => none.insert(Closed::create(store)?),
        };
        closed.put_away(store, &gone)?;
    }
    Ok((state, chunks.offset(), closed))
}
