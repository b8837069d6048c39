//! The merges of a chain, asked in one go.
//!
//! Each merge of a chain begins at the commit that the one before it gave, so
//! git would have to be started once for each. But where changes lie apart it is
//! plain what git will say. So the chain is gone through with trees made in
//! process, its commits are drafted, and one `git merge-tree` is asked about
//! every step. Only git's answers count: where one is another than was foreseen,
//! the commit after it is another one, nothing is known of that, and git is
//! asked anew. A wrong guess costs time and objects that nobody names.

use std::cell::RefCell;
use std::collections::HashMap;

use super::plan::Commits;
use super::tree::{Merged, merge, merge_pairs};
use super::{Candidate, Style, Verdict};
use crate::git::trees::foreseen;
use crate::git::{GitError, Oid, Repo};

/// What git has said of merges of two commits over their common ancestor.
pub(super) struct Foresight<'a> {
    repo: &'a Repo,
    style: Style,
    known: RefCell<HashMap<(Oid, Oid), Merged>>,
}

impl<'a> Foresight<'a> {
    pub(super) fn new(repo: &'a Repo, style: Style) -> Self {
        Self { repo, style, known: RefCell::default() }
    }

    /// What a merge gives, over `base` if there is one; asked now if it is not known.
    pub(super) fn merge(
        &self,
        base: Option<&Oid>,
        ours: &Oid,
        theirs: &Oid,
    ) -> Result<Merged, GitError> {
        if base.is_none()
            && let Some(known) = self.known.borrow().get(&(ours.clone(), theirs.clone()))
        {
            return Ok(known.clone());
        }
        merge(self.repo.place().git(), base, ours, theirs)
    }

    /// Asks about the next merges of a chain that is at `current` and goes on with
    /// `rest`, as far as it can be foreseen. Does nothing where the next one is known.
    pub(super) fn look_ahead<'c>(
        &self,
        commits: &dyn Commits,
        current: &Oid,
        rest: impl Iterator<Item = &'c Candidate> + Clone,
    ) -> Result<(), GitError> {
        let styles = [Style::Merge, Style::NoFf, Style::Squash];
        if !commits.are_repeatable() || !styles.contains(&self.style) {
            return Ok(());
        }
        let is_known = |next: &Candidate| {
            self.known.borrow().contains_key(&(current.clone(), next.tip.clone()))
        };
        if rest.clone().next().is_some_and(is_known) {
            return Ok(());
        }
        let asked = self.questions(commits, current, rest)?;
        // One is asked where it counts.
        let [(first, _), _, ..] = asked.as_slice() else { return Ok(()) };
        let pairs: Vec<(&Oid, &Oid)> = asked.iter().map(|(ours, theirs)| (ours, theirs)).collect();
        // What goes wrong here goes wrong again where each is asked alone, which says of whom.
        if let Ok(answers) = merge_pairs(&|| self.repo.place().git(), first, &pairs) {
            self.known.borrow_mut().extend(asked.into_iter().zip(answers));
        }
        Ok(())
    }

    /// The merges to ask about. All begin with the attributes of the first.
    fn questions<'c>(
        &self,
        commits: &dyn Commits,
        current: &Oid,
        rest: impl Iterator<Item = &'c Candidate>,
    ) -> Result<Vec<(Oid, Oid)>, GitError> {
        let repo = self.repo;
        let (mut on, mut asked) = (current.clone(), Vec::new());
        for candidate in rest {
            let tip = &candidate.tip;
            let bases = repo.merge_bases(&on, tip)?;
            let [base] = bases.as_slice() else { break };
            if candidate.start.is_some() {
                break;
            }
            if base == tip {
                continue;
            }
            if *base == on && self.style == Style::Merge {
                if !asked.is_empty() {
                    break;
                }
                on = tip.clone();
                continue;
            }
            asked.push((on.clone(), tip.clone()));
            let Some(tree) = foreseen(repo, base, &on, tip) else { break };
            if tree == repo.tree_of(&on)? {
                continue;
            }
            let parents = [&on, tip];
            let parents = if self.style == Style::Squash { &parents[..1] } else { &parents };
            match commits.merged(candidate, &tree, parents)? {
                Verdict::Landed { commit } => on = commit,
                _ => break,
            }
        }
        Ok(asked)
    }
}
