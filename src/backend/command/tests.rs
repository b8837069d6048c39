//! Definitions as people write them, and what programs put out.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::super::{
    Answer, Backend, Family, JudgeInput, Launch, PromptError, Stdin, Verdict, activity,
    answers_on_stdout, check_prompt, define, has_events, hint, is_confined_by_us, judge, launch,
    own_places, render, testing,
};
use crate::document;
use crate::job::{Mode, Outcome, Usage, Usd, WorkerExit};

/// The definition `mine`, and the keys that do nothing.
fn read(text: &str) -> Result<(Backend, Vec<String>), String> {
    let text = format!("[backends.mine]\n{text}");
    let file = document::toml(&text).expect("TOML");
    let (key, node) = &file.of("backends").and_then(|all| all.map()).expect("tables")[0];
    let definition = define(key, node).map_err(|(line, what)| format!("{line}: {what}"))?;
    let unknown = definition.unknown.iter();
    let unknown = unknown
        .map(|one| format!("{} {} {}", one.line, one.key, one.nearest.as_deref().unwrap_or("-")));
    let family = Family::Command(Box::new(definition.command));
    Ok((Backend { name: definition.name, family }, unknown.collect()))
}

fn mine(text: &str) -> Backend {
    let (backend, unknown) = read(text).expect("a definition");
    assert_eq!(unknown, [""; 0]);
    backend
}

/// What it is started with.
fn launched(
    backend: &Backend,
    mode: Mode,
    of: impl Fn(&mut super::super::LaunchInput<'_>),
) -> Launch {
    let mut input = testing::input(backend, mode, Some(Path::new("/wt")));
    input.prompt = b"do $it\n";
    of(&mut input);
    launch(&input)
}

fn words(launch: &Launch) -> Vec<&str> {
    launch.args.iter().map(|arg| arg.to_str().expect("text")).collect()
}

/// The verdict on what it put out, with this exit code.
fn judged_with(
    backend: &Backend,
    (code, stdout, stderr): (i32, &str, &str),
    of: impl Fn(&mut JudgeInput<'_>),
) -> Verdict {
    let dir = tempfile::tempdir().expect("folder");
    let [out, err, answer] = ["out", "err", "answer"].map(|name| dir.path().join(name));
    fs::write(&out, stdout).expect("writes");
    fs::write(&err, stderr).expect("writes");
    let mut input = JudgeInput {
        exit: Some(WorkerExit::Code(code)),
        stdout: &out,
        stderr: &err,
        answer_file: Some(&answer),
        ended_by_us: None,
        expected_thread: None,
    };
    of(&mut input);
    judge(backend, &input).expect("reads")
}

fn judged(backend: &Backend, said: (i32, &str, &str)) -> Verdict {
    judged_with(backend, said, |_| {})
}

/// Its outcome and reason.
fn end(backend: &Backend, said: (i32, &str, &str)) -> (Outcome, String) {
    let verdict = judged(backend, said);
    (verdict.outcome, verdict.reason.unwrap_or_default())
}

#[test]
fn a_few_words_are_a_definition() {
    let backend = mine("argv = ['tool', '-x']");
    let launch = launched(&backend, Mode::Reader, |_| {});
    assert_eq!((words(&launch), &launch.stdin), (vec!["-x"], &Stdin::PromptFile));
    assert!(answers_on_stdout(&backend) && !has_events(&backend));
    let verdict = judged(&backend, (0, "Done.\n", ""));
    assert_eq!((verdict.outcome, verdict.answer), (Outcome::Succeeded, Answer::Stdout));
    assert_eq!(end(&backend, (0, " \n", "")).0, Outcome::NoAnswer);
    assert_eq!(
        end(&backend, (3, "half", "warning\nError: no such model.\n")),
        (Outcome::Failed, "no such model".to_owned())
    );
    assert_eq!(end(&backend, (3, "", "")).1, "mine ended with exit code 3");
    assert_eq!(end(&backend, (143, "", "")).0, Outcome::Killed);
    let killed = judged_with(&backend, (0, "x", ""), |input| {
        input.ended_by_us = Some(Outcome::TimedOut);
    });
    assert_eq!(killed.outcome, Outcome::TimedOut);
}

#[test]
fn arguments_come_in_their_order_and_are_filled_in_once() {
    let backend = mine(
        "argv = ['tool', 'run', '--dir={cwd}', '{\"a\":1}']\nprompt = ['-p', '<{prompt}>']\n\
         model-args = ['-m', '{model}']\nargs = ['--more']\n\
         reader = { args = ['--read', '{root}'], env = { MODE = 'r' } }\n\
         writer.args = '--write={mode}'\nenv = { A = '1' }\n\
         thread = { path = 'id', resume-args = ['--resume', '{thread}'] }\n\
         output = 'json'\nanswer.path = 'a'",
    );
    let launch = launched(&backend, Mode::Reader, |input| {
        input.model = Some("m{prompt}");
        input.prompt = b"{model} -x";
    });
    let expected = [
        "run",
        "--dir=/wt/sub",
        "{\"a\":1}",
        "--read",
        "/wt",
        "-m",
        "m{prompt}",
        "--more",
        "-p",
        "<{model} -x>",
    ];
    assert_eq!(words(&launch), expected);
    assert_eq!(launch.stdin, Stdin::Null);
    assert_eq!(launch.env, [("A", "1"), ("MODE", "r")].map(|(a, b)| (a.into(), b.into())));
    let launch = launched(&backend, Mode::Writer, |input| input.resume = Some("t-1"));
    assert_eq!(
        words(&launch),
        [
            "run",
            "--dir=/wt/sub",
            "{\"a\":1}",
            "--resume",
            "t-1",
            "--write=writer",
            "--more",
            "-p",
            "<do $it\n>"
        ]
    );
    assert_eq!(launch.thread.as_deref(), Some("t-1"));
}

#[test]
fn a_thread_can_be_named_by_us_and_taken_up_by_other_words() {
    let backend = mine(
        "argv = ['tool']\nprompt = ['--file={prompt-file}']\n[backends.mine.thread]\n\
         new-args = ['--id={thread}']\nresume-argv = ['tool', 'go-on', '{thread}']",
    );
    let launch = launched(&backend, Mode::Writer, |_| {});
    let id = "01234567-89ab-4c0d-8000-00000000cdef";
    assert_eq!(words(&launch), [&format!("--id={id}"), "--file=/jobs/1/prompt"]);
    assert_eq!(launch.thread.as_deref(), Some(id));
    let launch = launched(&backend, Mode::Writer, |input| input.resume = Some("t"));
    assert_eq!(words(&launch), ["go-on", "t", "--file=/jobs/1/prompt"]);
    // The program does not repeat it, and it is the job's all the same.
    let verdict = judged_with(&backend, (0, "x", ""), |input| input.expected_thread = Some(id));
    assert_eq!((verdict.outcome, verdict.thread_id.as_deref()), (Outcome::Succeeded, Some(id)));
}

#[test]
fn a_prompt_that_is_an_argument_has_its_limits() {
    let backend = mine("argv = ['tool']\nprompt = ['{prompt}']");
    assert_eq!(check_prompt(&backend, b"fix it"), Ok(()));
    assert_eq!(check_prompt(&backend, b" \n"), Err(PromptError::Empty));
    assert!(matches!(check_prompt(&backend, b"--yolo"), Err(PromptError::Option { .. })));
    assert!(matches!(
        check_prompt(&backend, b"a\0"),
        Err(PromptError::NulInArgument { at: 1, .. })
    ));
    let long = vec![b'x'; 128 << 10];
    assert!(matches!(check_prompt(&backend, &long), Err(PromptError::TooManyBytes { .. })));
    let ended = mine("argv = ['tool']\nprompt = ['--', '{prompt}']");
    assert_eq!(check_prompt(&ended, b"--yolo"), Ok(()));
    let stdin = mine("argv = ['tool']\nprompt-max = 10");
    assert_eq!(check_prompt(&stdin, b"-\0"), Ok(()));
    assert!(check_prompt(&stdin, &long).is_err());
}

#[test]
fn answers_of_every_kind() {
    let last = mine("argv = ['t']\nanswer.from = 'last-line'");
    let answer = |backend: &Backend, out: &str| judged(backend, (0, out, "")).answer;
    assert_eq!(answer(&last, "one\n\x20two \n\n"), Answer::Text("two".to_owned()));
    assert_eq!(answer(&last, "\n"), Answer::None);
    let document = mine("argv = ['t']\noutput = 'json'\nanswer.path = 'choices.0.text'");
    assert_eq!(
        answer(&document, "Loading...\n{\"choices\": [{\"text\":\n\"hi\"}]}\nbye\n"),
        Answer::Text("hi".to_owned())
    );
    assert_eq!(end(&document, (0, "no JSON", "")).1, "mine ended without a result");
    let file = mine("argv = ['t', '--out={answer-file}']\nanswer.from = 'file'");
    let launch = launched(&file, Mode::Writer, |_| {});
    assert_eq!(words(&launch), ["--out=/jobs/1/tmp/answer"]);
    assert_eq!(launch.answer_file.as_deref(), Some(Path::new("/jobs/1/tmp/answer")));
    assert_eq!(answer(&file, "noise"), Answer::None);
    let verdict = judged_with(&file, (0, "noise", ""), |input| {
        fs::write(input.answer_file.expect("a file"), "said").expect("writes");
    });
    assert_eq!(verdict.answer, Answer::Text("said".to_owned()));
}

/// A program with events of every kind.
const EVENTS: &str = "argv = ['t']\noutput = 'events'\nsuccess.where = { type = 'end', ok = true }
[backends.mine.answer]
where = { type = 'text' }
path = 'say'
take = 'join'
restart = { type = 'tool' }
[backends.mine.thread]
where = { type = 'start' }
path = 'id'
resume-args = '{thread}'
[backends.mine.usage]
where = { type = 'end' }
input = ['t.in', 't.cached']
cached = 't.cached'
output = 't.out'
cost-usd = 'usd'
sum = true
[backends.mine.failure]
where = { type = 'end', ok = false }
path = 'why'
[backends.mine.refusal]
where = { type = 'end' }
path = 'denied.0'
hint = 'allow it'
[backends.mine.rate-limit]
exit = 75
text = ['too many requests']
hint = 'wait'
[backends.mine.auth]
exit = [41, 42]
text = 'log in'
hint = 'sign in'
[backends.mine.turn-limit]
text = ['max turns']
[[backends.mine.show]]
where = { type = 'tool' }
text = 'runs {cmd}{nothing}'";

const START: &str = "{\"type\":\"start\",\"id\":\"t-1\"}\nnoise\n{\"type\":\"text\",\"say\":\"first\"}\n\
                     {\"type\":\"tool\",\"cmd\":\"ls /wt/a\"}\n{\"type\":\"text\",\"say\":\"do\"}\n{\"type\":\"text\",\"say\":\"ne\"}\n";

#[test]
fn events_say_answer_thread_and_usage() {
    let backend = mine(EVENTS);
    let end =
        "{\"type\":\"end\",\"ok\":true,\"t\":{\"in\":2,\"cached\":3,\"out\":4},\"usd\":0.25}\n";
    let verdict = judged(&backend, (0, &format!("{START}{end}{end}"), ""));
    assert_eq!((verdict.outcome, verdict.reason), (Outcome::Succeeded, None));
    assert_eq!(verdict.answer, Answer::Text("done".to_owned()));
    assert_eq!(verdict.thread_id.as_deref(), Some("t-1"));
    let cost_usd = Usd::from_dollars(0.5);
    assert_eq!(verdict.usage, Some(Usage { input: 10, cached: 6, output: 8, cost_usd }));
    // Every sign of success has to be there.
    let torn = judged(&backend, (0, START, ""));
    assert_eq!(torn.outcome, Outcome::Failed);
    assert_eq!(torn.reason.as_deref(), Some("mine ended without a result"));
    let other = judged_with(&backend, (0, &format!("{START}{end}"), ""), |input| {
        input.expected_thread = Some("t-2");
    });
    assert_eq!(other.reason.as_deref(), Some("mine answered in thread t-1 instead of t-2"));
    let silent = judged(&backend, (0, end, ""));
    assert_eq!((silent.outcome, silent.answer), (Outcome::NoAnswer, Answer::None));
}

#[test]
fn every_kind_of_failure_is_known_by_its_signs() {
    let backend = mine(EVENTS);
    let failed =
        |why: &str| format!("{START}{{\"type\":\"end\",\"ok\":false,\"why\":\"{why}\"}}\n");
    let said = |out: &str| end(&backend, (0, out, ""));
    assert_eq!(said(&failed("It broke.")), (Outcome::Failed, "It broke".to_owned()));
    assert_eq!(
        said(&failed("HTTP 429: Too Many Requests")),
        (Outcome::RateLimited, "HTTP 429: Too Many Requests".to_owned())
    );
    assert_eq!(said(&failed("reached max turns")).0, Outcome::TurnLimit);
    let (outcome, reason) = said(&failed("please log in"));
    assert_eq!(
        (outcome, reason.as_str()),
        (Outcome::Failed, "mine is not signed in: please log in")
    );
    assert_eq!(hint(&backend, &Outcome::Failed, &reason).as_deref(), Some("sign in"));
    assert_eq!(hint(&backend, &Outcome::Failed, "It broke"), None);
    assert_eq!(hint(&backend, &Outcome::RateLimited, "x").as_deref(), Some("wait"));
    // By the exit code alone, and by stderr.
    assert_eq!(end(&backend, (75, START, "")).0, Outcome::RateLimited);
    assert!(end(&backend, (42, "", "")).1.starts_with("mine is not signed in: "));
    assert_eq!(
        end(&backend, (1, "", "x\ntoo many requests, sorry\ny\n")).1,
        "too many requests, sorry"
    );
    // What the answer talks of is no sign of anything.
    let good =
        "{\"type\":\"text\",\"say\":\"too many requests\"}\n{\"type\":\"end\",\"ok\":true}\n";
    assert_eq!(said(good).0, Outcome::Succeeded);
    let denied = format!("{START}{{\"type\":\"end\",\"ok\":true,\"denied\":[\"bash\"]}}\n");
    assert_eq!(said(&denied), (Outcome::Denied, "mine was denied bash".to_owned()));
    let none = format!("{START}{{\"type\":\"end\",\"ok\":true,\"denied\":[]}}\n");
    assert_eq!(said(&none).0, Outcome::Succeeded);
}

#[test]
fn plain_words_can_be_a_failure_in_spite_of_the_exit_code() {
    let backend = mine("argv = ['t']\nfailure.text = '^api error'\nrate-limit.text = 'quota'");
    assert_eq!(end(&backend, (0, "API error: bad key\n", "")).1, "API error: bad key");
    assert_eq!(end(&backend, (0, "all\n", "api error: quota\n")).0, Outcome::RateLimited);
    assert_eq!(end(&backend, (0, "about quota\n", "")).0, Outcome::Succeeded);
}

#[test]
fn a_thread_can_stand_in_plain_words() {
    let backend =
        mine("argv = ['t']\nthread = { text = 'session: (\\S+)', resume-args = '{thread}' }");
    assert_eq!(
        judged(&backend, (0, "x", "session: a\nsession: b\n")).thread_id.as_deref(),
        Some("b")
    );
    assert_eq!(judged(&backend, (0, "session: c\n", "")).thread_id.as_deref(), Some("c"));
    assert_eq!(judged(&backend, (0, "x", "")).thread_id, None);
}

#[test]
fn what_it_does_is_shown() {
    let backend = mine(EVENTS);
    let root = Some(Path::new("/wt"));
    let shown: Vec<_> =
        START.lines().filter_map(|line| render(&backend, line.as_bytes(), root)).collect();
    assert_eq!(shown, ["noise", "first", "runs ls a", "do", "ne"]);
    let upto = |n: usize| START.lines().take(n).collect::<Vec<_>>().join("\n");
    assert_eq!(activity(&backend, upto(4).as_bytes(), root).as_deref(), Some("runs ls a"));
    assert_eq!(activity(&backend, upto(1).as_bytes(), root), None);
}

#[test]
fn a_reader_is_always_confined_and_a_writer_where_nobody_says_otherwise() {
    let backend = mine("argv = ['t']\nwrites = ['~/.tool', '/var/tool', 'relative', '/']");
    assert!(is_confined_by_us(&backend, Mode::Reader) && is_confined_by_us(&backend, Mode::Writer));
    let home = |name: &str| (name == "HOME").then(|| "/home/me".into());
    assert_eq!(own_places(&backend, home), [Path::new("/home/me/.tool"), Path::new("/var/tool")]);
    let free = mine("argv = ['t']\nwriter.confine = false");
    assert!(is_confined_by_us(&free, Mode::Reader) && !is_confined_by_us(&free, Mode::Writer));
    let (_, unknown) = read("argv = ['t']\nreader.confine = false").expect("reads");
    assert_eq!(unknown, ["3 backends.mine.reader.confine -"]);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, expected) in [
        ("", "1: 'backends.mine.argv' has to begin with a program"),
        ("argv = ['{cwd}/x']", "2: 'backends.mine.argv' has to begin with a program"),
        ("argv = [1]", "2: 'backends.mine.argv' is no list of texts"),
        (
            "argv = ['t', '{promt}']",
            "2: 'backends.mine.argv' has {promt} in it; there are {answer-file}, {cwd}, {root}, {tmp}, {id}, {mode}",
        ),
        (
            "argv = ['t']\nprompt = 'file'",
            "3: 'backends.mine.prompt' is neither \"stdin\" nor a list",
        ),
        ("argv = ['t']\nprompt = ['x']", "3: 'backends.mine.prompt' has neither {prompt} nor"),
        (
            "argv = ['t']\noutput = 'xml'",
            "3: 'backends.mine.output' is 'xml': write text or json or events",
        ),
        ("argv = ['t']\noutput = 'json'", "1: 'backends.mine.answer' has to say where"),
        ("argv = ['t']\nanswer.path = 'a'", "3: 'backends.mine.answer.path' is for JSON"),
        (
            "argv = ['t']\nanswer.from = 'file'",
            "3: 'backends.mine.answer' comes from a file, and no",
        ),
        ("argv = ['t']\nmodel = 'm'", "3: 'backends.mine.model' can be told to it only with"),
        ("argv = ['t']\nmodel-args = ['-m']", "3: 'backends.mine.model-args' has no {model} in it"),
        ("argv = ['t']\nreader = false\nwriter = false", "4: 'backends.mine.writer' is false, as"),
        ("argv = ['t']\nusage.input = 'x'", "1: 'backends.mine.output' is text, in which nothing"),
        ("argv = ['t']\nthread.text = 'x'", "3: 'backends.mine.thread.text' has no group (...)"),
        ("argv = ['t']\nthread.resume-args = 'x'", "3: 'backends.mine.thread.path' or 'text' or"),
        ("argv = ['t']\n\nauth.text = '('", "4: 'backends.mine.auth.text' is no pattern: "),
        ("argv = ['t']\nauth.exit = 'x'", "3: 'backends.mine.auth.exit' is no list of numbers"),
        ("argv = ['t']\nlike = 'codex'", "3: 'backends.mine.like' is no ready backend"),
        ("argv = ['t']\nshow = [{ where = {} }]", "3: 'backends.mine.show.text' is missing"),
        ("argv = ['t']\nenv = { 'A=B' = 'x' }", "3: 'backends.mine.env' is no table of variables"),
    ] {
        let said = read(text).expect_err(text);
        assert!(said.starts_with(expected), "{text}\n{said}\n{expected}");
    }
    let (_, unknown) = read("argv = ['t']\nprompts = 'x'\nauth.txt = 'x'").expect("reads");
    let expected = [
        "4 backends.mine.auth.txt backends.mine.auth.text",
        "3 backends.mine.prompts backends.mine.prompt",
    ];
    assert_eq!(unknown, expected);
    let file = document::toml("[backends.codex]\nargv = ['x']").expect("TOML");
    let (key, node) = &file.of("backends").and_then(|all| all.map()).expect("tables")[0];
    let (line, what) = define(key, node).expect_err("taken");
    assert_eq!(
        (line, what.as_str()),
        (1, "'backends.codex' has the name of a backend that is part of cx")
    );
}

#[test]
fn one_can_be_like_a_ready_one() {
    let backend = mine("like = 'gemini'\nmodel = 'flash'\nargs = ['--debug']");
    let launch = launched(&backend, Mode::Writer, |input| input.model = Some("flash"));
    let words = words(&launch);
    for word in ["--approval-mode=yolo", "--model=flash", "--debug", "--output-format=stream-json"]
    {
        assert!(words.contains(&word), "{word}: {words:?}");
    }
}

#[test]
fn a_definition_lies_with_the_job_as_it_is() {
    for backend in [mine(EVENTS), mine("like = 'goose'")] {
        let Family::Command(command) = &backend.family else { panic!("a command") };
        let json = serde_json::to_string(&backend.family).expect("writes");
        assert_eq!(serde_json::from_str::<Family>(&json).expect("reads"), backend.family);
        // One that an older cx has kept has fewer keys.
        let least: super::Command =
            serde_json::from_str("{\"argv\":[\"t\"],\"prompt\":\"stdin\"}").expect("reads");
        assert!(least.success.is_none() && command.success.is_some());
    }
}

proptest! {
    /// Whatever a program puts out, it is read, and noise is no success.
    #[test]
    fn noise_is_no_success(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
        let backend = mine(EVENTS);
        let dir = tempfile::tempdir().expect("folder");
        let out = dir.path().join("out");
        fs::write(&out, &noise).expect("writes");
        let input = JudgeInput {
            exit: Some(WorkerExit::Code(0)),
            stdout: &out,
            stderr: &out,
            answer_file: None,
            ended_by_us: None,
            expected_thread: None,
        };
        prop_assert_ne!(judge(&backend, &input).expect("reads").outcome, Outcome::Succeeded);
        let _ = activity(&backend, &noise, None);
        let _ = render(&backend, &noise, None);
    }
}
