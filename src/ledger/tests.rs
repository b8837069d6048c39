//! Tests of the ledger, at its own boundary: a store in a folder of the test's own.

mod closing;
mod decoding;
mod folding;
mod heads;
mod holding;
mod logging;
mod packing;
mod runs;
mod snapshots;
mod using;

use std::fs;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::job::{BackendName, JobId, JobName, Mode, Outcome, ProcessRef, WorkerExit};

/// A store that goes away with the folder beside it.
fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::new(dir.path().join("cx"));
    store.create().expect("the state folder can be made");
    (dir, store)
}

fn tree(name: &str) -> Tree {
    Tree {
        start: None,
        path: format!("/trees/{name}"),
        branch: Some(format!("cx/{name}")),
        base: "1".repeat(40),
        prefix: String::new(),
    }
}

fn spec(name: &str, mode: Mode) -> Spawned {
    Spawned {
        id: "00112233445566aa".to_owned(),
        name: JobName::new(name).expect("a name"),
        mode,
        backend: BackendName::SH,
        program: "/bin/sh".to_owned(),
        argv: Vec::new(),
        agent: None,
        alias: None,
        endpoint: None,
        hooks: None,
        model: None,
        run: None,
        task: None,
        group: None,
        cwd: "/repo".to_owned(),
        checkout: None,
        tree: (mode == Mode::Writer).then(|| tree(name)),
        scope: Vec::new(),
        resolves: None,
        resumes: None,
        repeats: None,
        port: None,
        after: Vec::new(),
        timeout_ms: None,
        silence_ms: None,
        budgets: Vec::new(),
        price: None,
        hold: None,
        grace_ms: 5000,
        max_jobs: None,
        pools: Vec::new(),
        setup: Vec::new(),
        include: Vec::new(),
        fallbacks: Vec::new(),
        extra_args: Vec::new(),
        env_exclude: Vec::new(),
        git: false,
        mcp: false,
        schema: false,
        checkpoint_ms: None,
        secrets: Vec::new(),
        sharing: None,
        notice: None,
        title: "a task".to_owned(),
    }
}

fn spawned(name: &str, mode: Mode) -> Event {
    Event::Spawned(Box::new(spec(name, mode)))
}

fn exited(outcome: Outcome) -> Exited {
    Exited { ran_ms: 7, ..Exited::of(outcome) }
}

fn ended(outcome: Outcome) -> Event {
    Event::Exited(Box::new(exited(outcome)))
}

fn process(pid: i32) -> ProcessRef {
    ProcessRef { pid, start: 1 }
}

fn cleaned(tree: bool, files: bool) -> Event {
    Event::Cleaned(Cleaned { tree, files, kept: None })
}

fn note(text: &str) -> Event {
    Event::Note(Note { text: text.to_owned() })
}

/// What a fold of these events gives, a second apart.
fn folded(events: impl IntoIterator<Item = (u64, Event)>) -> State {
    let mut state = State::new();
    for (second, (job, event)) in (0..).zip(events) {
        let at = Timestamp::from_second(second).expect("a time");
        state.fold(Record { version: VERSION, at, job: JobId(job), event });
    }
    state
}

fn append_all(store: &Store, events: impl IntoIterator<Item = (u64, Event)>) {
    let mut appender = store.appender().expect("the ledger opens");
    for (job, event) in events {
        appender.append(JobId(job), &event).expect("it appends");
    }
}

/// Appends bytes as they are, as a crash would leave them.
fn append_raw(store: &Store, bytes: &[u8]) {
    let mut all = fs::read(store.ledger_path()).unwrap_or_default();
    all.extend_from_slice(bytes);
    fs::write(store.ledger_path(), all).expect("the ledger can be written");
}

/// All lines that can be read, in order.
fn records(store: &Store) -> Vec<Record> {
    let bytes = fs::read(store.ledger_path()).expect("the ledger can be read");
    bytes.split_inclusive(|b| *b == b'\n').filter_map(decode).collect()
}
