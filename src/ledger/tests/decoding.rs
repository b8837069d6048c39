use super::*;

#[test]
fn every_kind_reads_back_as_it_was_written() {
    let (_dir, store) = store();
    let mut full = spec("auth", Mode::Writer);
    full.argv = vec!["a".to_owned(), "\u{0}\"\n".to_owned()];
    full.after = vec![JobId(1), JobId(2)];
    full.max_jobs = Some(3);
    full.resolves =
        Some(Resolves { job: JobId(2), tip: "8".repeat(40), verify: vec!["make".to_owned()] });
    let mut end = exited(Outcome::Other("new-word".to_owned()));
    end.exit = Some(WorkerExit::Signal(9));
    end.reason = Some("why: \"\u{1f980}\"".to_owned());
    end.tip = Some("2".repeat(40));
    (end.commits, end.files, end.stragglers) = (1, 2, 3);
    let merged = Merged {
        into: "main".into(),
        commit: "3".repeat(40),
        tip: "2".repeat(40),
        dropped: Vec::new(),
        batch: None,
    };
    let kept = Some("refs/cx/trash/auth-1".to_owned());
    let events = [
        Event::Spawned(Box::new(full)),
        Event::Started(Started { supervisor: process(10) }),
        Event::Waiting(Waiting { after: vec![JobId(1)] }),
        Event::Queued,
        Event::Admitted,
        Event::Worktree(Worktree {
            engine: "git".to_owned(),
            took_ms: 5,
            why: Some("it is".into()),
        }),
        note("said\n"),
        Event::Running(Running { worker: process(11) }),
        Event::KillRequested(KillRequested { signal: 15 }),
        Event::Lost,
        Event::Exited(Box::new(end)),
        Event::Collected,
        Event::Merged(merged),
        Event::Cleaned(Cleaned { tree: true, files: false, kept }),
    ];
    append_all(&store, events.iter().map(|event| (7, event.clone())));
    let read: Vec<Event> = records(&store).into_iter().map(|record| record.event).collect();
    assert_eq!(read, events);
    let text = fs::read_to_string(store.ledger_path()).expect("UTF-8");
    assert_eq!(text.lines().count(), events.len(), "an event is one line:\n{text}");
    for (line, event) in text.split_inclusive('\n').zip(&events) {
        assert_eq!(glance(line.as_bytes()), Some((event.kind(), JobId(7))), "{line}");
    }
}

#[test]
fn a_glance_tells_only_of_lines_as_cx_spells_them() {
    let lines = [
        "",
        "\n",
        "{",
        r#"{"v":1,"t":"2026-01-02T03:04:05Z","ev":"lost","job":"#,
        r#"{"v":1,"t":"2026-01-02T03:04:05Z","ev":"lost","job":-4}"#,
        r#"{"v":1,"t":"2026-01-02T03:04:05Z","ev":"lost"#,
        r#"{"v":9,"t":"2026-01-02T03:04:05Z","ev":"lost","job":4}"#,
        r#"{"v":1,"t":"2026-01-02T03:04:05Z","job":4,"ev":"lost"}"#,
        r#"{ "v":1,"t":"2026-01-02T03:04:05Z","ev":"lost","job":4}"#,
    ];
    for line in lines {
        assert_eq!(glance(line.as_bytes()), None, "{line}");
    }
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    let line = |rest: &str| format!("{{\"v\":9,\"t\":\"2026-01-02T03:04:05Z\",\"job\":4,{rest}}}");
    let event = |rest: &str| decode(line(rest).as_bytes()).expect("a line").event;
    assert_eq!(event(r#""ev":"praised","by":"x""#), Event::Unknown);
    assert_eq!(event(r#""ev":"collected","extra":{"a":[1]}"#), Event::Collected);
    assert_eq!(event(r#""ev":"note","text":"x","extra":1"#), note("x"));
    // A body that is not understood is no reason to stumble.
    assert_eq!(event(r#""ev":"note","text":{"long":"x"}"#), Event::Unknown);
    assert_eq!(event(r#""ev":"running""#), Event::Unknown);
    let record = decode(line(r#""ev":"lost""#).as_bytes()).expect("a line");
    assert_eq!((record.version, record.job), (9, JobId(4)));
}

#[test]
fn every_beginning_of_a_line_is_torn() {
    let (_dir, store) = store();
    append_all(&store, [(1, spawned("auth", Mode::Writer))]);
    let line = fs::read(store.ledger_path()).expect("the ledger");
    let whole = line.len() - 1;
    for end in 0..whole {
        assert_eq!(decode(&line[..end]), None, "{}", String::from_utf8_lossy(&line[..end]));
    }
    assert!(decode(&line[..whole]).is_some());
    for odd in [&b"\0\0\0\0\n"[..], b"\xff\xfe\n", b"[1]\n", b"\"x\"\n", b"{}\n", b"null\n"] {
        assert_eq!(decode(odd), None);
    }
}

/// Ledgers of the first version stay readable, and mean what they meant.
#[test]
fn a_ledger_of_version_1_means_what_it_meant() {
    let (_dir, store) = store();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ledger/v1.jsonl");
    fs::copy(fixture, store.ledger_path()).expect("the fixture is there");
    let state = store.state().expect("it folds");
    assert_eq!((state.next, state.torn), (5, 1));
    let jobs: Vec<_> = state.jobs.values().collect();
    let found = serde_json::to_string_pretty(&jobs).expect("jobs are JSON");
    let pinned = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ledger/v1.folded.json");
    if std::env::var_os("CX_PIN_FIXTURES").is_some() {
        fs::write(pinned, format!("{found}\n")).expect("the fixture can be written");
    }
    let pinned = fs::read_to_string(pinned).expect("the fixture is there");
    assert_eq!(found, pinned.trim_end());
    let head = store.appender().expect("it opens").head().expect("it folds");
    assert_eq!((head.next, head.taken.len()), (5, 0));
}
