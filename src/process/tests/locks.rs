use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::*;

fn path() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("lock");
    (dir, path)
}

fn wait_turn(path: &Path, turn: usize) -> io::Result<()> {
    lock::wait_for_turn(&File::open(path)?, turn)
}

#[test]
fn a_lock_is_held_as_long_as_anybody_has_its_descriptor() {
    let (_dir, path) = path();
    assert!(!lock::is_held(&path).expect("a file that is not there"));
    let ours = lock::create(&path).expect("a lock");
    assert!(lock::is_held(&path).expect("a lock"));
    // Handed over as stdout; there is no moment between the two.
    let theirs = ours.try_clone().expect("a copy");
    let mut child = Held::start(Command::new("cat").stdout(theirs));
    drop(ours);
    assert!(lock::is_held(&path).expect("a lock"));
    assert!(lock::claim(&path).expect("a lock").is_none());
    child.finish();
    assert!(!lock::is_held(&path).expect("a lock"));
}

#[test]
fn kill_9_frees_a_lock_and_wakes_all_who_wait() {
    let (_dir, path) = path();
    let ours = lock::create(&path).expect("a lock");
    let mut child = Held::start(Command::new("cat").stdout(ours));
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            thread::spawn(move || lock::wait(&path).expect("it waits"))
        })
        .collect();
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
    child.0.kill().expect("it is killed");
    child.0.wait().expect("it is reaped");
    for waiter in waiters {
        waiter.join().expect("it is woken");
    }
}

#[test]
fn only_one_of_many_claims_a_free_lock() {
    let (_dir, path) = path();
    drop(lock::create(&path).expect("a lock"));
    let claimed: Vec<Option<File>> = thread::scope(|scope| {
        let claims: Vec<_> =
            (0..16).map(|_| scope.spawn(|| lock::claim(&path).expect("a claim"))).collect();
        claims.into_iter().map(|claim| claim.join().expect("it ends")).collect()
    });
    assert_eq!(claimed.iter().filter(|claim| claim.is_some()).count(), 1);
}

/// Those who wait hold the lock for a moment, shared, when they wake. That is
/// no life: a claim comes through however many they are.
#[test]
fn waiters_do_not_keep_a_claim_from_a_free_lock() {
    let (_dir, path) = path();
    drop(lock::create(&path).expect("a lock"));
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    lock::wait(&path).expect("it waits");
                }
            });
        }
        for _ in 0..200 {
            let claimed = lock::claim(&path).expect("a claim");
            assert!(claimed.is_some(), "taken for held");
        }
        enough.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_claim_of_what_is_not_there_makes_a_lock_but_no_folder() {
    let (dir, path) = path();
    assert!(lock::claim(&path).expect("a claim").is_some());
    let nowhere = dir.path().join("nowhere/lock");
    assert_eq!(lock::claim(&nowhere).expect_err("no folder").kind(), std::io::ErrorKind::NotFound);
    lock::wait(&nowhere).expect("nothing to wait for");
}

#[test]
fn several_locks_are_waited_for_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let paths: Vec<PathBuf> = (0..3).map(|n| dir.path().join(n.to_string())).collect();
    let mut locks: Vec<Option<File>> =
        paths.iter().map(|path| Some(lock::create(path).expect("a lock"))).collect();
    let mut waiters = lock::Waiters::new(paths).expect("threads");
    assert_eq!(waiters.next(Some(Instant::now())), None);
    for index in [2, 0, 1] {
        assert!(!waiters.is_done());
        locks[index] = None;
        assert_eq!(waiters.next(None), Some(index));
    }
    assert!(waiters.is_done());
    assert_eq!(waiters.next(None), None);
}

#[test]
fn a_turn_passes_with_the_descriptor_and_apart_from_the_lock() {
    let (_dir, path) = path();
    let ours = lock::create(&path).expect("a lock");
    lock::begin_turn_wait(&ours, 1).expect("it queues");
    let (came, comes) = mpsc::channel();
    let behind = path.clone();
    let next = thread::spawn(move || {
        wait_turn(&behind, 0).expect("it waits");
        came.send(()).expect("the test is there");
    });
    let mut child = Held::start(Command::new("cat").stdout(ours.try_clone().expect("a copy")));
    assert!(comes.recv_timeout(Duration::from_millis(50)).is_err(), "its turn has not come");
    lock::end_turn_wait(&ours, 1).expect("its turn");
    comes.recv().expect("the next looks");
    next.join().expect("it ends");
    // It still lives.
    assert!(lock::is_held(&path).expect("a lock"));
    drop(ours);
    child.finish();
}

#[test]
fn turns_are_got_one_after_the_other() {
    let (_dir, path) = path();
    let ours = lock::create(&path).expect("a lock");
    lock::begin_turn_wait(&ours, 3).expect("it queues");
    let (came, comes) = mpsc::channel();
    let next: Vec<_> = (0..3)
        .map(|turn| {
            let (came, path) = (came.clone(), path.clone());
            thread::spawn(move || {
                wait_turn(&path, turn).expect("it waits");
                came.send(turn).expect("the test is there");
            })
        })
        .collect();
    lock::end_turn_wait(&ours, 0).expect("nothing");
    assert!(comes.recv_timeout(Duration::from_millis(50)).is_err(), "none has come");
    lock::end_turn_wait(&ours, 1).expect("the first");
    assert_eq!(comes.recv(), Ok(0));
    assert!(comes.recv_timeout(Duration::from_millis(50)).is_err(), "one has come");
    lock::end_turn_wait(&ours, 3).expect("all");
    let mut rest = [comes.recv(), comes.recv()].map(|turn| turn.expect("a turn"));
    rest.sort_unstable();
    assert_eq!(rest, [1, 2]);
    for thread in next {
        thread.join().expect("it ends");
    }
}

#[test]
fn a_lock_that_cannot_be_opened_is_not_taken_for_free() {
    let (dir, path) = path();
    let not_a_file = path.join("below");
    File::create(&path).expect("a file");
    assert!(lock::Waiters::new(vec![not_a_file]).is_err());
    // One that is gone is free.
    let mut gone = lock::Waiters::new(vec![dir.path().join("gone")]).expect("it waits");
    assert_eq!(gone.next(None), Some(0));
}

#[test]
fn a_turn_ends_with_the_life() {
    let (_dir, path) = path();
    let ours = lock::create(&path).expect("a lock");
    lock::begin_turn_wait(&ours, 1).expect("it queues");
    let mut child = Held::start(Command::new("cat").stdout(ours));
    let behind = path.clone();
    let next = thread::spawn(move || wait_turn(&behind, 0).expect("it waits"));
    child.0.kill().expect("it is killed");
    child.0.wait().expect("it is reaped");
    next.join().expect("it is woken");
    lock::wait(&path.with_file_name("nowhere")).expect("nothing to wait for");
}
