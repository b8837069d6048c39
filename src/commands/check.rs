//! The check: a command of the person's, run on commits in a scratch worktree.
//!
//! `cx merge --verify` asks it about sets of jobs, `cx compare --verify` about each
//! one. Build caches stay from run to run, because ignored files do.
//!
//! ```text
//! STATE/verify.lock       held as long as one command uses the scratch worktree
//! STATE/verify/scratch    where the scratch worktree is, for `cx clean`
//! STATE/verify/N/M.log    what the command wrote in try M of use N
//! TREES/.verify           the scratch worktree; ignored files stay from try to try
//! ```
//! Every process of a try carries `CX_VERIFY_TREE` in its environment and is on a
//! leash: it ends when cx ends, also by `kill -9` ([`leash`]). What a crash leaves
//! are these files, which the next use takes over and `cx clean` removes.
//!
//! [`leash`]: crate::process::leash

use std::{
    collections::HashMap,
    env,
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    session::{Session, git},
    settings::Settings,
};
use crate::{
    backend::program,
    config::Command,
    failure::{Exit, Failure},
    git::{Oid, Repo, include, worktree},
    job::WorkerExit,
    process::{
        crash, ending,
        leash::{Ended, Interrupts, Leashed},
        lock, tree,
    },
    ui,
};

/// The scratch worktree's name; no job can have it.
pub(crate) const FOLDER: &str = ".verify";

/// The logs of so many uses are kept.
const KEPT: usize = 20;

/// One run of the command.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Try {
    /// Counted from 1.
    pub(super) number: usize,
    /// The jobs that were merged, in order; none: the branch as it is.
    pub(super) jobs: Vec<String>,
    /// `green`, `red`, `timed-out`.
    pub(super) result: &'static str,
    /// The exit code, or 128 + signal.
    pub(super) code: Option<u8>,
    /// How long it took.
    pub(super) seconds: f64,
    /// What it wrote.
    pub(super) log: String,
}

impl Try {
    /// Whether it succeeded.
    pub(super) fn is_green(&self) -> bool {
        self.result == "green"
    }
}

/// What has to succeed, and how./// What has to succeed, and how.
pub(super) struct Check {
    command: Command,
    limit: Option<Duration>,
    grace: Duration,
    setup: Vec<String>,
    include: Vec<String>,
    tree: PathBuf,
    /// What an error says did not happen: `nothing was merged`.
    so: &'static str,
}

impl Check {
    /// What the command line says (`given`), or the configuration. A check that
    /// the repository asks for and nobody trusts is not passed over in silence.
    /// `so` is what an error says did not happen.
    pub(super) fn wanted(
        session: &Session,
        given: Option<&str>,
        limit: Option<Duration>,
        so: &'static str,
    ) -> Result<Option<Self>, Failure> {
        let place = session.repository("a check")?;
        let settings = Settings::load(session)?;
        let Some(command) = command(&settings, given, so)? else { return Ok(None) };
        Ok(Some(Self {
            command,
            limit: limit.or(settings.config.merge.verify_timeout),
            grace: settings.config.grace,
            setup: settings.setup(false)?,
            include: settings.config.worktree.include.clone(),
            tree: settings.worktree_folder(place).join(FOLDER),
            so,
        }))
    }
}

impl Check {
    /// The command, on one line for sh.
    pub(super) fn command(&self) -> String {
        match &self.command {
            Command::Shell(line) => line.clone(),
            Command::Argv(argv) => {
                let words: Vec<String> = argv.iter().map(|word| ui::quoted(word)).collect();
                words.join(" ")
            }
        }
    }
}

/// What the command line says, or the configuration; `so` is what did not happen.
fn command(settings: &Settings, given: Option<&str>, so: &str) -> Result<Option<Command>, Failure> {
    Ok(match given {
        Some(line) if line.trim().is_empty() => {
            return Err(Failure::usage(format!("--verify is empty; {so}")));
        }
        Some(line) => Some(Command::Shell(line.to_owned())),
        None if settings.is_withheld("merge.verify") => {
            return Err(Failure::new(
                Exit::Failed,
                format!("merge.verify of this repository's .cx/config.toml is not trusted; {so}"),
            )
            .hint(
                "`cx trust` shows it and remembers that you trust it; --no-verify does without",
            ));
        }
        None => settings.config.merge.verify.as_ref().map(|command| command.value.clone()),
    })
}

/// The argv of the check that a resolution has to pass; empty for none.
pub(super) fn verify_argv(
    settings: &Settings,
    given: Option<&str>,
) -> Result<Vec<String>, Failure> {
    Ok(command(settings, given, "nothing was started")?.as_ref().map(argv).unwrap_or_default())
}

/// Runs the check on commits, one after the other, none of them twice.
pub(super) struct Checker<'a> {
    session: &'a Session,
    repo: &'a Repo,
    check: Check,
    interrupts: Interrupts,
    /// The folder for the logs of this use.
    logs: PathBuf,
    /// Trees that were run, and the number of the run.
    known: HashMap<Oid, usize>,
    tries: Vec<Try>,
    _lock: File,
}

impl<'a> Checker<'a> {
    /// Takes the scratch worktree; waits where another command has it.
    pub(super) fn new(session: &'a Session, repo: &'a Repo, check: Check) -> Result<Self, Failure> {
        let state = session.store.dir();
        let failed = |e: io::Error| Failure::internal(format!("cannot verify: {e}; {}", check.so));
        let path = state.join("verify.lock");
        if lock::is_held(&path).map_err(failed)? {
            ui::note("another cx verifies here; waiting for it");
        }
        let lock = lock::create(&path).map_err(failed)?;
        let interrupts = Interrupts::install().map_err(failed)?;
        // Of one that was killed together with its helper.
        let mark = [b"CX_VERIFY_TREE=", check.tree.as_os_str().as_encoded_bytes()].concat();
        ending::end_strangers(|| tree::marked_with(&mark), 15, check.grace).map_err(failed)?;
        let logs = logs_folder(&state.join("verify"), &check.tree).map_err(failed)?;
        Ok(Self {
            session,
            repo,
            check,
            interrupts,
            logs,
            known: HashMap::new(),
            tries: Vec::new(),
            _lock: lock,
        })
    }

    /// What was run so far.
    pub(super) fn tries(&self) -> &[Try] {
        &self.tries
    }

    /// Once somebody has said stop, nothing goes on.
    pub(super) fn refuse_interrupted(&self) -> Result<(), Failure> {
        let Some(signal) = self.interrupts.seen() else { return Ok(()) };
        let code = u8::try_from(128 + signal).unwrap_or(1);
        Err(Failure::new(Exit::Code(code), format!("interrupted; {}", self.check.so)))
    }

    /// Runs the command on a commit. One whose tree was run needs no other run.
    /// `jobs` are what it holds; `bare` says what it is where it holds none.
    pub(super) fn run(
        &mut self,
        commit: &Oid,
        jobs: Vec<String>,
        bare: &str,
    ) -> Result<&Try, Failure> {
        let tree = self.repo.tree_of(commit).map_err(git)?;
        if let Some(at) = self.known.get(&tree) {
            return Ok(&self.tries[*at]);
        }
        self.refuse_interrupted()?;
        self.check_out(commit).map_err(|error| self.refuse_interrupted().err().unwrap_or(error))?;
        crash::point("verify-checked-out");
        let number = self.tries.len() + 1;
        let who = match jobs.as_slice() {
            [] => bare.to_owned(),
            jobs => jobs.join(", "),
        };
        ui::note(format_args!("verify {number}: {who}"));
        let log = self.logs.join(format!("{number}.log"));
        let begun = Instant::now();
        let ended = self.execute(&argv(&self.check.command), &log, self.check.limit)?;
        let took = begun.elapsed();
        let (result, code) = match ended {
            Ended::Exited(WorkerExit::Code(0)) => ("green", Some(0)),
            Ended::Exited(exit) => ("red", Some(exit.shell_code())),
            Ended::TimedOut => ("timed-out", None),
            Ended::Interrupted(_) => {
                self.refuse_interrupted()?;
                ("red", None)
            }
        };
        let log = log.display().to_string();
        let after = ui::short(took);
        match (result, code) {
            ("green", _) => ui::note(format_args!("verify {number}: green after {after}")),
            ("timed-out", _) => {
                ui::note(format_args!("verify {number}: red, ended after {after}: {log}"));
            }
            (_, code) => {
                let code = code.map_or_else(|| "?".to_owned(), |code| code.to_string());
                ui::note(format_args!("verify {number}: red (exit {code}) after {after}: {log}"));
            }
        }
        self.known.insert(tree, self.tries.len());
        self.tries.push(Try { number, jobs, result, code, seconds: took.as_secs_f64(), log });
        Ok(&self.tries[number - 1])
    }

    /// Brings the scratch worktree to `commit`; sets it up where it is new.
    fn check_out(&self, commit: &Oid) -> Result<(), Failure> {
        let (place, path) = (self.repo.place(), &self.check.tree);
        let lock = self.session.store.worktree_lock();
        if !worktree::check_out(place, path, commit, &lock).map_err(git)? {
            return Ok(());
        }
        if let Some(checkout) = &place.checkout {
            include::copy(checkout, path, &self.check.include).map_err(git)?;
        }
        if self.check.setup.is_empty() {
            return Ok(());
        }
        ui::note("verify: setting up the scratch worktree");
        let log = self.logs.join("setup.log");
        match self.execute(&self.check.setup, &log, None)? {
            Ended::Exited(WorkerExit::Code(0)) => Ok(()),
            Ended::Interrupted(_) => self.refuse_interrupted(),
            _ => {
                // The next merge begins with it again.
                if let Ok(Some(trash)) = worktree::remove(place, path, &lock) {
                    let _ = worktree::delete(&trash);
                }
                Err(Failure::new(
                    Exit::Failed,
                    format!("worktree.setup failed in the scratch worktree; {}", self.check.so),
                )
                .hint(format!("what it said is in {}", log.display())))
            }
        }
    }

    /// Runs an argv at the top of the scratch worktree.
    fn execute(
        &self,
        argv: &[String],
        log: &Path,
        limit: Option<Duration>,
    ) -> Result<Ended, Failure> {
        let [word, rest @ ..] = argv else { return Err(Failure::internal("an empty command")) };
        let path = env::var_os("PATH").unwrap_or_default();
        let program = program::locate_word(word.as_ref(), &path).map_err(|error| {
            let exit = if error.exit_code() == 126 { Exit::NotExecutable } else { Exit::NotFound };
            Failure::new(exit, format!("{error}; {}", self.check.so)).maybe_hint(error.hint())
        })?;
        let leashed = Leashed {
            // What is relative is so to the merged tree.
            program: self.check.tree.join(program),
            args: rest.iter().map(Into::into).collect(),
            dir: self.check.tree.clone(),
            env: vec![
                ("CX_MERGE".into(), "1".into()),
                ("CX_VERIFY_TREE".into(), self.check.tree.clone().into()),
            ],
            env_remove: scrubbed(),
            log: log.to_owned(),
            limit,
            grace: self.check.grace,
        };
        leashed.run(&self.interrupts).map_err(|error| {
            Failure::internal(format!("cannot run {word}: {error}; {}", self.check.so))
        })
    }
}

/// All of git's variables, and those of our own tests.
fn scrubbed() -> Vec<OsString> {
    let git = env::vars_os().map(|(name, _)| name);
    git.filter(|name| name.as_encoded_bytes().starts_with(b"GIT_"))
        .chain(["CX_CRASH_AT".into()])
        .collect()
}

fn argv(command: &Command) -> Vec<String> {
    match command {
        Command::Shell(script) => vec!["sh".to_owned(), "-c".to_owned(), script.clone()],
        Command::Argv(argv) => argv.clone(),
    }
}

/// A new folder for logs below `all`, which also remembers where the scratch
/// worktree is. The oldest folders go.
fn logs_folder(all: &Path, tree: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(all)?;
    fs::write(all.join("scratch"), tree.as_os_str().as_encoded_bytes())?;
    let mut numbers: Vec<u64> = fs::read_dir(all)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    for old in numbers.iter().rev().skip(KEPT - 1) {
        let _ = fs::remove_dir_all(all.join(old.to_string()));
    }
    let folder = all.join((numbers.last().copied().unwrap_or_default() + 1).to_string());
    fs::create_dir(&folder)?;
    Ok(folder)
}

/// Where the scratch worktree of this repository is, for `cx clean`; none where
/// none was made.
pub(super) fn scratch(state: &Path) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let path = PathBuf::from(OsString::from_vec(fs::read(state.join("verify/scratch")).ok()?));
    (path.file_name() == Some(FOLDER.as_ref())).then_some(path)
}
