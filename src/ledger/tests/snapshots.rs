use std::os::unix::fs::MetadataExt;

use super::*;
use crate::ledger::{renew, snapshot};

/// A snapshot of what is there, however little that is.
pub(super) fn force(store: &Store) {
    if let Some(ledger) = snapshot::open_ledger(store).expect("the ledger opens") {
        renew::write(store, &ledger).expect("a snapshot can be written");
    }
}

/// Three jobs: one live, one ended, one whose worktree keeps its name.
fn filled() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    append_all(
        &store,
        [
            (1, spawned("live", Mode::Reader)),
            (2, spawned("ended", Mode::Reader)),
            (3, spawned("tree", Mode::Writer)),
            (2, ended(Outcome::Succeeded)),
            (3, ended(Outcome::Failed)),
        ],
    );
    (dir, store)
}

fn offset(store: &Store) -> Option<u64> {
    let ledger = snapshot::open_ledger(store).expect("the ledger opens")?;
    snapshot::usable_header(store, &ledger).map(|(header, _)| header.offset)
}

/// That a state does not come from the ledger's beginning is seen by a ledger
/// whose beginning has been changed behind the snapshot's back.
fn spoil_beginning(store: &Store) {
    let mut bytes = fs::read(store.ledger_path()).expect("the ledger");
    bytes[..40].fill(b'x');
    fs::write(store.ledger_path(), bytes).expect("the ledger can be written");
}

#[test]
fn a_snapshot_is_used_and_says_the_same() {
    let (_dir, store) = filled();
    let before = store.state().expect("a state");
    force(&store);
    spoil_beginning(&store);
    assert_eq!(store.state().expect("a state"), before);
    append_all(&store, [(4, spawned("more", Mode::Reader))]);
    let after = store.state().expect("a state");
    assert_eq!((after.jobs.len(), after.next, after.torn), (4, 5, 0));
    let head = store.appender().expect("it opens").head().expect("a head");
    assert_eq!(head.taken.keys().collect::<Vec<_>>(), ["live", "more", "tree"]);
    // History never believes a snapshot.
    assert_eq!(store.history().expect("a history").torn, 1);
}

#[test]
fn what_is_odd_about_a_snapshot_means_from_the_start() {
    type Odd = (&'static str, fn(Vec<u8>) -> Vec<u8>);
    let odd: [Odd; 7] = [
        ("empty", |_| Vec::new()),
        ("no JSON", |_| b"\0\0\0\0".to_vec()),
        ("header torn", |bytes| bytes[..20].to_vec()),
        ("last byte missing", |bytes| bytes[..bytes.len() - 1].to_vec()),
        ("last job missing", |bytes| {
            let end = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n').expect("lines");
            bytes[..=end].to_vec()
        }),
        ("other version", |bytes| {
            let text = String::from_utf8(bytes).expect("UTF-8");
            text.replacen("\"snapshot\":", "\"snapshot\":9", 1).into_bytes()
        }),
        ("a job that is not understood", |bytes| {
            let text = String::from_utf8(bytes).expect("UTF-8");
            text.replacen("\"phase\":\"starting\"", "\"phase\":\"levitate\"", 1).into_bytes()
        }),
    ];
    for (what, spoil) in odd {
        let (_dir, store) = filled();
        let before = store.state().expect("a state");
        force(&store);
        let path = store.snapshot_path();
        let good = fs::read(&path).expect("a snapshot");
        let bad = spoil(good.clone());
        assert_ne!(bad, good, "{what}");
        fs::write(&path, bad).expect("the snapshot can be written");
        assert_eq!(store.state().expect("a state"), before, "{what}");
        let head = store.appender().expect("it opens").head().expect("a head");
        assert_eq!((head.next, head.taken.len()), (4, 2), "{what}");
    }
}

#[test]
fn a_ledger_that_was_replaced_is_folded_from_its_start() {
    let (_dir, store) = filled();
    force(&store);
    assert!(offset(&store).is_some());
    let old = fs::read(store.ledger_path()).expect("the ledger");
    // A shorter one, another of the same length, and a longer one.
    for keep in [1, 40] {
        fs::remove_file(store.ledger_path()).expect("it can be removed");
        let names = (1..=keep).map(|n| (n, spawned(&format!("new-{n}"), Mode::Reader)));
        append_all(&store, names);
        assert_eq!(offset(&store), None);
        let state = store.state().expect("a state");
        assert_eq!((state.jobs.len() as u64, state.next), (keep, keep + 1));
    }
    let mut same = old.clone();
    let len = same.len();
    same[len - 10] ^= 1;
    fs::write(store.ledger_path(), same).expect("it can be written");
    assert_eq!(offset(&store), None);
    fs::remove_file(store.ledger_path()).expect("it can be removed");
    assert_eq!(store.state().expect("a state"), State::new());
}

#[test]
fn a_snapshot_stops_at_whole_lines() {
    let (_dir, store) = filled();
    append_raw(&store, b"{\"v\":1,\"t\":\"2026-");
    force(&store);
    append_all(&store, [(4, spawned("more", Mode::Reader))]);
    let state = store.state().expect("a state");
    assert_eq!((state.jobs.len(), state.torn), (4, 1));
    assert_eq!(state, store.history().expect("a history"));
}

#[test]
fn a_snapshot_comes_once_it_is_worth_it_and_is_renewed() {
    let (_dir, store) = filled();
    store.refresh_snapshot();
    assert!(!store.snapshot_path().exists(), "so little needs none");
    let noise = |bytes: usize| (0..bytes / 1000).map(|_| (1, note(&"x".repeat(1000))));
    append_all(&store, noise(60_000));
    store.refresh_snapshot();
    let first = offset(&store).expect("a snapshot");
    let inode = || fs::metadata(store.snapshot_path()).expect("a snapshot").ino();
    let file = inode();
    append_all(&store, [(4, spawned("more", Mode::Reader))]);
    store.refresh_snapshot();
    assert_eq!(inode(), file, "little has come since");
    append_all(&store, noise(60_000));
    store.refresh_snapshot();
    assert!(offset(&store).expect("a snapshot") > first);
    assert_eq!(store.state().expect("a state"), store.history().expect("a history"));
    // A broken one is renewed, too.
    fs::write(store.snapshot_path(), b"").expect("the snapshot can be written");
    store.refresh_snapshot();
    assert!(offset(&store).is_some());
    let stray = fs::read_dir(store.dir()).expect("the state folder").flatten();
    assert_eq!(stray.filter(|e| e.file_name().to_string_lossy().starts_with(".tmp")).count(), 0);
}
