//! Parts: the beginning of a long ledger, compressed.
//!
//! # Offsets
//! An offset is a place in all that was ever written, from the first event on, and never changes: what
//! has moved into a part is punched out of the ledger's file and leaves a hole there, so that what
//! remains stays where it is. Who appends, follows, or holds an offset or the file itself notices nothing;
//! who reads from within the hole gets zero bytes, which no event has, and looks here.
//!
//! # Files
//! `parts/BEGIN-END.jsonl.gz` holds the lines from one offset to another; the first part begins at 0, each
//! other where the one before ends. `zcat` reads it. It is a row of gzip members of about a megabyte of whole
//! lines each, and the head of each says how long it is (an extra field, as gzip provides for it), so
//! that one can be reached without inflating the others.
//!
//! # What a crash leaves
//! A part has its name once it is whole, kept on the disk and read again; only then is the hole punched. In
//! between the lines are there twice, and say the same; the next one to pack punches the hole.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use flate2::{Compression, GzBuilder, bufread::GzDecoder};

use super::store::{Store, StoreError, at};

/// How much of the ledger is read at once by those who read all of it.
const CHUNK: usize = 1024 * 1024;

/// A member's head: ten bytes of gzip, the length of what follows, and the extra
/// field, which is its name, its length, and the two numbers.
const HEAD: usize = 24;

/// The name of the extra field.
const FIELD: [u8; 2] = *b"CX";

/// One file.
#[derive(Debug)]
pub(super) struct Part {
    /// The offset of its first byte of text.
    pub(super) begin: u64,
    /// The offset behind its last one.
    end: u64,
    pub(super) path: PathBuf,
}

/// All parts of a ledger.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Ascending, without gaps, from 0.
    all: Vec<Part>,
}

/// What the head of a member says.
struct Head {
    /// Bytes in the file, the head included.
    packed: u64,
    /// Bytes of text.
    text: u64,
}

impl Head {
    fn read(file: &File, place: u64) -> io::Result<Self> {
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, place)?;
        let number = |from: usize| -> Option<u64> {
            let bytes = head.get(from..from + 4)?.try_into().ok()?;
            Some(u64::from(u32::from_le_bytes(bytes)))
        };
        let (packed, text) = number(16).zip(number(20)).unwrap_or_default();
        if !head.starts_with(&[0x1f, 0x8b]) || head.get(12..14) != Some(&FIELD) || packed == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no part of a ledger"));
        }
        Ok(Self { packed, text })
    }
}

/// Compresses `text` as one member.
pub(super) fn member(text: &[u8]) -> io::Result<Vec<u8>> {
    let field: Vec<u8> = FIELD.into_iter().chain([8, 0]).chain([0; 8]).collect();
    let mut encoder = GzBuilder::new().extra(field).write(Vec::new(), Compression::default());
    encoder.write_all(text)?;
    let mut bytes = encoder.finish()?;
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, "too much text for one member");
    let number = |len: usize| u32::try_from(len).map(u32::to_le_bytes);
    let packed = number(bytes.len()).map_err(|_| too_long())?;
    let unpacked = number(text.len()).map_err(|_| too_long())?;
    for (there, byte) in bytes.iter_mut().skip(16).zip(packed.into_iter().chain(unpacked)) {
        *there = byte;
    }
    Ok(bytes)
}

/// The text of the member at `place`, and how long the member is.
pub(super) fn unpack(file: &File, place: u64) -> io::Result<(Vec<u8>, u64)> {
    let head = Head::read(file, place)?;
    let mut packed = vec![0; usize::try_from(head.packed).unwrap_or_default()];
    file.read_exact_at(&mut packed, place)?;
    let mut text = Vec::with_capacity(usize::try_from(head.text).unwrap_or_default());
    GzDecoder::new(packed.as_slice()).read_to_end(&mut text)?;
    if text.len() as u64 == head.text {
        Ok((text, head.packed))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "a part of a ledger is cut short"))
    }
}

/// The name of the part with the text from one offset to another.
pub(super) fn name(begin: u64, end: u64) -> String {
    format!("{begin:015}-{end:015}.jsonl.gz")
}

impl Parts {
    /// The parts that are there.
    pub(super) fn of(store: &Store) -> Result<Self, StoreError> {
        let dir = store.parts_dir();
        let entries = match fs::read_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other.map_err(at("read", &dir))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(at("read", &dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let range = name.and_then(|name| name.strip_suffix(".jsonl.gz")?.split_once('-'));
            let offset = |word: &str| word.parse::<u64>().ok();
            if let Some((begin, end)) = range.and_then(|(b, e)| offset(b).zip(offset(e))) {
                found.push(Part { begin, end, path });
            }
        }
        found.sort_by_key(|part| (part.begin, part.end));
        let mut parts = Self::default();
        for part in found {
            // Anything else is nobody's; nothing of the ledger is only there.
            if part.begin == parts.end() && part.end > part.begin {
                parts.all.push(part);
            }
        }
        Ok(parts)
    }

    /// The offset behind the last part; 0 where there is none.
    pub(super) fn end(&self) -> u64 {
        self.all.last().map_or(0, |part| part.end)
    }

    /// The last part.
    pub(super) fn last(&self) -> Option<&Part> {
        self.all.last()
    }

    /// The text of the member that holds `offset`, and the offset of its first byte.
    fn text_at(&self, offset: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let Some(part) = self.all.iter().find(|part| (part.begin..part.end).contains(&offset))
        else {
            return Ok(None);
        };
        let find = || -> io::Result<(u64, Vec<u8>)> {
            let file = File::open(&part.path)?;
            let (mut begin, mut place) = (part.begin, 0);
            loop {
                let head = Head::read(&file, place)?;
                if offset < begin + head.text {
                    return Ok((begin, unpack(&file, place)?.0));
                }
                begin += head.text;
                place += head.packed;
            }
        };
        find().map(Some).map_err(at("read", &part.path))
    }
}

/// Reads all that the ledger has from some offset on, in chunks of whole lines,
/// wherever they lie.
#[derive(Debug)]
pub(super) struct Chunks<'a> {
    store: &'a Store,
    file: Option<File>,
    /// Looked for once they are needed: none until then.
    parts: Parts,
    /// Where the next chunk begins.
    offset: u64,
    /// How much of the file is read at once.
    size: usize,
    /// The last text that was unpacked, and where it begins.
    unpacked: (u64, Vec<u8>),
}

impl<'a> Chunks<'a> {
    /// Begins at `offset`. A line that this is in the middle of comes without its
    /// beginning.
    pub(super) fn new(store: &'a Store, offset: u64) -> Result<Self, StoreError> {
        Self::with_size(store, offset, CHUNK)
    }

    /// The same, with chunks of about `size` bytes of what is not packed.
    pub(super) fn with_size(
        store: &'a Store,
        offset: u64,
        size: usize,
    ) -> Result<Self, StoreError> {
        let file = super::snapshot::open_ledger(store)?;
        Ok(Self { store, file, parts: Parts::default(), offset, size, unpacked: (0, Vec::new()) })
    }

    /// Where the next chunk begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes on from `offset`.
    pub(super) fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Reads no more than this many bytes at once, and a megabyte, unless one line is longer.
    pub(super) fn at_most(&mut self, size: u64) {
        self.size = usize::try_from(size).unwrap_or(CHUNK).min(CHUNK);
    }

    /// The next lines; none once only a line without its end is left.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        if self.offset < self.parts.end() {
            return self.next_packed();
        }
        let mut size = self.size;
        loop {
            let (mut bytes, is_all) = self.read(size)?;
            if bytes.contains(&0) {
                // They have been packed, perhaps just now; or something else wrote them.
                self.parts = Parts::of(self.store)?;
                if self.offset < self.parts.end() {
                    return self.next_packed();
                }
            }
            if let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') {
                bytes.truncate(last + 1);
                self.offset += bytes.len() as u64;
                return Ok(Some(bytes));
            }
            if is_all {
                return Ok(None);
            }
            size = size.saturating_mul(2);
        }
    }

    /// What the file has from here on, but not more than `size` bytes, and whether
    /// that is all.
    fn read(&self, size: usize) -> Result<(Vec<u8>, bool), StoreError> {
        let Some(file) = &self.file else { return Ok((Vec::new(), true)) };
        let path = self.store.ledger_path();
        let len = file.metadata().map_err(at("read", &path))?.len();
        let left = usize::try_from(len.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(size)];
        let read = read_at(file, &mut bytes, self.offset).map_err(at("read", &path))?;
        bytes.truncate(read);
        Ok((bytes, left <= size))
    }

    /// Whether something is left behind the last whole line.
    pub(super) fn has_more(&self) -> Result<bool, StoreError> {
        let Some(file) = &self.file else { return Ok(false) };
        let path = self.store.ledger_path();
        Ok(file.metadata().map_err(at("read", &path))?.len() > self.offset)
    }

    fn next_packed(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let (begin, text) = &self.unpacked;
        if !(*begin..*begin + text.len() as u64).contains(&self.offset) {
            self.unpacked = self.parts.text_at(self.offset)?.unwrap_or_default();
        }
        let (begin, text) = &self.unpacked;
        let skip = usize::try_from(self.offset - begin).unwrap_or_default();
        let rest = text.get(skip..).unwrap_or_default().to_vec();
        self.offset += rest.len() as u64;
        Ok(Some(rest).filter(|rest| !rest.is_empty()))
    }
}

/// Fills `buffer` from `offset` on, as far as the file goes.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}
