//! A job that goes on from another, or does its task again: what that was given
//! counts, and not what stands in the configuration by now.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Launched, SpawnArgs,
    check::Checked,
    endpoint::Target,
    kin::{self, Kin},
    launch_one,
    limits::{Limits, UseArgs},
    task::Task,
    text,
};
use crate::{
    backend::{self, Backend},
    commands::{
        session::{Session, backend_of, label, store},
        settings::Settings,
    },
    failure::Failure,
    git::Oid,
    job::{JobId, JobName},
    ledger::{Fallback, Job, Resumes, Spawned, Tree},
};

/// How a job is taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) enum From {
    /// In its thread and in its files.
    Thread,
    /// In its files, in a new thread.
    Files,
    /// From where it started, in files of its own.
    Base,
    /// From this commit, in files of its own.
    Commit(Oid),
}

/// What is different.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Again<'a> {
    pub(in crate::commands) from: From,
    /// What it is told; what the job before was told if it is none.
    pub(in crate::commands) prompt: Option<Vec<u8>>,
    pub(in crate::commands) name: Option<&'a str>,
    pub(in crate::commands) model: Option<&'a str>,
    pub(in crate::commands) timeout: Option<Duration>,
    pub(in crate::commands) silence: Option<Duration>,
    pub(in crate::commands) uses: &'a UseArgs,
}

/// Starts it; one that is still live has to end well first.
pub(in crate::commands) fn again(
    session: &Session,
    before: &Job,
    again: Again<'_>,
) -> Result<Launched, Failure> {
    let settings = Settings::load(session)?;
    let mut checked = Checked::again(session, &settings, before, again)?;
    launch_one(session, &settings, &mut checked)
}

impl Checked {
    fn again(
        session: &Session,
        settings: &Settings,
        before: &Job,
        again: Again<'_>,
    ) -> Result<Self, Failure> {
        let old = &before.spec;
        let backend = kept_backend(session, before)?;
        let others = in_its_place(session, before, &again.from)?;
        let is_told = again.prompt.is_some();
        let history = session.history()?;
        let kin = Kin::of(&history, before);
        let mut notes = settings.notes.clone();
        let mut title = old.title.clone();
        let prompt = match again.prompt {
            Some(prompt) => {
                title = Task { bytes: prompt.clone(), argv: Vec::new() }.title();
                prompt
            }
            None if again.from == From::Thread => prompt_of(session, before)?,
            // A new conversation knows nothing of what was said in the old one.
            None => {
                let turns = kin::turns(&history, before);
                let said = said_in(session, &turns)?;
                if let [_, _, ..] = said.as_slice() {
                    title.clone_from(turns.first().map_or(&old.title, |first| &first.spec.title));
                    notes.push(format!(
                        "it begins a new conversation, and is told all {} messages of the old one",
                        said.len()
                    ));
                }
                said.join(b"\n\n".as_slice())
            }
        };
        if old.argv.is_empty() {
            backend::check_prompt(&backend, &prompt)
                .map_err(|e| Failure::usage(e.to_string()).maybe_hint(e.hint()))?;
        }
        let cwd = Path::new(&old.cwd);
        let program = settings.program(&backend, old.argv.first(), old.mode, cwd)?;
        let (stem, named) = match again.name {
            Some(word) => (
                JobName::new(word).map_err(|e| {
                    Failure::usage(format!("'{word}' cannot be a job's name: it {e}"))
                })?,
                true,
            ),
            None => (kin.root, false),
        };
        let after = match again.from {
            _ if before.is_live() => vec![before.job],
            // What it came after is in its base.
            From::Thread | From::Commit(_) => Vec::new(),
            From::Files | From::Base => needs(session, before)?,
        };
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let resumes = match again.from {
            From::Thread => Some(Resumes { job: before.job, anew: false }),
            From::Files => Some(Resumes { job: before.job, anew: true }),
            From::Base | From::Commit(_) => None,
        };
        let mut tree = old.tree.clone().filter(|_| resumes.is_some());
        if let Some(tree) = &tree {
            require_tree(before, tree)?;
        }
        if let (Some(tree), Some(merged)) = (&mut tree, &before.merged) {
            // What is merged is nobody's work any more.
            tree.base.clone_from(&merged.tip);
        }
        let base = match &old.tree {
            Some(tree) if resumes.is_none() => Some((tree.base.clone(), tree.prefix.clone())),
            _ => None,
        };
        let model = again.model.map(str::to_owned).or_else(|| old.model.clone());
        let limits = Limits::again(
            again.uses,
            (old, &backend, &others),
            &settings.config,
            model.as_deref(),
        )?;
        let spec = Spawned {
            id: text::unique_id()?,
            name: stem,
            program: text::path_text(&program)?,
            model,
            budgets: limits.budgets,
            price: limits.price,
            hold: limits.hold,
            task: None,
            group: None,
            tree,
            repeats: resumes.is_none().then_some(before.job),
            resumes,
            // The one whose they were is over.
            port: old.port.filter(|_| !matches!(again.from, From::Commit(_))),
            after,
            timeout_ms: again.timeout.map(millis).or(old.timeout_ms),
            silence_ms: again.silence.map(millis).or(old.silence_ms),
            extra_args: settings.extra_args(&backend)?,
            fallbacks: if again.from == From::Thread { Vec::new() } else { old.fallbacks.clone() },
            secrets: settings.config.secrets.clone(),
            notice: settings.notice(old.notice.as_ref().is_some_and(|notice| notice.notify)),
            title,
            ..Spawned::clone(old)
        };
        let all = (backend, others);
        let mut checked = Self::of(spec, all, prompt, named, base, notes);
        checked.kin = kin.names;
        checked.token = Target::token_again(old.endpoint.as_ref(), settings)?;
        // Another question has another answer.
        checked.spec.schema &= !is_told;
        if checked.spec.schema {
            checked.schema = Some(schema_of(session, before)?);
        }
        if let From::Commit(commit) = again.from {
            checked.start = Some(commit);
        }
        Ok(checked)
    }

    /// Whether it takes up the work of that one, in its tree.
    pub(super) fn goes_on_from(&self, job: &Job) -> bool {
        self.spec.resumes.as_ref().is_some_and(|from| from.job == job.job)
    }

    /// Refuses what has gone on already. To be called under the ledger's lock.
    pub(super) fn refuse_second(
        session: &Session,
        resumes: &Resumes,
        is_queued: bool,
    ) -> Result<(), Failure> {
        let state = session.store.state().map_err(store)?;
        let Some(before) = state.jobs.get(&resumes.job) else { return Ok(()) };
        if let Some(next) = before.went_on {
            return Err(Failure::usage(format!(
                "{} went on as {next} meanwhile; nothing was started",
                label(before)
            ))
            .hint(format!("cx resume {next}")));
        }
        if before.is_live() && !is_queued {
            return Err(Failure::usage(format!("{} is live; nothing was started", label(before))));
        }
        Ok(())
    }
}

/// What a job came after, and its task comes after again: where such a job has gone
/// on or was tried again, the last that did.
fn needs(session: &Session, before: &Job) -> Result<Vec<JobId>, Failure> {
    if before.spec.after.is_empty() {
        return Ok(Vec::new());
    }
    let history = session.history()?;
    let mut needs = Vec::new();
    for id in &before.spec.after {
        let Some(mut need) = history.jobs.get(id) else { continue };
        let next = |job: &Job| history.jobs.get(&job.went_on.or(job.tried_again)?);
        while let Some(next) = next(need) {
            need = next;
        }
        if let Some(outcome) = need.outcome().filter(|outcome| !outcome.is_success()) {
            return Err(Failure::usage(format!(
                "{} comes after {}, which is {outcome}; nothing was started",
                label(before),
                label(need)
            ))
            .hint(format!("cx retry {} first", need.job)));
        }
        if !needs.contains(&need.job) {
            needs.push(need.job);
        }
    }
    Ok(needs)
}

/// What is to be gone on in must be there, unless it is still to be made.
fn require_tree(before: &Job, tree: &Tree) -> Result<(), Failure> {
    let is_there = Path::new(&tree.path).is_dir();
    if before.is_live() || (is_there && !before.tree_gone) {
        return Ok(());
    }
    let what = if before.tree_gone { "was cleaned" } else { "is gone" };
    Err(Failure::usage(format!(
        "the worktree of {} {what}, so it cannot go on there; nothing was started",
        label(before)
    ))
    .hint(format!("`cx retry --fresh {}` does its task again from its base", before.job)))
}

/// What is said to a model: words, a file, or stdin.
pub(in crate::commands) fn read_words(
    words: &[OsString],
    file: Option<&PathBuf>,
) -> Result<Vec<u8>, Failure> {
    let args = SpawnArgs { prompt: words.to_vec(), file: file.cloned(), ..SpawnArgs::default() };
    Ok(Task::read(&args, &Backend::CODEX, &mut None)?.bytes)
}

/// The shape that a job's answer had to have.
fn schema_of(session: &Session, job: &Job) -> Result<Vec<u8>, Failure> {
    fs::read(session.store.job(job.job).schema()).map_err(|e| {
        let label = label(job);
        Failure::usage(format!("the schema of {label} cannot be read: {e}; nothing was started"))
            .hint("`cx clean` has taken it, if the job was cleaned")
    })
}

/// What was said in a conversation. What was said again, because it came to nothing, counts
/// once.
fn said_in(session: &Session, turns: &[&Job]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut said: Vec<Vec<u8>> = Vec::new();
    for turn in turns {
        let mut prompt = prompt_of(session, turn)?;
        if turns.len() > 1 {
            prompt.truncate(prompt.trim_ascii_end().len());
        }
        if said.last() != Some(&prompt) {
            said.push(prompt);
        }
    }
    Ok(said)
}

/// What a job was told, byte for byte.
pub(in crate::commands) fn prompt_of(session: &Session, job: &Job) -> Result<Vec<u8>, Failure> {
    fs::read(session.store.job(job.job).prompt()).map_err(|e| {
        Failure::usage(format!(
            "the prompt of {} cannot be read: {e}; nothing was started",
            label(job)
        ))
        .hint("`cx clean` has taken it, if the job was cleaned")
    })
}

/// What did a job's work, as it was then.
fn kept_backend(session: &Session, job: &Job) -> Result<Backend, Failure> {
    backend_of(&session.store.job(job.job), job).map_err(|e| {
        Failure::usage(format!("{e}; nothing was started"))
            .hint("`cx clean` has taken it, if the job was cleaned")
    })
}

/// Who did it where that one could not. A conversation goes on with whom it was begun.
fn in_its_place(session: &Session, job: &Job, from: &From) -> Result<Vec<Backend>, Failure> {
    let kept = session.store.job(job.job).backend();
    let names = job.spec.fallbacks.iter().filter(|_| *from != From::Thread);
    let backend = |fallback: &Fallback| {
        Backend::of_job(fallback.backend, &kept)
            .map_err(|e| Failure::usage(format!("{e}; nothing was started")))
    };
    names.map(backend).collect()
}

/// Whether the conversation of a job of this backend can go on.
pub(in crate::commands) fn require_thread(session: &Session, job: &Job) -> Result<(), Failure> {
    let backend = kept_backend(session, job)?;
    if backend::has_threads(&backend) {
        return Ok(());
    }
    let (label, name) = (label(job), backend.name);
    Err(Failure::usage(format!(
        "{label} ran on {name}, which has no conversation to go on with; nothing was started"
    ))
    .hint(format!("`cx retry {}` runs it again", job.spec.name)))
}
