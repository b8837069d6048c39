//! From a name to what a job is given.

use std::num::NonZeroU64;

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
    /// Whether the built-in aliases count, each where the bundle has its agent:
    /// after the agents in the repository's and the person's own files, before
    /// the built-in ones. So it is for plans, and where `--agents-dir` was given.
    pub stock_aliases: bool,
}

/// What a job is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The alias, where the name is one.
    pub alias: Option<String>,
    /// The agent, with what the alias lays over it.
    pub agent: Agent,
    /// How many jobs of this pool may run at once.
    pub limit: Option<NonZeroU64>,
    /// What the limit counts: the alias, or the agent's qualified name.
    pub pool: String,
}

/// Finds what `name` stands for.
///
/// # Errors
/// Those of [`AgentError`].
pub fn resolve(name: &str, lookup: &Lookup) -> Result<Resolved, AgentError> {
    let alias = lookup.aliases.iter().find(|alias| alias.name == name);
    match alias {
        Some(alias) => through(alias, lookup),
        None => super::find(name, &lookup.places).map(plain),
    }
}

fn plain(agent: Agent) -> Resolved {
    Resolved { alias: None, limit: agent.limit, pool: agent.qualified.clone(), agent }
}

fn through(alias: &Alias, lookup: &Lookup) -> Result<Resolved, AgentError> {
    let agent = alias.lay_over(super::find(&alias.agent, &lookup.places)?)?;
    let name = alias.name.clone();
    Ok(Resolved { alias: Some(name.clone()), limit: agent.limit, pool: name, agent })
}
