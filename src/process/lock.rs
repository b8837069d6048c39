//! A job's lock, the wait for its end, and its turn in the queue.
//!
//! Two independent locks share one file and one open file description, so that
//! both pass to the supervisor with one descriptor:
//! - `flock`, exclusive: the job lives. Waiting for a job is a shared `flock`
//!   that blocks: no polling, any number of waiters, any terminal.
//! - an open-file-description lock on one byte for each turn that the job still
//!   waits for. The next in that queue blocks on it.
//!
//! A waiter holds the shared lock for a moment when it wakes. Who wants the
//! lock exclusively must therefore not take a refusal for life; see [`claim`].

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    ops::Range,
    os::fd::AsFd,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};

use super::limits;

/// Opens the lock file at `path` for who means to hold it, and makes it if it is
/// not there.
fn open_for_holding(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Creates the lock file of a new job and locks it.
pub fn create(path: &Path) -> io::Result<File> {
    let file = open_for_holding(path)?;
    file.lock()?;
    Ok(file)
}

/// Whether somebody holds the lock at `path`. A file that is gone is not held.
pub fn is_held(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Takes over the lock of a job whose supervisor is dead: `None` when it is
/// held after all.
pub fn claim(path: &Path) -> io::Result<Option<File>> {
    let file = open_for_holding(path)?;
    let mut tries = 0_u32;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(e)) => return Err(e),
            Err(TryLockError::WouldBlock) if is_held(path)? => return Ok(None),
            // Only waiters, who let go at once, unless they are stopped there.
            Err(TryLockError::WouldBlock) if tries < 1000 => thread::yield_now(),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
        }
        tries = tries.saturating_add(1);
    }
}

/// Takes the lock at `path`, and waits for whoever has it; `busy` is told first.
pub fn hold(path: &Path, busy: impl FnOnce()) -> io::Result<File> {
    let file = open_for_holding(path)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::Error(e)) => return Err(e),
        Err(TryLockError::WouldBlock) => busy(),
    }
    file.lock()?;
    Ok(file)
}

/// Blocks until the lock at `path` is free.
pub fn wait(path: &Path) -> io::Result<()> {
    open_to_wait(path)?.map_or(Ok(()), |file| file.lock_shared())
}

/// The lock at `path`, to be waited for; none where it is gone, and so is free.
fn open_to_wait(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Has `then` done once the lock at `path` is free, by a thread that blocks on it. It is an
/// error where it cannot be waited for: that must not be taken for its end.
/// `others` are waited for in this way already.
pub(super) fn when_free(
    path: &Path,
    others: usize,
    then: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    limits::allow_open(others + 1)?;
    let file = open_to_wait(path)?;
    thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        // Should the kernel run out of locks, whoever is woken looks at the ledger.
        let _ = file.map(|file| file.lock_shared());
        then();
    })?;
    Ok(())
}

/// Whether so many locks cannot be waited for at once, as it takes a file and a thread
/// for each.
pub fn are_too_many(error: &io::Error) -> bool {
    limits::is_met(error)
}

/// Waits for several locks at once: a thread for each, blocked in the kernel.
#[derive(Debug)]
pub struct Waiters {
    freed: mpsc::Receiver<usize>,
    left: usize,
}

impl Waiters {
    /// Begins to wait for all of `paths`.
    pub fn new(paths: Vec<PathBuf>) -> io::Result<Self> {
        let (sender, freed) = mpsc::channel();
        let left = paths.len();
        for (index, path) in paths.into_iter().enumerate() {
            let sender = sender.clone();
            when_free(&path, index, move || {
                let _ = sender.send(index);
            })?;
        }
        Ok(Self { freed, left })
    }

    /// The index of the next lock that became free; `None` when `deadline`
    /// passed first or none is left.
    pub fn next(&mut self, deadline: Option<Instant>) -> Option<usize> {
        if self.left == 0 {
            return None;
        }
        let index = match deadline {
            None => self.freed.recv().ok()?,
            Some(deadline) => {
                let timeout = deadline.saturating_duration_since(Instant::now());
                match self.freed.recv_timeout(timeout) {
                    Ok(index) => index,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
                }
            }
        };
        self.left -= 1;
        Some(index)
    }

    /// Whether any lock is still to become free.
    pub fn is_done(&self) -> bool {
        self.left == 0
    }
}

/// Whether what a supervisor wanted to be woken by has happened.
#[derive(Clone, Debug)]
pub struct Alarm(Arc<AtomicBool>);

impl Alarm {
    /// It has, and this alarm will not wake anybody again.
    pub fn has_rung(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Has this process sent [`super::signals::REQUEST`] once `wait` returns, which
/// blocks on somebody else's lock: for a supervisor, which sleeps on signals.
fn wake_after(wait: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<Alarm> {
    let alarm = Alarm(Arc::default());
    let rung = Arc::clone(&alarm.0);
    let me = nix::unistd::Pid::this();
    let signal = nix::sys::signal::Signal::try_from(super::signals::REQUEST)?;
    thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        // An error wakes too: the supervisor then looks for itself.
        let _ = wait();
        // Before the signal, which has the supervisor look.
        rung.store(true, Ordering::Release);
        let _ = nix::sys::signal::kill(me, signal);
    })?;
    Ok(alarm)
}

/// Wakes this supervisor when the job of the lock at `path` has ended. It waits for
/// `others` in this way already.
pub fn wake_when_free(path: &Path, others: usize) -> io::Result<Alarm> {
    limits::allow_open(others + 1)?;
    let file = open_to_wait(path)?;
    wake_after(move || file.map_or(Ok(()), |file| file.lock_shared()))
}

/// Wakes this supervisor when the job of the lock at `path` has got this turn of
/// its, or is dead.
pub fn wake_after_turn(path: &Path, turn: usize) -> io::Result<Alarm> {
    let file = open_to_wait(path)?;
    wake_after(move || file.map_or(Ok(()), |file| wait_for_turn(&file, turn)))
}

/// A deadline this far from now; `None` for one beyond what a clock can say.
pub fn deadline_in(duration: Duration) -> Option<Instant> {
    Instant::now().checked_add(duration)
}

/// One byte for each of `turns`.
fn turn_lock(kind: libc::c_int, turns: Range<usize>) -> libc::flock {
    let offset = |turn: usize| libc::off_t::try_from(turn).unwrap_or(libc::off_t::MAX);
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: 0, // SEEK_SET
        l_start: offset(turns.start),
        l_len: offset(turns.len()),
        l_pid: 0,
    }
}

/// Marks the job that owns `lock` as waiting for this many turns, one after the
/// other; at least one.
pub fn begin_turn_wait(lock: &impl AsFd, turns: usize) -> io::Result<()> {
    fcntl(lock, FcntlArg::F_OFD_SETLK(&turn_lock(libc::F_WRLCK, 0..turns.max(1))))?;
    Ok(())
}

/// It has got the first turns, this many: lets the next in their queues look.
pub fn end_turn_wait(lock: &impl AsFd, turns: usize) -> io::Result<()> {
    // A length of 0 would mean all of them.
    if turns > 0 {
        fcntl(lock, FcntlArg::F_OFD_SETLK(&turn_lock(libc::F_UNLCK, 0..turns)))?;
    }
    Ok(())
}

/// Blocks until the job of this lock file has got this turn of its, or is dead.
pub(super) fn wait_for_turn(file: &File, turn: usize) -> io::Result<()> {
    loop {
        match fcntl(file, FcntlArg::F_OFD_SETLKW(&turn_lock(libc::F_RDLCK, turn..turn + 1))) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return Ok(other.map(drop)?),
        }
    }
}
