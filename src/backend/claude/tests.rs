//! The claude backend against what the real claude wrote.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::super::{
    Answer, JudgeInput, Verdict, activity, judge, render,
    testing::{self, CLAUDE},
};
use super::digest::Digest;
use crate::job::{Outcome, Usage, Usd, WorkerExit};

fn stream(name: &str) -> Vec<u8> {
    testing::stream(&CLAUDE, name)
}

fn verdict(name: &str) -> Verdict {
    testing::judged(&CLAUDE, name, None, None)
}

fn judged(name: &str, ended_by_us: Option<Outcome>, expected_thread: Option<&str>) -> Verdict {
    testing::judged(&CLAUDE, name, ended_by_us, expected_thread)
}

/// The verdict on a stream after exit 0.
fn judge_bytes(events: &[u8]) -> Verdict {
    let dir = tempfile::tempdir().expect("folder");
    let stdout = dir.path().join("events");
    fs::write(&stdout, events).expect("writes");
    let input = JudgeInput {
        exit: Some(WorkerExit::Code(0)),
        stdout: &stdout,
        stderr: &dir.path().join("stderr"),
        answer_file: None,
        ended_by_us: None,
        expected_thread: None,
    };
    judge(&CLAUDE, &input).expect("reads")
}

fn text(text: &str) -> Answer {
    Answer::Text(text.to_owned())
}

fn usage(input: u64, cached: u64, output: u64, micros: u64) -> Usage {
    Usage { input, cached, output, cost_usd: Some(Usd::from_micros(micros)) }
}

#[test]
fn a_success_has_its_message_its_session_its_tokens_and_its_cost() {
    let session = "75f2000a-8fb0-488a-9532-c7ad73eb24e8";
    let verdict = judged("ok", None, Some(session));
    assert_eq!((verdict.outcome, verdict.reason), (Outcome::Succeeded, None));
    assert_eq!(verdict.answer, text("All done: one file written."));
    assert_eq!(verdict.usage, Some(usage(3570, 300, 60, 14_490)));
    assert_eq!(verdict.thread_id.as_deref(), Some(session));
    assert_eq!(verdict.notes, [""; 0]);
}

#[test]
fn another_session_than_ours_is_no_success() {
    let verdict = judged("ok", None, Some("another"));
    assert_eq!(verdict.outcome, Outcome::Failed);
    let reason = verdict.reason.expect("a reason");
    assert!(reason.starts_with("claude answered in session 75f2000a-"), "{reason}");
}

#[test]
fn what_was_denied_is_no_success_but_its_answer_is_kept() {
    let verdict = verdict("denied");
    assert_eq!(verdict.outcome, Outcome::Denied);
    assert_eq!(
        verdict.reason.as_deref(),
        Some("claude was denied WebFetch http://127.0.0.1:4000/ and 1 more")
    );
    assert_eq!(verdict.notes, ["claude was denied Write /repo/.claude/settings.json"]);
    assert_eq!(verdict.answer, text("done"));
}

#[test]
fn every_failure_has_a_name_and_a_reason() {
    for (name, outcome, reason) in [
        ("http_401", Outcome::Failed, "Failed to authenticate. API Error: 401 fake status 401"),
        ("http_429", Outcome::RateLimited, "API Error: Request rejected (429) · fake status 429"),
        ("http_529", Outcome::RateLimited, "API Error: 529 fake status 529"),
        ("drop", Outcome::Failed, "API Error: API returned an empty or malformed response"),
        ("no_service", Outcome::Failed, "API Error: Connection refused"),
        ("too_long", Outcome::Failed, "Prompt is too long"),
        ("turns", Outcome::TurnLimit, "Reached maximum number of turns (1)"),
        ("budget", Outcome::OverBudget, "Reached maximum budget ($0.01)"),
        ("empty", Outcome::NoAnswer, "claude ended its turn without a final message"),
        ("command", Outcome::NoAnswer, "claude took the prompt for a command of its own: /clear"),
        ("resume_unknown", Outcome::Failed, "No conversation found with session ID"),
        ("session_in_use", Outcome::Failed, "Session ID 1afb1194-8623-4fe1-8822-7290984bd63e is"),
        ("bad_flag", Outcome::Failed, "unknown option '--nope'"),
        ("killed", Outcome::Killed, "ended by signal 15"),
    ] {
        let verdict = verdict(name);
        assert_eq!(verdict.outcome, outcome, "{name}");
        let said = verdict.reason.expect("a reason");
        assert!(said.starts_with(reason), "{name}: {said}");
        assert!(!said.contains('\n') && !said.ends_with('.'), "{name}: {said}");
        assert_eq!(verdict.answer, Answer::None, "{name}");
    }
}

#[test]
fn what_ended_it_from_outside_wins() {
    for name in ["ok", "http_429", "killed"] {
        let verdict = judged(name, Some(Outcome::TimedOut), None);
        assert_eq!(verdict.outcome, Outcome::TimedOut, "{name}");
    }
}

#[test]
fn money_that_was_spent_counts_also_when_the_job_failed() {
    assert_eq!(verdict("budget").usage.and_then(|u| u.cost_usd), Some(Usd::from_micros(4_040_000)));
}

#[test]
fn a_resumed_session_counts_what_came_since() {
    let all = String::from_utf8(stream("resumed")).expect("text");
    assert!(all.contains("\"total_cost_usd\":0.00958"), "the session's, not the run's");
    assert_eq!(verdict("resumed").usage, Some(usage(1190, 100, 20, 4_830)));
}

#[test]
fn an_older_claude_is_understood() {
    let verdict = verdict("older");
    assert_eq!(verdict.outcome, Outcome::Succeeded);
    assert_eq!(verdict.answer, text("Older."));
    assert_eq!(verdict.usage, Some(usage(100, 70, 9, 500_000)));
}

#[test]
fn the_last_result_counts_and_all_of_them_cost() {
    let (first, second) = (stream("denied"), stream("ok"));
    let verdict = judge_bytes(&[first.clone(), second].concat());
    assert_eq!(verdict.answer, text("All done: one file written."));
    assert_eq!(verdict.outcome, Outcome::Denied, "what was denied stays denied");
    let cost = verdict.usage.and_then(|usage| usage.cost_usd);
    assert_eq!(cost, Some(Usd::from_micros(24_550 + 14_490)));
    let twice = judge_bytes(&[first.clone(), first].concat());
    assert_eq!(twice.notes.len(), 1, "a denial that is told twice is one");
}

#[test]
fn output_that_is_cut_anywhere_is_never_success() {
    let whole = stream("ok");
    let last = whole.trim_ascii_end().len();
    for end in (0..last).rev().step_by(17).chain([0]) {
        let verdict = judge_bytes(&whole[..end]);
        assert_ne!(verdict.outcome, Outcome::Succeeded, "cut at {end}");
        assert!(verdict.reason.is_some());
    }
    assert_eq!(judge_bytes(&whole[..last]).outcome, Outcome::Succeeded);
}

#[test]
fn a_result_that_does_not_say_whether_it_failed_did() {
    let line = br#"{"type":"result","result":"x","num_turns":1}"#;
    assert_eq!(judge_bytes(line).outcome, Outcome::Failed);
    let line = br#"{"type":"result","result":"x","num_turns":1,"is_error":false}"#;
    assert_eq!(judge_bytes(line).outcome, Outcome::Succeeded);
}

fn doing(name: &str, lines: usize) -> Option<String> {
    let all = stream(name);
    let cut: Vec<&[u8]> = all.split_inclusive(|b| *b == b'\n').take(lines).collect();
    activity(&CLAUDE, &cut.concat(), Some(Path::new("/repo")))
}

#[test]
fn what_it_does_is_told_in_a_line() {
    let seen: Vec<_> = (0..=7).map(|lines| doing("ok", lines).unwrap_or_default()).collect();
    let expected = [
        "",
        "starting",
        "looking",
        "running echo hi",
        "ran echo hi",
        "editing s.txt",
        "edited s.txt",
        "All done: one file written.",
    ];
    assert_eq!(seen, expected);
    assert_eq!(doing("http_529", 2).as_deref(), Some("trying again after HTTP 529 (1 of 1)"));
}

#[test]
fn logs_show_what_people_want_to_know() {
    let shown = |name: &str| -> Vec<String> {
        let all = stream(name);
        let lines = all.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines.filter_map(|line| render(&CLAUDE, line, Some(Path::new("/repo")))).collect()
    };
    assert_eq!(
        shown("ok"),
        ["looking", "$ echo hi", "  hi", "· editing s.txt", "All done: one file written."]
    );
    let denied = shown("denied");
    assert!(denied.contains(&"! was denied WebFetch".to_owned()), "{denied:?}");
    assert!(denied.iter().any(|line| line.ends_with("granted it yet.\n· failed")), "{denied:?}");
    assert!(!denied.concat().contains("completed with no output"), "{denied:?}");
    assert_eq!(shown("resume_unknown").len(), 1);
    assert_eq!(render(&CLAUDE, b"plain \xff", None).as_deref(), Some("? plain \u{fffd}"));
}

proptest! {
    /// Whatever comes, it is read without a panic, and it is no success.
    #[test]
    fn noise_is_no_success(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut digest = Digest::default();
        digest.line(&noise);
        let _ = activity(&CLAUDE, &noise, None);
        let _ = render(&CLAUDE, &noise, None);
        prop_assert_ne!(judge_bytes(&noise).outcome, Outcome::Succeeded);
    }
}
