//! Which of many commits collide with each other, and which merely meet.
//!
//! A merge of every pair whose changes meet ([`meeting`]), and of no other.
//! Nothing but objects is written, and nothing refers to them.

use std::collections::HashMap;

use super::meet::{Meets, meeting, merge_met};
use super::plan::own_base;
use super::tree::{Merged, merge};
use super::{Conflict, Start};
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
    /// `starts`, one for each of them: where its own work begins, if it began from
    /// that of others. What the trunk has of that in other commits, as after a
    /// squash, does not collide with itself.
    pub fn pairs(
        &mut self,
        repo: &Repo,
        tips: &[Oid],
        starts: &[Option<Start>],
    ) -> Result<Vec<Pair>, GitError> {
        let Some(trunk) = tips.first() else { return Ok(Vec::new()) };
        let all: Vec<(usize, usize)> =
            (0..tips.len()).flat_map(|a| (a + 1..tips.len()).map(move |b| (a, b))).collect();
        let (mut found, mut asked) = (Vec::new(), Vec::new());
        let tip = |at: usize| tips[at].clone();
        let borrowed: Vec<&Oid> = tips.iter().collect();
        for (a, b, meets) in meeting(repo, trunk, &borrowed, &all)? {
            match meets {
                Meets::Apart => continue,
                Meets::Unrelated => drop(self.known.insert((tip(a), tip(b)), Clash::Unrelated)),
                Meets::Paths(_) if self.known.contains_key(&(tip(a), tip(b))) => {}
                Meets::Paths(base) => asked.push((a, b, base)),
            }
            found.push((a, b));
        }
        for (a, b, merged) in merge_met(repo, &borrowed, asked)? {
            let start = starts.get(b).and_then(Option::as_ref).filter(|_| a == 0);
            let is_clean = matches!(merged, Merged::Clean(_));
            let merged = match start {
                Some(_) if !is_clean => match own_base(repo, &tips[a], &tips[b], start)? {
                    None => merged,
                    base => merge(repo.place().git(), base, &tips[a], &tips[b])?,
                },
                _ => merged,
            };
            let clash = merged.conflicts().map_or(Clash::Clean, Clash::Conflicts);
            self.known.insert((tip(a), tip(b)), clash);
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
