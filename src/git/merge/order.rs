//! Which of several candidates land, when some pairs cannot land together.

/// Up to this many candidates that hang together the largest set is searched
/// for exactly: at worst some hundred thousand steps.
const EXACT: usize = 32;

/// A largest set of `0..n` in which no two collide, ascending. Of several as
/// large the one that has the first ones. `edges` are pairs that collide.
///
/// Beyond [`EXACT`] candidates that hang together it is a large set, which no
/// exchange of one for two makes larger.
pub(super) fn largest(n: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut near = vec![Vec::new(); n];
    for &(a, b) in edges {
        near[a].push(b);
        near[b].push(a);
    }
    let mut taken = Vec::new();
    for component in components(&near) {
        if component.len() <= EXACT {
            taken.extend(exact(&component, &near));
        } else {
            taken.extend(greedy(&component, &near));
        }
    }
    taken.sort_unstable();
    taken
}

/// The sets that hang together, each ascending.
fn components(near: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut seen = vec![false; near.len()];
    let mut all = Vec::new();
    for start in 0..near.len() {
        let mut component = Vec::new();
        let mut pending = vec![start];
        while let Some(v) = pending.pop() {
            if !std::mem::replace(&mut seen[v], true) {
                component.push(v);
                pending.extend(&near[v]);
            }
        }
        if !component.is_empty() {
            component.sort_unstable();
            all.push(component);
        }
    }
    all
}

fn exact(component: &[usize], near: &[Vec<usize>]) -> Vec<usize> {
    let bit = |v: usize| component.binary_search(&v).map_or(0, |at| 1_u32 << at);
    let masks: Vec<u32> =
        component.iter().map(|&v| near[v].iter().map(|&w| bit(w)).fold(0, |a, b| a | b)).collect();
    let all = u32::MAX >> (32 - component.len());
    let best = best(all, &masks);
    component.iter().enumerate().filter(|(at, _)| best >> at & 1 == 1).map(|(_, v)| *v).collect()
}

/// The largest set within `left`; the first ones win a tie.
fn best(left: u32, masks: &[u32]) -> u32 {
    if left == 0 {
        return 0;
    }
    let first = left.trailing_zeros() as usize;
    let (bit, rest) = (1_u32 << first, left & (left - 1));
    let with = bit | best(rest & !masks[first], masks);
    // With one neighbour or none, leaving it out cannot gain anything.
    if (rest & masks[first]).count_ones() < 2 {
        return with;
    }
    let without = best(rest, masks);
    if without.count_ones() > with.count_ones() { without } else { with }
}

/// Takes whoever collides with fewest, then swaps one for two as long as that helps.
fn greedy(component: &[usize], near: &[Vec<usize>]) -> Vec<usize> {
    let mut left = component.to_vec();
    let mut taken: Vec<usize> = Vec::new();
    while let Some(&next) =
        left.iter().min_by_key(|v| near[**v].iter().filter(|w| left.contains(w)).count())
    {
        taken.push(next);
        left.retain(|v| *v != next && !near[next].contains(v));
    }
    'swap: loop {
        for at in 0..taken.len() {
            let out = taken[at];
            let free = |v: &usize| {
                *v != out
                    && !taken.contains(v)
                    && near[*v].iter().all(|w| *w == out || !taken.contains(w))
            };
            let free: Vec<usize> = component.iter().copied().filter(free).collect();
            let pair = free.iter().enumerate().find_map(|(i, a)| {
                free[i + 1..].iter().find(|b| !near[*a].contains(b)).map(|b| (*a, *b))
            });
            if let Some((a, b)) = pair {
                taken.swap_remove(at);
                taken.extend([a, b]);
                continue 'swap;
            }
        }
        return taken;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_ones_win_a_tie_and_the_most_win_otherwise() {
        assert_eq!(largest(0, &[]), [] as [usize; 0]);
        assert_eq!(largest(3, &[]), [0, 1, 2]);
        assert_eq!(largest(2, &[(0, 1)]), [0]);
        // One that collides with all others gives way.
        assert_eq!(largest(4, &[(0, 1), (0, 2), (0, 3)]), [1, 2, 3]);
        assert_eq!(largest(4, &[(0, 1), (1, 2), (2, 3)]), [0, 2]);
        assert_eq!(largest(6, &[(0, 1), (1, 2), (2, 0), (3, 4), (4, 5)]), [0, 3, 5]);
    }

    #[test]
    fn many_that_hang_together_are_chosen_from_quickly() {
        // A star of stars: 1 hub, 10 spokes, 9 leaves each.
        let mut edges = Vec::new();
        for spoke in 1..=10 {
            edges.push((0, spoke));
            edges.extend((0..9).map(|leaf| (spoke, 10 + (spoke - 1) * 9 + leaf + 1)));
        }
        assert_eq!(largest(101, &edges).len(), 91);
        let ring: Vec<_> = (0..EXACT).map(|v| (v, (v + 1) % EXACT)).collect();
        assert_eq!(largest(EXACT, &ring).len(), EXACT / 2);
    }

    /// The size of the largest set, by trying all.
    fn by_trying_all(n: usize, edges: &[(usize, usize)]) -> u32 {
        let fits = |set: &u32| edges.iter().all(|(a, b)| (set >> a & 1) + (set >> b & 1) < 2);
        (0..1_u32 << n).filter(fits).map(u32::count_ones).max().unwrap_or(0)
    }

    fn graph(max: usize) -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
        (1..=max).prop_flat_map(|n| {
            let edge = (0..n, 0..n).prop_filter("no loops", |(a, b)| a != b);
            let edges = if n > 1 {
                prop::collection::vec(edge, 0..=n * 2).boxed()
            } else {
                Just(Vec::new()).boxed()
            };
            (Just(n), edges)
        })
    }

    proptest! {
        #[test]
        fn no_larger_set_is_free_of_collisions((n, edges) in graph(12)) {
            let set = largest(n, &edges);
            prop_assert!(edges.iter().all(|(a, b)| !(set.contains(a) && set.contains(b))));
            prop_assert_eq!(set.len(), by_trying_all(n, &edges) as usize);
        }

        #[test]
        fn the_quick_way_collides_nowhere_and_leaves_nobody_out_for_nothing((n, edges) in graph(40)) {
            let mut near = vec![Vec::new(); n];
            for &(a, b) in &edges {
                near[a].push(b);
                near[b].push(a);
            }
            let all: Vec<usize> = (0..n).collect();
            let set = greedy(&all, &near);
            prop_assert!(edges.iter().all(|(a, b)| !(set.contains(a) && set.contains(b))));
            let left_out = |v: &usize| !set.contains(v);
            prop_assert!(
                all.iter().filter(|v| left_out(v)).all(|v| near[*v].iter().any(|w| set.contains(w)))
            );
        }
    }
}
