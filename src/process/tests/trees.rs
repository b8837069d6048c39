use std::{fs, io::Read, os::unix::process::ExitStatusExt, time::Duration};

use super::*;
use crate::job::ProcessRef;

/// A child whose stdout can be read.
fn talking(script: &str) -> Held {
    Held::start(Command::new("sh").arg("-c").arg(script).stdout(Stdio::piped()))
}

/// Reads one line of its stdout: it has come so far.
fn line(held: &mut Held) -> String {
    let stdout = held.0.stdout.as_mut().expect("a pipe");
    let mut said = Vec::new();
    let mut byte = [0];
    while stdout.read(&mut byte).expect("it speaks") == 1 && byte != [b'\n'] {
        said.push(byte[0]);
    }
    String::from_utf8(said).expect("UTF-8")
}

#[test]
fn odd_names_of_commands_do_not_confuse() {
    let rest = "S 41 42 43 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 8192 100";
    for name in ["cat", "a b", "a) S 1 1", ") R 7 (", "((", "\n", ""] {
        let text = format!("42 ({name}) {rest}\n");
        let stat = tree::Stat::parse(text.as_bytes()).expect("it parses");
        assert_eq!((stat.state, stat.parent, stat.start), (b'S', 41, 123_456), "{name:?}");
    }
    let mut text = b"42 (\xff\xfe) ".to_vec();
    text.extend_from_slice(rest.as_bytes());
    assert!(tree::Stat::parse(&text).is_some(), "a name need not be UTF-8");
    for torn in ["", "42", "42 (cat)", "42 (cat) S", "42 (cat) S x", "42 (cat) S 41 42 43"] {
        assert_eq!(tree::Stat::parse(torn.as_bytes()), None, "{torn:?}");
    }
}

#[test]
fn a_process_is_its_number_and_its_start() {
    let mut held = Held::start(&mut Command::new("cat"));
    let process = tree::reference(held.pid()).expect("it is there");
    assert!(tree::is_alive(process));
    let other = ProcessRef { start: process.start + 1, ..process };
    assert!(!tree::is_alive(other));
    // A signal to whoever had this number before does not reach it.
    assert!(!tree::signal(other, 9).expect("no error"));
    assert!(tree::is_alive(process));
    assert!(tree::signal(process, 9).expect("it is sent"));
    while tree::is_alive(process) {
        std::thread::yield_now();
    }
    // A zombie is dead.
    assert!(tree::reference(held.pid()).is_some());
    assert!(!tree::signal(process, 9).expect("no error"));
    held.finish();
    assert_eq!(tree::reference(held.pid()), None);
}

#[test]
fn groups_and_init_are_never_signalled() {
    for pid in [0, -1, 1] {
        let start = tree::reference(pid).map_or(0, |process| process.start);
        assert!(!tree::signal(ProcessRef { pid, start }, 0).unwrap_or(false), "{pid}");
    }
}

#[test]
fn descendants_are_found_in_whatever_session() {
    let mut held = talking(
        "exec 3<&0; setsid sh -c 'echo $$; exec cat' <&3 & sh -c 'sh -c \"echo \\$\\$; exec cat\" <&3; :' & wait",
    );
    let said: Vec<i32> = (0..2).map(|_| line(&mut held).parse().expect("a pid")).collect();
    let found: Vec<i32> =
        tree::descendants(&[held.pid()]).iter().map(|process| process.pid).collect();
    assert!(!found.contains(&held.pid()), "a root is not its own descendant");
    assert!(said.iter().all(|pid| found.contains(pid)), "{said:?} in {found:?}");
    assert!(found.len() >= 3, "{found:?}");
    assert_eq!(tree::descendants(&[i32::MAX]), []);
    held.finish();
}

#[test]
fn a_mark_is_found_and_a_longer_one_is_not() {
    let id = "feedfacefeedface";
    let mut marked = Held::start(Command::new("cat").env("CX_JOB_ID", id));
    let longer = Held::start(Command::new("cat").env("CX_JOB_ID", format!("{id}0")));
    let other = Held::start(Command::new("cat").env("MY_CX_JOB_ID", id));
    // Until it is executed a child has the environment of its parent.
    let found = loop {
        let found = tree::marked(id);
        if !found.is_empty() {
            break found;
        }
        std::thread::yield_now();
    };
    assert_eq!(found.iter().map(|process| process.pid).collect::<Vec<_>>(), [marked.pid()]);
    marked.finish();
    assert_eq!(tree::marked(id), []);
    drop((longer, other));
}

#[test]
fn who_writes_to_a_file_is_found_and_who_reads_it_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = fs::canonicalize(dir.path()).expect("a path");
    fs::create_dir_all(&dir).expect("a folder");
    let path = dir.join("events.jsonl");
    let file = || fs::OpenOptions::new().append(true).create(true).open(&path).expect("a file");
    let mut writer = Held::start(Command::new("cat").stdout(file()));
    let reading = fs::File::open(&path).expect("a file");
    let reader = Held::start(Command::new("cat").stderr(reading).stdout(Stdio::null()));
    writer.say(b"x\n");
    let found: Vec<i32> = tree::writing_to(&[&path]).iter().map(|process| process.pid).collect();
    assert_eq!(found, [writer.pid()]);
    assert_eq!(tree::writing_to(&[&dir.join("stderr")]), []);
    writer.finish();
    assert_eq!(tree::writing_to(&[&path]), []);
    drop(reader);
}

#[test]
fn strangers_are_asked_then_killed_stopped_ones_too() {
    let mut polite = talking("trap 'exit 7' TERM; echo up; while :; do read -r _ || exit; done");
    let mut deaf = talking("trap '' TERM; echo up; while :; do read -r _ || exit; done");
    let stopped = Held::start(&mut Command::new("cat"));
    line(&mut polite);
    line(&mut deaf);
    let all: Vec<ProcessRef> =
        [&polite, &deaf, &stopped].iter().filter_map(|held| tree::reference(held.pid())).collect();
    tree::signal(all[2], signals::number("STOP").expect("a signal")).expect("it is sent");
    let ended =
        ending::end_strangers(|| all.clone(), 15, Duration::from_millis(200)).expect("they end");
    assert_eq!(ended, 3);
    assert!(!all.iter().any(|process| tree::is_alive(*process)));
    let status = deaf.0.wait().expect("it is reaped");
    assert_eq!(status.signal(), Some(9));
}
