//! One segment, read piece by piece: the file is never in memory as a whole.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::Path};

use super::format::{FAN, HEADER, Header, KEY_ROW, TERM_ROW, first, number_32, number_64, odd};

/// A segment, open for reading.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) header: Header,
    source: Source,
}

#[derive(Debug)]
enum Source {
    File(File),
    /// What was never written.
    Bytes(Vec<u8>),
}

impl Segment {
    /// Opens a file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Self::of(Source::File(file), len)
    }

    /// Reads what was just made.
    pub(super) fn in_memory(bytes: Vec<u8>) -> io::Result<Self> {
        let len = bytes.len() as u64;
        Self::of(Source::Bytes(bytes), len)
    }

    fn of(source: Source, len: u64) -> io::Result<Self> {
        let mut segment = Self { header: Header::default(), source };
        segment.header = Header::decode(&segment.read(0, HEADER as u64)?)?;
        let header = &segment.header;
        // So that no sum of these can be too large.
        let is_possible = [header.docs, header.terms, header.postings].iter().all(|n| *n <= len);
        let [.., end] = if is_possible { header.parts() } else { [0; 7] };
        if end != len {
            return Err(odd("cut short"));
        }
        Ok(segment)
    }

    fn read(&self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| odd("too long"))?];
        self.read_into(at, &mut bytes)?;
        Ok(bytes)
    }

    fn read_into(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        match &self.source {
            Source::File(file) => file.read_exact_at(bytes, at),
            Source::Bytes(all) => {
                let at = usize::try_from(at).map_err(|_| odd("too long"))?;
                let part = all.get(at..at + bytes.len()).ok_or_else(|| odd("cut short"))?;
                bytes.copy_from_slice(part);
                Ok(())
            }
        }
    }

    /// The length of each document, in words.
    pub(super) fn lengths(&self) -> io::Result<Vec<u32>> {
        let [at, ..] = self.header.parts();
        self.numbers_32(at)
    }

    /// The namespace of each document, hashed.
    pub(super) fn spaces(&self) -> io::Result<Vec<u32>> {
        let [_, at, ..] = self.header.parts();
        self.numbers_32(at)
    }

    fn numbers_32(&self, at: u64) -> io::Result<Vec<u32>> {
        let bytes = self.read(at, self.header.docs * 4)?;
        Ok(bytes.chunks_exact(4).filter_map(|four| number_32(four, 0).ok()).collect())
    }

    /// Where each document's line begins.
    pub(super) fn lines(&self) -> io::Result<Vec<u64>> {
        let [_, _, at, ..] = self.header.parts();
        let bytes = self.read(at, self.header.docs * 8)?;
        Ok(bytes.chunks_exact(8).filter_map(|eight| number_64(eight, 0).ok()).collect())
    }

    /// Where a document's line begins.
    pub(super) fn line(&self, doc: u32) -> io::Result<u64> {
        let [_, _, at, ..] = self.header.parts();
        if u64::from(doc) >= self.header.docs {
            return Err(odd("no document"));
        }
        number_64(&self.read(at + u64::from(doc) * 8, 8)?, 0)
    }

    /// Every key with its document, by hash.
    pub(super) fn keys(&self) -> io::Result<Vec<(u64, u32)>> {
        let [_, _, _, at, ..] = self.header.parts();
        let rows = self.read(at + FAN as u64, self.header.docs * KEY_ROW as u64)?;
        rows.chunks_exact(KEY_ROW).map(|row| Ok((number_64(row, 0)?, number_32(row, 8)?))).collect()
    }

    /// The documents of the keys with this hash: seldom more than one.
    pub(super) fn docs_of(&self, key: u64) -> io::Result<Vec<u32>> {
        let [_, _, _, at, ..] = self.header.parts();
        let (_, rows) = self.rows(at, key, KEY_ROW, self.header.docs)?;
        let mut docs = Vec::new();
        for row in rows.chunks_exact(KEY_ROW) {
            if number_64(row, 0)? == key {
                docs.push(number_32(row, 8)?);
            }
        }
        Ok(docs)
    }

    /// Every term: its hash, where its postings are among all of them, and how many
    /// documents have it.
    pub(super) fn terms(&self) -> io::Result<Vec<(u64, Range<usize>, u32)>> {
        let [_, _, _, _, at, ..] = self.header.parts();
        let rows = self.read(at + FAN as u64, self.header.terms * TERM_ROW as u64)?;
        let mut terms = Vec::with_capacity(rows.len() / TERM_ROW);
        for index in 0..rows.len() / TERM_ROW {
            let at = index * TERM_ROW;
            let next = number_64(&rows, at + TERM_ROW + 8).unwrap_or(self.header.postings);
            terms.push((
                number_64(&rows, at)?,
                range(number_64(&rows, at + 8)?, next)?,
                number_32(&rows, at + 16)?,
            ));
        }
        Ok(terms)
    }

    /// Where the postings of a term are, and how many documents have it.
    pub(super) fn term(&self, term: u64) -> io::Result<Option<(Range<usize>, u32)>> {
        let [_, _, _, _, at, ..] = self.header.parts();
        let (is_last, rows) = self.rows(at, term, TERM_ROW, self.header.terms)?;
        let count = rows.len() / TERM_ROW;
        let count = if is_last { count } else { count.saturating_sub(1) };
        for index in 0..count {
            let at = index * TERM_ROW;
            if number_64(&rows, at)? == term {
                let next = number_64(&rows, at + TERM_ROW + 8).unwrap_or(self.header.postings);
                return Ok(Some((
                    range(number_64(&rows, at + 8)?, next)?,
                    number_32(&rows, at + 16)?,
                )));
            }
        }
        Ok(None)
    }

    /// The rows that a hash can be among, and one more where there is one; whether there
    /// is none.
    fn rows(&self, at: u64, hash: u64, size: usize, count: u64) -> io::Result<(bool, Vec<u8>)> {
        let fan = self.read(at + first(hash) as u64 * 4, 8)?;
        let (from, to) = (u64::from(number_32(&fan, 0)?), u64::from(number_32(&fan, 4)?));
        if from > to || to > count {
            return Err(odd("no rows"));
        }
        let more = (to + 1).min(count);
        let rows = self.read(at + FAN as u64 + from * size as u64, (more - from) * size as u64)?;
        Ok((more == to, rows))
    }

    /// Puts the postings of one term into `bytes`.
    pub(super) fn postings_at(&self, range: &Range<usize>, bytes: &mut Vec<u8>) -> io::Result<()> {
        let [_, _, _, _, _, at, _] = self.header.parts();
        if range.end as u64 > self.header.postings {
            return Err(odd("no postings"));
        }
        bytes.resize(range.len(), 0);
        self.read_into(at + range.start as u64, bytes)
    }

    /// All postings.
    pub(super) fn postings(&self) -> io::Result<Vec<u8>> {
        let [_, _, _, _, _, at, _] = self.header.parts();
        self.read(at, self.header.postings)
    }
}

fn range(from: u64, to: u64) -> io::Result<Range<usize>> {
    match (usize::try_from(from), usize::try_from(to)) {
        (Ok(from), Ok(to)) if from <= to => Ok(from..to),
        _ => Err(odd("no postings")),
    }
}
