//! Checkpoints of a running writer, so often.
//!
//! The supervisor makes them itself, between two looks at its worker: nothing else
//! reaps its children, and no process is left that has to be ended. A worker is not
//! stopped for it. But whoever wants the job ended, a person or a limit, waits until the
//! one under way is made: as long as `git status` and `git add -A` take there. One that
//! cannot be made is a note, once, and is tried again.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{Supervisor, SupervisorError};
use crate::{
    git::{CommitMessage, checkpoint, grant},
    process::crash,
};

/// When the next one is due.
#[derive(Debug)]
pub(super) struct Checkpoints {
    every: Duration,
    /// None for a time that no clock can say.
    pub(super) next: Option<Instant>,
    complained: bool,
}

impl Checkpoints {
    pub(super) fn every(every: Duration) -> Self {
        Self { every, next: Instant::now().checked_add(every), complained: false }
    }
}

impl Supervisor {
    /// Makes one, if one is due.
    pub(super) fn checkpoint(&mut self) -> Result<(), SupervisorError> {
        let due = self.checkpoints.as_ref().and_then(|points| points.next);
        if due.is_none_or(|due| Instant::now() < due) {
            return Ok(());
        }
        let taken = self.take_checkpoint();
        if taken == Ok(true) {
            crash::point("checkpoint");
        }
        let Some(points) = &mut self.checkpoints else { return Ok(()) };
        // From now: where it takes long, it must not be all that is done.
        points.next = Instant::now().checked_add(points.every);
        if let Err(problem) = taken
            && !std::mem::replace(&mut points.complained, true)
        {
            self.note(format!("no checkpoint could be made: {problem}"))?;
        }
        Ok(())
    }

    /// Whether there was anything new to keep.
    fn take_checkpoint(&self) -> Result<bool, String> {
        let Some(tree) = &self.spec.tree else { return Ok(false) };
        let message = CommitMessage {
            subject: format!("Checkpoint of {}", self.spec.name),
            body: self.spec.title.clone(),
            trailers: vec![("Cx-Job".to_owned(), format!("{} {}", self.id.0, self.spec.name))],
        };
        let place = self.place()?;
        let stand_in = self.files.stand_in();
        grant::seen(&place, Path::new(&tree.path), Some(&stand_in))
            .and_then(|there| checkpoint::take(&place, &there, self.spec.name.as_str(), &message))
            .map(|taken| taken.is_some())
            .map_err(|error| error.to_string())
    }
}
