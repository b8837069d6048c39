use std::io::Write;
use std::thread;

use super::*;

#[test]
fn a_torn_tail_stays_alone() {
    let (_dir, store) = store();
    append_all(&store, [(1, spawned("one", Mode::Reader))]);
    append_raw(&store, b"{\"v\":1,\"t\":");
    let offset = {
        let mut appender = store.appender().expect("it opens");
        appender.append(JobId(2), &spawned("two", Mode::Reader)).expect("it appends")
    };
    let state = store.state().expect("a state");
    assert_eq!((state.jobs.len(), state.torn, state.next), (2, 1, 3));
    let record = store.record_at(offset).expect("it reads").expect("a record");
    assert_eq!(record.job, JobId(2));
}

/// Killed between the last byte and the newline: the event counts as soon as
/// anybody decides something under the lock, and not only afterwards.
#[test]
fn a_line_that_lacks_only_its_newline_counts() {
    let (_dir, store) = store();
    append_all(&store, [(1, spawned("one", Mode::Writer))]);
    let mut bytes = fs::read(store.ledger_path()).expect("the ledger");
    bytes.pop();
    fs::write(store.ledger_path(), bytes).expect("it can be written");
    let head = store.appender().expect("it opens").head().expect("a head");
    assert_eq!((head.next, head.taken.contains_key("one")), (2, true));
    append_all(&store, [(2, spawned("two", Mode::Reader))]);
    let state = store.state().expect("a state");
    assert_eq!((state.jobs.len(), state.torn), (2, 0));
}

#[test]
fn a_ledger_is_made_private_and_with_its_folder() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::new(dir.path().join("deep/cx"));
    assert_eq!(store.state().expect("nothing is a state"), State::new());
    append_all(&store, [(1, spawned("one", Mode::Reader))]);
    let mode = |path: &std::path::Path| {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    };
    assert_eq!((mode(&store.ledger_path()), mode(store.dir())), (0o600, 0o700));
}

#[test]
fn sixty_four_threads_lose_nothing_and_tear_nothing() {
    let (_dir, store) = store();
    thread::scope(|scope| {
        for thread in 0..64_u64 {
            let store = &store;
            scope.spawn(move || {
                for turn in 0..20 {
                    let text = format!("{thread}-{turn} {}", "x".repeat(300 * (turn % 7)));
                    store.append(JobId(thread + 1), &note(&text)).expect("it appends");
                }
            });
        }
    });
    let records = records(&store);
    assert_eq!(records.len(), 64 * 20);
    assert_eq!(store.state().expect("a state").torn, 0);
    for thread in 0..64 {
        let mine = records.iter().filter(|record| record.job == JobId(thread + 1));
        let turns: Vec<usize> = mine
            .filter_map(|record| match &record.event {
                Event::Note(note) => note.text.split(['-', ' ']).nth(1)?.parse().ok(),
                _ => None,
            })
            .collect();
        assert_eq!(turns, (0..20).collect::<Vec<_>>(), "thread {thread}, in its own order");
    }
}

#[test]
fn numbers_are_unique_when_all_want_one() {
    let (_dir, store) = store();
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let mut appender = store.appender().expect("it opens");
                    let next = appender.head().expect("a head").next;
                    let event = spawned(&format!("job-{next}"), Mode::Reader);
                    appender.append(JobId(next), &event).expect("it appends");
                }
            });
        }
    });
    let numbers: Vec<u64> = records(&store).iter().map(|record| record.job.0).collect();
    assert_eq!(numbers, (1..=160).collect::<Vec<_>>());
}

/// A line that was begun, seen by a follower, and taken back because the disk
/// was full must not be glued to the line that comes in its place.
#[test]
fn a_follower_is_not_misled_by_a_line_that_was_taken_back() {
    let (_dir, store) = store();
    append_all(&store, [(1, note("first"))]);
    let mut follower = Follower::new(&store, 0);
    assert_eq!(follower.lines().expect("lines").len(), 1);
    let len = fs::metadata(store.ledger_path()).expect("the ledger").len();
    append_raw(&store, b"{\"v\":1,\"t\":\"20");
    assert_eq!(follower.lines().expect("lines"), Vec::<Vec<u8>>::new());
    let file = fs::File::options().write(true).open(store.ledger_path()).expect("it opens");
    file.set_len(len).expect("it is cut back");
    append_all(&store, [(2, note("second"))]);
    let lines = follower.lines().expect("lines");
    assert_eq!(lines.iter().filter_map(|line| decode(line)).count(), 1);
    assert_eq!(follower.lines().expect("lines").len(), 0);
}

#[test]
fn a_follower_takes_whole_lines_only() {
    let (_dir, store) = store();
    append_all(&store, [(1, note("one")), (1, note("two"))]);
    let whole = fs::read(store.ledger_path()).expect("the ledger");
    fs::write(store.ledger_path(), b"").expect("it can be written");
    let mut follower = Follower::new(&store, 0);
    let mut file = fs::File::options().append(true).open(store.ledger_path()).expect("it opens");
    let mut lines = Vec::new();
    for byte in &whole {
        file.write_all(&[*byte]).expect("it writes");
        lines.extend(follower.lines().expect("lines"));
    }
    assert_eq!(lines.concat(), whole);
    assert_eq!(lines.len(), 2);
    let gone = Store::new(store.dir().join("nowhere"));
    assert_eq!(Follower::from_end(&gone).lines().expect("lines").len(), 0);
}
