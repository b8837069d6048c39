//! What can be said to `cx run`.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum, ValueHint};

use crate::{commands::spawn::said_vars, failure::Failure, job::parse_duration};

/// Run a plan: tasks with needs between them
///
/// A plan is a task map, a pipeline, phases, a list of workers or cx's own form,
/// in JSON, YAML or TOML; or one of the patterns that are part of cx: review, fix,
/// scout, split, research and options. All of it is checked before anything
/// starts. `cx man plans` shows each form.
#[derive(Debug, Default, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// Read the plan from FILE; `-` is stdin
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) file: Option<PathBuf>,

    /// Give TEXT to each agent that it calls for, as `cx route TEXT` has them
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["file", "words", "resume"])]
    pub(super) route: Option<String>,

    /// Have each file reviewed by each agent that it calls for, as `cx route --files` has them
    #[arg(
        long,
        value_name = "PATH",
        num_args = 1..,
        value_hint = ValueHint::FilePath,
        conflicts_with_all = ["file", "words", "resume"]
    )]
    pub(super) route_files: Vec<PathBuf>,

    /// Print what would run, in which order and with which limits, and start nothing
    #[arg(long, conflicts_with_all = ["detach", "resume"])]
    pub(super) dry_run: bool,

    /// Print the same before running
    #[arg(long, conflicts_with = "resume")]
    pub(super) plan: bool,

    /// Print the file of a pattern: copy it to change it, then `cx run -f`
    #[arg(long, value_name = "PATTERN", exclusive = true, add = crate::commands::candidates::pattern())]
    pub(super) show: Option<String>,

    /// JSON on stdout: the plan, the summary
    #[arg(long)]
    pub(super) json: bool,

    /// A value for `{{NAME}}` in the plan; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub(super) vars: Vec<String>,

    /// What the readers of `cx run review` look for: two to four of clarity, correctness,
    /// risks, consistency, evidence, practicality, accessibility, security, performance,
    /// backward-compatibility
    #[arg(long, value_name = "LENS,LENS")]
    pub(super) lenses: Option<String>,

    /// An alias for this run, with what is laid over its agent; may be repeated
    #[arg(long = "alias", value_name = "NAME=AGENT[:KEY=VALUE,...]", conflicts_with = "resume")]
    pub(super) aliases: Vec<String>,

    /// A bundle of agents
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "resume")]
    pub(super) agents_dir: Option<PathBuf>,

    /// Run the agents' hooks: before each worker, and after it
    #[arg(long, conflicts_with = "resume")]
    pub(super) hooks: bool,

    /// Refuse a task that needs a tool that its agent may not use
    #[arg(long, conflicts_with = "resume")]
    pub(super) strict_tools: bool,

    /// The backend of tasks that do not say: codex, claude or sh
    #[arg(short, long, value_name = "BACKEND", conflicts_with = "resume", add = crate::commands::candidates::backend())]
    pub(super) backend: Option<String>,

    /// The model of tasks that do not say
    #[arg(short, long, value_name = "MODEL", conflicts_with = "resume")]
    pub(super) model: Option<String>,

    /// For tasks of the backend http: the server, in place of `CODEX_URL` and `http.url`; its
    /// token is that of `CODEX_API_KEY`
    #[arg(long, value_name = "URL")]
    pub(super) codex_url: Option<String>,

    /// At most N jobs of this run at once; 8 if not given
    #[arg(short, long, value_name = "N", value_parser = crate::job::parse_count::<NonZeroU64>)]
    pub(super) jobs: Option<NonZeroU64>,

    /// Start a job only while fewer than N of this repository run
    #[arg(long, value_name = "N", value_parser = crate::job::parse_count::<NonZeroU64>)]
    pub(super) max_jobs: Option<NonZeroU64>,

    /// How much of an answer the tasks that need it get to see; 32768 if not given
    #[arg(long, value_name = "BYTES", value_parser = crate::job::parse_count::<NonZeroU32>)]
    pub(super) answer_bytes: Option<NonZeroU32>,

    /// Start nothing more once a task has failed
    #[arg(long, conflicts_with = "keep_going")]
    pub(super) fail_fast: bool,

    /// After a failure, run all that does not need what failed, whatever the plan says
    #[arg(long)]
    pub(super) keep_going: bool,

    /// Try a failed task again up to N times, unless the plan says otherwise
    #[arg(long, value_name = "N")]
    pub(super) retries: Option<u32>,

    /// End the whole run after this long, with exit code 124: 90s, 10m, 1h30m
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub(super) timeout: Option<Duration>,

    /// End it once its jobs have used N tokens together, sent and written
    #[arg(long, value_name = "N", value_parser = crate::job::parse_count::<NonZeroU64>)]
    pub(super) max_tokens: Option<NonZeroU64>,

    /// End it once its jobs have cost X US dollars together
    #[arg(long, value_name = "X", value_parser = crate::job::Usd::parse)]
    pub(super) max_budget_usd: Option<crate::job::Usd>,

    /// Have a job fail at once where the model's service refuses for rate or quota
    #[arg(long)]
    pub(super) no_hold: bool,

    /// After each phase, show a planner what has come back: it may change what remains
    ///
    /// `llm`, which is meant without a value, asks the default backend; a planner of
    /// the configuration is named; anything else is a command for sh, with JSON on
    /// stdin and stdout. Every change is checked as a new plan is.
    #[arg(
        long,
        value_name = "PLANNER|CMD",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "llm",
        conflicts_with = "resume"
    )]
    pub(super) revise_plan: Option<String>,

    /// Also keep the records that codex-flow keeps: .runs/ and data/logs/events.jsonl
    #[arg(long, value_name = "TOOL", value_enum, conflicts_with = "resume")]
    pub(super) compat: Option<Compat>,

    /// Where these records lie; the top of the checkout if not given
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "compat")]
    pub(super) compat_dir: Option<PathBuf>,

    /// Merge what the writers have done, once the run has succeeded
    #[arg(long)]
    pub(super) merge: bool,

    /// Tell me when the run is over: on the desktop, or by the terminal and its bell
    #[arg(long)]
    pub(super) notify: bool,

    /// Say what each task does as it begins and ends
    #[arg(short, long)]
    pub(super) verbose: bool,

    /// Print the workers' messages as they come
    #[arg(long)]
    pub(super) stream: bool,

    /// Print the run's name and return: it goes on in a process of its own
    #[arg(long, conflicts_with = "stream")]
    pub(super) detach: bool,

    /// Go on with a run that was interrupted, was stopped or has failed
    ///
    /// What has succeeded is not repeated, what still runs is waited for, and what
    /// failed is tried once more. -j, --max-jobs, --retries, --answer-bytes, --timeout,
    /// --max-tokens, --max-budget-usd, --no-hold, --fail-fast, --keep-going and --merge given here count from here on; the time of
    /// --timeout begins anew. The plan is the one that was begun, even if its file has
    /// changed.
    #[arg(long, value_name = "RUN", add = crate::commands::candidates::open_run(), conflicts_with_all = ["file", "words", "vars", "lenses"])]
    pub(super) resume: Option<String>,

    /// A pattern and what it is about; with -f the goal of the plan
    #[arg(value_name = "PATTERN|GOAL", add = crate::commands::candidates::pattern())]
    pub(super) words: Vec<String>,
}

/// Whose records are kept too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Compat {
    /// Those of codex-flow.
    CodexFlow,
}

const EXAMPLES: &str = "\
Examples:
  cx run review src/auth --lenses security,correctness
  cx run scout \"Retry failed uploads, with backoff\"
  cx run -f plan.toml --dry-run
  cx run -f pipeline.yaml \"Users can log in with a passkey\"
  echo '{\"reviewer\": [\"Review api/user.ts\"]}' | cx run -f -
  cx run --route \"Document the openapi endpoint\"
  cx run --show review > my-review.toml";

impl RunArgs {
    /// The values that the command line gives; `goal` are the words that are no
    /// pattern's name.
    pub(super) fn values(&self, goal: &[String]) -> Result<BTreeMap<String, String>, Failure> {
        let mut values = said_vars(&self.vars)?;
        let words = (!goal.is_empty()).then(|| goal.join(" "));
        for (name, value) in [("goal", words), ("lenses", self.lenses.clone())] {
            let Some(value) = value else { continue };
            if values.insert(name.to_owned(), value).is_some() {
                return Err(Failure::usage(format!("'{name}' is given twice"))
                    .hint(format!("leave out --var {name}=...")));
            }
        }
        Ok(values)
    }
}
