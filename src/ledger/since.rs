//! From when on: the place of a time in the ledger.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    parts::Chunks,
    store::{Store, StoreError},
};

/// How much is read for one look.
const LOOK: usize = 16 * 1024;

/// The time of a line, which every line has.
#[derive(Deserialize)]
struct Timed {
    t: Timestamp,
}

/// The offset of the first line of that `time` or a later one; the ledger's end
/// where there is none. Halves what it might be again and again, and so presumes
/// that times go up.
pub(super) fn offset(store: &Store, time: Timestamp) -> Result<u64, StoreError> {
    let len = std::fs::metadata(store.ledger_path()).map_or(0, |meta| meta.len());
    let mut chunks = Chunks::with_size(store, 0, LOOK)?;
    // Every line that begins before `from` is too early, none that begins at `to` or
    // behind it is.
    let (mut from, mut to) = (0, len);
    while from < to {
        let middle = from + (to - from) / 2;
        match line_from(&mut chunks, middle)? {
            Some((begin, end, at)) if begin < to && at < time => from = end,
            _ => to = middle,
        }
    }
    Ok(from)
}

/// The first line that begins at `offset` or behind it and can be read: where it
/// begins and ends, and its time.
fn line_from(
    chunks: &mut Chunks<'_>,
    offset: u64,
) -> Result<Option<(u64, u64, Timestamp)>, StoreError> {
    // The newline just before it makes a place the beginning of a line.
    chunks.seek(offset.saturating_sub(1));
    let mut is_whole = offset == 0;
    loop {
        let mut begin = chunks.offset();
        let Some(lines) = chunks.next()? else { return Ok(None) };
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let end = begin + line.len() as u64;
            if is_whole && let Ok(timed) = serde_json::from_slice::<Timed>(line) {
                return Ok(Some((begin, end, timed.t)));
            }
            (begin, is_whole) = (end, true);
        }
    }
}
