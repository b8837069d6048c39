//! An answer that has to have a shape: whether it fits, and one more try where it
//! does not.
//!
//! The second turn is the same job's: it goes on in the thread of the first, where
//! there is one, and is told what did not fit. A program that is run rather than
//! told anything has no second try. After a crash there is none either: recovery
//! only keeps what there is.

use std::{fs, io, path::PathBuf};

use super::{
    Supervisor, SupervisorError,
    finish::{Ended, Finisher},
    worker::Turn,
};
use crate::{
    backend::{self, Answer, Verdict},
    job::Outcome,
    ledger::JobFiles,
    schema::Schema,
    ui,
};

impl Finisher<'_> {
    /// A success whose answer does not fit is none.
    pub(super) fn check_answer(&self, verdict: &mut Verdict) -> io::Result<()> {
        if !self.spec.schema || !verdict.outcome.is_success() {
            return Ok(());
        }
        let document = serde_json::from_slice(&fs::read(self.files.schema())?)?;
        let answer = match &verdict.answer {
            Answer::Text(text) => text.clone(),
            Answer::Stdout => String::from_utf8_lossy(&fs::read(self.files.stdout())?).into_owned(),
            Answer::None => String::new(),
        };
        if let Err(wrong) = Schema::from_document(document).fits(&answer) {
            let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            verdict.outcome = Outcome::SchemaMismatch;
            verdict.reason =
                Some(format!("its answer does not fit the schema: {}", wrong.join("; ")));
        }
        Ok(())
    }
}

impl Supervisor {
    /// Has a worker whose answer does not fit try once more.
    pub(super) fn ask_again(&mut self, ended: Ended) -> Result<Ended, SupervisorError> {
        if !self.spec.schema || !ended.has_started() || self.backend.runs_commands() {
            return Ok(ended);
        }
        let verdict = self.finisher().judge(&ended)?;
        let (Outcome::SchemaMismatch, Some(wrong)) = (&verdict.outcome, &verdict.reason) else {
            return Ok(ended);
        };
        self.read_requests()?;
        if self.kill.is_some() {
            return Ok(ended);
        }
        self.note(format!("{}; it was asked once more", ui::cut(&ui::clean(wrong), 300)))?;
        let thread = verdict.thread_id.filter(|_| backend::has_threads(&self.backend));
        let prompt_file = self.say_again(wrong, thread.is_some())?;
        if matches!(verdict.answer, Answer::Stdout) {
            // The message is all that is in there.
            JobFiles::create(&self.files.stdout())?;
        }
        // codex must not find an older one there.
        let _ = fs::remove_file(self.files.answer());
        let used = u64::try_from(ended.ran_for().as_millis()).unwrap_or(u64::MAX);
        if let Some(limit) = &mut self.spec.timeout_ms {
            *limit = limit.saturating_sub(used).max(1);
        }
        let more = self.run_turn(Turn { prompt_file, thread })?;
        Ok(ended.followed_by(more))
    }

    /// What it is told: what is wrong, and without a thread the task as well.
    fn say_again(&self, wrong: &str, knows_task: bool) -> Result<PathBuf, SupervisorError> {
        let mut said = Vec::new();
        if !knows_task {
            said = fs::read(self.files.prompt())?;
            said.extend_from_slice(b"\n\n");
        }
        let schema = fs::read_to_string(self.files.schema())?;
        said.extend_from_slice(
            format!(
                "Your answer was not accepted: {wrong}.\n\nAnswer once more, with a JSON value that fits this \
                 schema and with nothing else: no words around it, no code fence.\n\n{schema}\n"
            )
            .as_bytes(),
        );
        let path = self.files.dir().join("prompt-again");
        self.files.replace(&path, &said)?;
        Ok(path)
    }
}
