//! Reading and following a ledger from outside, as any script could.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::inotify::WatchFlags;
use serde_json::Value;

use super::DEADLINE;
use super::watch::Watch;

/// A ledger file, which need not exist yet.
pub(crate) struct Ledger {
    path: PathBuf,
}

impl Ledger {
    /// The ledger at `path`.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// All events so far. A last line without an end is not yet one; any other
    /// line that is not JSON fails the test.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("{error} in the ledger's line {line:?}"))
            })
            .collect()
    }

    /// Waits until the ledger has an event that `wanted` accepts, and gives the
    /// first such. What happened before counts too.
    #[track_caller]
    pub(crate) fn wait_for(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            // First the watch, then the look: nothing is missed in between.
            let (watched, watch) = self.watch_nearest();
            if let Some(event) = self.events().into_iter().find(|event| wanted(event)) {
                return event;
            }
            // A nearer folder was made before the watch: go and watch that one.
            if self.folder().ancestors().find(|folder| folder.exists()) != Some(watched) {
                continue;
            }
            let left = DEADLINE.saturating_sub(start.elapsed());
            assert!(
                watch.wait(left),
                "the event never came to {}, which has:\n{}",
                self.path.display(),
                fs::read_to_string(&self.path).unwrap_or_else(|error| error.to_string())
            );
        }
    }

    fn folder(&self) -> &Path {
        self.path.parent().expect("a ledger lies in a folder")
    }

    /// Watches the ledger's folder, or the nearest folder above that exists.
    fn watch_nearest(&self) -> (&Path, Watch) {
        let changes = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MODIFY;
        self.folder()
            .ancestors()
            .find_map(|folder| Some((folder, Watch::on(folder, changes)?)))
            .expect("the root exists")
    }
}
