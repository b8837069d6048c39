use super::*;

fn only(state: &State) -> &Job {
    state.jobs.values().next().expect("a job")
}

#[test]
fn a_job_goes_through_its_phases() {
    let mut queued = spec("auth", Mode::Writer);
    queued.max_jobs = Some(1);
    queued.after = vec![JobId(9)];
    let steps = [
        (Event::Spawned(Box::new(queued)), Phase::Waiting, false),
        (Event::Started(Started { supervisor: process(5) }), Phase::Waiting, false),
        (Event::Waiting(Waiting { after: vec![JobId(9)] }), Phase::Waiting, false),
        (Event::Queued, Phase::Queued, false),
        (Event::Admitted, Phase::Starting, true),
        (
            Event::Worktree(Worktree { engine: "git".into(), took_ms: 1, why: None }),
            Phase::Starting,
            true,
        ),
        (Event::Running(Running { worker: process(6) }), Phase::Running, true),
        (Event::Lost, Phase::Lost, true),
        (Event::Started(Started { supervisor: process(7) }), Phase::Lost, true),
        (ended(Outcome::Lost), Phase::Ended, true),
    ];
    let mut events = Vec::new();
    for (event, phase, admitted) in steps {
        events.push((1, event));
        let state = folded(events.clone());
        let job = only(&state);
        assert_eq!((job.phase, job.admitted), (phase, admitted), "after {:?}", events.last());
        assert_eq!(job.is_live(), phase != Phase::Ended);
    }
    let state = folded(events);
    let job = only(&state);
    assert_eq!(job.supervisor, Some(process(7)));
    assert_eq!(job.worker, Some(process(6)));
    assert_eq!(job.running_at, Timestamp::from_second(6).ok());
    assert_eq!(job.ended_at, Timestamp::from_second(9).ok());
}

#[test]
fn a_job_starts_in_the_phase_that_its_spec_says() {
    let phase = |max_jobs, after: Vec<JobId>| {
        let spec = Spawned { after, max_jobs, ..spec("auth", Mode::Reader) };
        let state = folded([(1, Event::Spawned(Box::new(spec)))]);
        (only(&state).phase, only(&state).admitted)
    };
    assert_eq!(phase(None, vec![]), (Phase::Starting, true));
    assert_eq!(phase(Some(1), vec![]), (Phase::Queued, false));
    assert_eq!(phase(None, vec![JobId(1)]), (Phase::Waiting, false));
    assert_eq!(phase(Some(1), vec![JobId(1)]), (Phase::Waiting, false));
}

#[test]
fn the_first_end_counts_and_nothing_reopens_a_job() {
    let state = folded([
        (1, spawned("auth", Mode::Writer)),
        (1, ended(Outcome::Succeeded)),
        (1, ended(Outcome::Lost)),
        (1, Event::Lost),
        (1, Event::Running(Running { worker: process(6) })),
        (1, Event::KillRequested(KillRequested { signal: 9 })),
        (1, spawned("other", Mode::Reader)),
    ]);
    let job = only(&state);
    assert_eq!((job.outcome(), job.phase), (Some(&Outcome::Succeeded), Phase::Ended));
    assert_eq!((job.worker, job.kill, job.spec.name.as_str()), (None, None, "auth"));
    assert_eq!(job.ended_at, Timestamp::from_second(1).ok());
}

#[test]
fn what_belongs_to_an_end_does_not_come_before_it() {
    let merged = Merged {
        into: "main".into(),
        commit: "3".repeat(40),
        tip: "2".repeat(40),
        dropped: Vec::new(),
        batch: None,
    };
    let state = folded([
        (1, spawned("auth", Mode::Writer)),
        (1, Event::Collected),
        (1, Event::Merged(merged)),
        (1, cleaned(true, true)),
    ]);
    let job = only(&state);
    assert!(job.is_live() && job.holds_name());
    assert!(!job.collected && job.merged.is_none() && !job.tree_gone && !job.files_gone);
}

#[test]
fn events_of_unknown_jobs_take_their_number() {
    let state = folded([(5, note("of nobody")), (3, Event::Collected)]);
    assert_eq!((state.jobs.len(), state.next), (0, 6));
    let state = folded([(u64::MAX, Event::Lost)]);
    assert_eq!(state.next, u64::MAX);
}

#[test]
fn unmerged_means_commits_that_no_merge_took() {
    let end = |commits| {
        let tip = Some("2".repeat(40));
        Event::Exited(Box::new(Exited { tip, commits, ..exited(Outcome::Failed) }))
    };
    let merged = |tip: &str| {
        Event::Merged(Merged {
            into: "main".into(),
            commit: "3".repeat(40),
            tip: tip.repeat(40),
            dropped: Vec::new(),
            batch: None,
        })
    };
    let unmerged = |events: Vec<Event>| {
        let first = spawned("auth", Mode::Writer);
        let state = folded([first].into_iter().chain(events).map(|event| (1, event)));
        only(&state).is_unmerged()
    };
    assert!(!unmerged(vec![]));
    assert!(!unmerged(vec![end(0)]));
    assert!(unmerged(vec![end(1)]));
    assert!(!unmerged(vec![end(1), merged("2")]));
    // The branch was mended by hand before it was merged.
    assert!(!unmerged(vec![end(1), merged("4")]));
    assert!(!unmerged(vec![end(1), cleaned(true, false)]));
    assert!(unmerged(vec![end(1), cleaned(false, true)]));
}

#[test]
fn what_was_not_picked_is_had_again_once_the_pick_is_taken_back() {
    let end = || {
        let tip = Some("2".repeat(40));
        Event::Exited(Box::new(Exited { tip, commits: 1, ..exited(Outcome::Succeeded) }))
    };
    let mut events = vec![
        (1, spawned("a-1", Mode::Writer)),
        (2, spawned("a-2", Mode::Writer)),
        (1, end()),
        (2, end()),
        (2, Event::NotPicked(NotPicked { picked: JobId(1) })),
    ];
    let second = |events: &[(u64, Event)]| folded(events.to_vec()).jobs[&JobId(2)].clone();
    assert_eq!(second(&events).not_picked, Some(JobId(1)));
    assert!(!second(&events).is_unmerged());
    events.push((3, Event::Unmerged(Unmerged { from: "main".into() })));
    assert!(!second(&events).is_unmerged());
    events.push((1, Event::Unmerged(Unmerged { from: "main".into() })));
    assert!(second(&events).is_unmerged());
}

#[test]
fn pruning_forgets_only_what_is_closed_and_old() {
    let closed = |job| {
        [spawned("x", Mode::Reader), ended(Outcome::Succeeded), Event::Collected].map(|e| (job, e))
    };
    let mut state = folded((1..=5).flat_map(closed).chain([
        (6, spawned("live", Mode::Reader)),
        (7, spawned("uncollected", Mode::Reader)),
        (7, ended(Outcome::Succeeded)),
        (8, spawned("tree", Mode::Writer)),
        (8, ended(Outcome::Succeeded)),
        (8, Event::Collected),
    ]));
    state.prune(2, 2);
    let left: Vec<u64> = state.jobs.keys().map(|id| id.0).collect();
    assert_eq!((left, state.next), (vec![4, 5, 6, 7, 8], 9));
}

/// Job 2 goes on from job 1, and then these things happen to it.
fn gone_on(then: Vec<Event>) -> State {
    let tree = Tree {
        start: None,
        path: "/wt".into(),
        branch: Some("cx/auth".into()),
        base: "b".into(),
        prefix: String::new(),
    };
    let first = Spawned { tree: Some(tree), ..spec("auth", Mode::Writer) };
    let resumes = Some(Resumes { job: JobId(1), anew: false });
    let second = Spawned { resumes, name: JobName::new("more").expect("a name"), ..first.clone() };
    let mut events = vec![
        (1, Event::Spawned(Box::new(first))),
        (1, with_work()),
        (2, Event::Spawned(Box::new(second))),
    ];
    events.extend(then.into_iter().map(|event| (2, event)));
    folded(events)
}

fn with_work() -> Event {
    let Event::Exited(exited) = ended(Outcome::Succeeded) else { unreachable!("it is one") };
    Event::Exited(Box::new(Exited { tip: Some("t".into()), commits: 1, ..*exited }))
}

#[test]
fn a_tree_has_one_owner() {
    let owners = |state: &State| -> Vec<u64> {
        state.jobs.values().filter(|job| !job.is_without_tree()).map(|job| job.job.0).collect()
    };
    let running = Event::Running(Running { worker: process(6) });
    let state = gone_on(vec![]);
    assert_eq!(owners(&state), [2]);
    assert_eq!(state.jobs[&JobId(1)].went_on, Some(JobId(2)));
    assert!(!state.jobs[&JobId(1)].is_unmerged() && !state.jobs[&JobId(1)].holds_name());
    assert_eq!(owners(&gone_on(vec![running.clone(), with_work()])), [2]);
    // Also when it ran and left nothing.
    assert_eq!(owners(&gone_on(vec![running, ended(Outcome::Failed)])), [2]);
    // What never ran gives it back.
    for outcome in [Outcome::Killed, Outcome::Skipped, Outcome::Lost] {
        let state = gone_on(vec![ended(outcome)]);
        assert_eq!(owners(&state), [1]);
        assert!(state.jobs[&JobId(1)].is_unmerged());
        assert!(!state.jobs[&JobId(2)].holds_name());
    }
}
