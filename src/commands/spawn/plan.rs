//! Checking: from what was typed to a job that can be started. Nothing is made.

use std::{fs, io::Read, path::Path, time::Duration};

use super::{SpawnArgs, task::Task};
use crate::{
    agent::{self, Agent, ContextPack, Folders, PromptParts},
    backend,
    commands::{
        session::{Session, git, label, store},
        settings::Settings,
    },
    failure::Failure,
    git::{Head, Repo},
    job::{BackendKind, JobName, Mode, slug},
    ledger::{Head as LedgerHead, Spawned, Tree},
};

/// A job whose input is good.
pub(super) struct Plan {
    spec: Spawned,
    pub(super) prompt: Vec<u8>,
    /// The name was chosen by the person, and must not be another.
    named: bool,
    /// Base commit and prefix of a writer.
    base: Option<(String, String)>,
    pub(super) notes: Vec<String>,
}

impl Plan {
    pub(super) fn check(
        args: &SpawnArgs,
        session: &Session,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let checkout = session.place.as_ref().and_then(|place| place.checkout.clone());
        let config = &settings.config;
        let agent = match &args.agent {
            Some(name) => Some(find_agent(name, session, checkout.as_deref())?),
            None => None,
        };
        let agent = agent.as_ref();
        let backend = match &args.backend {
            Some(word) => word.parse().map_err(|()| {
                let known = BackendKind::ALL.map(BackendKind::as_str).join(", ");
                Failure::usage(format!("there is no backend '{word}'"))
                    .hint(format!("one of: {known}"))
            })?,
            None => agent.and_then(|agent| agent.backend).unwrap_or(config.backend),
        };
        let mode = match (args.read, args.write) {
            (true, _) => Mode::Reader,
            (_, true) => Mode::Writer,
            _ => agent.map_or(Mode::Reader, |agent| agent.mode),
        };
        let task = Task::read(args, backend)?;
        let scope = if args.scope.is_empty() {
            agent.map(|agent| agent.scope.clone()).unwrap_or_default()
        } else {
            args.scope.clone()
        };
        let prompt = compose(args, agent, backend, &scope, &task)?;
        // An argv is no script: its words are kept apart by NUL bytes.
        if task.argv.is_empty() {
            backend::check_prompt(backend, &prompt)
                .map_err(|e| Failure::usage(e.to_string()).maybe_hint(e.hint()))?;
        }
        let program = settings.program(backend, task.argv.first(), mode, &session.cwd)?;
        let named = args.name.is_some();
        let name = match &args.name {
            Some(word) => JobName::new(word).map_err(|e| {
                Failure::usage(format!("'{word}' cannot be a job's name: it {e}"))
                    .hint("for example: -n auth, -n fix-123")
            })?,
            None => default_name(agent, backend, &task),
        };
        let base = match mode {
            Mode::Writer => Some(writer_base(args, session)?),
            Mode::Reader => {
                reader_base(args)?;
                None
            }
        };
        let after = args
            .after
            .iter()
            .map(|word| Ok(session.jobs(std::slice::from_ref(word))?.first().map(|job| job.job)))
            .collect::<Result<Vec<_>, Failure>>()?;
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let timeout = args.timeout.or(agent.and_then(|agent| agent.timeout)).or(config.timeout);
        let silence = args
            .silence
            .or(agent.and_then(|agent| agent.silence))
            .or_else(|| config.silence_for(backend));
        let model = args
            .model
            .clone()
            .or_else(|| agent.and_then(|agent| agent.model.clone()))
            .or_else(|| config.model_for(backend).map(str::to_owned));
        if model.as_deref().is_some_and(|model| model.is_empty() || model.starts_with('-')) {
            return Err(Failure::usage("a model's name cannot be empty or begin with '-'"));
        }
        let utf8 = |path: &Path| path_text(path);
        let notes = settings.notes.clone();
        let setup =
            if mode == Mode::Writer { settings.setup(args.require_setup)? } else { Vec::new() };
        let max_jobs = args.max_jobs.map(std::num::NonZeroU64::get);
        let max_jobs = max_jobs.or_else(|| config.max_jobs.map(|n| n.get() as u64));
        Ok(Self {
            spec: Spawned {
                id: unique_id()?,
                name,
                mode,
                backend,
                program: utf8(&program)?,
                argv: task.argv.clone(),
                agent: args.agent.clone(),
                model,
                run: session.run.clone(),
                group: None,
                cwd: utf8(&session.cwd)?,
                checkout: checkout.as_deref().map(utf8).transpose()?,
                tree: None,
                scope,
                after: after.into_iter().flatten().collect(),
                timeout_ms: timeout.map(millis),
                silence_ms: silence.map(millis),
                grace_ms: millis(config.grace),
                max_jobs,
                setup,
                include: config.worktree.include.clone(),
                extra_args: settings.extra_args(backend)?,
                env_exclude: config.codex.env_exclude.clone(),
                title: task.title(),
            },
            prompt,
            named,
            base,
            notes,
        })
    }

    /// Settles name, branch and worktree, under the ledger's lock.
    pub(super) fn finish(
        &self,
        session: &Session,
        settings: &Settings,
        head: &LedgerHead,
    ) -> Result<Spawned, Failure> {
        let mut spec = self.spec.clone();
        let Some((base, prefix)) = &self.base else {
            spec.name = self.free_name(session, head, &|_| Ok(None))?;
            return Ok(spec);
        };
        let place = session.repository("a writer")?;
        let folder = settings.worktree_folder(place);
        let repo = Repo::open(place);
        let branch = |name: &str| format!("cx/{name}");
        spec.name = self.free_name(session, head, &|name| {
            if repo.branch_exists(&branch(name)).map_err(git)? {
                return Ok(Some(format!("branch {} exists already", branch(name))));
            }
            let path = folder.join(name);
            let there = fs::symlink_metadata(&path).is_ok();
            Ok(there.then(|| format!("{} exists already", path.display())))
        })?;
        spec.tree = Some(Tree {
            path: path_text(&folder.join(spec.name.as_str()))?,
            branch: branch(spec.name.as_str()),
            base: base.clone(),
            prefix: prefix.clone(),
        });
        Ok(spec)
    }

    /// The job's name: as it was given, or with a suffix where cx chose it.
    fn free_name(
        &self,
        session: &Session,
        head: &LedgerHead,
        occupied: &dyn Fn(&str) -> Result<Option<String>, Failure>,
    ) -> Result<JobName, Failure> {
        let name = self.spec.name.as_str();
        if !self.named {
            let taken =
                |name: &str| head.taken.contains_key(name) || !matches!(occupied(name), Ok(None));
            return Ok(self.spec.name.untaken(taken));
        }
        if let Some(id) = head.taken.get(name) {
            let job = session.store.state().map_err(store)?.jobs.remove(id);
            let (who, live) =
                job.as_ref().map_or((id.to_string(), true), |job| (label(job), job.is_live()));
            let failure = Failure::usage(format!(
                "the name '{name}' is in use by {who}; nothing was started"
            ));
            return Err(if live {
                failure.hint("choose another with -n, or leave -n out")
            } else {
                failure.hint(format!(
                    "`cx merge {name}`, then `cx clean {name}` frees it; or choose another with -n"
                ))
            });
        }
        match occupied(name)? {
            None => Ok(self.spec.name.clone()),
            Some(why) => Err(Failure::usage(format!("'{name}' cannot be the job's name: {why}"))
                .hint("choose another with -n, or leave -n out")),
        }
    }
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

/// What the worker reads. A script is never dressed up.
fn compose(
    args: &SpawnArgs,
    agent: Option<&Agent>,
    backend: BackendKind,
    scope: &[String],
    task: &Task,
) -> Result<Vec<u8>, Failure> {
    let mut context = ContextPack {
        goal: args.context.goal.clone(),
        non_goals: args.context.non_goal.clone(),
        constraints: args.context.constraint.clone(),
        pointers: args.context.pointer.clone(),
        decisions: args.context.decision.clone(),
        success: args.context.success.clone(),
        files: Vec::new(),
    };
    for path in &args.context.context {
        let bytes = fs::read(path).map_err(|e| {
            Failure::usage(format!("cannot read the context {}: {e}", path.display()))
        })?;
        context.add_file(&path.display().to_string(), bytes);
    }
    if backend == BackendKind::Sh {
        if !context.is_empty() {
            return Err(Failure::usage("a shell command cannot be given context")
                .hint("leave out --goal, --context and their like, or choose another backend"));
        }
        return Ok(task.bytes.clone());
    }
    if task.bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::usage("the prompt is empty").hint("say what the job is to do"));
    }
    let parts = PromptParts {
        preamble: !args.no_preamble,
        agent,
        context: &context,
        scope,
        task: &task.bytes,
    };
    Ok(parts.compose())
}

fn default_name(agent: Option<&Agent>, backend: BackendKind, task: &Task) -> JobName {
    let text = match (agent, backend) {
        (Some(agent), _) => return JobName::new(&agent.name).unwrap_or_else(|_| slug(&agent.name)),
        (None, BackendKind::Sh) if !task.argv.is_empty() => {
            let program = task.argv.first().map(|word| word.rsplit('/').next().unwrap_or(word));
            let rest = task.argv.iter().skip(1).find(|word| !word.starts_with('-'));
            [program.unwrap_or_default(), rest.map_or("", String::as_str)].join(" ")
        }
        _ => task.title(),
    };
    slug(&text)
}

/// The commit that a writer starts from, and its folder below the worktree's top.
fn writer_base(args: &SpawnArgs, session: &Session) -> Result<(String, String), Failure> {
    let place = session.repository("a writer")?;
    let repo = Repo::open(place);
    let oid = match &args.base {
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

/// Options of writers are not passed over in silence.
fn reader_base(args: &SpawnArgs) -> Result<(), Failure> {
    let given = [
        (args.base.is_some(), "--base"),
        (!args.scope.is_empty(), "--scope"),
        (args.require_setup, "--require-setup"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, option)) => {
            Err(Failure::usage(format!("{option} is for writers, and this job would be a reader"))
                .hint("add --write, or choose an agent that writes"))
        }
        None => Ok(()),
    }
}

fn path_text(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!(
            "the path {} is not UTF-8, and the ledger cannot hold it",
            path.display()
        ))
        .hint("rename the folder, or work in another")
    })
}

/// 16 hexadecimal digits that no other job anywhere has.
fn unique_id() -> Result<String, Failure> {
    let mut bytes = [0_u8; 8];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|e| Failure::internal(format!("cannot read /dev/urandom: {e}")))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}
