//! Sleeping until something happens: a file was written, a lock became free, a
//! signal came, a child died, or time is up. For a process that works through a plan.
//!
//! Nothing is polled. A lock that becomes free is seen by a thread that blocks on
//! it, one for each; so the number of threads is that of the live jobs that are
//! waited for. Signals come as bytes through a socket pair, and are counted.
//!
//! Pure waiting: nothing is written, so a crash leaves nothing.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    sync::mpsc,
    time::Instant,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, poll},
    sys::{
        inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
        signal::{SigSet, Signal},
    },
};

use signal_hook::SigId;

use super::{ending, lock, signals};

/// What has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roused {
    /// The numbers of the locks that have become free.
    pub freed: Vec<u64>,
    /// How often Ctrl-C was pressed.
    pub interrupts: u32,
    /// How often TERM came.
    pub terminations: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Vigil {
    written: Inotify,
    followed: HashMap<u64, WatchDescriptor>,
    wake: UnixStream,
    waker: UnixStream,
    freed: mpsc::Receiver<u64>,
    /// How many locks are waited for.
    waiting: usize,
    free: mpsc::Sender<u64>,
    child: UnixStream,
    interrupt: UnixStream,
    terminate: UnixStream,
    /// What is done about signals as long as this lives.
    handled: Vec<SigId>,
}

impl Drop for Vigil {
    fn drop(&mut self) {
        // Each holds the other end of a stream.
        for id in self.handled.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}

impl Vigil {
    /// Watches `file`, which exists, and takes INT and TERM. HUP is heard and
    /// passed over: the terminal may go.
    pub fn keep(file: &Path) -> io::Result<Self> {
        let written = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        written.add_watch(file, AddWatchFlags::IN_MODIFY)?;
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        // Whoever sees a lock freed must not hang where nobody listens any more.
        waker.set_nonblocking(true)?;
        let (free, freed) = mpsc::channel();
        let mut handled = Vec::new();
        let mut listen = |signal: Signal| -> io::Result<UnixStream> {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            handled.push(signal_hook::low_level::pipe::register(signal as i32, writer)?);
            Ok(reader)
        };
        let child = listen(Signal::SIGCHLD)?;
        let (interrupt, terminate) = (listen(Signal::SIGINT)?, listen(Signal::SIGTERM)?);
        let unread = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        handled.push(signal_hook::flag::register(Signal::SIGHUP as i32, unread)?);
        // A detached runner is started with all signals blocked.
        SigSet::empty().thread_set_mask()?;
        Ok(Self {
            written,
            followed: HashMap::new(),
            wake,
            waker,
            freed,
            waiting: 0,
            free,
            child,
            interrupt,
            terminate,
            handled,
        })
    }

    /// Also wakes once the lock at `path` is free, and gives its number then.
    pub fn until_free(&mut self, path: &Path, number: u64) -> io::Result<()> {
        let (free, mut waker) = (self.free.clone(), self.waker.try_clone()?);
        // Each has the lock and the waker.
        let others = self.waiting.saturating_mul(2);
        lock::when_free(path, others + 1, move || {
            let _ = free.send(number);
            let _ = waker.write_all(&[0]);
        })?;
        self.waiting += 1;
        Ok(())
    }

    /// Also wakes when a file in `folder` is written, until [`Vigil::leave`] is told
    /// the same number.
    pub fn follow(&mut self, folder: &Path, number: u64) -> io::Result<()> {
        let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE;
        let watch = self.written.add_watch(folder, flags)?;
        self.followed.insert(number, watch);
        Ok(())
    }

    /// Follows this folder no longer, if it was followed.
    pub fn leave(&mut self, number: u64) {
        if let Some(watch) = self.followed.remove(&number) {
            // It is gone with its folder.
            let _ = self.written.rm_watch(watch);
        }
    }

    /// Sleeps until something has happened or `deadline` has passed.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Roused> {
        let timeout = signals::timeout(deadline);
        let mut fds = [
            PollFd::new(self.written.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.child.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.interrupt.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.terminate.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        loop {
            match self.written.read_events() {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(e) => return Err(e.into()),
            }
        }
        drain(&mut self.wake)?;
        drain(&mut self.child)?;
        // Whoever started the supervisors is their parent as long as it lives, and a
        // dead one that nobody reaps looks like one that still has to be ended.
        ending::reap(&mut [])?;
        let freed: Vec<u64> = self.freed.try_iter().collect();
        self.waiting = self.waiting.saturating_sub(freed.len());
        Ok(Roused {
            freed,
            interrupts: drain(&mut self.interrupt)?,
            terminations: drain(&mut self.terminate)?,
        })
    }
}

/// Takes what has come and counts it.
fn drain(stream: &mut UnixStream) -> io::Result<u32> {
    let mut count = 0;
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(count),
            Ok(n) => count += u32::try_from(n).unwrap_or(u32::MAX),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(count),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
