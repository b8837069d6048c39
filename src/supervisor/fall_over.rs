//! Another backend where one was refused by its service.
//!
//! A try that ends with a limit of rate or quota is followed by the next backend of
//! the job, in the same tree: what the try before left there stays, and the worker
//! is told its task as it stands. Its outputs are put aside; the event is what makes
//! the next one the job's backend. A crash between the two leaves the outputs of the
//! try before to be read as those of the next one, in a job that is lost anyway.

use std::{fs, io, path::Path};

use super::{Supervisor, SupervisorError, finish::Ended};
use crate::{
    backend::Backend,
    job::Outcome,
    ledger::{Event, FellOver},
    process::crash,
};

impl Supervisor {
    /// Makes the next backend the job's, if this try calls for it and there is one.
    pub(super) fn falls_over(&mut self, ended: &Ended) -> Result<bool, SupervisorError> {
        let Some(next) = self.spec.fallbacks.first().map(|fallback| fallback.backend) else {
            return Ok(false);
        };
        if ended.was_stopped() {
            return Ok(false);
        }
        let verdict = self.finisher().judge(ended)?;
        self.read_requests()?;
        if verdict.outcome != Outcome::RateLimited || self.kill.is_some() {
            return Ok(false);
        }
        let backend = Backend::of_job(next, &self.files.backend())?;
        let reason = match verdict.reason {
            Some(reason) => format!("was refused for a limit: {reason}"),
            None => "was refused for a limit".to_owned(),
        };
        self.usage.read_to_end(&self.files.stdout())?;
        let price = self.spec.price.as_ref();
        let said = verdict.usage.map(|usage| usage.priced(price));
        let usage = self.usage.whole(said.or_else(|| self.usage.said(price)));
        let fell = FellOver {
            from: self.backend.name,
            to: next,
            reason,
            usage,
            ran_ms: millis(ended.ran_so_far().saturating_sub(self.tries.ran)),
        };
        self.append(&Event::FellOver(fell))?;
        crash::point("fell-over");
        // What the checkout has that the tree has not was said once.
        self.asked_base = None;
        let outputs = [self.files.stdout(), self.files.stderr(), self.files.answer()];
        for output in &outputs {
            put_aside(output, self.backend.name.as_str())?;
        }
        self.spec.fall_over(next);
        self.backend = backend;
        // The limit of time is one for all of them, and a conversation is nobody else's.
        self.tries.ran = ended.ran_so_far();
        self.tries.thread = None;
        self.usage.fall_over(&self.backend, usage);
        Ok(true)
    }
}

fn millis(ran: std::time::Duration) -> u64 {
    u64::try_from(ran.as_millis()).unwrap_or(u64::MAX)
}

/// Renames an output so that it says whose it was.
fn put_aside(output: &Path, whose: &str) -> io::Result<()> {
    let mut name = output.as_os_str().to_owned();
    name.push(".");
    name.push(whose);
    match fs::rename(output, Path::new(&name)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved,
    }
}
