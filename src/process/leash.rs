//! A command on a leash: it, and all that it starts, ends when cx does.
//!
//! A foreground verb that runs somebody's command (`cx merge --verify`) must not
//! leave anything of it behind, whatever happens to the verb. So there is a
//! helper between them (`cx __leash`), in a session of its own:
//!
//! ```text
//! cx merge  --stdin (a pipe)-->  cx __leash  -->  the command, in its own group
//!           <--stdout: how it ended--
//! ```
//!
//! The helper is a child subreaper, so whatever the command leaves behind
//! becomes its child; it ends all of it when the command has exited, when the
//! time limit has passed, and when its stdin is closed, which the kernel does
//! also after a `kill -9` of cx. When the helper itself is killed, what was below
//! it falls to cx, which is a subreaper meanwhile and kills it. Only when both
//! are killed at once does something go on; it carries a mark in its
//! environment by which [`super::tree::marked_with`] finds it later.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
    unistd::Pid,
};

use signal_hook::SigId;

use super::{
    ending,
    lock::deadline_in,
    signals::{self, Signals},
    start::own_binary,
    worker::{Input, WorkerCommand},
};
use crate::job::WorkerExit;

/// The hidden verb of the helper.
pub const LEASH: &str = "__leash";

/// A command to be run to its end.
#[derive(Clone, Debug)]
pub struct Leashed {
    /// The program, absolute.
    pub program: PathBuf,
    /// Without the program itself.
    pub args: Vec<OsString>,
    /// Where it runs.
    pub dir: PathBuf,
    /// Added to our environment.
    pub env: Vec<(OsString, OsString)>,
    /// Taken out of it.
    pub env_remove: Vec<OsString>,
    /// Its stdout and stderr go here, appended. Its stdin is empty.
    pub log: PathBuf,
    /// How long it may take.
    pub limit: Option<Duration>,
    /// From TERM to KILL.
    pub grace: Duration,
}

/// How it ended. Nothing of it runs any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(WorkerExit),
    /// It was ended, because its time was over.
    TimedOut,
    /// It was ended, because this process was told to end, by this signal.
    Interrupted(i32),
}

/// INT, TERM and HUP, heard in place of being ended by them.
#[derive(Debug)]
pub struct Interrupts {
    stream: std::os::unix::net::UnixStream,
    last: Arc<AtomicUsize>,
    handled: Vec<SigId>,
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        // Each holds the other end of the stream.
        for id in self.handled.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}

impl Interrupts {
    /// Hears them from now on, as long as this lives. They do not end the process after
    /// that either.
    pub fn install() -> io::Result<Self> {
        let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let last = Arc::new(AtomicUsize::new(0));
        let mut handled = Vec::new();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            let number = signal as i32;
            let value = usize::try_from(number).unwrap_or_default();
            handled.push(signal_hook::flag::register_usize(number, Arc::clone(&last), value)?);
            handled.push(signal_hook::low_level::pipe::register(number, writer.try_clone()?)?);
        }
        Ok(Self { stream: reader, last, handled })
    }

    /// The last signal that has come, if one has.
    pub fn seen(&self) -> Option<i32> {
        i32::try_from(self.last.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
    }
}

impl Leashed {
    /// Runs it. Fails when it, or the helper, cannot be started; nothing runs then.
    pub fn run(&self, interrupts: &Interrupts) -> io::Result<Ended> {
        ending::become_subreaper()?;
        let mut command = self.helper();
        let mask = signals::block_all()?;
        let started = command.spawn();
        signals::restore(mask)?;
        let mut helper = started?;
        let (mut leash, stdout) = (helper.stdin.take(), helper.stdout.take());
        let mut stdout = stdout.ok_or_else(|| io::Error::other("the helper has no stdout"))?;
        loop {
            let mut fds = [
                PollFd::new(stdout.as_fd(), PollFlags::POLLIN),
                PollFd::new(interrupts.stream.as_fd(), PollFlags::POLLIN),
            ];
            // Once it was told to end, only its end is waited for.
            let watched = if leash.is_some() { 2 } else { 1 };
            match poll(&mut fds[..watched], PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let said = fds[0].any().unwrap_or(false);
            if interrupts.seen().is_some() {
                drop(leash.take());
            }
            if said {
                break;
            }
        }
        let mut answer = String::new();
        stdout.read_to_string(&mut answer)?;
        helper.wait()?;
        // Nothing, unless the helper was killed.
        ending::kill_below()?;
        if let Some(signal) = interrupts.seen() {
            return Ok(Ended::Interrupted(signal));
        }
        let (word, rest) = answer.trim_end().split_once(' ').unwrap_or((answer.trim_end(), ""));
        match (word, rest.parse()) {
            ("code", Ok(code)) => Ok(Ended::Exited(WorkerExit::Code(code))),
            ("signal", Ok(signal)) => Ok(Ended::Exited(WorkerExit::Signal(signal))),
            ("late", _) => Ok(Ended::TimedOut),
            ("error", _) => Err(io::Error::other(rest.to_owned())),
            _ => Err(io::Error::other("the process that watched it was killed")),
        }
    }

    fn helper(&self) -> Command {
        let mut command = Command::new(own_binary());
        command.arg0("cx").arg(LEASH);
        command.arg("--dir").arg(&self.dir).arg("--log").arg(&self.log);
        command.arg("--grace").arg(self.grace.as_millis().to_string());
        if let Some(limit) = self.limit {
            command.arg("--limit").arg(limit.as_millis().to_string());
        }
        command.arg("--").arg(&self.program).args(&self.args);
        for name in &self.env_remove {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}

/// The helper: `__leash --dir D --log F --grace MS [--limit MS] -- PROGRAM ARG...`
pub fn main(args: &[OsString]) -> ExitCode {
    let answer = match parse(args)
        .ok_or_else(|| io::Error::other("bad arguments"))
        .and_then(|told| hold(&told))
    {
        Ok(answer) => answer,
        Err(error) => format!("error {error}"),
    };
    // Where nobody listens any more there is nobody to tell.
    let _ = writeln!(io::stdout(), "{answer}");
    ExitCode::SUCCESS
}

struct Told {
    command: WorkerCommand,
    grace: Duration,
    limit: Option<Duration>,
}

fn parse(args: &[OsString]) -> Option<Told> {
    let (mut dir, mut log, mut grace, mut limit) = (None, None, None, None);
    let millis = |word: &OsStr| word.to_str()?.parse().ok().map(Duration::from_millis);
    let mut rest = args;
    loop {
        match rest {
            [dashes, program, args @ ..] if dashes == "--" => {
                let log: PathBuf = log?;
                let command = WorkerCommand {
                    program: program.into(),
                    args: args.to_vec(),
                    dir: dir?,
                    env: Vec::new(),
                    env_remove: Vec::new(),
                    stdin: Input::Null,
                    stdout: log.clone(),
                    stderr: log,
                    confine: None,
                };
                return Some(Told { command, grace: grace?, limit });
            }
            [key, value, after @ ..] => {
                match key.to_str()? {
                    "--dir" => dir = Some(value.into()),
                    "--log" => log = Some(value.into()),
                    "--grace" => grace = Some(millis(value)?),
                    "--limit" => limit = Some(millis(value)?),
                    _ => return None,
                }
                rest = after;
            }
            _ => return None,
        }
    }
}

/// Runs the command and says how it ended, once nothing of it runs any more.
fn hold(told: &Told) -> io::Result<String> {
    nix::unistd::setsid()?;
    ending::become_subreaper()?;
    let mut signals = Signals::install()?;
    wake_at_end_of(io::stdin())?;
    let mut worker = told.command.start()?;
    let deadline = told.limit.and_then(deadline_in);
    let term = Signal::SIGTERM as i32;
    let late = loop {
        ending::reap(&mut [&mut worker])?;
        if worker.exit().is_some() {
            break false;
        }
        if deadline.is_some_and(|deadline| std::time::Instant::now() >= deadline) {
            break true;
        }
        if signals.wait(deadline)?.terminate {
            break false;
        }
    };
    ending::end_descendants(Some(&mut worker), &mut signals, term, told.grace, &mut || false)?;
    Ok(match worker.exit() {
        _ if late => "late".to_owned(),
        Some(WorkerExit::Code(code)) => format!("code {code}"),
        Some(WorkerExit::Signal(signal)) => format!("signal {signal}"),
        None => "error how it ended is not known".to_owned(),
    })
}

/// Has this process sent TERM once `stream` ends.
fn wake_at_end_of(mut stream: impl Read + Send + 'static) -> io::Result<()> {
    let me = Pid::this();
    thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        let mut byte = [0];
        loop {
            match stream.read(&mut byte) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(1) => {}
                _ => break,
            }
        }
        let _ = nix::sys::signal::kill(me, Signal::SIGTERM);
    })?;
    Ok(())
}
