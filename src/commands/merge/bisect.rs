//! Which jobs make a batch red, found with few runs. Pure: the runs are asked
//! of an oracle, which is given the jobs to be merged (indices in the order of
//! the batch) and says whether the result is green.
//!
//! # How it works
//! The whole batch is tried first. When it is red, the smallest red beginning of
//! it is found by halving; its last job is the suspect. One more run tells
//! whether the suspect is red alone; otherwise its partner is found by halving
//! what comes before it, and so on until the group is red by itself. The group
//! is held back and the rest is tried as a whole, from the beginning where it
//! is still red. No set is run twice.
//!
//! # What holds whatever the oracle says
//! [`Found::green`] was run, as a whole, and was green; every group in
//! [`Found::held`] was run or is what the halving left over, and was red; both
//! together are the batch, unless the base is red.
//!
//! # Cost
//! One culprit among N: the whole, log2 N halvings, the suspect alone (or the
//! base, where the suspect is the first), the rest: log2 N + 3 runs at most.
//! A pair: 2 log2 N + 4.

use std::collections::HashMap;

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The jobs that are green together, in the order of the batch; the largest
    /// rest. May be empty.
    pub(super) green: Vec<usize>,
    /// What is held back.
    pub(super) held: Vec<Held>,
    /// The base is red without any job, so nothing can be told of the jobs.
    pub(super) base_is_red: bool,
}

/// What is held back, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Red by itself.
    Alone(usize),
    /// Red together, in the order of the batch; none of them by itself.
    Together(Vec<usize>),
    /// Red on top of these, which are green.
    OnTopOf(usize, Vec<usize>),
}

/// Asks the oracle, no set twice.
struct Runs<'a, E> {
    oracle: &'a mut dyn FnMut(&[usize]) -> Result<bool, E>,
    known: HashMap<Vec<usize>, bool>,
}

impl<E> Runs<'_, E> {
    fn is_green(&mut self, jobs: &[usize]) -> Result<bool, E> {
        if let Some(known) = self.known.get(jobs) {
            return Ok(*known);
        }
        let green = (self.oracle)(jobs)?;
        self.known.insert(jobs.to_vec(), green);
        Ok(green)
    }

    /// The smallest red beginning of `jobs` with `with` behind it: how many of
    /// `jobs` it has. All of them are red; `from` of them pass for green.
    fn smallest_red(&mut self, jobs: &[usize], with: &[usize], from: usize) -> Result<usize, E> {
        let (mut green, mut red) = (from, jobs.len());
        while red - green > 1 {
            let middle = green.midpoint(red);
            if self.is_green(&[&jobs[..middle], with].concat())? {
                green = middle;
            } else {
                red = middle;
            }
        }
        Ok(red)
    }

    /// The group that `suspect` makes red with some of `before`, which pass for
    /// green without it. All of them together are red.
    fn group(&mut self, before: &[usize], suspect: usize) -> Result<Vec<usize>, E> {
        let (mut before, mut group) = (before, vec![suspect]);
        while !before.is_empty() && self.is_green(&group)? {
            let red = self.smallest_red(before, &group, 0)?;
            group.insert(0, before[red - 1]);
            before = &before[..red - 1];
        }
        Ok(group)
    }
}

/// Finds out what of a batch of `count` jobs is green.
///
/// # Errors
/// The oracle's first error ends the search.
pub(super) fn search<E>(
    count: usize,
    oracle: &mut dyn FnMut(&[usize]) -> Result<bool, E>,
) -> Result<Found, E> {
    let mut runs = Runs { oracle, known: HashMap::new() };
    let mut found = Found { green: (0..count).collect(), ..Found::default() };
    // So many at the beginning were green when they were tried last.
    let mut from = 0;
    while !found.green.is_empty() && !runs.is_green(&found.green)? {
        let red = runs.smallest_red(&found.green, &[], from)?;
        if red == 1 && !runs.is_green(&[])? {
            return Ok(Found { base_is_red: true, ..Found::default() });
        }
        let (before, suspect) = (&found.green[..red - 1], found.green[red - 1]);
        let group = runs.group(before, suspect)?;
        from = before.len() + 1 - group.len();
        found.green.retain(|job| !group.contains(job));
        found.held.push(match group.as_slice() {
            [one] => Held::Alone(*one),
            _ => Held::Together(group),
        });
    }
    Ok(found)
}

/// The same with every step tried: each job on top of those that were green.
///
/// # Errors
/// The oracle's first error ends the search.
pub(super) fn each<E>(
    count: usize,
    oracle: &mut dyn FnMut(&[usize]) -> Result<bool, E>,
) -> Result<Found, E> {
    let mut runs = Runs { oracle, known: HashMap::new() };
    let mut found = Found::default();
    for job in 0..count {
        if runs.is_green(&[&found.green[..], &[job]].concat())? {
            found.green.push(job);
        } else if found.green.is_empty() {
            if !runs.is_green(&[])? {
                return Ok(Found { base_is_red: true, ..Found::default() });
            }
            found.held.push(Held::Alone(job));
        } else {
            found.held.push(Held::OnTopOf(job, found.green.clone()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    type Search<E> = fn(usize, &mut dyn FnMut(&[usize]) -> Result<bool, E>) -> Result<Found, E>;

    /// Searches with an oracle that never fails; the sets that were run.
    fn run(
        search: Search<Infallible>,
        count: usize,
        green: impl Fn(&[usize]) -> bool,
    ) -> (Found, Vec<Vec<usize>>) {
        let mut runs = Vec::new();
        let mut oracle = |jobs: &[usize]| {
            runs.push(jobs.to_vec());
            Ok(green(jobs))
        };
        let found = search(count, &mut oracle).unwrap_or_else(|never| match never {});
        (found, runs)
    }

    fn log2(count: usize) -> usize {
        count.next_power_of_two().ilog2() as usize
    }

    /// `2 log2 N + 2`, with the logarithm as it is.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small numbers"
    )]
    fn promised(count: usize) -> usize {
        (2.0 * (count as f64).log2() + 2.0).floor() as usize
    }

    #[test]
    fn a_green_batch_costs_one_run() {
        for count in 1..=16 {
            let (found, runs) = run(search, count, |_| true);
            assert_eq!(found.green, (0..count).collect::<Vec<_>>());
            assert_eq!((found.held.len(), runs.len()), (0, 1));
        }
        assert_eq!(run(search, 0, |_| false), (Found::default(), vec![]));
    }

    #[test]
    fn one_culprit_is_found_within_the_promised_runs() {
        for count in 1..=16 {
            for culprit in 0..count {
                let (found, runs) = run(search, count, |jobs| !jobs.contains(&culprit));
                assert_eq!(found.held, [Held::Alone(culprit)]);
                assert_eq!(found.green.len(), count - 1);
                let cost = runs.len();
                assert!(cost <= promised(count), "{culprit} of {count}: {cost} runs");
                assert!(cost <= log2(count) + 3, "{culprit} of {count}: {cost} runs");
            }
        }
    }

    #[test]
    fn a_pair_is_named_as_one() {
        for count in 2..=16 {
            for second in 1..count {
                for first in 0..second {
                    let red = [first, second];
                    let (found, runs) =
                        run(search, count, |jobs| !red.iter().all(|job| jobs.contains(job)));
                    assert_eq!(found.held, [Held::Together(red.to_vec())]);
                    assert_eq!(found.green.len(), count - 2);
                    let cost = runs.len();
                    assert!(cost <= 2 * log2(count) + 4, "{red:?} of {count}: {cost} runs");
                }
            }
        }
    }

    #[test]
    fn a_red_base_lands_nothing() {
        for count in 1..=16 {
            for search in [search, each] {
                let (found, runs) = run(search, count, |_| false);
                assert_eq!(found, Found { base_is_red: true, ..Found::default() });
                assert!(runs.len() <= log2(count) + 2);
            }
        }
        // A job that mends the base is no reason to give up.
        let (found, _) = run(search, 4, |jobs| jobs.contains(&0) && !jobs.contains(&2));
        assert_eq!(found.green, [0, 1, 3]);
    }

    #[test]
    fn each_step_is_tried_on_those_that_were_green() {
        let (found, runs) = run(each, 4, |jobs| !jobs.contains(&2));
        assert_eq!(found.green, [0, 1, 3]);
        assert_eq!(found.held, [Held::OnTopOf(2, vec![0, 1])]);
        assert_eq!(runs, [vec![0], vec![0, 1], vec![0, 1, 2], vec![0, 1, 3]]);
        let (found, _) = run(each, 2, |jobs| !jobs.contains(&0));
        assert_eq!((found.green, found.held), (vec![1], vec![Held::Alone(0)]));
    }

    #[test]
    fn an_error_ends_the_search() {
        let mut count = 0;
        let mut oracle = |_: &[usize]| {
            count += 1;
            if count < 3 { Ok(false) } else { Err("interrupted") }
        };
        assert_eq!(search(8, &mut oracle), Err("interrupted"));
        assert_eq!(count, 3);
    }

    fn reds(count: usize) -> impl Strategy<Value = Vec<Vec<usize>>> {
        prop::collection::vec(prop::collection::vec(0..count, 1..=3), 0..4)
    }

    proptest! {
        /// Red where one of several groups is whole: every culprit and every
        /// group is found, and as much as possible is green.
        #[test]
        fn what_is_held_is_red_and_the_rest_is_green(
            (count, groups) in (1_usize..=16).prop_flat_map(|count| (Just(count), reds(count))),
        ) {
            let whole = |jobs: &[usize]| {
                groups.iter().any(|group| group.iter().all(|job| jobs.contains(job)))
            };
            let (found, runs) = run(search, count, |jobs| !whole(jobs));
            prop_assert!(!whole(&found.green));
            prop_assert!(found.green.is_empty() || runs.contains(&found.green));
            let mut all = found.green.clone();
            for held in &found.held {
                let group = match held {
                    Held::Alone(job) => vec![*job],
                    Held::Together(group) => group.clone(),
                    Held::OnTopOf(..) => unreachable!("not in this search"),
                };
                prop_assert!(whole(&group));
                // Minimal: without any one of them it is green.
                for left_out in &group {
                    let less: Vec<_> = group.iter().copied().filter(|j| j != left_out).collect();
                    prop_assert!(!whole(&less));
                }
                all.extend(group);
            }
            all.sort_unstable();
            prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
            // Each round: halving twice for every member, and the rest.
            let rounds = found.held.len();
            prop_assert!(runs.len() <= 1 + rounds * 3 * (log2(count) + 2));
        }

        /// Whatever the oracle says, even nonsense: what is to land was run, and
        /// was green; nothing is run twice; nothing is both.
        #[test]
        fn nothing_lands_that_was_not_green(count in 0_usize..=10, seed: u64, each_step: bool) {
            let green = |jobs: &[usize]| {
                let mut hash = seed | 1;
                for job in jobs {
                    hash = (hash ^ (*job as u64 + 1)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    hash ^= hash >> 29;
                }
                hash & 1 == 0
            };
            let (found, runs) = run(if each_step { each } else { search }, count, green);
            let landed = &found.green;
            prop_assert!(landed.is_empty() || (runs.contains(landed) && green(landed)));
            let mut distinct = runs.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), runs.len());
            if found.base_is_red {
                prop_assert!(runs.contains(&vec![]) && !green(&[]));
                prop_assert!(landed.is_empty());
            }
        }
    }
}
