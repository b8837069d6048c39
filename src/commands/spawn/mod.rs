//! `cx spawn`
//!
//! Everything that can be checked is checked before anything is made (`check`:
//! from arguments to a `Checked` job); what is slow (worktree, queueing) is left to
//! the supervisor. `launch` then makes the drafts, enters them into the ledger and
//! starts the supervisors. A crash leaves a draft folder, or a job whose supervisor
//! never came, which is then found lost.
//!
//! Other verbs start jobs too, and what they start is a job like any other: the
//! task of a plan (`planned`), who resolves a conflict (`resolver`), who is
//! asked a question (`reader`), who goes on from another job (`again`).

mod again;
mod base;
mod check;
mod compose;
mod context;
mod draft;
mod endpoint;
mod group;
mod kin;
mod known;
mod limits;
mod place;
mod planned;
mod reader;
mod recall;
mod resolver;
mod role;
mod secrets;
mod space;
mod task;
mod text;
mod unstarted;
mod wants;
mod who;
mod words;

pub(super) use again::{Again, From, again, prompt_of, read_words, require_thread};
pub(super) use limits::UseArgs;
pub(super) use planned::{Begun, PlanRoles, Spawner, Work};
pub(super) use reader::{Asked, ask_reader};
pub(super) use resolver::{Resolver, Who, check_resolver, resolver};
pub(super) use words::said as said_vars;

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    path::PathBuf,
    slice,
    time::Duration,
};

use clap::{Args, ValueHint};
use serde::Serialize;

use super::{
    clean,
    session::{Session, refuse_in_worker, store},
    settings::Settings,
};
use crate::{
    backend::Backend,
    config::Ports,
    failure::{Exit, Failure},
    job::{Candidate as _, JobId, Mode, parse_duration},
    ledger::{self, Appender, Event, Job, Note, Spawned},
    process::{crash, lock, start, tidy},
    ui,
};
use check::Checked;
use context::ContextArgs;
use draft::{Draft, settle};

/// Start a job in the background and print `[N] NAME`
///
/// Returns at once. A reader works in the current folder under a read-only
/// sandbox; a writer gets a worktree and a branch `cx/NAME` of its own. What is
/// printed is a job spec: `id=$(cx spawn ...)`, then `cx wait "$id"`.
///
/// The prompt reaches the worker byte for byte: from the words, from stdin (`-`,
/// or no words and stdin is no terminal), or from a file. For `sh`, several
/// words are a program and its arguments, and one word is a script for `sh -c`.
#[derive(Debug, Default, Args)]
#[command(after_help = EXAMPLES)]
pub struct SpawnArgs {
    /// The role to give it: an agent or an alias; `cx agents list` shows them
    #[arg(short = 't', long, value_name = "AGENT", add = crate::commands::candidates::agent())]
    agent: Option<String>,

    #[command(flatten)]
    agents_dir: crate::commands::roles::AgentsDir,

    /// A second name for an agent, with keys of its definition set anew: NAME=AGENT[:KEY=VALUE,...]
    #[arg(long, value_name = "ALIAS")]
    alias: Vec<String>,

    /// A value for `{{NAME}}` in the agent's template; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE")]
    vars: Vec<String>,

    /// Run the agent's hooks: before its worker, and after it
    #[arg(long)]
    hooks: bool,

    /// A tool that the task needs, to be compared with those of the agent. May be repeated
    #[arg(long, value_name = "TOOL")]
    tool: Vec<String>,

    /// Refuse a task that needs a tool that its agent may not use
    #[arg(long)]
    strict_tools: bool,

    /// Its name; also the branch's and the worktree's
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,

    /// Only look: this is what a job does unless its agent writes
    #[arg(short, long, conflicts_with = "write")]
    read: bool,

    /// Write, in a worktree and on a branch of its own
    #[arg(short, long)]
    write: bool,

    /// What does the work: codex, claude, http, sh, or another that `cx backends` lists; `a,b` is b where a cannot
    #[arg(short, long, value_name = "BACKEND", add = crate::commands::candidates::backend())]
    backend: Option<String>,

    #[command(flatten)]
    http: endpoint::HttpArgs,

    /// The model, in the backend's own words
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,

    /// Where a writer's branch starts; HEAD if not given
    #[arg(long, value_name = "REF", add = crate::commands::candidates::branch())]
    base: Option<String>,

    /// A git pathspec of what a writer may touch; `cx merge` holds back what is outside. May be repeated
    #[arg(long, value_name = "PATHSPEC")]
    scope: Vec<String>,

    /// Start it although a live writer's scope overlaps with its own
    #[arg(long)]
    allow_overlap: bool,

    /// Start N writers, at most 255, on the same task: NAME-1 to NAME-N; `cx pick` merges one of them
    #[arg(short = 'N', long, value_name = "N", value_parser = crate::job::parse_count::<std::num::NonZeroU8>, conflicts_with = "read")]
    count: Option<std::num::NonZeroU8>,

    /// A writer on the same task for each of these: a backend or an agent, with `:MODEL` if need be
    #[arg(long, value_name = "WHO,...", value_delimiter = ',', conflicts_with = "read")]
    with: Vec<String>,

    /// End the worker after this long: 90s, 10m, 1h30m
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// End the worker when it has put out nothing for this long
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    silence: Option<Duration>,

    #[command(flatten)]
    uses: UseArgs,

    /// Start only once JOB has succeeded, and with its work; may be repeated
    ///
    /// A writer starts from --base merged with the work of the writers it comes
    /// after; where that conflicts it does not start, and says so. A reader that
    /// comes after writers looks at the merge of their work, in a worktree of its
    /// own without a branch, and not at the checkout.
    #[arg(long, value_name = "JOB", add = crate::commands::candidates::any_job())]
    after: Vec<String>,

    /// Wait for a turn while N jobs of this repository run
    #[arg(long, value_name = "N", value_parser = crate::job::parse_count::<std::num::NonZeroU64>)]
    max_jobs: Option<std::num::NonZeroU64>,

    /// Take the place of another job, which waits for this one: `cx serve` says it of who asks
    #[arg(long, hide = true)]
    pub(super) takes_place: bool,

    /// Do not start without the repository's setup command, trusted or not
    #[arg(long)]
    require_setup: bool,

    /// Let a codex writer commit by itself: only in its worktree, and on its own branch
    #[arg(long, conflicts_with = "read")]
    git: bool,

    /// Do not give a worker of codex or claude the tools of `cx mcp --worker`
    #[arg(long)]
    no_mcp: bool,

    /// Refuse a backend that runs the task as a command: for tasks of other people
    #[arg(long, hide = true)]
    no_sh: bool,

    /// The answer has to be JSON that fits this JSON schema; one that does not is asked for once more
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    schema: Option<PathBuf>,

    /// Keep what lies in a writer's worktree this often, while it works, under refs/cx/checkpoints/
    #[arg(long, value_name = "D", value_parser = parse_duration, conflicts_with = "read")]
    checkpoint: Option<Duration>,

    /// Tell me when it is over: on the desktop, or by the terminal and its bell
    #[arg(long)]
    notify: bool,

    /// Leave out the worker preamble
    #[arg(long)]
    no_preamble: bool,

    /// Read the prompt from FILE; `-` is stdin
    #[arg(short = 'F', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// One JSON object in place of `[N] NAME`; an array of them with -N or --with
    #[arg(long)]
    json: bool,

    /// The prompt, after all options; `-` reads stdin. Put `--` before one that begins with `-`
    #[arg(value_name = "PROMPT", trailing_var_arg = true, conflicts_with = "file")]
    prompt: Vec<OsString>,

    // Last, since its heading holds for whatever comes after it.
    #[command(flatten, next_help_heading = "Context for the worker (each may be repeated)")]
    context: ContextArgs,
}

const EXAMPLES: &str = "\
Examples:
  cx spawn \"Where is the retry limit set?\"                 # a reader
  cx spawn -t coder -n auth \"Implement the token refresh\"  # a writer
  cx spawn --write --scope docs/ - < task.md
  cx spawn -N 3 -n auth \"Implement the token refresh\"    # auth-1..3; then cx pick
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

impl SpawnArgs {
    /// Whether several jobs are asked for, on one task.
    fn is_group(&self) -> bool {
        self.count.is_some_and(|count| count.get() > 1) || self.with.len() > 1
    }
}

/// The backend that other people's tasks are given to: a shell only where that was said
/// here and now, and one that is there.
pub(super) fn backend_to_serve(word: Option<&str>, session: &Session) -> Result<Backend, Failure> {
    let settings = Settings::load(session)?;
    let args = SpawnArgs { backend: word.map(str::to_owned), ..SpawnArgs::default() };
    let backend = Checked::backend(&args, session, &settings)?;
    if word.is_none() && backend.runs_commands() {
        return Err(Failure::usage(
            "the configured backend runs commands, and would run each request; nothing was started",
        )
        .hint("choose another with -b; or give -b sh, if that is what you want"));
    }
    settings.program(&backend, None, Mode::Reader, &session.cwd)?;
    Ok(backend)
}

/// Runs the verb.
pub fn run(args: &SpawnArgs) -> Result<Exit, Failure> {
    refuse_in_worker("spawn workers")?;
    let session = Session::open()?;
    let settings = Settings::load(&session)?;
    let mut checked = Checked::check_all(args, &session, &settings)?;
    if args.no_sh && checked.iter().flat_map(Checked::backends).any(Backend::runs_commands) {
        return Err(Failure::usage(
            "the task would be run as a command, outside of any sandbox; nothing was started",
        )
        .hint("name a backend of a model's, such as codex; `cx mcp --allow-sh` allows sh"));
    }
    let jobs = launch(&session, &settings, &mut checked)?;
    let mut out = ui::out();
    let printed: Vec<Printed> = jobs.iter().map(Entered::printed).collect();
    match (args.json, printed.as_slice()) {
        (true, [one]) if !args.is_group() => out.json(one)?,
        (true, all) => out.json(&all)?,
        (false, all) => {
            for one in all {
                out.line(format_args!("[{}] {}", one.job.0, one.name))?;
            }
        }
    }
    out.finish()?;
    Ok(Exit::Success)
}

/// A job that was started.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) id: JobId,
    pub(super) spec: Box<Spawned>,
}

/// Makes the jobs and starts their supervisors.
fn launch(
    session: &Session,
    settings: &Settings,
    checked: &mut [Checked],
) -> Result<Vec<Entered>, Failure> {
    checked.iter().try_for_each(Checked::refuse_secrets)?;
    space::look(session, settings, checked)?;
    let drafts =
        checked.iter().map(|one| Draft::make(session, one)).collect::<Result<Vec<_>, _>>()?;
    let mut jobs = {
        let mut appender = session.store.appender().map_err(store)?;
        let mut head = appender.head().map_err(store)?;
        let closed = closed_namesakes(session, checked, &head)?;
        if !closed.is_empty() {
            // Cleaning writes to the ledger. What happens meanwhile is seen below.
            drop(appender);
            for job in closed {
                clean::free(session, job)?;
            }
            appender = session.store.appender().map_err(store)?;
            head = appender.head().map_err(store)?;
        }
        Checked::name_group(checked, session, settings, &head)?;
        let specs = checked
            .iter()
            .map(|one| one.finish(session, settings, &head))
            .collect::<Result<Vec<_>, _>>()?;
        enter(session, settings.config.ports, &mut appender, drafts, specs, head.next)?
    };
    crash::point("spawned");
    let mut broken = None;
    for (index, (job, one)) in jobs.iter_mut().zip(checked.iter()).enumerate() {
        if let Some(token) = &one.token {
            // Not before the job exists: whoever looks after it removes this.
            let files = session.store.job(job.id);
            files.replace(&files.token(), token.0.as_bytes()).map_err(store)?;
        }
        // Before it can be over: what is said of a job after its end counts no more.
        for fell in &one.passed_over {
            if !one.quiet {
                ui::warn(format_args!("{} {}; {} does it", fell.from, fell.reason, fell.to));
            }
            session.store.append(job.id, &Event::FellOver(fell.clone())).map_err(store)?;
        }
        if let Err(error) = job.start(session) {
            broken = Some((index, error));
            break;
        }
        crash::point("supervisor-started");
        for note in &one.notes {
            if !one.quiet {
                ui::warn(note);
            }
            // What a file has wrong was said; no answer is the better for it.
            if !settings.is_of_a_job(note) {
                continue;
            }
            session
                .store
                .append(job.id, &Event::Note(Note { text: note.clone() }))
                .map_err(store)?;
        }
    }
    if jobs.iter().any(|job| job.spec.tree.is_some()) {
        // What an earlier command has left to be deleted needs the same disk.
        let _ = tidy::start(session.store.dir());
    }
    match broken {
        None => Ok(jobs),
        Some((index, error)) => Err(unstarted::end(session, jobs.split_off(index), &error)),
    }
}

/// Those that have names which were asked for, and need them no more: merged or
/// empty, and collected.
fn closed_namesakes(
    session: &Session,
    checked: &[Checked],
    head: &ledger::Head,
) -> Result<Vec<Job>, Failure> {
    let holders: Vec<JobId> =
        checked.iter().filter_map(|one| head.taken.get(one.asked_name()?)).copied().collect();
    if holders.is_empty() {
        return Ok(Vec::new());
    }
    let mut state = session.store.state().map_err(store)?;
    let jobs = holders.iter().filter_map(|id| state.jobs.remove(id));
    // Neither what it goes on from, nor what went on: the tree is another's by now.
    let goes_on = |job: &Job| checked.iter().any(|one| one.goes_on_from(job));
    Ok(jobs.filter(|job| !job.is_open() && job.holds_name() && !goes_on(job)).collect())
}

/// Makes one job and starts its supervisor.
fn launch_one(
    session: &Session,
    settings: &Settings,
    checked: &mut Checked,
) -> Result<Launched, Failure> {
    let entered = launch(session, settings, slice::from_mut(checked))?.pop();
    let job = entered.ok_or_else(|| Failure::internal("no job was started"))?;
    Ok(Launched { id: job.id, spec: job.spec })
}

/// A job that is in the ledger.
struct Entered {
    id: JobId,
    spec: Box<Spawned>,
    /// Where its line begins.
    offset: u64,
    /// Until its supervisor has it.
    lock: Option<File>,
}

impl Entered {
    /// Starts its supervisor and hands it the lock.
    fn start(&mut self, session: &Session) -> io::Result<()> {
        let (number, at) = (self.id.0.to_string(), self.offset.to_string());
        let supervisor = [session.store.dir().as_os_str(), OsStr::new(&number), OsStr::new(&at)];
        let Some(lock) = self.lock.take() else { return Ok(()) };
        start::supervisor(&supervisor, &self.spec.id, lock)
    }

    fn printed(&self) -> Printed<'_> {
        let tree = self.spec.tree.as_ref();
        Printed {
            job: self.id,
            name: self.spec.name.as_str(),
            id: &self.spec.id,
            mode: self.spec.mode,
            branch: tree.and_then(|tree| tree.branch.as_deref()),
            worktree: tree.map(|tree| tree.path.as_str()),
        }
    }
}

/// Gives the drafts their numbers and writes the jobs into the ledger.
fn enter(
    session: &Session,
    ports: Ports,
    appender: &mut Appender<'_>,
    drafts: Vec<Draft>,
    specs: Vec<Spawned>,
    next: u64,
) -> Result<Vec<Entered>, Failure> {
    let mut entered: Vec<Entered> = Vec::new();
    for (draft, mut spec) in drafts.into_iter().zip(specs) {
        if spec.is_limited() && spec.after.is_empty() {
            lock::begin_turn_wait(&draft.lock, spec.turns().len()).map_err(|e| {
                Failure::internal(format!("cannot queue the job: {e}; nothing was started"))
            })?;
        }
        let next = entered.last().map_or(next, |last| last.id.0 + 1);
        let id = settle(session, draft.folder.path(), next)?;
        crash::point("settled");
        spec.port = spec.port.or_else(|| ports.of_job(session.store.dir(), id));
        let event = Event::Spawned(Box::new(spec));
        let offset = match appender.append(id, &event) {
            Ok(offset) => offset,
            Err(error) => {
                // The job never came to be. Those before it did, and are found lost.
                let _ = session.store.job(id).remove();
                return Err(store(error));
            }
        };
        // Its folder is the job's from here on.
        let _ = draft.folder.keep();
        let Event::Spawned(spec) = event else { return Err(Failure::internal("no such event")) };
        entered.push(Entered { id, spec, offset, lock: Some(draft.lock) });
    }
    Ok(entered)
}
