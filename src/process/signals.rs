//! The signals that a supervisor hears.
//!
//! Handlers set a flag and write a byte to a socket pair (`signal_hook`), and the
//! supervisor polls its other end: no signal mask has to be kept, so workers
//! start with none, and handlers are reset when a worker is executed. The flag is
//! set before the byte is written, and read after: none is missed.

use std::{
    io::{self, Read},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use super::watch::Watch;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{SigSet, Signal},
};

/// The signal that tells a supervisor to look into the ledger for a request.
pub const REQUEST: i32 = Signal::SIGUSR1 as i32;

/// The signal that has a process go on that was stopped.
pub const CONT: i32 = Signal::SIGCONT as i32;

/// The signal that asks a process to end.
pub const TERM: i32 = Signal::SIGTERM as i32;

/// What woke the supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// A child changed its state.
    pub child: bool,
    /// The ledger may hold a request for this job.
    pub request: bool,
    /// Somebody wants this job to end: TERM or INT.
    pub terminate: bool,
    /// Something that is watched was written.
    pub written: bool,
}

/// Blocks all signals in this thread, and so in the processes that it starts,
/// until they say [`Signals::install`]: between a supervisor's start and its
/// `setsid` a Ctrl-C at the terminal must not end it.
pub fn block_all() -> io::Result<SigSet> {
    Ok(SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)?)
}

/// Puts back what [`block_all`] returned.
pub fn restore(mask: SigSet) -> io::Result<()> {
    Ok(mask.thread_set_mask()?)
}

/// The receiving end.
#[derive(Debug)]
pub struct Signals {
    wakeups: UnixStream,
    child: Arc<AtomicBool>,
    request: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl Signals {
    /// Installs the handlers and unblocks everything. HUP is heard and passed
    /// over: the terminal may go.
    pub fn install() -> io::Result<Self> {
        let (wakeups, writer) = UnixStream::pair()?;
        wakeups.set_nonblocking(true)?;
        let listen = |signals: &[Signal]| -> io::Result<Arc<AtomicBool>> {
            let flag = Arc::new(AtomicBool::new(false));
            for signal in signals {
                // In this order: actions run in the order in which they came.
                signal_hook::flag::register(*signal as i32, Arc::clone(&flag))?;
                signal_hook::low_level::pipe::register(*signal as i32, writer.try_clone()?)?;
            }
            Ok(flag)
        };
        let child = listen(&[Signal::SIGCHLD])?;
        let request = listen(&[Signal::SIGUSR1])?;
        let terminate = listen(&[Signal::SIGTERM, Signal::SIGINT])?;
        // A flag nobody reads: a handler, so that it is neither fatal here nor
        // ignored in the worker.
        let unread = Arc::new(AtomicBool::new(false));
        for signal in [Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR2, Signal::SIGPIPE] {
            signal_hook::flag::register(signal as i32, Arc::clone(&unread))?;
        }
        survive_full_files()?;
        SigSet::empty().thread_set_mask()?;
        Ok(Self { wakeups, child, request, terminate })
    }

    /// What has come since the last look, without sleeping.
    pub fn poll(&mut self) -> io::Result<Woken> {
        self.wait(Some(Instant::now()))
    }

    /// Sleeps until a signal has come or `deadline` has passed.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Woken> {
        self.wait_or_watch(deadline, None)
    }

    /// The same, or until something that is watched was written.
    pub fn wait_or_watch(
        &mut self,
        deadline: Option<Instant>,
        watch: Option<&Watch>,
    ) -> io::Result<Woken> {
        let timeout = timeout(deadline);
        let fds = [Some(self.wakeups.as_fd()), watch.map(AsFd::as_fd)].into_iter().flatten();
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, timeout) {
            Ok(0) => return Ok(Woken::default()),
            // Interrupted: the handler that did it has written its byte.
            Ok(_) | Err(nix::errno::Errno::EINTR) => drain(&mut self.wakeups)?,
            Err(e) => return Err(e.into()),
        }
        let written = watch.map(Watch::take).transpose()?.unwrap_or_default();
        let take = |flag: &AtomicBool| flag.swap(false, Ordering::SeqCst);
        Ok(Woken {
            child: take(&self.child),
            request: take(&self.request),
            terminate: take(&self.terminate),
            written,
        })
    }
}

/// Makes a file that may not grow (`ulimit -f`) an error of the write, as a full
/// disk is, and not the end of this process. A handler and not ignored, since
/// what is ignored stays so in every child.
pub fn survive_full_files() -> io::Result<()> {
    let unread = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(Signal::SIGXFSZ as i32, unread).map(drop)
}

/// Takes what is there.
fn drain(stream: &mut UnixStream) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer) {
            // There may be more only where the buffer was filled.
            Ok(len) if len == buffer.len() => {}
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// The number of a signal named as `kill -s` names it: `TERM`, `SIGTERM`,
/// `term` or `15`.
pub fn number(word: &str) -> Option<i32> {
    if let Ok(n) = word.parse::<i32>() {
        return Signal::try_from(n).ok().map(|signal| signal as i32);
    }
    let upper = word.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    name.parse::<Signal>().ok().map(|signal| signal as i32)
}

/// A signal's name without `SIG`: `TERM`.
pub fn name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().trim_start_matches("SIG").to_owned(),
        Err(_) => number.to_string(),
    }
}

/// Whether whoever started this process has it pass over this signal, as `nohup` does.
/// To be asked before a handler is installed.
pub(super) fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}

/// A flag that Ctrl-C sets, in place of ending this process.
pub fn interrupt_flag() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(Signal::SIGINT as i32, Arc::clone(&flag))?;
    Ok(flag)
}

/// Whether a worker that is sent this signal is meant to end.
pub fn ends(number: i32) -> bool {
    !matches!(
        Signal::try_from(number),
        Ok(Signal::SIGSTOP
            | Signal::SIGTSTP
            | Signal::SIGTTIN
            | Signal::SIGTTOU
            | Signal::SIGCONT
            | Signal::SIGCHLD
            | Signal::SIGWINCH
            | Signal::SIGURG
            | Signal::SIGUSR1
            | Signal::SIGUSR2)
    )
}

/// How long `poll` may sleep.
pub(super) fn timeout(deadline: Option<Instant>) -> PollTimeout {
    match deadline {
        None => PollTimeout::NONE,
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            // Rounded up, so that a deadline has passed when it is said to.
            let millis = left.as_nanos().div_ceil(1_000_000);
            PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX))
                .unwrap_or(PollTimeout::MAX)
        }
    }
}
