//! What a job has said, for the tasks that need it.

use std::{io, path::Path};

use crate::{
    commands::{collect, session::Session},
    ledger::Job,
};

/// How much of an answer a condition looks at, and at most can be handed on.
const MOST: u64 = 1024 * 1024;

/// What came of one task, for another that needs it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The text, at least as much of it as may be shown.
    pub(super) text: String,
    /// How long the whole is, bytes.
    pub(super) bytes: u64,
    /// Where the whole is.
    pub(super) path: String,
    /// Why it is not one of a success.
    pub(super) failed: Option<String>,
}

/// What a job has said, as much of it as anything looks at.
pub(super) fn text(session: &Session, job: &Job) -> String {
    answer(session, job).map(|answer| answer.text).unwrap_or_default()
}

pub(super) fn answer(session: &Session, job: &Job) -> Option<Answer> {
    let path = collect::message_file(session, job);
    let (text, bytes) = head(&path).ok()?;
    let failed = job
        .exited
        .as_ref()
        .filter(|_| !job.succeeded())
        .map(|exited| exited.reason.clone().unwrap_or_else(|| exited.outcome.to_string()));
    Some(Answer { text, bytes, path: path.display().to_string(), failed })
}

/// The beginning of a file, and how long it is.
fn head(path: &Path) -> io::Result<(String, u64)> {
    let file = std::fs::File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut head = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, MOST), &mut head)?;
    Ok((String::from_utf8_lossy(&head).into_owned(), bytes))
}
