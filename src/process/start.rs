//! Starting this binary again: supervisors, detached runners, helpers.
//!
//! # The hand-over
//! `cx spawn` starts the same binary again with the job's locked lock file as
//! its stdin. All signals are blocked across the start, so that neither the
//! terminal's Ctrl-C nor its hang-up can end a supervisor that has not left the
//! terminal's session yet; the supervisor calls `setsid` first of all and then
//! installs its handlers. `cx run --detach` hands a run's lock over in the same way.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::signals;

/// The hidden verb of the supervisor.
pub const SUPERVISE: &str = "__supervise";

/// The hidden verb that finds a new supervisor for a lost job.
pub const RECOVER: &str = "__recover";

/// The hidden verb that makes a checkpoint for a supervisor.
pub const CHECKPOINT: &str = "__checkpoint";

/// The hidden verb that works through a run that was detached.
pub const RUN: &str = "__run";

/// The hidden verb that deletes and cleans in the background.
pub const TIDY: &str = "__tidy";

/// The binary that `cx mcp` becomes.
pub const MCP_PROGRAM: &str = "cx-mcp";

/// This binary, also when it was replaced meanwhile.
pub fn own_binary() -> PathBuf {
    match env::current_exe() {
        Ok(path) if path.exists() => path,
        _ => PathBuf::from("/proc/self/exe"),
    }
}

/// The program that speaks the Model Context Protocol, beside this binary; none where it
/// is not there.
pub fn mcp_program() -> Option<PathBuf> {
    let program = own_binary().with_file_name(MCP_PROGRAM);
    program.is_file().then_some(program)
}

/// This binary, for whoever starts it as `cx mcp`; none where that would fail.
pub fn mcp_server() -> Option<PathBuf> {
    mcp_program().map(|_| own_binary())
}

/// Becomes `program`, with our streams and where we stand. Returns only why not.
pub fn become_program(program: &Path, args: &[&OsStr]) -> io::Error {
    Command::new(program).args(args).exec()
}

/// Starts a supervisor with `args` behind the hidden verb and hands it `lock`.
///
/// It carries its job's mark (`id` as `CX_JOB_ID`), and so does whatever it
/// starts itself: a `git` that outlives a killed supervisor must be found.
pub fn supervisor(args: &[&OsStr], id: &str, lock: File) -> io::Result<()> {
    let mut command = Command::new(own_binary());
    command.arg0("cx").arg(SUPERVISE).args(args).env("CX_JOB_ID", id);
    command.stdin(Stdio::from(lock)).stdout(Stdio::null()).stderr(Stdio::null());
    detach(&mut command)
}

/// Starts a process that works through a run, with `args` behind the hidden verb,
/// and hands it the run's `lock`. What it says goes to `log`.
pub fn runner(args: &[&OsStr], lock: File, log: File) -> io::Result<()> {
    let mut command = Command::new(own_binary());
    command.arg0("cx").arg(RUN).args(args).stdin(Stdio::from(lock));
    command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
    detach(&mut command)
}

/// Starts the process that deletes and cleans what is given up, for the state folder
/// `state`, and hands it the `lock` that there is only one of them by.
pub fn tidier(state: &OsStr, lock: File) -> io::Result<()> {
    let mut command = Command::new(own_binary());
    command.arg0("cx").arg(TIDY).arg(state).stdin(Stdio::from(lock));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    detach(&mut command)
}

/// What that process does first: it leaves the terminal, as a supervisor does, hears
/// signals again, and steps behind everybody else who wants a processor. The disk goes
/// by the same number where its scheduler goes by any.
pub fn enter_tidier() -> io::Result<OwnedFd> {
    let lock = enter_supervisor()?;
    signals::unblock_all()?;
    let _ = rustix::process::nice(19);
    // Among sessions, that is what counts where there is such a file.
    let _ = fs::write("/proc/self/autogroup", "19");
    Ok(lock)
}

fn detach(command: &mut Command) -> io::Result<()> {
    let mask = signals::block_all()?;
    let started = command.spawn();
    signals::restore(mask)?;
    // Not waited for: it outlives us, and init reaps it.
    started.map(drop)
}

/// Runs this binary with a hidden verb to its end. Whether that went well.
pub fn helper(verb: &str, args: &[&OsStr]) -> io::Result<bool> {
    let mut command = Command::new(own_binary());
    command.arg0("cx").arg(verb).args(args).stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command.status()?.success())
}

/// Runs this binary with these arguments to its end, where we stand and with our
/// streams; `capture` takes its stdout. Whether it ended well.
pub fn own(args: &[String], capture: bool) -> io::Result<(bool, Option<Vec<u8>>)> {
    let mut command = Command::new(own_binary());
    command.arg0("cx").args(args).stdin(Stdio::null());
    if !capture {
        return Ok((command.status()?.success(), None));
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    Ok((output.status.success(), Some(output.stdout)))
}

/// Runs this binary with these arguments to its end, where we stand, with `input` on its
/// stdin; gives what it put out.
pub fn own_told(args: &[String], input: &[u8]) -> io::Result<Output> {
    let mut command = Command::new(own_binary());
    command.arg0("cx").args(args).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // It reads to the end before it puts out more than a pipe holds; where it has
        // ended without that, its output says why.
        let _ = stdin.write_all(input);
    }
    child.wait_with_output()
}

/// What a supervisor does first: leaves the terminal's session, takes the lock
/// out of stdin, stands in no folder that somebody may want to remove, and
/// holds nothing open that its spawner had open: whoever reads from a pipe that
/// a script keeps as descriptor 3 must not have to wait for our end.
///
/// To be called before anything else is opened.
pub fn enter_supervisor() -> io::Result<OwnedFd> {
    nix::unistd::setsid()?;
    close_inherited()?;
    let lock = io::stdin().as_fd().try_clone_to_owned()?;
    let null = File::open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    env::set_current_dir("/")?;
    Ok(lock)
}

/// Closes every descriptor but the three standard ones.
fn close_inherited() -> io::Result<()> {
    let open = fs::read_dir("/proc/self/fd")?;
    let open: Vec<RawFd> =
        open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The listing itself is among them, and closed already.
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        let _ = nix::unistd::close(fd);
    }
    Ok(())
}
