//! Which of many commits collide with each other, and which merely meet.
//!
//! A merge of every pair whose changes meet ([`meeting`]), and of no other.
//! Nothing but objects is written, and nothing refers to them.

use std::collections::HashMap;

use super::Conflict;
use super::meet::{Meets, meeting};
use super::tree::{Merged, merge_pairs};
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
        let Some(trunk) = tips.first() else { return Ok(Vec::new()) };
        let all: Vec<(usize, usize)> =
            (0..tips.len()).flat_map(|a| (a + 1..tips.len()).map(move |b| (a, b))).collect();
        let (mut found, mut asked) = (Vec::new(), Vec::new());
        for (a, b, meets) in meeting(repo, trunk, &tips.iter().collect::<Vec<_>>(), &all)? {
            let key = (tips[a].clone(), tips[b].clone());
            match meets {
                Meets::Apart => continue,
                Meets::Unrelated => drop(self.known.insert(key, Clash::Unrelated)),
                Meets::Paths if self.known.contains_key(&key) => {}
                Meets::Paths => asked.push((a, b)),
            }
            found.push((a, b));
        }
        let pairs: Vec<(&Oid, &Oid)> = asked.iter().map(|(a, b)| (&tips[*a], &tips[*b])).collect();
        let merged = merge_pairs(repo.place().git(), &pairs)?;
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

#[cfg(test)]
mod tests;
