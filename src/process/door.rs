//! A door that clients knock at, and the signals that close it: for a server without an
//! event loop. Pure waiting; a crash leaves nothing.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::{fd::AsFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, poll},
    sys::signal::Signal,
};

use super::signals;

/// How long nobody is let in when the system cannot take more, for want of descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Why somebody has to come to the door.
#[derive(Debug)]
pub enum Knock {
    /// A client.
    Client(TcpStream),
    /// Somebody has [left](Leaving).
    Left,
    /// This signal came: INT, TERM or HUP.
    Signal(i32),
}

/// See the module.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    left: UnixStream,
    leaving: UnixStream,
    signals: Vec<(i32, UnixStream)>,
}

/// Says that somebody has left, when it is dropped.
#[derive(Debug)]
pub struct Leaving(UnixStream);

impl Drop for Leaving {
    fn drop(&mut self) {
        // A full pipe wakes too.
        let _ = self.0.write(&[0]);
    }
}

impl Door {
    /// From here on the signals do not end this process. HUP is passed over where it was
    /// before, so that `nohup` works.
    pub fn open(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (left, leaving) = UnixStream::pair()?;
        left.set_nonblocking(true)?;
        leaving.set_nonblocking(true)?;
        let hang_up = Some(Signal::SIGHUP).filter(|signal| !signals::is_ignored(*signal));
        let signals = [Signal::SIGINT, Signal::SIGTERM].into_iter().chain(hang_up);
        let signals = signals.map(|signal| {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            signal_hook::low_level::pipe::register(signal as i32, writer)?;
            Ok((signal as i32, reader))
        });
        let signals = signals.collect::<io::Result<_>>()?;
        Ok(Self { listener, left, leaving, signals })
    }

    /// For somebody who is inside.
    pub fn leaving(&self) -> io::Result<Leaving> {
        self.leaving.try_clone().map(Leaving)
    }

    /// Sleeps until there is something; to clients only if they are `welcome`.
    pub fn wait(&mut self, welcome: bool) -> io::Result<Knock> {
        // Until then only signals are heard.
        let mut breathing: Option<Instant> = None;
        loop {
            let mut fds: Vec<PollFd> = self
                .signals
                .iter()
                .map(|(_, stream)| stream)
                .chain([&self.left])
                .map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN))
                .collect();
            if welcome && breathing.is_none() {
                fds.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut fds, signals::timeout(breathing)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
            if breathing.is_some_and(|until| Instant::now() >= until) {
                breathing = None;
            }
            for (signal, stream) in &mut self.signals {
                if take(stream)? {
                    return Ok(Knock::Signal(*signal));
                }
            }
            if take(&mut self.left)? {
                return Ok(Knock::Left);
            }
            if !welcome || breathing.is_some() {
                continue;
            }
            match self.listener.accept() {
                Ok((client, _)) => return Ok(Knock::Client(client)),
                // It has gone again, or was none.
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::Interrupted
                            | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(_) => breathing = Instant::now().checked_add(BREATH),
            }
        }
    }
}

/// Takes what has come; whether anything has.
fn take(stream: &mut UnixStream) -> io::Result<bool> {
    let mut buffer = [0; 64];
    let mut any = false;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(any),
            Ok(_) => any = true,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(any),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
