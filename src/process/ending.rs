//! Ending a process tree, until nothing of it is left.
//!
//! A supervisor is a child subreaper: whatever its worker leaves behind, in
//! whichever session, becomes its child. So "nothing of this job runs any more"
//! is one system call that says it has no children.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::Signal,
        wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    },
    unistd::Pid,
};

use super::{
    lock::deadline_in,
    signals::Signals,
    start,
    tree::{descendants, is_alive, signal},
    worker::Worker,
};
use crate::job::ProcessRef;

/// Makes this process the one that orphans below it are given to.
pub fn become_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Gives that up again: whatever orphans there are by then are somebody else's.
pub fn cease_to_be_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(false)?)
}

/// Whether this process has children, dead ones not yet reaped included.
pub fn has_children() -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags) != Err(Errno::ECHILD)
}

/// Reaps every dead child. Those of `known` are reaped through what is said there, which
/// then knows how they ended. Whether any child is left.
pub fn reap(known: &mut [&mut Worker]) -> io::Result<bool> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::All, flags) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => {
                match known.iter_mut().find(|worker| worker.pid() == pid.as_raw()) {
                    Some(worker) => worker.reap()?,
                    None => drop(waitpid(pid, Some(WaitPidFlag::WNOHANG))),
                }
            }
            Err(Errno::EINTR) => {}
            left => return Ok(left != Err(Errno::ECHILD)),
        }
    }
}

/// Ends everything below this process: `first` to all, then KILL to what is
/// left after `grace`, until there is nothing. Returns how many were there, without
/// the server of our own tools, which a worker's program does not wait for.
///
/// Stopped processes are continued, so that they can hear the signal. `hurry` is
/// asked whenever a request has come; once it says yes the grace time is over.
pub fn end_descendants(
    mut worker: Option<&mut Worker>,
    signals: &mut Signals,
    first: i32,
    grace: Duration,
    hurry: &mut dyn FnMut() -> bool,
) -> io::Result<u64> {
    let me = Pid::this().as_raw();
    let targets = descendants(&[me]);
    let server = start::mcp_program().filter(|_| !targets.is_empty());
    let runs = |process: &&ProcessRef| fs::read_link(format!("/proc/{}/exe", process.pid)).ok();
    let servers = targets.iter().filter(|process| server.is_some() && runs(process) == server);
    let count = targets.len() - servers.count();
    for process in &targets {
        signal(*process, first)?;
        signal(*process, Signal::SIGCONT as i32)?;
    }
    let deadline = deadline_in(grace);
    reap(worker.as_mut_slice())?;
    while has_children() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
        let woken = signals.wait(deadline)?;
        reap(worker.as_mut_slice())?;
        if woken.request && hurry() {
            break;
        }
    }
    let mut pause = FIRST_PAUSE;
    while has_children() {
        for process in descendants(&[me]) {
            signal(process, Signal::SIGKILL as i32)?;
        }
        // Killed ones die at once; those that were born meanwhile come next, and
        // those that we may not kill have to be waited for.
        signals.wait(deadline_in(pause))?;
        reap(worker.as_mut_slice())?;
        pause = longer(pause);
    }
    Ok(count as u64)
}

/// Ends one child and all that is below it, while `other` may go on: `first`, and KILL
/// after `grace`, for whose effect nobody waits here.
pub fn end_one(
    child: &mut Worker,
    other: &mut Worker,
    signals: &mut Signals,
    first: i32,
    grace: Duration,
) -> io::Result<()> {
    let mut left = descendants(&[child.pid()]);
    left.push(child.process());
    for process in &left {
        signal(*process, first)?;
        signal(*process, Signal::SIGCONT as i32)?;
    }
    let deadline = deadline_in(grace);
    loop {
        reap(&mut [child, other])?;
        left.retain(|process| is_alive(*process));
        if left.is_empty() {
            return Ok(());
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return left.iter().try_for_each(|one| signal(*one, Signal::SIGKILL as i32).map(drop));
        }
        signals.wait(deadline_in(FIRST_PAUSE))?;
    }
}

/// Kills everything below this process and reaps it. Where there is nothing,
/// that costs one system call.
pub fn kill_below() -> io::Result<()> {
    let me = Pid::this().as_raw();
    while has_children() {
        for process in descendants(&[me]) {
            signal(process, Signal::SIGKILL as i32)?;
        }
        reap(&mut [])?;
        if has_children() {
            // Killed ones die at once; nothing tells us here when.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

/// The first pause between two looks at what does not die, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// Ends processes that are not below this one: `first` to all that `find` names,
/// KILL to what is left after `grace`. Returns how many were there.
pub fn end_strangers(
    find: impl Fn() -> Vec<ProcessRef>,
    first: i32,
    grace: Duration,
) -> io::Result<u64> {
    let targets = find();
    for process in &targets {
        signal(*process, first)?;
        signal(*process, Signal::SIGCONT as i32)?;
    }
    let deadline = deadline_in(grace);
    let left = || find().into_iter().filter(|process| is_alive(*process)).collect::<Vec<_>>();
    // They are nobody's children here, so there is nothing that would wake us.
    let mut pause = FIRST_PAUSE;
    while !left().is_empty() && deadline.is_none_or(|d| Instant::now() < d) {
        std::thread::sleep(pause.min(FIRST_PAUSE * 4));
        pause = longer(pause);
    }
    let mut pause = FIRST_PAUSE;
    let mut looked_again = false;
    loop {
        let left = left();
        // One look reads process after process, and may miss a child that is
        // born behind it while its parent dies ahead of it. Two do not.
        if left.is_empty() && looked_again {
            return Ok(targets.len() as u64);
        }
        looked_again = left.is_empty();
        if looked_again {
            continue;
        }
        for process in left {
            signal(process, Signal::SIGKILL as i32)?;
        }
        std::thread::sleep(pause);
        pause = longer(pause);
    }
}
