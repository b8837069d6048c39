//! The task: what the job is told, before roles and preamble.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{self, IsTerminal, Read},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use clap::Args as _;

use super::SpawnArgs;
use crate::{backend::Backend, failure::Failure, ui};

/// What the job is told, before roles and preamble.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) bytes: Vec<u8>,
    /// For `sh`: a program and its arguments.
    pub(super) argv: Vec<String>,
}

/// Refuses a prompt in which an option of ours stands as a word: whoever types
/// `cx spawn "do it" -t coder` means an agent, and would pay for another job. After
/// `--` every word is meant as it stands.
fn refuse_options(words: &[OsString]) -> Result<(), Failure> {
    if env::args_os().any(|arg| arg == "--") {
        return Ok(());
    }
    let known = SpawnArgs::augment_args(clap::Command::new("spawn"));
    let is_known = |word: &str| {
        let long = word.strip_prefix("--").map(|rest| rest.split('=').next().unwrap_or(rest));
        let short = word.strip_prefix('-').filter(|rest| rest.len() == 1);
        known.get_arguments().any(|arg| {
            (long.is_some() && arg.get_long() == long)
                || short.is_some_and(|short| arg.get_short() == short.chars().next())
        })
    };
    let option = words.iter().skip(1).filter_map(|word| word.to_str()).find(|word| is_known(word));
    option.map_or(Ok(()), |option| {
        Err(Failure::usage(format!(
            "'{option}' stands after the prompt, where it would be a word of it; nothing was started"
        ))
        .hint(format!(
            "options go before the prompt: cx spawn {option} ... \"PROMPT\"; if it is a word of it, put `--` before the prompt"
        )))
    })
}

impl Task {
    /// A task that nobody typed: a prompt, or for `sh` an argv.
    pub(super) fn given(prompt: &str, argv: &[String]) -> Self {
        let bytes = if argv.is_empty() { prompt.to_owned() } else { argv.join("\0") };
        Self { bytes: bytes.into_bytes(), argv: argv.to_vec() }
    }

    /// `stdin` keeps what was read there, for the next job of a group.
    pub(super) fn read(
        args: &SpawnArgs,
        backend: &Backend,
        stdin: &mut Option<Vec<u8>>,
    ) -> Result<Self, Failure> {
        if let Some(path) = &args.file {
            if path.as_os_str() == "-" {
                return Self::stdin(stdin);
            }
            let bytes = fs::read(path).map_err(|e| {
                Failure::usage(format!("cannot read the prompt from {}: {e}", path.display()))
            })?;
            return Ok(Self { bytes, argv: Vec::new() });
        }
        match args.prompt.as_slice() {
            [] if io::stdin().is_terminal() => Err(Failure::usage("there is no prompt")
                .hint("cx spawn \"What to do\", or -F FILE, or `-` for stdin")),
            [] => Self::stdin(stdin),
            [dash] if dash == "-" => Self::stdin(stdin),
            [one] => Ok(Self { bytes: one.as_bytes().to_vec(), argv: Vec::new() }),
            words if backend.runs_commands() => {
                let words = words
                    .iter()
                    .map(|word| {
                        word.clone().into_string().map_err(|word| {
                            Failure::usage(format!("the argument {} is not UTF-8", word.display()))
                                .hint("give it as a script: one word, -F FILE or stdin take any bytes")
                        })
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                let bytes = words.join("\0").into_bytes();
                Ok(Self { bytes, argv: words })
            }
            words => {
                refuse_options(words)?;
                Ok(Self { bytes: words.join(OsStr::new(" ")).into_vec(), argv: Vec::new() })
            }
        }
    }

    fn stdin(kept: &mut Option<Vec<u8>>) -> Result<Self, Failure> {
        if let Some(bytes) = kept {
            return Ok(Self { bytes: bytes.clone(), argv: Vec::new() });
        }
        let mut bytes = Vec::new();
        io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|e| Failure::usage(format!("cannot read the prompt from stdin: {e}")))?;
        *kept = Some(bytes.clone());
        Ok(Self { bytes, argv: Vec::new() })
    }

    /// The first line that says something, for listings.
    pub(super) fn title(&self) -> String {
        let text = if self.argv.is_empty() {
            String::from_utf8_lossy(
                self.bytes.get(..self.bytes.len().min(4096)).unwrap_or_default(),
            )
            .into_owned()
        } else {
            self.argv.join(" ")
        };
        let line = text.lines().map(ui::clean).find(|line| !line.is_empty()).unwrap_or_default();
        ui::cut(&line, 120)
    }
}
