//! What codex is started with. The flags were run against codex-cli 0.169.0.

use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;

use super::super::{ArgError, Launch, LaunchInput, PromptError, Stdin, Tools};
use crate::job::{BackendName, Mode};

/// Most characters that codex reads from its stdin.
const PROMPT_MAX: usize = 1_048_576;

/// Arguments that would undo what cx promises or relies on, and why they may not
/// stand in the configuration. `--dangerously-bypass-...` wins over `-s read-only`.
const RESERVED: [(&[&str], &str); 7] = [
    (
        &[
            "-s",
            "--sandbox",
            "--dangerously-bypass-approvals-and-sandbox",
            "--yolo",
            "--approve-for-me",
        ],
        "the job's mode chooses the sandbox",
    ),
    (&["-C", "--cd", "--worktree"], "the job's worktree is the folder it works in"),
    (&["-m", "--model"], "`codex.model` and `cx spawn -m` choose the model"),
    (
        &["--trust", "--dangerously-bypass-hook-trust"],
        "it lets commands of the repository run outside of the sandbox",
    ),
    (&["--json", "--color"], "cx reads the events"),
    (&["-o", "--output-last-message"], "cx reads the final message"),
    (&["-", "--"], "the prompt comes on stdin"),
];

pub(in super::super) fn check_prompt(prompt: &[u8]) -> Result<(), PromptError> {
    let text = str::from_utf8(prompt)
        .map_err(|err| PromptError::NotUtf8 { at: err.valid_up_to(), name: BackendName::CODEX })?;
    if text.trim().is_empty() {
        return Err(PromptError::Empty);
    }
    let chars = text.chars().count();
    if chars > PROMPT_MAX {
        return Err(PromptError::TooLong { chars, max: PROMPT_MAX });
    }
    Ok(())
}

pub(in super::super) fn check_args(args: &[String]) -> Result<(), ArgError> {
    for arg in args {
        let flag = arg.split_once('=').map_or(arg.as_str(), |(flag, _)| flag);
        for (flags, why) in RESERVED {
            // Short options take their value without a space as well: -sread-only.
            let glued =
                |short: &&str| short.len() == 2 && *short != "--" && flag.starts_with(*short);
            if flags.contains(&flag) || flags.iter().any(glued) {
                return Err(ArgError { arg: arg.clone(), name: BackendName::CODEX, why });
            }
        }
        // `-c sandbox_mode=...`, in one word or as the word after `-c`. `-s` wins
        // over it, so that it would do nothing without a word.
        let setting = arg.strip_prefix("--config").or(arg.strip_prefix("-c")).unwrap_or(arg);
        if setting.trim_start_matches(['=', ' ']).starts_with("sandbox_mode") {
            let why = "the job's mode chooses the sandbox";
            return Err(ArgError { arg: arg.clone(), name: BackendName::CODEX, why });
        }
    }
    Ok(())
}

pub(in super::super) fn launch(input: &LaunchInput<'_>) -> Launch {
    let mut args: Vec<OsString> = Vec::with_capacity(32);
    let mut add = |words: &[&dyn AsRef<std::ffi::OsStr>]| {
        args.extend(words.iter().map(|word| word.as_ref().to_owned()));
    };
    let sandbox = match input.mode {
        Mode::Reader => "read-only",
        Mode::Writer => "workspace-write",
    };
    add(&[&"exec", &"--json", &"--color", &"never", &"-s", &sandbox, &"-C", &input.start]);
    match input.root {
        // Only the folder named by -C is writable, and a writer owns all of its
        // worktree. `.git` stays read-only in both.
        Some(root) if input.mode == Mode::Writer && root != input.start => {
            add(&[&"--add-dir", &root]);
        }
        Some(_) => {}
        None => add(&[&"--skip-git-repo-check"]),
    }
    for folder in input.folders {
        add(&[&"--add-dir", folder]);
    }
    // The job has a TMPDIR of its own, which stays writable.
    add(&[&"-c", &"sandbox_workspace_write.exclude_slash_tmp=true"]);
    if !input.exclude_env.is_empty() {
        // A JSON array of strings is a TOML array of strings as well.
        let patterns = Value::from(input.exclude_env.to_vec());
        add(&[&"-c", &format!("shell_environment_policy.exclude={patterns}")]);
    }
    // Without it codex tries for ever to reach a service that is not there.
    add(&[&"--disable", &"unbounded_connection_retries"]);
    if let Some(model) = input.model {
        add(&[&"-m", &model]);
    }
    if let Some((cx, args)) = input.tools.as_ref().and_then(Tools::command) {
        // JSON's strings and arrays are TOML's as well. Without the approval codex, which
        // asks nobody here, would refuse every call.
        let (cx, args) = (Value::from(cx), Value::from(args.as_slice()));
        let (name, env) = (Tools::NAME, Value::from(Tools::ENV.as_slice()));
        add(&[
            &"-c",
            &format!(
                "mcp_servers.{name}={{command={cx},args={args},env_vars={env},default_tools_approval_mode=\"approve\"}}"
            ),
        ]);
    }
    for arg in input.extra_args {
        add(&[arg]);
    }
    if let Some((file, _)) = input.schema {
        add(&[&"--output-schema", &file]);
    }
    add(&[&"-o", &input.answer_file]);
    if let Some(thread) = input.resume {
        // All options have to come before it.
        add(&[&"resume", &thread]);
    }
    add(&[&"-"]);
    Launch {
        program: input.program.to_owned(),
        args,
        stdin: Stdin::PromptFile,
        env: Vec::new(),
        answer_file: Some(input.answer_file.to_owned()),
        stdout_is_events: true,
        thread: input.resume.map(str::to_owned),
    }
}

/// `codex sandbox -- /bin/true`: 0 where commands can run, 1 where not.
pub(in super::super) fn sandbox_probe(program: &Path) -> Launch {
    Launch {
        program: program.to_owned(),
        args: ["sandbox", "--", "/bin/true"].map(OsString::from).to_vec(),
        stdin: Stdin::Null,
        env: Vec::new(),
        answer_file: None,
        stdout_is_events: false,
        thread: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::testing::{self, CODEX};

    fn input(mode: Mode, root: Option<&Path>) -> LaunchInput<'_> {
        testing::input(&CODEX, mode, root)
    }

    fn args(input: &LaunchInput<'_>) -> String {
        testing::args(&launch(input))
    }

    #[test]
    fn argv_of_readers_and_writers() {
        let wt = Some(Path::new("/wt"));
        let flags = "-c sandbox_workspace_write.exclude_slash_tmp=true --disable \
                 unbounded_connection_retries";
        let end = "-o /jobs/1/last -";
        assert_eq!(
            args(&input(Mode::Reader, wt)),
            format!("exec --json --color never -s read-only -C /wt/sub {flags} {end}")
        );
        assert_eq!(
            args(&input(Mode::Reader, None)),
            format!(
                "exec --json --color never -s read-only -C /wt/sub --skip-git-repo-check {flags} {end}"
            )
        );
        assert_eq!(
            args(&input(Mode::Writer, wt)),
            format!(
                "exec --json --color never -s workspace-write -C /wt/sub --add-dir /wt {flags} {end}"
            )
        );
        let schema = Some((Path::new("/jobs/1/schema.json"), "{}"));
        let shaped = args(&LaunchInput { schema, ..input(Mode::Reader, wt) });
        assert!(shaped.ends_with(" --output-schema /jobs/1/schema.json -o /jobs/1/last -"));
        let resumed = LaunchInput { resume: Some("u-u"), ..input(Mode::Reader, wt) };
        assert!(args(&resumed).ends_with(" -o /jobs/1/last resume u-u -"));
        assert_eq!(launch(&resumed).thread.as_deref(), Some("u-u"));
        let at_top = input(Mode::Writer, Some(Path::new("/wt/sub")));
        let patterns = ["*KEY*".to_owned(), "a\"b".to_owned()];
        let extra = ["-c".to_owned(), "model_reasoning_effort=\"high\"".to_owned()];
        let full =
            LaunchInput { model: Some("m"), exclude_env: &patterns, extra_args: &extra, ..at_top };
        assert_eq!(
            args(&full),
            "exec --json --color never -s workspace-write -C /wt/sub -c \
         sandbox_workspace_write.exclude_slash_tmp=true -c \
         shell_environment_policy.exclude=[\"*KEY*\",\"a\\\"b\"] --disable \
         unbounded_connection_retries -m m -c model_reasoning_effort=\"high\" -o /jobs/1/last -"
        );
    }

    #[test]
    fn our_own_tools_are_approved_and_know_their_job() {
        let tools = Tools { cx: Path::new("/bin/c x"), dir: Path::new("/re\"po") };
        let given = args(&LaunchInput { tools: Some(tools), ..input(Mode::Reader, None) });
        let config = "-c mcp_servers.cx={command=\"/bin/c x\",\
                      args=[\"-C\",\"/re\\\"po\",\"mcp\",\"--worker\"],\
                      env_vars=[\"CX_JOB\",\"CX_JOB_ID\",\"CX_NAME\",\"CX_RUN\",";
        assert!(given.contains(config), "{given}");
        assert!(given.contains("],default_tools_approval_mode=\"approve\"} "), "{given}");
    }

    #[test]
    fn arguments_that_would_undo_the_mode_are_refused() {
        let check = |words: &[&str]| {
            check_args(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
        };
        for bad in [
            &["--dangerously-bypass-approvals-and-sandbox"][..],
            &["-s", "danger-full-access"],
            &["-sdanger-full-access"],
            &["--sandbox=danger-full-access"],
            &["-c", "sandbox_mode=\"danger-full-access\""],
            &["-csandbox_mode=x"],
            &["-c=sandbox_mode=x"],
            &["-mx"],
            &["--model=x"],
            &["--trust"],
            &["--config=sandbox_mode=x"],
            &["-C/"],
            &["-o", "x"],
            &["-"],
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        let good = [
            "-c",
            "model_reasoning_effort=high",
            "-p",
            "fast",
            "--strict-config",
            "--oss",
            "-i",
            "x",
        ];
        assert_eq!(check(&good), Ok(()));
        let err = check(&["-s"]).expect_err("refused");
        assert_eq!(
            err.to_string(),
            "'-s' may not be among the arguments for codex: the job's mode chooses the sandbox"
        );
    }

    #[test]
    fn prompts_that_codex_cannot_take() {
        let max = 1_048_576;
        assert_eq!(check_prompt("ü".repeat(max).as_bytes()), Ok(()));
        assert_eq!(
            check_prompt("x".repeat(max + 1).as_bytes()),
            Err(PromptError::TooLong { chars: max + 1, max })
        );
        assert_eq!(
            check_prompt(b"ab\xff"),
            Err(PromptError::NotUtf8 { at: 2, name: BackendName::CODEX })
        );
        assert_eq!(check_prompt("\u{2003}\n".as_bytes()), Err(PromptError::Empty));
        assert_eq!(check_prompt(b"-x $HOME `id` '\""), Ok(()));
    }
}
