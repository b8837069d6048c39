//! What the tests of all backends start from: streams of the real programs in
//! `tests/fixtures/BACKEND/`, and a job to launch.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{JudgeInput, Launch, LaunchInput, Stdin, Verdict, judge};
use crate::job::{BackendKind, Mode, Outcome, WorkerExit};

/// A file of a backend's fixtures.
pub(super) fn fixture(kind: BackendKind, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind.as_str()).join(name)
}

/// What the program put out.
pub(super) fn stream(kind: BackendKind, name: &str) -> Vec<u8> {
    fs::read(fixture(kind, &format!("{name}.jsonl"))).expect("a fixture")
}

/// The verdict on a fixture, with its own exit code (0 if it has none).
pub(super) fn judged(
    kind: BackendKind,
    name: &str,
    ended_by_us: Option<Outcome>,
    expected_thread: Option<&str>,
) -> Verdict {
    let code = fs::read_to_string(fixture(kind, &format!("{name}.exit")))
        .map_or(0, |code| code.trim().parse().expect("a number"));
    judge(
        kind,
        &JudgeInput {
            exit: Some(WorkerExit::Code(code)),
            stdout: &fixture(kind, &format!("{name}.jsonl")),
            stderr: &fixture(kind, &format!("{name}.stderr")),
            answer_file: None,
            ended_by_us,
            expected_thread,
        },
    )
    .expect("reads")
}

/// A job in `/wt/sub` that nothing is said of.
pub(super) fn input(kind: BackendKind, mode: Mode, root: Option<&Path>) -> LaunchInput<'_> {
    LaunchInput {
        kind,
        id: "0123456789abcdef",
        program: Path::new("/bin/program"),
        mode,
        start: Path::new("/wt/sub"),
        root,
        model: None,
        prompt_file: Path::new("/jobs/1/prompt"),
        prompt: b"",
        prompt_is_secret: false,
        argv: &[],
        answer_file: Path::new("/jobs/1/last"),
        exclude_env: &[],
        extra_args: &[],
        resume: None,
        commands_confined: kind == BackendKind::Claude,
    }
}

/// The arguments, in one line. A model is told by stdin, and answers in events.
pub(super) fn args(launch: &Launch) -> String {
    assert_eq!(launch.stdin, Stdin::PromptFile);
    assert!(launch.stdout_is_events);
    launch.args.iter().map(|arg| arg.to_str().expect("text")).collect::<Vec<_>>().join(" ")
}
