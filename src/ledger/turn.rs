//! Whose turn it is, where limits say how many jobs may run at once.
//!
//! Pure: from the folded jobs to what one of them waits for. A job has a turn to
//! wait for in each of its pools, in the order of their names, and last in the
//! pool of all jobs (`max_jobs`). It takes them one after the other and keeps
//! what it has got.
//!
//! - **Limits hold**: a turn is there while fewer jobs than `max` run in the pool,
//!   or have got their turn in it.
//! - **Nobody overtakes** in one pool: where a job waits, those with a higher number
//!   wait behind it, whatever limit they bring.
//! - **Nobody is held up by strangers**: who waits in one pool has not begun to wait in
//!   a later one, and is in nobody's way there. Who waits for a later one does keep
//!   its turn in an earlier one, as otherwise it might never get both.
//! - **Everybody gets a turn**: each job waits only for jobs that run or that have a lower
//!   number, so the first one always goes on.

use std::collections::{BTreeMap, BTreeSet};

use super::{Job, Phase, Spawned, State};
use crate::job::JobId;

/// One limit that a job waits under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn<'a> {
    /// The pool; none for that of all jobs of the repository.
    pub pool: Option<&'a str>,
    /// How many of it may run at once, itself included.
    pub max: u64,
}

/// What a queued job waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Which of its turns (an index into [`Spawned::turns`]). It has got those
    /// before.
    pub turn: usize,
    /// The job that is next before it in this pool's queue, and which of that one's
    /// turns this is.
    pub behind: Option<(JobId, usize)>,
    /// How many are before it in this pool's queue.
    pub ahead: u64,
    /// How many run in this pool.
    pub running: u64,
    /// With nobody to be `behind`: those, and the jobs that have got their turn in
    /// it. One of them has to end.
    pub holders: BTreeSet<JobId>,
}

impl Spawned {
    /// The limits it waits under, in the order in which it does.
    pub fn turns(&self) -> Vec<Turn<'_>> {
        let mut pools: BTreeMap<&str, u64> = BTreeMap::new();
        for pool in &self.pools {
            let max = pools.entry(&pool.name).or_insert(pool.max);
            *max = pool.max.min(*max);
        }
        let pools = pools.into_iter().map(|(name, max)| Turn { pool: Some(name), max });
        pools.chain(self.max_jobs.map(|max| Turn { pool: None, max })).collect()
    }

    /// Whether it has to wait for a turn at all.
    pub fn is_limited(&self) -> bool {
        self.max_jobs.is_some() || !self.pools.is_empty()
    }
}

/// The queue of one pool.
#[derive(Default)]
struct Pool {
    running: u64,
    holders: BTreeSet<JobId>,
    queue: Vec<(JobId, usize)>,
}

impl State {
    /// What a queued job waits for; none when its turn has come. A job that
    /// `is_alive` denies counts for nothing: its supervisor is dead.
    pub fn wait_of(&self, id: JobId, is_alive: &dyn Fn(JobId) -> bool) -> Option<Wait> {
        self.waits_up_to(id, &|job| job == id || is_alive(job)).remove(&id)
    }

    /// What each queued job waits for whose turn has not come.
    pub fn waits(&self) -> BTreeMap<JobId, Wait> {
        self.waits_up_to(JobId(u64::MAX), &|_| true)
    }

    fn waits_up_to(&self, id: JobId, is_alive: &dyn Fn(JobId) -> bool) -> BTreeMap<JobId, Wait> {
        let live = self.jobs.values().filter(|job| job.is_live() && is_alive(job.job));
        let (admitted, others): (Vec<&Job>, Vec<&Job>) = live.partition(|job| job.admitted);
        let mut pools: BTreeMap<Option<&str>, Pool> = BTreeMap::new();
        for job in admitted {
            let named = job.spec.turns().into_iter().filter_map(|turn| turn.pool);
            for pool in named.map(Some).chain([None]) {
                let pool = pools.entry(pool).or_default();
                pool.holders.insert(job.job);
                pool.running += 1;
            }
        }
        let mut waits = BTreeMap::new();
        let queued = others.iter().filter(|job| job.phase == Phase::Queued);
        for job in queued.take_while(|job| job.job <= id) {
            for (index, turn) in job.spec.turns().into_iter().enumerate() {
                let pool = pools.entry(turn.pool).or_default();
                let behind = pool.queue.last().copied();
                if behind.is_none() && (pool.holders.len() as u64) < turn.max {
                    pool.holders.insert(job.job);
                    continue;
                }
                let holders = if behind.is_none() { pool.holders.clone() } else { BTreeSet::new() };
                let (ahead, running) = (pool.queue.len() as u64, pool.running);
                waits.insert(job.job, Wait { turn: index, behind, ahead, running, holders });
                pool.queue.push((job.job, index));
                break;
            }
        }
        waits
    }
}
