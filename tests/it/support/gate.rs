//! A gate holds a scripted worker until the test lets it go on.
//!
//! It is a FIFO that the worker reads a line from. The sandbox holds it open for
//! writing to its own end: a worker that still stands there is a survivor, and
//! only when the test itself is killed does the worker go on instead of hanging.
//! The worker only ever reads it, so readers under Landlock may use one too.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::inotify::WatchFlags;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::DEADLINE;
use super::watch::Watch;

/// See the module. Made by `Sandbox::gate`.
pub(crate) struct Gate {
    path: PathBuf,
    fifo: Arc<File>,
    opened: Watch,
}

impl Gate {
    /// A closed gate at `path`.
    pub(crate) fn at(path: &Path) -> Self {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO can be made");
        // Opened for both, so that nobody blocks in opening it.
        let fifo = OpenOptions::new().read(true).write(true).open(path).expect("a FIFO opens");
        let opened = Watch::on(path, WatchFlags::OPEN).expect("the FIFO was just made");
        Self { path: path.to_owned(), fifo: Arc::new(fifo), opened }
    }

    /// What keeps workers at the gate as long as it exists.
    pub(super) fn hold(&self) -> Arc<File> {
        Arc::clone(&self.fifo)
    }

    /// The shell command that stops at this gate: `read -r _ < '...'`.
    pub(crate) fn pass(&self) -> String {
        let path = self.path.to_str().expect("sandboxes have UTF-8 paths");
        assert!(!path.contains('\''), "{path:?} cannot be quoted simply");
        format!("read -r _ < '{path}'")
    }

    /// Waits until a worker stands at the gate. Each arrival counts once, but
    /// two at the same moment may be seen as one: take a gate for each worker.
    /// It has the gate open then, but need not be reading yet: a signal that is
    /// sent now may come before the read, and a shell runs its trap for it only
    /// after the gate has opened. Signals without a trap act at once.
    #[track_caller]
    pub(crate) fn arrived(&self) {
        assert!(self.opened.wait(DEADLINE), "no worker came to {}", self.path.display());
    }

    /// Lets one worker go on, once.
    pub(crate) fn step(&self) {
        (&*self.fifo).write_all(b"\n").expect("the FIFO takes a line");
    }

    /// Opens the gate for good, for all who stand there and all who will come
    /// while the sandbox exists.
    pub(crate) fn open(&self) {
        // Each worker takes one line. 4096 fit into the smallest pipe.
        (&*self.fifo).write_all(&[b'\n'; 4096]).expect("the FIFO takes a page");
    }
}
