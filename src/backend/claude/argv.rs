//! What claude is started with. The flags were run against Claude Code 2.1.329.
//!
//! Claude asks nobody here, so what it may do is decided before it starts. Its
//! own rules are not enough for that: `Bash(git log *)` allows `git log
//! --output=FILE`. So cx confines claude and, more tightly, the commands that it
//! runs; where it cannot, a reader gets no commands at all.
//!
//! With `-p` claude trusts the folder that it starts in: hooks in
//! `.claude/settings.json` and servers in `.mcp.json` would run unasked, outside
//! of any permission. `--setting-sources=user` leaves them out. `CLAUDE.md` goes
//! with them, and comes back by `--add-dir`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::{ArgError, Launch, LaunchInput, PromptError, Stdin, Tools, text};
use crate::job::{BackendName, Mode};

/// Claude reads at most 10 MB on its stdin.
const PROMPT_MAX: usize = 10_000_000;

/// The variable whose value claude puts before each command that it runs.
pub(in super::super) const PREFIX_VARIABLE: &str = "CLAUDE_CODE_SHELL_PREFIX";

/// What a claude has set for the commands that it runs, `cx spawn` among them.
/// A worker is no child of that session.
pub(in super::super) const ENV_REMOVE: [&str; 15] = [
    "AI_AGENT",
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
    "CLAUDE_CODE_MESSAGING_SOCKET",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_EFFORT",
    "CLAUDE_ENV_FILE",
    "CLAUDE_PID",
    "CLAUDE_PROJECT_DIR",
];

/// Variables of every worker: background commands would keep claude from ending,
/// and one worker must not renew the program of the others.
const ENV: [(&str, &str); 3] = [
    ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
    ("CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
];

/// Tools of a reader whose commands are confined, of one whose are not, and of
/// a writer. What is not among them is not offered, so that it is not denied.
const READER: &str = "Read,Grep,Glob,Bash";
const READER_WITHOUT_COMMANDS: &str = "Read,Grep,Glob";
const WRITER: &str = "Bash,Edit,Write,Read,Grep,Glob,NotebookEdit,Task";

/// Arguments that would undo what cx promises or relies on, and why they may not
/// stand in the configuration.
const RESERVED: [(&[&str], &str); 9] = [
    (
        &[
            "--permission-mode",
            "--dangerously-skip-permissions",
            "--allow-dangerously-skip-permissions",
            "--permission-prompt-tool",
            "--permission-prompts",
        ],
        "the job's mode chooses the permissions",
    ),
    (
        &["--setting-sources"],
        "it lets hooks and servers of the repository run outside of the job's confinement",
    ),
    (
        &["-w", "--worktree", "--tmux", "--cloud", "--teleport", "--environment"],
        "the job's worktree is the folder it works in",
    ),
    (
        &[
            "--session-id",
            "-r",
            "--resume",
            "-c",
            "--continue",
            "--fork-session",
            "--from-pr",
            "--no-session-persistence",
        ],
        "cx chooses the session",
    ),
    (&["--model"], "`claude.model` and `cx spawn -m` choose the model"),
    (
        &[
            "-p",
            "--print",
            "--output-format",
            "--input-format",
            "--verbose",
            "--replay-user-messages",
            "--include-partial-messages",
        ],
        "cx reads the events",
    ),
    (&["--bg", "--background", "--remote-control", "--ide"], "a job has no terminal"),
    (&["-h", "--help", "-v", "--version"], "nothing would run"),
    (&["-", "--"], "the prompt comes on stdin"),
];

pub(in super::super) fn check_prompt(prompt: &[u8]) -> Result<(), PromptError> {
    let name = BackendName::CLAUDE;
    let text = str::from_utf8(prompt)
        .map_err(|err| PromptError::NotUtf8 { at: err.valid_up_to(), name })?;
    if text.trim().is_empty() {
        return Err(PromptError::Empty);
    }
    if prompt.len() > PROMPT_MAX {
        return Err(PromptError::TooManyBytes { bytes: prompt.len(), max: PROMPT_MAX, name });
    }
    Ok(())
}

pub(in super::super) fn check_args(args: &[String]) -> Result<(), ArgError> {
    for arg in args {
        let flag = arg.split_once('=').map_or(arg.as_str(), |(flag, _)| flag);
        for (flags, why) in RESERVED {
            // `-r` and `-w` take their value without a space as well.
            let glued = |short: &&str| {
                short.len() == 2 && *short != "--" && arg.starts_with(*short) && arg != "-"
            };
            if flags.contains(&flag) || flags.iter().any(glued) {
                return Err(ArgError { arg: arg.clone(), name: BackendName::CLAUDE, why });
            }
        }
    }
    Ok(())
}

/// The folders of `--add-dir` among the configured arguments: what a writer may
/// write to besides its worktree.
pub(in super::super) fn more_folders(args: &[String]) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut taking = false;
    for arg in args {
        if let Some(folder) = arg.strip_prefix("--add-dir=") {
            folders.push(PathBuf::from(folder));
            taking = false;
        } else if arg == "--add-dir" {
            taking = true;
        } else if arg.starts_with('-') {
            taking = false;
        } else if taking {
            folders.push(PathBuf::from(arg));
        }
    }
    folders
}

/// Where claude itself writes: its login, its settings, its sessions.
pub(in super::super) fn own_places(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match (set("CLAUDE_CONFIG_DIR"), set("HOME")) {
        (Some(folder), _) => vec![folder],
        // It replaces `.claude.json` where it can, and writes into it where not.
        (None, Some(home)) => vec![home.join(".claude"), home.join(".claude.json")],
        (None, None) => Vec::new(),
    }
}

pub(in super::super) fn launch(input: &LaunchInput<'_>) -> Launch {
    let mut args: Vec<OsString> = Vec::with_capacity(24);
    let mut add = |words: &[&dyn AsRef<std::ffi::OsStr>]| {
        args.extend(words.iter().map(|word| word.as_ref().to_owned()));
    };
    add(&[&"-p", &"--output-format", &"stream-json", &"--verbose"]);
    let session = text::uuid(input.id);
    match input.resume {
        Some(thread) => add(&[&"--resume", &thread]),
        None => add(&[&"--session-id", &session]),
    }
    add(&[&"--setting-sources=user", &"--disable-slash-commands"]);
    let folder = |path: &Path| {
        let mut word = OsString::from("--add-dir=");
        word.push(path);
        word
    };
    add(&[&folder(input.root.unwrap_or(input.start))]);
    if input.root.is_some_and(|root| root != input.start) {
        add(&[&folder(input.start)]);
    }
    let (mode, tools) = match input.mode {
        Mode::Reader if input.commands_confined => ("dontAsk", READER),
        Mode::Reader => ("dontAsk", READER_WITHOUT_COMMANDS),
        Mode::Writer => ("acceptEdits", WRITER),
    };
    add(&[&"--permission-mode", &mode]);
    // Several words may follow these, so the value has to be part of the word.
    let server = input.tools.as_ref().and_then(Tools::command);
    let allowed = match &server {
        Some(_) => format!("{tools},mcp__{}", Tools::NAME),
        None => tools.to_owned(),
    };
    add(&[&format!("--tools={tools}"), &format!("--allowedTools={allowed}")]);
    if let Some((cx, args)) = server {
        let server = json!({ "type": "stdio", "command": cx, "args": args });
        add(&[&format!("--mcp-config={}", json!({ "mcpServers": { Tools::NAME: server } }))]);
    }
    if let Some(usd) = input.usd {
        add(&[&format!("--max-budget-usd={}", usd.dollars())]);
    }
    if let Some(model) = input.model {
        add(&[&"--model", &model]);
    }
    for arg in input.extra_args {
        add(&[arg]);
    }
    if let Some((_, text)) = input.schema {
        add(&[&format!("--json-schema={text}")]);
    }
    Launch {
        program: input.program.to_owned(),
        args,
        stdin: Stdin::PromptFile,
        env: ENV.map(|(name, value)| (name.into(), value.into())).to_vec(),
        answer_file: None,
        stdout_is_events: true,
        thread: Some(input.resume.map_or(session, str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::testing::{self, CLAUDE};

    fn input(mode: Mode, root: Option<&Path>) -> LaunchInput<'_> {
        testing::input(&CLAUDE, mode, root)
    }

    fn args(input: &LaunchInput<'_>) -> String {
        testing::args(&launch(input))
    }

    #[test]
    fn argv_of_readers_and_writers() {
        let wt = Some(Path::new("/wt"));
        let head = "-p --output-format stream-json --verbose --session-id \
                    01234567-89ab-8c0d-8000-00000000cdef --setting-sources=user \
                    --disable-slash-commands";
        assert_eq!(
            args(&input(Mode::Reader, wt)),
            format!(
                "{head} --add-dir=/wt --add-dir=/wt/sub --permission-mode dontAsk \
                 --tools=Read,Grep,Glob,Bash --allowedTools=Read,Grep,Glob,Bash"
            )
        );
        assert_eq!(
            args(&LaunchInput { commands_confined: false, ..input(Mode::Reader, None) }),
            format!(
                "{head} --add-dir=/wt/sub --permission-mode dontAsk --tools=Read,Grep,Glob \
                 --allowedTools=Read,Grep,Glob"
            )
        );
        let extra = ["--effort".to_owned(), "high".to_owned()];
        let tools = "Bash,Edit,Write,Read,Grep,Glob,NotebookEdit,Task";
        assert_eq!(
            args(&LaunchInput {
                model: Some("m"),
                extra_args: &extra,
                ..input(Mode::Writer, Some(Path::new("/wt/sub")))
            }),
            format!(
                "{head} --add-dir=/wt/sub --permission-mode acceptEdits --tools={tools} \
                 --allowedTools={tools} --model m --effort high"
            )
        );
    }

    #[test]
    fn our_own_tools_are_allowed() {
        let tools = Tools { cx: Path::new("/bin/cx"), dir: Path::new("/repo") };
        let given = args(&LaunchInput { tools: Some(tools), ..input(Mode::Reader, None) });
        let words = " --allowedTools=Read,Grep,Glob,Bash,mcp__cx --mcp-config={\"mcpServers\":\
                     {\"cx\":{\"type\":\"stdio\",\"command\":\"/bin/cx\",\
                     \"args\":[\"-C\",\"/repo\",\"mcp\",\"--worker\"]}}}";
        assert!(given.ends_with(words), "{given}");
    }

    #[test]
    fn a_session_is_taken_up_by_its_id() {
        let schema = Some((Path::new("/s"), "{\"type\":\"null\"}"));
        let shaped = args(&LaunchInput { schema, ..input(Mode::Reader, None) });
        assert!(shaped.ends_with(" --json-schema={\"type\":\"null\"}"), "{shaped}");
        let resumed = LaunchInput { resume: Some("a-b"), ..input(Mode::Writer, None) };
        assert!(args(&resumed).contains(" --resume a-b --setting-sources=user"));
        assert_eq!(launch(&resumed).thread.as_deref(), Some("a-b"));
        let fresh = launch(&input(Mode::Writer, None)).thread;
        assert_eq!(fresh.as_deref(), Some("01234567-89ab-8c0d-8000-00000000cdef"));
    }

    #[test]
    fn arguments_that_would_undo_the_mode_are_refused() {
        let check = |words: &[&str]| {
            check_args(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
        };
        for bad in [
            &["--dangerously-skip-permissions"][..],
            &["--permission-mode=bypassPermissions"],
            &["--permission-mode", "bypassPermissions"],
            &["--setting-sources", "user,project"],
            &["--resume", "x"],
            &["-rx"],
            &["-c"],
            &["-wname"],
            &["--model=x"],
            &["--output-format=text"],
            &["--bg"],
            &["--"],
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        let good = ["--effort", "high", "--max-turns=3", "--add-dir=/x", "--mcp-config", "m.json"];
        assert_eq!(check(&good), Ok(()));
    }

    #[test]
    fn more_folders_are_those_of_add_dir() {
        let words = ["--add-dir=/a b", "--add-dir", "/c", "/d", "--effort", "high", "--add-dir"];
        let folders = more_folders(&words.map(str::to_owned));
        assert_eq!(folders, ["/a b", "/c", "/d"].map(PathBuf::from));
    }

    #[test]
    fn claude_writes_where_it_is_configured() {
        let at = |config: Option<&str>, home: Option<&str>| {
            own_places(|name| {
                let value = if name == "HOME" { home } else { config };
                value.map(OsString::from)
            })
        };
        assert_eq!(at(Some("/c"), Some("/h")), [PathBuf::from("/c")]);
        let own = ["/h/.claude", "/h/.claude.json"].map(PathBuf::from);
        assert_eq!(at(Some(""), Some("/h")), own);
        assert!(at(None, None).is_empty());
    }

    #[test]
    fn prompts_that_claude_cannot_take() {
        assert_eq!(check_prompt("x".repeat(PROMPT_MAX).as_bytes()), Ok(()));
        assert!(check_prompt("x".repeat(PROMPT_MAX + 1).as_bytes()).is_err());
        let err = check_prompt(b"ab\xff").expect_err("no text");
        assert_eq!(
            err.to_string(),
            "the prompt is not valid UTF-8 (byte 2), and claude takes nothing else"
        );
        assert_eq!(check_prompt("\u{2003}\n".as_bytes()), Err(PromptError::Empty));
    }
}
