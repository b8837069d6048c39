use super::*;

fn started(run: &str) -> Event {
    Event::RunStarted(RunStarted {
        run: run.to_owned(),
        name: "review".to_owned(),
        source: "review.toml".to_owned(),
        tasks: 3,
        jobs: None,
        max_jobs: None,
        revision: 1,
    })
}

fn running(run: &str, resumed: bool) -> Event {
    Event::RunRunning(RunRunning { run: run.to_owned(), runner: process(9), resumed })
}

fn skipped(run: &str, task: &str) -> Event {
    let (run, task) = (run.to_owned(), task.to_owned());
    Event::TaskSkipped(TaskSkipped { run, task, reason: "why".to_owned(), passed_over: false })
}

fn over(run: &str) -> Event {
    Event::RunEnded(RunEnded {
        run: run.to_owned(),
        outcome: RunOutcome::Failed,
        succeeded: 1,
        failed: 1,
        skipped: 1,
        passed_over: 0,
        reason: None,
    })
}

#[test]
fn a_run_begins_anew_when_it_is_taken_up_again() {
    let stop = Event::RunStopping(RunStopping { run: "r".to_owned(), by: "INT".to_owned() });
    let first = [started("r"), running("r", false), skipped("r", "b"), stop];
    let state = folded(first.clone().map(|event| (0, event)));
    let run = &state.runs["r"];
    assert_eq!((run.runner, run.stopping.as_deref()), (Some(process(9)), Some("INT")));
    assert!(run.is_open() && run.skipped.contains_key("b"));
    assert_eq!((state.next, state.jobs.len()), (1, 0), "a run is no job");

    let ended = first.into_iter().chain([over("r")]);
    let state = folded(ended.clone().map(|event| (0, event)));
    assert!(!state.runs["r"].is_open() && state.runs["r"].skipped.is_empty());

    let revised = RunRevised {
        run: "r".to_owned(),
        revision: 2,
        tasks: 4,
        why: String::new(),
        changed: Vec::new(),
        left_out: Vec::new(),
    };
    let again = ended.chain([running("r", true), Event::RunRevised(revised)]);
    let run = folded(again.map(|event| (0, event))).runs.remove("r").expect("the run");
    assert!(run.is_open() && run.stopping.is_none() && run.ended_at.is_none());
    assert_eq!((run.spec.revision, run.spec.tasks), (2, 4));
}

#[test]
fn a_pause_is_no_part_of_how_long_a_run_took() {
    let at = |second: i64| Timestamp::from_second(second).expect("a time");
    let line = |second, job, event| Record { version: 1, at: at(second), job: JobId(job), event };
    let mut state = State::new();
    for record in [
        line(0, 0, started("r")),
        line(1, 0, running("r", false)),
        line(
            2,
            1,
            Event::Spawned(Box::new(Spawned { run: Some("r".into()), ..spec("a", Mode::Reader) })),
        ),
        // The runner is killed, and the job goes on.
        line(10, 1, Event::Exited(Box::new(exited(Outcome::Succeeded)))),
        line(500, 1, Event::Collected),
    ] {
        state.fold(record);
    }
    let worked = |state: &State, now| state.runs["r"].worked(now).as_secs();
    assert_eq!(worked(&state, None), 10);
    state.fold(line(1000, 0, running("r", true)));
    assert_eq!((worked(&state, Some(at(1004))), worked(&state, None)), (14, 10));
    state.fold(line(1005, 0, over("r")));
    assert_eq!((worked(&state, None), worked(&state, Some(at(9999)))), (15, 15));
    state.fold(line(2000, 0, running("r", true)));
    state.fold(line(2001, 0, over("r")));
    assert_eq!(worked(&state, None), 16);
}

#[test]
fn what_is_said_of_a_run_that_nobody_started_says_nothing() {
    let state = folded([running("r", false), skipped("r", "b"), over("r")].map(|event| (0, event)));
    assert_eq!(state, State::new());
}

#[test]
fn runs_are_in_the_snapshot_and_the_last_ones_and_the_open_ones_stay() {
    let (_dir, store) = store();
    append_all(&store, [(0, started("open")), (1, spawned("live", Mode::Reader))]);
    for n in 0..25 {
        let run = format!("run-{n}");
        append_all(&store, [(0, started(&run)), (0, running(&run, false)), (0, over(&run))]);
    }
    snapshots::force(&store);
    let state = store.state().expect("a state");
    assert_eq!(state.runs.len(), 21);
    assert!(state.runs.contains_key("open") && state.runs.contains_key("run-24"));
    assert!(!state.runs.contains_key("run-4"));
    assert_eq!(state.runs["run-24"].order, 26);
    append_all(&store, [(0, started("next"))]);
    assert_eq!(store.state().expect("a state").runs["next"].order, 27);
    assert_eq!(store.history().expect("a history").runs.len(), 27);
}

#[test]
fn an_id_is_taken_by_its_folder_or_by_who_knows_it() {
    let (_dir, store) = store();
    let name = JobName::new("review").expect("a name");
    let claim = |taken: &str| {
        let (id, files) = store.claim_run(&name, |id| id == taken).expect("an id");
        assert!(files.dir().is_dir());
        id.to_string()
    };
    assert_eq!([claim(""), claim("review-2"), claim("")], ["review", "review-3", "review-2"]);
}
