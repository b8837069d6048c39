//! `cx resolve`, and what `cx merge --resolve` does with a job that conflicts.

mod prompt;

use std::ffi::OsString;

use clap::{Args, ValueHint};

use super::{
    branch::branch_now,
    check::verify_argv,
    session::{Session, git, label, refuse_in_worker},
    settings::Settings,
    spawn::{Launched, Resolver, Who, resolver},
};
use crate::{
    failure::{Exit, Failure},
    git::{
        Oid, Repo,
        merge::{self, Target},
    },
    ledger::{Job, Resolves},
    ui,
};

/// Give a job that conflicts to a new writer, to resolve
///
/// The writer gets a worktree of its own in which the job's branch is being
/// merged into the one you are on and the conflict stands. It is told what both
/// sides wanted, both diffs and the paths. Markers left behind, or a check that
/// fails, is a failure. What it made lands with `cx merge`, as of any other job;
/// then the job that it resolved is merged too.
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// The role to give the writer
    #[arg(short = 't', long, value_name = "AGENT", add = super::candidates::agent())]
    agent: Option<String>,

    /// What does the work: codex, claude or sh
    #[arg(short, long, value_name = "BACKEND", add = super::candidates::backend())]
    backend: Option<String>,

    /// The model, by the name the backend knows it by
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,

    /// Merge into this branch
    #[arg(long, value_name = "BRANCH", add = super::candidates::branch())]
    into: Option<String>,

    /// What has to succeed on the result: a command line for sh; merge.verify if not given
    #[arg(long, value_name = "CMD", value_hint = ValueHint::CommandString)]
    verify: Option<String>,

    /// Do without the check that is configured (merge.verify)
    #[arg(long, conflicts_with = "verify")]
    no_verify: bool,

    /// The job
    #[arg(value_name = "JOB", add = super::candidates::finished_writer())]
    job: String,

    /// For the backend sh: what resolves the conflict
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<OsString>,
}

/// Runs the verb.
pub fn run(args: &ResolveArgs) -> Result<Exit, Failure> {
    refuse_in_worker("resolve conflicts")?;
    let session = Session::open()?;
    let place = session.repository("resolve")?;
    let job = session.job(std::slice::from_ref(&args.job))?;
    let repo = Repo::open(place);
    let target = Target::find(&repo, args.into.as_deref())
        .map_err(|e| Failure::usage(format!("{e}; nothing was started")))?;
    let verify = if args.no_verify {
        Vec::new()
    } else {
        verify_argv(&Settings::load(&session)?, args.verify.as_deref())?
    };
    let who = Who {
        agent: args.agent.as_deref(),
        backend: args.backend.as_deref(),
        model: args.model.as_deref(),
        command: &args.command,
    };
    let how = How { who, verify };
    let started = start(&session, &repo, &job, &target.branch, &target.tip, how)?;
    let mut out = ui::out();
    out.line(format_args!("[{}] {}", started.id.0, started.spec.name))?;
    out.finish()?;
    Ok(Exit::Success)
}

/// By whom, and how it is checked.
pub(super) struct How<'a> {
    pub(super) who: Who<'a>,
    /// What has to succeed on the result.
    pub(super) verify: Vec<String>,
}

/// Starts a writer that merges `job` into `branch`, which is at `base`.
pub(super) fn start(
    session: &Session,
    repo: &Repo,
    job: &Job,
    branch: &str,
    base: &Oid,
    how: How<'_>,
) -> Result<Launched, Failure> {
    let failed = |why: String| Failure::new(Exit::Failed, format!("{why}; nothing was started"));
    let name = &job.spec.name;
    if job.spec.branch().is_none() {
        return Err(failed(format!("{} is a reader and has nothing to merge", label(job))));
    }
    if job.is_live() {
        return Err(failed(format!("{} is not over yet", label(job)))
            .hint(format!("cx wait {name} && cx resolve {name}")));
    }
    let history = session.history()?;
    let at_it = |other: &&Job| {
        let resolves = other.spec.resolves.as_ref().is_some_and(|r| r.job == job.job);
        resolves && (other.is_live() || (other.succeeded() && other.is_unmerged()))
    };
    if let Some(other) = history.jobs.values().find(at_it) {
        let (who, other_name) = (label(other), &other.spec.name);
        let failure = failed(format!("{who} resolves {} already", label(job)));
        return Err(failure.hint(format!("cx wait {other_name} && cx merge")));
    }
    let tip = branch_now(repo, job)?.map_err(failed)?;
    if repo.is_ancestor(&tip, base).map_err(git)? {
        return Err(failed(format!("{} is in {branch} already", label(job))));
    }
    if repo.merge_base(base, &tip).map_err(git)?.is_none() {
        return Err(failed(format!("{} has no common history with {branch}", label(job))));
    }
    let conflicts = merge::conflicts_of(repo, base, &tip).map_err(git)?;
    if conflicts.is_empty() {
        return Err(failed(format!("{} does not conflict with {branch}", label(job)))
            .hint(format!("cx merge {name}")));
    }
    let sides = prompt::Sides { session, repo, job, branch, base, tip: &tip };
    let prompt = sides.compose(&conflicts, &history, &how.verify)?;
    resolver(
        session,
        Resolver {
            who: how.who,
            base,
            resolves: Resolves { job: job.job, tip: tip.to_string(), verify: how.verify },
            name: format!("{name}-resolve"),
            title: format!("Merge {name} into {branch} and resolve the conflict"),
            prompt,
        },
    )
}
