//! Jobs that the snapshot has no room for are at hand all the same.

use super::{snapshots::force, *};

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn finished(success: bool, commits: u64) -> Event {
    let mut exited = exited(if success { Outcome::Succeeded } else { Outcome::Failed });
    exited.commits = commits;
    exited.tip = (commits > 0).then(|| "2".repeat(40));
    Event::Exited(Box::new(exited))
}

fn merged() -> Event {
    Event::Merged(Merged {
        into: "main".to_owned(),
        commit: "3".repeat(40),
        tip: "2".repeat(40),
        batch: None,
        dropped: Vec::new(),
    })
}

/// One more event, which may be about any job there is.
fn something(dice: &mut Dice, next: &mut u64) -> (u64, Event) {
    let any = |dice: &mut Dice| 1 + dice.roll((*next - 1).max(1));
    let event = match dice.roll(14) {
        0..=3 => {
            let mode = if dice.roll(3) == 0 { Mode::Writer } else { Mode::Reader };
            let mut spec = spec(&format!("job-{next}"), mode);
            match dice.roll(6) {
                0 => spec.resumes = Some(Resumes { job: JobId(any(dice)), anew: false }),
                1 => spec.repeats = Some(JobId(any(dice))),
                2 => spec.group = Some(format!("group-{}", *next / 4)),
                3 => {
                    spec.run = Some("run".to_owned());
                    spec.task = Some(TaskOf {
                        id: format!("task-{}", dice.roll(20)),
                        alias: None,
                        attempt: 1 + u32::try_from(dice.roll(3)).expect("small"),
                        item: None,
                    });
                }
                _ => {}
            }
            *next += 1;
            return (*next - 1, Event::Spawned(Box::new(spec)));
        }
        4 => Event::Running(Running { worker: process(7) }),
        5..=7 => {
            let success = dice.roll(3) > 0;
            finished(success, dice.roll(2))
        }
        8 | 9 => Event::Collected,
        10 => merged(),
        11 => Event::NotPicked(NotPicked { picked: JobId(any(dice)) }),
        12 => cleaned(true, dice.roll(2) == 0),
        _ => match dice.roll(3) {
            0 => Event::Unmerged(Unmerged { from: "main".to_owned() }),
            1 => Event::Started(Started { supervisor: process(8) }),
            _ => note("a note"),
        },
    };
    (any(dice), event)
}

#[test]
fn every_job_is_what_the_whole_ledger_says() {
    for seed in 1..=3 {
        let (_dir, store) = store();
        let (mut dice, mut next) = (Dice(seed), 1);
        for round in 0..8 {
            let events: Vec<_> = (0..200).map(|_| something(&mut dice, &mut next)).collect();
            append_all(&store, events);
            if round % 3 != 2 {
                force(&store);
            }
            let history = store.history().expect("a history");
            let state = store.state().expect("a state");
            for job in state.jobs.values() {
                assert_eq!(Some(job), history.jobs.get(&job.job), "seed {seed}, round {round}");
            }
            let open = |state: &State| -> Vec<JobId> {
                use crate::job::Candidate;
                state.jobs.values().filter(|job| job.is_open()).map(|job| job.job).collect()
            };
            assert_eq!(open(&state), open(&history), "seed {seed}, round {round}");
            let all: Vec<Job> = history.jobs.values().cloned().collect();
            assert_eq!(store.named("job").expect("jobs"), all, "seed {seed}, round {round}");
            for number in (1..next).step_by(31) {
                let found = store.numbered(JobId(number)).expect("it looks");
                assert_eq!(found.as_ref(), history.jobs.get(&JobId(number)), "seed {seed}");
            }
        }
    }
}

/// So many jobs that most of them are put away.
fn filled() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    for number in 1..=300 {
        append_all(
            &store,
            [
                (number, spawned(&format!("job-{number}"), Mode::Reader)),
                (number, ended(Outcome::Succeeded)),
                (number, Event::Collected),
            ],
        );
    }
    (dir, store)
}

/// Makes a fold from the start see another first job.
fn spoil_beginning(store: &Store) {
    let text = fs::read_to_string(store.ledger_path()).expect("the ledger");
    fs::write(store.ledger_path(), text.replacen("\"job-1\"", "\"JOB-1\"", 1))
        .expect("it is written");
}

fn name(store: &Store, number: u64) -> String {
    let job = store.numbered(JobId(number)).expect("it looks").expect("a job");
    job.spec.name.to_string()
}

#[test]
fn an_old_job_is_had_without_the_ledger() {
    let (_dir, store) = filled();
    force(&store);
    assert_eq!(store.state().expect("a state").jobs.len(), 100);
    spoil_beginning(&store);
    assert_eq!(name(&store, 1), "job-1");
    let numbers = |name: &str| -> Vec<u64> {
        store.named(name).expect("jobs").iter().map(|job| job.job.0).collect()
    };
    assert_eq!(numbers("job-29"), [29]);
    assert!(numbers("job-0").is_empty());
    assert_eq!(numbers("job-30"), [30]);
    assert_eq!(numbers("job-"), (1..=300).collect::<Vec<_>>());
    append_all(&store, [(301, spawned("job-29", Mode::Reader))]);
    assert_eq!(numbers("job-29"), [29, 301]);
    assert_eq!(store.numbered(JobId(302)).expect("it looks"), None);
    assert_eq!(store.numbered(JobId(0)).expect("it looks"), None);
    assert!(store.named("job-999").expect("none").is_empty());
    // What is said of it later counts, before and after it is put away again.
    append_all(&store, [(1, note("late"))]);
    for _ in 0..2 {
        let job = store.numbered(JobId(1)).expect("it looks").expect("a job");
        assert_eq!((job.notes.as_slice(), job.collected), (&["late".to_owned()][..], true));
        force(&store);
    }
    assert_eq!(name(&store, 1), "job-1");
}

#[test]
fn a_merge_that_is_taken_back_opens_a_job_again_that_was_put_away() {
    let (_dir, store) = store();
    let mut writer = spec("writer", Mode::Writer);
    writer.tree = Some(tree("writer"));
    append_all(
        &store,
        [
            (1, Event::Spawned(Box::new(writer))),
            (1, finished(true, 1)),
            (1, Event::Collected),
            (1, merged()),
        ],
    );
    for number in 2..=150 {
        append_all(
            &store,
            [
                (number, spawned(&format!("job-{number}"), Mode::Reader)),
                (number, ended(Outcome::Succeeded)),
                (number, Event::Collected),
            ],
        );
    }
    force(&store);
    append_all(&store, [(1, Event::Unmerged(Unmerged { from: "main".to_owned() }))]);
    assert!(store.state().expect("a state").jobs[&JobId(1)].is_unmerged());
}

/// What a later line says about jobs that it does not name.
#[test]
fn jobs_that_were_put_away_hear_of_others() {
    let (_dir, store) = store();
    let in_group = |name: &str| {
        let mut spec = spec(name, Mode::Reader);
        spec.group = Some("group".to_owned());
        Event::Spawned(Box::new(spec))
    };
    let attempt = |attempt| {
        let mut spec = spec("task", Mode::Reader);
        spec.run = Some("run".to_owned());
        let id = "task".to_owned();
        spec.task = Some(TaskOf { id, alias: None, attempt, item: None });
        Event::Spawned(Box::new(spec))
    };
    let resuming = {
        let mut spec = spec("resuming", Mode::Reader);
        spec.resumes = Some(Resumes { job: JobId(4), anew: false });
        Event::Spawned(Box::new(spec))
    };
    append_all(&store, [(1, in_group("picked")), (2, in_group("other"))]);
    append_all(&store, [(3, attempt(1)), (4, spawned("before", Mode::Reader))]);
    for number in 1..=300 {
        if number > 4 {
            append_all(&store, [(number, spawned("more", Mode::Reader))]);
        }
        append_all(&store, [(number, finished(number > 4, 0)), (number, Event::Collected)]);
    }
    append_all(&store, [(2, Event::NotPicked(NotPicked { picked: JobId(1) }))]);
    force(&store);
    let job = |number| {
        let job = store.numbered(JobId(number)).expect("it looks").expect("a job");
        assert_eq!(Some(&job), store.history().expect("a history").jobs.get(&job.job));
        job
    };
    assert_eq!(job(2).not_picked, Some(JobId(1)));
    append_all(&store, [(1, Event::Unmerged(Unmerged { from: "main".to_owned() }))]);
    assert_eq!(job(2).not_picked, None);
    append_all(&store, [(301, attempt(2))]);
    assert_eq!(job(3).tried_again, Some(JobId(301)));
    append_all(&store, [(302, resuming)]);
    assert_eq!(job(4).went_on, Some(JobId(302)));
    force(&store);
    append_all(&store, [(302, ended(Outcome::NotStarted))]);
    assert_eq!(job(4).went_on, None);
}

#[test]
fn what_is_odd_about_them_means_from_the_start() {
    type Odd = (&'static str, &'static str, fn(Vec<u8>) -> Option<Vec<u8>>);
    let odd: [Odd; 7] = [
        ("no jobs", "gz", |_| None),
        ("no index", "index", |_| None),
        ("jobs cut short", "gz", |bytes| Some(bytes[..bytes.len() - 1].to_vec())),
        ("jobs spoilt", "gz", |bytes| Some(vec![7; bytes.len()])),
        ("a job spoilt", "gz", |mut bytes| {
            bytes[60] ^= 255;
            Some(bytes)
        }),
        ("the index points elsewhere", "index", |mut bytes| {
            bytes[32..64].copy_from_slice(&[1; 32]);
            Some(bytes)
        }),
        ("the index is of other jobs", "index", |mut bytes| {
            bytes.copy_within(64..96, 32);
            Some(bytes)
        }),
    ];
    for (what, end, spoil) in odd {
        let (_dir, store) = filled();
        force(&store);
        spoil_beginning(&store);
        let entries = fs::read_dir(store.dir()).expect("the folder").flatten();
        let mut files = entries.map(|entry| entry.path()).filter(|path| {
            let is_closed =
                path.file_name().expect("a name").to_string_lossy().starts_with("closed-");
            is_closed && path.extension().is_some_and(|found| found == end)
        });
        let path = files.next().expect("it is there");
        match spoil(fs::read(&path).expect("a file")) {
            Some(bytes) => fs::write(&path, bytes).expect("it is written"),
            None => fs::remove_file(&path).expect("it is removed"),
        }
        assert_eq!(name(&store, 1), "JOB-1", "{what}");
        // The next renewal makes them anew, where it comes across that.
        append_all(&store, [(1, note("late"))]);
        force(&store);
        assert_eq!(name(&store, 1), "JOB-1", "{what}");
        let left = fs::read_dir(store.dir()).expect("the folder").flatten();
        let left = left.filter(|e| e.file_name().to_string_lossy().starts_with("closed-")).count();
        assert_eq!(left, 2, "{what}: nothing of the old ones stays");
    }
}

/// Killed after the jobs were put away and before the snapshot said so.
#[test]
fn what_was_put_away_and_never_counted_does_no_harm() {
    let (_dir, store) = filled();
    force(&store);
    let before = fs::read(store.snapshot_path()).expect("a snapshot");
    append_all(&store, [(1, note("late")), (2, note("late"))]);
    force(&store);
    fs::write(store.snapshot_path(), before).expect("it is written");
    for _ in 0..2 {
        for number in [1, 2, 3, 299, 300] {
            let job = store.numbered(JobId(number)).expect("it looks").expect("a job");
            assert_eq!(Some(&job), store.history().expect("a history").jobs.get(&job.job));
        }
        force(&store);
    }
}
