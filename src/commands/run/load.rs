//! From the command line to a plan in which nothing is wrong.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::{self, IsTerminal, Read},
    path::Path,
};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{args::RunArgs, stored::Stored};
use crate::{
    agent::{self, Alias, AliasError, Lookup, Resolved},
    backend,
    commands::{roles, route, session::Session, settings::Settings},
    config,
    failure::Failure,
    plan::{Graph, Kind, PATTERNS, Pattern, Plan, Problem, Task, check, nearest},
};

/// The largest plan that is read, bytes: a task map of a thousand long tasks is a
/// tenth of it.
const MAX: u64 = 16 * 1024 * 1024;

/// How many things that are wrong with a plan are told at once.
const MOST: usize = 50;

/// A plan that can run.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    /// With its values, and with what the command line says about all tasks.
    pub(super) plan: Plan,
    /// How its tasks hang together.
    pub(super) graph: Graph,
    /// The file as it was named, or the pattern.
    pub(super) source: String,
    /// The hash of that file, where there is one.
    pub(super) digest: Option<String>,
    /// What each alias of the plan stands for.
    pub(super) agents: BTreeMap<String, Resolved>,
}

/// Reads, binds and checks the plan that the command line names.
pub(super) fn load(args: &RunArgs, session: &Session) -> Result<Loaded, Failure> {
    let mut read_from = None;
    let is_routed = args.route.is_some() || !args.route_files.is_empty();
    let (mut plan, source, goal, usage) = match (&args.file, args.words.as_slice()) {
        _ if is_routed => {
            let usage = "cx run --route TEXT, or --route-files PATH...".to_owned();
            (routed(args, session)?, "--route".to_owned(), &[][..], usage)
        }
        (Some(file), words) => {
            let (bytes, source) = read(file)?;
            read_from = (source != "-").then(|| digest(&bytes));
            let mut plan =
                Plan::read(&bytes, &source).map_err(|problems| refusal(&source, &problems))?;
            let folder = if source == "-" { None } else { file.parent() };
            let folder = session.cwd.join(folder.unwrap_or(Path::new("")));
            for schema in plan.tasks.iter_mut().filter_map(|task| task.schema.as_mut()) {
                *schema = folder.join(&*schema);
            }
            let usage = format!("cx run -f {source} {}", plan.usage());
            (plan, source, words, usage)
        }
        (None, [name, words @ ..]) => {
            let pattern = pattern(name)?;
            let plan = pattern.plan().map_err(|problems| refusal(pattern.name, &problems))?;
            let usage = format!("cx run {name} {}", plan.usage());
            (plan, pattern.name.to_owned(), words, usage)
        }
        (None, []) => {
            return Err(Failure::usage("there is no plan to run").hint(format!(
                "cx run -f FILE, or a pattern: {}",
                PATTERNS.map(|pattern| pattern.name).join(", ")
            )));
        }
    };
    let usage = format!("usage: {}", usage.trim_end());
    plan.bind(&args.values(goal)?).map_err(|problems| refusal(&source, &problems).hint(usage))?;
    let settings = Settings::load(session)?;
    apply(&mut plan, args, &settings)?;

    let mut aliases = aliases(&mut plan, args, &source)?;
    aliases.extend(configured(&settings)?);
    let places = session.places(args.agents_dir.as_deref());
    let lookup = Lookup { places, aliases: &aliases, stock_aliases: true };
    let agents = RefCell::new(BTreeMap::new());
    let known = |name: &str| {
        let agent = agent::resolve(name, &lookup).map_err(|error| match error.hint() {
            Some(hint) => format!("{error} ({hint})"),
            None => error.to_string(),
        })?;
        agents.borrow_mut().insert(name.to_owned(), agent);
        Ok(())
    };
    let graph = check(&plan, &known).map_err(|problems| {
        let failure = refusal(&source, &problems);
        let goal = problems.iter().any(|problem| matches!(problem.kind, Kind::NoGoal(..)));
        if goal { failure.hint(format!("cx run -f {source} \"GOAL\"")) } else { failure }
    })?;
    let agents = agents.into_inner();
    let unlimited = without_turns(&plan, &agents, &settings);
    plan.notes.extend(unlimited);
    Ok(Loaded { plan, graph, source, digest: read_from, agents })
}

/// Says of tasks that limit their turns where nothing can do that.
fn without_turns(
    plan: &Plan,
    agents: &BTreeMap<String, Resolved>,
    settings: &Settings,
) -> Option<String> {
    let backend = |task: &Task| {
        let agent = task.alias.as_ref().and_then(|alias| agents.get(alias));
        let name = task.backend.or(agent.and_then(|resolved| resolved.agent.backend));
        settings.backend(name.unwrap_or(settings.config.backend).first()).ok()
    };
    let mut tasks = plan.tasks.iter().filter_map(|task| {
        let (turns, backend) = (task.max_turns?, backend(task)?);
        backend::max_turns(&backend, turns).is_none().then_some((task, backend.name))
    });
    let (first, backend) = tasks.next()?;
    let more = match tasks.count() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let (id, backend) = (&first.id, backend.as_str());
    Some(format!("'max-turns' of task '{id}'{more} is not honoured: {backend} cannot limit turns"))
}

/// What tells one plan's file from another: SHA-256.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The plan of `--route` and `--route-files`.
fn routed(args: &RunArgs, session: &Session) -> Result<Plan, Failure> {
    let catalog = roles::catalog(session, args.agents_dir.as_deref())?;
    let asked = route::Asked { text: args.route.clone(), files: args.route_files.clone() };
    route::plan(session, &route::Directory::new(&catalog), &asked)
}

/// What a name stands for in a plan that runs.
pub(super) fn resolve(
    name: &str,
    (session, settings): (&Session, &Settings),
    stored: &Stored,
) -> Result<Resolved, Failure> {
    let mut aliases = stored.roles()?.aliases;
    aliases.extend(configured(settings)?);
    let places = session.places(stored.agents_dir());
    agent::resolve(name, &Lookup { places, aliases: &aliases, stock_aliases: true })
        .map_err(roles::failure)
}

/// The aliases of the command line, then those of the plan: the nearest first.
/// The plan gets all of them, since whoever goes on with the run has only that.
fn aliases(plan: &mut Plan, args: &RunArgs, source: &str) -> Result<Vec<Alias>, Failure> {
    let said = args.aliases.iter().map(|word| Alias::parse(word));
    let own = plan.aliases.iter().map(|(name, value)| Alias::from_value(name, value, source));
    let all: Vec<Alias> = said.chain(own).collect::<Result<_, _>>().map_err(bad_alias)?;
    for alias in all.iter().take(args.aliases.len()) {
        let mut value = json!({ "agent": alias.agent });
        agent::merge(&mut value, &alias.overrides);
        plan.aliases.insert(alias.name.clone(), value);
    }
    Ok(all)
}

/// Those of the configuration, which come after them.
fn configured(settings: &Settings) -> Result<Vec<Alias>, Failure> {
    let read = |alias: &config::Alias| {
        let origin = alias.origin.path().display().to_string();
        Alias::from_value(&alias.name, &alias.value, &origin)
    };
    settings.config.aliases.iter().map(read).collect::<Result<_, _>>().map_err(bad_alias)
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn bad_alias(error: AliasError) -> Failure {
    Failure::usage(error.to_string()).maybe_hint(error.hint())
}

/// The pattern of this name, or an error that names those that there are.
pub(super) fn pattern(name: &str) -> Result<&'static Pattern, Failure> {
    Pattern::find(name).ok_or_else(|| {
        let names = PATTERNS.map(|pattern| pattern.name);
        let hint = match nearest(name, names) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("there are {}; a plan of your own comes with -f", names.join(", ")),
        };
        Failure::usage(format!("there is no pattern '{name}'")).hint(hint)
    })
}

fn read(file: &Path) -> Result<(Vec<u8>, String), Failure> {
    let source = file.display().to_string();
    let failed = |e: io::Error| {
        let from = if source == "-" { "stdin" } else { source.as_str() };
        Failure::usage(format!("cannot read the plan from {from}: {e}"))
    };
    let mut bytes = Vec::new();
    if source == "-" {
        if io::stdin().is_terminal() {
            return Err(Failure::usage("stdin is a terminal, and gives no plan")
                .hint("pipe one in, or name a file"));
        }
        io::stdin().lock().take(MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = fs::File::open(file).map_err(failed)?;
        file.take(MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > MAX {
        return Err(Failure::usage(format!(
            "the plan in {source} is larger than {} MiB",
            MAX >> 20
        )));
    }
    Ok((bytes, source))
}

/// What the command line says about every task that does not say it itself.
fn apply(plan: &mut Plan, args: &RunArgs, settings: &Settings) -> Result<(), Failure> {
    let backend = args.backend.as_ref().map(|words| settings.choice(words)).transpose()?;
    for task in &mut plan.tasks {
        task.backend = task.backend.or(backend);
        task.model = task.model.take().or_else(|| args.model.clone());
    }
    plan.fail_fast = (plan.fail_fast || args.fail_fast) && !args.keep_going;
    plan.timeout = args.timeout.or(plan.timeout);
    plan.merge |= args.merge;
    Ok(())
}

/// All that is wrong, as one failure: a sentence for each, with its line.
fn refusal(source: &str, problems: &[Problem]) -> Failure {
    let line = |problem: &Problem| match problem.line {
        0 => format!("{source}: {}", problem.kind),
        line => format!("{source}:{line}: {}", problem.kind),
    };
    let mut lines: Vec<String> = problems.iter().take(MOST).map(line).collect();
    if problems.len() > MOST {
        lines.push(format!("{source}: and {} more", problems.len() - MOST));
    }
    let message = lines.join("\n           ");
    let mut hints: Vec<String> = problems.iter().filter_map(|p| p.kind.hint()).collect();
    hints.dedup();
    let hint = hints.into_iter().next();
    Failure::usage(message).maybe_hint(hint)
}
