//! One run of `cx`: its arguments in, what it said out.

use std::{io, path::PathBuf, process::Stdio};

use tokio::{io::AsyncWriteExt, process::Command};

use crate::tool::Answer;

/// How a line on stderr begins that says why nothing came of a command.
const ERROR: &str = "cx: error: ";

/// The most that a tool answers, in bytes: more would fill a model's context.
const ANSWER_MAX: usize = 24 * 1024;

/// The `cx` that answers.
#[derive(Debug)]
pub(crate) struct Cx {
    program: PathBuf,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code; none where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Cx {
    pub(crate) fn at(program: PathBuf) -> Self {
        Self { program }
    }

    /// Runs `cx` with these words to its end, with `input` on its stdin. Whoever drops the
    /// future ends it.
    pub(crate) async fn run(&self, words: &[String], input: Option<&str>) -> io::Result<Ran> {
        let mut command = Command::new(&self.program);
        command.args(words).kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.spawn()?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            // It reads all before it says more than a pipe holds; where it ended without
            // that, what it says is why.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
    }

    /// The same, as a tool's answer; `quiet` is the answer where `cx` said nothing.
    pub(crate) async fn answer(
        &self,
        words: &[String],
        input: Option<&str>,
        quiet: &str,
    ) -> Answer {
        match self.run(words, input).await {
            Ok(ran) => ran.answer(quiet),
            Err(error) => Answer::refused(format!("cannot run cx: {error}")),
        }
    }
}

impl Ran {
    /// Whether it said that nothing came of the command. An exit code alone does not tell:
    /// `cx wait JOB` has the job's own.
    pub(crate) fn is_error(&self) -> bool {
        self.err.lines().any(|line| line.starts_with(ERROR))
            || (self.code != Some(0) && self.out.is_empty() && self.err.is_empty())
    }

    /// What it said, on both streams.
    pub(crate) fn answer(&self, quiet: &str) -> Answer {
        let mut said = cut(self.out.trim_end(), ANSWER_MAX);
        for line in self.err.lines() {
            let line = line.strip_prefix(ERROR).or(line.strip_prefix("cx: ")).unwrap_or(line);
            if !said.is_empty() {
                said.push('\n');
            }
            said.push_str(line.trim_start());
        }
        if said.is_empty() {
            said = match (self.is_error(), self.code) {
                (false, _) => quiet.to_owned(),
                (true, Some(code)) => format!("cx ended with exit code {code} and said nothing"),
                (true, None) => "cx was ended by a signal".to_owned(),
            };
        }
        Answer { text: cut(&said, ANSWER_MAX + 4096), is_error: self.is_error() }
    }
}

/// At most `max` bytes of `text`, with a word about what is left out.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let at = text.floor_char_boundary(max);
    format!("{}\n... {} bytes more", &text[..at], text.len() - at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(code: i32, out: &str, err: &str) -> Ran {
        Ran { code: Some(code), out: out.to_owned(), err: err.to_owned() }
    }

    #[test]
    fn an_error_is_its_sentence_and_its_hint() {
        let failed = ran(2, "", "cx: error: no such thing\n    hint: make one\n").answer("ok");
        assert!(failed.is_error);
        assert_eq!(failed.text, "no such thing\nhint: make one");
    }

    #[test]
    fn a_job_that_failed_is_no_error_of_the_tool() {
        let waited = ran(3, "", "cx: [1] lint failed 3: no linter\n").answer("ok");
        assert!(!waited.is_error);
        assert_eq!(waited.text, "[1] lint failed 3: no linter");
        assert_eq!(ran(0, "", "").answer("all well").text, "all well");
        assert!(ran(125, "", "").answer("all well").is_error);
    }

    #[test]
    fn long_answers_are_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("aéb", 2), "a\n... 3 bytes more");
    }
}
