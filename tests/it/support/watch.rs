//! inotify, for waiting on files without polling them.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::processes;

/// A watch on one path.
pub(crate) struct Watch(OwnedFd);

impl Watch {
    /// Watches `path` from now on, or says that it does not exist.
    pub(crate) fn on(path: &Path, what: WatchFlags) -> Option<Self> {
        let descriptor = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .expect("inotify works, see fs.inotify.max_user_instances");
        match inotify::add_watch(&descriptor, path, what) {
            Ok(_) => Some(Self(descriptor)),
            Err(Errno::NOENT) => None,
            Err(error) => panic!("cannot watch {}: {error}", path.display()),
        }
    }

    /// Waits for the next event and forgets all that have come; false when
    /// `limit` ran out.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        if !processes::readable(&self.0, limit) {
            return false;
        }
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.0, &mut buffer);
        while events.next().is_ok() {}
        true
    }
}
