//! `cx merge`
//!
//! The way of a batch: `select` the jobs and their tips, plan them in memory,
//! let the gates hold back what must not land, `seal` the commits (hooks,
//! editor, signatures), `land` them, write that into the ledger, `report`.
//! Until it lands nothing but objects has changed.

mod along;
mod base;
mod bisect;
mod carry;
mod chosen;
mod land;
mod lost;
mod refused;
mod report;
mod scope;
mod select;
mod submodule;
mod target;
mod undo;
mod verify;

use std::time::Duration;

use clap::Args;

use self::{
    carry::Carrier,
    chosen::{Chosen, Outside},
    report::Row,
    verify::Verifier,
};
pub(super) use self::{land::settle, lost::lost, select::start};
use super::{
    check::{Check, verify_argv},
    resolve::{self, How},
    session::{Session, git, label, refuse_in_worker},
    settings::Settings,
    spawn::{Who, check_resolver},
};
use crate::{
    failure::{Exit, Failure},
    git::{
        Place, Repo,
        merge::{self, Candidate, MergeError, MergePlan, Order, Recovered, Style, Target, Wishes},
    },
    job::{JobId, parse_duration},
    ledger::Event,
    ui,
};

/// Merge the branches of finished writers, all that merge, at once
///
/// Everything is tried in memory first, with git's own merge. Where not all fit
/// together as many as can be are merged; a job that conflicts is held back and
/// named, with its paths and its opponent; so is one whose files would overwrite
/// local changes, and one that names a submodule's commit which only its worktree
/// has. What a worker has committed itself stays as it is; commits that are made
/// here say in `Cx-Job` lines whose they are, and the ledger says it of all. The checkout, the index and the branch change once, at the end,
/// and only if the branch has not moved meanwhile. The exit code is 1 when
/// something was held back or there was nothing to merge.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The jobs, merged in this order; all finished and unmerged writers that succeeded if none is named
    #[arg(value_name = "JOB", add = super::candidates::finished_writer())]
    pub(super) jobs: Vec<String>,

    /// The writers of this run
    #[arg(long, value_name = "RUN", conflicts_with = "jobs", add = super::candidates::any_run())]
    pub(super) run: Option<String>,

    /// Merge into this branch, also into a job's; it is made from HEAD if it does not exist
    #[arg(long, value_name = "BRANCH", add = super::candidates::branch())]
    into: Option<String>,

    /// One ordinary commit for each job
    #[arg(long, group = "style")]
    squash: bool,

    /// Each job's commits again, on top of the branch
    #[arg(long, group = "style")]
    rebase: bool,

    /// A merge commit also where the branch could simply move forward
    #[arg(long, group = "style")]
    no_ff: bool,

    /// Move the branch forward where that will do, also where git is configured otherwise (merge.ff)
    #[arg(long, group = "style")]
    ff: bool,

    /// Only move the branch forward; hold back what would need a merge
    #[arg(long, group = "style")]
    ff_only: bool,

    /// An earlier job holds back a later one, also where others than the first would be more
    #[arg(long)]
    in_order: bool,

    /// The message of the merge commits; twice for another paragraph. The `Cx-` lines are added
    #[arg(short, long, value_name = "TEXT", conflicts_with_all = ["rebase", "ff_only"])]
    message: Vec<String>,

    /// Edit the message of each merge commit
    #[arg(short, long, conflicts_with_all = ["rebase", "ff_only", "dry_run"])]
    edit: bool,

    /// Run none of the repository's hooks: pre-merge-commit, commit-msg, post-merge
    #[arg(long)]
    no_hooks: bool,

    /// Land only what this passes: a command line for sh, run on the merged tree
    ///
    /// It runs in a scratch worktree that keeps its build caches. When it fails,
    /// the jobs that make it fail are found with few runs, named and held back;
    /// the rest lands once it has passed.
    #[arg(long, value_name = "CMD", value_hint = clap::ValueHint::CommandString)]
    verify: Option<String>,

    /// A run of the check that takes longer than this has failed
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    verify_timeout: Option<Duration>,

    /// Check after every job, so that each step passes, and not only the result
    #[arg(long)]
    verify_each: bool,

    /// Do without the check that is configured (merge.verify)
    #[arg(long, conflicts_with_all = ["verify", "verify_each", "verify_timeout"])]
    no_verify: bool,

    /// Give each job that conflicts to a new writer, which resolves it (see `cx resolve`)
    #[arg(long, conflicts_with = "dry_run")]
    resolve: bool,

    /// With --resolve: the role to give to those writers
    #[arg(short = 't', long, value_name = "AGENT", requires = "resolve", add = super::candidates::agent())]
    agent: Option<String>,

    /// With --resolve: what does the work
    #[arg(short, long, value_name = "BACKEND", requires = "resolve", add = super::candidates::backend())]
    backend: Option<String>,

    /// With --resolve: the model, by the name the backend knows it by
    #[arg(long, value_name = "MODEL", requires = "resolve")]
    model: Option<String>,

    /// What becomes of a job's changes outside of its --scope: drop, keep, or refuse (as it is by default)
    ///
    /// refuse holds the job back and names its files. drop lands it without them,
    /// and says so in the commit. keep lands it whole.
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    outside: Outside,

    /// Bring along the commits of others that a job was started from and the branch has not
    ///
    /// Such a job is held back otherwise, since merging its branch would merge
    /// them too; --squash and --rebase land its own changes alone.
    #[arg(long)]
    with_base: bool,

    /// Take the last merge back, if nothing has come since
    #[arg(long, conflicts_with_all = ["jobs", "style", "in_order", "message", "edit", "verify", "verify_each", "resolve"])]
    undo: bool,

    /// Say what would happen; change nothing and run no hooks
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Say it as one JSON object
    #[arg(long)]
    json: bool,
}

impl MergeArgs {
    /// What the command line says, or git's configuration.
    fn style(&self, wishes: &Wishes) -> Style {
        match (self.squash, self.rebase, self.no_ff, self.ff_only, self.ff) {
            (true, ..) => Style::Squash,
            (_, true, ..) => Style::Rebase,
            (_, _, true, ..) => Style::NoFf,
            (_, _, _, true, _) => Style::FfOnly,
            (.., true) => Style::Merge,
            _ => wishes.style.unwrap_or_default(),
        }
    }

    /// Who resolves what conflicts.
    fn resolver(&self) -> Who<'_> {
        Who {
            agent: self.agent.as_deref(),
            backend: self.backend.as_deref(),
            model: self.model.as_deref(),
            command: &[],
        }
    }
}

/// Runs the verb.
pub fn run(args: &MergeArgs) -> Result<Exit, Failure> {
    refuse_in_worker("merge")?;
    merge(args, &[])
}

/// The same; `given_up` are not going to be merged once the one job is.
pub(super) fn merge(args: &MergeArgs, given_up: &[JobId]) -> Result<Exit, Failure> {
    let session = Session::open()?.narrowed(args.run.as_deref())?;
    let place = session.repository("merge")?;
    let settled = recover(&session, place)?;
    if args.undo {
        return undo::run(args, &session, place);
    }
    let lost: Vec<_> = lost(&session, place)?;
    for (id, unmerged) in &lost {
        let from = &unmerged.from;
        let job = session.fresh(*id)?;
        ui::note(format_args!("{} was merged into {from}, which no longer has it", label(&job)));
    }
    let lost: Vec<_> = lost.into_iter().map(|(id, from)| (id, Event::Unmerged(from))).collect();
    land::append(&session, &lost)?;
    let jobs = select::wanted(&session, args)?;
    let repo = Repo::open(place);
    if jobs.is_empty() {
        return target::nothing(&session, &repo, args, settled);
    }
    let target = target::find(&session, &repo, args)?;
    let jobs = target::others(args, &target, jobs)?;
    if jobs.is_empty() {
        return target::nothing(&session, &repo, args, settled);
    }
    let mut wishes = Wishes::read(&repo, &target.branch).map_err(failure)?;
    let style = args.style(&wishes);
    wishes.style = Some(style);
    let chosen = select::chosen(&session, &repo, &target, args, style, jobs)?;
    if chosen.is_empty() {
        return target::nothing(&session, &repo, args, settled);
    }
    let check = verify::wanted(&session, args)?;
    let (chosen, mut refused) = match &check {
        None if args.jobs.is_empty() => refused::gate(chosen),
        _ => (chosen, Vec::new()),
    };
    let how = (style, args.with_base);
    let (chosen, mut based) = base::gate(&session, &repo, &target, how, chosen)?;
    let (chosen, mut held) = scope::gate(&repo, &target, args.outside, chosen)?;
    let (chosen, unshared) = submodule::gate(&repo, &target, chosen)?;
    let (mut chosen, mut unsigned) = signed(place, &wishes, chosen)?;
    let candidates: Vec<Candidate> = chosen.iter().map(|one| one.candidate.clone()).collect();
    if args.resolve {
        check_resolver(&session, args.resolver())
            .map_err(|failure| Failure { message: unmerged(&failure.message), ..failure })?;
    }
    let order = if args.in_order { Order::AsGiven } else { Order::Most };
    let plan = merge::plan(&repo, &target.tip, &candidates, style, order).map_err(git)?;
    let command = check.as_ref().map(Check::command);
    let carrier = Carrier {
        session: &session,
        repo: &repo,
        target: &target,
        chosen: &chosen,
        candidates: &candidates,
        wishes: &wishes,
        worktree_lock: session.store.worktree_lock(),
        how: (style, order),
        args,
        given_up,
    };
    let plan = if check.is_some() || args.dry_run { carrier.unobstructed(plan)? } else { plan };
    // Here is the place for gates: each takes the plan and holds back more.
    let mut verifier = match check {
        Some(check) if plan.lands_something() => Some(Verifier::new(
            &session,
            &repo,
            &target,
            &candidates,
            style,
            args.verify_each,
            check,
        )?),
        _ => None,
    };
    let plan = match &mut verifier {
        Some(verifier) => verifier.hold_back(&plan)?,
        None => plan,
    };
    let plan = if args.dry_run {
        if plan.lands_something() {
            merge::check(&repo, &target, &plan.result).map_err(failure)?;
        }
        plan
    } else {
        if let Some(command) = &command {
            refused::remember(&session, &chosen, &plan, command)?;
        }
        let plan = carrier.carry(plan, verifier.as_mut())?;
        if plan.lands_something() && !args.no_hooks {
            land::post_merge(&repo, &target, style);
        }
        plan
    };
    let tries = verifier.as_ref().map_or(&[][..], Verifier::tries);
    let mut rows: Vec<Row> = chosen
        .iter()
        .zip(&plan.entries)
        .map(|(one, entry)| report::row(one, &entry.verdict))
        .collect();
    report::say_along(&chosen, &mut rows);
    if args.resolve {
        give_away(&session, &repo, &target, &plan, &chosen, args, &mut rows)?;
    }
    rows.extend(refused.iter().map(|one| report::held(one, "red-before")));
    chosen.append(&mut refused);
    rows.extend(based.iter().map(|one| report::held(one, "foreign-base")));
    chosen.append(&mut based);
    rows.extend(held.iter().map(|one| report::held(one, "outside-scope")));
    chosen.append(&mut held);
    rows.extend(unsigned.iter().map(|one| report::held(one, "unsigned")));
    chosen.append(&mut unsigned);
    for submodule::Unshared { one, conflicts } in unshared {
        rows.push(Row { conflicts, ..report::held(&one, "submodule-commit") });
        chosen.push(one);
    }
    report::report(args, &chosen, &rows, &target, &plan.result, tries)?;
    let held = rows.iter().any(|row| {
        !matches!(row.result, "merged" | "merged-along" | "already-merged" | "no-changes")
    });
    Ok(if held { Exit::Failed } else { Exit::Success })
}

/// Starts a resolver for each job that conflicts with what is in the target now.
/// The merge has happened: one that cannot be started is no failure of it.
fn give_away(
    session: &Session,
    repo: &Repo,
    target: &Target,
    plan: &MergePlan,
    chosen: &[Chosen],
    args: &MergeArgs,
    rows: &mut [Row],
) -> Result<(), Failure> {
    let verify = if args.no_verify {
        Vec::new()
    } else {
        verify_argv(&Settings::load(session)?, args.verify.as_deref())?
    };
    for (one, row) in chosen.iter().zip(rows) {
        if !row.is_resolvable() {
            continue;
        }
        let how = How { who: args.resolver(), verify: verify.clone() };
        match resolve::start(session, repo, &one.job, &target.branch, &plan.result, how) {
            Ok(started) => row.resolver = Some(started.into()),
            Err(failure) => {
                ui::warn(&failure);
                if let Some(hint) = &failure.hint {
                    ui::hint(hint);
                }
            }
        }
    }
    Ok(())
}

/// Parts those whose last commit is signed, where git asks for that, from those
/// that are held back.
fn signed(
    place: &Place,
    wishes: &Wishes,
    chosen: Vec<Chosen>,
) -> Result<(Vec<Chosen>, Vec<Chosen>), Failure> {
    if !wishes.verify_signatures {
        return Ok((chosen, Vec::new()));
    }
    let (mut pass, mut held) = (Vec::new(), Vec::new());
    for one in chosen {
        let is_signed = merge::is_signed(place, &one.candidate.tip).map_err(git)?;
        if is_signed { pass.push(one) } else { held.push(one) }
    }
    Ok((pass, held))
}

/// Finishes or takes back a merge that was cut short. Says whether jobs turned
/// out to be merged by that.
fn recover(session: &Session, place: &Place) -> Result<bool, Failure> {
    match merge::recover(place, session.store.dir()).map_err(failure)? {
        None => {}
        Some(Recovered::Finished { branch }) => {
            ui::note(format_args!("finished an earlier merge into {branch} that was cut short"));
        }
        Some(Recovered::RolledBack { branch }) => {
            ui::note(format_args!("took back an earlier merge into {branch} that was cut short"));
        }
    }
    let settled = settle(session, place)?;
    for job in &settled {
        let into = job.merged.as_ref().map_or("", |merged| &merged.into);
        ui::note(format_args!(
            "{} was merged into {into} by a merge that was cut short",
            label(job)
        ));
    }
    Ok(!settled.is_empty())
}

/// A resolver that cannot be started, said before anything has happened.
fn unmerged(message: &str) -> String {
    format!("{}; nothing was merged", message.trim_end_matches("; nothing was started"))
}

fn failure(error: MergeError) -> Failure {
    failed(error, "nothing was merged")
}

/// A failure that says what did not happen.
#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failed(error: MergeError, so: &str) -> Failure {
    let exit = match &error {
        MergeError::Detached | MergeError::BadBranch(_) => Exit::Usage,
        MergeError::Git(_) => Exit::Internal,
        _ => Exit::Failed,
    };
    Failure::new(exit, format!("{error}; {so}")).maybe_hint(error.hint())
}
