//! Promises: events that are to hold once something outside of the ledger has
//! happened, such as a branch that moves.
//!
//! Whoever is about to do that writes a promise first, and takes it away when the
//! events stand in the ledger. A crash in between leaves it: a file under
//! `STATE/promises/` that nobody holds the lock of. Whoever finds one looks
//! whether the thing has happened and appends the events, or forgets them.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    event::Event,
    line::{decode, encode},
    store::{Store, StoreError, at},
};
use crate::job::JobId;

/// Drafts older than this were left by a process that died.
const STALE: Duration = Duration::from_hours(1);

/// A promise: taken away by [`Promise::withdraw`], and kept when it is dropped.
#[derive(Debug)]
pub struct Promise {
    /// What has to have happened, in the maker's words; one line.
    pub condition: String,
    /// What holds then.
    pub events: Vec<(JobId, Event)>,
    path: PathBuf,
    /// Its lock: the maker's, as long as that lives.
    _file: File,
}

impl Promise {
    /// The events stand in the ledger, or never will.
    pub fn withdraw(self) -> Result<(), StoreError> {
        fs::remove_file(&self.path).map_err(at("remove", &self.path))
    }
}

impl Store {
    fn promises_dir(&self) -> PathBuf {
        self.dir().join("promises")
    }

    /// Writes a promise down.
    pub fn promise(
        &self,
        condition: String,
        events: Vec<(JobId, Event)>,
    ) -> Result<Promise, StoreError> {
        let dir = self.promises_dir();
        self.create()?;
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(at("create", &dir))?;
        let mut text = format!("{condition}\n").into_bytes();
        for (job, event) in &events {
            text.extend(encode(Timestamp::now(), *job, event)?);
        }
        // It is whole and locked before anybody can take it for one.
        let draft = tempfile::Builder::new().prefix(".new-").tempfile_in(&dir);
        let mut draft = draft.map_err(at("write in", &dir))?;
        draft.as_file().lock().map_err(at("lock", &dir))?;
        draft.write_all(&text).map_err(at("write in", &dir))?;
        let name = draft.path().file_name().map(|name| name.to_string_lossy().into_owned());
        let path = dir.join(name.unwrap_or_default().trim_start_matches(".new-"));
        let file = draft.persist(&path).map_err(|e| at("write", &path)(e.error))?;
        Ok(Promise { condition, events, path, _file: file })
    }

    /// The promises whose makers are dead, each with its lock.
    pub fn orphaned_promises(&self) -> Result<Vec<Promise>, StoreError> {
        let dir = self.promises_dir();
        let entries = match fs::read_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(at("read", &dir))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(at("read", &dir))?.path();
            if path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b".")) {
                remove_stale(&path);
                continue;
            }
            let Some(file) = claim(&path).map_err(at("lock", &path))? else { continue };
            let bytes = fs::read(&path).map_err(at("read", &path))?;
            let mut lines = bytes.split(|byte| *byte == b'\n');
            let condition = lines.next().map(String::from_utf8_lossy).unwrap_or_default();
            let condition = condition.into_owned();
            let events = lines.filter_map(decode).map(|record| (record.job, record.event));
            found.push(Promise { condition, events: events.collect(), path, _file: file });
        }
        Ok(found)
    }
}

/// Removes a draft that was never finished: nothing had happened yet. A young one
/// is somebody's who is at it.
fn remove_stale(draft: &Path) {
    let age = fs::metadata(draft).and_then(|meta| meta.modified()).ok();
    if age.is_some_and(|at| at.elapsed().is_ok_and(|age| age > STALE)) {
        let _ = fs::remove_file(draft);
    }
}

/// Opens a file that nobody has locked, and locks it; none if somebody has, or
/// if it has gone meanwhile.
fn claim(path: &Path) -> io::Result<Option<File>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    // Its maker may have been done with it just before.
    let is_there = fs::symlink_metadata(path).is_ok_and(|there| {
        file.metadata().is_ok_and(|held| (held.dev(), held.ino()) == (there.dev(), there.ino()))
    });
    Ok(is_there.then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::NotPicked;

    fn events() -> Vec<(JobId, Event)> {
        vec![(JobId(2), Event::NotPicked(NotPicked { picked: JobId(1) })), (JobId(3), Event::Lost)]
    }

    #[test]
    fn a_promise_is_found_once_its_maker_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("cx"));
        assert!(store.orphaned_promises().unwrap().is_empty());
        let held = store.promise("main abc".to_owned(), events()).unwrap();
        assert!(store.orphaned_promises().unwrap().is_empty(), "its maker lives");
        drop(held);
        let found = store.orphaned_promises().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].condition.as_str(), &found[0].events), ("main abc", &events()));
        assert!(store.orphaned_promises().unwrap().is_empty(), "somebody has it");
        for promise in found {
            promise.withdraw().unwrap();
        }
        assert!(store.orphaned_promises().unwrap().is_empty());
        store.promise("x".to_owned(), Vec::new()).unwrap().withdraw().unwrap();
        assert_eq!(fs::read_dir(store.promises_dir()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_crash_left_half_written_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        fs::create_dir(store.promises_dir()).unwrap();
        fs::write(store.promises_dir().join(".new-x"), "main ab").unwrap();
        assert!(store.orphaned_promises().unwrap().is_empty());
        let draft = File::options().write(true).open(store.promises_dir().join(".new-x")).unwrap();
        draft.set_modified(std::time::SystemTime::now() - 2 * STALE).unwrap();
        assert!(store.orphaned_promises().unwrap().is_empty());
        assert_eq!(fs::read_dir(store.promises_dir()).unwrap().count(), 0);
    }
}
