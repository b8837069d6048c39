//! What the tests of all backends start from: streams of the real programs in
//! `tests/fixtures/BACKEND/`, and a job to launch.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Backend, JudgeInput, Launch, LaunchInput, Stdin, Verdict, judge};
use crate::job::{BackendName, Mode, Outcome, WorkerExit};

pub(super) static CODEX: Backend = Backend::CODEX;
pub(super) static CLAUDE: Backend = Backend::CLAUDE;
pub(super) static SH: Backend = Backend::SH;

/// A file of a backend's fixtures.
pub(super) fn fixture(backend: &Backend, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(backend.name.as_str())
        .join(name)
}

/// What the program put out.
pub(super) fn stream(backend: &Backend, name: &str) -> Vec<u8> {
    fs::read(fixture(backend, &format!("{name}.jsonl"))).expect("a fixture")
}

/// The verdict on a fixture, with its own exit code (0 if it has none).
pub(super) fn judged(
    backend: &Backend,
    name: &str,
    ended_by_us: Option<Outcome>,
    expected_thread: Option<&str>,
) -> Verdict {
    let code = fs::read_to_string(fixture(backend, &format!("{name}.exit")))
        .map_or(0, |code| code.trim().parse().expect("a number"));
    judge(
        backend,
        &JudgeInput {
            exit: Some(WorkerExit::Code(code)),
            stdout: &fixture(backend, &format!("{name}.jsonl")),
            stderr: &fixture(backend, &format!("{name}.stderr")),
            answer_file: None,
            ended_by_us,
            expected_thread,
        },
    )
    .expect("reads")
}

/// A job in `/wt/sub` that nothing is said of.
pub(super) fn input<'a>(
    backend: &'a Backend,
    mode: Mode,
    root: Option<&'a Path>,
) -> LaunchInput<'a> {
    LaunchInput {
        backend,
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
        tmp: Path::new("/jobs/1/tmp"),
        exclude_env: &[],
        extra_args: &[],
        resume: None,
        schema: None,
        folders: &[],
        commands_confined: backend.name == BackendName::CLAUDE,
        endpoint: None,
        token_file: None,
        agent: None,
        tools: None,
        alias: None,
        usd: None,
    }
}

/// The arguments, in one line. A model is told by stdin, and answers in events.
pub(super) fn args(launch: &Launch) -> String {
    assert_eq!(launch.stdin, Stdin::PromptFile);
    assert!(launch.stdout_is_events);
    launch.args.iter().map(|arg| arg.to_str().expect("text")).collect::<Vec<_>>().join(" ")
}
