//! Records of a run in codex-flow's shapes, for `--compat codex-flow`.
//!
//! They are copies: nothing of cx reads them, and where they cannot be written the
//! run goes on. `cx clean` keeps them small, and the head of [`records`] says how
//! the log is shared.
//!
//! # What a crash leaves
//! Jobs without records, which whoever goes on with the run writes down. A crash
//! between a file and its lines in the log loses the lines.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::Value;

use super::{answer::text, stored::Stored};
use crate::{
    commands::{records, session::Session},
    failure::Failure,
    job::BackendName,
    ledger::Job,
    plan::{
        Task,
        compat::{Ending, LOG, RUNS, Record, plan_line},
    },
};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Records {
    top: PathBuf,
}

impl Records {
    /// Those below a folder.
    pub(super) fn below(top: PathBuf) -> Self {
        Self { top }
    }

    /// Makes sure that they can be written, before anything starts.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        let path = self.top.join(RUNS);
        let tried =
            fs::create_dir_all(&path).and_then(|()| records::append(&self.top.join(LOG), ""));
        tried.map_err(|e| {
            Failure::usage(format!(
                "cannot keep records in {}: {e}; nothing was started",
                self.top.display()
            ))
            .hint("--compat-dir DIR keeps them elsewhere")
        })
    }

    /// Writes down that a plan is about to run; `items` as `--dry-run --json` has
    /// them below `plan`.
    pub(super) fn planned(&self, engine: BackendName, items: &Value) -> Result<(), Failure> {
        self.log(&plan_line(Timestamp::now(), engine.as_str(), items)).map_err(|e| self.failed(&e))
    }

    /// Writes down what is known of a job and not written down yet. `told` is what
    /// it was told, where that is known.
    pub(super) fn record(
        &self,
        session: &Session,
        stored: &Stored,
        (task, job): (&Task, &Job),
        told: Option<&str>,
    ) -> Result<(), Failure> {
        self.write(session, stored, (task, job), told).map_err(|e| self.failed(&e))
    }

    fn write(
        &self,
        session: &Session,
        stored: &Stored,
        (task, job): (&Task, &Job),
        told: Option<&str>,
    ) -> io::Result<()> {
        let record = |text| Record {
            task,
            text,
            agent: stored.role(task).map(|role| role.agent.as_str()),
            job: &job.spec.id,
            started: job.spawned_at,
        };
        let folder = self.top.join(record("").folder());
        let (input, output) = (folder.join("input.json"), folder.join("output.json"));
        let before = fs::read(&input).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let before =
            before.as_ref().and_then(|given: &Value| given.as_str().or(given["goal"].as_str()));
        let record = record(told.or(before).unwrap_or(&job.spec.title));
        if before.is_none() {
            fs::create_dir_all(&folder)?;
            write_whole(&input, &record.input())?;
            self.log(&record.started_line())?;
        }
        if job.is_live() || output.exists() {
            return Ok(());
        }
        let said = text(session, job);
        let ending = Ending {
            ended: job.ended_at.unwrap_or_else(Timestamp::now),
            ok: job.succeeded(),
            engine: job.spec.backend.as_str(),
            reason: job.exited.as_ref().and_then(|exited| exited.reason.as_deref()),
            output: (!said.is_empty()).then_some(said.as_str()),
        };
        write_whole(&output, &record.output(&ending))?;
        self.log(&record.ended_lines(&ending))
    }

    fn log(&self, lines: &str) -> io::Result<()> {
        records::append(&self.top.join(LOG), lines)
    }

    fn failed(&self, e: &io::Error) -> Failure {
        let top = self.top.display();
        Failure::internal(format!("cannot keep records in {top}: {e}; the run goes on without"))
    }
}

/// Replaces a file in one step.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let rights = fs::Permissions::from_mode(0o666);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(rights).tempfile_in(folder)?;
    writeln!(file, "{text}")?;
    file.persist(path)?;
    Ok(())
}
