//! What is looked up while jobs are checked, and kept: a plan has many tasks with
//! few agents, programs and bases.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::{SpawnArgs, plan::path_text, task::Task};
use crate::{
    agent::{self, Agent, Folders},
    commands::{
        session::{Session, git},
        settings::Settings,
    },
    failure::Failure,
    git::{
        Head, Oid, Repo,
        scope::{self, Scope},
    },
    job::{BackendKind, Mode},
};

/// A commit and the folder below the worktree's top.
type Base = (String, String);

/// What was found, for the time of one command.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// What was read there, for the next job of a group.
    pub(super) stdin: Option<Vec<u8>>,
    /// What the next job is to do, where nobody typed it.
    pub(super) given: Option<Task>,
    /// Where writers start that are not told otherwise; HEAD if nothing is said.
    pub(super) head: Option<String>,
    agents: HashMap<String, Agent>,
    programs: HashMap<(BackendKind, Option<String>, Mode), PathBuf>,
    bases: HashMap<Option<String>, Base>,
    readable: HashSet<(Base, Vec<String>)>,
}

impl Checks {
    pub(super) fn agent(&mut self, name: &str, session: &Session) -> Result<Agent, Failure> {
        if let Some(agent) = self.agents.get(name) {
            return Ok(agent.clone());
        }
        let checkout = session.place.as_ref().and_then(|place| place.checkout.as_deref());
        let agent = find_agent(name, session, checkout)?;
        self.agents.insert(name.to_owned(), agent.clone());
        Ok(agent)
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

    /// Where a writer starts, its scope found readable there.
    pub(super) fn base(
        &mut self,
        args: &SpawnArgs,
        scope: &[String],
        session: &Session,
    ) -> Result<Base, Failure> {
        let rev = args.base.as_ref().or(self.head.as_ref());
        let base = if let Some(base) = self.bases.get(&rev.cloned()) {
            base.clone()
        } else {
            let base = writer_base(rev, session)?;
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
fn readable(session: &Session, base: &(String, String), specs: &[String]) -> Result<(), Failure> {
    if specs.is_empty() {
        return Ok(());
    }
    let place = session.repository("a writer")?;
    let oid = Oid::new(&base.0).map_err(|e| Failure::internal(e.to_string()))?;
    let scope = Scope { prefix: Path::new(&base.1), specs };
    scope::files(place, &oid, scope).map(drop).map_err(|e| {
        Failure::usage(format!("--scope is no pathspec that git understands: {e}"))
            .hint("`git help glossary` describes pathspecs")
    })
}

fn find_agent(name: &str, session: &Session, checkout: Option<&Path>) -> Result<Agent, Failure> {
    let folders = Folders { checkout, config_home: &session.roots.config_home };
    let agent = agent::find(name, &folders)
        .map_err(|e| Failure::usage(e.to_string()).maybe_hint(e.hint()))?;
    if agent.needs_trust() {
        Settings::require_trusted_agent(session, name)?;
    }
    Ok(agent)
}

/// The commit that a writer starts from, and its folder below the worktree's top.
fn writer_base(rev: Option<&String>, session: &Session) -> Result<(String, String), Failure> {
    let place = session.repository("a writer")?;
    let repo = Repo::open(place);
    let oid = match rev {
        Some(rev) => repo.resolve_commit(rev).map_err(|e| {
            Failure::usage(e.to_string())
                .hint("--base takes a branch, a tag or a commit; `git branch -a` lists branches")
        })?,
        None => match repo.head().map_err(git)? {
            Head::Branch { oid, .. } | Head::Detached(oid) => oid,
            Head::Unborn(name) => {
                return Err(Failure::usage(format!(
                    "branch '{name}' has no commits yet, so a writer has nothing to start from"
                ))
                .hint("make a first commit: git commit --allow-empty -m start"));
            }
        },
    };
    Ok((oid.as_str().to_owned(), path_text(&place.prefix)?))
}
