//! The `sh` backend: a script for the shell, or an argv that runs as it is.
//!
//! A script is the text of `sh -c -- SCRIPT sh`: `$0` is `sh`, there are no
//! positional parameters, and a leading `-` is part of the script. Linux takes no
//! argument of 128 KiB or more; a longer script, or one with a secret in it, which
//! all users could read among the arguments, is sourced from the prompt file
//! (`sh -c -- ". 'FILE'" sh`), which keeps `$0` and `$#` as they are otherwise.
//!
//! The exit code alone decides, and stdout is the message.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use super::{Answer, ArgError, JudgeInput, Launch, LaunchInput, PromptError, Stdin, Verdict, text};
use crate::job::{BackendName, Outcome, WorkerExit};

/// Linux's MAX_ARG_STRLEN, the NUL at the end included: 32 pages.
const ARG_MAX: usize = 128 * 1024;

/// Longest line that is shown, in characters; listings cut it further.
const LINE_MAX: usize = 300;

/// How much of the end of stderr is looked at, in bytes.
const STDERR_MAX: u64 = 64 << 10;

pub(super) fn check_prompt(prompt: &[u8]) -> Result<(), PromptError> {
    if let Some(at) = prompt.iter().position(|&b| b == 0) {
        return Err(PromptError::Nul { at });
    }
    if prompt.trim_ascii().is_empty() {
        return Err(PromptError::Empty);
    }
    Ok(())
}

pub(super) fn check_args(args: &[String]) -> Result<(), ArgError> {
    ArgError::of_any(args, BackendName::SH, "a script or an argv runs as it is")
}

pub(super) fn launch(input: &LaunchInput<'_>) -> Launch {
    let args = if let [_, rest @ ..] = input.argv {
        rest.to_vec()
    } else {
        let script = if input.prompt.len() < ARG_MAX && !input.prompt_is_secret {
            OsStr::from_bytes(input.prompt).to_owned()
        } else {
            source(input.prompt_file.as_os_str())
        };
        vec!["-c".into(), "--".into(), script, "sh".into()]
    };
    Launch {
        program: input.program.to_owned(),
        args,
        stdin: Stdin::Null,
        env: Vec::new(),
        answer_file: None,
        stdout_is_events: false,
        thread: None,
    }
}

/// A script that reads `file`.
fn source(file: &OsStr) -> OsString {
    let mut script = b". '".to_vec();
    for &byte in file.as_bytes() {
        if byte == b'\'' {
            script.extend(br"'\''");
        } else {
            script.push(byte);
        }
    }
    script.push(b'\'');
    OsString::from_vec(script)
}

pub(super) fn activity(tail: &[u8]) -> Option<String> {
    text::lines_from_end(tail)
        .map(|line| text::one_line(line, LINE_MAX))
        .find(|line| !line.is_empty())
}

pub(super) fn judge(input: &JudgeInput<'_>) -> io::Result<Verdict> {
    let (outcome, reason) = match (input.interruption(), input.exit) {
        (Some(interruption), _) => interruption,
        (None, Some(WorkerExit::Code(0))) => (Outcome::Succeeded, None),
        (None, exit) => {
            let code = exit.map_or(1, WorkerExit::shell_code);
            let reason = match activity(&text::tail(input.stderr, STDERR_MAX)?) {
                None => format!("ended with exit code {code}"),
                Some(last) => format!("ended with exit code {code}: {last}"),
            };
            (Outcome::Failed, Some(reason))
        }
    };
    Ok(Verdict {
        outcome,
        reason,
        answer: Answer::Stdout,
        usage: None,
        resets: None,
        thread_id: None,
        notes: Vec::new(),
        sandbox_unproven: false,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::{
        backend::testing::{SH, input as input_of},
        job::Mode,
    };

    fn input<'a>(prompt: &'a [u8], file: &'a Path, argv: &'a [OsString]) -> LaunchInput<'a> {
        let program = Path::new("/bin/sh");
        LaunchInput {
            program,
            prompt_file: file,
            prompt,
            argv,
            ..input_of(&SH, Mode::Writer, None)
        }
    }

    /// What the script prints, run as `launch` says.
    fn run(prompt: &[u8], file: &Path) -> String {
        let launch = launch(&input(prompt, file, &[]));
        let output = Command::new(launch.program).args(launch.args).output().expect("runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    #[test]
    fn scripts_of_any_size_run_alike() {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("it's a prompt");
        let small = b"-n 2>/dev/null\necho \"$0 $# 'a' `echo b` \\$x\"".to_vec();
        for size in [0, ARG_MAX - small.len() - 1, ARG_MAX - small.len(), 1 << 20] {
            let mut script = small.clone();
            script.extend(std::iter::repeat_n(b'\n', size));
            fs::write(&file, &script).expect("writes");
            assert_eq!(run(&script, &file), "sh 0 'a' b $x\n", "{size}");
        }
    }

    #[test]
    fn an_argv_runs_as_it_is() {
        let argv = ["printf", "%s", "$x `y`"].map(OsString::from);
        let launch = launch(&input(b"", Path::new("/jobs/1/prompt"), &argv));
        assert_eq!(launch.args, ["%s", "$x `y`"]);
        assert_eq!(launch.stdin, Stdin::Null);
        assert!(!launch.stdout_is_events);
    }

    #[test]
    fn what_a_shell_cannot_take_is_refused() {
        assert_eq!(check_prompt(b"a\0b"), Err(PromptError::Nul { at: 1 }));
        assert_eq!(check_prompt(b" \n"), Err(PromptError::Empty));
        assert_eq!(check_prompt(b"echo \xff"), Ok(()));
        assert!(check_args(&[]).is_ok());
        assert!(check_args(&["-e".to_owned()]).is_err());
    }

    #[test]
    fn the_last_line_is_what_it_does() {
        assert_eq!(activity(b"cut li\nok 1\n\x1b[32mok 2\x1b[0m\n \n"), Some("ok 2".to_owned()));
        assert_eq!(activity(b"10%\r50%\r"), Some("50%".to_owned()));
        assert_eq!(activity(b"10%\r50%"), Some("50%".to_owned()));
        assert_eq!(activity(b"\n\n"), None);
        assert_eq!(activity(b""), None);
    }

    fn judged(exit: WorkerExit, ended_by_us: Option<Outcome>) -> (Outcome, Option<String>) {
        let dir = tempfile::tempdir().expect("folder");
        let stderr = dir.path().join("stderr");
        fs::write(&stderr, "first\n\x1b[31mno such thing\x1b[0m\n\n").expect("writes");
        let stdout = dir.path().join("stdout");
        let verdict = judge(&JudgeInput {
            exit: Some(exit),
            stdout: &stdout,
            stderr: &stderr,
            answer_file: None,
            ended_by_us,
            expected_thread: None,
        })
        .expect("reads");
        assert_eq!(verdict.answer, Answer::Stdout);
        assert!(!verdict.sandbox_unproven);
        (verdict.outcome, verdict.reason)
    }

    #[test]
    fn the_exit_code_alone_decides() {
        assert_eq!(judged(WorkerExit::Code(0), None), (Outcome::Succeeded, None));
        let reason = "ended with exit code 3: no such thing".to_owned();
        assert_eq!(judged(WorkerExit::Code(3), None), (Outcome::Failed, Some(reason)));
        let reason = "ended by signal 9".to_owned();
        assert_eq!(judged(WorkerExit::Signal(9), None), (Outcome::Killed, Some(reason)));
        for exit in [WorkerExit::Code(0), WorkerExit::Signal(15)] {
            assert_eq!(judged(exit, Some(Outcome::TimedOut)), (Outcome::TimedOut, None));
        }
    }
}
