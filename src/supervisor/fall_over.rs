//! Another backend where one was refused by its service.
//!
//! A try that ends with a limit of rate or quota is followed by the next backend of
//! the job, in the same tree: what the try before left there stays, and the worker
//! is told its task as it stands. Where others wait for a backend's service already, it
//! is not asked at all, if another one of the job's may be. Its outputs are put aside; the event is what makes
//! the next one the job's backend. A crash between the two leaves the outputs of the
//! try before to be read as those of the next one, in a job that is lost anyway.

use std::{fs, io, path::Path};

use super::{Supervisor, SupervisorError, finish::Ended};
use crate::{
    backend::Backend,
    job::{BackendName, JobId, Outcome},
    ledger::{Event, FellOver},
    process::crash,
};

impl Supervisor {
    /// Makes the next backend the job's, if this try calls for it, there is one, and no
    /// budget is used up by then.
    pub(super) fn falls_over(&mut self, ended: &mut Ended) -> Result<bool, SupervisorError> {
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
        if let Some(stop) = self.spent(verdict.usage)? {
            ended.stop_between(stop);
            return Ok(false);
        }
        let reason = match verdict.reason {
            Some(reason) => format!("was refused for a limit: {reason}"),
            None => "was refused for a limit".to_owned(),
        };
        let price = self.spec.price.as_ref();
        let said = verdict.usage.map(|usage| usage.priced(price));
        let usage = self.usage.whole(said.or_else(|| self.usage.said(price)));
        let from = self.backend.name;
        let ran_ms = millis(ended.ran_so_far().saturating_sub(self.tries.ran));
        self.fall_over(FellOver { from, to: next, reason, usage, ran_ms })?;
        // What the checkout has that the tree has not was said once.
        self.asked_base = None;
        let outputs = [self.files.stdout(), self.files.stderr(), self.files.answer()];
        for output in &outputs {
            put_aside(output, from.as_str())?;
        }
        // The limit of time is one for all of them; a conversation is nobody else's, nor
        // is what was wrong with an answer.
        self.tries.ran = ended.ran_so_far();
        self.tries.thread = None;
        self.tries.prompt = None;
        self.tries.asked_again = false;
        Ok(true)
    }

    /// Goes on to `to` before any worker has run: others wait for the service of the
    /// backend that is named first, because it has refused `who`.
    pub(super) fn pass_over(&mut self, to: BackendName, who: JobId) -> Result<(), SupervisorError> {
        let reason = format!("has refused {who} for a limit");
        self.fall_over(FellOver { from: self.backend.name, to, reason, usage: None, ran_ms: 0 })
    }

    fn fall_over(&mut self, fell: FellOver) -> Result<(), SupervisorError> {
        let (to, usage) = (fell.to, fell.usage);
        let backend = Backend::of_job(to, &self.files.backend())?;
        self.append(&Event::FellOver(fell))?;
        crash::point("fell-over");
        self.spec.fall_over(to);
        self.backend = backend;
        self.usage.fall_over(&self.backend, usage);
        Ok(())
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
