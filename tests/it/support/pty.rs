//! A program on a real terminal, and what a person would see there.

use std::ffi::OsStr;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{DEADLINE, GRACE, Sandbox, processes};

const ROWS: NonZero<u16> = NonZero::new(24).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(100).unwrap();

/// A terminal of 24 rows and 100 columns with one program in it, in a session
/// of its own. When it is dropped the terminal hangs up, as a closed window does.
pub(crate) struct Terminal {
    child: Child,
    pidfd: OwnedFd,
    keyboard: Arc<Pty>,
    screen: Arc<(Mutex<Screen>, Condvar)>,
    // What shows the output, and the pipe that ends it by being closed.
    display: Option<(PipeWriter, JoinHandle<()>)>,
}

struct Screen {
    parser: vt100::Parser,
    /// All that was ever written, also what no screen shows.
    written: Vec<u8>,
    closed: bool,
}

impl Terminal {
    /// Starts `program`, looked up on the sandbox's PATH, in its repository.
    pub(crate) fn start(
        sandbox: &Sandbox,
        program: &str,
        args: impl IntoIterator<Item: AsRef<OsStr>>,
    ) -> Self {
        let (pty, pts) = open().expect("a pseudo-terminal can be opened");
        pty.resize(Size::new(ROWS.get(), COLUMNS.get())).expect("a terminal has a size");
        let child = Command::new(sandbox.root().join("bin").join(program))
            .args(args)
            .env_clear()
            .envs(sandbox.environment())
            .env("TERM", "xterm-256color")
            .current_dir(sandbox.repo())
            .spawn(pts)
            .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("pidfd_open");
        let keyboard = Arc::new(pty);
        let parser = vt100::Parser::new(ROWS, COLUMNS, 1000);
        let screen = Arc::new((
            Mutex::new(Screen { parser, written: Vec::new(), closed: false }),
            Condvar::new(),
        ));
        let terminal = (Arc::clone(&keyboard), Arc::clone(&screen));
        let (stop, stopper) = std::io::pipe().expect("a pipe can be made");
        let display = thread::spawn(move || show(&terminal.0, &terminal.1, &stop));
        Self { child, pidfd, keyboard, screen, display: Some((stopper, display)) }
    }

    /// What the screen shows now, without empty lines at the end.
    pub(crate) fn screen(&self) -> String {
        self.screen.0.lock().unwrap().parser.screen().contents().trim_end().to_owned()
    }

    /// Waits until the screen shows `text`, and gives all that it shows then.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let hidden = |screen: &mut Screen| {
            !screen.closed && !screen.parser.screen().contents().contains(text)
        };
        let screen = self.screen.0.lock().unwrap();
        let (screen, _) = self.screen.1.wait_timeout_while(screen, DEADLINE, hidden).unwrap();
        let shown = screen.parser.screen().contents();
        drop(screen);
        assert!(shown.contains(text), "the screen never showed {text:?}, it shows:\n{shown}");
        shown.trim_end().to_owned()
    }

    /// Waits until `text` was written to the terminal, whether it shows or not.
    #[track_caller]
    pub(crate) fn wait_for_written(&self, text: &str) {
        let has = |screen: &Screen| {
            screen.written.windows(text.len()).any(|part| part == text.as_bytes())
        };
        let screen = self.screen.0.lock().unwrap();
        let more = |screen: &mut Screen| !screen.closed && !has(screen);
        let (screen, _) = self.screen.1.wait_timeout_while(screen, DEADLINE, more).unwrap();
        let written = String::from_utf8_lossy(&screen.written).into_owned();
        assert!(has(&screen), "{text:?} was never written, but:\n{written:?}");
    }

    /// All that was written to the terminal so far.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&self.screen.0.lock().unwrap().written).into_owned()
    }

    /// Types `keys` as they are: `\r` is Enter, `\t` Tab, `\x03` Ctrl-C.
    pub(crate) fn send(&self, keys: &str) {
        (&*self.keyboard).write_all(keys.as_bytes()).expect("a terminal can be typed at");
    }

    /// Waits for the program's end and gives its exit code, if it had one, and
    /// what the screen shows at last.
    #[track_caller]
    pub(crate) fn finish(mut self) -> (Option<i32>, String) {
        assert!(processes::exits(&self.pidfd, DEADLINE), "does not end:\n{}", self.screen());
        let status = self.child.wait().expect("a child can be waited for");
        let screen = self.screen.0.lock().unwrap();
        // Something else may keep the terminal open: do not wait for ever.
        drop(self.screen.1.wait_timeout_while(screen, GRACE, |screen| !screen.closed));
        (status.code(), self.screen())
    }
}

impl Terminal {
    /// Closes the window: the kernel sends SIGHUP to the session in it.
    pub(crate) fn hang_up(self) {
        drop(self);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The terminal is closed with its last descriptor, so the display goes first.
        if let Some((stopper, display)) = self.display.take() {
            drop(stopper);
            drop(display.join());
        }
    }
}

/// Shows all that is written to the terminal until nobody has it open, or
/// until `stop` is closed.
fn show(pty: &Pty, screen: &(Mutex<Screen>, Condvar), stop: &PipeReader) {
    let mut buffer = [0; 8192];
    loop {
        let mut ready = [PollFd::new(pty, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        if poll(&mut ready, None).is_ok() && !ready[1].revents().is_empty() {
            return;
        }
        // EIO is how a terminal says that its last user has gone.
        let count = (&*pty).read(&mut buffer).unwrap_or(0);
        let mut state = screen.0.lock().unwrap();
        state.parser.process(&buffer[..count]);
        state.written.extend_from_slice(&buffer[..count]);
        state.closed = count == 0;
        screen.1.notify_all();
        if count == 0 {
            return;
        }
    }
}
