//! Process trees: who descends from whom, and ending all of it.
//!
//! A supervisor is a child subreaper: whatever its worker leaves behind, in
//! whichever session, becomes its child. So "nothing of this job runs any more"
//! is one system call that says it has no children.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    },
    unistd::Pid,
};

use super::{lock::deadline_in, signals::Signals, start::Worker};
use crate::job::ProcessRef;

/// Makes this process the one that orphans below it are given to.
pub fn become_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// This process.
pub fn myself() -> io::Result<ProcessRef> {
    let pid = Pid::this().as_raw();
    reference(pid).ok_or_else(|| io::Error::other("cannot read /proc/self/stat"))
}

/// A process by its number, as it is now; `None` when there is none.
pub fn reference(pid: i32) -> Option<ProcessRef> {
    let stat = Stat::read(pid)?;
    Some(ProcessRef { pid, start: stat.start })
}

/// Whether this very process is there and is no zombie.
pub fn is_alive(process: ProcessRef) -> bool {
    Stat::read(process.pid).is_some_and(|stat| stat.start == process.start && stat.state != b'Z')
}

/// Sends a signal to this very process. `false` when it is gone.
pub fn signal(process: ProcessRef, signal: i32) -> io::Result<bool> {
    if !is_alive(process) {
        return Ok(false);
    }
    send(process.pid, signal)
}

fn send(pid: i32, signal: i32) -> io::Result<bool> {
    let signal = Signal::try_from(signal).map_err(io::Error::from)?;
    // 0 and negative numbers mean groups: never.
    if pid <= 1 {
        return Ok(false);
    }
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Sends a signal to every process below `top`, and not to itself. `false` when
/// there is none.
pub fn signal_all_below(top: ProcessRef, number: i32) -> io::Result<bool> {
    let mut sent = false;
    for process in descendants(&[top.pid]) {
        sent |= signal(process, number)?;
    }
    Ok(sent)
}

struct Stat {
    state: u8,
    parent: i32,
    start: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The command may contain anything; its closing parenthesis is the last.
        let end = text.iter().rposition(|b| *b == b')')?;
        let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        // Fields 5 to 21 lie between; `start` is field 22.
        let start = fields.nth(17)?.parse().ok()?;
        Some(Self { state, parent, start })
    }
}

fn all_pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Every living descendant of the processes in `roots`, without them.
pub fn descendants(roots: &[i32]) -> Vec<ProcessRef> {
    let mut children: HashMap<i32, Vec<ProcessRef>> = HashMap::new();
    for pid in all_pids() {
        if let Some(stat) = Stat::read(pid) {
            children.entry(stat.parent).or_default().push(ProcessRef { pid, start: stat.start });
        }
    }
    let mut found = Vec::new();
    let mut seen: HashSet<i32> = roots.iter().copied().collect();
    let mut queue = roots.to_vec();
    while let Some(parent) = queue.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if seen.insert(child.pid) {
                found.push(*child);
                queue.push(child.pid);
            }
        }
    }
    found
}

/// Every process that carries `CX_JOB_ID=id` in its environment.
pub fn marked(id: &str) -> Vec<ProcessRef> {
    let mark = format!("CX_JOB_ID={id}");
    let carries = |pid: &i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|env| env.split(|b| *b == 0).any(|var| var == mark.as_bytes()))
    };
    let me = Pid::this().as_raw();
    all_pids().into_iter().filter(|pid| *pid != me).filter(carries).filter_map(reference).collect()
}

/// Whether this process has children, dead ones not yet reaped included.
pub fn has_children() -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags) != Err(Errno::ECHILD)
}

/// Reaps every dead child. The worker is reaped through `worker`, which then
/// knows how it ended.
pub fn reap(mut worker: Option<&mut Worker>) -> io::Result<()> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::All, flags) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => {
                match worker.as_deref_mut() {
                    Some(worker) if worker.pid() == pid.as_raw() => worker.reap()?,
                    _ => drop(waitpid(pid, Some(WaitPidFlag::WNOHANG))),
                }
            }
            Err(Errno::EINTR) => {}
            _ => return Ok(()),
        }
    }
}

/// Ends everything below this process: `first` to all, then KILL to what is
/// left after `grace`, until there is nothing. Returns how many were there.
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
    for process in &targets {
        signal(*process, first)?;
        signal(*process, Signal::SIGCONT as i32)?;
    }
    let deadline = deadline_in(grace);
    reap(worker.as_deref_mut())?;
    while has_children() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
        let woken = signals.wait(deadline)?;
        reap(worker.as_deref_mut())?;
        if woken.request && hurry() {
            break;
        }
    }
    while has_children() {
        for process in descendants(&[me]) {
            signal(process, Signal::SIGKILL as i32)?;
        }
        // Killed ones die at once; those that were born meanwhile come next.
        signals.wait(deadline_in(Duration::from_millis(20)))?;
        reap(worker.as_deref_mut())?;
    }
    Ok(targets.len() as u64)
}

/// Ends processes that are not below this one: TERM to all that `find` names,
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
    // They are nobody's children here, so there is nothing that would wake us.
    let pause = Duration::from_millis(10);
    while find().into_iter().any(is_alive) && deadline.is_none_or(|d| Instant::now() < d) {
        std::thread::sleep(pause);
    }
    loop {
        let left: Vec<_> = find().into_iter().filter(|process| is_alive(*process)).collect();
        if left.is_empty() {
            return Ok(targets.len() as u64);
        }
        for process in left {
            signal(process, Signal::SIGKILL as i32)?;
        }
        std::thread::sleep(pause);
    }
}
