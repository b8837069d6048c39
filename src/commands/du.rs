//! `cx du`
//!
//! Blocks are counted, as `du` does, and a file of several names once. Blocks that clones
//! share are counted for each: no file system tells that at a price that a listing may have.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{
    clean::tree_folders,
    session::{Session, store},
    tidy,
};
use crate::{
    failure::{Exit, Failure},
    git::worktree::{self, pool},
    job::JobId,
    process::disk::{self, Counted},
    ui::{self, Align, Table},
};

/// Say what jobs, the pool and what cx itself keeps take on disk
///
/// Per job: its worktree, with git's own folder of it, and its outputs. Then the worktrees that
/// are kept for the next writers (`cx clean --pool` deletes them), what is removed and not yet deleted,
/// the folder that jobs share (`CX_CACHE`), and the ledger with all else. Blocks that clones share are
/// counted for each of them.
#[derive(Debug, Args)]
pub struct DuArgs {
    /// One JSON object, in bytes
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Found {
    jobs: Vec<OfJob>,
    pool: Vec<OfPool>,
    /// Removed, and not yet deleted; also what is yet to be cleaned for the pool.
    trash: u64,
    cache: u64,
    /// The ledger, runs, locks.
    state: u64,
    total: u64,
    /// What may still be written where worktrees lie.
    free: Option<u64>,
}

#[derive(Debug, Serialize)]
struct OfJob {
    job: JobId,
    name: String,
    path: Option<String>,
    worktree: Option<u64>,
    outputs: u64,
}

#[derive(Debug, Serialize)]
struct OfPool {
    path: PathBuf,
    bytes: u64,
    age_s: u64,
    caches: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &DuArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    tidy::go_on(&session.store)?;
    let found = look(&session)?;
    let mut out = ui::out();
    if args.json {
        out.json(&found)?;
    } else {
        for line in lines(&found) {
            out.line(line)?;
        }
    }
    out.finish()?;
    Ok(Exit::Success)
}

fn look(session: &Session) -> Result<Found, Failure> {
    let mut counted = Counted::default();
    let store_dir = session.store.dir();
    let mut jobs = Vec::new();
    // Of what is cleaned nothing is left, and the rest is listed however old it is.
    for job in session.store.history().map_err(store)?.jobs.values() {
        let tree = job.spec.tree.as_ref().filter(|_| !job.is_without_tree());
        let path = tree.map(|tree| Path::new(&tree.path)).filter(|path| path.is_dir());
        let worktree = path.map(|path| {
            let place = session.place.as_ref();
            let admin = place.and_then(|place| worktree::admin_dir(place, path));
            counted.below(path) + admin.map_or(0, |admin| counted.below(&admin))
        });
        let outputs = counted.below(session.store.job(job.job).dir());
        if worktree.is_some() || outputs > 0 {
            jobs.push(OfJob {
                job: job.job,
                name: job.spec.name.to_string(),
                path: path.map(|path| path.display().to_string()),
                worktree,
                outputs,
            });
        }
    }
    let (mut kept, mut trash) = (Vec::new(), 0);
    let folders = tree_folders(session)?;
    for (folder, place) in folders.iter().zip(session.place.iter().cycle()) {
        let (pooled, waiting) = pool::look(place, folder);
        for tree in pooled {
            kept.push(OfPool {
                bytes: counted.below(&tree.path),
                age_s: tree.age().as_secs(),
                caches: tree.caches().to_vec(),
                path: tree.path,
            });
        }
        let given_up = waiting.into_iter().chain(worktree::trash_beside(&folder.join("any")));
        trash += given_up.map(|path| counted.below(&path)).sum::<u64>();
    }
    let cache = counted.below(&session.store.cache_dir());
    let state = counted.below(store_dir);
    let there: BTreeSet<&Path> =
        folders.iter().filter_map(|folder| folder.ancestors().find(|at| at.is_dir())).collect();
    let free = there.iter().filter_map(|folder| disk::room(folder).ok()).map(|room| room.bytes);
    let of_jobs = jobs.iter().map(|job| job.worktree.unwrap_or(0) + job.outputs);
    let total = of_jobs.sum::<u64>()
        + kept.iter().map(|tree| tree.bytes).sum::<u64>()
        + trash
        + cache
        + state;
    Ok(Found { jobs, pool: kept, trash, cache, state, total, free: free.min() })
}

fn lines(found: &Found) -> Vec<String> {
    let mut table = Table::new(&[Align::Right, Align::Left, Align::Left]);
    let mut row = |bytes: u64, what: &str, more: &str| {
        if bytes > 0 {
            table.row(vec![ui::size(bytes), what.to_owned(), more.to_owned()]);
        }
    };
    for job in &found.jobs {
        let name = format!("[{}] {}", job.job.0, job.name);
        row(job.worktree.unwrap_or(0), &name, "worktree");
        row(job.outputs, &name, "outputs");
    }
    for tree in &found.pool {
        let caches = tree.caches.join(", ");
        let with = if caches.is_empty() { String::new() } else { format!(", with {caches}") };
        let age = ui::short(std::time::Duration::from_secs(tree.age_s));
        row(tree.bytes, "pool", &format!("a worktree, for {age}{with}"));
    }
    row(found.trash, "trash", "removed, and not yet deleted");
    row(found.cache, "cache", "what jobs share");
    row(found.state, "state", "ledger and runs");
    row(found.total, "total", "");
    row(found.free.unwrap_or(0), "free", "");
    table.lines(ui::is_terminal().then(ui::columns), &[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_nothing_is_not_listed() {
        let job = OfJob {
            job: JobId(3),
            name: "auth".to_owned(),
            path: None,
            worktree: None,
            outputs: 4096,
        };
        let found = Found {
            jobs: vec![job],
            pool: Vec::new(),
            trash: 0,
            cache: 0,
            state: 0,
            total: 4096,
            free: None,
        };
        let said = lines(&found);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("4.0 kB") && said[0].contains("[3] auth"), "{said:?}");
    }
}
