//! The processes of a sandbox, found by a variable in their environment.
//!
//! They are held by pidfd, which names one process for good: its pid may be
//! given away between the look and the signal, the descriptor cannot be.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that was alive when it was found.
pub(crate) struct Survivor {
    pidfd: OwnedFd,
    /// `pid: command line`, for messages.
    pub(crate) what: String,
}

/// Every live process with exactly this `NAME=value` in its environment.
pub(crate) fn with_variable(variable: &str) -> Vec<Survivor> {
    let pids = fs::read_dir("/proc").expect("/proc can be listed");
    pids.filter_map(|entry| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        // Empty for a zombie, unreadable for what has gone meanwhile.
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        environment.split(|byte| *byte == 0).find(|entry| *entry == variable.as_bytes())?;
        // Between the two looks it may have ended: then this is empty as well.
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|c| !c.is_empty())?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        Some(Survivor { pidfd, what: format!("{pid}: {}", command.trim_end()) })
    })
    .collect()
}

/// Ends every process with this variable, also those that appear meanwhile,
/// and says what they were.
pub(crate) fn end_all(variable: &str) -> Vec<String> {
    let mut ended = Vec::new();
    // A process may fork between the look and the signal: look until none is left.
    for _ in 0..100 {
        let survivors = with_variable(variable);
        if survivors.is_empty() {
            return ended;
        }
        for survivor in &survivors {
            match pidfd_send_signal(&survivor.pidfd, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => panic!("cannot end {}: {error}", survivor.what),
            }
        }
        for survivor in survivors {
            assert!(exits(&survivor.pidfd, super::DEADLINE), "{} survives SIGKILL", survivor.what);
            ended.push(survivor.what);
        }
    }
    panic!("processes with {variable} appear faster than they can be ended: {ended:?}");
}

/// Waits until every process with this variable has gone; false when `limit` ran out.
pub(crate) fn all_exit(variable: &str, limit: Duration) -> bool {
    let start = Instant::now();
    loop {
        let survivors = with_variable(variable);
        if survivors.is_empty() {
            return true;
        }
        for survivor in survivors {
            if !exits(&survivor.pidfd, limit.saturating_sub(start.elapsed())) {
                return false;
            }
        }
    }
}

/// Waits until this process has exited; false when `limit` ran out.
pub(crate) fn exits(pidfd: &OwnedFd, limit: Duration) -> bool {
    readable(pidfd, limit)
}

/// Waits until a descriptor can be read; false when `limit` ran out.
pub(crate) fn readable(descriptor: &impl AsFd, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).expect("a limit fits a timespec");
        match poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(error) => panic!("poll failed: {error}"),
        }
    }
}
