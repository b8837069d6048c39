//! What a run keeps of itself in `runs/ID/plan.json`: enough for another process
//! to go on with it.
//!
//! The file is replaced whole, before the ledger says which revision it has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::args::RunArgs;
use crate::{
    agent::{Alias, Resolved},
    commands::{
        session::{Session, store},
        spawn::PlanRoles,
    },
    failure::Failure,
    job::{Budget, BudgetOf, Usd},
    ledger::RunFiles,
    plan::{Plan, Task, revise::Difference},
    process::tty,
};

const VERSION: u32 = 1;

/// How many jobs of a run live at once where nobody says.
const JOBS: NonZeroU64 = NonZeroU64::new(8).expect("8 is not 0");

/// How many bytes of one answer another task gets to see where nobody says.
const ANSWER_BYTES: NonZeroU32 = NonZeroU32::new(32 * 1024).expect("32 KiB is not 0");

/// What the command line says about the run that the plan has not taken in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    /// The most jobs of the run that may live at once.
    jobs: Option<NonZeroU64>,
    /// The most jobs of the repository that may run at once.
    max_jobs: Option<NonZeroU64>,
    /// How often a task is tried again that does not say so itself.
    retries: Option<u32>,
    /// How much of one answer another task gets to see.
    answer_bytes: Option<NonZeroU32>,
    /// What all its jobs may use together: tokens, dollars.
    max_tokens: Option<NonZeroU64>,
    max_budget_usd: Option<Usd>,
    /// Its jobs fail at once where the model's service refuses for rate.
    no_hold: bool,
    /// Where the server is that does the tasks of the backend http. Its token is nobody's
    /// to keep.
    codex_url: Option<String>,
    /// `--agents-dir`, absolute.
    agents_dir: Option<PathBuf>,
    /// Run the agents' hooks.
    hooks: bool,
    /// Refuse a task that needs a tool that its agent may not use.
    strict_tools: bool,
    /// Who revises the plan after each phase: a planner or a shell command.
    revise_plan: Option<String>,
    /// Where records in codex-flow's shapes are kept, absolute.
    records: Option<PathBuf>,
    /// The person is told of its end.
    notify: bool,
    /// The terminal from which it was started, where the person is to be told.
    terminal: Option<PathBuf>,
}

impl Options {
    pub(super) fn said(args: &RunArgs, session: &Session) -> Self {
        Self {
            jobs: args.jobs,
            max_jobs: args.max_jobs,
            retries: args.retries,
            answer_bytes: args.answer_bytes,
            max_tokens: args.max_tokens,
            max_budget_usd: args.max_budget_usd,
            no_hold: args.no_hold,
            codex_url: args.codex_url.clone(),
            agents_dir: args.agents_dir.as_ref().map(|dir| session.cwd.join(dir)),
            hooks: args.hooks,
            strict_tools: args.strict_tools,
            revise_plan: args.revise_plan.clone(),
            records: args.compat.map(|_| match &args.compat_dir {
                Some(dir) => session.cwd.join(dir),
                None => session.top().to_owned(),
            }),
            notify: args.notify,
            terminal: Self::terminal_of(args),
        }
    }

    /// Where it goes on elsewhere, this is where the person is.
    fn terminal_of(args: &RunArgs) -> Option<PathBuf> {
        if args.notify || args.detach { tty::own() } else { None }
    }
}

/// What an alias of the plan stands for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Role {
    /// The agent's name.
    pub(super) agent: String,
    /// What its limit counts.
    pub(super) pool: String,
    /// How many jobs of the pool may run at once.
    pub(super) limit: Option<NonZeroU64>,
    /// How often its tasks are tried again, where nobody else says.
    retries: Option<u32>,
}

impl Role {
    pub(super) fn of(resolved: Resolved) -> Self {
        let Resolved { agent, pool, limit, .. } = resolved;
        Self { retries: agent.retries, agent: agent.name, pool, limit }
    }
}

/// A plan that was read and checked by itself.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) plan: Plan,
    /// Where it was read.
    pub(super) source: String,
    /// The hash of that file, where there is one.
    pub(super) digest: Option<String>,
    pub(super) options: Options,
    /// What its aliases stand for.
    pub(super) agents: BTreeMap<String, Resolved>,
}

/// A run as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    version: u32,
    /// Counts the plans that were in force, from 1.
    pub(super) revision: u64,
    /// What the last revision has changed.
    #[serde(default)]
    pub(super) difference: Difference,
    /// The tasks that had begun when the reviser was asked last.
    #[serde(default)]
    pub(super) seen: BTreeSet<String>,
    /// Where it was started: readers work there.
    pub(super) cwd: PathBuf,
    /// Where the plan was read: a file, `-`, or a pattern's name.
    pub(super) source: String,
    /// The hash of that file as it was, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    /// The commit that all writers start from, where there are any: where HEAD was.
    /// What is committed meanwhile does not make one task differ from another.
    pub(super) base: Option<String>,
    /// By alias.
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) options: Options,
    pub(super) plan: Plan,
}

impl Stored {
    pub(super) fn new(prepared: Prepared, cwd: PathBuf) -> Self {
        let Prepared { plan, source, digest, options, agents } = prepared;
        let role = |(alias, resolved)| (alias, Role::of(resolved));
        let roles = agents.into_iter().map(role).collect();
        Self {
            version: VERSION,
            revision: 1,
            difference: Difference::default(),
            seen: BTreeSet::new(),
            cwd,
            source,
            digest,
            base: None,
            roles,
            options,
            plan,
        }
    }

    pub(super) fn read(files: &RunFiles) -> Result<Self, Failure> {
        let path = files.plan();
        let failed = |e: &dyn std::fmt::Display| {
            Failure::internal(format!("cannot read the plan of a run in {}: {e}", path.display()))
                .hint("`cx jobs` still has its jobs")
        };
        let bytes = fs::read(&path).map_err(|e| failed(&e))?;
        let stored: Self = serde_json::from_slice(&bytes).map_err(|e| failed(&e))?;
        if stored.version > VERSION {
            return Err(failed(&"a later cx has written it"));
        }
        Ok(stored)
    }

    /// What `cx run --resume` says anew counts from here on. Whether it says anything.
    pub(super) fn say_again(&mut self, args: &RunArgs) -> bool {
        let before =
            (self.options.clone(), self.plan.fail_fast, self.plan.timeout, self.plan.merge);
        let Options {
            jobs,
            max_jobs,
            retries,
            answer_bytes,
            max_tokens,
            max_budget_usd,
            no_hold,
            codex_url,
            ..
        } = &mut self.options;
        *jobs = args.jobs.or(*jobs);
        *max_jobs = args.max_jobs.or(*max_jobs);
        *retries = args.retries.or(*retries);
        *answer_bytes = args.answer_bytes.or(*answer_bytes);
        *max_tokens = args.max_tokens.or(*max_tokens);
        *max_budget_usd = args.max_budget_usd.or(*max_budget_usd);
        *no_hold |= args.no_hold;
        *codex_url = args.codex_url.clone().or(codex_url.take());
        // The person may be before another terminal by now.
        let told = Options::terminal_of(args);
        (self.options.notify, self.options.terminal) = (self.options.notify || args.notify, told);
        let plan = &mut self.plan;
        plan.fail_fast = (plan.fail_fast || args.fail_fast) && !args.keep_going;
        plan.timeout = args.timeout.or(plan.timeout);
        plan.merge |= args.merge;
        before != (self.options.clone(), self.plan.fail_fast, self.plan.timeout, self.plan.merge)
    }

    pub(super) fn write(&self, files: &RunFiles) -> Result<(), Failure> {
        let bytes =
            serde_json::to_vec_pretty(self).map_err(|e| Failure::internal(e.to_string()))?;
        files.replace(&files.plan(), &bytes).map_err(store)
    }

    /// The most jobs of the run that may live at once.
    pub(super) fn jobs(&self) -> NonZeroU64 {
        self.options.jobs.unwrap_or(JOBS)
    }

    /// The most jobs of the repository that may run at once.
    pub(super) fn max_jobs(&self) -> Option<NonZeroU64> {
        self.options.max_jobs.or(self.plan.max_jobs)
    }

    /// What all its jobs may use together.
    pub(super) fn budget(&self) -> Option<Budget> {
        let tokens = self.options.max_tokens.or(self.plan.max_tokens);
        let usd = self.options.max_budget_usd.or(self.plan.max_budget_usd);
        Budget::new(BudgetOf::Run, tokens.map(NonZeroU64::get), usd)
    }

    /// How much of one answer another task gets to see.
    pub(super) fn answer_bytes(&self) -> usize {
        self.options.answer_bytes.unwrap_or(ANSWER_BYTES).get() as usize
    }

    /// How often a task may be tried in all.
    pub(super) fn attempts(&self, task: &Task) -> u32 {
        let role = || self.role(task)?.retries;
        task.retries.or(self.options.retries).or_else(role).unwrap_or(0).saturating_add(1)
    }

    /// What the task's alias stands for.
    pub(super) fn role(&self, task: &Task) -> Option<&Role> {
        self.roles.get(task.alias.as_ref()?)
    }

    /// Who revises the plan after each phase.
    pub(super) fn reviser(&self) -> Option<&str> {
        self.options.revise_plan.as_deref()
    }

    /// Where records in codex-flow's shapes are kept.
    pub(super) fn records(&self) -> Option<PathBuf> {
        self.options.records.clone()
    }

    /// Whether the person is to be told of its end.
    pub(super) fn is_to_notify(&self) -> bool {
        self.options.notify
    }

    /// The terminal to tell its end on, where that may be another than ours.
    pub(super) fn terminal(&self) -> Option<&Path> {
        self.options.terminal.as_deref()
    }

    /// Whether somebody named a server for the run.
    pub(super) fn names_server(&self) -> bool {
        self.options.codex_url.is_some()
    }

    /// `--agents-dir`.
    pub(super) fn agents_dir(&self) -> Option<&Path> {
        self.options.agents_dir.as_deref()
    }

    /// How the names of agents are understood.
    pub(super) fn roles(&self) -> Result<PlanRoles, Failure> {
        let aliases = self.plan.aliases.iter();
        let aliases = aliases.map(|(name, value)| Alias::from_value(name, value, &self.source));
        let aliases = aliases
            .collect::<Result<_, _>>()
            .map_err(|e| Failure::usage(e.to_string()).maybe_hint(e.hint()))?;
        let Options { agents_dir, hooks, strict_tools, no_hold, codex_url, .. } =
            self.options.clone();
        let (budget, vars) = (self.budget(), self.plan.vars.clone());
        Ok(PlanRoles { aliases, agents_dir, hooks, strict_tools, vars, budget, no_hold, codex_url })
    }
}
