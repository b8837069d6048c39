//! Which branches can collide at all: only those whose changes meet.
//!
//! A real merge of every pair costs a thousand times more than comparing what
//! each branch changed. The comparison errs on one side only: a pair that does
//! not meet merges cleanly; one that meets may merge or not, and git is asked.
//! Changes meet on the same path, where one has a file and the other a folder,
//! and where one adds to a folder that the other moved away (git then suspects
//! a renamed folder). Renames need no more than that: the old and the new path
//! of one are both changed. Where there is more than one best common ancestor,
//! everything meets.

use std::collections::{HashMap, HashSet};
use std::thread;

use super::ancestors::{Ancestors, Branch};
use super::tree::{Merged, merge, merge_pairs};
use super::{Conflict, case};
use crate::git::trees::{Difference, all_differences};
use crate::git::{GitError, Oid, Place, Repo};

/// Fewer merges than this cost less than starting another process.
const WORTH_A_PROCESS: usize = 24;

/// What a branch changed since a commit. Paths are bytes; with
/// `core.ignoreCase` they are compared without case.
#[derive(Debug, Default)]
struct Touched {
    /// Every path that differs.
    paths: HashSet<Vec<u8>>,
    /// The folders above them.
    folders: HashSet<Vec<u8>>,
    /// The folders above those that are new.
    added_below: HashSet<Vec<u8>>,
    /// Folders that lost all they had; the root is the empty path.
    gone: HashSet<Vec<u8>>,
    /// Whether it changes how files are merged (`.gitattributes`).
    attributes: bool,
}

impl Touched {
    /// `gone` holds every folder above a deleted path then.
    fn of(changes: &[Difference], folds: bool) -> Self {
        let mut one = Self::default();
        for Difference { path, letter } in changes {
            one.attributes |= path.rsplit(|b| *b == b'/').next() == Some(b".gitattributes");
            let path = if folds { case::fold(path) } else { path.clone() };
            one.folders.extend(above(&path).map(<[u8]>::to_vec));
            match letter {
                b'A' => {
                    one.added_below.extend(above(&path).map(<[u8]>::to_vec));
                    one.added_below.insert(Vec::new());
                }
                b'D' => {
                    one.gone.extend(above(&path).map(<[u8]>::to_vec));
                    one.gone.insert(Vec::new());
                }
                _ => {}
            }
            one.paths.insert(path);
        }
        one
    }

    fn meets(&self, other: &Self) -> bool {
        let (few, many) =
            if self.paths.len() <= other.paths.len() { (self, other) } else { (other, self) };
        few.paths.iter().any(|path| {
            many.paths.contains(path)
                || many.folders.contains(path)
                || above(path).any(|folder| many.paths.contains(folder))
        }) || self.gone.iter().any(|folder| other.added_below.contains(folder))
            || other.gone.iter().any(|folder| self.added_below.contains(folder))
    }
}

/// The folders above `path`, nearest first, without the root.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..path.len()).rev().filter(|at| path[*at] == b'/').map(|at| &path[..at])
}

/// Two commits that cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// Where it stands among the commits that were given.
    pub first: usize,
    /// The other, always later in that list.
    pub second: usize,
    /// Where and how; never empty.
    pub paths: Vec<Conflict>,
}

/// How many pairs were looked at, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// All pairs that were asked about.
    pub pairs: usize,
    /// Those that cost a real merge.
    pub merges: usize,
}

/// The pairs of `tips` (indices into it) of which git cannot merge one with the
/// other. Pairs without a common ancestor are left out, and so is a commit that
/// is in the other's history. At most one process tells what meets, and one for each
/// common ancestor merges that; only pairs that change attributes, or whose
/// histories cross, cost one of their own. Least is asked where the last of `tips`
/// is the one that the others were made from.
pub fn collisions(
    repo: &Repo,
    tips: &[&Oid],
    pairs: &[(usize, usize)],
) -> Result<(Vec<Collision>, Effort), GitError> {
    let Some(trunk) = tips.last() else { return Ok((Vec::new(), Effort::default())) };
    let real: Vec<(usize, usize, Option<Oid>)> = meeting(repo, trunk, tips, pairs)?
        .into_iter()
        .filter_map(|(a, b, meets)| match meets {
            Meets::Paths(base) => Some((a, b, base)),
            Meets::Apart | Meets::Unrelated => None,
        })
        .collect();
    let effort = Effort { pairs: pairs.len(), merges: real.len() };
    let mut collisions = Vec::new();
    for (a, b, merged) in merge_met(repo, tips, real)? {
        if let Some(paths) = merged.conflicts() {
            collisions.push(Collision { first: a.min(b), second: a.max(b), paths });
        }
    }
    collisions.sort_by_key(|collision| (collision.first, collision.second));
    Ok((collisions, effort))
}

/// What can be told of two commits without merging them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meets {
    /// They merge cleanly: what they changed lies apart, or one has the other.
    Apart,
    /// Only a merge can tell. Where there is a commit, it is the one common
    /// ancestor, and neither side changes attributes since.
    Paths(Option<Oid>),
    /// They have no common ancestor.
    Unrelated,
}

/// What can be told of each of `pairs` (indices into `tips`), in their order.
/// `trunk` is the commit that most of them were made from, which saves time.
pub(super) fn meeting(
    repo: &Repo,
    trunk: &Oid,
    tips: &[&Oid],
    pairs: &[(usize, usize)],
) -> Result<Vec<(usize, usize, Meets)>, GitError> {
    let branches = Branch::all(repo, trunk, tips)?;
    let mut ancestors = Ancestors::new(repo);
    let mut wanted: HashSet<(Oid, Oid)> = HashSet::new();
    let mut bases: Vec<Vec<Oid>> = Vec::with_capacity(pairs.len());
    for &(a, b) in pairs {
        let found = ancestors.of((tips[a], &branches[a]), (tips[b], &branches[b]))?;
        if let [base] = found.as_slice()
            && base != tips[a]
            && base != tips[b]
        {
            wanted.insert((base.clone(), tips[a].clone()));
            wanted.insert((base.clone(), tips[b].clone()));
        }
        bases.push(found);
    }
    let touched = touched(repo, wanted)?;
    let meets = |(a, b): (usize, usize), bases: &[Oid]| match bases {
        [] => Meets::Unrelated,
        [base] if base == tips[a] || base == tips[b] => Meets::Apart,
        [base] => {
            let side = |tip: &Oid| touched.get(&(base.clone(), tip.clone()));
            match side(tips[a]).zip(side(tips[b])) {
                Some((a, b)) if !a.meets(b) => Meets::Apart,
                Some((a, b)) if !a.attributes && !b.attributes => Meets::Paths(Some(base.clone())),
                _ => Meets::Paths(None),
            }
        }
        _ => Meets::Paths(None),
    };
    Ok(pairs
        .iter()
        .zip(&bases)
        .map(|(pair, bases)| (pair.0, pair.1, meets(*pair, bases)))
        .collect())
}

/// Merges pairs that meet, in batches by the commit whose attributes count. In
/// no particular order.
pub(super) fn merge_met(
    repo: &Repo,
    tips: &[&Oid],
    pairs: Vec<(usize, usize, Option<Oid>)>,
) -> Result<Vec<(usize, usize, Merged)>, GitError> {
    let mut batches: HashMap<Oid, Vec<(usize, usize)>> = HashMap::new();
    let mut all = Vec::with_capacity(pairs.len());
    for (a, b, base) in pairs {
        match base {
            Some(base) => batches.entry(base).or_default().push((a, b)),
            None => all.push((a, b, merge(repo.place().git(), None, tips[a], tips[b])?)),
        }
    }
    for (base, batch) in batches {
        let asked: Vec<(&Oid, &Oid)> = batch.iter().map(|(a, b)| (tips[*a], tips[*b])).collect();
        let answers = merge_side_by_side(repo.place(), &base, &asked)?;
        all.extend(batch.into_iter().zip(answers).map(|((a, b), merged)| (a, b, merged)));
    }
    Ok(all)
}

/// One process for each core, but none for a handful of merges.
fn merge_side_by_side(
    place: &Place,
    base: &Oid,
    pairs: &[(&Oid, &Oid)],
) -> Result<Vec<Merged>, GitError> {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(8);
    let size = pairs.len().div_ceil(cores).max(WORTH_A_PROCESS);
    thread::scope(|scope| {
        let running: Vec<_> = pairs
            .chunks(size)
            .map(|some| scope.spawn(move || merge_pairs(&|| place.git(), base, some)))
            .collect();
        let mut all = Vec::with_capacity(pairs.len());
        for one in running {
            let answers = one.join().map_err(|_| GitError::Answer("git merge-tree".to_owned()))?;
            all.extend(answers?);
        }
        Ok(all)
    })
}

/// What lies between each of these pairs of commits.
fn touched(
    repo: &Repo,
    pairs: HashSet<(Oid, Oid)>,
) -> Result<HashMap<(Oid, Oid), Touched>, GitError> {
    let mut all = HashMap::new();
    if pairs.is_empty() {
        return Ok(all);
    }
    let folds = case::is_ignored(repo)?;
    let pairs: Vec<_> = pairs.into_iter().collect();
    let changes = all_differences(repo, &pairs)?;
    for ((base, tip), changes) in pairs.into_iter().zip(changes) {
        let one = Touched::of(&changes, folds);
        let one = only_gone(repo, &repo.tree_of(&tip)?, one, folds);
        all.insert((base, tip), one);
    }
    Ok(all)
}

/// Leaves in `gone` only folders that are not in the tree `new` any more. Where
/// that cannot be looked up cheaply they stay, which costs a merge more.
fn only_gone(repo: &Repo, new: &Oid, mut one: Touched, folds: bool) -> Touched {
    // Without anything new nothing was renamed, and without case the names are not git's.
    if one.added_below.is_empty() {
        one.gone.clear();
    } else if !folds {
        one.gone.retain(|folder| !repo.has_folder(new, folder));
    }
    one
}
