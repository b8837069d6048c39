//! `cx agents check`

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::keys::{self, Key, at};
use crate::{
    agent::{self, Agent, AgentError, Catalog, Entry, Source, route::Router},
    commands::{
        roles::{AgentsDir, Roles, failure},
        session::Session,
        settings::Settings,
    },
    failure::{Exit, Failure},
    ui,
};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// A file, or an agent; without any, every definition that can be found
    #[arg(value_name = "FILE|AGENT", add = crate::commands::candidates::agent())]
    what: Vec<String>,
    /// One JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    agents_dir: AgentsDir,
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Finding {
    /// The file, or where it was said.
    place: String,
    /// From 1; 0 where there is none to name.
    line: u64,
    kind: Kind,
    text: String,
    /// The key, where it is not honoured.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Problem,
    Duplicate,
    NotHonoured,
}

pub(super) fn run(session: &Session, args: &CheckArgs) -> Result<Exit, Failure> {
    let places = session.places(args.agents_dir.path());
    let mut findings = Vec::new();
    let mut count = 0;
    if args.what.is_empty() {
        let catalog = Catalog::load(&places).map_err(failure)?;
        count = catalog.entries().len();
        catalog.entries().iter().for_each(|entry| definition(entry, &mut findings));
        duplicates(&catalog, &mut findings);
        findings.extend(catalog.flaws().iter().map(|flaw| Finding {
            place: flaw.path.display().to_string(),
            line: flaw.line,
            kind: Kind::Problem,
            text: flaw.problem.clone(),
            key: None,
        }));
        aliases(session, args, &mut findings);
    }
    let mut catalog = None;
    for word in &args.what {
        let path = Path::new(word);
        if path.is_file() {
            count += 1;
            match agent::read_file(path) {
                Ok(found) => agent_findings(&found, &mut findings),
                Err(error) => findings.push(broken(&error)),
            }
            continue;
        }
        let catalog = match &mut catalog {
            Some(catalog) => catalog,
            none => none.insert(Catalog::load(&places).map_err(failure)?),
        };
        let named: Vec<&Entry> = catalog
            .entries()
            .iter()
            .filter(|entry| entry.name == *word || entry.qualified == *word)
            .collect();
        if named.is_empty() {
            return Err(failure(match agent::find(word, &places) {
                Err(error) => error,
                Ok(_) => AgentError::Unknown { name: word.clone(), nearest: Vec::new() },
            }));
        }
        count += named.len();
        for entry in named {
            definition(entry, &mut findings);
        }
    }
    findings.sort();
    findings.dedup();
    let wrong = findings.iter().filter(|finding| finding.kind != Kind::NotHonoured).count();
    let mut out = ui::out();
    if args.json {
        out.json(&findings)?;
    } else {
        for line in lines(&findings) {
            out.line(line)?;
        }
    }
    out.finish()?;
    ui::note(format_args!(
        "{}, {}",
        ui::plural(count as u64, "definition"),
        ui::plural(wrong as u64, "problem")
    ));
    Ok(if wrong > 0 { Exit::Failed } else { Exit::Success })
}

fn definition(entry: &Entry, findings: &mut Vec<Finding>) {
    match &entry.agent {
        Ok(agent) => agent_findings(agent, findings),
        Err(error) => findings.push(broken(error)),
    }
}

fn agent_findings(agent: &Agent, findings: &mut Vec<Finding>) {
    findings.extend(keys::of(agent).map(|Key { place, line, name }| Finding {
        place,
        line,
        kind: Kind::NotHonoured,
        text: format!("'{name}' is not honoured"),
        key: Some(name),
    }));
    let place = agent.source.to_string();
    let (_, bad) = Router::new([&agent.triggers]);
    findings.extend(bad.into_iter().map(|bad| Finding {
        place: place.clone(),
        line: line_with(&agent.source, &bad.pattern),
        kind: Kind::Problem,
        text: format!("the trigger '{}' {}", bad.pattern, bad.problem),
        key: None,
    }));
}

/// The line in which a trigger stands; 0 where it stands in another file.
fn line_with(source: &Source, pattern: &str) -> u64 {
    let Some(text) = source.path().and_then(|path| std::fs::read_to_string(path).ok()) else {
        return 0;
    };
    text.lines().zip(1..).find(|(line, _)| line.contains(pattern)).map_or(0, |(_, number)| number)
}

fn broken(error: &AgentError) -> Finding {
    let (place, line, text) = match error {
        AgentError::Invalid { place, line, problem } => (place.to_string(), *line, problem.clone()),
        AgentError::Unreadable { path, error } => {
            (path.display().to_string(), 0, format!("cannot be read: {error}"))
        }
        other => (String::new(), 0, other.to_string()),
    };
    Finding { place, line, kind: Kind::Problem, text, key: None }
}

/// Ids that only their longer names tell apart, each said once.
fn duplicates(catalog: &Catalog, findings: &mut Vec<Finding>) {
    for same in catalog.entries().chunk_by(|a, b| a.name == b.name) {
        let rivals: Vec<&Entry> = same.iter().filter(|entry| !entry.rivals.is_empty()).collect();
        let [first, others @ ..] = rivals.as_slice() else { continue };
        let names: Vec<&str> = rivals.iter().map(|entry| entry.qualified.as_str()).collect();
        let places: Vec<String> = others.iter().map(|entry| entry.source.to_string()).collect();
        findings.push(Finding {
            place: first.source.to_string(),
            line: 1,
            kind: Kind::Duplicate,
            text: format!(
                "the id '{}' is that of {} as well: write {}",
                first.name,
                places.join(" and "),
                names.join(" or ")
            ),
            key: None,
        });
    }
}

/// Aliases that stand for nothing, or set what cannot be.
fn aliases(session: &Session, args: &CheckArgs, findings: &mut Vec<Finding>) {
    let mut say = |place: String, text: String| {
        findings.push(Finding { place, line: 0, kind: Kind::Problem, text, key: None });
    };
    let settings = match Settings::load(session) {
        Ok(settings) => settings,
        Err(failure) => return say(String::new(), failure.message),
    };
    let roles = match Roles::new(session, &settings, &[], Vec::new(), &args.agents_dir, false) {
        Ok(roles) => roles,
        Err(failure) => return say(String::new(), failure.message),
    };
    for alias in roles.lookup().aliases {
        if let Err(error) = agent::laid_over(alias, &roles.lookup()) {
            say(alias.origin.clone(), format!("the alias '{}': {error}", alias.name));
        }
    }
}

/// Problems, then the keys.
fn lines(findings: &[Finding]) -> Vec<String> {
    let problems = findings.iter().filter(|finding| finding.key.is_none());
    let problems =
        problems.map(|found| format!("{}{}", at(&found.place, found.line), ui::clean(&found.text)));
    let keys = findings.iter().filter_map(|finding| {
        let Finding { place, line, key, .. } = finding;
        Some(Key { place: place.clone(), line: *line, name: key.clone()? })
    });
    problems.chain(keys::lines(&keys.collect::<Vec<_>>(), "honoured")).collect()
}
