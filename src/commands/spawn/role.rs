//! The role of a job: who does it, with what, and what runs around it.

use super::SpawnArgs;
use crate::{
    agent::{self, Agent, Alias, Resolved, tools},
    backend::Backend,
    commands::{
        roles::{Roles, failure},
        session::Session,
        settings::Settings,
    },
    failure::Failure,
    job::Sharing,
    ledger::{Hooks, Pool},
    ui,
};

/// The role of a job.
#[derive(Clone, Debug)]
pub(super) struct Role(Resolved);

impl Role {
    /// Finds it and checks what it may use. `plan`: the aliases of the plan, where there is
    /// one.
    pub(super) fn find(
        name: Option<&str>,
        args: &SpawnArgs,
        plan: Option<&[Alias]>,
        (session, settings): (&Session, &Settings),
    ) -> Result<Option<Self>, Failure> {
        let Some(name) = name else {
            // Of a plan it is said for all tasks at once.
            if args.hooks && plan.is_none() {
                return Err(Failure::usage(
                    "--hooks is for an agent's hooks, and there is no agent",
                )
                .hint("choose one with -t"));
            }
            return Ok(None);
        };
        let nearer = plan.unwrap_or_default().to_vec();
        let roles =
            Roles::new(session, settings, &args.alias, nearer, &args.agents_dir, plan.is_some())?;
        if args.strict_tools {
            // Before the question which of several is meant.
            let found = agent::alias_of(name, &roles.lookup()).map_err(failure)?;
            if found.is_none() {
                let all = agent::candidates(name, &roles.lookup().places).map_err(failure)?;
                refuse_tools(&all, &args.tool)?;
            }
        }
        let found = roles.resolve(name, args.hooks)?;
        if args.strict_tools {
            refuse_tools(std::slice::from_ref(&found.agent), &args.tool)?;
        }
        Ok(Some(Self(found)))
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.0.agent
    }

    /// The limit that it shares with others of its name.
    pub(super) fn pool(&self) -> Option<Pool> {
        Some(Pool { name: self.0.pool.clone(), max: self.0.limit?.get() })
    }

    pub(super) fn alias(&self) -> Option<String> {
        self.0.alias.clone()
    }

    /// What the job is called where nobody says.
    pub(super) fn name(&self) -> &str {
        self.0.alias.as_deref().unwrap_or(&self.0.agent.name)
    }

    /// Whom its jobs share with what they store in the memory, where not all.
    pub(super) fn sharing(&self) -> Option<Sharing> {
        let sharing = &self.0.agent.sharing;
        (!sharing.is_open()).then(|| sharing.clone())
    }

    /// What is to run around the worker.
    pub(super) fn hooks(&self, args: &SpawnArgs) -> Option<Hooks> {
        let hooks = &self.0.agent.hooks;
        (args.hooks && !hooks.is_empty()).then(|| Hooks {
            pre_task: hooks.pre_task.clone(),
            post_task: hooks.post_task.clone(),
            failure: hooks.failure.clone(),
        })
    }

    /// Refuses to run what is said to an agent as a script, unless somebody has said of
    /// this job or agent that a shell is to run it: what the configuration says of all
    /// jobs was not said of agents.
    pub(super) fn require_chosen_shell(&self, is_job_asked: bool) -> Result<(), Failure> {
        let agent = self.agent();
        if is_job_asked || agent.backend.is_some() || agent.body.trim().is_empty() {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "'{}' is an agent, and the configured backend is sh, which would run its task as a script; nothing was started",
            self.name()
        ))
        .hint("choose its backend with -b, or with `backend` in its definition or the plan's task"))
    }

    /// What a person should know of it.
    pub(super) fn notes(&self, args: &SpawnArgs, backend: &Backend) -> Vec<String> {
        let agent = &self.0.agent;
        let name = self.name();
        let mut notes = Vec::new();
        if let Some(absent) = &self.0.stands_in_for {
            notes.push(format!(
                "'{name}' stands for cx's own '{}': no bundle of agents here has {absent}",
                agent.name
            ));
        }
        if !args.hooks && !agent.hooks.is_empty() {
            notes.push(format!("agent '{name}' has hooks, which do not run (--hooks runs them)"));
        }
        let refused = tools::check([agent], &args.tool);
        notes.extend(refused.iter().map(|refused| {
            let tools::Refused { tool, reason, .. } = refused;
            format!("agent '{name}' may not use {tool}: {reason} (--strict-tools refuses it)")
        }));
        notes.extend(tools::unenforced(backend.name, &agent.tools));
        notes.extend(agent.extra.iter().filter(|extra| extra.line == 0).map(|extra| {
            format!("'{}', which the alias '{name}' sets, is not honoured", ui::clean(&extra.key))
        }));
        notes
    }
}

/// Refuses a task that asks for tools that not all of these may use.
fn refuse_tools(candidates: &[Agent], asked: &[String]) -> Result<(), Failure> {
    let refused = tools::check(candidates, asked);
    let Some(first) = refused.first() else { return Ok(()) };
    let each: Vec<String> = refused
        .iter()
        .map(|refused| format!("{} may not use {}", refused.agent, refused.tool))
        .collect();
    Err(Failure::usage(format!("{}, since {}; nothing was started", each.join(", "), first.reason))
        .hint("choose another agent, or leave out --tool or --strict-tools"))
}
