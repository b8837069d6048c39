//! The events of a ledger, version 1: what each line says and how it is spelt.
//!
//! A line is one JSON object: `v` (the version), `t` (UTC), `ev` (the kind),
//! `job` (the number), then what the kind adds. `docs/ledger.md` is the
//! reference for readers that are not cx. A kind or a field that this version
//! does not know is passed over and stays in the file.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fallback::{Fallback, FellOver};
use super::given::{Pool, Resolves, Resumes, TaskOf, Tree};
use super::hold::{HoldLimits, OnHold};
use super::landing::{Cleaned, Held, Merged, NotPicked, Unmerged};
use super::run::{RunEnded, RunRevised, RunRunning, RunStarted, RunStopping, TaskSkipped};
use super::usage::Used;
use super::{Hooks, Notice};
use crate::job::{
    BackendName, Budget, Endpoint, JobId, JobName, Mode, Outcome, Price, ProcessRef, Sharing,
    Usage, WorkerExit,
};

/// The version that this cx writes. Readers take every version up to it, and
/// of later ones what they know.
pub const VERSION: u32 = 1;

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The version it was written in.
    pub version: u32,
    /// When it was written, UTC, to the millisecond.
    pub at: Timestamp,
    /// The job it is about; 0 where it is about a run.
    pub job: JobId,
    /// What happened.
    pub event: Event,
}

/// What happened to a job, or to a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The job exists: its number and name are taken.
    Spawned(Box<Spawned>),
    /// Its supervisor is up.
    Started(Started),
    /// It waits for the jobs it comes `--after`.
    Waiting(Waiting),
    /// It waits for its turn, under `--max-jobs` or in a pool.
    Queued,
    /// Its turn has come; it counts against the limit from here on.
    Admitted,
    /// It starts from the merge of the work of writers that it comes after.
    Based(Based),
    /// Its worktree was made, and a writer's branch.
    Worktree(Worktree),
    /// Something a person should know about this job, such as a setup command
    /// that was not run.
    Note(Note),
    /// The worker's process was started.
    Running(Running),
    /// Another backend does its work from here on.
    FellOver(FellOver),
    /// What it has used so far.
    Used(Used),
    /// The model's service has refused; it is asked again later.
    OnHold(OnHold),
    /// The service answers again, or somebody says so.
    HoldOver,
    /// Somebody asked for a signal to be sent.
    KillRequested(KillRequested),
    /// The job is over. Nothing of it runs any more.
    Exited(Box<Exited>),
    /// Its supervisor was found dead; what it left is being taken care of.
    Lost,
    /// Its result was handed out.
    Collected,
    /// Its branch was merged.
    Merged(Merged),
    /// Its merge was taken back, or no branch has it any more; it is unmerged again.
    Unmerged(Unmerged),
    /// A check failed with it, so that it was not merged.
    Held(Held),
    /// Another of its group was picked; its branch is not going to be merged.
    NotPicked(NotPicked),
    /// Its files, worktree or branch were removed.
    Cleaned(Cleaned),
    /// A run exists: its id is taken, and its plan was found good.
    RunStarted(RunStarted),
    /// A process works through the run.
    RunRunning(RunRunning),
    /// What remains of its plan was changed.
    RunRevised(RunRevised),
    /// A task of the run is not going to be run.
    TaskSkipped(TaskSkipped),
    /// The run starts no more jobs.
    RunStopping(RunStopping),
    /// The run is over.
    RunEnded(RunEnded),
    /// A kind that this version does not know.
    Unknown,
}

/// Everything that was decided when the job was spawned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spawned {
    /// 16 hexadecimal digits, unique everywhere: `CX_JOB_ID` of the worker.
    pub id: String,
    /// The job's name.
    pub name: JobName,
    /// Reader or writer.
    pub mode: Mode,
    /// What does the work.
    pub backend: BackendName,
    /// The worker's program, absolute.
    pub program: String,
    /// For `sh`: the argv that runs as it is, where several words were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// The role, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The alias by which the role was asked for; `agent` is its agent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// What runs around the worker; trusted by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// The model, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where an HTTP worker is, and how it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The run it belongs to (`CX_RUN`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The task of the run's plan that it is to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskOf>,
    /// The group it belongs to: jobs that were given one task, of which one is to
    /// be picked. The first one's `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Where it was spawned, absolute; a reader without a `tree` works there.
    pub cwd: String,
    /// The top of the checkout around `cwd`, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<String>,
    /// The worktree of a writer, or of a reader that comes after writers; or what
    /// it will be once it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Tree>,
    /// Pathspecs that it may touch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<String>,
    /// Jobs that must have succeeded before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<JobId>,
    /// The conflict that it is to resolve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolves: Option<Resolves>,
    /// The job that it goes on from. `tree`, where that has one, is the same: it
    /// is this job's from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<Resumes>,
    /// The job whose task it does again, from where that started, in files of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<JobId>,
    /// The first of the ports that it is told to use, `CX_PORT` of the worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Wall-clock limit for the worker, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long it may write nothing, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_ms: Option<u64>,
    /// What it may use, and what its run and its day may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// What its model costs, where that is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// How long it waits where the model's service refuses; not at all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldLimits>,
    /// From TERM to KILL, milliseconds.
    pub grace_ms: u64,
    /// The most jobs of this repository that may run at once, itself included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_jobs: Option<u64>,
    /// Pools in which it waits for its turn, besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Pool>,
    /// The setup command that runs in a fresh worktree; trusted by then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Ignored files that come along into a worktree, in gitignore syntax, on
    /// top of `.worktreeinclude`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// What does the work, in this order, where `backend` cannot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
    /// More arguments for the worker's program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<String>,
    /// Variables that the worker's commands must not see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_exclude: Vec<String>,
    /// Whether the worker may commit by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub git: bool,
    /// Whether its program is given cx's own tools (`cx mcp --worker`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mcp: bool,
    /// Whether the answer has to fit the schema among the job's files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub schema: bool,
    /// How often what lies in a writer's worktree is kept while it works, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_ms: Option<u64>,
    /// Patterns of variables whose values are secrets, besides the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Whom it shares with what it stores in the memory; all where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// Who is told of its end; trusted by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
    /// The task's first line, cut to 120 characters, for listings.
    pub title: String,
}

impl Spawned {
    /// A writer's worktree, and its branch.
    pub fn branch(&self) -> Option<(&Tree, &str)> {
        let tree = self.tree.as_ref()?;
        Some((tree, tree.branch.as_deref()?))
    }
}

/// [`Event::Started`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The supervisor.
    pub supervisor: ProcessRef,
}

/// [`Event::Waiting`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The jobs it waits for.
    pub after: Vec<JobId>,
}

/// [`Event::Based`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Based {
    /// The commit that its tree starts from, in place of the one in `spawned`.
    pub base: String,
    /// The jobs whose work that one did not have.
    pub of: Vec<JobId>,
}

/// [`Event::Worktree`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worktree {
    /// What made it: `copy`, `git worktree add`.
    pub engine: String,
    /// How long that took, milliseconds.
    pub took_ms: u64,
    /// Why no cheaper engine made it: clauses, with `; ` between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// [`Event::Note`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// One sentence.
    pub text: String,
}

/// [`Event::Running`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The worker's first process.
    pub worker: ProcessRef,
}

/// [`Event::KillRequested`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillRequested {
    /// The signal's number.
    pub signal: i32,
}

/// [`Event::Exited`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// What became of it.
    pub outcome: Outcome,
    /// How the worker's first process ended; absent when it never started or
    /// when nobody saw the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<WorkerExit>,
    /// What `cx wait JOB` gives.
    pub code: u8,
    /// One sentence that says why, when it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long the worker ran, milliseconds.
    pub ran_ms: u64,
    /// Tokens, where the program told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The conversation's id, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The tip of a writer's branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip: Option<String>,
    /// Commits from base to tip.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub commits: u64,
    /// Files that differ between base and tip.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files: u64,
    /// Processes that outlived the worker and were ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stragglers: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Exited {
    /// The end of a job of which nothing ran: what is known besides can be set.
    pub fn of(outcome: Outcome) -> Self {
        Self {
            code: WorkerExit::job_code(None, &outcome),
            outcome,
            exit: None,
            reason: None,
            ran_ms: 0,
            usage: None,
            thread: None,
            tip: None,
            commits: 0,
            files: 0,
            stragglers: 0,
        }
    }
}

impl Event {
    /// The word under `ev`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Spawned(_) => "spawned",
            Self::Started(_) => "started",
            Self::Waiting(_) => "waiting",
            Self::Queued => "queued",
            Self::Admitted => "admitted",
            Self::Based(_) => "based",
            Self::Worktree(_) => "worktree",
            Self::Note(_) => "note",
            Self::Running(_) => "running",
            Self::FellOver(_) => "fell-over",
            Self::Used(_) => "used",
            Self::OnHold(_) => "on-hold",
            Self::HoldOver => "hold-over",
            Self::KillRequested(_) => "kill-requested",
            Self::Exited(_) => "exited",
            Self::Lost => "lost",
            Self::Collected => "collected",
            Self::Merged(_) => "merged",
            Self::Unmerged(_) => "unmerged",
            Self::Held(_) => "held",
            Self::NotPicked(_) => "not-picked",
            Self::Cleaned(_) => "cleaned",
            Self::RunStarted(_) => "run-started",
            Self::RunRunning(_) => "run-running",
            Self::RunRevised(_) => "run-revised",
            Self::TaskSkipped(_) => "task-skipped",
            Self::RunStopping(_) => "run-stopping",
            Self::RunEnded(_) => "run-ended",
            Self::Unknown => "unknown",
        }
    }
}
