//! Holds: who may ask, and when the others follow.

use std::collections::BTreeMap;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn on_hold(until: i64) -> Event {
    let reason = "429 Too Many Requests".to_owned();
    Event::OnHold(OnHold { until: at(until), reason, refused: 1, thread: None })
}

fn begun(n: u64) -> (u64, Event) {
    let codex = BackendName::CODEX;
    let spec = Spawned { backend: codex, ..spec(&format!("job-{n}"), Mode::Reader) };
    (n, Event::Spawned(Box::new(spec)))
}

/// Three jobs on hold from seconds 3 to 5 on, until seconds 100, 90 and 80.
fn three() -> State {
    let holds = [(1, on_hold(100)), (2, on_hold(90)), (3, on_hold(80))];
    folded([1, 2, 3].map(begun).into_iter().chain(holds))
}

fn fold(state: &mut State, second: i64, job: u64, event: Event) {
    state.fold(Record { version: VERSION, at: at(second), job: JobId(job), event });
}

fn next(state: &State, job: u64, now: i64) -> Option<i64> {
    state.may_ask(JobId(job), at(now), &|_| true).map(Timestamp::as_second)
}

#[test]
fn the_clock_is_one_and_the_first_asks() {
    let state = three();
    assert_eq!(next(&state, 1, 50), Some(100));
    assert_eq!(next(&state, 3, 95), Some(104), "nobody goes by a clock of its own");
    assert_eq!(next(&state, 1, 100), None);
    assert!(next(&state, 2, 100).is_some());
    // The first one's supervisor is dead: the next one asks.
    let alive = |job: JobId| job != JobId(1);
    assert_eq!(state.may_ask(JobId(2), at(100), &alive), None);
}

#[test]
fn others_wait_for_the_one_that_asks() {
    let mut state = three();
    fold(&mut state, 100, 1, Event::Admitted);
    assert_eq!(next(&state, 2, 110), Some(220));
    assert_eq!(next(&state, 2, 220), None, "it may have died without a word");
    // It is refused once more, and that holds for all.
    fold(&mut state, 111, 1, on_hold(300));
    assert_eq!(next(&state, 2, 220), Some(302));
    assert_eq!(next(&state, 1, 220), Some(300));
    // It ends without an answer: the next one asks.
    fold(&mut state, 300, 1, Event::Queued);
    fold(&mut state, 301, 1, ended(Outcome::Killed));
    assert_eq!(next(&state, 2, 301), None);
}

#[test]
fn once_the_service_answers_they_follow_one_after_the_other() {
    let mut state = three();
    fold(&mut state, 100, 1, Event::Admitted);
    fold(&mut state, 105, 1, Event::HoldOver);
    assert_eq!((next(&state, 2, 105), next(&state, 3, 105)), (Some(107), Some(109)));
    fold(&mut state, 107, 2, Event::Queued);
    fold(&mut state, 107, 2, Event::Admitted);
    assert_eq!((next(&state, 3, 107), next(&state, 3, 109)), (Some(109), None));
    // A job that was never refused has nothing to wait for now.
    assert_eq!(state.is_closed("codex", &|_| true), None);
    // Refused again: the clock is set anew, and not to the latest time of before.
    fold(&mut state, 108, 2, on_hold(150));
    assert_eq!(next(&state, 3, 109), Some(152));
}

#[test]
fn new_jobs_wait_with_those_on_hold() {
    let mut state = three();
    assert_eq!(state.is_closed("codex", &|_| true), Some((JobId(1), at(100))));
    assert_eq!(state.is_closed("claude", &|_| true), None);
    // All of them are gone: somebody has to find out.
    assert_eq!(state.is_closed("codex", &|_| false), None);
    fold(&mut state, 100, 1, Event::Admitted);
    for job in [2, 3] {
        fold(&mut state, 101, job, ended(Outcome::Killed));
    }
    assert_eq!(state.is_closed("codex", &|_| true), Some((JobId(1), at(100))), "it asks");
    fold(&mut state, 102, 1, ended(Outcome::Succeeded));
    assert_eq!(state.is_closed("codex", &|_| true), None);
}

#[test]
fn a_job_on_hold_gives_its_place_back() {
    let limited = |n: u64| {
        let spec = Spawned {
            backend: BackendName::CODEX,
            max_jobs: Some(1),
            ..spec(&format!("job-{n}"), Mode::Reader)
        };
        (n, Event::Spawned(Box::new(spec)))
    };
    let mut state = folded([limited(1), limited(2), (1, Event::Admitted)]);
    assert!(state.wait_of(JobId(2), &|_| true).is_some());
    fold(&mut state, 9, 1, on_hold(100));
    assert_eq!(state.jobs[&JobId(1)].phase, Phase::OnHold);
    assert!(state.wait_of(JobId(2), &|_| true).is_none());
    fold(&mut state, 10, 2, Event::Admitted);
    fold(&mut state, 100, 1, Event::Queued);
    assert!(state.wait_of(JobId(1), &|_| true).is_some(), "it waits for its turn again");
}

#[test]
fn clocks_stay_in_a_snapshot() {
    let (_dir, store) = store();
    append_all(&store, [1, 2].map(begun).into_iter().chain([(1, on_hold(100))]));
    let before = store.state().expect("a state");
    super::snapshots::force(&store);
    let after = store.state().expect("a state");
    assert_eq!(after, before);
    assert_eq!(after.clocks["codex"].until, at(100));
}

/// Fifty jobs, each of which looks when the ledger has told it to, or once it is woken. The
/// service refuses until second 1000, and then answers after three seconds.
#[test]
fn fifty_knock_one_by_one() {
    const JOBS: u64 = 50;
    const OPENS: i64 = 1000;
    let mut state = folded((1..=JOBS).map(begun));
    for job in 1..=JOBS {
        fold(&mut state, 99, job, on_hold(160));
    }
    let mut looks: BTreeMap<u64, i64> = (1..=JOBS).map(|job| (job, 100)).collect();
    let mut asked: Vec<(i64, u64)> = Vec::new();
    // Who asks, and when the service has made up its mind.
    let mut under_way: Vec<(i64, u64)> = Vec::new();
    for now in 100..3000 {
        let (done, rest): (Vec<_>, Vec<_>) = under_way.into_iter().partition(|(at, _)| *at <= now);
        under_way = rest;
        for (_, job) in done {
            if now < OPENS {
                fold(&mut state, now, job, on_hold(now + 60));
                looks.insert(job, now);
            } else {
                fold(&mut state, now, job, Event::HoldOver);
                // Everybody is woken.
                for look in looks.values_mut() {
                    *look = now;
                }
            }
        }
        let due: Vec<u64> =
            looks.iter().filter(|(_, look)| **look <= now).map(|(job, _)| *job).collect();
        for job in due {
            if let Some(look) = next(&state, job, now) {
                looks.insert(job, look);
                continue;
            }
            looks.remove(&job);
            fold(&mut state, now, job, Event::Admitted);
            fold(&mut state, now, job, Event::Running(Running { worker: process(7) }));
            asked.push((now, job));
            under_way.push((now + 3, job));
        }
    }
    assert!(looks.is_empty() && under_way.is_empty(), "all have gone on: {looks:?}");
    let refused = asked.iter().filter(|(at, _)| at + 3 < OPENS).count();
    assert!((10..=15).contains(&refused), "one asks each minute, and not {refused} in all");
    for pair in asked.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 2, "two at once: {pair:?}");
    }
    let last = asked.last().expect("some asked").0;
    assert!(last < OPENS + 60 + 2 * 50 + 10, "they are not held up: the last at {last}");
}
