//! Which of many commits collide with each other: a merge of every pair that
//! could conflict, and of no other.
//!
//! A merge can only conflict where both sides changed something since their
//! common ancestor, so most pairs need none. Three processes answer for any
//! number of commits:
//!
//! 1. `git rev-list` gives the commits that each has beyond the trunk. Where two
//!    share none of these and each left the trunk once, their ancestor is that of
//!    the two places at which they left it, which few pairs have to look up.
//! 2. `git diff-tree --stdin` gives the paths that each changed since then.
//! 3. `git merge-tree --stdin` merges the pairs whose paths meet.
//!
//! Paths meet when they are the same, when one is a file where the other has a
//! folder, and when one side moved a whole folder away into which the other adds
//! something, because git then moves that along. Everything else that a rename
//! can do to a merge touches the old or the new name on both sides. Where there
//! are several best common ancestors the pair is merged in any case.
//!
//! Nothing but objects is written, and nothing refers to them.

use std::collections::{HashMap, HashSet};

use super::Conflict;
use super::tree::{Merged, merge, merge_all};
use crate::git::command::records;
use crate::git::{GitError, Oid, Repo};

/// What a merge of two commits gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clash {
    /// Their paths meet, and git merges them.
    Clean,
    /// It conflicts in these paths.
    Conflicts(Vec<Conflict>),
    /// They have no history in common.
    Unrelated,
}

impl Clash {
    /// Whether somebody has to resolve something.
    pub fn is_collision(&self) -> bool {
        !matches!(self, Self::Clean)
    }
}

/// Two commits, by their places in what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The smaller one.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// How they meet.
    pub clash: Clash,
}

/// Remembers merges, so that asking again costs only what has changed.
#[derive(Debug, Default)]
pub struct Matrix {
    known: HashMap<(Oid, Oid), Clash>,
}

impl Matrix {
    /// The pairs of `tips` whose changes meet, in their order. The first is the
    /// trunk that the others were made from (most likely; it only saves time).
    pub fn pairs(&mut self, repo: &Repo, tips: &[Oid]) -> Result<Vec<Pair>, GitError> {
        let mut found = Vec::new();
        let mut asked = Vec::new();
        for (a, b, meets) in meeting(repo, tips)? {
            let key = (tips[a].clone(), tips[b].clone());
            if meets == Meets::Unrelated {
                self.known.insert(key, Clash::Unrelated);
            } else if !self.known.contains_key(&key) {
                asked.push((a, b));
            }
            found.push((a, b));
        }
        let pairs: Vec<(&Oid, &Oid)> = asked.iter().map(|(a, b)| (&tips[*a], &tips[*b])).collect();
        let merged = merge_all(repo.place().git(), &pairs).or_else(|_| {
            // One by one, so that the pair that git cannot merge is the only one.
            pairs.iter().map(|(a, b)| merge(repo.place().git(), None, a, b)).collect()
        })?;
        for ((a, b), merged) in pairs.into_iter().zip(merged) {
            let clash = match merged {
                Merged::Clean(_) => Clash::Clean,
                Merged::Conflicts(paths) => Clash::Conflicts(paths),
            };
            self.known.insert((a.clone(), b.clone()), clash);
        }
        let pair = |(a, b): (usize, usize)| {
            let clash = self.known.get(&(tips[a].clone(), tips[b].clone()))?.clone();
            Some(Pair { a, b, clash })
        };
        Ok(found.into_iter().filter_map(pair).collect())
    }
}

/// What is known of two commits before they are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meets {
    Paths,
    Unrelated,
}

/// The pairs that could conflict.
fn meeting(repo: &Repo, tips: &[Oid]) -> Result<Vec<(usize, usize, Meets)>, GitError> {
    let branches = Branch::all(repo, tips)?;
    let mut ancestors = Ancestors { repo, known: HashMap::new() };
    let mut groups: HashMap<Oid, Vec<(usize, usize)>> = HashMap::new();
    let mut found = Vec::new();
    for a in 0..tips.len() {
        for b in a + 1..tips.len() {
            if tips[a] == tips[b] {
                continue;
            }
            let bases = ancestors.of((&tips[a], &branches[a]), (&tips[b], &branches[b]))?;
            match bases.as_slice() {
                [] => found.push((a, b, Meets::Unrelated)),
                // What is contained in the other changes nothing.
                [one] if *one == tips[a] || *one == tips[b] => {}
                [one] => groups.entry(one.clone()).or_default().push((a, b)),
                _ => found.push((a, b, Meets::Paths)),
            }
        }
    }
    let changes = changes(repo, tips, &groups)?;
    for (base, pairs) in &groups {
        let meets = Meeting::of(repo, tips, base, pairs, &changes)?;
        found.extend(
            pairs
                .iter()
                .filter(|(a, b)| meets.contains(&(*a, *b)))
                .map(|(a, b)| (*a, *b, Meets::Paths)),
        );
    }
    found.sort_unstable_by_key(|(a, b, _)| (*a, *b));
    Ok(found)
}

/// What a commit has beyond the trunk.
#[derive(Debug, Default)]
struct Branch {
    /// Its own commits.
    own: HashSet<usize>,
    /// The commits of the trunk's history at which it was made, or merged it.
    left_at: Vec<Oid>,
}

impl Branch {
    fn all(repo: &Repo, tips: &[Oid]) -> Result<Vec<Self>, GitError> {
        let Some((trunk, others)) = tips.split_first() else { return Ok(Vec::new()) };
        let mut input = format!("^{trunk}\n");
        for tip in others {
            input.extend([tip.as_str(), "\n"]);
        }
        let listed =
            repo.place().git().args(["rev-list", "--parents", "--stdin"]).stdin(input).read()?;
        let text = listed.text();
        let mut parents: HashMap<&str, (usize, Vec<&str>)> = HashMap::new();
        for line in text.lines() {
            let mut ids = line.split(' ');
            if let Some(commit) = ids.next() {
                let number = parents.len();
                parents.insert(commit, (number, ids.collect()));
            }
        }
        tips.iter().map(|tip| Self::of(tip, &parents)).collect()
    }

    fn of(tip: &Oid, parents: &HashMap<&str, (usize, Vec<&str>)>) -> Result<Self, GitError> {
        let mut branch = Self::default();
        let mut pending = vec![tip.as_str()];
        while let Some(commit) = pending.pop() {
            if let Some((number, above)) = parents.get(commit) {
                if branch.own.insert(*number) {
                    pending.extend(above);
                }
            } else {
                let answer = |_| GitError::Answer("git rev-list".to_owned());
                let oid = Oid::new(commit).map_err(answer)?;
                if !branch.left_at.contains(&oid) {
                    branch.left_at.push(oid);
                }
            }
        }
        Ok(branch)
    }
}

/// Best common ancestors, each pair looked up once.
struct Ancestors<'a> {
    repo: &'a Repo,
    known: HashMap<(Oid, Oid), Vec<Oid>>,
}

impl Ancestors<'_> {
    fn of(&mut self, a: (&Oid, &Branch), b: (&Oid, &Branch)) -> Result<Vec<Oid>, GitError> {
        let apart = a.1.own.is_disjoint(&b.1.own);
        let (a, b) = match (a.1.left_at.as_slice(), b.1.left_at.as_slice()) {
            ([one], [other]) if apart && one == other => return Ok(vec![one.clone()]),
            ([one], [other]) if apart => (one, other),
            _ => (a.0, b.0),
        };
        let key = if a < b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) };
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let bases = self.repo.merge_bases(a, b)?;
        self.known.insert(key, bases.clone());
        Ok(bases)
    }
}

/// What one side changed since a common ancestor.
#[derive(Debug, Default)]
struct Changes {
    paths: Vec<Vec<u8>>,
    /// How many of the first are new; then come the deleted ones.
    added: usize,
    deleted: usize,
}

impl Changes {
    fn added(&self) -> &[Vec<u8>] {
        &self.paths[..self.added]
    }

    fn deleted(&self) -> &[Vec<u8>] {
        &self.paths[self.added..self.added + self.deleted]
    }
}

/// The changes of every tip since every ancestor that it shares with another, by
/// ancestor and tip.
fn changes(
    repo: &Repo,
    tips: &[Oid],
    groups: &HashMap<Oid, Vec<(usize, usize)>>,
) -> Result<HashMap<(Oid, usize), Changes>, GitError> {
    let mut wanted: Vec<(&Oid, usize)> = Vec::new();
    for (base, pairs) in groups {
        let mut members: Vec<usize> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        members.sort_unstable();
        members.dedup();
        wanted.extend(members.into_iter().map(|tip| (base, tip)));
    }
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    // `COMMIT PARENT`: the parent given counts, not the one that it has.
    let mut input = String::new();
    for (base, tip) in &wanted {
        input.extend([tips[*tip].as_str(), " ", base.as_str(), "\n"]);
    }
    let output = repo
        .place()
        .git()
        .args(["diff-tree", "--stdin", "--always", "-r", "-z", "--name-status", "--no-renames"])
        .args(["--ignore-submodules=none", "--no-ext-diff"])
        .stdin(input)
        .read()?;
    // `COMMIT`, then `LETTER` and `PATH` as often as needed.
    let answer = || GitError::Answer("git diff-tree --stdin".to_owned());
    let mut fields = records(&output.stdout).peekable();
    let mut all = HashMap::new();
    for (base, tip) in wanted {
        if fields.next() != Some(tips[tip].as_str().as_bytes()) {
            return Err(answer());
        }
        let (mut added, mut deleted, mut other) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(letter) = fields.next_if(|field| field.len() == 1) {
            let path = fields.next().ok_or_else(answer)?.to_vec();
            match letter {
                b"A" => added.push(path),
                b"D" => deleted.push(path),
                _ => other.push(path),
            }
        }
        let (new, gone) = (added.len(), deleted.len());
        added.append(&mut deleted);
        added.append(&mut other);
        all.insert((base.clone(), tip), Changes { paths: added, added: new, deleted: gone });
    }
    Ok(all)
}

/// Who meets whom, among those with one common ancestor.
struct Meeting {
    /// For each member, a bit for every other.
    rows: Vec<Vec<u64>>,
    /// A tip's place among the members.
    places: HashMap<usize, usize>,
}

impl Meeting {
    fn of(
        repo: &Repo,
        tips: &[Oid],
        base: &Oid,
        pairs: &[(usize, usize)],
        changes: &HashMap<(Oid, usize), Changes>,
    ) -> Result<Self, GitError> {
        let mut members: Vec<usize> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        members.sort_unstable();
        members.dedup();
        let words = members.len().div_ceil(64);
        let mut meeting = Self {
            rows: vec![vec![0; words]; members.len()],
            places: members.iter().enumerate().map(|(place, tip)| (*tip, place)).collect(),
        };
        let of: Vec<&Changes> =
            members.iter().filter_map(|tip| changes.get(&(base.clone(), *tip))).collect();
        let mut owners: HashMap<&[u8], Vec<u64>> = HashMap::new();
        for (place, changes) in of.iter().enumerate() {
            for path in &changes.paths {
                set(owners.entry(path).or_insert_with(|| vec![0; words]), place);
            }
        }
        for (path, here) in &owners {
            meeting.join(here, here);
            for folder in folders(path) {
                if let Some(above) = owners.get(folder) {
                    meeting.join(here, above);
                }
            }
        }
        let gone = gone(repo, tips, &members, &of)?;
        if !gone.is_empty() {
            for (place, changes) in of.iter().enumerate() {
                let mut one = vec![0; words];
                set(&mut one, place);
                for folder in changes.added().iter().flat_map(|path| folders(path)) {
                    for from in gone.get(folder).into_iter().flatten() {
                        let mut other = vec![0; words];
                        set(&mut other, *from);
                        meeting.join(&one, &other);
                    }
                }
            }
        }
        Ok(meeting)
    }

    /// All in `left` meet all in `right`.
    fn join(&mut self, left: &[u64], right: &[u64]) {
        for (from, to) in [(left, right), (right, left)] {
            for place in places(from) {
                for (word, more) in self.rows[place].iter_mut().zip(to) {
                    *word |= more;
                }
            }
        }
    }

    fn contains(&self, pair: &(usize, usize)) -> bool {
        let (Some(a), Some(b)) = (self.places.get(&pair.0), self.places.get(&pair.1)) else {
            return false;
        };
        self.rows[*a][b / 64] & (1 << (b % 64)) != 0
    }
}

fn set(bits: &mut [u64], place: usize) {
    bits[place / 64] |= 1 << (place % 64);
}

fn places(bits: &[u64]) -> impl Iterator<Item = usize> {
    bits.iter().enumerate().flat_map(|(index, word)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let bit = left.trailing_zeros() as usize;
            left &= left.checked_sub(1)?;
            Some(index * 64 + bit)
        })
    })
}

/// The folders that a path lies in, without the root.
fn folders(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at])
}

/// The folders that a side has removed altogether while it added something
/// elsewhere, with the places of those sides: they may have been renamed.
fn gone<'a>(
    repo: &Repo,
    tips: &[Oid],
    members: &[usize],
    of: &[&'a Changes],
) -> Result<HashMap<&'a [u8], Vec<usize>>, GitError> {
    let mut asked: Vec<(usize, &[u8])> = Vec::new();
    for (place, changes) in of.iter().enumerate().filter(|(_, changes)| changes.added > 0) {
        let mut here: Vec<&[u8]> =
            changes.deleted().iter().flat_map(|path| folders(path)).collect();
        here.sort_unstable();
        here.dedup();
        asked.extend(here.into_iter().map(|folder| (place, folder)));
    }
    let mut gone: HashMap<&[u8], Vec<usize>> = HashMap::new();
    // A name with a line end cannot be asked for, and counts as gone.
    let (odd, plain): (Vec<_>, Vec<_>) =
        asked.into_iter().partition(|(_, folder)| folder.contains(&b'\n'));
    let mut input = Vec::new();
    for (place, folder) in &plain {
        input.extend_from_slice(tips[members[*place]].as_str().as_bytes());
        input.push(b':');
        input.extend_from_slice(folder);
        input.push(b'\n');
    }
    if !plain.is_empty() {
        let check = ["cat-file", "--batch-check=%(objecttype)"];
        let output = repo.place().git().args(check).stdin(input).read()?;
        // A folder's line is `tree`; what is not there ends in `missing`.
        let lines = output.stdout.split(|byte| *byte == b'\n');
        for ((place, folder), line) in plain.into_iter().zip(lines) {
            if line != b"tree" {
                gone.entry(folder).or_default().push(place);
            }
        }
    }
    for (place, folder) in odd {
        gone.entry(folder).or_default().push(place);
    }
    Ok(gone)
}

#[cfg(test)]
mod tests;
