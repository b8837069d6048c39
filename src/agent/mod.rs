//! Agents: the roles that a job can be given, and the prompt made from one.
//!
//! An agent is one file: what a job may do and how it goes about it. cx's own are
//! Markdown with front matter: those in `agents/` are part of the binary, a
//! repository's lie in `.cx/agents/`, a person's in `~/.config/cx/agents/`; the
//! first of the three that has a file of the name wins. Those of other tools are
//! read where they lie: Claude Code's, Codex's, and one bundle ([`Places`]).
//!
//! An [`Alias`] is a second name for an agent with something laid over it.
//! [`resolve`] goes from a name to what a job is given; [`Catalog`] has all there
//! are.
//!
//! Looking up one of cx's own opens at most two files and parses one; nothing is
//! read when no agent is asked for. Nothing here writes, so a crash leaves nothing.

mod alias;
mod builtin;
mod catalog;
mod context;
mod definition;
mod error;
mod foreign;
mod format;
mod lookup;
mod places;
mod prompt;
mod registry;
mod resolve;
pub mod route;
pub mod tools;
mod triggers;
mod words;

pub use alias::{Alias, AliasError, merge};
pub use catalog::{Catalog, Entry};
pub use context::ContextPack;
pub use error::AgentError;
pub use foreign::{read_file, read_folder};
pub use lookup::{candidates, definition, find, is_built_in, is_name, names};
pub use places::Places;
pub use prompt::{PREAMBLE, PromptParts};
pub use registry::Flaw;
pub use resolve::{Lookup, Resolved, alias as alias_of, laid_over, resolve};
pub use tools::Tools;
pub use triggers::{Priority, RegexTrigger, Triggers};
pub use words::{WordsError, keywords};

use std::fmt;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::job::{BackendChoice, Mode, Sharing};

/// A role that a job can be given.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Its id: the name of its file, or what the file calls it.
    pub name: String,
    /// The name that is its own even where two have the same id: `cx/reviewer`,
    /// `claude/reviewer`, `codex/reviewer`, `analysis/code-review/code-analyzer`,
    /// and `./planner` for a file at the top of a bundle.
    pub qualified: String,
    /// One line, for listings and for choosing among agents.
    pub description: String,
    /// What its jobs may do to files; a reader where nothing says that it writes.
    pub mode: Mode,
    /// By which word of the definition it has that mode; none where it is a reader
    /// because nothing says that it may write.
    pub mode_reason: Option<String>,
    /// The backend its jobs run on, where the file names one.
    pub backend: Option<BackendChoice>,
    /// The model, in the backend's own words.
    pub model: Option<String>,
    /// Wall-clock limit of its jobs.
    pub timeout: Option<Duration>,
    /// How long its jobs may write nothing.
    pub silence: Option<Duration>,
    /// Pathspecs that its jobs may touch, as `--scope` takes them.
    pub scope: Vec<String>,
    /// The tools that it may use.
    pub tools: Tools,
    /// How many of its jobs may run at once (`max_parallel_tasks`).
    pub limit: Option<NonZeroU64>,
    /// How often a failed task is tried again, in a plan.
    pub retries: Option<u32>,
    /// How much it decides by itself, from 0 to 1.
    pub autonomy: Option<f64>,
    /// What runs before and after its jobs, where the person wants it.
    pub hooks: Hooks,
    /// The words around a task (`prompt.user_template`), not filled in.
    pub template: Option<String>,
    /// What a task has to be about for it to be chosen.
    pub triggers: Triggers,
    /// Whom it shares with what its jobs store in the memory.
    pub sharing: Sharing,
    /// Where it was found.
    pub source: Source,
    /// The role in words, without empty lines around it.
    pub body: String,
    /// Keys of the definition that this cx does not honour, in their order.
    pub extra: Vec<ExtraKey>,
}

impl Agent {
    /// An agent of which nothing is known but its name and where it lies.
    fn empty(name: &str, qualified: String, source: Source) -> Self {
        Self {
            name: name.to_owned(),
            qualified,
            description: String::new(),
            mode: Mode::Reader,
            mode_reason: None,
            backend: None,
            model: None,
            timeout: None,
            silence: None,
            scope: Vec::new(),
            tools: Tools::default(),
            limit: None,
            retries: None,
            autonomy: None,
            hooks: Hooks::default(),
            template: None,
            triggers: Triggers::default(),
            sharing: Sharing::default(),
            source,
            body: String::new(),
            extra: Vec::new(),
        }
    }

    /// The agent as a file of cx's own that is called `name`; without what this cx
    /// does not honour.
    pub fn to_markdown(&self, name: &str) -> String {
        format::write::markdown(self, name)
    }

    /// Why it has the mode that it has; reads after "because".
    pub fn why_mode(&self) -> &str {
        self.mode_reason.as_deref().unwrap_or("nothing in its definition says that it may write")
    }

    /// What it would have run on this machine, as key and JSON: its hooks, and its
    /// tasks themselves where it makes `sh` the backend. Where a repository's own
    /// file says it, that is for `cx trust` to decide.
    pub fn wants(&self) -> Vec<(String, String)> {
        let sh = self.backend.is_some_and(|backend| backend.is_shell());
        let backend = sh.then(|| ("backend".to_owned(), "\"sh\"".to_owned()));
        let hooks = self.hooks.named().into_iter().filter(|(_, commands)| !commands.is_empty());
        let hooks = hooks
            .map(|(key, commands)| (key.to_owned(), serde_json::Value::from(commands).to_string()));
        backend.into_iter().chain(hooks).collect()
    }
}

/// Shell commands around an agent's jobs. They run only where the person asks for
/// it, and from a repository's file only after `cx trust`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Before the worker; one that fails keeps it from starting.
    pub pre_task: Vec<String>,
    /// After a worker that succeeded.
    pub post_task: Vec<String>,
    /// After one that did not.
    pub failure: Vec<String>,
}

impl Hooks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.named().iter().all(|(_, commands)| commands.is_empty())
    }

    /// The lists with their keys: `hooks.pre_task`, ...
    pub fn named(&self) -> [(&'static str, &[String]); 3] {
        [
            ("hooks.pre_task", &self.pre_task),
            ("hooks.post_task", &self.post_task),
            ("hooks.failure", &self.failure),
        ]
    }
}

/// A key that a definition has and this cx does not honour. It is kept so that
/// commands can name it, and later ones honour it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtraKey {
    /// The key, as it is written, with the keys around it: `runtime.heartbeat`.
    pub key: String,
    /// Its line in the file, from 1; 0 where an alias says it.
    pub line: u64,
    /// What it says.
    pub value: serde_json::Value,
}

/// Where an agent comes from, in the order in which they are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file in `.cx/agents/` of the checkout.
    Repository(PathBuf),
    /// A file in the person's own configuration folder.
    User(PathBuf),
    /// Part of cx.
    BuiltIn,
    /// A file of a bundle.
    Bundle(PathBuf),
    /// A subagent of Claude Code.
    Claude(PathBuf),
    /// An agent of Codex.
    Codex(PathBuf),
}

impl Source {
    /// The file, unless the agent is part of cx.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Repository(path)
            | Self::User(path)
            | Self::Bundle(path)
            | Self::Claude(path)
            | Self::Codex(path) => Some(path),
            Self::BuiltIn => None,
        }
    }

    /// Whether it is one of cx's own three places, of which the first wins.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Repository(_) | Self::User(_) | Self::BuiltIn)
    }

    /// One word for listings.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Repository(_) => "repository",
            Self::User(_) => "user",
            Self::BuiltIn => "built-in",
            Self::Bundle(_) => "bundle",
            Self::Claude(_) => "claude",
            Self::Codex(_) => "codex",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => path.display().fmt(f),
            None => f.write_str("built-in"),
        }
    }
}
