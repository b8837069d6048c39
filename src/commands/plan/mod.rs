//! `cx plan`: proposes a plan for a goal, and prints it as a file.
//!
//! Nothing of the plan is started, and only a whole, checked one is written. Asking
//! a model starts a reader, which is a job like any other; a crash leaves that job.

mod ask;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    roles,
    route::{Directory, reason},
    session::Session,
    settings::Settings,
};
use crate::{
    agent::Agent,
    failure::{Exit, Failure},
    plan::propose::{self, Ask, Member, Proposal, ROLES, Request},
    ui,
};
pub(super) use ask::Who;

/// Propose a plan for a goal: a file that `cx run` takes
///
/// Chooses agents, cuts the goal into tasks and says which needs which. Nothing of
/// it runs: read it, change it, then `cx run -f FILE`.
///
/// `heuristic` goes by the triggers of agents and the verbs of the goal and asks
/// nobody. `llm` asks the default backend, as a reader that `cx jobs` shows. Any
/// other name is a planner of the configuration: a command, or a backend and model.
/// An answer that is no valid plan is tried once more, with the reason.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PlanArgs {
    /// What is to be reached; `-` reads stdin
    #[arg(value_name = "GOAL", required = true)]
    goal: Vec<String>,

    /// Who chooses the agents: heuristic, llm, or a planner of the configuration
    #[arg(long, value_name = "NAME", default_value = "heuristic")]
    selector: String,

    /// Who cuts the goal into tasks: the same names
    #[arg(long, value_name = "NAME", default_value = "heuristic")]
    decomposer: String,

    /// The backend that `llm` asks: codex or claude
    #[arg(short, long, value_name = "BACKEND", add = super::candidates::backend())]
    backend: Option<String>,

    /// The most tasks
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_tasks: u32,

    /// Write the plan to FILE, which must not be there, in place of stdout
    #[arg(short, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,

    #[command(flatten)]
    agents_dir: roles::AgentsDir,

    /// The same plan in JSON, which `cx run` takes as well
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  cx plan \"Design the cache, then implement it and write the docs\"
  cx plan --decomposer llm -o plan.toml - < goal.md && cx run -f plan.toml
  cx plan --json \"Fix the flaky tests\" | cx run -f - --dry-run";

/// Runs the verb.
pub fn run(args: &PlanArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let settings = Settings::load(&session)?;
    let mut selector = Who::find(&args.selector, "--selector", &settings)?;
    let mut decomposer = Who::find(&args.decomposer, "--decomposer", &settings)?;
    if let Some(word) = &args.backend {
        let names = [&args.selector, &args.decomposer];
        if !names.iter().any(|name| *name == "llm") {
            return Err(Failure::usage(
                "--backend is for whom llm asks, and llm is asked nothing; nothing was started",
            )
            .hint("add --decomposer llm, or --selector llm"));
        }
        let backend = settings.choice(word)?;
        for (who, name) in [&mut selector, &mut decomposer].into_iter().zip(names) {
            who.on(name, backend)?;
        }
    }
    for note in &settings.notes {
        ui::warn(note);
    }
    if let Some(path) = &args.output
        && fs::symlink_metadata(path).is_ok()
    {
        return Err(Failure::usage(format!("{} is there already", path.display()))
            .hint("choose another name, or remove it"));
    }
    let goal = goal(&args.goal)?;
    let catalog = roles::catalog(&session, args.agents_dir.path())?;
    let directory = Directory::new(&catalog);
    directory.warn();
    let max = usize::try_from(args.max_tasks).unwrap_or(usize::MAX);
    let by = Planning { session: &session, settings: &settings, directory: &directory, max };
    let team = by.team(&selector, &goal)?;
    let proposal = by.tasks(&decomposer, &goal, &team)?;

    let text = if args.json { proposal.to_json() } else { proposal.to_toml() };
    if let Some(path) = &args.output {
        write_new(path, &text)?;
    } else {
        let mut out = ui::out();
        out.bytes(text.as_bytes())?;
        out.finish()?;
    }
    let tasks = ui::plural(proposal.plan.tasks.len() as u64, "task");
    let agents: BTreeSet<_> =
        proposal.plan.tasks.iter().filter_map(|task| task.alias.as_ref()).collect();
    let agents = ui::plural(agents.len() as u64, "agent");
    let file = args.output.as_deref().map_or("FILE".into(), Path::to_string_lossy);
    ui::note(format_args!("{tasks} for {agents}; `cx run -f {file}` runs them"));
    Ok(Exit::Success)
}

/// What a plan is made with.
struct Planning<'a> {
    session: &'a Session,
    settings: &'a Settings,
    directory: &'a Directory<'a>,
    max: usize,
}

/// A name that reaches an agent, where that can be given a task in words: a shell
/// would run it.
pub(super) fn member(name: &str, agent: &Agent, settings: &Settings) -> Option<Member> {
    let backend = agent.backend.unwrap_or(settings.config.backend);
    (!backend.is_shell()).then(|| Member {
        id: name.to_owned(),
        description: agent.description.clone(),
        mode: agent.mode,
        why: String::new(),
    })
}

impl Planning<'_> {
    /// The agents that the plan is for.
    fn team(&self, selector: &Who, goal: &str) -> Result<Vec<Member>, Failure> {
        let all = self.directory.iter();
        let all: Vec<Member> =
            all.filter_map(|(name, agent)| member(name, agent, self.settings)).collect();
        if all.is_empty() {
            return Err(Failure::usage("there is no agent that can be given a task in words")
                .hint(
                    "the backend sh runs its prompt as a script; CX_BACKEND=codex chooses another",
                ));
        }
        if matches!(selector, Who::Heuristic) {
            return Ok(self.called(goal, &all));
        }
        let request = Request {
            ask: Ask::Agents,
            goal,
            agents: &all,
            max_tasks: self.max,
            problem: None,
            state: None,
        };
        selector
            .ask(self.session, self.settings, &request, &|answer| propose::members(answer, &all))
    }

    /// Those that the goal calls for, and the built-in roles.
    fn called(&self, goal: &str, all: &[Member]) -> Vec<Member> {
        let mut team: Vec<Member> = Vec::new();
        for chosen in self.directory.text(goal) {
            if let Some(member) = all.iter().find(|member| member.id == chosen.agent) {
                let why = chosen.matches.first().map(reason).unwrap_or_default();
                team.push(Member { why, ..member.clone() });
            }
        }
        for (role, _) in ROLES {
            let built_in = format!("cx/{role}");
            let known = |member: &&Member| member.id == role || member.id == built_in;
            if let Some(member) = all.iter().find(known)
                && !team.iter().any(|known| known.id == member.id)
            {
                team.push(member.clone());
            }
        }
        team
    }

    /// The plan, checked.
    fn tasks(&self, decomposer: &Who, goal: &str, team: &[Member]) -> Result<Proposal, Failure> {
        let checked = |proposal: Proposal| match problems(&proposal, team, self.max) {
            problems if problems.is_empty() => Ok(proposal),
            problems => Err(problems),
        };
        if matches!(decomposer, Who::Heuristic) {
            let suggest = |text: &str| {
                let routed = self.directory.text(text).into_iter();
                routed
                    .filter_map(|chosen| {
                        let at = team.iter().position(|member| member.id == chosen.agent)?;
                        Some((at, chosen.matches.first().map(reason).unwrap_or_default()))
                    })
                    .collect()
            };
            return checked(propose::decompose(goal, team, &suggest)).map_err(|problems| {
                let problems = problems.join(", ");
                Failure::new(Exit::Failed, format!("the goal makes no valid plan: {problems}"))
                    .hint("--max-tasks N allows more tasks; --decomposer llm asks the backend")
            });
        }
        let request = Request {
            ask: Ask::Tasks,
            goal,
            agents: team,
            max_tasks: self.max,
            problem: None,
            state: None,
        };
        decomposer.ask(self.session, self.settings, &request, &|answer| {
            propose::tasks(answer, goal, team, self.max).and_then(checked)
        })
    }
}

/// The codes of all that is wrong with a proposal.
fn problems(proposal: &Proposal, team: &[Member], max: usize) -> Vec<String> {
    let known = |name: &str| {
        let member = team.iter().find(|member| member.id == name);
        member.map(|_| ()).ok_or_else(|| format!("'{name}' is none of the agents that were given"))
    };
    let mut codes: Vec<String> = match crate::plan::check(&proposal.plan, &known) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| problem.kind.code()).collect(),
    };
    if proposal.plan.tasks.len() > max {
        codes.push(format!("too_many_tasks:{}", proposal.plan.tasks.len()));
    }
    codes
}

/// The goal's words, or stdin.
fn goal(words: &[String]) -> Result<String, Failure> {
    let mut goal = words.join(" ");
    if goal == "-" {
        goal.clear();
        io::stdin()
            .lock()
            .read_to_string(&mut goal)
            .map_err(|e| Failure::usage(format!("cannot read the goal from stdin: {e}")))?;
    }
    if goal.trim().is_empty() {
        return Err(Failure::usage("the goal is empty").hint("say what is to be reached"));
    }
    Ok(goal)
}

/// Writes a file whole or not at all, and never over another.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let place = |dir: &Path| -> io::Result<()> {
        let rights = fs::Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().permissions(rights).tempfile_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.persist_noclobber(path)?;
        Ok(())
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    place(dir.unwrap_or(Path::new("."))).map_err(|e| {
        Failure::usage(format!("cannot write {}: {e}; nothing was written", path.display()))
    })
}
