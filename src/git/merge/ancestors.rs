//! Best common ancestors of many pairs.
//!
//! One walk gives the commits that each tip has beyond a trunk. Where two tips share none of these and each left the trunk once, their
//! ancestors are those of the two places at which they left it: the same place
//! for most pairs, and a few places for all of them. Only other pairs are looked
//! up one by one. Which commit is called the trunk decides what it costs, not
//! what it gives.

use std::collections::{HashMap, HashSet};

use crate::git::{GitError, Oid, Repo};

/// What a commit has beyond the trunk.
#[derive(Debug, Default)]
pub(super) struct Branch {
    /// Its own commits.
    own: HashSet<usize>,
    /// The commits of the trunk's history at which it was made, or merged it.
    left_at: Vec<Oid>,
}

impl Branch {
    /// One for each of `tips`, with one walk for all.
    pub(super) fn all(repo: &Repo, trunk: &Oid, tips: &[&Oid]) -> Result<Vec<Self>, GitError> {
        let text = repo.beyond(&[trunk], tips)?;
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
pub(super) struct Ancestors<'a> {
    repo: &'a Repo,
    known: HashMap<(Oid, Oid), Vec<Oid>>,
}

impl<'a> Ancestors<'a> {
    pub(super) fn new(repo: &'a Repo) -> Self {
        Self { repo, known: HashMap::new() }
    }

    /// Those of two commits: none where their histories are unrelated.
    pub(super) fn of(
        &mut self,
        a: (&Oid, &Branch),
        b: (&Oid, &Branch),
    ) -> Result<Vec<Oid>, GitError> {
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
