//! What makes a search cost what it finds, and not what there is.
//!
//! The index is files of `memory/index/`, *segments*. Each covers a piece of the log,
//! says which words the entries there have, and where their lines are. Together they
//! cover the log from its beginning up to some line; what comes after that, the *tail*,
//! is read and weighed as it is.
//!
//! # Invariants
//! - A segment is written whole, brought to the disk and then given its name, and never
//!   changed. Its name says what it covers; its beginning says so again, with a hash of
//!   what stands in the log just before its end.
//! - Whoever finds the tail too long makes a segment of it, under `memory/index.lock`, and
//!   one segment of those at the end that are together as large as the one before them.
//!   So there are few, and each entry is copied a few times at most.
//! - The index is never needed. What is odd about it is passed over, and made anew; a
//!   memory that cannot be written is searched without.
//!
//! A crash leaves a temporary file, or segments that a larger one covers as well; who
//! makes the next one removes them.

mod build;
mod format;
mod look;
mod segment;

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use self::{
    build::Builder,
    format::{Header, hash, odd},
    segment::Segment,
};
use super::{
    entry::Entry,
    error::MemoryError,
    log::{Log, each},
};

pub(super) use look::Look;

/// How long the tail may be, in bytes.
const TAIL: u64 = 64 * 1024;

/// How much of the log becomes a segment at once.
const PIECE: u64 = 8 << 20;

/// How much of the log is compared before a segment's end.
const CHECK: u64 = 64;

/// Where the segments of a memory lie.
#[derive(Clone, Debug)]
pub(super) struct Index {
    dir: PathBuf,
    lock: PathBuf,
}

/// The segments that cover the log from its beginning, in its order.
#[derive(Debug, Default)]
struct Covered {
    segments: Vec<Segment>,
    /// Up to where.
    to: u64,
    /// Files that are of no use, or are covered by others.
    litter: Vec<PathBuf>,
}

impl Index {
    /// Names the index of the memory in `dir`; nothing is read or made.
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.join("index"), lock: dir.join("index.lock") }
    }

    /// Opens what there is of it for this log. What cannot be used is not there.
    fn open(&self, log: &File) -> Covered {
        // Another may put one segment in place of several meanwhile.
        for _ in 0..3 {
            if let Some(covered) = self.try_open(log) {
                return covered;
            }
        }
        Covered::default()
    }

    /// Nothing where a file has gone since the folder was read.
    fn try_open(&self, log: &File) -> Option<Covered> {
        let mut named = Vec::new();
        let mut covered = Covered::default();
        for file in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            match covers(&file.file_name().to_string_lossy()) {
                Some((from, to)) => named.push((from, std::cmp::Reverse(to), file.path())),
                None => covered.litter.push(file.path()),
            }
        }
        // Of those that begin at one place the longest first.
        named.sort();
        for (from, std::cmp::Reverse(to), path) in named {
            if from != covered.to {
                covered.litter.push(path);
                continue;
            }
            match Segment::open(&path) {
                Ok(segment) if is_of(&segment.header, (from, to), log) => {
                    covered.to = to;
                    covered.segments.push(segment);
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
                _ => covered.litter.push(path),
            }
        }
        Some(covered)
    }

    /// Makes segments of what has come since, where that is long. Failing to is no
    /// error; nor is it where another is at it.
    pub(super) fn catch_up(&self, log: &Log) {
        let _ = self.try_catch_up(log);
    }

    fn try_catch_up(&self, log: &Log) -> Result<(), MemoryError> {
        let Some(mut file) = log.open()? else { return Ok(()) };
        let len = file.metadata().map_or(0, |meta| meta.len());
        if len < TAIL || len - self.open(&file).to < TAIL {
            return Ok(());
        }
        let Some(_lock) = self.locked() else { return Ok(()) };
        let mut covered = self.open(&file);
        covered.litter.iter().for_each(|path| drop(fs::remove_file(path)));
        while len.saturating_sub(covered.to) >= TAIL {
            let lines = log.lines(&mut file, covered.to, PIECE)?;
            if lines.is_empty() {
                break;
            }
            let from = covered.to;
            let mut entries = Vec::new();
            let torn = each(&lines, |at, entry| entries.push((from + at, entry)));
            let to = from + lines.len() as u64;
            drop(lines);
            let covers = Header { from, to, torn, check: check(&file, to), ..Header::default() };
            let Ok(segment) = self.write(Builder::of(&entries), covers) else { break };
            covered.segments.push(segment);
            covered.to = to;
            if self.merge(&mut covered.segments).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Removes all of it: it is not what it should be.
    pub(super) fn put_away(&self) {
        let Some(_lock) = self.locked() else { return };
        for file in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let _ = fs::remove_file(file.path());
        }
    }

    fn locked(&self) -> Option<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).ok()?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.lock)
            .ok()?;
        file.try_lock().ok()?;
        Some(file)
    }

    fn path(&self, from: u64, to: u64) -> PathBuf {
        self.dir.join(format!("{from:016x}-{to:016x}"))
    }

    fn write(&self, builder: Builder, covers: Header) -> io::Result<Segment> {
        let bytes = builder.finish(covers);
        let path = self.path(covers.from, covers.to);
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.dir)?;
        file.write_all(&bytes)?;
        file.as_file().sync_data()?;
        file.persist(&path)?;
        Segment::open(&path)
    }

    /// One segment in place of those at the end that are together as large as the one
    /// before them.
    fn merge(&self, segments: &mut Vec<Segment>) -> io::Result<()> {
        let size = |segment: &Segment| segment.header.to - segment.header.from;
        let (mut first, mut together) = (segments.len(), 0);
        for (at, segment) in segments.iter().enumerate().rev() {
            if first < segments.len() && size(segment) > together {
                break;
            }
            together += size(segment);
            first = at;
        }
        let Some((begin, rest)) = segments.get(first..).and_then(<[_]>::split_first) else {
            return Ok(());
        };
        let Some(end) = rest.last() else { return Ok(()) };
        let torn = segments.iter().skip(first).map(|segment| segment.header.torn).sum();
        let covers = Header { from: begin.header.from, torn, ..end.header };
        let all: Vec<&Segment> = segments.iter().skip(first).collect();
        let old: Vec<PathBuf> =
            all.iter().map(|one| self.path(one.header.from, one.header.to)).collect();
        let merged = self.write(Builder::merge(&all)?, covers)?;
        segments.truncate(first);
        segments.push(merged);
        for path in old {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}

/// What a file's name says that it covers.
fn covers(name: &str) -> Option<(u64, u64)> {
    let (from, to) = name.split_once('-').filter(|_| name.len() == 33)?;
    let number = |word: &str| u64::from_str_radix(word, 16).ok();
    number(from).zip(number(to)).filter(|(from, to)| from < to)
}

/// Whether a segment is what its name says, of this log.
fn is_of(header: &Header, covers: (u64, u64), log: &File) -> bool {
    (header.from, header.to) == covers
        && log.metadata().is_ok_and(|meta| meta.len() >= header.to)
        && header.check == check(log, header.to)
}

/// A hash of what stands just before `to`.
fn check(log: &File, to: u64) -> u64 {
    let mut bytes = [0; 64];
    let length = to.min(CHECK);
    let part = bytes.get_mut(..usize::try_from(length).unwrap_or(0)).unwrap_or_default();
    log.read_exact_at(part, to - length).map_or(0, |()| hash(part))
}

/// What comes after the segments, as one that is in memory: of each document the entry.
#[derive(Debug)]
struct Tail {
    segment: Segment,
    entries: Vec<Entry>,
}

impl Tail {
    fn of(entries: Vec<Entry>) -> io::Result<Self> {
        let numbered: Vec<(u64, Entry)> = (0..).zip(entries).collect();
        let segment = Segment::in_memory(Builder::of(&numbered).finish(Header::default()))?;
        Ok(Self { segment, entries: numbered.into_iter().map(|(_, entry)| entry).collect() })
    }

    fn entry(&self, doc: u32) -> io::Result<&Entry> {
        let at = usize::try_from(self.segment.line(doc)?).map_err(|_| odd("no entry"))?;
        self.entries.get(at).ok_or_else(|| odd("no entry"))
    }
}
