//! What a job has left: whether anything of it is nowhere else, and a ref that
//! keeps it when it has to go all the same.

use std::{fs, path::Path};

use crate::{
    commands::session::{git, label},
    failure::Failure,
    git::{CommitMessage, Head, Oid, Repo, commit, diff, grant, refs, worktree},
    ledger::{Job, Tree},
    ui,
};

/// A job's worktree and branch, as they are now.
pub(super) struct Left<'a> {
    repo: &'a Repo,
    job: &'a Job,
    tree: &'a Tree,
    path: &'a Path,
    is_there: bool,
    /// Of its branch.
    tip: Option<Oid>,
}

impl<'a> Left<'a> {
    pub(super) fn look(repo: &'a Repo, job: &'a Job, tree: &'a Tree) -> Result<Self, Failure> {
        let path = Path::new(&tree.path);
        let is_there = fs::symlink_metadata(path).is_ok();
        Ok(Self { repo, job, tree, path, is_there, tip: branch_tip(repo, tree)? })
    }

    /// Whether what is not merged of its branch is not going to be: another of its
    /// group was picked, or it is what lay outside of its scope. It is kept under a
    /// ref all the same. What came after the job's end is somebody else's.
    pub(super) fn is_settled(&self) -> bool {
        let job = self.job;
        let dropped = job.merged.as_ref().is_some_and(|merged| !merged.dropped.is_empty());
        let end = job.exited.as_ref().and_then(|exited| exited.tip.as_ref());
        let end = end.unwrap_or(&self.tree.base);
        let tip = self.tip.as_ref();
        (dropped || job.not_picked.is_some()) && tip.is_some_and(|tip| tip.as_str() == end)
    }

    /// What is on its branch and nowhere else.
    pub(super) fn unsaved_commits(&self) -> Result<Option<String>, Failure> {
        let Some(tip) = &self.tip else { return Ok(None) };
        if self.is_saved(tip)? {
            return Ok(None);
        }
        let base = Oid::new(&self.tree.base).map_err(|e| Failure::internal(e.to_string()))?;
        let commits = self.repo.commits_between(&base, tip).map_err(git)? as u64;
        Ok(Some(format!("{} on {} not merged", ui::plural(commits, "commit"), self.branch_name())))
    }

    /// What lies in its worktree that its branch has not.
    pub(super) fn unsaved_files(&self) -> Result<Option<String>, Failure> {
        if !self.is_there {
            return Ok(None);
        }
        let (place, at) = (self.repo.place(), &self.tree.path);
        let state = worktree::state(place, self.path, None).map_err(git)?;
        let (uncommitted, untracked) =
            (state.uncommitted.len() as u64, state.untracked.len() as u64);
        if uncommitted > 0 {
            return Ok(Some(format!(
                "{} not committed in {at}",
                ui::plural(uncommitted, "change")
            )));
        }
        if untracked > 0 {
            return Ok(Some(format!("{} not tracked in {at}", ui::plural(untracked, "file"))));
        }
        let source = place.checkout.as_deref();
        if let Some(submodule) = worktree::only_here(source, self.path).map_err(git)?.first() {
            let submodule = submodule.display();
            return Ok(Some(format!("commits of submodule {submodule} that are only in {at}")));
        }
        // Somebody works there on something else.
        match state.head.oid() {
            Some(head) if self.tip.as_ref() != Some(head) && !self.is_saved(head)? => {
                Ok(Some(format!("commits outside of {} in {at}", self.branch_name())))
            }
            _ => Ok(None),
        }
    }

    /// Whether a commit is the base itself, was merged by cx, or is in the history
    /// of the branch that is checked out here.
    fn is_saved(&self, oid: &Oid) -> Result<bool, Failure> {
        let merged = self.job.merged.as_ref();
        if oid.as_str() == self.tree.base || merged.is_some_and(|m| m.tip == oid.as_str()) {
            return Ok(true);
        }
        let head = match self.repo.head().map_err(git)? {
            Head::Branch { oid, .. } | Head::Detached(oid) => oid,
            Head::Unborn(_) => return Ok(false),
        };
        self.repo.is_ancestor(oid, &head).map_err(git)
    }

    /// Commits what lies in the worktree, and keeps the branch's tip under a ref,
    /// whose name it gives.
    pub(super) fn keep(self) -> Result<Option<String>, Failure> {
        let (place, job) = (self.repo.place(), self.job);
        let keep = |tip: &Oid| refs::keep(place, &kept_as(job), tip).map(Some).map_err(git);
        let Some(branch) = &self.tree.branch else {
            // A reader's: what lies there is on no branch, and comes from nobody who may write.
            return keep(
                &grant::seen(place, self.path, None)
                    .and_then(|there| diff::snapshot_commit(&there))
                    .map_err(git)?,
            );
        };
        if !self.is_there {
            return self.tip.as_ref().map_or(Ok(None), keep);
        }
        let message = CommitMessage {
            subject: format!("[discarded] {}", job.spec.title),
            body: String::new(),
            trailers: vec![("Cx-Job".to_owned(), format!("{} {}", job.job.0, job.spec.name))],
        };
        let kept = commit::leftovers(&commit::Leftovers {
            place,
            worktree: self.path,
            branch,
            merges: None,
            name: job.spec.name.as_str(),
            message: &message,
        })
        .map_err(git)?;
        for note in &kept.notes {
            ui::warn(format_args!("{}: {note}", label(job)));
        }
        kept.tip.as_ref().map_or(Ok(None), keep)
    }

    fn branch_name(&self) -> &str {
        self.tree.branch.as_deref().unwrap_or("no branch")
    }
}

/// The tip of a job's branch, if it has one.
pub(super) fn branch_tip(repo: &Repo, tree: &Tree) -> Result<Option<Oid>, Failure> {
    match &tree.branch {
        Some(branch) => repo.branch_tip(branch).map_err(git),
        None => Ok(None),
    }
}

/// What is discarded of a job is kept under this name.
pub(super) fn kept_as(job: &Job) -> String {
    format!("{}-{}", job.spec.name, job.job.0)
}
