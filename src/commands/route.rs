//! `cx route`: which agents a task or files call for, and why.
//!
//! Reads the agents' definitions and starts nothing. `cx run --route` takes its
//! plans from here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{roles, session::Session};
use crate::{
    agent::{
        Agent, Catalog, Source,
        route::{Match, Route, Router},
    },
    failure::{Exit, Failure},
    job::{JobName, slug},
    plan::{Plan, Task},
    ui,
};

/// Say which agents a task or files call for, and why
///
/// An agent is chosen by its triggers: keywords and regexes for the text of a
/// task, file patterns for files. The best comes first; docs/agents.md has the
/// rule. Nothing is started: `cx run --route` does that. The exit code is 1 if no
/// agent was found.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RouteArgs {
    /// What is to be done
    #[arg(value_name = "TEXT", required_unless_present = "files")]
    text: Vec<String>,

    /// The files that it is about
    #[arg(long, value_name = "PATH", num_args = 1.., value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    agents_dir: roles::AgentsDir,

    /// One JSON object with `routes` and `bad_triggers`
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  cx route \"Document the openapi endpoint\"
  cx route --files src/api/*.ts --json | jq -r '.routes[].agent'";

/// What was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// The text of a task.
    pub(super) text: Option<String>,
    /// Files, as they were named.
    pub(super) files: Vec<PathBuf>,
}

/// An agent that was chosen.
#[derive(Debug, Serialize)]
pub(super) struct Chosen {
    /// The name that reaches it: its id, or where two have that the qualified one.
    pub(super) agent: String,
    qualified: String,
    source: String,
    description: String,
    /// The points of all its matches.
    pub(super) score: usize,
    /// Why.
    pub(super) matches: Vec<Match>,
}

/// A trigger that is left out.
#[derive(Debug, Serialize)]
struct Bad {
    agent: String,
    file: String,
    /// 0 where it was not found.
    line: u64,
    trigger: String,
    problem: String,
}

/// Who is asked: all agents that can be used, under the names that reach them.
pub(super) struct Directory<'a> {
    agents: Vec<&'a Agent>,
    names: Vec<String>,
    router: Router,
    bad: Vec<Bad>,
}

impl<'a> Directory<'a> {
    /// Those of a catalog.
    pub(super) fn new(catalog: &'a Catalog) -> Self {
        let mut agents: Vec<&Agent> = catalog.iter().collect();
        agents.sort_by(|a, b| (&a.name, &a.qualified).cmp(&(&b.name, &b.qualified)));
        let mut bearers: BTreeMap<&str, usize> = BTreeMap::new();
        for agent in &agents {
            *bearers.entry(&agent.name).or_default() += 1;
        }
        let names: Vec<String> = agents
            .iter()
            .map(|agent| match bearers.get(agent.name.as_str()) {
                Some(1) | None => agent.name.clone(),
                Some(_) => agent.qualified.clone(),
            })
            .collect();
        let (router, bad) = Router::new(agents.iter().map(|agent| &agent.triggers));
        let bad = bad
            .into_iter()
            .filter_map(|bad| {
                let agent = agents.get(bad.agent)?;
                let (file, line) = place_of(&agent.source, &bad.pattern);
                Some(Bad {
                    agent: names.get(bad.agent)?.clone(),
                    file,
                    line,
                    trigger: bad.pattern,
                    problem: bad.problem,
                })
            })
            .collect();
        Self { agents, names, router, bad }
    }

    /// The agents with the names that reach them, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a Agent)> {
        self.names.iter().map(String::as_str).zip(self.agents.iter().copied())
    }

    /// Names the triggers that are left out.
    pub(super) fn warn(&self) {
        for bad in &self.bad {
            let Bad { agent, file, line, trigger, problem } = bad;
            let line = if *line == 0 { String::new() } else { format!(":{line}") };
            ui::warn(format_args!(
                "{file}{line}: the trigger '{trigger}' of '{agent}' {problem}, so it does nothing"
            ));
        }
    }

    /// The agents that a text calls for, the best first.
    pub(super) fn text(&self, text: &str) -> Vec<Chosen> {
        self.chosen(self.router.text(text))
    }

    /// The agents that files call for, the best first. Paths as [`rooted`] gives
    /// them.
    pub(super) fn files(&self, paths: &[String]) -> Vec<Chosen> {
        self.chosen(self.router.files(paths))
    }

    fn chosen(&self, routes: Vec<Route>) -> Vec<Chosen> {
        routes
            .into_iter()
            .filter_map(|route| {
                let agent = self.agents.get(route.agent)?;
                Some(Chosen {
                    agent: self.names.get(route.agent)?.clone(),
                    qualified: agent.qualified.clone(),
                    source: agent.source.to_string(),
                    description: agent.description.clone(),
                    score: route.score,
                    matches: route.matches,
                })
            })
            .collect()
    }
}

/// Runs the verb.
pub fn run(args: &RouteArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let catalog = roles::catalog(&session, args.agents_dir.path())?;
    let directory = Directory::new(&catalog);
    directory.warn();
    let mut routes = Vec::new();
    if !args.text.is_empty() {
        routes = directory.text(&args.text.join(" "));
    }
    for more in directory.files(&rooted(&session, &args.files)?) {
        match routes.iter_mut().find(|one| one.qualified == more.qualified) {
            Some(known) => {
                known.score += more.score;
                known.matches.extend(more.matches);
            }
            None => routes.push(more),
        }
    }
    routes.sort_by_key(|route| std::cmp::Reverse(route.score));
    let mut out = ui::out();
    if args.json {
        out.json(&serde_json::json!({ "routes": routes, "bad_triggers": directory.bad }))?;
    } else {
        for route in &routes {
            out.line(format_args!("{}  {}", route.agent, route.score))?;
            for one in &route.matches {
                out.line(format_args!("    {}", reason(one)))?;
            }
        }
    }
    out.finish()?;
    if routes.is_empty() {
        ui::note(nothing(&directory));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Success)
}

/// Why nobody was chosen.
fn nothing(directory: &Directory<'_>) -> String {
    match directory.agents.iter().filter(|agent| !agent.triggers.is_empty()).count() {
        0 => "no agent was found: none of them has triggers".to_owned(),
        some => format!("no agent was found: {some} have triggers, and none of these matches"),
    }
}

/// `keyword 'api' at 1:5: API (+3)`.
pub(super) fn reason(one: &Match) -> String {
    let kind = one.kind.as_str();
    let priority = one.priority.map(|it| format!(" ({})", it.as_str())).unwrap_or_default();
    let at = one.at.map(|at| format!(" at {}:{}", at.line, at.column)).unwrap_or_default();
    let matched = ui::cut(&ui::clean(&one.matched), 60);
    format!("{kind} '{}'{priority}{at}: {matched} (+{})", one.trigger, one.score)
}

/// The plan of `cx run --route` and `--route-files`: the text for each agent that
/// it calls for, and `Review FILE` for each file and each agent that it calls for.
///
/// A file for which there is no agent is named and left out.
///
/// # Errors
/// Exit 1 where no agent was found at all.
pub(super) fn plan(
    session: &Session,
    directory: &Directory<'_>,
    asked: &Asked,
) -> Result<Plan, Failure> {
    directory.warn();
    let mut plan = Plan { name: "route".to_owned(), ..Plan::default() };
    let mut ids = BTreeSet::new();
    if let Some(text) = &asked.text {
        let prompt = plan.literal(text);
        for chosen in directory.text(text) {
            let id = free(&mut ids, &chosen.agent, "");
            plan.tasks.push(Task {
                id,
                alias: Some(chosen.agent),
                prompt: prompt.clone(),
                ..Task::default()
            });
        }
    }
    for (path, named) in rooted(session, &asked.files)?.into_iter().zip(&asked.files) {
        let file = named.to_string_lossy();
        let prompt = plan.literal(&format!("Review {file}"));
        let chosen = directory.files(&[path]);
        if chosen.is_empty() {
            ui::warn(format_args!("no agent has a file pattern for {file}: it is left out"));
        }
        for chosen in chosen {
            let id = free(&mut ids, &chosen.agent, &file);
            plan.tasks.push(Task {
                id,
                alias: Some(chosen.agent),
                prompt: prompt.clone(),
                ..Task::default()
            });
        }
    }
    if plan.tasks.is_empty() {
        let why = nothing(directory);
        return Err(Failure::new(Exit::Failed, format!("{why}; nothing was started"))
            .hint("`cx agents list` names them; `cx spawn -t AGENT` starts one by its name"));
    }
    Ok(plan)
}

/// An id that no other task has, after an agent and the file it is about, if any.
fn free(ids: &mut BTreeSet<String>, agent: &str, file: &str) -> String {
    let mut id = slug(agent.rsplit('/').next().unwrap_or(agent));
    if let Some(name) = Path::new(file).file_name() {
        let joined = format!("{id}-{}", slug(&name.to_string_lossy()));
        // One that is too long goes without the file.
        id = JobName::new(&joined).unwrap_or(id);
    }
    let id = id.untaken(|name| ids.contains(name)).to_string();
    ids.insert(id.clone());
    id
}

/// Files by their paths from the checkout's root, as patterns mean them; one
/// outside of it, or without a checkout, by what it was called.
fn rooted(session: &Session, files: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let place = session.place.as_ref();
    let root = place.and_then(|place| place.checkout.as_deref());
    let prefix = place.map_or(Path::new(""), |place| place.prefix.as_path());
    files
        .iter()
        .map(|file| {
            let path = match root {
                _ if !file.is_absolute() => prefix.join(file),
                Some(root) => file.strip_prefix(root).unwrap_or(file).to_owned(),
                None => file.clone(),
            };
            let mut plain = PathBuf::new();
            for part in path.components() {
                match part {
                    Component::ParentDir => {
                        plain.pop();
                    }
                    Component::Normal(name) => plain.push(name),
                    _ => {}
                }
            }
            plain.into_os_string().into_string().map_err(|name| {
                Failure::usage(format!("the path {} is not UTF-8", name.display()))
                    .hint("rename the file, or leave it out")
            })
        })
        .collect()
}

/// Where a trigger stands: in the definition, or in the `triggers.json` of the
/// bundle around it. Line 0 where it is in neither as it was read.
fn place_of(source: &Source, trigger: &str) -> (String, u64) {
    let Some(path) = source.path() else { return (source.to_string(), 0) };
    let escaped = serde_json::Value::from(trigger).to_string();
    let doubled = trigger.replace('\'', "''");
    let line_in = |path: &Path| {
        let text = fs::read_to_string(path).ok()?;
        let spelt = [trigger, escaped.trim_matches('"'), &doubled];
        let line = text.lines().position(|line| spelt.iter().any(|one| line.contains(one)))?;
        Some(line as u64 + 1)
    };
    if let Some(line) = line_in(path) {
        return (path.display().to_string(), line);
    }
    // A bundle is three folders deep at most.
    let index = path.ancestors().skip(1).take(3).map(|folder| folder.join("triggers.json"));
    for file in index {
        if let Some(line) = line_in(&file) {
            return (file.display().to_string(), line);
        }
    }
    (path.display().to_string(), 0)
}
