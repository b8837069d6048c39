//! Process trees: who lives, who descends from whom, and signals to them.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::job::ProcessRef;

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

/// Whether this very process has been stopped by a signal and can go on.
pub fn is_stopped(process: ProcessRef) -> bool {
    Stat::read(process.pid).is_some_and(|stat| stat.start == process.start && stat.state == b'T')
}

/// Sends a signal to this very process. `false` when it is gone, or when it has
/// made itself somebody else's (`sudo`) and we may not.
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
        Err(Errno::ESRCH | Errno::EPERM) => Ok(false),
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

#[derive(Debug, PartialEq)]
pub(super) struct Stat {
    pub(super) state: u8,
    pub(super) parent: i32,
    pub(super) start: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        // One read gives all of it, if there is room.
        let mut text = [0; 2048];
        let len = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut text).ok()?;
        Self::parse(text.get(..len)?)
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
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

/// The nearest process above this one whose environment has a variable of this name, and
/// its value: a program may keep from what it starts what it was started with itself.
pub fn inherited(name: &str) -> Option<(ProcessRef, String)> {
    let mark = format!("{name}=");
    let mut pid = Pid::this().as_raw();
    // A chain that changes while it is walked ends here as well.
    for _ in 0..64 {
        pid = Stat::read(pid)?.parent;
        if pid <= 1 {
            return None;
        }
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let value =
            environment.split(|b| *b == 0).find_map(|var| var.strip_prefix(mark.as_bytes()));
        if let (Some(value), Some(process)) = (value, reference(pid)) {
            return Some((process, String::from_utf8_lossy(value).into_owned()));
        }
    }
    None
}

/// Every process that carries `CX_JOB_ID=id` in its environment.
pub fn marked(id: &str) -> Vec<ProcessRef> {
    marked_with(format!("CX_JOB_ID={id}").as_bytes())
}

/// Every process but this one that carries exactly this `NAME=value` in its
/// environment.
pub fn marked_with(mark: &[u8]) -> Vec<ProcessRef> {
    let carries = |pid: &i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|env| env.split(|b| *b == 0).any(|var| var == mark))
    };
    let me = Pid::this().as_raw();
    all_pids().into_iter().filter(|pid| *pid != me).filter(carries).filter_map(reference).collect()
}

/// Every process that has one of these files open for writing: what a worker
/// started with an environment of its own still holds its outputs. Who only
/// reads them (`tail -f`) is somebody else.
pub fn writing_to(files: &[&Path]) -> Vec<ProcessRef> {
    let writes = |pid: &i32| {
        let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        open.flatten().any(|fd| {
            let is_one = fs::read_link(fd.path()).is_ok_and(|path| files.contains(&path.as_path()));
            is_one && is_open_for_writing(*pid, &fd.file_name().to_string_lossy())
        })
    };
    let me = Pid::this().as_raw();
    all_pids().into_iter().filter(|pid| *pid != me).filter(writes).filter_map(reference).collect()
}

fn is_open_for_writing(pid: i32, fd: &str) -> bool {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|octal| i32::from_str_radix(octal.trim(), 8).ok());
    flags.is_some_and(|flags| flags & nix::libc::O_ACCMODE != nix::libc::O_RDONLY)
}
