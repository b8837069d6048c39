//! Errands: commands that somebody wants run once something is over. They are
//! started together, each in a process group of its own, and have so much time.
//!
//! They are no part of a job: what one leaves in the background, such as another
//! job's supervisor, is let go. One that takes too long is ended with what is
//! below it by then. A crash of whoever attends them leaves them to themselves.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{ending, lock::deadline_in, signals::Signals, tree, worker::Worker};
use crate::job::WorkerExit;

/// How an errand ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// By itself.
    Exited(WorkerExit),
    /// It was ended, because its time was over.
    Late,
}

/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(2);

/// Lets orphans below this process go to init again: they are not ours to end.
pub fn let_orphans_go() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(false)?)
}

/// Waits until all of `errands` have ended, `limit` from now at most. In their order.
pub fn attend(
    mut errands: Vec<Worker>,
    limit: Duration,
    signals: &mut Signals,
) -> io::Result<Vec<Done>> {
    let deadline = deadline_in(limit);
    loop {
        errands.iter_mut().try_for_each(Worker::reap)?;
        let all_over = errands.iter().all(|errand| errand.exit().is_some());
        if all_over || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            break;
        }
        signals.wait(deadline)?;
    }
    let done = |errand: &Worker| match errand.exit() {
        Some(exit) => Ok(Done::Exited(exit)),
        None => end(errand),
    };
    errands.iter().map(done).collect()
}

/// Ends one, and what is below it.
fn end(errand: &Worker) -> io::Result<Done> {
    let first = errand.process();
    let find = || {
        let mut found = tree::descendants(&[first.pid]);
        found.extend(tree::is_alive(first).then_some(first));
        found
    };
    ending::end_strangers(find, super::signals::TERM, GRACE)?;
    Ok(Done::Late)
}
