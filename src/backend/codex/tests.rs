//! The codex backend against what the real codex wrote.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::{
    Answer, JudgeInput, Verdict, activity, judge,
    testing::{self, CODEX, SH},
};
use super::digest::Digest;
use crate::job::{Outcome, Usage, WorkerExit};

fn fixture(name: &str) -> PathBuf {
    testing::fixture(&CODEX, name)
}

fn stream(name: &str) -> Vec<u8> {
    testing::stream(&CODEX, name)
}

fn verdict(name: &str) -> Verdict {
    testing::judged(&CODEX, name, None, None)
}

fn judged(name: &str, ended_by_us: Option<Outcome>, expected_thread: Option<&str>) -> Verdict {
    testing::judged(&CODEX, name, ended_by_us, expected_thread)
}

/// The verdict on a stream after exit 0.
fn judge_bytes(events: &[u8], answer: Option<&str>) -> Verdict {
    let dir = tempfile::tempdir().expect("folder");
    let stdout = dir.path().join("events");
    fs::write(&stdout, events).expect("writes");
    let answer_file = dir.path().join("last");
    if let Some(answer) = answer {
        fs::write(&answer_file, answer).expect("writes");
    }
    let input = JudgeInput {
        exit: Some(WorkerExit::Code(0)),
        stdout: &stdout,
        stderr: &dir.path().join("stderr"),
        answer_file: Some(&answer_file),
        ended_by_us: None,
        expected_thread: None,
    };
    judge(&CODEX, &input).expect("reads")
}

fn text(text: &str) -> Answer {
    Answer::Text(text.to_owned())
}

#[test]
fn a_success_has_its_message_its_thread_and_its_tokens() {
    let verdict = verdict("ok");
    assert_eq!(verdict.outcome, Outcome::Succeeded);
    assert_eq!(verdict.reason, None);
    assert_eq!(verdict.answer, text("All done: one file written.\n\nSecond paragraph."));
    assert_eq!(
        verdict.usage,
        Some(Usage { input: 6660, cached: 600, output: 120, cost_usd: None })
    );
    assert_eq!(verdict.thread_id.as_deref(), Some("01a1f90f-1686-7c61-b730-5ba00e4563e2"));
    assert_eq!(verdict.notes, [""; 0]);
    assert!(!verdict.sandbox_unproven);
}

#[test]
fn every_ending_has_its_outcome_and_its_sentence() {
    let no_message = "codex ended its turn without a final message";
    let limit = "You’ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), \
                 visit https://chatgpt.com/settings/usage to purchase more credits or try again later";
    for (name, outcome, reason) in [
        ("drop_ok", Outcome::Succeeded, None),
        ("background", Outcome::Succeeded, None),
        ("tools", Outcome::Succeeded, None),
        ("older", Outcome::Succeeded, None),
        ("rejected", Outcome::Succeeded, None),
        ("prints_bwrap", Outcome::Succeeded, None),
        ("empty", Outcome::NoAnswer, Some(no_message)),
        (
            "note_empty",
            Outcome::NoAnswer,
            Some(
                "codex ended its turn without a final message; what it said last came before its \
                 last command",
            ),
        ),
        ("http_400", Outcome::Failed, Some("fake status 400")),
        (
            "http_401",
            Outcome::Failed,
            Some(
                "unexpected status 401 Unauthorized: fake status 401, url: \
                 http://127.0.0.1:8080/v1/responses",
            ),
        ),
        (
            "http_500",
            Outcome::Failed,
            Some("We’re currently experiencing high demand, which may cause temporary errors"),
        ),
        (
            "incomplete",
            Outcome::Failed,
            Some("Incomplete response returned, reason: max_output_tokens"),
        ),
        (
            "http_429",
            Outcome::RateLimited,
            Some("exceeded retry limit, last status: 429 Too Many Requests"),
        ),
        (
            "quota",
            Outcome::RateLimited,
            Some("Quota exceeded. Check your plan and billing details"),
        ),
        ("usage_limit", Outcome::RateLimited, Some(limit)),
        (
            "rate_limit",
            Outcome::RateLimited,
            Some("rate limit exceeded: Rate limit reached for gpt-5.5, try again in 0.1s"),
        ),
        ("bad_flag", Outcome::Failed, Some("unexpected argument '--full-auto' found")),
        (
            "no_repository",
            Outcome::Failed,
            Some("Not inside a trusted directory and --skip-git-repo-check was not specified"),
        ),
        (
            "resume_unknown",
            Outcome::Failed,
            Some(
                "thread/resume: thread/resume failed: no rollout found for thread id \
                 01a1f89c-9422-7fc1-9365-a96b8568f7a0 (code -32600)",
            ),
        ),
        ("killed", Outcome::Killed, Some("ended by signal 15")),
        (
            "sandbox_broken",
            Outcome::SandboxBroken,
            Some(
                "codex could not start its sandbox, so no command ran: bwrap: Creating new \
                 namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded \
                 (ENOSPC)",
            ),
        ),
    ] {
        let verdict = verdict(name);
        assert_eq!(verdict.outcome, outcome, "{name}: {verdict:?}");
        assert_eq!(verdict.reason.as_deref(), reason, "{name}");
    }
}

#[test]
fn what_was_refused_is_noted() {
    let notes = |name| verdict(name).notes;
    assert_eq!(
        notes("rejected"),
        ["codex refused: `/bin/bash -lc 'rm -rf /repo/x'` rejected: rm -f style commands are not \
          permitted. Use a safer approach"]
    );
    assert_eq!(
        notes("readerwrite"),
        ["codex refused an edit: writing is blocked by read-only sandbox"]
    );
    assert_eq!(notes("sandbox_silent_writer"), ["1 of 1 edits failed"]);
}

#[test]
fn a_success_in_which_nothing_ran_asks_for_a_probe() {
    for (name, unproven) in [
        ("ok", false),
        ("prints_bwrap", false),
        ("sandbox_silent_writer", true),
        ("readerwrite", true),
        ("drop_ok", true),
        ("sandbox_broken", false),
        ("http_400", false),
    ] {
        assert_eq!(verdict(name).sandbox_unproven, unproven, "{name}");
    }
}

#[test]
fn a_probe_that_failed_makes_it_a_failure() {
    let verdict = verdict("readerwrite").with_broken_sandbox(b"bwrap: no\n");
    assert_eq!(verdict.outcome, Outcome::SandboxBroken);
    let reason = "codex could not start its sandbox, so no command ran: bwrap: no";
    assert_eq!(verdict.reason.as_deref(), Some(reason));
    assert_eq!(verdict.answer, text("tried"));
}

/// A stream with commands of these exit codes and outputs, and an answer.
fn commands(commands: &[(&str, i64, &str)]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (command, code, output) in commands {
        lines.push(serde_json::json!({"type": "item.completed", "item": {
            "type": "command_execution", "command": command, "exit_code": code,
            "aggregated_output": output, "status": "completed"}}));
    }
    lines.push(serde_json::json!({"type": "item.completed",
        "item": {"type": "agent_message", "text": "done"}}));
    lines.push(serde_json::json!({"type": "turn.completed"}));
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").into_bytes()
}

#[test]
fn a_sandbox_is_broken_only_where_nothing_could_start() {
    const BWRAP: &str = "bwrap: setting up uid map: Permission denied\n";
    let outcome = |list: &[(&str, i64, &str)]| judge_bytes(&commands(list), None).outcome;
    assert_eq!(outcome(&[("ls", 1, BWRAP)]), Outcome::SandboxBroken);
    assert_eq!(outcome(&[("ls", 1, BWRAP), ("pwd", 1, BWRAP)]), Outcome::SandboxBroken);
    let panic = "\nthread 'main' panicked at linux-sandbox/src/linux_run_main.rs:30:9:\nerror \
                 running landlock: Sandbox(LandlockRestrict)\nnote: run with RUST_BACKTRACE=1\n";
    assert_eq!(outcome(&[("ls", 101, panic)]), Outcome::SandboxBroken);
    // It printed the words, ran them itself, or said something else first.
    assert_eq!(outcome(&[("cat log", 0, BWRAP)]), Outcome::Succeeded);
    assert_eq!(outcome(&[("bwrap --ro-bind / / true", 1, BWRAP)]), Outcome::Succeeded);
    assert_eq!(outcome(&[("make", 2, &format!("cc x.c\n{BWRAP}"))]), Outcome::Succeeded);
    // One that failed among others is a note.
    let verdict = judge_bytes(&commands(&[("ls", 0, "a\n"), ("pwd", 1, BWRAP)]), None);
    assert_eq!(verdict.outcome, Outcome::Succeeded);
    assert_eq!(verdict.notes, ["the sandbox could not start for 1 of 2 commands"]);
}

#[test]
fn a_configuration_that_cannot_be_read_is_the_sentence() {
    let said = "Error loading config.toml:\n/h/config.toml:8:7: unclosed array, expected `]`\n  |\n8 | bad = [\n  |       ^\n";
    let stderr = super::stderr::Stderr::read(said.as_bytes()).expect("it is in memory");
    assert_eq!(
        stderr.sentence.as_deref(),
        Some("/h/config.toml:8:7: unclosed array, expected `]`")
    );
}

#[test]
fn what_we_ended_is_never_a_success_and_keeps_its_message() {
    for outcome in [Outcome::TimedOut, Outcome::Silent, Outcome::Killed, Outcome::Lost] {
        let verdict = judged("ok", Some(outcome.clone()), None);
        assert_eq!(verdict.outcome, outcome);
        assert_eq!(verdict.answer, text("All done: one file written.\n\nSecond paragraph."));
    }
    // The last error helps where codex hung in its retries.
    let silent = judged("drop_ok", Some(Outcome::Silent), None);
    assert_eq!(
        silent.reason.as_deref(),
        Some("stream disconnected before completion: stream closed before response.completed")
    );
}

#[test]
fn another_thread_than_the_expected_one_is_a_failure() {
    let id = "01a1f90f-1686-7c61-b730-5ba00e4563e2";
    assert_eq!(judged("ok", None, Some(id)).outcome, Outcome::Succeeded);
    let other = judged("ok", None, Some("another"));
    assert_eq!(other.outcome, Outcome::Failed);
    assert_eq!(other.reason, Some(format!("codex answered on thread {id} instead of another")));
}

#[test]
fn an_unknown_end_is_no_success() {
    let stdout = fixture("ok.jsonl");
    let stderr = fixture("ok.stderr");
    let mut input = JudgeInput {
        exit: None,
        stdout: &stdout,
        stderr: &stderr,
        answer_file: None,
        ended_by_us: None,
        expected_thread: None,
    };
    assert_eq!(judge(&CODEX, &input).expect("reads").outcome, Outcome::Lost);
    input.exit = Some(WorkerExit::Signal(9));
    assert_eq!(judge(&CODEX, &input).expect("reads").outcome, Outcome::Killed);
    input.exit = Some(WorkerExit::Code(3));
    let verdict = judge(&CODEX, &input).expect("reads");
    assert_eq!(verdict.outcome, Outcome::Failed);
    input.ended_by_us = Some(Outcome::Succeeded);
    assert_eq!(judge(&CODEX, &input).expect("reads").outcome, Outcome::Failed);
}

#[test]
fn the_answer_file_counts_only_where_the_events_have_no_message() {
    let from_file = judge_bytes(b"{\"type\":\"turn.completed\"}\n", Some("from the file"));
    assert_eq!((from_file.outcome, from_file.answer), (Outcome::Succeeded, text("from the file")));
    let from_events = judge_bytes(&stream("drop_ok"), Some("older"));
    assert_eq!(from_events.answer, text("recovered"));
    let overtaken = judge_bytes(&stream("note_empty"), Some("looking around"));
    assert_eq!(overtaken.outcome, Outcome::NoAnswer);
    let torn = judge_bytes(b"{\"type\":\"turn.started\"}\n{\"type\":\"turn.co", Some("older"));
    assert_eq!((torn.outcome, torn.answer), (Outcome::Failed, Answer::None));
}

#[test]
fn usage_is_the_last_one_and_unknown_lines_break_nothing() {
    let tools = Digest::read(&stream("tools")[..]).expect("reads");
    assert_eq!(tools.usage, Some(Usage { input: 250, cached: 20, output: 9, cost_usd: None }));
    let older = Digest::read(&stream("older")[..]).expect("reads");
    assert_eq!(older.usage, Some(Usage { input: 900, cached: 300, output: 40, cost_usd: None }));
    assert_eq!(older.thread_id.as_deref(), Some("01a1f90f-0000-7c61-b730-5ba00e4563e2"));
    assert_eq!((older.commands, older.edits), (1, 1));
    let ok = Digest::read(&stream("ok")[..]).expect("reads");
    assert_eq!((ok.commands, ok.edits), (2, 1));
    let latin = b"{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"\xe9t\xe9\"}}";
    let latin = Digest::read(&latin[..]).expect("reads");
    assert_eq!(latin.last_message.as_deref(), Some("\u{fffd}t\u{fffd}"));
}

#[test]
fn an_older_turn_that_failed_is_a_failure() {
    let verdict = judge_bytes(
        b"{\"id\":\"0\",\"msg\":{\"type\":\"error\",\"message\":\"no such model\"}}\n\
          {\"id\":\"0\",\"msg\":{\"type\":\"task_complete\",\"last_agent_message\":null}}\n",
        None,
    );
    assert_eq!(verdict.outcome, Outcome::Failed);
    assert_eq!(verdict.reason.as_deref(), Some("no such model"));
}

#[test]
fn errors_are_unwrapped_to_a_sentence() {
    for (message, sentence) in [
        ("{\"error\": {\"message\": \"no.\", \"code\": 1}}", "no"),
        ("{\"detail\":\"Bad  Request\"}", "Bad Request"),
        ("{\"error\":\"{\\\"message\\\":\\\"deep\\\"}\"}", "deep"),
        (
            "unexpected status 400: {\"error\":{\"message\":\"why\"}}, url: x",
            "unexpected status 400: why",
        ),
        ("Reconnecting... 2/5 (refused)", "refused"),
        ("{not json", "{not json"),
        ("{}", "{}"),
        ("two\nlines", "two lines"),
    ] {
        assert_eq!(super::stderr::unwrap(message), sentence, "{message}");
    }
}

#[test]
fn activity_is_the_last_thing_worth_telling() {
    let ok = String::from_utf8(stream("ok")).expect("text");
    let lines: Vec<&str> = ok.lines().collect();
    let root = Some(Path::new("/repo"));
    let after = |n: usize| activity(&CODEX, lines[..n].join("\n").as_bytes(), root);
    for (n, sentence) in [
        (1, "starting"),
        (2, "thinking"),
        (4, "looking around"),
        (5, "running echo hi; exit 3"),
        (6, "ran echo hi; exit 3 (exit 3)"),
        (7, "editing src/a.txt"),
        (8, "edited src/a.txt"),
        (9, "searching: rust cli"),
        (lines.len(), "All done: one file written."),
    ] {
        assert_eq!(after(n).as_deref(), Some(sentence), "{n}");
    }
    // A cut first line and a torn last one are passed over.
    let cut = &ok[20..lines[..5].join("\n").len() + 40];
    assert_eq!(activity(&CODEX, cut.as_bytes(), root).as_deref(), Some("running echo hi; exit 3"));
    let tools = String::from_utf8(stream("tools")).expect("text");
    let head = |n| tools.lines().take(n).collect::<Vec<_>>().join("\n");
    assert_eq!(
        activity(&CODEX, head(4).as_bytes(), None).as_deref(),
        Some("todo 1/3: write tests")
    );
    assert_eq!(activity(&CODEX, head(5).as_bytes(), None).as_deref(), Some("calling docs.lookup"));
    assert_eq!(activity(&CODEX, b"", None), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is cut off a stream, it is a success no more.
    #[test]
    fn a_truncated_stream_is_never_a_success(
        name in prop::sample::select(vec!["ok", "drop_ok", "background", "older", "rejected"]),
        cut in any::<prop::sample::Index>(),
    ) {
        let events = stream(name);
        let whole = events.trim_ascii_end().len();
        let verdict = judge_bytes(&events[..cut.index(whole)], Some("an answer"));
        prop_assert_ne!(verdict.outcome, Outcome::Succeeded);
    }

    /// Nothing that stands in a stream makes the parser panic.
    #[test]
    fn any_bytes_are_read(
        name in prop::sample::select(vec!["ok", "tools", "older", "sandbox_broken"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut events = stream(name);
        for (at, byte) in changes {
            let at = at.index(events.len());
            events[at] = byte;
        }
        let digest = Digest::read(&events[..]);
        prop_assert!(digest.is_ok());
        activity(&CODEX, &events, None);
        activity(&CODEX, &noise, None);
        activity(&SH, &noise, None);
        prop_assert!(Digest::read(&noise[..]).is_ok_and(|digest| !digest.turn_completed));
    }

    /// A stream of known events in any order is judged, and is a success only
    /// with a message and a completed turn.
    #[test]
    fn a_success_has_an_answer(picks in prop::collection::vec(any::<prop::sample::Index>(), 0..30)) {
        let mut lines = Vec::new();
        for name in ["ok", "tools", "older", "http_400", "sandbox_broken", "empty"] {
            let events = stream(name);
            lines.extend(events.split(|&b| b == b'\n').map(<[u8]>::to_vec));
        }
        let picked: Vec<_> = picks.iter().map(|pick| lines[pick.index(lines.len())].clone()).collect();
        let verdict = judge_bytes(&picked.join(&b'\n'), None);
        if verdict.outcome.is_success() {
            prop_assert!(matches!(verdict.answer, Answer::Text(text) if !text.trim().is_empty()));
            prop_assert!(verdict.reason.is_none());
        } else {
            prop_assert!(verdict.reason.is_some());
        }
    }
}
