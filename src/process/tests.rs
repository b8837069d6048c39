//! Tests of locks, trees and signals, on real processes that stop at a pipe.

mod locks;
mod trees;

use std::{
    io::Write,
    process::{Child, Command, Stdio},
};

use super::*;

/// A child that lives until its stdin is closed. Ended when dropped.
struct Held(Child);

impl Held {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).spawn().expect("it starts"))
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }

    /// Lets it end, and reaps it.
    fn finish(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("it ends");
    }

    fn say(&mut self, line: &[u8]) {
        self.0.stdin.as_mut().expect("a pipe").write_all(line).expect("it is read");
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn signals_have_names_and_numbers() {
    for word in ["TERM", "SIGTERM", "term", "sigterm", "15"] {
        assert_eq!(signals::number(word), Some(15), "{word}");
    }
    for word in ["", "SIG", "NOPE", "0", "-9", "65", "15 ", "TERM\n"] {
        assert_eq!(signals::number(word), None, "{word:?}");
    }
    assert_eq!((signals::name(9), signals::name(15)), ("KILL".to_owned(), "TERM".to_owned()));
    assert_eq!(signals::name(4711), "4711");
}

#[test]
fn signals_that_end_are_told_from_those_that_do_not() {
    for word in ["TERM", "KILL", "INT", "HUP", "QUIT", "PIPE", "ALRM"] {
        assert!(signals::ends(signals::number(word).expect("a signal")), "{word}");
    }
    for word in ["STOP", "CONT", "TSTP", "USR1", "USR2", "WINCH", "CHLD"] {
        assert!(!signals::ends(signals::number(word).expect("a signal")), "{word}");
    }
}

#[test]
fn a_mask_is_put_back() {
    let blocked = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("/proc");
        status.lines().find_map(|line| line.strip_prefix("SigBlk:\t").map(str::to_owned))
    };
    let before = blocked();
    let mask = signals::block_all().expect("it blocks");
    assert_ne!(blocked(), before);
    signals::restore(mask).expect("it restores");
    assert_eq!(blocked(), before);
}
