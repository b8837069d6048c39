//! Packing: moving the beginning of a long ledger into a part.
//!
//! Whoever packs holds `snapshot.lock`, and not the ledger's: what is packed was written long ago, lies before
//! what the snapshot speaks of, and never changes. See [`super::parts`] for the files and for what a crash
//! leaves.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
};

use super::{
    parts::{self, Chunks, Parts},
    renew, snapshot,
    store::{Store, StoreError, at, private_dir},
};

/// How much goes into one part, bytes of text.
const PART: u64 = 64 * 1024 * 1024;

/// How much always stays in the file, and so is the least that somebody has to have
/// read to meet a hole that is just being punched.
pub(super) const KEEP: u64 = if cfg!(debug_assertions) { 4000 } else { 16 * 1024 * 1024 };

/// How long parts are, and how much stays unpacked, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) part: u64,
    pub(super) keep: u64,
}

impl Limits {
    fn usual() -> Self {
        #[cfg(debug_assertions)]
        if let Some(small) = std::env::var("CX_LEDGER_PART").ok().and_then(|n| n.parse().ok()) {
            // Tests cannot write so much.
            return Self { part: small, keep: KEEP };
        }
        Self { part: PART, keep: KEEP }
    }
}

/// What lies in parts and may go from the ledger's file: its first `end` bytes.
#[derive(Debug)]
pub struct Packed {
    /// The ledger, open for writing.
    pub file: File,
    /// How many of its first bytes are in parts.
    pub end: u64,
    /// As long as this lives nobody else packs.
    _lock: File,
}

impl Store {
    /// Compresses the ledger's beginning, where that has grown long, and says
    /// which bytes are to be punched out of its file now. `can_punch` tries with a
    /// file of this file system; where it cannot, the ledger stays as it is.
    pub fn pack(
        &self,
        can_punch: impl FnOnce(&File) -> bool,
    ) -> Result<Option<Packed>, StoreError> {
        self.pack_with(Limits::usual(), can_punch)
    }

    pub(super) fn pack_with(
        &self,
        limits: Limits,
        can_punch: impl FnOnce(&File) -> bool,
    ) -> Result<Option<Packed>, StoreError> {
        let path = self.ledger_path();
        let len = match fs::metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(at("read", &path))?.len(),
        };
        if len < limits.part + limits.keep {
            return Ok(None);
        }
        let Some(lock) = renew::lock(self) else { return Ok(None) };
        let file = File::options().read(true).write(true).open(&path).map_err(at("open", &path))?;
        let parts = Parts::of(self)?;
        let begin = parts.end();
        let is_there = |end: u64| -> Result<bool, StoreError> {
            let mut last = [0];
            let found = file.read_at(&mut last, end - 1).map_err(at("read", &path))?;
            Ok(found == 1 && last != [0])
        };
        if let Some(last) = parts.last()
            && is_there(begin)?
        {
            // Whoever has packed it died before it could punch; or this is another
            // ledger, and then nothing of it is in the parts.
            let mut packed = File::open(&last.path).map_err(at("open", &last.path))?;
            if self.compare(&mut packed, last.begin).is_err() {
                return Ok(None);
            }
        }
        let spoken_for =
            snapshot::usable_header(self, &file).map_or(0, |(header, _)| header.offset);
        let limit = spoken_for.min(len.saturating_sub(limits.keep));
        let mut end = begin;
        if limit.saturating_sub(begin) >= limits.part && can_punch(&lock) {
            end = self.write_part(begin, begin + limits.part)?;
        }
        let is_wanted = end > 0 && is_there(end)?;
        Ok(is_wanted.then_some(Packed { file, end, _lock: lock }))
    }

    /// Writes the lines from `begin` on into a part, but for those that end behind
    /// `limit`, and gives where the last of them ends.
    fn write_part(&self, begin: u64, limit: u64) -> Result<u64, StoreError> {
        let dir = self.parts_dir();
        private_dir(&dir).map_err(at("create", &dir))?;
        let mut draft = tempfile::NamedTempFile::new_in(&dir).map_err(at("write in", &dir))?;
        let mut lines = Chunks::new(self, begin)?;
        let mut end = begin;
        while end < limit {
            lines.at_most(limit - end);
            let Some(text) = lines.next()? else { break };
            if lines.offset() > limit {
                // Its first line goes beyond.
                break;
            }
            let member = parts::member(&text).map_err(at("write in", &dir))?;
            draft.write_all(&member).map_err(at("write in", &dir))?;
            end = lines.offset();
        }
        if end == begin {
            return Ok(end);
        }
        self.compare(draft.as_file_mut(), begin)
            .map_err(at("read again what was packed in", &dir))?;
        let keep = || -> io::Result<()> {
            // What is punched is nowhere else.
            draft.as_file().sync_all()?;
            draft.persist(dir.join(parts::name(begin, end)))?;
            File::open(&dir)?.sync_all()
        };
        keep().map_err(at("write in", &dir))?;
        Ok(end)
    }

    /// Whether what was packed is what the ledger has from `begin` on.
    fn compare(&self, packed: &mut File, begin: u64) -> io::Result<()> {
        let ledger = File::open(self.ledger_path())?;
        let len = packed.seek(SeekFrom::End(0))?;
        let (mut place, mut offset) = (0, begin);
        while place < len {
            let (text, taken) = parts::unpack(packed, place)?;
            let mut there = vec![0; text.len()];
            ledger.read_exact_at(&mut there, offset)?;
            if there != text {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not the same"));
            }
            (place, offset) = (place + taken, offset + text.len() as u64);
        }
        Ok(())
    }
}
