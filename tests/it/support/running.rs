//! A program that runs in a sandbox, and what it said.

use std::fmt;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

use super::{DEADLINE, processes};

/// A started program. Its output is read all the time, so that it never blocks.
pub(crate) struct Running {
    what: String,
    child: Child,
    pidfd: OwnedFd,
    stdout: Stream,
    stderr: Stream,
    grace: Duration,
}

impl Running {
    /// Starts `command`, with `input` on a pipe as its stdin if there is any.
    /// When it has ended its output has to be closed within `grace`.
    #[track_caller]
    pub(crate) fn start(mut command: Command, input: Option<Vec<u8>>, grace: Duration) -> Self {
        let what = describe(&command);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {what}: {error}"));
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("pidfd_open");
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            // A program may exit without having read its input.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let stdout = Stream::read(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Stream::read(child.stderr.take().expect("stderr is a pipe"));
        Self { what, child, pidfd, stdout, stderr, grace }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until stdout contains `text`.
    #[track_caller]
    pub(crate) fn wait_for_stdout(&self, text: &str) {
        let found = self.stdout.wait(DEADLINE, |said| said.contains(text));
        assert!(found, "stdout never said {text:?}\n{}", self.said());
    }

    /// Waits for the first line of stdout, and gives it.
    #[track_caller]
    pub(crate) fn first_line(&self) -> String {
        self.wait_for_stdout("\n");
        let said = String::from_utf8(self.stdout.bytes()).expect("UTF-8");
        said.lines().next().expect("a line").to_owned()
    }

    /// Waits until stderr contains `text`.
    #[track_caller]
    pub(crate) fn wait_for_stderr(&self, text: &str) {
        let found = self.stderr.wait(DEADLINE, |said| said.contains(text));
        assert!(found, "stderr never said {text:?}\n{}", self.said());
    }

    /// Waits for its end. Fails when something that it left running still
    /// holds its output: in a script `$(...)` would hang there.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Output {
        assert!(processes::exits(&self.pidfd, DEADLINE), "does not end\n{}", self.said());
        let status = self.child.wait().expect("a child can be waited for");
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            assert!(
                stream.closes(self.grace),
                "has exited, but something still holds its {name}\n{}",
                self.said()
            );
        }
        Output { what: self.what, status, stdout: self.stdout.bytes(), stderr: self.stderr.bytes() }
    }

    fn said(&self) -> String {
        let stdout = self.stdout.bytes();
        let stderr = self.stderr.bytes();
        format!(
            "command: {}\nstdout: {}\nstderr: {}",
            self.what,
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        )
    }
}

/// The command line, without the environment that every command here has.
fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| format!("'{}'", word.display())).collect::<Vec<_>>().join(" ")
}

/// What a program said, and how it ended.
pub(crate) struct Output {
    what: String,
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    /// The exit code; none when a signal ended it.
    pub(crate) fn status_code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The same, having exited with 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.code(0)
    }

    /// The same, having exited with this code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self}");
        self
    }

    /// The same, having been ended by this signal.
    #[track_caller]
    pub(crate) fn signal(self, signal: i32) -> Self {
        assert_eq!(self.status.signal(), Some(signal), "{self}");
        self
    }

    /// The bytes of stdout.
    pub(crate) fn stdout_bytes(&self) -> &[u8] {
        &self.stdout
    }

    /// stdout, which must be UTF-8.
    #[track_caller]
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap_or_else(|_| panic!("not UTF-8: {self}"))
    }

    /// stderr, which must be UTF-8.
    #[track_caller]
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.stderr.clone()).unwrap_or_else(|_| panic!("not UTF-8: {self}"))
    }

    /// stdout as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// stdout as one JSON value on each line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}\n{self}"))
        };
        self.stdout().lines().map(parse).collect()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.status, self.what)?;
        writeln!(f, "stdout: {}", String::from_utf8_lossy(&self.stdout))?;
        writeln!(f, "stderr: {}", String::from_utf8_lossy(&self.stderr))
    }
}

/// One output of a program, read by a thread of its own until it is closed.
struct Stream(Arc<(Mutex<Heard>, Condvar)>);

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    closed: bool,
}

impl Stream {
    fn read(mut source: impl Read + Send + 'static) -> Self {
        let shared: Arc<(Mutex<Heard>, Condvar)> = Arc::default();
        let heard = Arc::clone(&shared);
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let count = source.read(&mut buffer).unwrap_or(0);
                let mut state = heard.0.lock().unwrap();
                state.bytes.extend_from_slice(&buffer[..count]);
                state.closed = count == 0;
                heard.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Self(shared)
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap().bytes.clone()
    }

    fn wait(&self, limit: Duration, enough: impl Fn(&str) -> bool) -> bool {
        let state = self.0.0.lock().unwrap();
        let more =
            |heard: &mut Heard| !heard.closed && !enough(&String::from_utf8_lossy(&heard.bytes));
        let (state, _) = self.0.1.wait_timeout_while(state, limit, more).unwrap();
        enough(&String::from_utf8_lossy(&state.bytes))
    }

    fn closes(&self, limit: Duration) -> bool {
        let state = self.0.0.lock().unwrap();
        let (state, _) = self.0.1.wait_timeout_while(state, limit, |heard| !heard.closed).unwrap();
        state.closed
    }
}
