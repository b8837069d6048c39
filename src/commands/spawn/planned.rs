//! A job for a task of a plan: like any other, but what it is to do comes from
//! the plan, and it says of which run and task it is.
//!
//! All tasks of a plan are checked before the first is started, and each once
//! more when its turn has come: its prompt is known only then.

use std::{
    num::{NonZeroU8, NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Launched, SpawnArgs,
    check::Checked,
    endpoint::HttpArgs,
    group::Variant,
    known::{Given, Known},
    launch_one,
    limits::UseArgs,
    task::Task,
    words::{self, Values},
};
use crate::{
    agent::Alias,
    commands::{roles::AgentsDir, session::Session, settings::Settings},
    failure::Failure,
    job::{BackendChoice, Budget, JobId, JobName, Mode, slug},
    ledger::{Job, Spawned, TaskOf},
};

/// What a task wants of its job.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Work<'a> {
    /// The run's id.
    pub(in crate::commands) run: &'a str,
    /// The task, and which attempt this is.
    pub(in crate::commands) task: TaskOf,
    /// The role to give it.
    pub(in crate::commands) agent: Option<&'a str>,
    /// What does the work, where the plan says so.
    pub(in crate::commands) backend: Option<BackendChoice>,
    /// The model, where the plan says so.
    pub(in crate::commands) model: Option<&'a str>,
    /// Reader or writer, where the plan says so.
    pub(in crate::commands) mode: Option<Mode>,
    /// Pathspecs that it may touch, where the plan says so.
    pub(in crate::commands) scope: Vec<String>,
    /// Tools that the task needs.
    pub(in crate::commands) tools: Vec<String>,
    /// Where a writer starts, where the plan says so.
    pub(in crate::commands) base: Option<&'a str>,
    /// Wall-clock limit.
    pub(in crate::commands) timeout: Option<Duration>,
    /// How long it may write nothing.
    pub(in crate::commands) silence: Option<Duration>,
    /// The most turns, where the plan says so.
    pub(in crate::commands) max_turns: Option<NonZeroU32>,
    /// What it may use, where the plan says so.
    pub(in crate::commands) budget: Option<Budget>,
    /// The file with the schema of its answer, where the plan says so.
    pub(in crate::commands) schema: Option<&'a Path>,
    /// How many entries of the memory it is told, where the plan says so.
    pub(in crate::commands) recall: Option<NonZeroU32>,
    /// What it is told: everything is filled in.
    pub(in crate::commands) prompt: String,
    /// For `sh`: what runs in place of the prompt.
    pub(in crate::commands) argv: Vec<String>,
    /// Jobs that have succeeded, and whose work it builds on.
    pub(in crate::commands) after: Vec<Job>,
    /// The most jobs of the repository that may run at once, where the run says so.
    pub(in crate::commands) max_jobs: Option<NonZeroU64>,
}

/// A job that was started, or why it has to wait.
#[derive(Debug)]
pub(in crate::commands) enum Begun {
    /// It was started.
    Started(Launched),
    /// A live writer may be at work in its scope.
    Overlaps {
        /// The writer.
        with: JobId,
        /// Its name.
        name: String,
        /// In which file, or files.
        what: String,
    },
}

/// How the names of agents are understood in a plan.
#[derive(Clone, Debug, Default)]
pub(in crate::commands) struct PlanRoles {
    /// The plan's aliases.
    pub(in crate::commands) aliases: Vec<Alias>,
    /// `--agents-dir`.
    pub(in crate::commands) agents_dir: Option<PathBuf>,
    /// Run the agents' hooks.
    pub(in crate::commands) hooks: bool,
    /// Refuse a task that needs a tool that its agent may not use.
    pub(in crate::commands) strict_tools: bool,
    /// Values of the plan, which the templates of agents may name too.
    pub(in crate::commands) vars: Values,
    /// What the whole run may use.
    pub(in crate::commands) budget: Option<Budget>,
    /// Fail at once where the model's service refuses for rate.
    pub(in crate::commands) no_hold: bool,
    /// Where the server is that does the tasks of the backend http.
    pub(in crate::commands) codex_url: Option<String>,
}

/// Starts the jobs of one run.
#[derive(Debug)]
pub(in crate::commands) struct Spawner<'a> {
    session: &'a Session,
    settings: &'a Settings,
    /// What is the same for all tasks.
    args: SpawnArgs,
    known: Known,
    /// What the templates of agents may name.
    vars: Values,
    /// What a person should know of the tasks so far, each once.
    notes: Vec<String>,
}

impl<'a> Spawner<'a> {
    /// Writers start from `head`, where it is known, unless they are told otherwise.
    pub(in crate::commands) fn new(
        session: &'a Session,
        settings: &'a Settings,
        roles: PlanRoles,
        head: Option<String>,
    ) -> Self {
        let PlanRoles {
            aliases,
            agents_dir,
            hooks,
            strict_tools,
            vars,
            budget,
            no_hold,
            codex_url,
        } = roles;
        let args = SpawnArgs {
            agents_dir: AgentsDir::at(agents_dir),
            hooks,
            strict_tools,
            uses: UseArgs::of_task(None, no_hold),
            http: HttpArgs::of_run(codex_url),
            ..SpawnArgs::default()
        };
        let known = Known::of_plan(aliases, head, budget);
        Self { session, settings, args, known, vars, notes: Vec::new() }
    }

    /// Whether a job could be started for this, as far as can be told before its
    /// needs have ended, and what it would be. Starts nothing.
    pub(in crate::commands) fn check(&mut self, work: &Work<'_>) -> Result<Spawned, Failure> {
        Ok(self.checked(work)?.into_spec())
    }

    /// What a person should know of the tasks that were checked.
    pub(in crate::commands) fn into_notes(self) -> Vec<String> {
        self.notes
    }

    /// Looks at the scopes of many tasks at once, before each is checked.
    pub(in crate::commands) fn scopes(&mut self, scopes: &[Vec<String>]) {
        self.known.scopes(scopes, self.session);
    }

    /// The commit that HEAD is at, where a writer can start from it.
    pub(in crate::commands) fn head(&mut self) -> Result<String, Failure> {
        Ok(self.known.base(&SpawnArgs::default(), &[], (self.session, "a writer"))?.0)
    }

    /// Starts it.
    pub(in crate::commands) fn start(&mut self, work: &Work<'_>) -> Result<Begun, Failure> {
        let mut checked = self.checked(work)?;
        if let Some((job, what)) = checked.overlap(self.session)? {
            let name = job.spec.name.to_string();
            return Ok(Begun::Overlaps { with: job.job, name, what });
        }
        Ok(Begun::Started(launch_one(self.session, self.settings, &mut checked)?))
    }

    fn checked(&mut self, work: &Work<'_>) -> Result<Checked, Failure> {
        let task = Task::given(&work.prompt, &work.argv);
        let id = &work.task.id;
        let name = work.task.alias.as_ref().unwrap_or(id);
        let mut values = words::of_worker(name, id, work.run);
        values.extend(self.vars.clone());
        self.known.given = Some(Given { task, after: work.after.clone(), values: Some(values) });
        let args = &mut self.args;
        args.read = work.mode == Some(Mode::Reader);
        args.write = work.mode == Some(Mode::Writer);
        args.base = work.base.map(str::to_owned);
        args.scope.clone_from(&work.scope);
        args.tool.clone_from(&work.tools);
        args.schema = work.schema.map(Path::to_owned);
        args.context.recall = work.recall.map(|count| count.try_into().unwrap_or(NonZeroU8::MAX));
        (args.timeout, args.silence, args.max_jobs) = (work.timeout, work.silence, work.max_jobs);
        args.uses = UseArgs::of_task(work.budget, args.uses.is_not_held());
        let variant = Variant {
            agent: work.agent.map(str::to_owned),
            backend: work.backend.map(|name| name.to_string()),
            model: work.model.map(str::to_owned),
        };
        let mut checked =
            Checked::check(&self.args, &variant, self.session, self.settings, &mut self.known)?;
        for note in &checked.notes {
            if !self.notes.contains(note) && !self.settings.notes.contains(note) {
                self.notes.push(note.clone());
            }
        }
        let id = &work.task.id;
        // `1` is a good id, but would be read as a job's number.
        let name = JobName::new(id).unwrap_or_else(|_| slug(&format!("task {id}")));
        checked.belong(name, work.run, work.task.clone());
        if let Some(turns) = work.max_turns {
            checked.limit_turns(turns);
        }
        Ok(checked)
    }
}
