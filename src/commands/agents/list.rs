//! `cx agents list`

use serde::Serialize;

use super::ListArgs;
use crate::{
    agent::{Alias, Catalog, Entry},
    commands::{
        roles::{Roles, catalog},
        session::Session,
        settings::Settings,
    },
    failure::{Exit, Failure},
    ui::{self, Align, Table},
};

#[derive(Serialize)]
struct Row {
    /// The id.
    name: String,
    /// Its own name, which nothing else has.
    qualified: String,
    /// What reaches it: the id, or the qualified name.
    handle: String,
    kind: &'static str,
    mode: Option<String>,
    description: String,
    source: String,
    shadowed_by: Option<String>,
    /// Longer names of others with the same id, where no one of them comes first.
    rivals: Vec<String>,
    /// The agent, of an alias.
    alias_of: Option<String>,
    error: Option<String>,
    not_honoured: Vec<String>,
}

pub(super) fn run(session: &Session, args: &ListArgs) -> Result<Exit, Failure> {
    let settings = Settings::load(session)?;
    let roles = Roles::new(session, &settings, &[], Vec::new(), &args.agents_dir, false)?;
    let catalog = catalog(session, args.agents_dir.path())?;
    let aliases = aliases(&roles, &catalog);
    let mut rows: Vec<Row> = catalog.entries().iter().map(of_agent).collect();
    for row in &mut rows {
        let alias = aliases.iter().find(|(alias, counts)| *counts && alias.name == row.name);
        // What is in a file of cx's own comes before a built-in alias.
        if let Some((alias, _)) = alias
            && row.shadowed_by.is_none()
            && row.handle == row.name
        {
            row.shadowed_by = Some(format!("the alias of {}", alias.agent));
            row.handle.clone_from(&row.qualified);
        }
    }
    rows.extend(aliases.iter().map(|(alias, counts)| of_alias(alias, *counts, &roles)));
    rows.sort_by(|a, b| a.name.cmp(&b.name).then((b.kind == "alias").cmp(&(a.kind == "alias"))));
    let broken = rows.iter().any(|row| row.error.is_some());
    let mut out = ui::out();
    if args.json {
        out.json(&rows)?;
    } else {
        let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Left]);
        for row in &rows {
            let mut text = ui::clean(row.error.as_deref().unwrap_or(&row.description));
            if let Some(by) = &row.shadowed_by {
                let how = if row.handle == row.name { "not used" } else { "by this name only" };
                text = format!("({how}: {by} comes first)");
            }
            let mode = row.mode.clone().unwrap_or_else(|| "broken".to_owned());
            table.row(vec![row.handle.clone(), mode, text, row.source.clone()]);
        }
        for line in table.lines(ui::is_terminal().then(ui::columns), &[2, 3]) {
            out.line(line)?;
        }
    }
    out.finish()?;
    Ok(if broken { Exit::Failed } else { Exit::Success })
}

/// The aliases, and whether each counts for `cx spawn` here: a built-in one does
/// only with `--agents-dir`.
pub(super) fn aliases(roles: &Roles<'_>, catalog: &Catalog) -> Vec<(Alias, bool)> {
    let lookup = roles.lookup();
    let mut all: Vec<(Alias, bool)> = Vec::new();
    for alias in lookup.aliases {
        if !all.iter().any(|(known, _)| known.name == alias.name) {
            all.push((alias.clone(), true));
        }
    }
    for alias in Alias::stock() {
        let there = catalog.entries().iter().any(|entry| entry.qualified == alias.agent);
        let own_file = catalog.entries().iter().any(|entry| {
            entry.name == alias.name && entry.source.is_own() && entry.source.path().is_some()
        });
        if there && !own_file && !all.iter().any(|(known, _)| known.name == alias.name) {
            all.push((alias, lookup.stock_aliases));
        }
    }
    all
}

fn of_agent(entry: &Entry) -> Row {
    let agent = entry.agent.as_ref().ok();
    Row {
        name: entry.name.clone(),
        qualified: entry.qualified.clone(),
        handle: if entry.is_hidden() { entry.name.clone() } else { entry.handle().to_owned() },
        kind: entry.source.kind(),
        mode: agent.map(|agent| agent.mode.to_string()),
        description: agent.map(|agent| agent.description.clone()).unwrap_or_default(),
        source: entry.source.to_string(),
        shadowed_by: entry.shadowed_by.as_ref().map(ToString::to_string),
        rivals: entry.rivals.iter().map(|(name, _)| name.clone()).collect(),
        alias_of: None,
        error: entry.agent.as_ref().err().map(ToString::to_string),
        not_honoured: agent
            .map(|agent| agent.extra.iter().map(|extra| extra.key.clone()).collect())
            .unwrap_or_default(),
    }
}

fn of_alias(alias: &Alias, counts: bool, roles: &Roles<'_>) -> Row {
    let found = crate::agent::laid_over(alias, &roles.lookup());
    let when = if counts { "" } else { ", in plans and with --agents-dir" };
    Row {
        name: alias.name.clone(),
        qualified: alias.name.clone(),
        handle: alias.name.clone(),
        kind: "alias",
        mode: found.as_ref().ok().map(|agent| agent.mode.to_string()),
        description: format!("alias of {}{when}", alias.agent),
        source: alias.origin.clone(),
        shadowed_by: None,
        rivals: Vec::new(),
        alias_of: Some(alias.agent.clone()),
        error: found.err().map(|error| match error {
            error @ crate::agent::AgentError::Alias(_) => error.to_string(),
            error => format!("alias: {error}"),
        }),
        not_honoured: Vec::new(),
    }
}
