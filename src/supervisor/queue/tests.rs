//! A model of many supervisors in the queue: they sleep until what they wait for
//! happens, and nothing else wakes them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use serde_json::json;

use super::{Cause, causes};
use crate::{
    job::{JobId, Outcome},
    ledger::{Event, Exited, Record, Spawned, State, VERSION, Waiting},
};

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).expect("small")
    }
}

struct Model {
    state: State,
    /// What each sleeper has asked to be woken by, and whether that has happened.
    alarms: BTreeMap<JobId, BTreeMap<Cause, bool>>,
    awake: VecDeque<JobId>,
    /// Turns that each has got, which are never taken back from the lock.
    got: BTreeMap<JobId, usize>,
    wakes: usize,
}

impl Model {
    fn new() -> Self {
        Self {
            state: State::new(),
            alarms: BTreeMap::new(),
            awake: VecDeque::new(),
            got: BTreeMap::new(),
            wakes: 0,
        }
    }

    fn happens(&mut self, job: JobId, event: Event) {
        self.state.fold(Record { version: VERSION, at: Timestamp::UNIX_EPOCH, job, event });
    }

    fn spawn(&mut self, pools: &[(String, u64)], max_jobs: Option<u64>, after: bool) -> JobId {
        let id = JobId(self.state.next);
        let pools: Vec<_> =
            pools.iter().map(|(name, max)| json!({"name": name, "max": max})).collect();
        let after = if after { vec![1] } else { vec![] };
        let spec = json!({
            "id": "0123456789abcdef", "name": format!("j{id}").replace('%', ""), "mode": "reader",
            "backend": "sh", "program": "/bin/sh", "cwd": "/", "grace_ms": 1, "title": "t",
            "pools": pools, "max_jobs": max_jobs, "after": after,
        });
        let spec: Spawned = serde_json::from_value(spec).expect("a spec");
        let waits = !spec.after.is_empty();
        self.happens(id, Event::Spawned(Box::new(spec)));
        if waits {
            self.happens(id, Event::Waiting(Waiting { after: vec![JobId(1)] }));
        } else {
            self.awake.push_back(id);
        }
        id
    }

    fn rings(&mut self, cause: Cause) {
        for (id, alarms) in &mut self.alarms {
            if let Some(rung) = alarms.get_mut(&cause).filter(|rung| !**rung) {
                *rung = true;
                self.awake.push_back(*id);
            }
        }
    }

    fn ends(&mut self, id: JobId) {
        self.happens(id, Event::Exited(Box::new(Exited::of(Outcome::Succeeded))));
        self.alarms.remove(&id);
        // Closing its lock lets go of all of it.
        let turns = self.state.jobs[&id].spec.turns().len();
        (0..turns.max(1)).for_each(|turn| self.rings(Cause::Turn(id, turn)));
        self.rings(Cause::End(id));
    }

    /// Everybody who is awake looks, as `wait_for_turn` does, until all sleep.
    fn settle(&mut self) {
        while let Some(id) = self.awake.pop_front() {
            let job = &self.state.jobs[&id];
            if !job.is_live() || job.admitted {
                continue;
            }
            self.wakes += 1;
            let turns = job.spec.turns().len();
            let wait = self.state.wait_of(id, &|_| true);
            let passed = wait.as_ref().map_or(turns, |wait| wait.turn);
            if wait.is_none() {
                self.happens(id, Event::Admitted);
                self.alarms.remove(&id);
            }
            let before = *self.got.get(&id).unwrap_or(&0);
            self.got.insert(id, before.max(passed));
            (before..passed).for_each(|turn| self.rings(Cause::Turn(id, turn)));
            let Some(wait) = wait else { continue };
            let mine = self.alarms.entry(id).or_default();
            let rung = |cause: &Cause| mine.get(cause).is_some_and(|rung| *rung);
            for cause in causes(&self.state, &wait, &rung) {
                // What has happened already wakes at once.
                let there = match cause {
                    Cause::End(other) => !self.state.jobs[&other].is_live(),
                    Cause::Turn(other, turn) => {
                        !self.state.jobs[&other].is_live()
                            || self.got.get(&other).is_some_and(|got| *got > turn)
                    }
                };
                let known = mine.get(&cause).is_some_and(|rung| !rung);
                if !known {
                    mine.insert(cause, there);
                }
                if there {
                    self.awake.push_back(id);
                }
            }
            assert!(self.wakes < 1_000_000, "it never sleeps");
        }
    }

    fn running(&self) -> Vec<JobId> {
        let jobs = self.state.jobs.values();
        jobs.filter(|job| job.is_live() && job.admitted).map(|job| job.job).collect()
    }

    fn waiting(&self) -> BTreeSet<JobId> {
        let jobs = self.state.jobs.values();
        jobs.filter(|job| job.is_live() && !job.admitted).map(|job| job.job).collect()
    }

    /// No limit of any job that was just admitted is broken, where all agree on them.
    fn keeps_to(&self, limits: &[(String, u64)], max_jobs: Option<u64>) {
        let running = self.running();
        let in_pool = |name: &str| {
            let has = |id: &&JobId| self.state.jobs[id].spec.pools.iter().any(|p| p.name == name);
            running.iter().filter(has).count() as u64
        };
        for (name, max) in limits {
            assert!(in_pool(name) <= *max, "{name}: {running:?}");
        }
        assert!(max_jobs.is_none_or(|max| running.len() as u64 <= max), "{running:?}");
    }
}

#[test]
fn limits_hold_everybody_gets_a_turn_and_few_are_woken() {
    for seed in 1..=400 {
        let mut random = Random(seed * 0x9E37_79B9);
        let limits: Vec<(String, u64)> = ["a", "b", "c"]
            .iter()
            .map(|name| ((*name).to_owned(), 1 + random.below(3) as u64))
            .collect();
        let max_jobs = (random.below(2) == 0).then(|| 1 + random.below(4) as u64);
        let mut model = Model::new();
        let jobs = 40;
        for _ in 0..jobs {
            let mut pools = limits.clone();
            // Mostly one, seldom several.
            while pools.len() > 1 && random.below(4) > 0 {
                pools.remove(random.below(pools.len()));
            }
            model.spawn(&pools, max_jobs, random.below(4) == 0);
            if random.below(3) == 0 {
                model.settle();
            }
        }
        let mut spawned_late: Vec<JobId> = model
            .state
            .jobs
            .values()
            .filter(|job| !job.spec.after.is_empty())
            .map(|job| job.job)
            .collect();
        model.settle();
        loop {
            model.keeps_to(&limits, max_jobs);
            // One ends, or dies in the queue, or joins it before others.
            match random.below(8) {
                0 if !spawned_late.is_empty() => {
                    let id = spawned_late.remove(random.below(spawned_late.len()));
                    if model.state.jobs[&id].is_live() {
                        model.happens(id, Event::Queued);
                        model.awake.push_back(id);
                    }
                }
                1 if random.below(4) == 0 => {
                    let waiting: Vec<JobId> = model.waiting().into_iter().collect();
                    if !waiting.is_empty() {
                        let id = waiting[random.below(waiting.len())];
                        model.ends(id);
                    }
                }
                _ => {
                    let running = model.running();
                    if running.is_empty() {
                        if spawned_late.is_empty() {
                            break;
                        }
                        continue;
                    }
                    model.ends(running[random.below(running.len())]);
                }
            }
            model.settle();
        }
        assert_eq!(model.waiting(), BTreeSet::new(), "seed {seed}: nobody is left behind");
        assert!(model.wakes < jobs * 12, "seed {seed}: {} wakes for {jobs} jobs", model.wakes);
    }
}

/// Whoever waits for one pool is in nobody's way in another.
#[test]
fn strangers_do_not_hold_each_other_up() {
    let mut model = Model::new();
    let (reviewer, coder) = ([("reviewer".to_owned(), 1)], [("coder".to_owned(), 2)]);
    let first = model.spawn(&reviewer, Some(3), false);
    model.spawn(&reviewer, Some(3), false);
    model.spawn(&reviewer, Some(3), false);
    let third = model.spawn(&coder, Some(3), false);
    let fourth = model.spawn(&coder, Some(3), false);
    let last = model.spawn(&[], Some(3), false);
    model.settle();
    assert_eq!(model.running(), [first, third, fourth]);
    // Both the next reviewer and the last one could go; the reviewer is first.
    model.ends(first);
    model.settle();
    assert_eq!(model.running(), [JobId(2), third, fourth]);
    model.ends(third);
    model.settle();
    assert_eq!(model.running(), [JobId(2), fourth, last]);
    let wait = model.state.wait_of(JobId(3), &|_| true).expect("it waits");
    assert_eq!((wait.turn, wait.ahead, wait.behind), (0, 0, None));
    assert_eq!(wait.holders, BTreeSet::from([JobId(2)]));
}

/// Limits that differ: nobody overtakes who waits in the same pool.
#[test]
fn a_larger_limit_does_not_overtake() {
    let mut model = Model::new();
    let first = model.spawn(&[("p".to_owned(), 5)], None, false);
    model.spawn(&[("p".to_owned(), 1)], None, false);
    model.spawn(&[("p".to_owned(), 5)], None, false);
    model.settle();
    assert_eq!(model.running(), [first]);
    model.ends(first);
    model.settle();
    // The second runs alone, as it asked; the third is content with company.
    assert_eq!(model.running(), [JobId(2), JobId(3)]);
}
