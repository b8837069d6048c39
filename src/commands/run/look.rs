//! A run as it is now, for whoever only looks.

use super::{
    answer::text,
    book::{Book, Failed},
    stored::Stored,
    summary::{Source, Summary},
};
use crate::{
    commands::{runs, session::Session},
    failure::Failure,
    ledger::{Run, State},
};

/// See the module.
#[derive(Debug)]
pub(in crate::commands) struct Look {
    pub(in crate::commands) summary: Summary,
    pub(in crate::commands) started_at: jiff::Timestamp,
}

impl Look {
    /// A look at `run`. `state` is the whole history.
    pub(in crate::commands) fn at(
        session: &Session,
        run: &Run,
        state: &State,
    ) -> Result<Self, Failure> {
        let files = session.store.run(run.id());
        let started_at = run.started_at;
        if run.ended.is_some()
            && let Some(mut summary) = Summary::read(&files)?
        {
            summary.tell_of_retries(state);
            return Ok(Self { summary, started_at });
        }
        if let (Some(ended), false) = (&run.ended, files.dir().exists()) {
            return Ok(Self { summary: Summary::cleaned(run, ended), started_at });
        }
        let stored = Stored::read(&files)?;
        let live = session.is_worked_through(run)?;
        // Where nobody starts anything any more, a failure is one.
        let failed = if live && run.stopping.is_none() { Failed::TryAgain } else { Failed::Final };
        let answer = |job: &crate::ledger::Job| text(session, job);
        let book = Book::replay(run.id(), &stored, state, failed, &answer);
        let elapsed = run.worked(live.then(jiff::Timestamp::now));
        let source = Source { session, run: run.id(), stored: &stored, book: &book, state };
        let mut summary = source.summary(elapsed);
        runs::status(run, live).clone_into(&mut summary.outcome);
        Ok(Self { summary, started_at })
    }
}
