//! `--verify`: nothing lands that a command of the person's has not passed.
//!
//! The batch is merged in memory, checked out in a scratch worktree, and the
//! command runs there. Where it fails, [`bisect`] asks for other sets of the same
//! jobs until it knows whom to hold back, and what is left was run and was green.
//!
//! ```text
//! STATE/verify.lock       held as long as one merge uses the scratch worktree
//! STATE/verify/scratch    where the scratch worktree is, for `cx clean`
//! STATE/verify/N/M.log    what the command wrote in try M of merge N
//! TREES/.verify           the scratch worktree; ignored files stay from try to try
//! ```
//! Every process of a try carries `CX_VERIFY_TREE` in its environment and is on a
//! leash: it ends when cx ends, also by `kill -9` ([`leash`]). What a crash leaves
//! are these files, which the next merge uses and `cx clean` takes.

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
    MergeArgs,
    bisect::{self, Held},
};
use crate::{
    backend::program,
    commands::{
        session::{Session, git},
        settings::Settings,
    },
    config::Command,
    failure::{Exit, Failure},
    git::{
        Oid, Repo, include,
        merge::{self, Candidate, MergePlan, Order, Target, Verdict},
        worktree,
    },
    job::WorkerExit,
    process::{
        crash,
        leash::{Ended, Interrupts, Leashed},
        lock, tree,
    },
    ui,
};

/// The scratch worktree's name; no job can have it.
pub(crate) const FOLDER: &str = ".verify";

/// The logs of so many merges are kept.
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

/// What has to succeed, and how.
pub(super) struct Check {
    command: Command,
    limit: Option<Duration>,
    grace: Duration,
    /// Every step, not only the result.
    each: bool,
    setup: Vec<String>,
    include: Vec<String>,
    tree: PathBuf,
}

impl Check {
    /// What the command line or the configuration asks for. A check that the
    /// repository asks for and nobody trusts is not passed over in silence.
    pub(super) fn wanted(session: &Session, args: &MergeArgs) -> Result<Option<Self>, Failure> {
        if args.no_verify {
            return Ok(None);
        }
        let place = session.repository("merge")?;
        let settings = Settings::load(session)?;
        let command = match &args.verify {
            Some(line) if line.trim().is_empty() => {
                return Err(Failure::usage("--verify is empty; nothing was merged"));
            }
            Some(line) => Some(Command::Shell(line.clone())),
            None if settings.is_withheld("merge.verify") => {
                return Err(Failure::new(
                    Exit::Failed,
                    "merge.verify of this repository's .cx/config.toml is not trusted; nothing was merged",
                )
                .hint("`cx trust` shows it and remembers that you trust it; --no-verify merges without"));
            }
            None => settings.config.merge.verify.as_ref().map(|command| command.value.clone()),
        };
        let Some(command) = command else {
            if args.verify_each {
                return Err(Failure::usage("--verify-each needs a command; nothing was merged")
                    .hint("give --verify CMD, or set merge.verify in the configuration"));
            }
            return Ok(None);
        };
        Ok(Some(Self {
            command,
            limit: args.verify_timeout.or(settings.config.merge.verify_timeout),
            grace: settings.config.grace,
            each: args.verify_each,
            setup: settings.setup(false)?,
            include: settings.config.worktree.include.clone(),
            tree: settings.worktree_folder(place).join(FOLDER),
        }))
    }
}

/// Holds back what makes the plan red.
pub(super) struct Verifier<'a> {
    session: &'a Session,
    repo: &'a Repo,
    target: &'a Target,
    candidates: &'a [Candidate],
    args: &'a MergeArgs,
    check: Check,
    interrupts: Interrupts,
    /// The folder for this merge's logs.
    logs: PathBuf,
    /// Plans of sets that were asked for, by places in the batch.
    plans: HashMap<Vec<usize>, MergePlan>,
    /// Trees that were run.
    known: HashMap<Oid, bool>,
    tries: Vec<Try>,
    _lock: File,
}

impl<'a> Verifier<'a> {
    /// Takes the scratch worktree; waits where another merge has it.
    pub(super) fn new(
        session: &'a Session,
        repo: &'a Repo,
        target: &'a Target,
        candidates: &'a [Candidate],
        args: &'a MergeArgs,
        check: Check,
    ) -> Result<Self, Failure> {
        let state = session.store.dir();
        let failed =
            |e: io::Error| Failure::internal(format!("cannot verify: {e}; nothing was merged"));
        let path = state.join("verify.lock");
        if lock::is_held(&path).map_err(failed)? {
            ui::note("another cx merge verifies here; waiting for it");
        }
        let lock = lock::create(&path).map_err(failed)?;
        let interrupts = Interrupts::install().map_err(failed)?;
        // Of a merge that was killed together with its helper.
        let mark = [b"CX_VERIFY_TREE=", check.tree.as_os_str().as_encoded_bytes()].concat();
        tree::end_strangers(|| tree::marked_with(&mark), 15, check.grace).map_err(failed)?;
        let logs = logs_folder(&state.join("verify"), &check.tree).map_err(failed)?;
        Ok(Self {
            session,
            repo,
            target,
            candidates,
            args,
            check,
            interrupts,
            logs,
            plans: HashMap::new(),
            known: HashMap::new(),
            tries: Vec::new(),
            _lock: lock,
        })
    }

    /// Finds out what of `plan` is green, and holds back the rest.
    pub(super) fn hold_back(&mut self, plan: &MergePlan) -> Result<MergePlan, Failure> {
        let batch = &plan.landed;
        let all: Vec<usize> = (0..batch.len()).collect();
        self.plans.insert(all, plan.clone());
        let each = self.check.each;
        let mut oracle = |places: &[usize]| self.is_green(batch, places);
        let found = if each {
            bisect::each(batch.len(), &mut oracle)?
        } else {
            bisect::search(batch.len(), &mut oracle)?
        };
        if found.base_is_red {
            let log = self.tries.last().map(|last| last.log.clone()).unwrap_or_default();
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "{} is red before anything is merged into it; nothing was merged",
                    self.target.branch
                ),
            )
            .hint(format!("what it said is in {log}")));
        }
        let mut verified = plan.clone();
        for held in &found.held {
            self.hold(&mut verified, batch, held);
        }
        if found.green.len() < batch.len() {
            let green = self.plan(batch, &found.green)?;
            for (entry, place) in green.entries.iter().zip(&found.green) {
                verified.entries[batch[*place]].verdict = entry.verdict.clone();
            }
            verified.landed = green.landed.iter().map(|at| batch[found.green[*at]]).collect();
            verified.result = green.result;
        }
        Ok(verified)
    }

    /// Hooks may have changed what was run: it is run again then.
    pub(super) fn confirm(&mut self, sealed: &MergePlan) -> Result<(), Failure> {
        self.refuse_interrupted()?;
        if !sealed.lands_something() {
            return Ok(());
        }
        let jobs = sealed.landed.iter().map(|at| sealed.entries[*at].key.clone()).collect();
        if self.run(&sealed.result, jobs)? {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Failed,
            "what the repository's hooks made of the merges is red; nothing was merged",
        )
        .hint("cx merge --no-hooks lands what was green"))
    }

    /// What was run so far.
    pub(super) fn tries(&self) -> &[Try] {
        &self.tries
    }

    /// Once somebody has said stop, nothing lands any more.
    fn refuse_interrupted(&self) -> Result<(), Failure> {
        let Some(signal) = self.interrupts.seen() else { return Ok(()) };
        let code = u8::try_from(128 + signal).unwrap_or(1);
        Err(Failure::new(Exit::Code(code), "interrupted; nothing was merged"))
    }

    fn hold(&self, verified: &mut MergePlan, batch: &[usize], held: &Held) {
        let keys = |places: &[usize]| -> Vec<String> {
            places.iter().map(|place| self.candidates[batch[*place]].key.clone()).collect()
        };
        match held {
            Held::Alone(place) => {
                let verdict = Verdict::Red { with: Vec::new(), on: Vec::new() };
                verified.entries[batch[*place]].verdict = verdict;
            }
            Held::OnTopOf(place, below) => {
                let verdict = Verdict::Red { with: Vec::new(), on: keys(below) };
                verified.entries[batch[*place]].verdict = verdict;
            }
            Held::Together(group) => {
                for place in group {
                    let others: Vec<usize> =
                        group.iter().copied().filter(|other| other != place).collect();
                    let verdict = Verdict::Red { with: keys(&others), on: Vec::new() };
                    verified.entries[batch[*place]].verdict = verdict;
                }
            }
        }
    }

    /// The plan for some of the batch, in its order.
    fn plan(&mut self, batch: &[usize], places: &[usize]) -> Result<MergePlan, Failure> {
        if let Some(plan) = self.plans.get(places) {
            return Ok(plan.clone());
        }
        let some: Vec<Candidate> =
            places.iter().map(|place| self.candidates[batch[*place]].clone()).collect();
        let style = self.args.style();
        let plan =
            merge::plan(self.repo, &self.target.tip, &some, style, Order::AsGiven).map_err(git);
        // Git hears the Ctrl-C of a terminal too.
        let plan = plan.map_err(|error| self.refuse_interrupted().err().unwrap_or(error))?;
        self.plans.insert(places.to_vec(), plan.clone());
        Ok(plan)
    }

    fn is_green(&mut self, batch: &[usize], places: &[usize]) -> Result<bool, Failure> {
        let plan = self.plan(batch, places)?;
        let jobs = places.iter().map(|place| self.candidates[batch[*place]].key.clone()).collect();
        self.run(&plan.result, jobs)
    }

    /// Runs the command on a commit. One whose tree was run needs no other run.
    fn run(&mut self, commit: &Oid, jobs: Vec<String>) -> Result<bool, Failure> {
        let tree = self.repo.tree_of(commit).map_err(git)?;
        if let Some(green) = self.known.get(&tree) {
            return Ok(*green);
        }
        self.refuse_interrupted()?;
        self.check_out(commit).map_err(|error| self.refuse_interrupted().err().unwrap_or(error))?;
        crash::point("verify-checked-out");
        let number = self.tries.len() + 1;
        let who = match jobs.as_slice() {
            [] => format!("{} as it is", self.target.branch),
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
        let green = result == "green";
        self.tries.push(Try { number, jobs, result, code, seconds: took.as_secs_f64(), log });
        self.known.insert(tree, green);
        Ok(green)
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
                    "worktree.setup failed in the scratch worktree; nothing was merged",
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
            Failure::new(exit, format!("{error}; nothing was merged")).maybe_hint(error.hint())
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
            Failure::internal(format!("cannot run {word}: {error}; nothing was merged"))
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
/// no merge has made one.
pub(crate) fn scratch(state: &Path) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let path = PathBuf::from(OsString::from_vec(fs::read(state.join("verify/scratch")).ok()?));
    (path.file_name() == Some(FOLDER.as_ref())).then_some(path)
}
