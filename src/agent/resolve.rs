//! From a name to what a job is given.

use std::num::NonZeroU64;

use super::foreign::{self, Bundle};
use super::lookup::{file_definition, find, is_built_in};
use super::{Agent, AgentError, Alias, Places};

/// Where a name is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    /// Where agents lie.
    pub places: Places<'a>,
    /// Aliases, the nearest first: those of the command line, of the plan, of the
    /// configuration. The first of a name wins, and every one of them wins over an
    /// agent of that name.
    pub aliases: &'a [Alias],
    /// Whether the built-in aliases count: after the agents in the repository's and
    /// the person's own files, before the built-in ones. One whose agent the bundle
    /// does not have stands for an agent of cx, where nothing else has its name. So
    /// it is for plans, and where `--agents-dir` was given.
    pub stock_aliases: bool,
}

/// What a job is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The alias, where the name is one.
    pub alias: Option<String>,
    /// The agent of codex-flow's bundle in whose place this one is, as that is not
    /// there.
    pub stands_in_for: Option<String>,
    /// The agent, with what the alias lays over it.
    pub agent: Agent,
    /// How many jobs of this pool may run at once.
    pub limit: Option<NonZeroU64>,
    /// What the definition itself would have run on this machine, as key and JSON: a
    /// file of a repository may be asked for trust.
    pub wants: Vec<(String, String)>,
    /// What the limit counts: the alias, or the agent's qualified name.
    pub pool: String,
}

/// Finds what `name` stands for.
///
/// # Errors
/// Those of [`AgentError`].
pub fn resolve(name: &str, lookup: &Lookup) -> Result<Resolved, AgentError> {
    if let Some((alias, stands_in_for)) = found(name, lookup)? {
        let agent = target(&alias, lookup)?;
        let wants = agent.wants();
        let agent = alias.lay_over(agent)?;
        let (pool, limit) = (alias.name, agent.limit);
        return Ok(Resolved {
            alias: Some(pool.clone()),
            stands_in_for,
            agent,
            limit,
            wants,
            pool,
        });
    }
    let agent = find(name, &lookup.places)?;
    let (wants, pool) = (agent.wants(), agent.qualified.clone());
    Ok(Resolved { alias: None, stands_in_for: None, limit: agent.limit, wants, pool, agent })
}

/// The alias that `name` is, if it is one. Reads no agent.
///
/// # Errors
/// Those of [`resolve`] that come of looking.
pub fn alias(name: &str, lookup: &Lookup) -> Result<Option<Alias>, AgentError> {
    Ok(found(name, lookup)?.map(|(alias, _)| alias))
}

/// The alias that `name` is, and for whom its agent stands in.
fn found(name: &str, lookup: &Lookup) -> Result<Option<(Alias, Option<String>)>, AgentError> {
    if let Some(alias) = lookup.aliases.iter().find(|alias| alias.name == name) {
        return Ok(Some((alias.clone(), None)));
    }
    let Some(stock) = Alias::stock().find(|alias| lookup.stock_aliases && alias.name == name)
    else {
        return Ok(None);
    };
    // What somebody has written comes before what cx brings along.
    if file_definition(name, &lookup.places)?.is_some() {
        return Ok(None);
    }
    let bundle = Bundle::find(&lookup.places)?;
    if bundle.is_some_and(|bundle| bundle.has(&stock.agent)) {
        return Ok(Some((stock, None)));
    }
    if is_built_in(name) || !foreign::named(name, &lookup.places)?.is_empty() {
        return Ok(None);
    }
    Ok(Alias::stand_in(name).map(|alias| (alias, Some(stock.agent))))
}

/// What an alias makes of its agent.
///
/// # Errors
/// Those of [`resolve`].
pub fn laid_over(alias: &Alias, lookup: &Lookup) -> Result<Agent, AgentError> {
    alias.lay_over(target(alias, lookup)?)
}

/// The agent of an alias.
fn target(alias: &Alias, lookup: &Lookup) -> Result<Agent, AgentError> {
    let found = find(&alias.agent, &lookup.places);
    if let Err(AgentError::Unknown { .. }) = &found
        && let Some(other) = lookup.aliases.iter().find(|other| other.name == alias.agent)
    {
        return Err(alias.wrong(format!(
            "'{}' is an alias too, and an alias stands for an agent: write '{}'",
            other.name, other.agent
        )));
    }
    found
}

#[cfg(test)]
mod tests;
