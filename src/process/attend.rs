//! Waiting for a job on behalf of a client: until it is over, has put something out, or
//! the client has gone away.
//!
//! Nothing is polled: a thread blocks on the job's lock, as in `vigil`, and ends with the
//! job. Pure waiting: nothing is written, so a crash leaves nothing.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    time::Instant,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, poll},
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};

use super::signals;

/// What woke who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The job's lock is free.
    Over,
    /// The client has closed its side of the connection.
    Gone,
    /// A file of the job was written to.
    Written,
    /// The deadline has passed, or nothing that matters has happened.
    Nothing,
}

/// See the module.
#[derive(Debug)]
pub struct Attendance<'a> {
    client: &'a TcpStream,
    written: Inotify,
    over: UnixStream,
}

impl<'a> Attendance<'a> {
    /// Begins to wait for the job that has the folder `files` and the lock at `lock`. What
    /// `client` still sends is thrown away from here on.
    pub fn new(client: &'a TcpStream, files: &Path, lock: &Path) -> io::Result<Self> {
        let written = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        match written.add_watch(files, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE) {
            // It has ended and was cleaned already.
            Ok(_) | Err(Errno::ENOENT) => {}
            Err(e) => return Err(e.into()),
        }
        let (over, mut waker) = UnixStream::pair()?;
        super::lock::when_free(lock, 0, move || {
            // Nobody may be there any more.
            let _ = waker.write_all(&[0]);
        })?;
        Ok(Self { client, written, over })
    }

    /// Sleeps until something has happened or `deadline` has passed. That the client is
    /// gone is said first of all, then that the job is over.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Heard> {
        let mut fds = [
            PollFd::new(self.client.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.over.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.written.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, signals::timeout(deadline)) {
            Ok(0) | Err(Errno::EINTR) => return Ok(Heard::Nothing),
            Ok(_) => {}
            Err(e) => return Err(e.into()),
        }
        let [client, over, written] = fds.map(|fd| fd.any() != Some(false));
        if client && self.is_gone() {
            return Ok(Heard::Gone);
        }
        if over {
            return Ok(Heard::Over);
        }
        if !written {
            return Ok(Heard::Nothing);
        }
        loop {
            match self.written.read_events() {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(Heard::Written),
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Takes what the client has sent, which nobody asked for. There is something to
    /// read, so this does not block.
    fn is_gone(&self) -> bool {
        let (mut client, mut scrap) = (self.client, [0; 1024]);
        match client.read(&mut scrap) {
            Ok(0) => true,
            Ok(_) => false,
            Err(e) => {
                use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
                !matches!(e.kind(), WouldBlock | Interrupted | TimedOut)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, net::TcpListener, time::Duration};

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        (listener.accept().expect("accepts").0, client)
    }

    #[test]
    fn what_happens_wakes_and_a_client_that_is_gone_comes_first() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("lock");
        let held = super::super::lock::create(&path).expect("locks");
        let (here, mut there) = pair();
        let mut attendance = Attendance::new(&here, dir.path(), &path).expect("attends");
        let soon = || Instant::now().checked_add(Duration::from_mins(1));
        assert_eq!(attendance.wait(Some(Instant::now())).expect("waits"), Heard::Nothing);
        fs::write(dir.path().join("out"), "x").expect("writes");
        assert_eq!(attendance.wait(soon()).expect("waits"), Heard::Written);
        there.write_all(b"more").expect("sends");
        assert_eq!(attendance.wait(soon()).expect("waits"), Heard::Nothing);
        held.unlock().expect("unlocks");
        assert_eq!(attendance.wait(soon()).expect("waits"), Heard::Over);
        drop(there);
        while attendance.wait(soon()).expect("waits") != Heard::Gone {}
    }
}
