//! The command line: what all verbs share. Each verb's own arguments stand in
//! its file under `commands/`; their doc comments are the manual.
//!
//! Describing every verb to clap costs more than all else that a short run does,
//! so [`parse`] describes the one that is asked for, where the first argument says
//! which that is. Help, errors and the manual are the same both ways.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::{commands, failure::Failure};

const EXAMPLES: &str = "\
Job specs:
  %3, 3, auth, au (a unique beginning), %+ (the last), %- (the one before),
  and '[3] auth', which is what `cx spawn` prints; for several jobs also the
  name of a group: auth for auth-1, auth-2, ...

Exit codes:
  0        all well
  1        a worker failed, a merge conflicted, or nothing matched
  2        usage or bad input: nothing was started
  124      the time limit of `cx wait` ran out
  125      cx itself failed
  126/127  the worker's program cannot be run / is not found, or no such job
  128+n    a signal; `cx wait JOB` gives that job's own exit code

Examples:
  cx spawn -t coder -n auth \"Implement the token refresh\"
  cx spawn -t reviewer \"Review src/auth for races\"
  cx wait && cx collect
  cx merge --dry-run && cx merge";

/// `&`, `jobs`, `wait` and `kill` for coding agents, with a git worktree for
/// each one that writes.
///
/// `cx spawn` starts a worker in the background and returns at once. Readers
/// look at your checkout under a read-only sandbox; each writer gets a worktree
/// and a branch `cx/NAME` of its own. `cx wait` tells the truth about how they
/// ended, `cx collect` hands out their answers, `cx merge` lands what merges.
#[derive(Debug, Parser)]
#[command(name = "cx", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = EXAMPLES, max_term_width = 100, infer_subcommands = false)]
#[command(subcommand_required = true)]
struct Top {
    /// Run as if started in DIR
    #[arg(
        short = 'C',
        value_name = "DIR",
        global = true,
        display_order = 900,
        value_hint = clap::ValueHint::DirPath
    )]
    dir: Option<PathBuf>,

    /// When to use colour
    #[arg(
        long,
        value_name = "WHEN",
        global = true,
        display_order = 901,
        default_value = "auto",
        hide_possible_values = true
    )]
    color: Color,
}

/// A command line that clap took.
#[derive(Debug)]
pub struct Cli {
    /// Where to run, if not here.
    pub dir: Option<PathBuf>,
    /// When to use colour.
    pub color: Color,
    /// What to do.
    pub command: Command,
}

impl CommandFactory for Cli {
    fn command() -> clap::Command {
        Command::augment_subcommands(Top::command())
    }

    fn command_for_update() -> clap::Command {
        Command::augment_subcommands_for_update(Top::command_for_update())
    }
}

impl FromArgMatches for Cli {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let Top { dir, color } = Top::from_arg_matches_mut(matches)?;
        Ok(Self { dir, color, command: Command::from_arg_matches_mut(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Reads a command line, the program's name first.
pub fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let verb = args.get(1).and_then(|word| word.to_str());
    let as_kill = verb.filter(|verb| *verb == "kill").map(|_| commands::kill::in_full(args));
    let args = as_kill.as_deref().unwrap_or(args);
    let mut cx = match verb.and_then(describe) {
        Some(verb) => Top::command().subcommand(verb),
        None => Cli::command(),
    };
    let mut matches = cx.try_get_matches_from_mut(args)?;
    let cli = Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut cx));
    // The process is over before anybody could use what these hold.
    std::mem::forget((cx, matches));
    cli
}

/// `--color`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Makes [`Command`], and [`describe`] for one verb of it.
macro_rules! verbs {
    ($($(#[$hidden:meta])? $name:literal => $verb:ident($args:ty),)*) => {
        // The verbs; each says itself what it does.
        #[expect(
            missing_docs,
            reason = "doc comments here would replace the help of cx, and of the verbs"
        )]
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $(#[command(name = $name)] $(#[$hidden])? $verb($args),)*
        }

        /// One verb as [`Command`] describes it; none for a word that is no verb.
        fn describe(verb: &str) -> Option<clap::Command> {
            match verb {
                $($name => Some(<$args>::augment_args(clap::Command::new($name))),)*
                _ => None,
            }
        }
    };
}

verbs! {
    "spawn" => Spawn(Box<commands::spawn::SpawnArgs>),
    "run" => Run(Box<commands::run::RunArgs>),
    "status" => Status(commands::status::StatusArgs),
    "runs" => Runs(commands::runs::RunsArgs),
    "jobs" => Jobs(commands::jobs::JobsArgs),
    "wait" => Wait(commands::wait::WaitArgs),
    "collect" => Collect(commands::collect::CollectArgs),
    "merge" => Merge(commands::merge::MergeArgs),
    "apply" => Apply(commands::apply::ApplyArgs),
    "compare" => Compare(commands::compare::CompareArgs),
    "pick" => Pick(commands::pick::PickArgs),
    "conflicts" => Conflicts(commands::conflicts::ConflictsArgs),
    "resolve" => Resolve(commands::resolve::ResolveArgs),
    "resume" => Resume(commands::resume::ResumeArgs),
    "retry" => Retry(commands::retry::RetryArgs),
    "send" => Send(commands::send::SendArgs),
    "push" => Push(commands::push::PushArgs),
    "logs" => Logs(commands::logs::LogsArgs),
    "diff" => Diff(commands::diff::DiffArgs),
    "show" => Show(commands::show::ShowArgs),
    "cd" => Cd(commands::cd::CdArgs),
    "path" => Path(commands::path::PathArgs),
    "prompt" => Prompt(commands::prompt::PromptArgs),
    "fg" => Fg(commands::fg::FgArgs),
    "kill" => Kill(commands::kill::KillArgs),
    "clean" => Clean(commands::clean::CleanArgs),
    "du" => Du(commands::du::DuArgs),
    "memory" => Memory(commands::memory::MemoryArgs),
    "agents" => Agents(commands::agents::AgentsArgs),
    "plan" => Plan(commands::plan::PlanArgs),
    "route" => Route(commands::route::RouteArgs),
    "usage" => Usage(commands::usage::UsageArgs),
    "serve" => Serve(commands::serve::ServeArgs),
    "mcp" => Mcp(commands::mcp::McpArgs),
    #[command(hide = true)]
    "__report" => Report(commands::report::ReportArgs),
    "skill" => Skill(commands::skill::SkillArgs),
    "events" => Events(commands::events::EventsArgs),
    "trust" => Trust(commands::trust::TrustArgs),
    "backends" => Backends(commands::backends::BackendsArgs),
    "doctor" => Doctor(commands::doctor::DoctorArgs),
    "init" => Init(commands::init::InitArgs),
    "completions" => Completions(commands::completions::CompletionsArgs),
    "man" => Man(commands::man::ManArgs),
    #[command(hide = true)]
    "__generate" => Generate(commands::generate::GenerateArgs),
}

/// What is wrong with a command line, said as everything else is: one sentence and
/// one next step. None for what is no error, such as help.
pub fn complaint(error: &clap::Error, args: &[OsString]) -> Option<Failure> {
    use clap::error::ErrorKind;
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return None;
    }
    let text = error.render().to_string();
    let mut parts = text.split("\n\n");
    let words = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = words(parts.next()?.strip_prefix("error: ")?);
    // Of `<JOB>...`, which would look like the end of a longer sentence.
    let sentence = sentence.trim_end_matches('.').to_owned();
    let mut tip = None;
    let named = args.get(1).and_then(|word| word.to_str()).filter(|word| describe(word).is_some());
    let mut verb = named.map_or_else(|| "cx".to_owned(), |verb| format!("cx {verb}"));
    for part in parts {
        let part = words(part);
        if let Some(said) = part.strip_prefix("tip: ") {
            // Of several the first.
            let said = said.split(" tip: ").next().unwrap_or(said);
            tip.get_or_insert_with(|| said.to_owned());
        } else if let Some(usage) = part.strip_prefix("Usage: ") {
            let is_name = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
            verb = usage.split(' ').take_while(is_name).collect::<Vec<_>>().join(" ");
        }
    }
    let hint = tip.unwrap_or_else(|| format!("`{verb} --help` says what it takes"));
    Some(Failure::usage(sentence).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a command line: what clap makes of it, or what it says.
    fn outcome(mut cx: clap::Command, words: &[&str]) -> String {
        let said = |error: clap::Error| {
            format!("{:?} {}\n{}", error.kind(), error.exit_code(), error.render().ansi())
        };
        let parsed = cx
            .try_get_matches_from_mut(words)
            .and_then(|matches| Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut cx)));
        match parsed {
            Ok(cli) => format!("{cli:?}"),
            Err(error) => said(error),
        }
    }

    #[test]
    fn one_verb_alone_is_as_it_is_among_all() {
        let tails: [&[&str]; 17] = [
            &[],
            &["-h"],
            &["--help"],
            &["--version"],
            &["--hlep"],
            &["--no-such-option", "x"],
            &["-C", "/", "--color", "never", "a"],
            &["--color", "sometimes"],
            &["--color"],
            &["a", "b", "c", "--", "-d", "wait"],
            &["help"],
            &["wait", "--jsno"],
            &["-n"],
            &["-n", "--json", "x"],
            &["--timeout", "soon"],
            &["--timeout", "1h", "--write", "--read", "x"],
            &["-N", "0", "-t", "coder", "x"],
        ];
        let verbs: Vec<String> =
            Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        assert!(verbs.len() > 20, "{verbs:?}");
        for verb in &verbs {
            for tail in tails {
                let words: Vec<&str> = ["cx", verb].iter().chain(tail).copied().collect();
                let alone = Top::command().subcommand(describe(verb).expect("described"));
                assert_eq!(outcome(alone, &words), outcome(Cli::command(), &words), "{words:?}");
            }
        }
    }

    #[test]
    fn any_other_word_is_looked_up_among_all_verbs() {
        let words = ["", "spawm", "Spawn", "help", "-C", "--color=never", "--help", "-V"];
        for word in words {
            assert!(describe(word).is_none(), "{word}");
        }
        let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let error = parse(&args(&["cx", "spawm"])).expect_err("no verb");
        assert!(error.to_string().contains("'spawn'"), "{error}");
        let error = parse(&args(&["cx", "help", "wait"])).expect_err("help");
        assert!(error.to_string().contains("cx wait"), "{error}");
        let cli = parse(&args(&["cx", "-C", "/tmp", "jobs"])).expect("parses");
        assert_eq!(cli.dir, Some(PathBuf::from("/tmp")));
    }
}
