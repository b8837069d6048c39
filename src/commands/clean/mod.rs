//! `cx clean`
//!
//! The ledger says what was merged; git has the last word. Before a branch goes, git
//! is asked whether what landed of it is still there (`merge::lost`), and a tip that
//! nothing else holds goes under a ref.

mod left;
mod sweep;
mod trash;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use clap::Args;
use jiff::Timestamp;

pub(super) use self::sweep::{abandoned_drafts, is_abandoned, trash, tree_folders};
use self::{
    left::Left,
    sweep::{clean_scratch, pooled, remove_folder, sweep},
};
use super::{
    memory::keep_answer,
    records::{self, RecordArgs},
    runs,
    session::{Session, git, label, refuse_in_worker, store},
    tidy::Tidying,
};
use crate::{
    failure::{Exit, Failure},
    git::{
        GitError, Place, Repo, checkpoint, refs,
        worktree::{self, pool},
    },
    job::{Candidate as _, JobId, parse_duration},
    ledger::{Cleaned, Event, Job, Tree},
    process::crash,
    ui,
};

/// Remove what is done with: worktrees and branches of merged or empty jobs,
/// the files of collected ones, and of runs whose jobs are all cleaned
///
/// A worktree is kept for the next writer, cleaned of all but build caches, where that is
/// quicker than to make one anew (`pool` in `cx man config`); what is deleted is deleted in the
/// background. What is unmerged, uncommitted, untracked or uncollected stays and is named.
/// Ignored files in a worktree go with it. With --discard it goes too, but a
/// commit with all of it is kept under `refs/cx/trash/` first; so are the commits of
/// a merged branch that no other ref has, as after a squash, a rebase or `--outside
/// drop`: what landed are other commits. `--trash` empties that. A job whose merge is
/// in no branch any more counts as unmerged again.
#[derive(Debug, Default, Args)]
pub struct CleanArgs {
    /// The jobs; all that are over if none is named
    #[arg(value_name = "JOB", add = super::candidates::finished_job())]
    jobs: Vec<String>,

    /// Only jobs that ended at least this long ago; with --trash, what is there at least as long
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    older_than: Option<Duration>,

    /// Also what is unmerged, uncommitted or uncollected of the jobs named
    #[arg(long, requires = "jobs")]
    discard: bool,

    /// Remove what was kept under refs/cx/trash, and nothing else; --older-than by when it was put there
    #[arg(long, conflicts_with_all = ["jobs", "discard"])]
    trash: bool,

    /// Delete the worktrees that are kept to be used again, and nothing else
    #[arg(long, conflicts_with_all = ["jobs", "discard", "trash", "older_than"])]
    pool: bool,

    /// Say what would happen; change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    // Last, since its heading holds for whatever comes after it.
    #[command(flatten, next_help_heading = "Records of `cx run --compat`")]
    records: RecordArgs,
}

/// So many files and folders are deleted while the person waits; more in the background.
const FEW: usize = 500;

/// Why a job's files stay, whatever becomes of its worktree.
const NOT_COLLECTED: &str = "not collected";

/// Why something stays.
struct Stays(String);

/// Runs the verb.
pub fn run(args: &CleanArgs) -> Result<Exit, Failure> {
    refuse_in_worker("clean up")?;
    let session = Session::open()?;
    if args.trash {
        return trash::empty(&session, args.older_than, args.dry_run);
    }
    let mut tidying = Tidying::new(&session);
    if args.pool {
        return pooled(&session, tidying, args.dry_run);
    }
    if let Some(place) = session.place.as_ref().filter(|_| !args.dry_run) {
        super::merge::settle(&session, place)?;
    }
    let mut jobs = wanted(&session, args)?;
    let lost = lost(&session, &mut jobs, args.dry_run)?;
    let mut out = ui::out();
    let mut kept = false;
    let mut gone = BTreeSet::new();
    // One for all: what git is configured to do is read once.
    let repo = session.place.as_ref().map(Repo::open);
    for job in &jobs {
        let (cleaned, stays) = clean_job(&session, repo.as_ref(), job, &lost, args, &mut tidying)?;
        kept |= !stays.is_empty();
        gone.extend(cleaned.files.then_some(job.job));
        out.line(sentence(job, &cleaned, &stays, args.dry_run))?;
        // A large worktree takes its time; each is told as it goes.
        out.flush()?;
    }
    if !args.dry_run {
        sweep(&session, &mut tidying)?;
    }
    let scratch = args.jobs.is_empty() && clean_scratch(&session, args.dry_run, &mut tidying)?;
    if scratch {
        let verb = if args.dry_run { "would remove" } else { "removed" };
        out.line(format_args!("{verb} the scratch worktree and the logs of `cx merge --verify`"))?;
    }
    if !args.dry_run {
        let own = remove_folder(&session)?;
        tidying.begin(&own)?;
    }
    let runs = args.jobs.is_empty()
        && runs::clean(&session, &gone, args.older_than, args.dry_run, &mut out)?;
    let records = records::clean(&session, &args.records, args.dry_run, &mut out)?;
    out.finish()?;
    if jobs.is_empty() && !scratch && !runs && !records {
        ui::note("nothing to clean");
    }
    // What was asked for by name and stays is a failure; a general sweep is not.
    Ok(if kept && !args.jobs.is_empty() { Exit::Failed } else { Exit::Success })
}

/// Frees the name of a job that nothing is left to do for, as `cx clean JOB` would;
/// `false` where something of it has to stay.
pub(super) fn free(session: &Session, job: Job) -> Result<bool, Failure> {
    if let Some(place) = &session.place {
        super::merge::settle(session, place)?;
    }
    let mut jobs = [job];
    let lost = lost(session, &mut jobs, false)?;
    let [job] = &jobs;
    if job.is_open() {
        return Ok(false);
    }
    let repo = session.place.as_ref().map(Repo::open);
    let mut tidying = Tidying::new(session);
    let args = CleanArgs::default();
    let (cleaned, stays) = clean_job(session, repo.as_ref(), job, &lost, &args, &mut tidying)?;
    tidying.begin(&BTreeSet::new())?;
    ui::note(format_args!("its name is wanted again: {}", sentence(job, &cleaned, &stays, false)));
    Ok(stays.is_empty())
}

/// Cleans one job, and tells what of it is gone and why the rest stays.
fn clean_job(
    session: &Session,
    repo: Option<&Repo>,
    job: &Job,
    lost: &BTreeMap<JobId, String>,
    args: &CleanArgs,
    tidying: &mut Tidying<'_>,
) -> Result<(Cleaned, Vec<String>), Failure> {
    let mut cleaned = Cleaned { tree: false, files: false, kept: None };
    let mut stays = Vec::new();
    if let Some(tree) = job.spec.tree.as_ref().filter(|_| !job.is_without_tree()) {
        let Some(repo) = repo else {
            session.repository("clean")?;
            return Ok((cleaned, stays));
        };
        match clean_tree(session, repo, job, tree, args, tidying)? {
            Ok(trash) => {
                cleaned.tree = true;
                cleaned.kept = trash;
            }
            Err(Stays(why)) => stays.push(match lost.get(&job.job) {
                Some(into) => format!("was merged into {into}, which no longer has it; {why}"),
                None => why,
            }),
        }
    }
    let collected = job.collected || job.superseded_by().is_some() || args.discard;
    if collected && stays.is_empty() && !job.files_gone {
        cleaned.files = true;
    } else if !collected {
        stays.push(NOT_COLLECTED.to_owned());
    }
    if !args.dry_run && (cleaned.tree || cleaned.files) {
        if cleaned.files {
            keep_answer(session, job);
        }
        crash::point("clean-tree");
        // The event first: files without one would look like a lost answer.
        session.store.append(job.job, &Event::Cleaned(cleaned.clone())).map_err(store)?;
        crash::point("cleaned");
        if cleaned.files {
            session.store.job(job.job).remove().map_err(store)?;
        }
    }
    Ok((cleaned, stays))
}

fn wanted(session: &Session, args: &CleanArgs) -> Result<Vec<Job>, Failure> {
    let old_enough = |job: &Job| match (args.older_than, job.ended_at) {
        (Some(age), Some(ended)) => {
            Duration::try_from(Timestamp::now().duration_since(ended)).unwrap_or_default() >= age
        }
        (Some(_), None) => false,
        (None, _) => true,
    };
    let is_done = |job: &Job| job.files_gone && (job.spec.tree.is_none() || job.is_without_tree());
    if args.jobs.is_empty() {
        let jobs = session.history()?.jobs.into_values();
        return Ok(jobs.filter(|job| !job.is_live() && !is_done(job) && old_enough(job)).collect());
    }
    let jobs = session.jobs_or_groups(&args.jobs)?;
    if let Some(live) = jobs.iter().find(|job| job.is_live()) {
        return Err(Failure::usage(format!("{} is not over; nothing was removed", label(live)))
            .hint(format!("cx kill {0} && cx clean {0}", live.spec.name)));
    }
    Ok(jobs.into_iter().filter(|job| !is_done(job) && old_enough(job)).collect())
}

/// Makes those of `jobs` unmerged whose merge git does not have any more, and gives
/// the branches that they were merged into.
fn lost(
    session: &Session,
    jobs: &mut [Job],
    dry_run: bool,
) -> Result<BTreeMap<JobId, String>, Failure> {
    let mut lost = BTreeMap::new();
    let Some(place) = &session.place else { return Ok(lost) };
    for (id, unmerged) in super::merge::lost(session, place)? {
        if !dry_run {
            session.store.append(id, &Event::Unmerged(unmerged.clone())).map_err(store)?;
        }
        for job in jobs.iter_mut() {
            if job.job == id {
                job.merged = None;
            } else if job.not_picked == Some(id) {
                job.not_picked = None;
            }
        }
        lost.insert(id, unmerged.from);
    }
    Ok(lost)
}

/// Removes worktree and branch, or says what keeps them. `Ok(Ok(Some(name)))`
/// names the ref that keeps what was discarded.
fn clean_tree(
    session: &Session,
    repo: &Repo,
    job: &Job,
    tree: &Tree,
    args: &CleanArgs,
    tidying: &mut Tidying<'_>,
) -> Result<Result<Option<String>, Stays>, Failure> {
    let place = repo.place();
    let left = Left::look(repo, job, tree)?;
    let mut trash = None;
    let files = left.unsaved_files()?;
    let only_commits = files.is_none();
    let unsaved = match files {
        Some(why) => Some(why),
        None => left.unsaved_commits()?,
    };
    if let Some(why) = unsaved {
        let may_go = args.discard || (only_commits && left.is_settled());
        if !may_go {
            return Ok(Err(Stays(why)));
        }
        if !args.dry_run {
            trash = left.keep()?;
            crash::point("clean-kept");
        }
    }
    if args.dry_run {
        return Ok(Ok(trash));
    }
    match give_up(session, place, Path::new(&tree.path), tidying) {
        Ok(()) => {}
        Err(error @ GitError::WorktreeLocked { .. }) => return Ok(Err(Stays(error.to_string()))),
        Err(error) => return Err(git(error)),
    }
    crash::point("clean-worktree");
    // Looked up again: committing what was left may have moved it.
    if let (Some(branch), Some(tip)) = (&tree.branch, left::branch_tip(repo, tree)?) {
        let into = job.merged.as_ref().map(|merged| merged.into.as_str());
        if trash.is_none()
            && tip.as_str() != tree.base
            && !refs::is_elsewhere(repo, branch, &tip, into).map_err(git)?
        {
            trash = Some(refs::keep(place, &left::kept_as(job), &tip).map_err(git)?);
        }
        refs::delete_branch(repo, branch, &tip).map_err(git)?;
    }
    if job.spec.checkpoint_ms.is_some() {
        checkpoint::forget(place, job.spec.name.as_str()).map_err(git)?;
    }
    Ok(Ok(trash))
}

/// Gives a worktree to the pool, or takes it away; what takes long is left to `tidying`.
fn give_up(
    session: &Session,
    place: &Place,
    path: &Path,
    tidying: &mut Tidying<'_>,
) -> Result<(), GitError> {
    let (lock, step) =
        (session.store.worktree_lock(), |step: pool::Step| crash::point(step.name()));
    let folder = path.parent().unwrap_or(path);
    if pool::is_worth_keeping(place, path, &tidying.rules)
        && pool::give(place, path, &lock, &step)?.is_some()
    {
        tidying.note(folder);
        return Ok(());
    }
    let Some(trash) = worktree::remove(place, path, &lock)? else { return Ok(()) };
    crash::point("clean-renamed");
    if !worktree::delete_if_small(&trash, FEW)? {
        tidying.note(folder);
    }
    Ok(())
}

fn sentence(job: &Job, cleaned: &Cleaned, stays: &[String], dry_run: bool) -> String {
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut parts = Vec::new();
    let has_branch = job.spec.branch().is_some();
    match (cleaned.tree, cleaned.files) {
        (true, true) if has_branch => parts.push(format!("{verb} worktree, branch and files")),
        (true, true) => parts.push(format!("{verb} worktree and files")),
        (true, false) if has_branch => parts.push(format!("{verb} worktree and branch")),
        (true, false) => parts.push(format!("{verb} worktree")),
        (false, true) => parts.push(format!("{verb} files")),
        (false, false) => {}
    }
    if let Some(kept) = &cleaned.kept {
        parts.push(format!("all of it is kept at {kept}"));
    }
    if !stays.is_empty() {
        // What is removed and what stays are two things.
        let only_files = cleaned.tree || stays == [NOT_COLLECTED];
        let kept = if only_files { "its answer is kept" } else { "kept" };
        parts.push(format!("{kept}: {}", stays.join(", ")));
    }
    format!("{} {}", label(job), parts.join("; "))
}
