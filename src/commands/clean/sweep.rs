//! What crashes leave, and what only whole folders can say: drafts, runs that never
//! came to be, renamed worktrees, the scratch worktree of the gates.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    commands::{
        runs,
        session::{Session, git, store},
        settings::{default_folder, folder_beside},
        tidy::Tidying,
    },
    failure::{Exit, Failure},
    git::{
        Place, merge, push,
        worktree::{self, pool},
    },
    job::JobId,
    ledger::{Follower, decode},
    process::lock,
    ui,
};

use super::FEW;

/// Drafts older than this were left by a spawn that died.
const STALE_DRAFT: Duration = Duration::from_hours(1);

/// Takes what crashes left: folders of jobs that never came to be or are
/// cleaned, and trees that were renamed away and not deleted.
pub(super) fn sweep(session: &Session, tidying: &mut Tidying<'_>) -> Result<(), Failure> {
    for run in runs::abandoned(session)? {
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
        give_up(&trash, tidying)?;
    }
    let Some(place) = &session.place else { return Ok(()) };
    for folder in tree_folders(session)? {
        let (pooled, waiting) = pool::look(place, &folder);
        if !waiting.is_empty() || !pool::beyond(&pooled, &tidying.rules).is_empty() {
            tidying.note(&folder);
        }
    }
    Ok(())
}

/// Deletes what was renamed away, in the background where it is large.
fn give_up(trash: &Path, tidying: &mut Tidying<'_>) -> Result<(), Failure> {
    let folder = trash.parent().and_then(Path::parent);
    if !worktree::delete_if_small(trash, FEW).map_err(git)? {
        tidying.note(folder.unwrap_or(trash));
    }
    Ok(())
}

/// `cx clean --pool`.
pub(super) fn pooled(
    session: &Session,
    mut tidying: Tidying<'_>,
    dry_run: bool,
) -> Result<Exit, Failure> {
    let place = session.repository("clean --pool")?;
    let mut out = ui::out();
    let mut count = 0;
    for folder in tree_folders(session)? {
        let (pooled, waiting) = pool::look(place, &folder);
        let verb = if dry_run { "would remove" } else { "removed" };
        for tree in &pooled {
            let size = ui::size(tree.bytes());
            out.line(format_args!("{verb} {} ({size})", tree.path.display()))?;
        }
        for tree in &waiting {
            out.line(format_args!("{verb} {}", tree.display()))?;
        }
        if !pooled.is_empty() || !waiting.is_empty() {
            tidying.note(&folder);
        }
        count += pooled.len() + waiting.len();
    }
    out.finish()?;
    if count == 0 {
        ui::note("the pool is empty");
    } else if !dry_run {
        tidying.rules.max = 0;
        tidying.begin(&remove_folder(session)?)?;
    }
    Ok(Exit::Success)
}

/// Forgets what was pushed of jobs whose branches are gone.
fn forget_pushed(session: &Session, place: &Place) -> Result<(), Failure> {
    let pushed = push::pushed(place).map_err(git)?;
    if pushed.is_empty() {
        return Ok(());
    }
    let history = session.history()?;
    let gone: BTreeSet<String> =
        history.jobs.values().filter(|job| job.tree_gone).map(crate::commands::push::key).collect();
    for (name, key, oid) in pushed {
        if gone.contains(&key) {
            push::forget(place, &name, &oid).map_err(git)?;
        }
    }
    Ok(())
}

/// Removes the folder for worktrees that cx has made, once nothing is in it; also the one
/// beside the place where the repository was before somebody moved it.
/// Gives those that were there.
pub(super) fn remove_folder(session: &Session) -> Result<BTreeSet<PathBuf>, Failure> {
    let Some(place) = &session.place else { return Ok(BTreeSet::new()) };
    let now = default_folder(place);
    let mut folders = BTreeSet::new();
    for job in session.history()?.jobs.values() {
        let Some(folder) = job.spec.tree.as_ref().and_then(|tree| Path::new(&tree.path).parent())
        else {
            continue;
        };
        let then = job.spec.checkout.as_ref().map(|checkout| folder_beside(Path::new(checkout)));
        if folder == now || then.is_some_and(|then| then == folder) {
            folders.insert(folder.to_owned());
        }
    }
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        worktree::remove_empty(folder, &session.store.worktree_lock()).map_err(git)?;
    }
    Ok(folders)
}

/// Drafts of jobs whose `cx spawn` has died.
pub(in crate::commands) fn abandoned_drafts(session: &Session) -> Vec<PathBuf> {
    let entries = fs::read_dir(session.store.jobs_dir()).into_iter().flatten().flatten();
    let drafts = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".new-"));
    drafts.map(|entry| entry.path()).filter(|path| is_abandoned(path)).collect()
}

/// Whether whoever made a folder with a `lock` in it is dead, or was long ago.
pub(in crate::commands) fn is_abandoned(folder: &Path) -> bool {
    let lock = folder.join("lock");
    if lock.exists() {
        return !lock::is_held(&lock).unwrap_or(true);
    }
    let age = fs::metadata(folder).and_then(|meta| meta.modified()).ok();
    age.is_some_and(|at| at.elapsed().is_ok_and(|age| age > STALE_DRAFT))
}

/// Worktrees that were removed and not yet deleted.
pub(in crate::commands) fn trash(session: &Session) -> Result<Vec<PathBuf>, Failure> {
    let folders = tree_folders(session)?;
    Ok(folders.iter().flat_map(|folder| worktree::trash_beside(&folder.join("any"))).collect())
}

/// The folders that worktrees lie in, or lay.
pub(in crate::commands) fn tree_folders(session: &Session) -> Result<BTreeSet<PathBuf>, Failure> {
    let state = session.store.state().map_err(store)?;
    let trees = state.jobs.values().filter_map(|job| job.spec.tree.as_ref());
    let of_jobs = trees.filter_map(|tree| Path::new(&tree.path).parent().map(Path::to_owned));
    Ok(of_jobs.chain(session.place.as_ref().map(default_folder)).collect())
}

/// Folders under a number that no job has, or whose job is cleaned. Between
/// taking a number and saying so, a spawn holds the ledger's lock.
fn sweep_folders(session: &Session) -> Result<(), Failure> {
    let _appender = session.store.appender().map_err(store)?;
    // By its lines and not by its jobs: one of a later version is a job as well.
    let mut known = BTreeSet::new();
    let mut follower = Follower::new(&session.store, 0);
    loop {
        let lines = follower.some_lines().map_err(store)?;
        if lines.is_empty() {
            break;
        }
        known.extend(lines.iter().filter_map(|line| decode(line)).map(|record| record.job));
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
pub(super) fn clean_scratch(
    session: &Session,
    dry_run: bool,
    tidying: &mut Tidying<'_>,
) -> Result<bool, Failure> {
    let (Some(place), state) = (&session.place, session.store.dir()) else { return Ok(false) };
    let Some(path) = crate::commands::check::scratch(state) else { return Ok(false) };
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
        give_up(&trash, tidying)?;
    }
    fs::remove_dir_all(state.join("verify")).map_err(failed)?;
    Ok(true)
}
