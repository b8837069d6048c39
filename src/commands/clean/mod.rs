//! `cx clean`
//!
//! The ledger says what was merged; git has the last word. Before a branch goes, git
//! is asked whether what landed of it is still there (`merge::lost`), and a tip that
//! nothing else holds goes under a ref.

mod sweep;
mod trash;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use clap::Args;
use jiff::Timestamp;

pub(super) use self::sweep::{abandoned_drafts, is_abandoned, trash};
use self::sweep::{clean_scratch, remove_folder, sweep};
use super::{
    records::{self, RecordArgs},
    runs,
    session::{Session, git, label, refuse_in_worker, store},
};
use crate::{
    failure::{Exit, Failure},
    git::{CommitMessage, GitError, Head, Oid, Place, Repo, commit, diff, refs, worktree},
    job::{JobId, parse_duration},
    ledger::{Cleaned, Event, Job, Tree},
    process::crash,
    ui,
};

/// Remove what is done with: worktrees and branches of merged or empty jobs,
/// the files of collected ones, and of runs whose jobs are all cleaned
///
/// What is unmerged, uncommitted, untracked or uncollected stays and is named.
/// Ignored files in a worktree go with it. With --discard it goes too, but a
/// commit with all of it is kept under `refs/cx/trash/` first; so are the commits of
/// a merged branch that no other ref has, as after a squash. A job whose merge is
/// in no branch any more counts as unmerged again.
#[derive(Debug, Args)]
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

    /// Say what would happen; change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    // Last, since its heading holds for whatever comes after it.
    #[command(flatten, next_help_heading = "Records of `cx run --compat`")]
    records: RecordArgs,
}

/// Why something stays.
struct Stays(String);

/// Runs the verb.
pub fn run(args: &CleanArgs) -> Result<Exit, Failure> {
    refuse_in_worker("clean up")?;
    let session = Session::open()?;
    if args.trash {
        return trash::empty(&session, args.older_than, args.dry_run);
    }
    if let Some(place) = session.place.as_ref().filter(|_| !args.dry_run) {
        super::merge::settle(&session, place)?;
    }
    let mut jobs = wanted(&session, args)?;
    let lost = lost(&session, &mut jobs, args.dry_run)?;
    let mut out = ui::out();
    let mut kept = false;
    let mut gone = BTreeSet::new();
    for job in &jobs {
        let mut cleaned = Cleaned { tree: false, files: false, kept: None };
        let mut stays = Vec::new();
        if let Some(tree) = job.spec.tree.as_ref().filter(|_| !job.is_without_tree()) {
            match clean_tree(&session, job, tree, args)? {
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
            stays.push("not collected".to_owned());
        }
        if !args.dry_run && (cleaned.tree || cleaned.files) {
            crash::point("clean-tree");
            // The event first: files without one would look like a lost answer.
            session.store.append(job.job, &Event::Cleaned(cleaned.clone())).map_err(store)?;
            crash::point("cleaned");
            if cleaned.files {
                session.store.job(job.job).remove().map_err(store)?;
            }
        }
        kept |= !stays.is_empty();
        gone.extend(cleaned.files.then_some(job.job));
        out.line(sentence(job, &cleaned, &stays, args.dry_run))?;
        // A large worktree takes its time; each is told as it goes.
        out.flush()?;
    }
    if !args.dry_run {
        sweep(&session)?;
    }
    let scratch = args.jobs.is_empty() && clean_scratch(&session, args.dry_run)?;
    if scratch {
        let verb = if args.dry_run { "would remove" } else { "removed" };
        out.line(format_args!("{verb} the scratch worktree and the logs of `cx merge --verify`"))?;
    }
    if !args.dry_run {
        remove_folder(&session)?;
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
    job: &Job,
    tree: &Tree,
    args: &CleanArgs,
) -> Result<Result<Option<String>, Stays>, Failure> {
    let place = session.repository("clean")?;
    let repo = Repo::open(place);
    let path = Path::new(&tree.path);
    let is_there = fs::symlink_metadata(path).is_ok();
    let tip = branch_tip(&repo, tree)?;
    let mut trash = None;
    if let Some(why) = unsaved(&repo, job, tree, path, is_there, tip.as_ref())? {
        let settled = is_settled(job, tree, tip.as_ref());
        let is_only_that =
            settled && unsaved_files(&repo, job, tree, path, is_there, tip.as_ref())?.is_none();
        if !args.discard && !is_only_that {
            return Ok(Err(Stays(why)));
        }
        if !args.dry_run {
            trash = keep(place, job, tree, path, is_there, tip)?;
            crash::point("clean-kept");
        }
    }
    if args.dry_run {
        return Ok(Ok(trash));
    }
    match worktree::remove(place, path, &session.store.worktree_lock()) {
        Ok(Some(renamed)) => {
            crash::point("clean-renamed");
            worktree::delete(&renamed).map_err(git)?;
        }
        Ok(None) => {}
        Err(error @ GitError::WorktreeLocked { .. }) => return Ok(Err(Stays(error.to_string()))),
        Err(error) => return Err(git(error)),
    }
    crash::point("clean-worktree");
    // Looked up again: committing what was left may have moved it.
    if let (Some(branch), Some(tip)) = (&tree.branch, branch_tip(&repo, tree)?) {
        if trash.is_none()
            && tip.as_str() != tree.base
            && !refs::is_elsewhere(place, branch, &tip).map_err(git)?
        {
            trash = Some(refs::keep(place, &kept_as(job), &tip).map_err(git)?);
        }
        refs::delete_branch(place, branch, &tip).map_err(git)?;
    }
    Ok(Ok(trash))
}

/// The tip of a job's branch, if it has one.
fn branch_tip(repo: &Repo, tree: &Tree) -> Result<Option<Oid>, Failure> {
    match &tree.branch {
        Some(branch) => repo.branch_tip(branch).map_err(git),
        None => Ok(None),
    }
}

/// Whether what is not merged of a job's branch is not going to be: another of
/// its group was picked, or it is what lay outside of its scope. It is kept under
/// a ref all the same. What came after the job's end is somebody else's.
fn is_settled(job: &Job, tree: &Tree, tip: Option<&Oid>) -> bool {
    let dropped = job.merged.as_ref().is_some_and(|merged| !merged.dropped.is_empty());
    let end = job.exited.as_ref().and_then(|exited| exited.tip.as_ref()).unwrap_or(&tree.base);
    (dropped || job.not_picked.is_some()) && tip.is_some_and(|tip| tip.as_str() == end)
}

/// What of a job's work is nowhere else.
fn unsaved(
    repo: &Repo,
    job: &Job,
    tree: &Tree,
    path: &Path,
    is_there: bool,
    tip: Option<&Oid>,
) -> Result<Option<String>, Failure> {
    if let Some(why) = unsaved_files(repo, job, tree, path, is_there, tip)? {
        return Ok(Some(why));
    }
    let Some(tip) = tip else { return Ok(None) };
    if is_saved(repo, job, tree, tip)? {
        return Ok(None);
    }
    let base = Oid::new(&tree.base).map_err(|e| Failure::internal(e.to_string()))?;
    let commits = repo.commits_between(&base, tip).map_err(git)? as u64;
    Ok(Some(format!("{} on {} not merged", ui::plural(commits, "commit"), branch_name(tree))))
}

/// What lies in a job's worktree that its branch has not.
fn unsaved_files(
    repo: &Repo,
    job: &Job,
    tree: &Tree,
    path: &Path,
    is_there: bool,
    tip: Option<&Oid>,
) -> Result<Option<String>, Failure> {
    if is_there {
        let state = worktree::state(repo.place(), path, None).map_err(git)?;
        let (uncommitted, untracked) =
            (state.uncommitted.len() as u64, state.untracked.len() as u64);
        if uncommitted > 0 {
            return Ok(Some(format!(
                "{} not committed in {}",
                ui::plural(uncommitted, "change"),
                tree.path
            )));
        }
        if untracked > 0 {
            return Ok(Some(format!(
                "{} not tracked in {}",
                ui::plural(untracked, "file"),
                tree.path
            )));
        }
        let source = repo.place().checkout.as_deref();
        if let Some(submodule) = worktree::only_here(source, path).map_err(git)?.first() {
            return Ok(Some(format!(
                "commits of submodule {} that are only in {}",
                submodule.display(),
                tree.path
            )));
        }
        // Somebody works there on something else.
        if let Some(head) = state.head.oid()
            && tip != Some(head)
            && !is_saved(repo, job, tree, head)?
        {
            return Ok(Some(format!("commits outside of {} in {}", branch_name(tree), tree.path)));
        }
    }
    Ok(None)
}

/// Whether a commit is the base itself, was merged by cx, or is in the history
/// of the branch that is checked out here.
fn is_saved(repo: &Repo, job: &Job, tree: &Tree, oid: &Oid) -> Result<bool, Failure> {
    if oid.as_str() == tree.base
        || job.merged.as_ref().is_some_and(|merged| merged.tip == oid.as_str())
    {
        return Ok(true);
    }
    let head = match repo.head().map_err(git)? {
        Head::Branch { oid, .. } | Head::Detached(oid) => oid,
        Head::Unborn(_) => return Ok(false),
    };
    repo.is_ancestor(oid, &head).map_err(git)
}

/// Commits what lies in the worktree, and keeps the branch's tip under a ref.
fn keep(
    place: &Place,
    job: &Job,
    tree: &Tree,
    path: &Path,
    is_there: bool,
    tip: Option<Oid>,
) -> Result<Option<String>, Failure> {
    let mut tip = tip;
    let Some(branch) = &tree.branch else {
        // A reader's: what lies there is on no branch, and comes from nobody who may write.
        let tip = diff::snapshot_commit(place, path).map_err(git)?;
        return refs::keep(place, &kept_as(job), &tip).map(Some).map_err(git);
    };
    if is_there {
        let message = CommitMessage {
            subject: format!("[discarded] {}", job.spec.title),
            body: String::new(),
            trailers: vec![("Cx-Job".to_owned(), format!("{} {}", job.job.0, job.spec.name))],
        };
        let kept = commit::leftovers(&commit::Leftovers {
            place,
            worktree: path,
            branch,
            merges: None,
            name: job.spec.name.as_str(),
            message: &message,
        })
        .map_err(git)?;
        for note in &kept.notes {
            ui::warn(format_args!("{}: {note}", label(job)));
        }
        tip = kept.tip;
    }
    let Some(tip) = tip else { return Ok(None) };
    refs::keep(place, &kept_as(job), &tip).map(Some).map_err(git)
}

/// What is discarded of a job is kept under this name.
fn kept_as(job: &Job) -> String {
    format!("{}-{}", job.spec.name, job.job.0)
}

fn branch_name(tree: &Tree) -> &str {
    tree.branch.as_deref().unwrap_or("no branch")
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
        parts.push(format!("kept: {}", stays.join(", ")));
    }
    format!("{} {}", label(job), parts.join("; "))
}
