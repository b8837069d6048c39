//! What a definition says, checked. It lies with each job as JSON, so a field that
//! comes later needs a default, and one that is there keeps its meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::job::Mode;

/// A program that is a backend. `docs/backends.md` says what the keys mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Command {
    /// The program, and what always comes first.
    pub argv: Vec<String>,
    /// How it is told its task.
    pub prompt: Prompt,
    /// The longest prompt that it takes, in bytes.
    #[serde(default)]
    pub prompt_max: Option<u64>,
    /// More arguments, before the prompt's.
    #[serde(default)]
    pub args: Vec<String>,
    /// The model, where nobody asks for another.
    #[serde(default)]
    pub model: Option<String>,
    /// How it is told the model; empty where it cannot be.
    #[serde(default)]
    pub model_args: Vec<String>,
    /// The argument that limits its turns, with `{turns}` in it.
    #[serde(default)]
    pub max_turns_arg: Option<String>,
    /// How it reads; nothing where it cannot.
    #[serde(default)]
    pub reader: Option<ModeRule>,
    /// How it writes; nothing where it cannot.
    #[serde(default)]
    pub writer: Option<ModeRule>,
    /// Variables of every worker.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables that it must not inherit.
    #[serde(default)]
    pub env_remove: Vec<String>,
    /// Where the program itself has to write: absolute, or below the home (`~/`).
    #[serde(default)]
    pub writes: Vec<String>,
    /// What it puts out.
    #[serde(default)]
    pub output: Output,
    /// Where its final message is.
    #[serde(default)]
    pub answer: AnswerRule,
    /// How its conversation is found and taken up again.
    #[serde(default)]
    pub thread: Option<Thread>,
    /// Where it says what it used.
    #[serde(default)]
    pub usage: Option<UsageRule>,
    /// What has to be in its output for a success.
    #[serde(default)]
    pub success: Option<Where>,
    /// What in its output is a failure whatever its exit code, and where it says why.
    #[serde(default)]
    pub failure: Option<Signs>,
    /// Signs of a limit of rate or quota.
    #[serde(default)]
    pub rate_limit: Option<Signs>,
    /// Signs that it was refused something that it asked for.
    #[serde(default)]
    pub refusal: Option<Signs>,
    /// Signs that nobody has signed in.
    #[serde(default)]
    pub auth: Option<Signs>,
    /// Signs that its own limit of turns was reached.
    #[serde(default)]
    pub turn_limit: Option<Signs>,
    /// What of its events is shown while it runs.
    #[serde(default)]
    pub show: Vec<Show>,
    /// The command that installs it.
    #[serde(default)]
    pub install: Option<String>,
    /// The arguments with which it says its version.
    #[serde(default)]
    pub version: Vec<String>,
    /// What it is, in a few words.
    #[serde(default)]
    pub about: Option<String>,
    /// Where it is known from that it works like this.
    #[serde(default)]
    pub checked: Option<String>,
}

/// How a program is told its task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prompt {
    /// On its stdin.
    Stdin,
    /// By these arguments, which come last; one has `{prompt}` or `{prompt-file}` in it.
    Args(Vec<String>),
}

/// What a job's mode means to the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ModeRule {
    /// Arguments.
    pub args: Vec<String>,
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// It is not confined by us. Never so for a reader.
    pub unconfined: bool,
}

/// What a program puts out on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Text for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// A JSON object in each line.
    Events,
}

/// Where the final message is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct AnswerRule {
    /// Where it comes from.
    pub from: AnswerFrom,
    /// Of events: in which of them.
    #[serde(rename = "where")]
    pub within: Where,
    /// Of a document or events: where in it.
    pub path: String,
    /// Of several events: which.
    pub take: Take,
    /// An event that makes what was said before it no answer: more was done.
    pub restart: Option<Where>,
}

/// See [`AnswerRule`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerFrom {
    /// All of stdout.
    #[default]
    Stdout,
    /// The last line of it that is not empty.
    LastLine,
    /// The file that `{answer-file}` names.
    File,
    /// A path in the document or in events.
    Path,
}

/// Which of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Take {
    /// The last.
    #[default]
    Last,
    /// The first.
    First,
    /// All, one after the other.
    Join,
}

/// What has to stand at paths: all of it; nothing is always there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Where(pub BTreeMap<String, serde_json::Value>);

/// Something in the output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Found {
    /// In which events, or on which condition in the document.
    #[serde(rename = "where")]
    pub within: Where,
    /// Where in it.
    pub path: String,
}

/// A program's conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Thread {
    /// Where the output says its id.
    pub found: Option<Found>,
    /// Or a regular expression whose first group is the id, in stdout or stderr.
    pub text: Option<String>,
    /// Arguments with which a new one gets an id of ours, a UUID.
    pub new_args: Vec<String>,
    /// Arguments with which one is taken up again.
    pub resume_args: Vec<String>,
    /// What stands in place of `argv` then.
    pub resume_argv: Vec<String>,
}

/// What a program used. Several paths are added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct UsageRule {
    /// In which events.
    #[serde(rename = "where")]
    pub within: Where,
    /// Tokens sent, cached ones included.
    pub input: Vec<String>,
    /// Those from the cache.
    pub cached: Vec<String>,
    /// Tokens written.
    pub output: Vec<String>,
    /// US dollars.
    pub cost_usd: Vec<String>,
    /// Of several events all are added up; without it the last counts.
    pub sum: bool,
    /// The figures are those of the whole thread.
    pub whole_thread: bool,
}

/// Signs by which one kind of failure is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Signs {
    /// Exit codes.
    pub exit: Vec<i64>,
    /// Regular expressions, without regard to case, in what it says of its failure.
    pub text: Vec<String>,
    /// A place in its output; what stands there is named.
    pub found: Option<Found>,
    /// What a person does next.
    pub hint: Option<String>,
}

/// A line for people, made from an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Show {
    /// From which events.
    #[serde(rename = "where")]
    pub within: Where,
    /// The line, with paths in braces: `running {tool.name}`.
    pub text: String,
}

impl Command {
    /// What this mode means to the program; nothing where it cannot do it.
    pub fn mode(&self, mode: Mode) -> Option<&ModeRule> {
        match mode {
            Mode::Reader => self.reader.as_ref(),
            Mode::Writer => self.writer.as_ref(),
        }
    }

    /// Whether a conversation can be taken up again.
    pub fn has_threads(&self) -> bool {
        let can =
            |thread: &Thread| !thread.resume_args.is_empty() || !thread.resume_argv.is_empty();
        self.thread.as_ref().is_some_and(can)
    }
}
