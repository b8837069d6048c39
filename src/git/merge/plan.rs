//! What would become of every candidate, computed without changing anything.

use std::cell::OnceCell;

use super::tree::{Merged, merge};
use super::{Candidate, Conflict, Entry, MergePlan, Opponent, Style, Verdict};
use crate::git::commit::{commit_tree, has_identity};
use crate::git::{Git, GitError, Oid, Repo};

/// Plans to merge `candidates` into the commit `target`, one after the other.
///
/// One that conflicts with what has been merged so far is held back, and the
/// next is tried without it. Commits are made as the user, now, and signed where
/// `commit.gpgSign` says so; hooks do not run. Fails when git cannot be asked,
/// or knows no identity.
pub fn plan(
    repo: &Repo,
    target: &Oid,
    candidates: &[Candidate],
    style: Style,
) -> Result<MergePlan, GitError> {
    let planner = Planner { repo, style, signs: OnceCell::new() };
    let mut plan =
        MergePlan { target: target.clone(), result: target.clone(), entries: Vec::new() };
    let mut landed: Vec<&Candidate> = Vec::new();
    for candidate in candidates {
        let verdict = match planner.try_one(&plan.result, candidate)? {
            Tried::Verdict(verdict) => verdict,
            Tried::Conflicts(paths) => {
                let opponent = planner.opponent(target, &landed, &candidate.tip)?;
                Verdict::Conflicts { paths, opponent }
            }
        };
        if let Verdict::Landed { commit } = &verdict {
            plan.result = commit.clone();
            landed.push(candidate);
        }
        plan.entries.push(Entry { key: candidate.key.clone(), verdict });
    }
    Ok(plan)
}

enum Tried {
    Verdict(Verdict),
    /// The opponent is still to be found.
    Conflicts(Vec<Conflict>),
}

struct Planner<'a> {
    repo: &'a Repo,
    style: Style,
    /// Whether commits are signed; known once the first one is made.
    signs: OnceCell<bool>,
}

impl Planner<'_> {
    fn git(&self) -> Git {
        self.repo.place().git()
    }

    fn try_one(&self, current: &Oid, candidate: &Candidate) -> Result<Tried, GitError> {
        let tip = &candidate.tip;
        let landed = |commit| Ok(Tried::Verdict(Verdict::Landed { commit }));
        if self.repo.is_ancestor(tip, current)? {
            return Ok(Tried::Verdict(Verdict::AlreadyContained));
        }
        if self.repo.merge_base(current, tip)?.is_none() {
            return Ok(Tried::Verdict(Verdict::Unrelated));
        }
        let forward = self.repo.is_ancestor(current, tip)?;
        if forward && matches!(self.style, Style::Merge | Style::Rebase) {
            return landed(tip.clone());
        }
        let tree = match merge(self.git(), None, current, tip)? {
            Merged::Clean(tree) => tree,
            Merged::Conflicts(paths) => return Ok(Tried::Conflicts(paths)),
        };
        if tree == self.repo.tree_of(current)? {
            return Ok(Tried::Verdict(Verdict::NoChanges));
        }
        let message = candidate.message.to_string();
        match self.style {
            Style::Merge | Style::NoFf => {
                landed(self.commit(self.git(), &tree, &[current, tip], &message)?)
            }
            Style::Squash => landed(self.commit(self.git(), &tree, &[current], &message)?),
            Style::Rebase => self.rebase(current, tip, &tree),
        }
    }

    /// Puts the commits of `tip` that `current` lacks on top of it. `merged` is
    /// the tree that a merge would give.
    fn rebase(&self, current: &Oid, tip: &Oid, merged: &Oid) -> Result<Tried, GitError> {
        let range = format!("{current}..{tip}");
        let list = ["rev-list", "--reverse", "--topo-order", "--parents", &range, "--"];
        let listed = self.git().args(list).read()?.text();
        let mut on = current.clone();
        let mut has_merges = false;
        for line in listed.lines() {
            let mut ids = line.split(' ').filter_map(|id| Oid::new(id).ok());
            let (Some(commit), parent, None) = (ids.next(), ids.next(), ids.next()) else {
                has_merges = true;
                continue;
            };
            let Some(parent) = parent else {
                has_merges = true;
                continue;
            };
            match merge(self.git(), Some(&parent), &on, &commit)? {
                Merged::Conflicts(paths) => return Ok(Tried::Conflicts(paths)),
                Merged::Clean(tree) if tree == self.repo.tree_of(&on)? => {}
                Merged::Clean(tree) => on = self.again(&commit, &tree, &on)?,
            }
        }
        // What a merge commit itself changed is in no commit that was picked.
        let verdict = if has_merges && self.repo.tree_of(&on)? != *merged {
            Verdict::RebaseLoses
        } else if on == *current {
            Verdict::NoChanges
        } else {
            Verdict::Landed { commit: on }
        };
        Ok(Tried::Verdict(verdict))
    }

    /// `commit` again with another tree and parent: author and message stay.
    fn again(&self, commit: &Oid, tree: &Oid, parent: &Oid) -> Result<Oid, GitError> {
        let format = "--format=%an%x00%ae%x00%ad%x00%B";
        let shown = self
            .git()
            .args(["log", "-1", "--encoding=UTF-8", "--date=raw", "--no-show-signature", format])
            .arg(commit)
            .read()?;
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        let mut fields = text.splitn(4, '\0');
        let mut field = || fields.next().unwrap_or_default().to_owned();
        let git = self.git().env("GIT_AUTHOR_NAME", field()).env("GIT_AUTHOR_EMAIL", field());
        let git = git.env("GIT_AUTHOR_DATE", format!("@{}", field()));
        let message = field();
        self.commit(git, tree, &[parent], &format!("{}\n", message.trim_end_matches('\n')))
    }

    fn commit(
        &self,
        git: Git,
        tree: &Oid,
        parents: &[&Oid],
        message: &str,
    ) -> Result<Oid, GitError> {
        let signs = if let Some(signs) = self.signs.get() {
            *signs
        } else {
            // Asked once, before the first commit.
            if let Some(missing) = has_identity(&|| self.git())? {
                return Err(GitError::NoIdentity(missing));
            }
            let set = self.git().args(["config", "--type=bool", "commit.gpgSign"]).output()?;
            *self.signs.get_or_init(|| set.text() == "true")
        };
        commit_tree(git, tree, parents, message, signs)
    }

    /// Whom `tip` collides with: the target as it was, those that landed before
    /// it one by one, or, failing that, all of them together.
    fn opponent(
        &self,
        target: &Oid,
        landed: &[&Candidate],
        tip: &Oid,
    ) -> Result<Opponent, GitError> {
        let collides = |with: &Oid| {
            Ok::<_, GitError>(matches!(merge(self.git(), None, with, tip)?, Merged::Conflicts(_)))
        };
        if landed.is_empty() || collides(target)? {
            return Ok(Opponent::Target);
        }
        let mut keys = Vec::new();
        for other in landed {
            if collides(&other.tip)? {
                keys.push(other.key.clone());
            }
        }
        if keys.is_empty() {
            keys = landed.iter().map(|other| other.key.clone()).collect();
        }
        Ok(Opponent::Candidates(keys))
    }
}
