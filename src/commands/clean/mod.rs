//! `cx clean`

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use jiff::Timestamp;

use super::{
    records::{self, RecordArgs},
    session::{Session, git, label, refuse_in_worker, store},
    settings::default_folder,
};
use crate::{
    failure::{Exit, Failure},
    git::{
        CommitMessage, GitError, Head, Oid, Place, Repo, commit, diff, merge, push, refs, worktree,
    },
    job::{JobId, parse_duration},
    ledger::{Cleaned, Event, Follower, Job, Tree, decode},
    process::{crash, lock},
    ui,
};

/// Drafts older than this were left by a spawn that died.
const STALE_DRAFT: Duration = Duration::from_hours(1);

/// Remove what is done with: worktrees and branches of merged or empty jobs,
/// and the files of collected ones
///
/// What is unmerged, uncommitted, untracked or uncollected stays and is named.
/// Ignored files in a worktree go with it. With --discard it goes too, but a
/// commit with all of it is kept under `refs/cx/trash/` first.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// The jobs; all that are over if none is named
    #[arg(value_name = "JOB", add = super::candidates::finished_job())]
    jobs: Vec<String>,

    /// Only jobs that ended at least this long ago
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    older_than: Option<Duration>,

    /// Also what is unmerged, uncommitted or uncollected of the jobs named
    #[arg(long, requires = "jobs")]
    discard: bool,

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
    if let Some(place) = session.place.as_ref().filter(|_| !args.dry_run) {
        super::merge::settle(&session, place)?;
    }
    let jobs = wanted(&session, args)?;
    let mut out = ui::out();
    let mut kept = false;
    for job in &jobs {
        let mut cleaned = Cleaned { tree: false, files: false, kept: None };
        let mut stays = Vec::new();
        if let Some(tree) = job.spec.tree.as_ref().filter(|_| !job.is_without_tree()) {
            match clean_tree(&session, job, tree, args)? {
                Ok(trash) => {
                    cleaned.tree = true;
                    cleaned.kept = trash;
                }
                Err(Stays(why)) => stays.push(why),
            }
        }
        let collected = job.collected || args.discard;
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
    let records = records::clean(&session, &args.records, args.dry_run, &mut out)?;
    out.finish()?;
    if jobs.is_empty() && !scratch && !records {
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

/// Takes what crashes left: folders of jobs that never came to be or are
/// cleaned, and trees that were renamed away and not deleted.
fn sweep(session: &Session) -> Result<(), Failure> {
    for run in abandoned_runs(session)? {
        let _ = fs::remove_dir_all(run);
    }
    if !session.store.jobs_dir().is_dir() {
        return Ok(());
    }
    sweep_folders(session)?;
    if let Some(place) = &session.place {
        let lock = session.store.worktree_lock();
        merge::clear(place, session.store.dir(), &lock).map_err(git)?;
        forget_pushed(session, place)?;
    }
    for draft in abandoned_drafts(session) {
        let _ = fs::remove_dir_all(draft);
    }
    for trash in trash(session)? {
        worktree::delete(&trash).map_err(git)?;
    }
    Ok(())
}

/// Forgets what was pushed of jobs whose branches are gone.
fn forget_pushed(session: &Session, place: &Place) -> Result<(), Failure> {
    let pushed = push::pushed(place).map_err(git)?;
    if pushed.is_empty() {
        return Ok(());
    }
    let history = session.history()?;
    let gone: BTreeSet<String> =
        history.jobs.values().filter(|job| job.tree_gone).map(super::push::key).collect();
    for (name, key, oid) in pushed {
        if gone.contains(&key) {
            push::forget(place, &name, &oid).map_err(git)?;
        }
    }
    Ok(())
}

/// Removes the folder for worktrees that cx has made, once nothing is in it.
fn remove_folder(session: &Session) -> Result<(), Failure> {
    let Some(place) = &session.place else { return Ok(()) };
    let folder = default_folder(place);
    let is_ours = |tree: &Tree| Path::new(&tree.path).parent() == Some(&folder);
    let jobs = session.history()?.jobs;
    if folder.is_dir() && jobs.values().any(|job| job.spec.tree.as_ref().is_some_and(is_ours)) {
        worktree::remove_empty(&folder, &session.store.worktree_lock()).map_err(git)?;
    }
    Ok(())
}

/// Drafts of jobs whose `cx spawn` has died.
pub(super) fn abandoned_drafts(session: &Session) -> Vec<PathBuf> {
    let entries = fs::read_dir(session.store.jobs_dir()).into_iter().flatten().flatten();
    let drafts = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".new-"));
    drafts.map(|entry| entry.path()).filter(|path| is_abandoned(path)).collect()
}

/// Whether whoever made a folder with a `lock` in it is dead, or was long ago.
fn is_abandoned(folder: &Path) -> bool {
    let lock = folder.join("lock");
    if lock.exists() {
        return !lock::is_held(&lock).unwrap_or(true);
    }
    let age = fs::metadata(folder).and_then(|meta| meta.modified()).ok();
    age.is_some_and(|at| at.elapsed().is_ok_and(|age| age > STALE_DRAFT))
}

/// Folders of runs that never came to be. A run's lock is held from before it is in
/// the ledger.
fn abandoned_runs(session: &Session) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(session.store.run("").dir()).into_iter().flatten().flatten();
    let found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| is_abandoned(path)).collect();
    if found.is_empty() {
        return Ok(found);
    }
    let runs = session.store.history().map_err(store)?.runs;
    let is_run =
        |path: &Path| path.file_name().is_some_and(|id| runs.contains_key(&*id.to_string_lossy()));
    Ok(found.into_iter().filter(|path| !is_run(path)).collect())
}

/// Worktrees that were removed and not yet deleted.
pub(super) fn trash(session: &Session) -> Result<Vec<PathBuf>, Failure> {
    let state = session.store.state().map_err(store)?;
    let trees = state.jobs.values().filter_map(|job| job.spec.tree.as_ref());
    let mut folders: Vec<&Path> = trees.filter_map(|tree| Path::new(&tree.path).parent()).collect();
    folders.sort_unstable();
    folders.dedup();
    Ok(folders.iter().flat_map(|folder| worktree::trash_beside(&folder.join("any"))).collect())
}

/// Folders under a number that no job has, or whose job is cleaned. Between
/// taking a number and saying so, a spawn holds the ledger's lock.
fn sweep_folders(session: &Session) -> Result<(), Failure> {
    let _appender = session.store.appender().map_err(store)?;
    // By its lines and not by its jobs: one of a later version is a job as well.
    let mut known = BTreeSet::new();
    for line in Follower::new(&session.store, 0).lines().map_err(store)? {
        known.extend(decode(&line).map(|record| record.job));
    }
    let jobs = session.store.history().map_err(store)?.jobs;
    for entry in fs::read_dir(session.store.jobs_dir()).into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let id = JobId(id);
        if !known.contains(&id) || jobs.get(&id).is_some_and(|job| job.files_gone) {
            session.store.job(id).remove().map_err(store)?;
        }
    }
    Ok(())
}

/// Takes the scratch worktree of `cx merge --verify` with its logs, unless a
/// merge is using it. Says whether there was one.
fn clean_scratch(session: &Session, dry_run: bool) -> Result<bool, Failure> {
    let (Some(place), state) = (&session.place, session.store.dir()) else { return Ok(false) };
    let Some(path) = super::check::scratch(state) else { return Ok(false) };
    let failed = |e: std::io::Error| {
        Failure::internal(format!("cannot remove the scratch worktree {}: {e}", path.display()))
    };
    let Some(_lock) = lock::claim(&state.join("verify.lock")).map_err(failed)? else {
        return Ok(false);
    };
    if dry_run {
        return Ok(true);
    }
    if worktree::is_scratch(place, &path)
        && let Some(trash) =
            worktree::remove(place, &path, &session.store.worktree_lock()).map_err(git)?
    {
        worktree::delete(&trash).map_err(git)?;
    }
    fs::remove_dir_all(state.join("verify")).map_err(failed)?;
    Ok(true)
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
