//! What every verb starts from: where it stands, which state belongs to that
//! place, and the jobs as they are now.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    env, io,
    path::{Path, PathBuf},
};

use crate::{
    agent::Places,
    backend::{Backend, KeptError},
    config::Roots,
    failure::{Exit, Failure},
    git::{GitError, Place, grant},
    job::{Candidate, JobId, Spec, SpecError, resolve},
    ledger::{FollowedState, Job, JobFiles, Run, State, Store, StoreError},
    process::lock,
    supervisor::recover_lost,
};

pub(super) use crate::view::shown_backend;

/// Where a command stands.
#[derive(Debug)]
pub(super) struct Session {
    /// The current folder, absolute.
    pub(super) cwd: PathBuf,
    /// The repository around it.
    pub(super) place: Option<Place>,
    /// Its state.
    pub(super) store: Store,
    /// Home, configuration and state folders.
    pub(super) roots: Roots,
    /// `CX_RUN`: narrows what "all jobs" means.
    pub(super) run: Option<String>,
    /// `CODEX_AGENTS_DIR`: the bundle of agents that others use too.
    codex_agents_dir: Option<PathBuf>,
    /// Lost jobs that could not be recovered, and were named once.
    warned: RefCell<BTreeSet<JobId>>,
}

/// How often one command sees the recovery of a lost job come to nothing before
/// it says so: more than once only where somebody kills recoveries too.
const PATIENCE: u32 = 5;

/// Counts recoveries that came to nothing.
#[derive(Debug, Default)]
pub(super) struct Recoveries(u32);

impl Recoveries {
    /// `job`'s lock was free, and it is still not over: an error once that
    /// happens again and again.
    pub(super) fn failed(&mut self, session: &Session, job: &Job) -> Result<(), Failure> {
        self.0 += 1;
        if self.0 < PATIENCE {
            return Ok(());
        }
        let log = session.store.job(job.job).supervisor_log();
        let failure = format!("{} is lost, and cannot be recovered", label(job));
        Err(Failure::internal(failure).hint(format!("{} may say why", log.display())))
    }
}

impl Session {
    /// Finds out where we are. Reads no ledger and makes nothing.
    pub(super) fn open() -> Result<Self, Failure> {
        let cwd = env::current_dir().map_err(|e| {
            Failure::usage(format!("cannot tell the current folder: {e}"))
                .hint("change to a folder that is there")
        })?;
        let place = Place::discover(&cwd).map_err(git)?;
        let roots =
            Roots::from_env().map_err(|e| Failure::usage(e.to_string()).maybe_hint(e.hint()))?;
        let dir = match &place {
            Some(place) => place.common_dir.join("cx"),
            None => roots.state_home.join("cx"),
        };
        let run = env::var("CX_RUN").ok().filter(|run| !run.is_empty());
        let warned = RefCell::default();
        let codex_agents_dir =
            env::var_os("CODEX_AGENTS_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        Ok(Self { cwd, place, store: Store::new(dir), roots, run, codex_agents_dir, warned })
    }

    /// Where agents lie; `agents_dir` is what `--agents-dir` says.
    pub(super) fn places<'a>(&'a self, agents_dir: Option<&'a Path>) -> Places<'a> {
        Places {
            checkout: self.place.as_ref().and_then(|place| place.checkout.as_deref()),
            config_home: &self.roots.config_home,
            home: &self.roots.home,
            agents_dir,
            codex_agents_dir: self.codex_agents_dir.as_deref(),
        }
    }

    /// The top of the checkout, or else the current folder.
    pub(super) fn top(&self) -> &Path {
        let checkout = self.place.as_ref().and_then(|place| place.checkout.as_deref());
        checkout.unwrap_or(&self.cwd)
    }

    /// The repository, or an error that says what `verb` needs it for.
    pub(super) fn repository(&self, verb: &str) -> Result<&Place, Failure> {
        self.place.as_ref().ok_or_else(|| {
            Failure::usage(format!(
                "{verb} needs a git repository, and {} is in none",
                self.cwd.display()
            ))
            .hint("change to a repository, or make one with `git init`")
        })
    }

    /// The open jobs and the last closed ones. Jobs whose supervisor has
    /// vanished are found here, shown as lost, and taken care of.
    pub(super) fn state(&self) -> Result<State, Failure> {
        let mut state = self.store.state().map_err(store)?;
        if self.sweep(&state)? {
            state = self.store.state().map_err(store)?;
        }
        Ok(state)
    }

    /// Brings a state up to date, as [`Self::state`] would read it anew.
    pub(super) fn look(&self, followed: &mut FollowedState<'_>) -> Result<(), Failure> {
        followed.look().map_err(store)?;
        if self.sweep(followed.state())? {
            followed.look().map_err(store)?;
        }
        Ok(())
    }

    /// Looks for live jobs that nobody supervises. `true` when the ledger moved
    /// on meanwhile.
    fn sweep(&self, state: &State) -> Result<bool, Failure> {
        // What a worker starts ends with it: it cannot take over another job.
        if env::var_os("CX_JOB").is_some() {
            return Ok(false);
        }
        let mut moved = false;
        for job in state.jobs.values().filter(|job| job.is_live()) {
            let path = self.store.job(job.job).lock();
            if lock::is_held(&path).map_err(|e| lock_failure(&path, &e))? {
                continue;
            }
            moved = true;
            if let Err(error) = recover_lost(&self.store, job.job) {
                // Looking must work also where nothing can be mended, as in a
                // sandbox that has the state folder read-only.
                if self.warned.borrow_mut().insert(job.job) {
                    crate::ui::warn(format_args!("job {} is lost, and: {error}", job.job));
                }
            }
        }
        Ok(moved)
    }

    /// Waits until `job` is over and nothing of it runs any more.
    pub(super) fn until_over(&self, job: &Job) -> Result<Job, Failure> {
        let path = self.store.job(job.job).lock();
        let mut recoveries = Recoveries::default();
        loop {
            lock::wait(&path).map_err(|e| lock_failure(&path, &e))?;
            let now = self.fresh(job.job)?;
            if !now.is_live() {
                return Ok(now);
            }
            // It is lost, and its recovery has the lock now.
            recoveries.failed(self, &now)?;
        }
    }

    /// Every job ever, for what is asked about closed ones.
    pub(super) fn history(&self) -> Result<State, Failure> {
        self.state()?;
        self.store.history().map_err(store)
    }

    /// The jobs that `words` name, each once, in the order of the words.
    pub(super) fn jobs(&self, words: &[String]) -> Result<Vec<Job>, Failure> {
        let state = self.state()?;
        let known: Vec<Job> = state.jobs.into_values().collect();
        let mut found: Vec<Job> = Vec::new();
        let mut before: Option<(&str, String)> = None;
        for word in words {
            // `[3] auth` that a shell has split: this `auth` is %3, even if a
            // later job has the name too.
            if let Some((number, name)) = before.take()
                && number.starts_with('[')
                && name == *word
            {
                continue;
            }
            let job = match resolve(word, &known) {
                Ok(job) => job.clone(),
                Err(SpecError::NoSuchJob(_)) => {
                    let all = self.ever(word)?;
                    resolve(word, &all).map_err(|error| unresolved(error, word, &all))?.clone()
                }
                Err(error) => return Err(unresolved(error, word, &known)),
            };
            before = Some((word, job.spec.name.to_string()));
            if !found.iter().any(|seen| seen.job == job.job) {
                found.push(job);
            }
        }
        Ok(found)
    }

    /// The same, where the name of a group stands for all of its jobs: `auth` for
    /// `auth-1` to `auth-3`, unless there is a job of that name.
    pub(super) fn jobs_or_groups(&self, words: &[String]) -> Result<Vec<Job>, Failure> {
        let mut wide = Vec::new();
        for word in words {
            match self.group(word)? {
                Some(group) => wide.extend(group.iter().map(|job| job.job.to_string())),
                None => wide.push(word.clone()),
            }
        }
        self.jobs(&wide)
    }

    /// The newest group whose jobs are named `word-1`, `word-2`, ..., unless some
    /// job is named `word` itself.
    pub(super) fn group(&self, word: &str) -> Result<Option<Vec<Job>>, Failure> {
        let known: Vec<Job> = self.state()?.jobs.into_values().collect();
        let group = group_in(word, &known);
        if group.is_some() || !matches!(resolve(word, &known), Err(SpecError::NoSuchJob(_))) {
            return Ok(group);
        }
        Ok(group_in(word, &self.ever(word)?))
    }

    /// All jobs that there ever were and that `word` may mean, ascending.
    fn ever(&self, word: &str) -> Result<Vec<Job>, Failure> {
        match Spec::parse(word) {
            Spec::Number(id) | Spec::Both(id, _) => {
                Ok(self.store.numbered(id).map_err(store)?.into_iter().collect())
            }
            Spec::Name(name) if name.is_empty() => Ok(Vec::new()),
            Spec::Name(name) => self.store.named(&name).map_err(store),
            Spec::Current | Spec::Previous => {
                Ok(self.store.history().map_err(store)?.jobs.into_values().collect())
            }
        }
    }

    /// The one job that `words` name. What `cx spawn` prints may come as two
    /// words, since shells split it.
    pub(super) fn job(&self, words: &[String]) -> Result<Job, Failure> {
        let mut jobs = self.jobs(words)?;
        match (jobs.pop(), jobs.is_empty()) {
            (Some(job), true) => Ok(job),
            _ => Err(Failure::usage(format!("one job is wanted, not '{}'", words.join(" ")))
                .hint("`cx jobs` lists them")),
        }
    }

    /// Whether a job belongs to the run that this shell is in, if it is in one.
    pub(super) fn in_run(&self, job: &Job) -> bool {
        self.run.is_none() || self.run == job.spec.run
    }

    /// The run that `word` names: its id, or the beginning of only one.
    pub(super) fn find_run<'s>(word: &str, state: &'s State) -> Result<&'s Run, Failure> {
        if let Some(run) = state.runs.get(word) {
            return Ok(run);
        }
        let begins = |run: &&Run| !word.is_empty() && run.id().starts_with(word);
        let found: Vec<&Run> = state.runs.values().filter(begins).collect();
        match found.as_slice() {
            [one] => Ok(one),
            [] => Err(Failure::new(Exit::NotFound, format!("no such run: {word}"))
                .hint("`cx runs -a` lists all runs of this repository")),
            many => {
                let ids: Vec<&str> = many.iter().map(|run| run.id()).collect();
                Err(Failure::usage(format!("'{word}' can be {}", ids.join(" or "))))
            }
        }
    }

    /// The same session, for the jobs of one run alone where one is named.
    pub(super) fn narrowed(mut self, run: Option<&str>) -> Result<Self, Failure> {
        if let Some(word) = run {
            // Who sets `CX_RUN` by hand makes a run of which nothing but its jobs knows.
            let is_of_it = |job: &Job| job.spec.run.as_deref() == Some(word);
            let is_known = |s: &State| s.runs.contains_key(word) || s.jobs.values().any(is_of_it);
            let mut state = self.store.state().map_err(store)?;
            if !is_known(&state) {
                // It was long ago, or that is only the beginning of its id.
                state = self.store.history().map_err(store)?;
            }
            let found = Self::find_run(word, &state).map(|run| run.id().to_owned());
            self.run = Some(match found {
                Err(_) if is_known(&state) => word.to_owned(),
                found => found?,
            });
        }
        Ok(self)
    }

    /// Whether somebody works through a run that is not over.
    pub(super) fn is_worked_through(&self, run: &Run) -> Result<bool, Failure> {
        let path = self.store.run(run.id()).lock();
        Ok(run.is_open() && lock::is_held(&path).map_err(|e| lock_failure(&path, &e))?)
    }

    /// A job as it is now.
    pub(super) fn fresh(&self, id: JobId) -> Result<Job, Failure> {
        match self.state()?.jobs.remove(&id) {
            Some(job) => Ok(job),
            None => self
                .jobs(&[id.to_string()])?
                .pop()
                .ok_or_else(|| spec(SpecError::NoSuchJob(id.to_string()))),
        }
    }
}

/// Refuses verbs that change something when they are run by a worker.
pub(super) fn refuse_in_worker(verb: &str) -> Result<(), Failure> {
    let Some(job) = env::var_os("CX_JOB") else { return Ok(()) };
    let name = env::var("CX_NAME").unwrap_or_default();
    Err(Failure::usage(format!(
        "a worker cannot {verb}, and this is the worker of job %{} {name}",
        job.to_string_lossy()
    ))
    .hint("do the task yourself, or say in your answer what else is needed"))
}

/// `[3] auth`.
pub(super) fn label(job: &Job) -> String {
    format!("[{}] {}", job.id().0, job.spec.name)
}

/// What does a job's work, as it was when the job was spawned.
pub(super) fn backend_of(files: &JobFiles, job: &Job) -> Result<Backend, KeptError> {
    Backend::of_job(job.spec.backend, &files.backend())
}

/// A worktree of `job`, to be looked at, also while its worker has git's folder of it.
pub(super) fn seen(store: &Store, place: &Place, job: &Job, path: &str) -> Result<Place, GitError> {
    let stand_in = store.job(job.job).stand_in();
    grant::seen(place, Path::new(path), job.is_live().then_some(stand_in.as_path()))
}

/// A failure of the state.
#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
pub(super) fn store(error: StoreError) -> Failure {
    Failure::internal(error.to_string()).maybe_hint(error.hint())
}

/// A failure of git.
#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
pub(super) fn git(error: GitError) -> Failure {
    Failure::internal(error.to_string()).maybe_hint(error.hint())
}

/// A spec that names no job, or too many.
#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
pub(super) fn spec(error: SpecError) -> Failure {
    let exit = match error {
        SpecError::NoSuchJob(_) | SpecError::NotThatName { .. } => Exit::NotFound,
        SpecError::Ambiguous { .. } => Exit::Usage,
    };
    Failure::new(exit, error.to_string()).hint("`cx jobs -a` lists all jobs of this repository")
}

/// The same, where the word may be the name of a group.
fn unresolved(error: SpecError, word: &str, jobs: &[Job]) -> Failure {
    let failure = spec(error);
    let Some(group) = group_in(word, jobs) else { return failure };
    let first = group.first().map_or("", |job| job.spec.name.as_str());
    let word = word.strip_prefix('%').unwrap_or(word);
    failure.hint(format!(
        "it is a group: `cx compare {word}` puts it side by side, `cx pick {first}` merges one of it"
    ))
}

/// The newest group whose jobs are named `word-1`, `word-2`, ..., unless some job
/// is named `word` itself. `jobs` are in ascending order.
fn group_in(word: &str, jobs: &[Job]) -> Option<Vec<Job>> {
    let word = word.strip_prefix('%').unwrap_or(word);
    if jobs.iter().any(|job| job.spec.name.as_str() == word) {
        return None;
    }
    let is_member = |job: &&Job| {
        let number = job.spec.name.as_str().strip_prefix(word).and_then(|r| r.strip_prefix('-'));
        job.spec.group.is_some() && number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let group = jobs.iter().rev().find(is_member)?.spec.group.clone();
    Some(jobs.iter().filter(|job| job.spec.group == group).cloned().collect())
}

fn lock_failure(path: &Path, error: &io::Error) -> Failure {
    Failure::internal(format!("cannot use the lock {}: {error}", path.display()))
}
