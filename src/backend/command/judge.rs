//! How a job of a defined program ended. A success is an exit code of 0, what the
//! definition asks for in the output, nothing that it calls a failure, and an
//! answer.

use std::io;

use regex_lite::RegexBuilder;

use super::digest::{self, Digest};
use super::spec::{AnswerFrom, Command, Output, Signs};
use crate::backend::{Answer, JudgeInput, Verdict, text};
use crate::job::{BackendName, Outcome, WorkerExit};

/// Longest sentence, in characters.
const SENTENCE_MAX: usize = 400;

/// How much of the end of stderr, and of plain output, is searched for signs.
const TAIL: u64 = 16 << 10;

/// Largest answer in a file, in bytes.
const ANSWER_MAX: u64 = 16 << 20;

pub(in super::super) fn judge(
    name: BackendName,
    command: &Command,
    input: &JudgeInput<'_>,
) -> io::Result<Verdict> {
    let digest = Digest::read(command, input.stdout)?;
    let answer = match command.answer.from {
        AnswerFrom::Stdout => stdout(input)?,
        AnswerFrom::File => file(input)?,
        AnswerFrom::LastLine | AnswerFrom::Path => digest.answer.clone().map(Answer::Text),
    };
    let has_answer = match &answer {
        Some(Answer::Text(text)) => !text.trim().is_empty(),
        Some(Answer::Stdout) => true,
        _ => false,
    };
    let thread = match &digest.thread {
        Some(thread) => Some(thread.clone()),
        None => digest::thread_in(command, &[input.stderr, input.stdout])?,
    };
    let stderr = text::tail(input.stderr, TAIL)?;
    let judged = Judged { name, command, input, digest: &digest, stderr: &stderr };
    let (outcome, reason) = judged.outcome(has_answer, thread.as_deref())?;
    Ok(Verdict {
        outcome,
        reason,
        answer: answer.filter(|_| has_answer).unwrap_or(Answer::None),
        usage: digest.usage,
        resets: None,
        // One that we named is there even where the program does not repeat it.
        thread_id: thread.or_else(|| input.expected_thread.map(str::to_owned)),
        notes: Vec::new(),
        sandbox_unproven: false,
    })
}

struct Judged<'a> {
    name: BackendName,
    command: &'a Command,
    input: &'a JudgeInput<'a>,
    digest: &'a Digest,
    /// Its end.
    stderr: &'a [u8],
}

impl Judged<'_> {
    fn outcome(
        &self,
        has_answer: bool,
        thread: Option<&str>,
    ) -> io::Result<(Outcome, Option<String>)> {
        let (name, digest, command) = (self.name, self.digest, self.command);
        if let Some((outcome, reason)) = self.input.interruption() {
            let said = || self.said();
            return Ok((outcome, reason.or_else(said)));
        }
        let code = self.input.exit.map_or(1, WorkerExit::shell_code);
        if code != 0 || digest.failure.is_some() || digest.limited.is_some() {
            return self.failure(code);
        }
        // Some programs say that they failed, and end as if they had not.
        let texts = self.texts()?;
        let failure = command.failure.as_ref().and_then(|signs| sentence_with(signs, &texts));
        if let Some(said) = failure {
            return self.unless_known(0, Outcome::Failed, said);
        }
        if let (Some(expected), Some(thread)) = (self.input.expected_thread, thread)
            && thread != expected
        {
            let reason = format!("{name} answered in thread {thread} instead of {expected}");
            return Ok((Outcome::Failed, Some(reason)));
        }
        if !digest.readable || !digest.succeeded {
            let reason = format!("{name} ended without a result");
            return self.unless_known(0, Outcome::Failed, reason);
        }
        if !has_answer {
            let reason = format!("{name} ended without a final message");
            return self.unless_known(0, Outcome::NoAnswer, reason);
        }
        // Of this some programs tell only in passing.
        if let Some(what) = self.refused() {
            return Ok((Outcome::Denied, Some(what)));
        }
        Ok((Outcome::Succeeded, None))
    }

    /// One that says that it failed.
    fn failure(&self, code: u8) -> io::Result<(Outcome, Option<String>)> {
        let name = self.name;
        let signal = code.checked_sub(128).filter(|signal| matches!(signal, 1 | 2 | 9 | 15));
        if let (Some(signal), None) = (signal, &self.digest.failure) {
            return Ok((Outcome::Killed, Some(format!("ended by signal {signal}"))));
        }
        let reason = match (self.said(), code) {
            (Some(said), _) => said,
            (None, 0) => format!("{name} says that it failed, and not why"),
            (None, code) => format!("{name} ended with exit code {code}"),
        };
        self.unless_known(code, Outcome::Failed, reason)
    }

    /// The outcome that the first sign names, or else this one.
    fn unless_known(
        &self,
        code: u8,
        outcome: Outcome,
        reason: String,
    ) -> io::Result<(Outcome, Option<String>)> {
        let (name, command) = (self.name, self.command);
        let mut texts = vec![reason.clone()];
        texts.extend(self.texts()?);
        let fits = |signs: &Option<Signs>| {
            signs.as_ref().is_some_and(|signs| {
                signs.exit.contains(&i64::from(code)) || sentence_with(signs, &texts).is_some()
            })
        };
        let told = |signs: &Option<Signs>| {
            let line = signs.as_ref().and_then(|signs| sentence_with(signs, &texts));
            line.unwrap_or_else(|| reason.clone())
        };
        if self.digest.limited.is_some() || fits(&command.rate_limit) {
            let said = self.digest.limited.as_deref().and_then(sentence);
            return Ok((
                Outcome::RateLimited,
                Some(said.unwrap_or_else(|| told(&command.rate_limit))),
            ));
        }
        if fits(&command.auth) {
            let reason = format!("{name} is not signed in: {}", told(&command.auth));
            return Ok((Outcome::Failed, Some(reason)));
        }
        if fits(&command.turn_limit) {
            return Ok((Outcome::TurnLimit, Some(told(&command.turn_limit))));
        }
        if let Some(what) = self.refused() {
            return Ok((Outcome::Denied, Some(what)));
        }
        if fits(&command.refusal) {
            return Ok((Outcome::Denied, Some(told(&command.refusal))));
        }
        Ok((outcome, Some(reason)))
    }

    /// Where signs are looked for: the ends of stderr and of output for people.
    fn texts(&self) -> io::Result<Vec<String>> {
        let mut texts = vec![String::from_utf8_lossy(self.stderr).into_owned()];
        if self.command.output == Output::Text {
            let tail = text::tail(self.input.stdout, TAIL)?;
            texts.push(String::from_utf8_lossy(&tail).into_owned());
        }
        Ok(texts)
    }

    /// What it was refused, by its output or by stderr.
    fn refused(&self) -> Option<String> {
        let name = self.name;
        if let Some(what) = &self.digest.refused {
            return Some(match sentence(what) {
                Some(what) => format!("{name} was denied {what}"),
                None => format!("{name} was denied something that it asked for"),
            });
        }
        let signs = self.command.refusal.as_ref()?;
        sentence_with(signs, &[String::from_utf8_lossy(self.stderr).into_owned()])
    }

    /// What the program says of its end: in its output, or last on stderr.
    fn said(&self) -> Option<String> {
        let failure = self.digest.failure.as_deref().and_then(sentence);
        failure.or_else(|| {
            let mut lines = text::lines_from_end(self.stderr);
            lines.find_map(|line| sentence(&String::from_utf8_lossy(line)))
        })
    }
}

/// The line that a pattern fits, of the text that is the first with one.
fn sentence_with(signs: &Signs, texts: &[String]) -> Option<String> {
    for pattern in &signs.text {
        let Ok(regex) = RegexBuilder::new(pattern).case_insensitive(true).build() else { continue };
        for text in texts {
            if let Some(line) = text.lines().find(|line| regex.is_match(line)) {
                return sentence(line);
            }
        }
    }
    None
}

/// All of stdout, if it says anything.
fn stdout(input: &JudgeInput<'_>) -> io::Result<Option<Answer>> {
    let mut says = false;
    text::for_each_line(text::open(input.stdout)?, |line| says |= !line.trim_ascii().is_empty())?;
    Ok(says.then_some(Answer::Stdout))
}

/// What the program wrote into its file.
fn file(input: &JudgeInput<'_>) -> io::Result<Option<Answer>> {
    let Some(path) = input.answer_file else { return Ok(None) };
    let bytes = text::tail(path, ANSWER_MAX)?;
    Ok(Some(Answer::Text(String::from_utf8_lossy(&bytes).into_owned())))
}

/// What a person does next.
pub(in super::super) fn hint(command: &Command, outcome: &Outcome, reason: &str) -> Option<String> {
    let signs = match outcome {
        Outcome::RateLimited => command.rate_limit.as_ref(),
        Outcome::Denied => command.refusal.as_ref(),
        Outcome::TurnLimit => command.turn_limit.as_ref(),
        Outcome::Failed if reason.contains(" is not signed in: ") => command.auth.as_ref(),
        _ => None,
    };
    signs?.hint.clone()
}

/// `text` in one line, without a full stop.
fn sentence(text: &str) -> Option<String> {
    let line = text::one_line(text.as_bytes(), SENTENCE_MAX);
    let line = line.strip_suffix('.').unwrap_or(&line);
    let line = line.strip_prefix("Error: ").or(line.strip_prefix("error: ")).unwrap_or(line);
    (!line.is_empty()).then(|| line.to_owned())
}
