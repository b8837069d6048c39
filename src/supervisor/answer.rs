//! An answer that has to have a shape: whether it fits, and one more try where it
//! does not.
//!
//! The second turn is the same job's: it goes on in the thread of the first, where
//! there is one, and is told what did not fit. A program that is run rather than
//! told anything has no second try. After a crash there is none either: recovery
//! only keeps what there is.

use std::{fs, io, path::PathBuf};

use super::{Supervisor, SupervisorError, finish::Finisher};
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
    /// Whether the worker is to try once more, since its answer does not fit.
    pub(super) fn ask_again(&mut self, verdict: &Verdict) -> Result<bool, SupervisorError> {
        let (Outcome::SchemaMismatch, Some(wrong)) = (&verdict.outcome, &verdict.reason) else {
            return Ok(false);
        };
        self.read_requests()?;
        if self.tries.asked_again || self.backend.runs_commands() || self.kill.is_some() {
            return Ok(false);
        }
        if let Some(stop) = self.spent(verdict.usage)? {
            self.note(format!("it was not asked once more: {}", stop.reason))?;
            return Ok(false);
        }
        self.note(format!("{}; it was asked once more", ui::cut(&ui::clean(wrong), 300)))?;
        let thread = verdict.thread_id.clone().filter(|_| backend::has_threads(&self.backend));
        self.tries.prompt = Some(self.say_again(wrong, thread.is_some())?);
        self.tries.thread = thread;
        self.tries.asked_again = true;
        if matches!(verdict.answer, Answer::Stdout) {
            // The message is all that is in there.
            JobFiles::create(&self.files.stdout())?;
        }
        Ok(true)
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
