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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::git::CommitMessage;
    use crate::git::commit::Pen;
    use crate::git::merge::plan::Drafts;
    use crate::git::merge::{Order, plan};
    use crate::git::testing::{Fixture, commit, write};

    fn candidate(fixture: &Fixture, name: &str, edit: impl Fn(&std::path::Path)) -> Candidate {
        let tree = fixture.worktree(name);
        edit(&tree);
        let message = CommitMessage { subject: name.to_owned(), ..CommitMessage::default() };
        Candidate { key: name.to_owned(), tip: commit(&tree, name), start: None, message }
    }

    fn looked_ahead(fixture: &Fixture, candidates: &[Candidate], style: Style) -> usize {
        let repo = fixture.repo();
        let drafts = Drafts { pen: Pen::new(&repo).unwrap() };
        let foresight = Foresight::new(&repo, style);
        foresight.look_ahead(&drafts, &fixture.oid("main"), candidates.iter()).unwrap();
        let known = foresight.known.borrow().len();
        // What is known is not asked again.
        foresight.look_ahead(&drafts, &fixture.oid("main"), candidates.iter()).unwrap();
        assert_eq!(foresight.known.borrow().len(), known);
        known
    }

    /// That a plan is what merging one by one in a checkout gives.
    fn assert_as_git(fixture: &Fixture, candidates: &[Candidate]) {
        let (repo, main) = (fixture.repo(), fixture.oid("main"));
        let made = plan(&repo, &main, candidates, Style::NoFf, Order::AsGiven).unwrap();
        assert_eq!(made.landed.len(), candidates.len(), "{made:?}");
        fixture.git(&["checkout", "-q", "--detach", "main"]);
        for candidate in candidates {
            fixture.git(&["merge", "-q", "--no-ff", "--no-edit", candidate.tip.as_str()]);
        }
        assert_eq!(repo.tree_of(&made.result).unwrap(), fixture.oid("HEAD^{tree}"));
        fixture.git(&["checkout", "-q", "main"]);
    }

    #[test]
    fn what_lies_apart_is_asked_in_one_go_and_only_that() {
        let fixture = Fixture::new();
        fixture.write("shared", "1\n2\n3\n4\n5\n6\n7\n8\n");
        fixture.commit("shared");
        let all: Vec<Candidate> = ["a", "b", "c", "d"]
            .map(|name| candidate(&fixture, name, |tree| write(tree, name, name)))
            .into();
        assert_eq!(looked_ahead(&fixture, &all, Style::NoFf), 4);
        assert_eq!(looked_ahead(&fixture, &all, Style::Squash), 4);
        // The first moves the target forward, and is no merge.
        assert_eq!(looked_ahead(&fixture, &all, Style::Merge), 3);
        assert_eq!(looked_ahead(&fixture, &all[..1], Style::NoFf), 0);
        assert_eq!(looked_ahead(&fixture, &all, Style::Rebase), 0);
        assert_as_git(&fixture, &all);

        // Both change one file: what comes of that is not foreseen, nor what comes after it.
        let line = |name: &'static str, from: &'static str| {
            candidate(&fixture, name, move |tree| {
                let text = fs::read_to_string(tree.join("shared")).unwrap();
                write(tree, "shared", &text.replace(from, name));
            })
        };
        let [one, two] = [line("one", "1"), line("two", "8")];
        let mixed = [&all[..1], &[one, two], &all[1..]].concat();
        assert_eq!(looked_ahead(&fixture, &mixed, Style::NoFf), 3);
        assert_as_git(&fixture, &mixed);
    }

    #[test]
    fn where_it_was_foreseen_wrongly_git_has_the_last_word() {
        let fixture = Fixture::new();
        fixture.git(&["config", "merge.directoryRenames", "true"]);
        for n in 0..4 {
            let text = format!("{n}\n").repeat(20);
            fixture.write(&format!("old/{n}"), &text);
        }
        fixture.commit("files");
        let moves = candidate(&fixture, "moves", |tree| {
            fs::rename(tree.join("old"), tree.join("new")).unwrap();
        });
        // Git takes it along into the renamed folder, which no comparison of paths tells.
        let adds = candidate(&fixture, "adds", |tree| write(tree, "old/more", "more\n"));
        let apart = candidate(&fixture, "apart", |tree| write(tree, "apart", "1\n"));
        let all = [moves, adds, apart];
        assert_eq!(looked_ahead(&fixture, &all, Style::NoFf), 3);
        assert_as_git(&fixture, &all);
        let made =
            plan(&fixture.repo(), &fixture.oid("main"), &all, Style::NoFf, Order::Most).unwrap();
        let files = fixture.git(&["ls-tree", "-r", "--name-only", made.result.as_str()]);
        assert!(files.contains("new/more") && !files.contains("old/more"), "{files}");
    }

    #[test]
    fn attributes_that_a_job_brings_count_for_those_after_it() {
        let fixture = Fixture::new();
        fixture.write("list", "1\n");
        fixture.commit("list");
        let attributes = candidate(&fixture, "attributes", |tree| {
            write(tree, ".gitattributes", "list merge=union\n");
        });
        let add = |name: &'static str| {
            candidate(&fixture, name, move |tree| write(tree, "list", &format!("1\n{name}\n")))
        };
        let all = [attributes, add("two"), add("three")];
        assert!(looked_ahead(&fixture, &all, Style::NoFf) < 2);
        assert_as_git(&fixture, &all);
    }
}
