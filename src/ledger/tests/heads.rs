//! What `cx spawn` reads in a hurry is what a whole fold would say.

use proptest::prelude::*;

use super::*;

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => Just(Event::Queued),
        1 => Just(Event::Admitted),
        1 => Just(Event::Lost),
        1 => Just(Event::Collected),
        1 => Just(note("said")),
        1 => Just(Event::Running(Running { worker: process(6) })),
        3 => Just(ended(Outcome::Succeeded)),
        1 => Just(ended(Outcome::Failed)),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(tree, files)| cleaned(tree, files)),
    ]
}

/// A step of a ledger's life.
#[derive(Clone, Debug)]
enum Step {
    /// The next number, or one more, and whether it writes.
    Spawn(bool, bool),
    /// Of a job that need not exist.
    Event(u64, Event),
    Torn(usize),
    Snapshot,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), prop::bool::weighted(0.1)).prop_map(|(w, s)| Step::Spawn(w, s)),
        12 => (1..12_u64, any_event()).prop_map(|(job, event)| Step::Event(job, event)),
        1 => (1..40_usize).prop_map(Step::Torn),
        2 => Just(Step::Snapshot),
    ]
}

fn agrees(store: &Store) {
    let head = store.appender().expect("it opens").head().expect("a head");
    for state in [store.state().expect("a state"), store.history().expect("a history")] {
        let holders = state.jobs.values().filter(|job| job.holds_name());
        let taken = holders.map(|job| (job.spec.name.to_string(), job.job)).collect();
        assert_eq!(head, Head { next: state.next, taken });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn head_and_state_agree(steps in prop::collection::vec(any_step(), 0..60)) {
        let (_dir, store) = store();
        let mut torn = 0;
        for step in steps {
            match step {
                Step::Spawn(writes, skips) => {
                    let mut appender = store.appender().expect("it opens");
                    let next = appender.head().expect("a head").next + u64::from(skips);
                    let mode = if writes { Mode::Writer } else { Mode::Reader };
                    appender
                        .append(JobId(next), &spawned(&format!("job-{next}"), mode))
                        .expect("it appends");
                }
                Step::Event(job, event) => append_all(&store, [(job, event)]),
                Step::Torn(len) => {
                    let line = [b'{'; 40];
                    append_raw(&store, &line[..len]);
                    torn += 1;
                    // Ends it, so that two torn ones do not become one.
                    drop(store.appender().expect("it opens"));
                }
                Step::Snapshot => super::snapshots::force(&store),
            }
            agrees(&store);
        }
        prop_assert_eq!(store.state().expect("a state").torn, torn);
    }
}
