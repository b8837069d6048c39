//! `cx spawn`
//!
//! Everything that can be checked is checked before anything is made; what is
//! slow (worktree, queueing) is left to the supervisor. A crash leaves a draft
//! folder, or a job whose supervisor never came, which is then found lost.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{self, IsTerminal, Read},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueHint};
use serde::Serialize;

use super::{
    session::{Session, git, label, refuse_in_worker, store},
    settings::Settings,
};
use crate::{
    agent::{self, Agent, ContextPack, Folders, PromptParts},
    backend,
    failure::{Exit, Failure},
    git::{Head, Place, Repo},
    job::{BackendKind, JobId, JobName, Mode, parse_duration, slug},
    ledger::{Event, Head as LedgerHead, JobFiles, Note, Spawned, Tree},
    process::{crash, lock, start},
    ui,
};

/// Start a job in the background and print `[N] NAME`
///
/// Returns at once. A reader works in the current folder under a read-only
/// sandbox; a writer gets a worktree and a branch `cx/NAME` of its own. What is
/// printed is a job spec: `id=$(cx spawn ...)`, then `cx wait "$id"`.
///
/// The prompt reaches the worker byte for byte: from the words, from stdin (`-`,
/// or no words and stdin is no terminal), or from a file. For `sh`, several
/// words are a program and its arguments, and one word is a script for `sh -c`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SpawnArgs {
    /// The role to give it: a file in `.cx/agents/`, `~/.config/cx/agents/`, or a built-in one
    #[arg(short = 't', long, value_name = "AGENT", add = super::completions::agent())]
    agent: Option<String>,

    /// Its name; also the branch's and the worktree's
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,

    /// Only look: this is what a job does unless its agent writes
    #[arg(short, long, conflicts_with = "write")]
    read: bool,

    /// Write, in a worktree and on a branch of its own
    #[arg(short, long)]
    write: bool,

    /// What does the work: codex or sh
    #[arg(short, long, value_name = "BACKEND", add = super::completions::backend())]
    backend: Option<String>,

    /// The model, in the backend's own words
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,

    /// Where a writer's branch starts; HEAD if not given
    #[arg(long, value_name = "REF", add = super::completions::branch())]
    base: Option<String>,

    /// What a writer may touch; may be repeated
    #[arg(long, value_name = "PATHSPEC")]
    scope: Vec<String>,

    /// End the worker after this long: 90s, 10m, 1h30m
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// End the worker when it has put out nothing for this long
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    silence: Option<Duration>,

    /// Start only once JOB has succeeded; may be repeated
    #[arg(long, value_name = "JOB", add = super::completions::any_job())]
    after: Vec<String>,

    /// Wait for a turn while N jobs of this repository run
    #[arg(long, value_name = "N")]
    max_jobs: Option<std::num::NonZeroU64>,

    /// Do not start without the repository's setup command, trusted or not
    #[arg(long)]
    require_setup: bool,

    /// Leave out the worker preamble
    #[arg(long)]
    no_preamble: bool,

    /// Read the prompt from FILE
    #[arg(short = 'F', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    #[command(flatten, next_help_heading = "Context for the worker (each may be repeated)")]
    context: ContextArgs,

    /// One JSON object in place of `[N] NAME`
    #[arg(long)]
    json: bool,

    /// The prompt; `-` reads stdin. Put `--` before one that begins with `-`
    #[arg(value_name = "PROMPT", trailing_var_arg = true, conflicts_with = "file")]
    prompt: Vec<OsString>,
}

#[derive(Debug, Args)]
struct ContextArgs {
    /// What the whole work is for
    #[arg(long, value_name = "TEXT")]
    goal: Vec<String>,
    /// What is not to be done
    #[arg(long, value_name = "TEXT")]
    non_goal: Vec<String>,
    /// What has to be kept to
    #[arg(long, value_name = "TEXT")]
    constraint: Vec<String>,
    /// Where to look
    #[arg(long, value_name = "TEXT")]
    pointer: Vec<String>,
    /// What is decided already
    #[arg(long, value_name = "TEXT")]
    decision: Vec<String>,
    /// How one sees that it is done
    #[arg(long, value_name = "TEXT")]
    success: Vec<String>,
    /// A file with any of these, or with any other text
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    context: Vec<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  cx spawn \"Where is the retry limit set?\"                 # a reader
  cx spawn -t coder -n auth \"Implement the token refresh\"  # a writer
  cx spawn --write --scope docs/ - < task.md
  cx spawn -b sh -- cargo test --workspace                 # a program as it is
  cx spawn -b sh -n lint 'cargo clippy 2>&1 | tail -20'    # a script
  id=$(cx spawn -t scout \"...\"); cx wait \"$id\" && cx collect \"$id\"";

#[derive(Serialize)]
struct Printed<'a> {
    job: JobId,
    name: &'a str,
    id: &'a str,
    mode: Mode,
    branch: Option<&'a str>,
    worktree: Option<&'a str>,
}

/// Runs the verb.
pub fn run(args: &SpawnArgs) -> Result<Exit, Failure> {
    refuse_in_worker("spawn workers")?;
    let session = Session::open()?;
    let settings = Settings::load(&session)?;
    let plan = Plan::check(args, &session, &settings)?;

    let draft = session.store.draft().map_err(store)?;
    crash::point("draft");
    let files = JobFiles::in_dir(draft.path());
    let write = |path: &Path, bytes: &[u8]| -> Result<(), Failure> {
        let mut file = JobFiles::create(path).map_err(store)?;
        io::Write::write_all(&mut file, bytes).map_err(|e| {
            Failure::internal(format!("cannot write {}: {e}; nothing was started", path.display()))
        })
    };
    write(&files.prompt(), &plan.prompt)?;
    let lock_file = lock::create(&files.lock()).map_err(|e| {
        Failure::internal(format!("cannot make a lock in {}: {e}", files.dir().display()))
    })?;

    let (id, spec, offset) = {
        let mut appender = session.store.appender().map_err(store)?;
        let head = appender.head().map_err(store)?;
        let spec = plan.finish(&session, &settings, &head)?;
        if spec.max_jobs.is_some() && spec.after.is_empty() {
            lock::begin_turn_wait(&lock_file).map_err(|e| {
                Failure::internal(format!("cannot queue the job: {e}; nothing was started"))
            })?;
        }
        let id = settle(&session, draft.path(), head.next)?;
        crash::point("settled");
        let event = Event::Spawned(Box::new(spec));
        let offset = match appender.append(id, &event) {
            Ok(offset) => offset,
            Err(error) => {
                // The job never came to be.
                let _ = session.store.job(id).remove();
                return Err(store(error));
            }
        };
        // Its folder is the job's from here on.
        let _ = draft.keep();
        let Event::Spawned(spec) = event else { return Err(Failure::internal("no such event")) };
        (id, spec, offset)
    };
    crash::point("spawned");
    let (number, at) = (id.0.to_string(), offset.to_string());
    let supervisor = [session.store.dir().as_os_str(), OsStr::new(&number), OsStr::new(&at)];
    let log = session.store.job(id).supervisor_log();
    // Should this fail, the lock goes with it, and the job is found lost.
    start::supervisor(&supervisor, lock_file, &log)
        .map_err(|e| Failure::internal(format!("cannot start a supervisor for {id}: {e}")))?;
    crash::point("supervisor-started");
    for note in &plan.notes {
        ui::warn(note);
        session.store.append(id, &Event::Note(Note { text: note.clone() })).map_err(store)?;
    }
    let mut out = ui::out();
    if args.json {
        let tree = spec.tree.as_ref();
        out.json(&Printed {
            job: id,
            name: spec.name.as_str(),
            id: &spec.id,
            mode: spec.mode,
            branch: tree.map(|tree| tree.branch.as_str()),
            worktree: tree.map(|tree| tree.path.as_str()),
        })?;
    } else {
        out.line(format_args!("[{}] {}", id.0, spec.name))?;
    }
    out.finish()?;
    Ok(Exit::Success)
}

/// Gives the draft the first number from `next` on that has no folder yet: one
/// without an event was left by a crash, and is not ours to remove.
fn settle(session: &Session, draft: &Path, next: u64) -> Result<JobId, Failure> {
    let mut number = next;
    loop {
        let id = JobId(number);
        match fs::rename(draft, session.store.job(id).dir()) {
            Ok(()) => return Ok(id),
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                number += 1;
            }
            Err(e) => {
                return Err(Failure::internal(format!(
                    "cannot make the folder of {id}: {e}; nothing was started"
                )));
            }
        }
    }
}

/// A job whose input is good.
struct Plan {
    spec: Spawned,
    prompt: Vec<u8>,
    /// The name was chosen by the person, and must not be another.
    named: bool,
    /// Base commit and prefix of a writer.
    base: Option<(String, String)>,
    notes: Vec<String>,
}

impl Plan {
    fn check(args: &SpawnArgs, session: &Session, settings: &Settings) -> Result<Self, Failure> {
        let checkout = session.place.as_ref().and_then(|place| place.checkout.clone());
        let config = &settings.config;
        let agent = match &args.agent {
            Some(name) => Some(find_agent(name, session, checkout.as_deref())?),
            None => None,
        };
        let agent = agent.as_ref();
        let backend = match &args.backend {
            Some(word) => word.parse().map_err(|()| {
                let known = BackendKind::ALL.map(BackendKind::as_str).join(", ");
                Failure::usage(format!("there is no backend '{word}'"))
                    .hint(format!("one of: {known}"))
            })?,
            None => agent.and_then(|agent| agent.backend).unwrap_or(config.backend),
        };
        let mode = match (args.read, args.write) {
            (true, _) => Mode::Reader,
            (_, true) => Mode::Writer,
            _ => agent.map_or(Mode::Reader, |agent| agent.mode),
        };
        let task = Task::read(args, backend)?;
        let scope = if args.scope.is_empty() {
            agent.map(|agent| agent.scope.clone()).unwrap_or_default()
        } else {
            args.scope.clone()
        };
        let prompt = compose(args, agent, backend, &scope, &task)?;
        backend::check_prompt(backend, &prompt)
            .map_err(|e| Failure::usage(e.to_string()).maybe_hint(e.hint()))?;
        let program = settings.program(backend, task.argv.first())?;
        let named = args.name.is_some();
        let name = match &args.name {
            Some(word) => JobName::new(word).map_err(|e| {
                Failure::usage(format!("'{word}' cannot be a job's name: it {e}"))
                    .hint("for example: -n auth, -n fix-123")
            })?,
            None => default_name(agent, backend, &task),
        };
        let base = match mode {
            Mode::Writer => Some(writer_base(args, session)?),
            Mode::Reader => {
                reader_base(args)?;
                None
            }
        };
        let after = args
            .after
            .iter()
            .map(|word| Ok(session.jobs(std::slice::from_ref(word))?.first().map(|job| job.job)))
            .collect::<Result<Vec<_>, Failure>>()?;
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let timeout = args.timeout.or(agent.and_then(|agent| agent.timeout)).or(config.timeout);
        let silence = args
            .silence
            .or(agent.and_then(|agent| agent.silence))
            .or_else(|| config.silence_for(backend));
        let model = args
            .model
            .clone()
            .or_else(|| agent.and_then(|agent| agent.model.clone()))
            .or_else(|| config.model_for(backend).map(str::to_owned));
        if model.as_deref().is_some_and(|model| model.is_empty() || model.starts_with('-')) {
            return Err(Failure::usage("a model's name cannot be empty or begin with '-'"));
        }
        let utf8 = |path: &Path| path_text(path);
        let notes = settings.notes.clone();
        let setup =
            if mode == Mode::Writer { settings.setup(args.require_setup)? } else { Vec::new() };
        let max_jobs = args.max_jobs.map(std::num::NonZeroU64::get);
        let max_jobs = max_jobs.or_else(|| config.max_jobs.map(|n| n.get() as u64));
        Ok(Self {
            spec: Spawned {
                id: unique_id()?,
                name,
                mode,
                backend,
                program: utf8(&program)?,
                argv: task.argv.clone(),
                agent: args.agent.clone(),
                model,
                run: session.run.clone(),
                cwd: utf8(&session.cwd)?,
                checkout: checkout.as_deref().map(utf8).transpose()?,
                tree: None,
                scope,
                after: after.into_iter().flatten().collect(),
                timeout_ms: timeout.map(millis),
                silence_ms: silence.map(millis),
                grace_ms: millis(config.grace),
                max_jobs,
                setup,
                include: config.worktree.include.clone(),
                extra_args: settings.extra_args(backend)?,
                env_exclude: config.codex.env_exclude.clone(),
                title: task.title(),
            },
            prompt,
            named,
            base,
            notes,
        })
    }

    /// Settles name, branch and worktree, under the ledger's lock.
    fn finish(
        &self,
        session: &Session,
        settings: &Settings,
        head: &LedgerHead,
    ) -> Result<Spawned, Failure> {
        let mut spec = self.spec.clone();
        let Some((base, prefix)) = &self.base else {
            spec.name = self.free_name(session, head, &|_| Ok(None))?;
            return Ok(spec);
        };
        let place = session.repository("a writer")?;
        let folder = settings.worktree_folder(place);
        let repo = Repo::open(place);
        let branch = |name: &str| format!("cx/{name}");
        spec.name = self.free_name(session, head, &|name| {
            if repo.branch_exists(&branch(name)).map_err(git)? {
                return Ok(Some(format!("branch {} exists already", branch(name))));
            }
            let path = folder.join(name);
            let there = fs::symlink_metadata(&path).is_ok();
            Ok(there.then(|| format!("{} exists already", path.display())))
        })?;
        spec.tree = Some(Tree {
            path: path_text(&folder.join(spec.name.as_str()))?,
            branch: branch(spec.name.as_str()),
            base: base.clone(),
            prefix: prefix.clone(),
        });
        Ok(spec)
    }

    /// The job's name: as it was given, or with a suffix where cx chose it.
    fn free_name(
        &self,
        session: &Session,
        head: &LedgerHead,
        occupied: &dyn Fn(&str) -> Result<Option<String>, Failure>,
    ) -> Result<JobName, Failure> {
        let name = self.spec.name.as_str();
        if !self.named {
            let taken =
                |name: &str| head.taken.contains_key(name) || !matches!(occupied(name), Ok(None));
            return Ok(self.spec.name.untaken(taken));
        }
        if let Some(id) = head.taken.get(name) {
            let job = session.store.state().map_err(store)?.jobs.remove(id);
            let (who, live) =
                job.as_ref().map_or((id.to_string(), true), |job| (label(job), job.is_live()));
            let failure = Failure::usage(format!(
                "the name '{name}' is in use by {who}; nothing was started"
            ));
            return Err(if live {
                failure.hint("choose another with -n, or leave -n out")
            } else {
                failure.hint(format!(
                    "`cx merge {name}`, then `cx clean {name}` frees it; or choose another with -n"
                ))
            });
        }
        match occupied(name)? {
            None => Ok(self.spec.name.clone()),
            Some(why) => Err(Failure::usage(format!("'{name}' cannot be the job's name: {why}"))
                .hint("choose another with -n, or leave -n out")),
        }
    }
}

/// What the job is told, before roles and preamble.
struct Task {
    bytes: Vec<u8>,
    /// For `sh`: a program and its arguments.
    argv: Vec<String>,
}

impl Task {
    fn read(args: &SpawnArgs, backend: BackendKind) -> Result<Self, Failure> {
        if let Some(path) = &args.file {
            let bytes = fs::read(path).map_err(|e| {
                Failure::usage(format!("cannot read the prompt from {}: {e}", path.display()))
            })?;
            return Ok(Self { bytes, argv: Vec::new() });
        }
        match args.prompt.as_slice() {
            [] if io::stdin().is_terminal() => Err(Failure::usage("there is no prompt")
                .hint("cx spawn \"What to do\", or -F FILE, or `-` for stdin")),
            [] => Self::stdin(),
            [dash] if dash == "-" => Self::stdin(),
            [one] => Ok(Self { bytes: one.as_bytes().to_vec(), argv: Vec::new() }),
            words if backend == BackendKind::Sh => {
                let words = words
                    .iter()
                    .map(|word| {
                        word.clone().into_string().map_err(|word| {
                            Failure::usage(format!("the argument {} is not UTF-8", word.display()))
                                .hint("give it as a script: one word, -F FILE or stdin take any bytes")
                        })
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                let bytes = words.join("\0").into_bytes();
                Ok(Self { bytes, argv: words })
            }
            words => Ok(Self { bytes: words.join(OsStr::new(" ")).into_vec(), argv: Vec::new() }),
        }
    }

    fn stdin() -> Result<Self, Failure> {
        let mut bytes = Vec::new();
        io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|e| Failure::usage(format!("cannot read the prompt from stdin: {e}")))?;
        Ok(Self { bytes, argv: Vec::new() })
    }

    /// The first line that says something, for listings.
    fn title(&self) -> String {
        let text = if self.argv.is_empty() {
            String::from_utf8_lossy(
                self.bytes.get(..self.bytes.len().min(4096)).unwrap_or_default(),
            )
            .into_owned()
        } else {
            self.argv.join(" ")
        };
        let line = text.lines().map(ui::clean).find(|line| !line.is_empty()).unwrap_or_default();
        ui::cut(&line, 120)
    }
}

fn find_agent(name: &str, session: &Session, checkout: Option<&Path>) -> Result<Agent, Failure> {
    let folders = Folders { checkout, config_home: &session.roots.config_home };
    let agent = agent::find(name, &folders)
        .map_err(|e| Failure::usage(e.to_string()).maybe_hint(e.hint()))?;
    if agent.needs_trust() {
        Settings::require_trusted_agent(session, name)?;
    }
    Ok(agent)
}

/// What the worker reads. A script is never dressed up.
fn compose(
    args: &SpawnArgs,
    agent: Option<&Agent>,
    backend: BackendKind,
    scope: &[String],
    task: &Task,
) -> Result<Vec<u8>, Failure> {
    let mut context = ContextPack {
        goal: args.context.goal.clone(),
        non_goals: args.context.non_goal.clone(),
        constraints: args.context.constraint.clone(),
        pointers: args.context.pointer.clone(),
        decisions: args.context.decision.clone(),
        success: args.context.success.clone(),
        files: Vec::new(),
    };
    for path in &args.context.context {
        let bytes = fs::read(path).map_err(|e| {
            Failure::usage(format!("cannot read the context {}: {e}", path.display()))
        })?;
        context.add_file(&path.display().to_string(), bytes);
    }
    if backend == BackendKind::Sh {
        if !context.is_empty() {
            return Err(Failure::usage("a shell command cannot be given context")
                .hint("leave out --goal, --context and their like, or choose another backend"));
        }
        return Ok(task.bytes.clone());
    }
    if task.bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::usage("the prompt is empty").hint("say what the job is to do"));
    }
    let parts = PromptParts {
        preamble: !args.no_preamble,
        agent,
        context: &context,
        scope,
        task: &task.bytes,
    };
    Ok(parts.compose())
}

fn default_name(agent: Option<&Agent>, backend: BackendKind, task: &Task) -> JobName {
    let text = match (agent, backend) {
        (Some(agent), _) => return JobName::new(&agent.name).unwrap_or_else(|_| slug(&agent.name)),
        (None, BackendKind::Sh) if !task.argv.is_empty() => {
            let program = task.argv.first().map(|word| word.rsplit('/').next().unwrap_or(word));
            let rest = task.argv.iter().skip(1).find(|word| !word.starts_with('-'));
            [program.unwrap_or_default(), rest.map_or("", String::as_str)].join(" ")
        }
        _ => task.title(),
    };
    slug(&text)
}

/// The commit that a writer starts from, and its folder below the worktree's top.
fn writer_base(args: &SpawnArgs, session: &Session) -> Result<(String, String), Failure> {
    let place = session.repository("a writer")?;
    let repo = Repo::open(place);
    let oid = match &args.base {
        Some(rev) => repo.resolve_commit(rev).map_err(|e| {
            Failure::usage(e.to_string())
                .hint("--base takes a branch, a tag or a commit; `git branch -a` lists branches")
        })?,
        None => match repo.head().map_err(git)? {
            Head::Branch { oid, .. } | Head::Detached(oid) => oid,
            Head::Unborn(name) => {
                return Err(Failure::usage(format!(
                    "branch '{name}' has no commits yet, so a writer has nothing to start from"
                ))
                .hint("make a first commit: git commit --allow-empty -m start"));
            }
        },
    };
    Ok((oid.as_str().to_owned(), path_text(&place.prefix)?))
}

/// Options of writers are not passed over in silence.
fn reader_base(args: &SpawnArgs) -> Result<(), Failure> {
    let given = [
        (args.base.is_some(), "--base"),
        (!args.scope.is_empty(), "--scope"),
        (args.require_setup, "--require-setup"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, option)) => {
            Err(Failure::usage(format!("{option} is for writers, and this job would be a reader"))
                .hint("add --write, or choose an agent that writes"))
        }
        None => Ok(()),
    }
}

fn path_text(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!(
            "the path {} is not UTF-8, and the ledger cannot hold it",
            path.display()
        ))
        .hint("rename the folder, or work in another")
    })
}

/// 16 hexadecimal digits that no other job anywhere has.
fn unique_id() -> Result<String, Failure> {
    let mut bytes = [0_u8; 8];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|e| Failure::internal(format!("cannot read /dev/urandom: {e}")))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

/// The `PATH` that programs are looked for in.
pub fn path_variable() -> OsString {
    env::var_os("PATH").unwrap_or_default()
}

/// Where the repository's main checkout is, for naming its worktrees' folder.
pub fn main_folder(place: &Place) -> PathBuf {
    // The common folder is `.git` in the main checkout, or the bare repository.
    match place.common_dir.file_name() {
        Some(name) if name == ".git" => {
            place.common_dir.parent().unwrap_or(&place.common_dir).to_owned()
        }
        _ => place.common_dir.clone(),
    }
}
