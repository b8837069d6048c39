use std::os::unix::fs::MetadataExt;

use super::{snapshots::force, *};
use crate::{
    ledger::pack::{Limits, Packed},
    process::disk,
};

const SMALL: Limits = Limits { part: 4000, keep: 4000 };

fn pack(store: &Store, limits: Limits) -> Option<Packed> {
    store.pack_with(limits, |file| disk::punch(file, 1).is_ok()).expect("it packs")
}

fn punch(packed: &Packed) {
    disk::punch(&packed.file, packed.end).expect("this file system can punch holes");
}

/// A hundred jobs, each with a note of a length of its own.
fn filled() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    for number in 1..=100 {
        append_all(
            &store,
            [
                (number, spawned(&format!("job-{number}"), Mode::Reader)),
                (number, note(&"n".repeat(usize::try_from(number).expect("small") * 7 % 311))),
                (number, ended(Outcome::Succeeded)),
                (number, Event::Collected),
            ],
        );
    }
    (dir, store)
}

fn all_lines(store: &Store) -> Vec<Vec<u8>> {
    let mut follower = Follower::new(store, 0);
    let mut all = Vec::new();
    loop {
        let some = follower.some_lines().expect("it reads");
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

/// Packs until nothing is left to be packed, and gives how many parts there are.
fn pack_all(store: &Store) -> usize {
    while let Some(packed) = pack(store, SMALL) {
        punch(&packed);
    }
    fs::read_dir(store.parts_dir()).map_or(0, Iterator::count)
}

#[test]
fn what_is_packed_is_read_as_before() {
    let (_dir, store) = filled();
    force(&store);
    let bytes = fs::read(store.ledger_path()).expect("the ledger");
    let before = (all_lines(&store), store.history().expect("a history"));
    assert_eq!(before.0.concat(), bytes);
    assert!(pack_all(&store) > 3);
    assert_eq!(fs::read(store.ledger_path()).expect("the ledger")[..4000], [0; 4000]);
    assert_eq!(fs::metadata(store.ledger_path()).expect("it").len(), bytes.len() as u64);
    assert_eq!((all_lines(&store), store.history().expect("a history")), before);
    assert_eq!(Follower::new(&store, 0).lines().expect("lines"), before.0);
    assert_eq!(store.torn_lines().expect("it reads"), Vec::<u64>::new());
    // From the beginning of each line, wherever that lies.
    let mut offset = 0;
    for (index, line) in before.0.iter().enumerate() {
        assert_eq!(store.record_at(offset).expect("it reads"), decode(line), "line {index}");
        let rest = Follower::new(&store, offset).lines().expect("lines");
        assert!(rest == before.0[index..], "from line {index}");
        offset += line.len() as u64;
    }
    // And it goes on.
    append_all(&store, [(101, spawned("more", Mode::Reader))]);
    assert_eq!(store.history().expect("a history").jobs.len(), 101);
    fs::remove_file(store.snapshot_path()).expect("a snapshot");
    let state = store.state().expect("a state");
    assert_eq!((state.next, state.torn), (102, 0));
    assert_eq!(store.appender().expect("it opens").head().expect("a head").next, 102);
}

#[test]
fn room_is_given_back() {
    let (_dir, store) = store();
    for _ in 0..100 {
        append_all(&store, [(1, note(&"x".repeat(10_000)))]);
    }
    force(&store);
    let limits = Limits { part: 900_000, keep: 10_000 };
    let blocks = || fs::metadata(store.ledger_path()).expect("the ledger").blocks();
    let before = blocks();
    punch(&pack(&store, limits).expect("it is long enough"));
    assert!(blocks() < before / 4, "{} of {before}", blocks());
}

#[test]
fn a_part_without_its_hole_is_no_part_twice() {
    let (_dir, store) = filled();
    force(&store);
    let before = all_lines(&store);
    // Killed after the part had its name.
    let first = pack(&store, SMALL).expect("it is long enough").end;
    assert_eq!(all_lines(&store), before);
    // The next one punches the hole, and packs what comes behind it.
    let again = pack(&store, SMALL).expect("there is a hole to punch");
    assert!(again.end > first);
    assert_eq!(all_lines(&store), before);
    punch(&again);
    assert_eq!(all_lines(&store), before);
}

#[test]
fn a_hole_that_was_not_punched_is_punched_by_the_next() {
    let (_dir, store) = filled();
    force(&store);
    let end = pack(&store, SMALL).expect("it is long enough").end;
    // What is packed is never packed again, even where the rest is too short by now.
    let len = fs::metadata(store.ledger_path()).expect("the ledger").len();
    let limits = Limits { part: len - end, keep: 1 };
    let left = pack(&store, limits).expect("there is a hole to punch");
    assert_eq!(left.end, end);
    punch(&left);
    assert!(pack(&store, limits).is_none());
}

#[test]
fn nothing_is_packed_that_could_be_missed() {
    let (_dir, store) = filled();
    assert!(pack(&store, SMALL).is_none(), "no snapshot speaks for it");
    force(&store);
    assert!(pack(&store, Limits { part: 4000, keep: 1_000_000 }).is_none(), "too short");
    let cannot = store.pack_with(SMALL, |_| false).expect("it looks");
    assert!(cannot.is_none(), "the file system cannot");
    assert!(!store.parts_dir().exists());
    let busy = snapshot_lock(&store);
    assert!(pack(&store, SMALL).is_none(), "somebody is at it");
    drop(busy);
    assert!(pack(&store, SMALL).is_some());
}

#[test]
fn another_ledger_is_not_punched_for_the_parts_of_the_first() {
    let (_dir, store) = filled();
    force(&store);
    pack_all(&store);
    fs::remove_file(store.ledger_path()).expect("the ledger");
    for number in 1..=200 {
        append_all(&store, [(number, spawned(&format!("new-{number}"), Mode::Reader))]);
    }
    force(&store);
    let before = store.history().expect("a history");
    assert_eq!(before.jobs.len(), 200);
    assert_eq!(pack_all(&store), fs::read_dir(store.parts_dir()).expect("parts").count());
    assert_eq!(store.history().expect("a history"), before);
}

fn snapshot_lock(store: &Store) -> fs::File {
    crate::ledger::renew::lock(store).expect("nobody has it")
}

#[test]
fn drafts_and_strangers_are_no_parts() {
    let (_dir, store) = filled();
    force(&store);
    let before = all_lines(&store);
    pack_all(&store);
    let dir = store.parts_dir();
    for name in [".tmpabc", "notes.txt", "000000000000500-000000000000900.jsonl.gz"] {
        fs::write(dir.join(name), b"nothing of ours").expect("it can be written");
    }
    assert_eq!(all_lines(&store), before);
}

#[test]
fn a_part_that_is_spoilt_is_an_error_that_names_it() {
    let (_dir, store) = filled();
    force(&store);
    pack_all(&store);
    let first = fs::read_dir(store.parts_dir()).expect("parts").flatten().map(|e| e.path()).min();
    let first = first.expect("a part");
    let bytes = fs::read(&first).expect("a part");
    for spoilt in [bytes[..bytes.len() - 30].to_vec(), b"{}\n".to_vec(), vec![0; bytes.len()]] {
        fs::write(&first, spoilt).expect("it can be written");
        let error = store.history().expect_err("events are missing");
        assert!(error.to_string().contains(".jsonl.gz"), "{error}");
    }
}

#[test]
fn zero_bytes_of_somebody_else_are_a_torn_line() {
    let (_dir, store) = store();
    append_raw(&store, &[0; 100]);
    append_all(&store, [(1, spawned("one", Mode::Reader))]);
    let state = store.state().expect("a state");
    assert_eq!((state.jobs.len(), state.torn), (1, 1));
    assert_eq!(all_lines(&store).len(), 2);
    assert_eq!(store.torn_lines().expect("it reads"), [1]);
}

/// Readers and writers go on while it is packed.
#[test]
fn nobody_misses_a_line_while_it_is_packed() {
    let (_dir, store) = filled();
    let before = all_lines(&store).len();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 101..300 {
                append_all(&store, [(number, spawned(&format!("job-{number}"), Mode::Reader))]);
                force(&store);
                pack(&store, SMALL).iter().for_each(punch);
            }
            done.store(true, std::sync::atomic::Ordering::Release);
        });
        let reader = scope.spawn(|| {
            let mut follower = Follower::new(&store, 0);
            let mut count = 0;
            let mut last = 0;
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                let state = store.history().expect("a history");
                assert_eq!(state.torn, 0);
                assert!(state.jobs.len() >= last.max(100));
                last = state.jobs.len();
                count += follower.lines().expect("lines").len();
            }
            count + follower.lines().expect("lines").len()
        });
        writer.join().expect("the writer");
        assert_eq!(reader.join().expect("the reader"), before + 199);
    });
    assert_eq!(all_lines(&store).len(), before + 199);
}

#[test]
fn the_place_of_a_time_is_found_in_parts_and_behind_them() {
    let (_dir, store) = store();
    let mut text = Vec::new();
    for second in 0..400_i64 {
        let at = Timestamp::from_second(second * 10).expect("a time");
        text.extend(crate::ledger::line::encode(at, JobId(1), &note("x")).expect("a line"));
        if second % 7 == 0 {
            text.extend(b"{\"v\":1,\"t\":\"torn\n\n");
        }
    }
    append_raw(&store, &text);
    append_all(&store, [(1, spawned("one", Mode::Reader))]);
    for packed in [false, true] {
        if packed {
            force(&store);
            assert!(pack_all(&store) > 3);
        }
        for second in [-5, 0, 1, 10, 11, 1999, 2000, 2001, 3980, 3990] {
            let time = Timestamp::from_second(second).expect("a time");
            let lines = Follower::since(&store, time).expect("a place").lines().expect("lines");
            let records: Vec<Record> = lines.iter().filter_map(|line| decode(line)).collect();
            let wanted = 400 - (second + 9).div_euclid(10).max(0) + 1;
            assert_eq!(i64::try_from(records.len()).expect("few"), wanted, "{second}, {packed}");
        }
        let never = Timestamp::MAX;
        assert!(Follower::since(&store, never).expect("a place").lines().expect("it").is_empty());
    }
}
