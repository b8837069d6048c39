//! Watching a file that grows, without polling.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    time::Instant,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};

/// Wakes when one of its files is written to, or one of its folders changes.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
}

impl Watch {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self { inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)? })
    }

    /// Watches a file, or a folder for files that appear in it. `false` when
    /// there is no such path.
    pub fn add(&self, path: &Path) -> io::Result<bool> {
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CLOSE_WRITE;
        match self.inotify.add_watch(path, flags) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Sleeps until something was written, or `deadline` has passed: `false`.
    pub fn wait(&self, deadline: Option<Instant>) -> io::Result<bool> {
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now()).as_millis();
                PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX))
                    .unwrap_or(PollTimeout::MAX)
            }
        };
        let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(e) => return Err(e.into()),
        }
        self.take()?;
        Ok(true)
    }

    /// Takes in what has come, without sleeping: whether there was anything.
    pub(super) fn take(&self) -> io::Result<bool> {
        let mut any = false;
        loop {
            match self.inotify.read_events() {
                Ok(_) => any = true,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(any),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
