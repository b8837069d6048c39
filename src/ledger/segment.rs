//! The prompt segment: a line of text about the state, in a file that shells
//! read without starting anything.
//!
//! The file's time is the time of the ledger that it speaks of. So a shell sees
//! by comparing two times whether it is out of date; that is all it needs to
//! know about the ledger.

use std::{
    fs,
    io::{self, Write},
    time::{Duration, SystemTime},
};

use super::{
    fold::State,
    store::{Store, StoreError, at},
};

/// The kernel stamps files with a clock that moves every 1 to 10 ms: within
/// that time a ledger may change again without looking newer.
const TICK: Duration = Duration::from_millis(20);

impl Store {
    /// Replaces the segment by what `render` makes of the state, in one line
    /// without its end. There must be a ledger.
    pub fn refresh_segment(&self, render: impl FnOnce(&State) -> String) -> Result<(), StoreError> {
        let (ledger, path) = (self.ledger_path(), self.segment_path());
        // First the time, then the look: what comes in between makes it look old.
        let changed =
            fs::metadata(&ledger).and_then(|meta| meta.modified()).map_err(at("read", &ledger))?;
        let stamp = if changed + TICK > SystemTime::now() {
            changed - Duration::from_nanos(1)
        } else {
            changed
        };
        let line = render(&self.state()?);
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(self.dir())?;
            writeln!(file, "{line}")?;
            file.as_file().set_modified(stamp)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(at("write", &path))
    }
}
