//! What is looked up while jobs are checked, and kept: a plan has many tasks with
//! few agents, programs and bases.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::{SpawnArgs, base::tree_base, role::Role, task::Task, words::Values};
use crate::{
    agent::Alias,
    backend::Backend,
    commands::{session::Session, settings::Settings},
    failure::Failure,
    git::{
        Oid,
        scope::{self, Scope},
    },
    job::{BackendName, Budget, Mode},
    ledger::Job,
};

/// A commit and the folder below the worktree's top.
type Base = (String, String);

/// What a job is to do that nobody typed.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) task: Task,
    /// The jobs that it comes after.
    pub(super) after: Vec<Job>,
    /// What its agent's template may name; those of a job that was typed if it is none.
    pub(super) values: Option<Values>,
}

/// What was found, for the time of one command.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What was read there, for the next job of a group.
    pub(super) stdin: Option<Vec<u8>>,
    /// What the next job is to do, where nobody typed it.
    pub(super) given: Option<Given>,
    /// The budget of the run, where there is one.
    pub(super) budget: Option<Budget>,
    /// The aliases of the plan, where there is one.
    aliases: Option<Vec<Alias>>,
    /// Where writers start that are not told otherwise; HEAD if nothing is said.
    head: Option<String>,
    roles: HashMap<(String, Vec<String>), Role>,
    programs: HashMap<(BackendName, Option<String>, Mode), PathBuf>,
    bases: HashMap<Option<String>, Base>,
    readable: HashSet<(Base, Vec<String>)>,
}

impl Known {
    pub(super) fn of_plan(
        aliases: Vec<Alias>,
        head: Option<String>,
        budget: Option<Budget>,
    ) -> Self {
        Self { aliases: Some(aliases), head, budget, ..Self::default() }
    }

    pub(super) fn role(
        &mut self,
        name: Option<&str>,
        args: &SpawnArgs,
        session: &Session,
        settings: &Settings,
    ) -> Result<Option<Role>, Failure> {
        let key = name.map(|name| (name.to_owned(), args.tool.clone()));
        if let Some(role) = key.as_ref().and_then(|key| self.roles.get(key)) {
            return Ok(Some(role.clone()));
        }
        let role = Role::find(name, args, self.aliases.as_deref(), (session, settings))?;
        if let (Some(key), Some(role)) = (key, &role) {
            self.roles.insert(key, role.clone());
        }
        Ok(role)
    }

    pub(super) fn program(
        &mut self,
        backend: &Backend,
        word: Option<&String>,
        mode: Mode,
        (session, settings): (&Session, &Settings),
    ) -> Result<PathBuf, Failure> {
        let key = (backend.name, word.cloned(), mode);
        if let Some(program) = self.programs.get(&key) {
            return Ok(program.clone());
        }
        let program = settings.program(backend, word, mode, &session.cwd)?;
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

/// How many pathspecs git is asked about at once.
const SPECS: usize = 500;

impl Known {
    /// Asks git about the scopes of many jobs at once. Where it does not understand
    /// all of them, each is asked about when its turn comes.
    pub(super) fn scopes(&mut self, scopes: &[Vec<String>], session: &Session) {
        let args = SpawnArgs::default();
        let Ok(base) = self.base(&args, &[], (session, "a writer")) else { return };
        for some in scopes.chunks(SPECS) {
            let specs: Vec<String> = some.iter().flatten().cloned().collect();
            if readable(session, &base, &specs).is_ok() {
                self.readable.extend(some.iter().map(|scope| (base.clone(), scope.clone())));
            }
        }
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
