//! Worktrees: those that cx, git and the disk do not agree about.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Findings, Level};
use crate::{
    commands::{
        clean::{trash, tree_folders},
        session::{Session, git, label, store},
        settings::Settings,
    },
    failure::Failure,
    git::{
        Place, Repo,
        worktree::{
            self, Listed,
            pool::{self, Pooled},
        },
    },
    ledger::{Job, Tree},
    process::tidy,
    ui,
};

pub(super) fn look(
    session: &Session,
    place: &Place,
    settings: Option<&Settings>,
    findings: &mut Findings,
) {
    if let Err(failure) = compare(session, place, settings, findings) {
        findings.failure("worktrees", failure);
    }
    match trash(session) {
        Ok(trash) if trash.is_empty() || tidy::is_under_way(session.store.dir()) => {}
        Ok(trash) => findings.note(
            "worktrees",
            format!("{} removed but not yet deleted", ui::plural(trash.len() as u64, "worktree")),
            "`cx clean` deletes what is in the trash folder",
        ),
        Err(failure) => findings.failure("worktrees", failure),
    }
    findings.ok_unless_said("worktrees", "cx and git agree about them");
    made(place, findings);
    pooled(session, place, findings);
}

/// What makes new ones, and where that is git, which takes longest, why.
fn made(place: &Place, findings: &mut Findings) {
    let Ok(Some(head)) = Repo::open(place).head().map(|head| head.oid().cloned()) else { return };
    let taken = worktree::expected(place, &head);
    match taken.why() {
        None => findings.ok("new worktrees", "are copied from the checkout"),
        Some(why) => {
            let text = format!("are made by {}, which takes longer: {why}", taken.engine);
            findings.add(Level::Note, "new worktrees", text, None);
        }
    }
}

/// What waits in the pool.
fn pooled(session: &Session, place: &Place, findings: &mut Findings) {
    let folders = match tree_folders(session) {
        Ok(folders) => folders,
        Err(failure) => return findings.failure("pool", failure),
    };
    let mut all = Vec::new();
    for folder in &folders {
        let (pooled, waiting) = pool::look(place, folder);
        if !waiting.is_empty() && !tidy::is_under_way(session.store.dir()) {
            let count = ui::plural(waiting.len() as u64, "worktree");
            let text = format!("{count} given to the pool, and not looked at yet");
            findings.note("pool", text, "`cx clean` goes on with that");
        }
        all.extend(pooled);
    }
    if !all.is_empty() {
        let is = if all.len() == 1 { "is" } else { "are" };
        let size = ui::size(all.iter().map(Pooled::bytes).sum());
        let count = ui::plural(all.len() as u64, "worktree");
        findings.ok("pool", format!("{count} {is} kept to be used again ({size})"));
    }
}

fn compare(
    session: &Session,
    place: &Place,
    settings: Option<&Settings>,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let listed = worktree::list(place).map_err(git)?;
    // git lists the main one first.
    let linked = listed.get(1..).unwrap_or_default();
    let history = session.store.history().map_err(store)?;
    let jobs: Vec<(&Job, &Tree)> = history
        .jobs
        .values()
        .filter(|job| !job.is_without_tree())
        .filter_map(|job| Some((job, job.spec.tree.as_ref()?)))
        .collect();
    for tree in linked {
        let owner = jobs.iter().find(|(_, known)| same(Path::new(&known.path), &tree.path));
        known_to_git(tree, owner.map(|(job, _)| *job), findings);
    }
    let repo = Repo::open(place);
    for (job, tree) in jobs.iter().filter(|(job, _)| !job.is_live()) {
        let entry = linked.iter().find(|entry| same(&entry.path, Path::new(&tree.path)));
        known_to_cx(&repo, job, tree, entry, findings)?;
    }
    if let Some(settings) = settings {
        known_to_nobody(&settings.worktree_folder(place), &listed, &jobs, findings);
    }
    Ok(())
}

fn known_to_git(tree: &Listed, owner: Option<&Job>, findings: &mut Findings) {
    let path = tree.path.display();
    let half_made = tree.locked.as_deref() == Some("initializing");
    match owner {
        Some(job) if half_made && !job.is_live() => findings.problem(
            "worktrees",
            format!("the worktree of {} is half made: {path}", label(job)),
            format!("`cx clean {}` removes it", job.spec.name),
        ),
        None if tree.branch.as_deref().is_some_and(|branch| branch.starts_with("cx/")) => {
            let branch = tree.branch.as_deref().unwrap_or_default();
            findings.problem(
                "worktrees",
                format!("{path} is on branch {branch}, which belongs to no job"),
                format!("when nothing in it is wanted: git worktree remove {path} && git branch -d {branch}"),
            );
        }
        None if half_made => findings.problem(
            "worktrees",
            format!("{path} is half made and belongs to no job"),
            format!("git worktree remove --force --force {path}"),
        ),
        Some(_) | None => {}
    }
}

/// A job that is over: its worktree and branch should be there.
fn known_to_cx(
    repo: &Repo,
    job: &Job,
    tree: &Tree,
    entry: Option<&Listed>,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let (name, path) = (&job.spec.name, &tree.path);
    let there = fs::symlink_metadata(path).is_ok();
    let Some(branch) = &tree.branch else {
        // A reader's, in which nothing is lost.
        if !there || entry.is_none() {
            let text = format!("the worktree of {} is gone: {path}", label(job));
            findings.problem("worktrees", text, format!("`cx clean {name}` forgets it"));
        }
        return Ok(());
    };
    let stands_at = repo.branch_tip(branch).map_err(git)?;
    if stands_at.is_none() {
        let tip = job.exited.as_ref().and_then(|exited| exited.tip.as_ref());
        let text = format!("branch {branch} of {} is gone", label(job));
        match tip.filter(|_| job.is_unmerged()) {
            Some(tip) => {
                let text = format!("{text}, with work that was not merged");
                findings.problem("worktrees", text, format!("git branch {branch} {tip}"));
            }
            None => findings.problem("worktrees", text, format!("`cx clean {name}` forgets it")),
        }
    } else if !there {
        let has_commits = stands_at.is_some_and(|tip| tip.as_str() != tree.base);
        let mend = if has_commits && job.merged.is_none() {
            format!("its commits are on {branch}: `cx merge {name}` takes them, then ")
        } else {
            String::new()
        };
        findings.problem(
            "worktrees",
            format!("the worktree of {} is gone: {path}", label(job)),
            format!(
                "{mend}`cx clean {name}` forgets it; where it was only moved: git worktree repair NEW-PATH"
            ),
        );
    }
    if there && entry.is_none() {
        findings.problem(
            "worktrees",
            format!("git no longer knows the worktree of {}: {path}", label(job)),
            format!("git worktree repair {path}"),
        );
    }
    Ok(())
}

/// Folders among the worktrees that are none.
fn known_to_nobody(
    folder: &Path,
    listed: &[Listed],
    jobs: &[(&Job, &Tree)],
    findings: &mut Findings,
) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| {
        ![".trash", ".pool"].iter().any(|name| entry.file_name() == *name)
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
    });
    for path in folders.map(|entry| entry.path()) {
        let known = listed.iter().any(|tree| same(&tree.path, &path))
            || jobs.iter().any(|(_, tree)| same(Path::new(&tree.path), &path));
        if !known {
            findings.note(
                "worktrees",
                format!("{} lies among the worktrees and is none", path.display()),
                "look into it, and remove it when nothing in it is wanted",
            );
        }
    }
}

/// Whether two paths name one folder; one that is gone goes by its parent.
fn same(a: &Path, b: &Path) -> bool {
    let resolved = |path: &Path| -> Option<PathBuf> {
        let parent = || Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?));
        fs::canonicalize(path).ok().or_else(parent)
    };
    a == b || resolved(a).is_some_and(|a| resolved(b) == Some(a))
}
