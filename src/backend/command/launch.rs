//! What a program is started with.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroU32;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::read::names;
use super::spec::{AnswerFrom, Command, Output, Prompt};
use crate::backend::{Launch, LaunchInput, PromptError, Stdin, text};
use crate::job::BackendName;

/// Linux's MAX_ARG_STRLEN, the NUL at the end included: 32 pages.
const ARG_MAX: usize = 128 * 1024;

pub(in super::super) fn check_prompt(
    name: BackendName,
    command: &Command,
    prompt: &[u8],
) -> Result<(), PromptError> {
    if prompt.trim_ascii().is_empty() {
        return Err(PromptError::Empty);
    }
    let as_argument = match &command.prompt {
        Prompt::Args(words) => words.iter().any(|word| word.contains("{prompt}")),
        Prompt::Stdin => false,
    };
    let most = command.prompt_max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
    // Other words of the same argument need some room.
    let max = if as_argument { most.min(ARG_MAX - 1024) } else { most };
    if prompt.len() > max {
        return Err(PromptError::TooManyBytes { bytes: prompt.len(), max, name });
    }
    if !as_argument {
        return Ok(());
    }
    if let Some(at) = prompt.iter().position(|&b| b == 0) {
        return Err(PromptError::NulInArgument { at, name });
    }
    // One that is an argument by itself must not pass for an option.
    if prompt.starts_with(b"-") && stands_alone(command) {
        return Err(PromptError::Option { name });
    }
    Ok(())
}

/// Whether the prompt is a whole argument, after none that ends the options.
fn stands_alone(command: &Command) -> bool {
    let Prompt::Args(words) = &command.prompt else { return false };
    let at = words.iter().position(|word| word.starts_with("{prompt}"));
    at.is_some_and(|at| !words.iter().take(at).any(|word| word == "--"))
}

pub(in super::super) fn max_turns(command: &Command, turns: NonZeroU32) -> Option<String> {
    command.max_turns_arg.as_ref().map(|arg| arg.replace("{turns}", &turns.to_string()))
}

pub(in super::super) fn launch(command: &Command, input: &LaunchInput<'_>) -> Launch {
    let rule = command.mode(input.mode);
    let thread = command.thread.as_ref();
    let own = thread
        .filter(|thread| input.resume.is_none() && !thread.new_args.is_empty())
        .map(|_| text::uuid_as_random(input.id));
    let id = input.resume.or(own.as_deref());
    let resumed = thread.filter(|_| input.resume.is_some());
    let first = resumed.map(|thread| &thread.resume_argv).filter(|argv| !argv.is_empty());
    let first = first.unwrap_or(&command.argv).iter().skip(1);
    let thread_args = match (thread, resumed) {
        (_, Some(thread)) => thread.resume_args.as_slice(),
        (Some(thread), None) => thread.new_args.as_slice(),
        (None, None) => &[],
    };
    let model_args = if input.model.is_some() { command.model_args.as_slice() } else { &[] };
    let prompt_args = match &command.prompt {
        Prompt::Args(words) => words.as_slice(),
        Prompt::Stdin => &[],
    };
    let args = first
        .chain(thread_args)
        .chain(rule.iter().flat_map(|rule| &rule.args))
        .chain(model_args)
        .chain(&command.args)
        .chain(input.extra_args)
        .chain(prompt_args)
        .map(|word| filled(word, input, id))
        .collect();
    let variables = command.env.iter().chain(rule.iter().flat_map(|rule| &rule.env));
    Launch {
        program: input.program.to_owned(),
        args,
        stdin: match command.prompt {
            Prompt::Stdin => Stdin::PromptFile,
            Prompt::Args(_) => Stdin::Null,
        },
        env: variables.map(|(name, value)| (name.into(), value.into())).collect(),
        answer_file: (command.answer.from == AnswerFrom::File).then(|| answer_file(input)),
        stdout_is_events: command.output == Output::Events,
        thread: input.resume.map(str::to_owned).or(own),
    }
}

/// Where it writes its answer: where a confined worker can.
fn answer_file(input: &LaunchInput<'_>) -> PathBuf {
    input.tmp.join("answer")
}

/// A word with what its placeholders stand for. What is put in is not looked at
/// again, whatever it says.
fn filled(word: &str, input: &LaunchInput<'_>, thread: Option<&str>) -> OsString {
    let mode = input.mode.to_string();
    let root = input.root.unwrap_or(input.start);
    let answer = answer_file(input);
    let value = |name: &str| -> Option<&OsStr> {
        Some(match name {
            "prompt" => OsStr::from_bytes(input.prompt),
            "prompt-file" => input.prompt_file.as_os_str(),
            "answer-file" => answer.as_os_str(),
            "tmp" => input.tmp.as_os_str(),
            "model" => OsStr::new(input.model?),
            "thread" => OsStr::new(thread?),
            "cwd" => input.start.as_os_str(),
            "root" => root.as_os_str(),
            "id" => OsStr::new(input.id),
            "mode" => OsStr::new(&mode),
            _ => return None,
        })
    };
    let mut filled = Vec::new();
    let mut rest = word;
    for name in names(word) {
        let hole = format!("{{{name}}}");
        let Some((before, after)) = rest.split_once(&hole) else { continue };
        filled.extend(before.as_bytes());
        filled.extend(value(name).unwrap_or_default().as_bytes());
        rest = after;
    }
    filled.extend(rest.as_bytes());
    OsString::from_vec(filled)
}

/// Where the program itself has to write.
pub(in super::super) fn own_places(
    command: &Command,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Vec<PathBuf> {
    let home = variable("HOME").map(PathBuf::from);
    let place = |place: &String| match place.strip_prefix("~/") {
        Some(rest) => home.as_ref().map(|home| home.join(rest)),
        None => Some(PathBuf::from(place)).filter(|place| place.is_absolute()),
    };
    command.writes.iter().filter_map(place).filter(|place| place != Path::new("/")).collect()
}
