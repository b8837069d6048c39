//! The memory as a whole: what the index finds against a search that reads everything,
//! many writers at once, and what a crash or somebody else leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::PathBuf,
};

use jiff::Timestamp;
use proptest::prelude::*;

use super::{
    search::{asked, hit, share, weight, words_of},
    words::{Kind, term},
    *,
};

fn name(key: &str) -> Name {
    Name::new("default", key).expect("a name")
}

fn value(text: &str) -> Value {
    Value { bytes: text.as_bytes().to_vec(), ..Value::default() }
}

fn store(memory: &Memory, key: &str, text: &str) {
    let mut writer = memory.writer().expect("locks");
    writer.store(&name(key), value(text), None, (&Reader::Person, true)).expect("stores");
}

fn query(text: &str) -> Query<'_> {
    Query { text, namespace: None, limit: usize::MAX, threshold: 0.0, reader: &Reader::Person }
}

fn found(memory: &Memory, text: &str) -> Vec<String> {
    let (hits, _) = memory.search(&query(text)).expect("searches");
    hits.into_iter().map(|hit| hit.entry.name.key).collect()
}

fn segments(memory: &Memory) -> Vec<PathBuf> {
    let files = fs::read_dir(memory.dir().join("index")).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = files.map(|file| file.path()).collect();
    all.sort();
    all
}

/// Long enough for a segment of its own.
fn filler() -> String {
    "lorem ipsum dolor sit amet ".repeat(3000)
}

/// Searches without an index.
fn scan(entries: Vec<Entry>, query: &Query<'_>) -> Vec<Hit> {
    let asked = asked(query.text);
    let terms: BTreeSet<String> = asked.keys().cloned().collect();
    let mut found = Vec::new();
    let (mut with, mut length) = (BTreeMap::<String, u64>::new(), 0_u64);
    let all = entries.len() as u64;
    for entry in entries {
        let mut times = BTreeMap::<String, u32>::new();
        let value = entry.value.clone().unwrap_or_default();
        let own = words_of(&entry, &value, &mut |word, kind, counts| {
            let term = term(word, kind);
            if asked.contains_key(&*term) {
                *times.entry(term.into_owned()).or_default() += counts;
            }
        });
        length += u64::from(own);
        for term in times.keys() {
            *with.entry(term.clone()).or_default() += 1;
        }
        found.push((entry, times, own));
    }
    let weights: BTreeMap<&String, f64> = asked
        .keys()
        .map(|term| (term, weight(with.get(term).copied().unwrap_or(0), all)))
        .collect();
    let whole: f64 =
        asked.iter().filter(|(_, kind)| **kind == Kind::Part).map(|(term, _)| weights[term]).sum();
    #[expect(clippy::cast_precision_loss, reason = "no memory has so many words")]
    let usual = (length as f64 / all.max(1) as f64).max(1.0);
    let mut hits: Vec<Hit> = Vec::new();
    for (entry, times, own) in found {
        let score: f64 = times
            .iter()
            .map(|(term, times)| weights[term] * share(*times, f64::from(own) / usual))
            .sum::<f64>();
        if score > 0.0 {
            let is_in = query.namespace.is_none_or(|ns| entry.name.namespace == ns);
            if is_in && query.reader.may_read(&entry) {
                hits.push(hit(
                    entry,
                    (score / whole.max(f64::MIN_POSITIVE)).min(1.0),
                    &terms,
                    query.reader,
                ));
            }
        }
    }
    hits.retain(|hit| hit.score >= query.threshold);
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.entry.at.cmp(&a.entry.at)));
    hits.truncate(query.limit);
    hits
}

#[derive(Clone, Debug)]
enum Step {
    Store(u8, Vec<u8>),
    Delete(u8),
    /// What the tail has becomes a segment.
    Fill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u8..12, proptest::collection::vec(0_u8..30, 0..12)).prop_map(|(k, w)| Step::Store(k, w)),
        1 => (0_u8..12).prop_map(Step::Delete),
        1 => Just(Step::Fill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_index_finds_what_reading_everything_finds(
        steps in proptest::collection::vec(step(), 1..40),
        asked in proptest::collection::vec(0_u8..30, 1..4),
    ) {
        let dir = tempfile::tempdir().expect("folder");
        let memory = Memory::new(dir.path());
        let text = |words: &[u8]| words.iter().map(|w| format!("word{w}")).collect::<Vec<_>>().join(" ");
        let filler = filler();
        for step in &steps {
            match step {
                Step::Store(key, words) => store(&memory, &format!("key{key}"), &text(words)),
                Step::Delete(key) => {
                    let mut writer = memory.writer().expect("locks");
                    writer.delete(&name(&format!("key{key}")), None, &Reader::Person).expect("deletes");
                }
                Step::Fill => {
                    store(&memory, "filler", &filler);
                    memory.tidy();
                    prop_assert!(!segments(&memory).is_empty());
                }
            }
        }
        let all = memory.all().expect("reads");
        for (name, entry) in &all.entries {
            let last = memory.last(name).expect("looks");
            prop_assert_eq!(last.as_ref(), Some(entry));
        }
        let now = Timestamp::now();
        let entries: Vec<Entry> =
            all.entries.into_values().filter(|entry| entry.said(now).is_some()).collect();
        let text = text(&asked);
        let names = |hits: Vec<Hit>| hits.into_iter().map(|hit| hit.entry.name).collect::<BTreeSet<_>>();
        let expected = names(scan(entries, &query(&text)));
        let (hits, torn) = memory.search(&query(&text)).expect("searches");
        prop_assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
        prop_assert_eq!((names(hits), torn), (expected, 0));
    }
}

#[test]
fn scores_are_those_of_a_search_that_reads_everything() {
    let dir = tempfile::tempdir().expect("folder");
    let memory = Memory::new(dir.path());
    for (key, text) in [
        ("auth/refresh", "The token is refreshed by refreshToken() in src/auth/token.rs"),
        ("errors", "All errors are RFC 7807 problem details"),
        ("notes", "the the the token of the many words that do not matter here at all"),
        ("parser", "parseHTTPRequest reads one header at a time"),
        ("empty", ""),
    ] {
        store(&memory, key, text);
    }
    let check = || {
        let entries: Vec<Entry> = memory.all().expect("reads").entries.into_values().collect();
        for text in [
            "token refresh",
            "parse http request",
            "parseHTTPRequest",
            "error reporting",
            "nothing",
        ] {
            let (hits, _) = memory.search(&query(text)).expect("searches");
            let expected = scan(entries.clone(), &query(text));
            assert_eq!(hits.len(), expected.len(), "{text}");
            for (hit, expected) in hits.iter().zip(&expected) {
                assert_eq!(hit.entry, expected.entry, "{text}");
                assert!((hit.score - expected.score).abs() < 1e-4, "{text}");
                assert_eq!(hit.passage, expected.passage);
            }
        }
    };
    check();
    store(&memory, "filler", &filler());
    memory.tidy();
    assert_eq!(segments(&memory).len(), 1);
    check();
    assert_eq!(found(&memory, "parse http request"), ["parser"]);
    assert_eq!(found(&memory, "token refresh")[0], "auth/refresh");
}

#[test]
fn sixty_four_writers_at_once_lose_nothing() {
    let dir = tempfile::tempdir().expect("folder");
    let memory = Memory::new(dir.path());
    std::thread::scope(|scope| {
        for writer in 0..64 {
            let memory = memory.clone();
            scope.spawn(move || {
                for n in 0..10 {
                    store(&memory, &format!("key-{writer}-{n}"), &"some words ".repeat(20));
                    store(&memory, "shared", &format!("{writer} {n}"));
                    memory.tidy();
                }
            });
        }
    });
    let all = memory.all().expect("reads");
    assert_eq!((all.entries.len(), all.torn), (641, 0));
    // Each came after all before it.
    let versions: Vec<u64> =
        memory.history(&name("shared")).expect("reads").iter().map(|entry| entry.version).collect();
    assert_eq!(versions, (1..=640).collect::<Vec<_>>());
    assert!(!segments(&memory).is_empty());
    assert_eq!(found(&memory, "word").len(), 640);
}

#[test]
fn a_torn_line_loses_one_entry_and_is_counted() {
    let dir = tempfile::tempdir().expect("folder");
    let memory = Memory::new(dir.path());
    store(&memory, "a", "first");
    let log = memory.dir().join("entries.jsonl");
    let mut file = fs::OpenOptions::new().append(true).open(&log).expect("opens");
    file.write_all(br#"{"v":1,"t":"2026-11-20T10:00:00.000Z","op":"store","ns":"defau"#)
        .expect("writes");
    drop(file);
    assert_eq!(found(&memory, "first"), ["a"]);
    store(&memory, "b", "second first");
    let (hits, torn) = memory.search(&query("first")).expect("searches");
    assert_eq!((hits.len(), torn), (2, 1));
    assert_eq!(memory.all().expect("reads").torn, 1);
    // The index knows of it too.
    store(&memory, "filler", &filler());
    memory.tidy();
    assert_eq!(segments(&memory).len(), 1);
    assert_eq!(memory.search(&query("first")).expect("searches").1, 1);
}

#[test]
fn the_index_may_be_deleted_torn_or_of_another_log() {
    let dir = tempfile::tempdir().expect("folder");
    let memory = Memory::new(dir.path());
    store(&memory, "a", "needle in a haystack");
    store(&memory, "filler", &filler());
    memory.tidy();
    let whole = segments(&memory);
    let [segment] = whole.as_slice() else { panic!("one segment: {whole:?}") };
    let bytes = fs::read(segment).expect("reads");
    let check = |what: &str| {
        assert_eq!(found(&memory, "needle"), ["a"], "{what}");
        assert_eq!(memory.last(&name("a")).expect("looks").expect("there").version, 1, "{what}");
        assert_eq!(segments(&memory), whole, "{what}");
    };
    fs::remove_dir_all(memory.dir().join("index")).expect("removes");
    check("deleted");
    for length in [0, 8, 95, 96, bytes.len() / 2, bytes.len() - 1] {
        fs::write(segment, &bytes[..length]).expect("writes");
        check("cut short");
        assert_eq!(fs::read(segment).expect("reads").len(), bytes.len());
    }
    fs::write(segment, vec![0; bytes.len()]).expect("writes");
    check("zeroes");
    // Of each part one byte that is wrong: whatever it finds, it finds it again.
    for at in (96..bytes.len()).step_by(bytes.len() / 97) {
        let mut other = bytes.clone();
        other[at] = !other[at];
        fs::create_dir_all(memory.dir().join("index")).expect("makes");
        fs::write(segment, other).expect("writes");
        memory.search(&query("needle haystack lorem")).expect("searches");
        memory.last(&name("a")).expect("looks");
        let _ = fs::remove_dir_all(memory.dir().join("index"));
    }
    check("changed");
    // Another log in its place, of the same length.
    let log = memory.dir().join("entries.jsonl");
    let text = fs::read_to_string(&log)
        .expect("reads")
        .replace("needle", "thread")
        .replace("lorem", "merol");
    let end = text.trim_end().len() - 20;
    let text = format!("{}XX{}", &text[..end], &text[end + 2..]);
    fs::write(&log, text).expect("writes");
    assert_eq!(found(&memory, "needle"), [""; 0]);
}

#[test]
fn what_has_expired_or_is_hidden_is_not_found() {
    let dir = tempfile::tempdir().expect("folder");
    let memory = Memory::new(dir.path());
    let past = "2026-01-01T00:00:00Z".parse().expect("a time");
    let mut writer = memory.writer().expect("locks");
    let mut put = |key: &str, value: Value| {
        writer.store(&name(key), value, None, (&Reader::Person, true)).expect("stores")
    };
    put("gone", Value { expires: Some(past), ..value("needle") });
    put("hidden", Value { share_with: Some(vec![]), ..value("needle") });
    put("kept", Value { redact: vec!["secret".into()], ..value(r#"{"secret":"needle","x":1}"#) });
    put("open", value("needle"));
    // An expired key is free.
    let stored = writer.store(&name("gone"), value("new"), None, (&Reader::Person, false));
    assert_eq!(stored.expect("stores"), Stored { version: 2, updated: false });
    drop(writer);
    let worker = Reader::Worker(Worker { id: "1".into(), names: vec!["one".into()] });
    let seen = |reader| {
        let (hits, _) = memory.search(&Query { reader, ..query("needle") }).expect("searches");
        hits.into_iter().map(|hit| hit.entry.name.key).collect::<BTreeSet<_>>()
    };
    let keys = |all: &[&str]| all.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(seen(&Reader::Person), keys(&["hidden", "kept", "open"]));
    assert_eq!(seen(&worker), keys(&["open"]));
    // Nor may it be written over.
    let mut writer = memory.writer().expect("locks");
    let refused = writer.store(&name("hidden"), value("mine"), None, (&worker, true));
    assert!(matches!(refused, Err(MemoryError::NotShared(_))), "{refused:?}");
    assert!(!writer.delete(&name("hidden"), None, &worker).expect("looks"));
    assert!(writer.delete(&name("open"), None, &worker).expect("deletes"));
    drop(writer);
    assert_eq!(seen(&worker), keys(&[]));
}
