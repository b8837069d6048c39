//! Backends: argv in, events out.
//!
//! What is started for a job, and what its output means afterwards. No process
//! is started here and nothing is written: `process` runs a [`Launch`], and the
//! supervisor asks [`judge`] when it has ended. So a crash leaves nothing of
//! this module behind, and every rule is tested by calling it.
//!
//! A backend is a name and a [`Family`] with its definition. Each family is one
//! module with the same few functions; a new one is a variant of [`Family`] and an
//! arm in each `match` below.
//!
//! The rule that matters most: [`judge`] says [`Outcome::Succeeded`] only where
//! every sign of success is there. What is missing, torn or unknown is failure.

mod claude;
mod codex;
pub mod command;
mod error;
mod family;
pub mod http;
mod meter;
pub mod program;
mod ready;
mod refusal;
mod sh;
#[cfg(test)]
mod testing;
mod text;

pub use error::{ArgError, PromptError};
pub use family::{Backend, Family, KeptError};
pub(crate) use ready::define;
pub use ready::{ready, ready_names};

use std::ffi::OsString;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::job::{BackendName, Endpoint, Mode, Outcome, Usage, Usd, WorkerExit};
pub use meter::Meter;
pub use refusal::Refusal;

/// Everything that decides how a worker is started.
#[derive(Clone, Copy, Debug)]
pub struct LaunchInput<'a> {
    /// What it is.
    pub backend: &'a Backend,
    /// The job's 16 hexadecimal digits.
    pub id: &'a str,
    /// What [`program::locate`] found, or for `argv` the resolved first word.
    pub program: &'a Path,
    /// Reader or writer.
    pub mode: Mode,
    /// The folder in which the worker starts, absolute.
    pub start: &'a Path,
    /// The worktree or checkout that `start` lies in; none outside of a
    /// repository.
    pub root: Option<&'a Path>,
    /// The model, where one was chosen.
    pub model: Option<&'a str>,
    /// The file with the prompt as it is sent, absolute.
    pub prompt_file: &'a Path,
    /// What is in `prompt_file`. Only `sh` scripts look at it.
    pub prompt: &'a [u8],
    /// Whether there is something in `prompt` that nobody may see in a list of
    /// processes.
    pub prompt_is_secret: bool,
    /// Several words given to `sh`: run as they are, the first one being
    /// replaced by `program`. Empty for everything else.
    pub argv: &'a [OsString],
    /// Where a backend that can write its final message into a file does so.
    /// Must not exist yet: the folder is this job's own.
    pub answer_file: &'a Path,
    /// The job's folder for temporary files (`TMPDIR`), in which every worker can
    /// write; emptied once the job is over.
    pub tmp: &'a Path,
    /// Patterns of environment variables that the worker's commands must not
    /// see, such as `*TOKEN*`.
    pub exclude_env: &'a [String],
    /// More arguments from the configuration; see [`check_args`].
    pub extra_args: &'a [String],
    /// The thread that is to be taken up again, where there is one.
    pub resume: Option<&'a str>,
    /// Folders that a writer may write to besides its own.
    pub folders: &'a [PathBuf],
    /// The shape that the answer has to have: a file with a JSON schema, and what is in
    /// it. A backend that cannot take one is told in words, or not at all.
    pub schema: Option<(&'a Path, &'a str)>,
    /// Whether the commands that the program runs are confined by us, so that they
    /// need no other bounds; see [`command_prefix`].
    pub commands_confined: bool,
    /// Where an HTTP worker is.
    pub endpoint: Option<&'a Endpoint>,
    /// The file with the [token](http::authorization) for it, absolute.
    pub token_file: Option<&'a Path>,
    /// The job's role. Only an HTTP worker is told.
    pub agent: Option<&'a str>,
    /// The alias by which the role was asked for.
    pub alias: Option<&'a str>,
    /// What it may cost, where that is limited and the program can keep to it.
    pub usd: Option<Usd>,
    /// Our own tools for it; see [`takes_mcp`].
    pub tools: Option<Tools<'a>>,
}

/// The worker's face of `cx mcp`, which the worker's program starts.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// This very cx, absolute.
    pub cx: &'a Path,
    /// Where cx finds the job's state: a folder in which the worker cannot write, so that
    /// it cannot point to another one.
    pub dir: &'a Path,
}

impl Tools<'_> {
    /// What the server is called, and with it its tools.
    const NAME: &'static str = "cx";

    /// Variables that the server needs and a program may keep from it.
    const ENV: [&'static str; 7] = [
        "CX_JOB",
        "CX_JOB_ID",
        "CX_NAME",
        "CX_RUN",
        "GIT_CEILING_DIRECTORIES",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
    ];

    /// The whole command of the server; none where a path is no text.
    pub fn words(&self) -> Option<Vec<String>> {
        let (cx, args) = self.command()?;
        Some([cx].into_iter().chain(args).map(str::to_owned).collect())
    }

    /// The arguments of cx; none where a path is no text, which neither JSON nor TOML can have.
    fn command(&self) -> Option<(&str, [&str; 4])> {
        Some((self.cx.to_str()?, ["-C", self.dir.to_str()?, "mcp", "--worker"]))
    }
}

/// Whether a backend of this name can be given [`Tools`].
pub fn takes_mcp(name: BackendName) -> bool {
    [BackendName::CODEX, BackendName::CLAUDE].contains(&name)
}

/// The argument that limits the turns of a worker, where the backend has one.
pub fn max_turns(backend: &Backend, turns: NonZeroU32) -> Option<String> {
    match &backend.family {
        Family::Claude => Some(format!("--max-turns={turns}")),
        Family::Command(command) => command::max_turns(command, turns),
        Family::Codex | Family::Http | Family::Sh => None,
    }
}

/// A worker that is ready to be started, in [`LaunchInput::start`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments, without the program.
    pub args: Vec<OsString>,
    /// What it reads.
    pub stdin: Stdin,
    /// Variables to set on top of the job's environment.
    pub env: Vec<(OsString, OsString)>,
    /// The file that the worker writes its final message to, if it does.
    pub answer_file: Option<PathBuf>,
    /// Whether stdout is a stream of events rather than the message itself.
    pub stdout_is_events: bool,
    /// The thread that the program has to answer on, where it is chosen by us.
    pub thread: Option<String>,
}

/// What a worker's stdin is. Never a pipe: codex reads it to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// The file with the prompt.
    PromptFile,
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// `/dev/null`.
    Null,
}

/// A worker that has ended, and where its output lies.
#[derive(Clone, Debug)]
pub struct JudgeInput<'a> {
    /// How its process ended; none where that is not known (a lost job).
    pub exit: Option<WorkerExit>,
    /// Its stdout, in a file.
    pub stdout: &'a Path,
    /// Its stderr, in a file.
    pub stderr: &'a Path,
    /// [`Launch::answer_file`].
    pub answer_file: Option<&'a Path>,
    /// What the supervisor did to it: timed out, silent, killed, lost. Never
    /// success; it wins over everything that the worker says.
    pub ended_by_us: Option<Outcome>,
    /// The thread that had to be resumed.
    pub expected_thread: Option<&'a str>,
}

/// What a worker's end means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How the job ended.
    pub outcome: Outcome,
    /// Why it is no success: one sentence in one line, with no full stop. For a
    /// job that was ended by us it is the last error that the worker reported.
    pub reason: Option<String>,
    /// The final message, or what there is of it.
    pub answer: Answer,
    /// Tokens; see [`counts_whole_thread`].
    pub usage: Option<Usage>,
    /// Of a refusal for rate or quota: until when, where that was told apart from the
    /// sentence; see [`Refusal`].
    pub resets: Option<Timestamp>,
    /// The thread by which the work can be resumed.
    pub thread_id: Option<String>,
    /// What a reader of the result should know even of a success: commands that
    /// were refused, for example. Sentences, a few at most.
    pub notes: Vec<String>,
    /// A success in which no command was seen to run. codex leaves no event of
    /// a command that its sandbox stopped with "Permission denied", so the
    /// sandbox may have been broken: start [`sandbox_probe`], and if it fails
    /// the outcome is [`Outcome::SandboxBroken`].
    pub sandbox_unproven: bool,
}

/// A worker's final message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is none.
    None,
    /// This text.
    Text(String),
    /// All of stdout, byte for byte; possibly empty.
    Stdout,
}

/// Checks a prompt as it would be sent, before anything starts.
pub fn check_prompt(backend: &Backend, prompt: &[u8]) -> Result<(), PromptError> {
    match &backend.family {
        Family::Command(command) => command::check_prompt(backend.name, command, prompt),
        Family::Codex => codex::check_prompt(prompt),
        Family::Claude => claude::check_prompt(prompt),
        Family::Http => http::check_prompt(prompt),
        Family::Sh => sh::check_prompt(prompt),
    }
}

/// Checks arguments from the configuration: none may undo what cx promises
/// (readers only read) or what it relies on (events on stdout).
pub fn check_args(backend: &Backend, args: &[String]) -> Result<(), ArgError> {
    match &backend.family {
        Family::Codex => codex::check_args(args),
        Family::Claude => claude::check_args(args),
        Family::Http => http::check_args(args),
        Family::Sh => sh::check_args(args),
        // Its definition is the person's, or trusted, as a whole.
        Family::Command(_) => Ok(()),
    }
}

/// The program, arguments and files with which a worker starts.
pub fn launch(input: &LaunchInput<'_>) -> Launch {
    match &input.backend.family {
        Family::Codex => codex::launch(input),
        Family::Claude => claude::launch(input),
        Family::Http => http::launch(input),
        Family::Sh => sh::launch(input),
        Family::Command(command) => command::launch(command, input),
    }
}

/// The backend's own check that its sandbox can start: exit code 0 means yes.
/// To be run in the job's start folder, with its environment; takes about 40 ms.
pub fn sandbox_probe(backend: &Backend, program: &Path) -> Option<Launch> {
    match &backend.family {
        Family::Codex => Some(codex::sandbox_probe(program)),
        Family::Claude | Family::Http | Family::Sh | Family::Command(_) => None,
    }
}

/// The variable that makes the backend's program put a word or two before each
/// command that it runs, if it has one. So they can be confined more tightly
/// than the program itself.
pub fn command_prefix(backend: &Backend) -> Option<&'static str> {
    match &backend.family {
        Family::Claude => Some(claude::PREFIX_VARIABLE),
        Family::Codex | Family::Http | Family::Sh | Family::Command(_) => None,
    }
}

/// Whether it is up to us to keep the program, and the commands that it runs,
/// from writing where a job of this mode must not.
pub fn is_confined_by_us(backend: &Backend, mode: Mode) -> bool {
    match (&backend.family, mode) {
        // A reader only reads, whatever a definition says.
        (Family::Claude, _) | (Family::Sh | Family::Command(_), Mode::Reader) => true,
        (Family::Codex | Family::Http, _) | (Family::Sh, Mode::Writer) => false,
        (Family::Command(command), Mode::Writer) => {
            command.writer.as_ref().is_none_or(|writer| !writer.unconfined)
        }
    }
}

/// Where the program itself has to write, besides its job's places: its login,
/// its sessions; the first one is a folder. `variable` reads the environment.
pub fn own_places(backend: &Backend, variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    match &backend.family {
        Family::Claude => claude::own_places(variable),
        Family::Command(command) => command::own_places(command, variable),
        Family::Codex | Family::Http | Family::Sh => Vec::new(),
    }
}

/// The folders that configured arguments let a writer write to as well.
pub fn more_folders(backend: &Backend, args: &[String]) -> Vec<PathBuf> {
    match &backend.family {
        Family::Claude => claude::more_folders(args),
        Family::Codex | Family::Http | Family::Sh | Family::Command(_) => Vec::new(),
    }
}

/// Whether a job's conversation can be taken up again.
pub fn has_threads(backend: &Backend) -> bool {
    match &backend.family {
        Family::Codex | Family::Claude => true,
        Family::Http | Family::Sh => false,
        Family::Command(command) => command.has_threads(),
    }
}

/// Whether it can do jobs of this mode.
pub fn can(backend: &Backend, mode: Mode) -> bool {
    match &backend.family {
        Family::Codex | Family::Claude | Family::Sh => true,
        Family::Http => mode == Mode::Reader,
        Family::Command(command) => command.mode(mode).is_some(),
    }
}

/// Whether it can be told which model to use.
pub fn takes_model(backend: &Backend) -> bool {
    match &backend.family {
        Family::Codex | Family::Claude => true,
        Family::Http | Family::Sh => false,
        Family::Command(command) => !command.model_args.is_empty(),
    }
}

/// Whether it says what it used.
pub fn tells_usage(backend: &Backend) -> bool {
    match &backend.family {
        Family::Codex | Family::Claude | Family::Http => true,
        Family::Sh => false,
        Family::Command(command) => command.usage.is_some(),
    }
}

/// Whether [`Verdict::usage`] is that of the whole thread, and not of the job.
pub fn counts_whole_thread(backend: &Backend) -> bool {
    match &backend.family {
        Family::Codex => true,
        Family::Claude | Family::Http | Family::Sh => false,
        Family::Command(command) => command.usage.as_ref().is_some_and(|usage| usage.whole_thread),
    }
}

/// Whether what its program puts out says where a turn begins, so that those of several
/// can stand in one file. Of a program that is defined by a table nobody knows.
pub fn says_when_it_begins(backend: &Backend) -> bool {
    !matches!(backend.family, Family::Command(_))
}

/// Whether its program tells what it costs.
pub fn tells_cost(backend: &Backend) -> bool {
    match &backend.family {
        Family::Claude => true,
        Family::Codex | Family::Http | Family::Sh => false,
        Family::Command(command) => {
            command.usage.as_ref().is_some_and(|usage| !usage.cost_usd.is_empty())
        }
    }
}

/// Variables that its worker must not inherit.
pub fn env_remove(backend: &Backend) -> Vec<String> {
    match &backend.family {
        Family::Claude => claude::ENV_REMOVE.map(str::to_owned).to_vec(),
        Family::Http => http::ENV_REMOVE.map(str::to_owned).to_vec(),
        Family::Codex | Family::Sh => Vec::new(),
        Family::Command(command) => command.env_remove.clone(),
    }
}

/// Folders that the backend's sandbox may make in the folders that a worker can
/// write to, and leave there empty.
pub fn litter(backend: &Backend) -> &'static [&'static str] {
    match &backend.family {
        Family::Codex => &[".agents", ".aws", ".codex", ".git"],
        Family::Claude | Family::Http | Family::Sh | Family::Command(_) => &[],
    }
}

/// What a worker last did, in one short line, from the end of its stdout. The
/// first line of `tail` may be cut. Paths are shown relative to `root`.
pub fn activity(backend: &Backend, tail: &[u8], root: Option<&Path>) -> Option<String> {
    match &backend.family {
        Family::Codex => codex::activity(tail, root),
        Family::Claude => claude::activity(tail, root),
        Family::Http => http::activity(tail),
        Family::Sh => sh::activity(tail),
        Family::Command(command) => command::activity(command, tail, root),
    }
}

/// Whether a worker's stdout is a stream of events, a line each, rather than
/// plain output.
pub fn has_events(backend: &Backend) -> bool {
    match &backend.family {
        Family::Codex | Family::Claude | Family::Http => true,
        Family::Sh => false,
        Family::Command(command) => command.output == command::Output::Events,
    }
}

/// Whether a job's final message is what it put out on stdout, rather than a part
/// of it or something else.
pub fn answers_on_stdout(backend: &Backend) -> bool {
    match &backend.family {
        Family::Codex | Family::Claude | Family::Http => false,
        Family::Sh => true,
        Family::Command(command) => command.answer.from == command::AnswerFrom::Stdout,
    }
}

/// A line of a worker's stdout as people read it; `None` where it tells them
/// nothing. Only for backends that have events.
pub fn render(backend: &Backend, line: &[u8], root: Option<&Path>) -> Option<String> {
    match &backend.family {
        Family::Codex => codex::render(line, root),
        Family::Claude => claude::render(line, root),
        Family::Http => http::render(line),
        Family::Sh => Some(String::from_utf8_lossy(line).into_owned()),
        Family::Command(command) => command::render(command, line, root),
    }
}

/// How a job ended, from its worker's exit and output. Reads the files in one
/// pass and constant memory. An error means that a file could not be read; one
/// that does not exist counts as empty.
pub fn judge(backend: &Backend, input: &JudgeInput<'_>) -> io::Result<Verdict> {
    match &backend.family {
        Family::Codex => codex::judge(input),
        Family::Claude => claude::judge(input),
        Family::Http => http::judge(input),
        Family::Sh => sh::judge(input),
        Family::Command(command) => command::judge(backend.name, command, input),
    }
}

/// What a person does next about a job that ended like this, where the reason
/// alone does not tell.
pub fn hint(backend: &Backend, outcome: &Outcome, reason: &str) -> Option<String> {
    match &backend.family {
        Family::Codex => codex::hint(outcome, reason).map(str::to_owned),
        Family::Claude => claude::hint(outcome, reason).map(str::to_owned),
        Family::Http => http::hint(reason).map(str::to_owned),
        Family::Sh => None,
        Family::Command(command) => command::hint(command, outcome, reason),
    }
}

/// The last `max` bytes of a file, for [`activity`]; none of one that does not
/// exist.
pub fn tail(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    text::tail(path, max)
}

impl Verdict {
    /// What there is to say of a worker that never ran.
    pub fn nothing() -> Self {
        Self {
            outcome: Outcome::NotStarted,
            reason: None,
            answer: Answer::None,
            usage: None,
            resets: None,
            thread_id: None,
            notes: Vec::new(),
            sandbox_unproven: false,
        }
    }

    /// The same after [`sandbox_probe`] failed; `said` is what it wrote to
    /// stderr, possibly nothing.
    #[must_use]
    pub fn with_broken_sandbox(mut self, said: &[u8]) -> Self {
        self.outcome = Outcome::SandboxBroken;
        self.reason = Some(sandbox_reason(said));
        self.sandbox_unproven = false;
        self
    }
}

/// Why nothing ran, with the words of the sandbox where it had any.
fn sandbox_reason(said: &[u8]) -> String {
    let reason = "codex could not start its sandbox, so no command ran";
    match text::one_line(said, 200).as_str() {
        "" => reason.to_owned(),
        said => format!("{reason}: {said}"),
    }
}

impl JudgeInput<'_> {
    /// What ended the worker from outside: us, a signal, or something unknown.
    fn interruption(&self) -> Option<(Outcome, Option<String>)> {
        if let Some(outcome) = self.ended_by_us.as_ref().filter(|outcome| !outcome.is_success()) {
            return Some((outcome.clone(), None));
        }
        match self.exit {
            None => Some((Outcome::Lost, Some("how it ended is not known".to_owned()))),
            Some(WorkerExit::Signal(signal)) => {
                Some((Outcome::Killed, Some(format!("ended by signal {signal}"))))
            }
            Some(WorkerExit::Code(_)) => None,
        }
    }
}
