//! What would become of every candidate, computed without changing anything.

use super::foresee::Foresight;
use super::meet::collisions;
use super::tree::{Merged, merge};
use super::{Candidate, Conflict, Entry, MergePlan, Opponent, Order, Start, Style, Verdict};
use super::{case, order};
use crate::git::commit::{Pen, commit_tree, has_identity};
use crate::git::{Git, GitError, Oid, Repo};

/// Plans to merge `candidates` into the commit `target`.
///
/// One that conflicts with what has been merged so far is held back, and the
/// others are tried without it. With [`Order::Most`] the pairs that collide are
/// found first, with a real merge only for those whose changes meet, and a
/// largest set without such pairs goes first; whether it lands is still decided
/// by merging one after the other. Commits are made as the user, now, unsigned
/// and without hooks: drafts for [`super::seal()`]. Fails when git cannot be
/// asked, or knows no identity.
pub fn plan(
    repo: &Repo,
    target: &Oid,
    candidates: &[Candidate],
    style: Style,
    order: Order,
) -> Result<MergePlan, GitError> {
    let drafts = Drafts { pen: Pen::new(repo)? };
    plan_with(repo, target, candidates, (style, order), &drafts)
}

/// The same, with commits that `commits` makes.
pub(super) fn plan_with(
    repo: &Repo,
    target: &Oid,
    candidates: &[Candidate],
    (style, order): (Style, Order),
    commits: &dyn Commits,
) -> Result<MergePlan, GitError> {
    let chain = Chain::new(repo, style, commits)?;
    let known = match order {
        // Whoever is first lands, so there is nothing to choose.
        Order::Most if candidates.len() > 1 && style != Style::FfOnly => {
            Known::of(repo, target, candidates)?
        }
        _ => Known { sequence: (0..candidates.len()).collect(), edges: None },
    };
    let mut verdicts: Vec<Option<Verdict>> = vec![None; candidates.len()];
    let (mut result, mut landed) = (target.clone(), Vec::new());
    for (place, &at) in known.sequence.iter().enumerate() {
        chain.look_ahead(&result, candidates, &known.sequence[place..])?;
        let tried = chain.try_next(&result, candidates, &landed, at)?;
        let verdict = match tried {
            Tried::Verdict(verdict) => verdict,
            Tried::Conflicts(paths) => {
                let opponent = known.opponent(&chain, target, candidates, &landed, at)?;
                Verdict::Conflicts { paths, opponent }
            }
        };
        if let Verdict::Landed { commit } = &verdict {
            result = commit.clone();
            landed.push(at);
        }
        verdicts[at] = Some(verdict);
    }
    let entries = candidates
        .iter()
        .zip(verdicts)
        .filter_map(|(candidate, verdict)| {
            Some(Entry { key: candidate.key.clone(), verdict: verdict? })
        })
        .collect();
    Ok(MergePlan { target: target.clone(), result, entries, landed })
}

/// Whether a candidate's branch is part of one that has landed, perhaps in other
/// commits than its own.
fn within(
    repo: &Repo,
    candidates: &[Candidate],
    landed: &[usize],
    candidate: &Candidate,
) -> Result<bool, GitError> {
    for at in landed {
        // Only what was started from others' work holds any.
        let other = &candidates[*at];
        let holds_others = other.start.as_ref().is_some_and(|start| !start.alone);
        if holds_others && repo.is_ancestor(&candidate.tip, &other.tip)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is known of the candidates before the first one lands.
struct Known {
    /// The order in which they are tried; all of them.
    sequence: Vec<usize>,
    /// Pairs that collide, the target being the number after the last candidate.
    edges: Option<Vec<(usize, usize)>>,
}

impl Known {
    fn of(repo: &Repo, target: &Oid, candidates: &[Candidate]) -> Result<Self, GitError> {
        let n = candidates.len();
        let mut tips: Vec<&Oid> = candidates.iter().map(|candidate| &candidate.tip).collect();
        tips.push(target);
        let pairs: Vec<(usize, usize)> =
            (0..n).flat_map(|a| (a + 1..=n).map(move |b| (a, b))).collect();
        let (found, _) = collisions(repo, &tips, &pairs)?;
        let edges: Vec<(usize, usize)> = found.iter().map(|c| (c.first, c.second)).collect();
        let (with_target, among): (Vec<_>, Vec<_>) = edges.iter().partition(|edge| edge.1 == n);
        // Whoever collides with the target itself cannot hold back anybody.
        let out = |v: usize| with_target.contains(&(v, n));
        let among: Vec<_> = among.into_iter().filter(|(a, b)| !out(*a) && !out(*b)).collect();
        let mut sequence: Vec<usize> =
            order::largest(n, &among).into_iter().filter(|v| !out(*v)).collect();
        // The rest is tried all the same: git has the last word, and names the paths.
        let rest: Vec<usize> = (0..n).filter(|v| !sequence.contains(v)).collect();
        sequence.extend(rest);
        Ok(Self { sequence, edges: Some(edges) })
    }

    /// Whom candidate `at` collides with: the target as it was, those that
    /// landed before it one by one, or, failing that, all of them together.
    fn opponent(
        &self,
        chain: &Chain<'_>,
        target: &Oid,
        candidates: &[Candidate],
        landed: &[usize],
        at: usize,
    ) -> Result<Opponent, GitError> {
        let (with_target, with) = if let Some(edges) = &self.edges {
            let collide = |a: usize, b: usize| edges.contains(&(a.min(b), a.max(b)));
            let with: Vec<usize> =
                landed.iter().copied().filter(|other| collide(*other, at)).collect();
            (collide(at, candidates.len()), with)
        } else if landed.is_empty() {
            (true, Vec::new())
        } else {
            chain.collides_with(target, candidates, landed, at)?
        };
        if with_target || landed.is_empty() {
            return Ok(Opponent::Target);
        }
        let with = if with.is_empty() { landed } else { &with };
        Ok(Opponent::Candidates(with.iter().map(|at| candidates[*at].key.clone()).collect()))
    }
}

/// How one step of a chain went.
pub(super) enum Tried {
    /// It is decided.
    Verdict(Verdict),
    /// The opponent is still to be found.
    Conflicts(Vec<Conflict>),
}

/// The commit from which on the changes of `tip` count, where the work that it
/// began from is in `current` in other commits: over the common ancestor that
/// work would meet itself.
pub(super) fn own_base<'c>(
    repo: &Repo,
    current: &Oid,
    tip: &Oid,
    start: Option<&'c Start>,
) -> Result<Option<&'c Oid>, GitError> {
    let Some(Start { base, is_in, .. }) = start else { return Ok(None) };
    if repo.is_ancestor(base, current)? || !repo.is_ancestor(base, tip)? {
        return Ok(None);
    }
    if *is_in {
        return Ok(Some(base));
    }
    let adds_nothing = match merge(repo.place().git(), None, current, base)? {
        Merged::Clean(tree) => tree == repo.tree_of(current)?,
        Merged::Conflicts(_) | Merged::Died(_) => false,
    };
    Ok(adds_nothing.then_some(base))
}

/// What makes the commits of a chain.
pub(super) trait Commits {
    /// A commit for `candidate`: the merge of `parents[0]` and its tip, which
    /// is `tree`. With one parent it is a squash.
    fn merged(
        &self,
        candidate: &Candidate,
        tree: &Oid,
        parents: &[&Oid],
    ) -> Result<Verdict, GitError>;

    /// Whether the same commit can be made twice, as one object, and nobody notices.
    fn are_repeatable(&self) -> bool {
        false
    }

    /// Whether they are signed.
    fn are_signed(&self) -> bool {
        false
    }

    /// A commit whose message and author stay: `git` carries the author.
    fn again(&self, git: Git, tree: &Oid, parent: &Oid, message: &str) -> Result<Oid, GitError> {
        commit_tree(git, tree, &[parent], message, self.are_signed())
    }
}

/// Commits as they come: unsigned, no hooks.
pub(super) struct Drafts<'a> {
    pub(super) pen: Pen<'a>,
}

impl Commits for Drafts<'_> {
    fn merged(
        &self,
        candidate: &Candidate,
        tree: &Oid,
        parents: &[&Oid],
    ) -> Result<Verdict, GitError> {
        let commit = self.pen.commit(tree, parents, &candidate.message.to_string())?;
        Ok(Verdict::Landed { commit })
    }

    fn are_repeatable(&self) -> bool {
        self.pen.is_in_process()
    }
}

/// Merging one after the other.
pub(super) struct Chain<'a> {
    repo: &'a Repo,
    style: Style,
    commits: &'a dyn Commits,
    /// Whether names that differ in case are one file.
    ignores_case: bool,
    foresight: Foresight<'a>,
}

impl<'a> Chain<'a> {
    /// A chain that has merged nothing yet.
    pub(super) fn new(
        repo: &'a Repo,
        style: Style,
        commits: &'a dyn Commits,
    ) -> Result<Self, GitError> {
        let (ignores_case, foresight) = (case::is_ignored(repo)?, Foresight::new(repo, style));
        Ok(Self { repo, style, commits, ignores_case, foresight })
    }

    /// Prepares for the candidates `next`, in their order; only saves time.
    fn look_ahead(
        &self,
        current: &Oid,
        candidates: &[Candidate],
        next: &[usize],
    ) -> Result<(), GitError> {
        let rest = next.iter().map(|at| &candidates[*at]);
        self.foresight.look_ahead(self.commits, current, rest)
    }

    fn git(&self) -> Git {
        self.repo.place().git()
    }

    /// Merges candidate `at` into `current`, which holds those that have landed.
    pub(super) fn try_next(
        &self,
        current: &Oid,
        candidates: &[Candidate],
        landed: &[usize],
        at: usize,
    ) -> Result<Tried, GitError> {
        if within(self.repo, candidates, landed, &candidates[at])? {
            return Ok(Tried::Verdict(Verdict::AlreadyContained));
        }
        self.try_one(current, &candidates[at])
    }

    /// Merges `candidate` into `current`. Fails where a commit is needed for that
    /// and git knows no identity.
    fn try_one(&self, current: &Oid, candidate: &Candidate) -> Result<Tried, GitError> {
        self.attempt(current, candidate).map_err(|error| match has_identity(&|| self.git()) {
            Ok(Some(missing)) if matches!(error, GitError::Command { .. }) => {
                GitError::NoIdentity(missing)
            }
            _ => error,
        })
    }

    fn attempt(&self, current: &Oid, candidate: &Candidate) -> Result<Tried, GitError> {
        let tip = &candidate.tip;
        let verdict = |verdict| Ok(Tried::Verdict(verdict));
        if self.repo.is_ancestor(tip, current)? {
            return verdict(Verdict::AlreadyContained);
        }
        if self.repo.merge_base(current, tip)?.is_none() {
            return verdict(Verdict::Unrelated);
        }
        let forward = self.repo.is_ancestor(current, tip)?;
        if self.style == Style::FfOnly && !forward {
            return verdict(Verdict::NotForward);
        }
        let alone = candidate.start.as_ref().is_some_and(|start| start.alone);
        if forward && !alone && matches!(self.style, Style::Merge | Style::Rebase | Style::FfOnly) {
            let clashes = self.clashes(current, tip)?;
            if !clashes.is_empty() {
                return Ok(Tried::Conflicts(clashes));
            }
            return verdict(Verdict::Landed { commit: tip.clone() });
        }
        if self.style == Style::Rebase {
            return self.rebase(current, candidate);
        }
        let from = self.own_base(current, candidate)?;
        let tree = match self.foresight.merge(from, current, tip)? {
            Merged::Clean(tree) => tree,
            Merged::Conflicts(paths) => return Ok(Tried::Conflicts(paths)),
            Merged::Died(message) => return verdict(Verdict::GitDied { message }),
        };
        if tree == self.repo.tree_of(current)? {
            return verdict(Verdict::NoChanges);
        }
        let clashes = self.clashes(current, &tree)?;
        if !clashes.is_empty() {
            return Ok(Tried::Conflicts(clashes));
        }
        match self.style {
            Style::Squash => verdict(self.commits.merged(candidate, &tree, &[current])?),
            Style::Merge | Style::NoFf | Style::FfOnly | Style::Rebase => {
                verdict(self.commits.merged(candidate, &tree, &[current, tip])?)
            }
        }
    }

    fn clashes(&self, old: &Oid, new: &Oid) -> Result<Vec<Conflict>, GitError> {
        if self.ignores_case { case::clashes(self.repo, old, new) } else { Ok(Vec::new()) }
    }

    fn own_base<'c>(
        &self,
        current: &Oid,
        candidate: &'c Candidate,
    ) -> Result<Option<&'c Oid>, GitError> {
        own_base(self.repo, current, &candidate.tip, candidate.start.as_ref())
    }

    /// Puts the commits of a candidate that `current` lacks on top of it.
    fn rebase(&self, current: &Oid, candidate: &Candidate) -> Result<Tried, GitError> {
        let tip = &candidate.tip;
        let from = self.own_base(current, candidate)?;
        let range = format!("{}..{tip}", from.unwrap_or(current));
        let list = ["rev-list", "--reverse", "--topo-order", "--parents", &range, "--"];
        let listed = self.git().args(list).read()?.text();
        let mut on = current.clone();
        let mut has_merges = false;
        for line in listed.lines() {
            let mut ids = line.split(' ').filter_map(|id| Oid::new(id).ok());
            let (Some(commit), Some(parent), None) = (ids.next(), ids.next(), ids.next()) else {
                has_merges = true;
                continue;
            };
            match merge(self.git(), Some(&parent), &on, &commit)? {
                Merged::Conflicts(paths) => return Ok(Tried::Conflicts(paths)),
                Merged::Died(message) => return Ok(Tried::Verdict(Verdict::GitDied { message })),
                Merged::Clean(tree) if tree == self.repo.tree_of(&on)? => {}
                Merged::Clean(tree) => on = self.again(&commit, &tree, &on)?,
            }
        }
        // What a merge commit itself changed is in no commit that was picked.
        if has_merges {
            match merge(self.git(), from, current, tip)? {
                Merged::Conflicts(paths) => return Ok(Tried::Conflicts(paths)),
                Merged::Died(message) => return Ok(Tried::Verdict(Verdict::GitDied { message })),
                Merged::Clean(merged) if merged != self.repo.tree_of(&on)? => {
                    return Ok(Tried::Verdict(Verdict::RebaseLoses));
                }
                Merged::Clean(_) => {}
            }
        }
        if on == *current {
            return Ok(Tried::Verdict(Verdict::NoChanges));
        }
        let clashes = self.clashes(current, &on)?;
        if !clashes.is_empty() {
            return Ok(Tried::Conflicts(clashes));
        }
        Ok(Tried::Verdict(Verdict::Landed { commit: on }))
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
        self.commits.again(git, tree, parent, &format!("{}\n", message.trim_end_matches('\n')))
    }

    /// Whether candidate `at` collides with the target, and with which of those
    /// that landed, each taken alone.
    fn collides_with(
        &self,
        target: &Oid,
        candidates: &[Candidate],
        landed: &[usize],
        at: usize,
    ) -> Result<(bool, Vec<usize>), GitError> {
        let tip = &candidates[at].tip;
        let collides = |other: &Oid| {
            if self.repo.merge_base(other, tip)?.is_none() {
                return Ok(false);
            }
            Ok::<_, GitError>(!matches!(merge(self.git(), None, other, tip)?, Merged::Clean(_)))
        };
        if collides(target)? {
            return Ok((true, Vec::new()));
        }
        let mut with = Vec::new();
        for other in landed {
            if collides(&candidates[*other].tip)? {
                with.push(*other);
            }
        }
        Ok((false, with))
    }
}
