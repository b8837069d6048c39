//! The memory where we stand, and who asks.

use std::env;

use super::{failure, results};
use crate::{
    commands::session::{Session, store},
    failure::{Exit, Failure},
    job::JobId,
    ledger::Job,
    memory::{Author, Memory, Name, Reader, Value, Worker},
    ui,
};

/// The memory where we stand.
pub(in crate::commands) struct Here {
    pub(in crate::commands) session: Session,
    pub(in crate::commands) memory: Memory,
    /// Who asks.
    pub(in crate::commands) reader: Reader,
    /// The same, where that is a worker's job.
    pub(in crate::commands) author: Option<Author>,
    /// The job of it, where this repository knows it.
    pub(in crate::commands) job: Option<Job>,
}

impl Here {
    /// Opens it. Reads the ledger only where a worker asks.
    pub(in crate::commands) fn open() -> Result<Self, Failure> {
        let session = Session::open()?;
        let memory = Memory::new(session.store.dir());
        let mut here = Self { session, memory, reader: Reader::Person, author: None, job: None };
        let Some(number) = env::var("CX_JOB").ok().filter(|number| !number.is_empty()) else {
            return Ok(here);
        };
        let text = |name: &str| env::var(name).unwrap_or_default();
        let id = text("CX_JOB_ID");
        let number = JobId(number.parse().unwrap_or_default());
        here.job = here.find(number)?.filter(|job| id.is_empty() || job.spec.id == id);
        let author = match &here.job {
            Some(job) => author(job),
            // A job of another repository.
            None => Author { job: number, id, name: text("CX_NAME"), agent: None },
        };
        let alias = here.job.as_ref().and_then(|job| job.spec.alias.clone());
        let names = [Some(author.name.as_str()), author.agent.as_deref(), alias.as_deref()];
        here.reader = Reader::Worker(Worker::new(&author.id, names.into_iter().flatten()));
        here.author = Some(author);
        Ok(here)
    }

    fn find(&self, id: JobId) -> Result<Option<Job>, Failure> {
        let found = self.session.store.state().map_err(store)?.jobs.remove(&id);
        match found {
            Some(job) => Ok(Some(job)),
            None => Ok(self.session.store.history().map_err(store)?.jobs.remove(&id)),
        }
    }

    /// Takes in what jobs have answered since.
    pub(super) fn take_in_results(&mut self) {
        results::take_in(&self.session, &mut self.memory);
    }

    /// What the agent of the job that asks says about what it stores, where nobody has
    /// said more.
    pub(super) fn apply_policy(&self, value: &mut Value) {
        let Some(sharing) = self.job.as_ref().and_then(|job| job.spec.sharing.as_ref()) else {
            return;
        };
        if value.share_with.is_none() && !sharing.share_with.is_empty() {
            value.share_with = Some(sharing.share_with.clone());
        }
        value.redact.clone_from(&sharing.redact);
    }

    /// That a line or more could not be read.
    pub(super) fn tell_torn(&self, torn: u64) {
        if torn > 0 {
            let lines = ui::plural(torn, "line");
            let log = self.memory.dir().join("entries.jsonl");
            ui::warn(format_args!(
                "the memory has {lines} that cannot be read, in {}; the other entries are whole",
                log.display()
            ));
        }
    }
}

/// A job as the author of an entry.
pub(super) fn author(job: &Job) -> Author {
    Author {
        job: job.job,
        id: job.spec.id.clone(),
        name: job.spec.name.to_string(),
        agent: job.spec.agent.clone(),
    }
}

/// A key in a namespace.
pub(super) fn name(args: &super::KeyArgs) -> Result<Name, Failure> {
    Name::new(&args.namespace, &args.key).map_err(failure)
}

/// A namespace that was asked for.
pub(super) fn namespace(word: Option<&str>) -> Result<(), Failure> {
    word.map_or(Ok(()), |word| crate::memory::check_word("namespace", word)).map_err(failure)
}

/// That there is no such key.
pub(super) fn missing(name: &Name) -> Failure {
    Failure::new(Exit::Failed, format!("there is no {name} in the memory"))
        .hint("`cx memory list` shows what there is")
}
