//! `entries.jsonl`: appending to it, and reading it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    entry::{Decoded, Entry, decode, encode},
    error::{MemoryError, at},
};

/// The file of entries.
#[derive(Clone, Debug)]
pub(super) struct Log {
    path: PathBuf,
}

/// The right to append: an exclusive lock, held until this value is dropped.
#[derive(Debug)]
pub(super) struct Appender {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Log {
    /// Names the log in `dir`; nothing is read or made.
    pub(super) fn new(dir: &Path) -> Self {
        Self { path: dir.join("entries.jsonl") }
    }

    /// Takes the lock, waiting for others, and makes the log if it is not there. A
    /// torn last line is ended here: it may lack nothing but its newline.
    pub(super) fn appender(&self) -> Result<Appender, MemoryError> {
        let path = &self.path;
        let open =
            || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
        loop {
            let file = match open() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let dir = path.parent().unwrap_or(path);
                    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
                    made.map_err(at("create", dir))?;
                    open()
                }
                other => other,
            }
            .map_err(at("open", path))?;
            file.lock().map_err(at("lock", path))?;
            let meta = file.metadata().map_err(at("read", path))?;
            // It may have been replaced while somebody else had the lock.
            let is_current = fs::metadata(path).is_ok_and(|now| now.ino() == meta.ino());
            if !is_current {
                continue;
            }
            let len = meta.len();
            let mut last = [b'\n'];
            if len > 0 {
                file.read_exact_at(&mut last, len - 1).map_err(at("read", path))?;
            }
            let mut appender = Appender { path: path.clone(), file, len };
            if last != [b'\n'] {
                appender.write(b"\n")?;
            }
            return Ok(appender);
        }
    }

    /// The log, opened for reading; none where nothing was ever stored.
    pub(super) fn open(&self) -> Result<Option<File>, MemoryError> {
        match File::open(&self.path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(at("open", &self.path)(e)),
        }
    }

    /// The bytes from `from`, which begins a line, up to the last newline, or up to one
    /// before `most` bytes where a line ends there.
    pub(super) fn lines(
        &self,
        file: &mut File,
        from: u64,
        most: u64,
    ) -> Result<Vec<u8>, MemoryError> {
        let mut bytes = Vec::new();
        let mut most = most;
        loop {
            bytes.clear();
            file.seek(SeekFrom::Start(from))
                .and_then(|_| file.take(most).read_to_end(&mut bytes))
                .map_err(at("read", &self.path))?;
            let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
            if whole == 0 && bytes.len() as u64 == most {
                // One line is longer than that.
                most = most.saturating_mul(4);
                continue;
            }
            bytes.truncate(whole);
            return Ok(bytes);
        }
    }
}

/// The entry whose line begins at `offset`.
pub(super) fn entry_at(file: &File, offset: u64) -> io::Result<Option<Entry>> {
    let mut line = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = file.read_at(&mut piece, offset + line.len() as u64)?;
        let piece = piece.get(..read).unwrap_or_default();
        let end = piece.iter().position(|b| *b == b'\n');
        line.extend_from_slice(piece.get(..end.unwrap_or(read)).unwrap_or_default());
        if end.is_some() || read == 0 {
            break;
        }
    }
    Ok(match decode(&line) {
        Decoded::Entry(entry) => Some(*entry),
        Decoded::Unknown | Decoded::Torn => None,
    })
}

/// Goes through whole lines: each entry with where its line begins, counted from the
/// beginning of `bytes`. Gives the number of torn lines.
pub(super) fn each(bytes: &[u8], mut take: impl FnMut(u64, Entry)) -> u64 {
    let (mut begin, mut torn) = (0, 0);
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        match decode(line) {
            Decoded::Entry(entry) => take(begin, *entry),
            Decoded::Unknown => {}
            // What ended a torn line may be an empty one.
            Decoded::Torn if line.trim_ascii().is_empty() => {}
            Decoded::Torn => torn += 1,
        }
        begin += line.len() as u64;
    }
    torn
}

impl Appender {
    /// Appends entries in one write. When it fails, the log is cut back to what it was.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<(), MemoryError> {
        let mut lines = Vec::new();
        for entry in entries {
            lines.extend(encode(entry)?);
        }
        self.write(&lines)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), MemoryError> {
        if let Err(error) = self.file.write_all(bytes) {
            // Nothing to be done where even this fails: readers skip torn lines.
            let _ = self.file.set_len(self.len);
            return Err(at("append to", &self.path)(error));
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        // A child started meanwhile may hold a copy of it for a moment.
        let _ = self.file.unlock();
    }
}
