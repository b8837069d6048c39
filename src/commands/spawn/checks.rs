//! What is looked up while jobs are checked, and kept: a plan has many tasks with
//! few agents, programs and bases.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::{SpawnArgs, base::tree_base, task::Task};
use crate::{
    agent::{self, Alias, Lookup, Resolved},
    commands::{session::Session, settings::Settings},
    failure::Failure,
    git::{
        Oid,
        scope::{self, Scope},
    },
    job::{BackendKind, Mode},
    ledger::Job,
};

/// A commit and the folder below the worktree's top.
type Base = (String, String);

/// What stands for an agent's name, besides the files in their usual places.
#[derive(Clone, Debug, Default)]
pub(in crate::commands) struct Names {
    /// The nearest first.
    pub(in crate::commands) aliases: Vec<Alias>,
    /// `--agents-dir`.
    pub(in crate::commands) agents_dir: Option<PathBuf>,
    /// Whether the built-in aliases count.
    pub(in crate::commands) stock: bool,
}

/// What a job is to do that nobody typed.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) task: Task,
    /// The jobs that it comes after.
    pub(super) after: Vec<Job>,
}

/// What was found, for the time of one command.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// What was read there, for the next job of a group.
    pub(super) stdin: Option<Vec<u8>>,
    /// What the next job is to do, where nobody typed it.
    pub(super) given: Option<Given>,
    names: Names,
    /// Where writers start that are not told otherwise; HEAD if nothing is said.
    head: Option<String>,
    agents: HashMap<String, Resolved>,
    programs: HashMap<(BackendKind, Option<String>, Mode), PathBuf>,
    bases: HashMap<Option<String>, Base>,
    readable: HashSet<(Base, Vec<String>)>,
}

impl Checks {
    pub(super) fn with(names: Names, head: Option<String>) -> Self {
        Self { names, head, ..Self::default() }
    }

    pub(super) fn agent(&mut self, name: &str, session: &Session) -> Result<Resolved, Failure> {
        if let Some(found) = self.agents.get(name) {
            return Ok(found.clone());
        }
        let lookup = Lookup {
            places: session.places(self.names.agents_dir.as_deref()),
            aliases: &self.names.aliases,
            stock_aliases: self.names.stock,
        };
        let found = agent::resolve(name, &lookup)
            .map_err(|e| Failure::usage(e.to_string()).maybe_hint(e.hint()))?;
        if found.agent.needs_trust() {
            Settings::require_trusted_agent(session, name)?;
        }
        self.agents.insert(name.to_owned(), found.clone());
        Ok(found)
    }

    pub(super) fn program(
        &mut self,
        kind: BackendKind,
        word: Option<&String>,
        mode: Mode,
        (session, settings): (&Session, &Settings),
    ) -> Result<PathBuf, Failure> {
        let key = (kind, word.cloned(), mode);
        if let Some(program) = self.programs.get(&key) {
            return Ok(program.clone());
        }
        let program = settings.program(kind, word, mode, &session.cwd)?;
        self.programs.insert(key, program.clone());
        Ok(program)
    }

    /// Where a worktree starts; a writer's scope is found readable there.
    pub(super) fn base(
        &mut self,
        args: &SpawnArgs,
        scope: &[String],
        (session, who): (&Session, &str),
    ) -> Result<Base, Failure> {
        let rev = args.base.as_ref().or(self.head.as_ref());
        let base = if let Some(base) = self.bases.get(&rev.cloned()) {
            base.clone()
        } else {
            let base = tree_base(rev, session, who)?;
            self.bases.insert(rev.cloned(), base.clone());
            base
        };
        let key = (base, scope.to_vec());
        if !scope.is_empty() && !self.readable.contains(&key) {
            readable(session, &key.0, scope)?;
            self.readable.insert(key.clone());
        }
        Ok(key.0)
    }
}

/// Whether git understands the pathspecs.
fn readable(session: &Session, base: &Base, specs: &[String]) -> Result<(), Failure> {
    let place = session.repository("a writer")?;
    let oid = Oid::new(&base.0).map_err(|e| Failure::internal(e.to_string()))?;
    let scope = Scope { prefix: Path::new(&base.1), specs };
    scope::files(place, &oid, scope).map(drop).map_err(|e| {
        Failure::usage(format!("--scope is no pathspec that git understands: {e}"))
            .hint("`git help glossary` describes pathspecs")
    })
}
