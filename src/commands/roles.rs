//! Names of agents and aliases, for every verb that takes one.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::{claims, session::Session, settings::Settings};
use crate::{
    agent::{self, AgentError, Alias, Catalog, Lookup, Resolved},
    config::Trust,
    failure::Failure,
};

/// The option of every verb that takes an agent.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct AgentsDir {
    /// A bundle of agents: a folder with `DOMAIN/ID.codex.yaml`; its aliases count
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    agents_dir: Option<PathBuf>,
}

impl AgentsDir {
    /// As if that had been said.
    pub(super) fn at(agents_dir: Option<PathBuf>) -> Self {
        Self { agents_dir }
    }

    /// The folder.
    pub(super) fn path(&self) -> Option<&Path> {
        self.agents_dir.as_deref()
    }
}

/// How names are understood by one command.
#[derive(Debug)]
pub(super) struct Roles<'a> {
    session: &'a Session,
    agents_dir: Option<&'a Path>,
    aliases: Vec<Alias>,
    stock_aliases: bool,
}

impl<'a> Roles<'a> {
    /// `words` are those of `--alias`, `nearer` the aliases of a plan. The built-in
    /// ones count for a plan, and where `--agents-dir` was given.
    pub(super) fn new(
        session: &'a Session,
        settings: &Settings,
        words: &[String],
        nearer: Vec<Alias>,
        agents_dir: &'a AgentsDir,
        is_plan: bool,
    ) -> Result<Self, Failure> {
        let wrong = |e: agent::AliasError| Failure::usage(e.to_string()).maybe_hint(e.hint());
        let mut aliases = words
            .iter()
            .map(|word| Alias::parse(word))
            .collect::<Result<Vec<_>, _>>()
            .map_err(wrong)?;
        aliases.extend(nearer);
        for alias in &settings.config.aliases {
            let origin = alias.origin.path().display().to_string();
            aliases.push(Alias::from_value(&alias.name, &alias.value, &origin).map_err(wrong)?);
        }
        let agents_dir = agents_dir.path();
        Ok(Self { session, agents_dir, aliases, stock_aliases: is_plan || agents_dir.is_some() })
    }

    /// Where names are looked up.
    pub(super) fn lookup(&self) -> Lookup<'_> {
        Lookup {
            places: self.session.places(self.agents_dir),
            aliases: &self.aliases,
            stock_aliases: self.stock_aliases,
        }
    }

    /// What a name stands for. What its file would have run has to be trusted: `sh`
    /// as its backend in any case, hooks where they are to run.
    pub(super) fn resolve(&self, name: &str, hooks: bool) -> Result<Resolved, Failure> {
        let found = agent::resolve(name, &self.lookup()).map_err(failure)?;
        let is_hook = |key: &str| key.starts_with("hooks.");
        if found.wants.iter().any(|(key, _)| hooks || !is_hook(key)) {
            self.require_trust(name, &found)?;
        }
        Ok(found)
    }

    /// Refuses what the repository's own file would run and nobody trusts.
    fn require_trust(&self, name: &str, found: &Resolved) -> Result<(), Failure> {
        let source = &found.agent.source;
        let Some(claim) = claims::of_agent(self.session, source, &found.wants)? else {
            return Ok(());
        };
        if Trust::open(&self.session.roots.state_home).is_trusted(&claim) {
            return Ok(());
        }
        let runs = if found.wants.iter().any(|(key, _)| key == "backend") {
            "runs shell scripts"
        } else {
            "has hooks"
        };
        let dir = self.agents_dir.map(|dir| format!(" --agents-dir {}", dir.display()));
        Err(Failure::usage(format!(
            "agent '{name}' of this repository {runs}, and is not trusted; nothing was started"
        ))
        .hint(format!("`cx trust --show{}` shows what the repository would run; without --show it is trusted at once", dir.unwrap_or_default())))
    }
}

/// All agents that there are; `agents_dir` is what `--agents-dir` says.
pub(super) fn catalog(session: &Session, agents_dir: Option<&Path>) -> Result<Catalog, Failure> {
    Catalog::load(&session.places(agents_dir)).map_err(failure)
}

/// A failure to find an agent.
#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
pub(super) fn failure(error: AgentError) -> Failure {
    Failure::usage(error.to_string()).maybe_hint(error.hint())
}
