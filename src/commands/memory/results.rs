//! What workers have answered, as entries: `result-NAME` in the namespace `results`.
//!
//! A supervisor does nothing for that. Whoever looks at the memory takes in what has
//! come since: the ledger is read on from where it was read to, and the answers of the
//! jobs that are over by now are stored. `cx clean` takes in the answer of a job
//! before it removes that. Where the memory cannot be written, as in a sandbox, they
//! count as if they were stored.
//!
//! A crash after they were stored, and before it was written down how far the ledger
//! was read, has the same jobs looked at once more: an answer that is older than what
//! the key has is left out.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
};

use super::{failure, here::author};
use crate::{
    commands::{
        collect::message_file,
        session::{Session, store},
        view,
    },
    failure::Failure,
    job::{JobId, secret},
    ledger::{Follower, Job, glance},
    memory::{Answer, Memory, MemoryError, Name, RESULTS, Value},
    process::secrets,
    ui,
};

/// A longer answer is cut in its middle.
const LONGEST: u64 = 64 * 1024;

/// How much of its end is kept then.
const END: u64 = 16 * 1024;

/// How much of a ledger may come without a job's end before it is written down that
/// there was none.
const PASSED_OVER: u64 = 64 * 1024;

/// Takes in what has been answered since. What fails is told, and no more: what is
/// stored already is there.
pub(in crate::commands) fn take_in(session: &Session, memory: &mut Memory) {
    if let Err(failure) = try_take_in(session, memory) {
        ui::warn(format_args!("the answers of jobs are not in the memory: {failure}"));
    }
}

fn try_take_in(session: &Session, memory: &mut Memory) -> Result<(), Failure> {
    let mark = memory.dir().join("ledger-offset");
    let ledger = session.store.ledger_path();
    let Ok(len) = fs::metadata(&ledger).map(|meta| meta.len()) else { return Ok(()) };
    let seen = fs::read_to_string(&mark).ok().and_then(|text| text.trim().parse::<u64>().ok());
    // Another ledger, where that is shorter.
    let from = seen.filter(|seen| *seen <= len).unwrap_or(0);
    if from == len {
        return Ok(());
    }
    let lines = Follower::new(&session.store, from).lines().map_err(store)?;
    let to = from + lines.iter().map(|line| line.len() as u64).sum::<u64>();
    let over: Vec<JobId> = lines
        .iter()
        .filter_map(|line| glance(line).filter(|(kind, _)| *kind == "exited").map(|(_, job)| job))
        .collect();
    drop(lines);
    if over.is_empty() {
        if to - from > PASSED_OVER {
            let _ = remember(memory, &mark, to);
        }
        return Ok(());
    }
    let answers = answers(session, &over)?;
    match store_answers(memory, answers.clone()) {
        Ok(()) => {}
        Err(MemoryError::Io { .. }) => {
            memory.count_in(answers).map_err(failure)?;
            return Ok(());
        }
        Err(error) => return Err(failure(error)),
    }
    let _ = remember(memory, &mark, to);
    Ok(())
}

fn store_answers(memory: &Memory, answers: Vec<Answer>) -> Result<(), MemoryError> {
    if !answers.is_empty() {
        memory.writer()?.take_in(answers)?;
        memory.tidy();
    }
    Ok(())
}

fn remember(memory: &Memory, mark: &std::path::Path, to: u64) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(memory.dir())?;
    writeln!(file, "{to}")?;
    file.persist(mark)?;
    Ok(())
}

fn answers(session: &Session, over: &[JobId]) -> Result<Vec<Answer>, Failure> {
    let mut jobs = session.store.state().map_err(store)?.jobs;
    if over.iter().any(|id| !jobs.contains_key(id)) {
        jobs = session.store.history().map_err(store)?.jobs;
    }
    Ok(over.iter().filter_map(|id| answer(session, jobs.get(id)?)).collect())
}

/// Takes in the answer of a job whose files are about to go.
pub(in crate::commands) fn keep_answer(session: &Session, job: &Job) {
    let Some(answer) = answer(session, job) else { return };
    let memory = Memory::new(session.store.dir());
    if let Err(error) = memory.writer().and_then(|mut writer| writer.take_in(vec![answer])) {
        ui::warn(format_args!("the answer of {} is not in the memory: {error}", job.spec.name));
    }
}

/// What a job has answered; none where it has not, or nothing is left of it.
fn answer(session: &Session, job: &Job) -> Option<Answer> {
    let at = job.ended_at?;
    if job.files_gone {
        return None;
    }
    let text = read(&message_file(session, job)).ok().filter(|text| !text.trim().is_empty())?;
    secrets::keep_also(&job.spec.secrets);
    let bytes = secret::redacted(&text).into_owned().into_bytes();
    let mut tags = vec![view::status(job).to_owned()];
    tags.extend(job.spec.agent.clone());
    let sharing = job.spec.sharing.clone().unwrap_or_default();
    Some(Answer {
        name: Name { namespace: RESULTS.to_owned(), key: format!("result-{}", job.spec.name) },
        by: author(job),
        at,
        value: Value {
            bytes,
            tags,
            expires: None,
            share_with: Some(sharing.share_with).filter(|all| !all.is_empty()),
            redact: sharing.redact,
        },
    })
}

/// An answer, cut in its middle where it is long.
fn read(path: &std::path::Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut bytes = Vec::new();
    if len <= LONGEST {
        file.read_to_end(&mut bytes)?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let head = LONGEST - END;
    (&mut file).take(head).read_to_end(&mut bytes)?;
    let head = String::from_utf8_lossy(&bytes).trim_end_matches('\u{fffd}').to_owned();
    bytes.clear();
    file.seek(SeekFrom::Start(len - END))?;
    file.read_to_end(&mut bytes)?;
    let end = String::from_utf8_lossy(&bytes).trim_start_matches('\u{fffd}').to_owned();
    Ok(format!("{head}\n[... {} bytes are left out here ...]\n{end}", len - LONGEST))
}
