//! Checking: from what was typed to a job that can be started. Nothing is made.

use std::{cell::RefCell, collections::BTreeSet, num::NonZeroU32, path::Path, time::Duration};

use super::{
    SpawnArgs,
    base::{earlier, reader_base},
    compose::{compose, default_name},
    endpoint::{Secret, Target},
    group::{self, Variant},
    known::Known,
    limits::{self, Limits, checkpoint},
    place::{occupied, refuse_place},
    role::Role,
    task::Task,
    text::{path_text, unique_id},
    wants::{may_commit, mcp, schema},
    who::{self, Able},
    words,
};
use crate::{
    backend::{self, Backend, Family},
    commands::{
        session::{Session, git, label, store},
        settings::Settings,
    },
    failure::Failure,
    git::{
        Oid, Repo,
        scope::{self, Scope},
    },
    job::{JobName, Mode},
    ledger::{FellOver, Head as LedgerHead, Job, Notice, Resolves, Spawned, TaskOf, Tree},
};

/// A job whose input is good.
pub(super) struct Checked {
    pub(super) spec: Spawned,
    pub(super) backend: Backend,
    /// Who does it where that one cannot.
    pub(super) in_its_place: Vec<Backend>,
    /// Those that are not there.
    pub(super) passed_over: Vec<FellOver>,
    pub(super) prompt: Vec<u8>,
    /// What tells a server who asks.
    pub(super) token: Option<Secret>,
    /// The name was chosen by the person, and must not be another.
    named: bool,
    /// Names that it may not have although nobody has them now: those of the jobs before it.
    pub(super) kin: BTreeSet<String>,
    /// Base commit and prefix of a job with a worktree.
    pub(super) base: Option<(String, String)>,
    /// Where its branch is made, if that is not the base.
    pub(super) start: Option<Oid>,
    /// The shape of its answer, as a document of JSON.
    pub(super) schema: Option<Vec<u8>>,
    pub(super) notes: Vec<String>,
    /// The notes are for the ledger alone.
    pub(super) quiet: bool,
    /// `--allow-overlap`.
    may_overlap: bool,
}

impl Checked {
    /// All jobs that are asked for. Several share a group.
    pub(super) fn check_all(
        args: &SpawnArgs,
        session: &Session,
        settings: &Settings,
    ) -> Result<Vec<Self>, Failure> {
        let (mut known, mut checked) = (Known::default(), Vec::new());
        for variant in group::variants(args, settings)? {
            checked.push(Self::check(args, &variant, session, settings, &mut known)?);
        }
        if checked.len() > 1 {
            let group = checked.first().map(|one| one.spec.id.clone());
            for one in &mut checked {
                one.spec.group.clone_from(&group);
            }
        }
        Ok(checked)
    }

    /// The one job that is asked for.
    pub(super) fn check_one(
        args: &SpawnArgs,
        session: &Session,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        Self::check(args, &Variant::of(args), session, settings, &mut Known::default())
    }

    /// Gives the jobs of a group one name with a number each. Where cx chooses
    /// it, it is one with which all of them are free.
    pub(super) fn name_group(
        checked: &mut [Self],
        session: &Session,
        settings: &Settings,
        head: &LedgerHead,
    ) -> Result<(), Failure> {
        let [first, _, ..] = &*checked else { return Ok(()) };
        let place = session.repository("a writer")?;
        let count = checked.len();
        let member = |stem: &str, at: usize| format!("{stem}-{}", at + 1);
        let is_taken = |stem: &str| {
            (0..count).map(|at| member(stem, at)).any(|name| {
                head.taken.contains_key(&name)
                    || !matches!(occupied(place, settings, &name), Ok(None))
            })
        };
        let stem = &first.spec.name;
        let stem = if first.named { stem.clone() } else { stem.untaken(is_taken) };
        for (at, one) in checked.iter_mut().enumerate() {
            let name = member(stem.as_str(), at);
            one.spec.name = JobName::new(&name).map_err(|e| {
                Failure::usage(format!("'{name}' cannot be a job's name: it {e}"))
                    .hint("choose a shorter one with -n")
            })?;
            one.named = true;
        }
        Ok(())
    }

    pub(super) fn check(
        args: &SpawnArgs,
        variant: &Variant,
        session: &Session,
        settings: &Settings,
        known: &mut Known,
    ) -> Result<Self, Failure> {
        let checkout = session.place.as_ref().and_then(|place| place.checkout.clone());
        let config = &settings.config;
        let role = known.role(variant.agent.as_deref(), args, session, settings)?;
        let pools = role.iter().filter_map(Role::pool);
        let pools = pools.filter(|_| !args.takes_place).collect();
        let agent = role.as_ref().map(Role::agent);
        let choice = who::choice(variant.backend.as_deref(), agent, settings)?;
        let backend = settings.backend(choice.first())?;
        let mode = match (args.read, args.write) {
            (true, _) => Mode::Reader,
            (_, true) => Mode::Writer,
            _ if args.is_group() && agent.is_none() => Mode::Writer,
            _ => agent.map_or(Mode::Reader, |agent| agent.mode),
        };
        if args.is_group() {
            group::require_writer(mode)?;
        }
        let target = Target::of(args, &backend, mode, settings)?;
        let (task, mut after, given) = match known.given.take() {
            Some(given) => (given.task, given.after, given.values),
            None => (Task::read(args, &backend, &mut known.stdin)?, Vec::new(), None),
        };
        if !backend.runs_commands() && !task.argv.is_empty() {
            return Err(Failure::usage("an argv is for the backend sh"));
        }
        if let (true, Some(role)) = (backend.runs_commands() && task.argv.is_empty(), &role) {
            role.require_chosen_shell(variant.backend.is_some())?;
        }
        let scope = match agent {
            Some(agent) if args.scope.is_empty() => agent.scope.clone(),
            _ => args.scope.clone(),
        };
        let id = unique_id()?;
        let values = match given {
            Some(values) => values,
            None => words::values(args, role.as_ref(), session, &id)?,
        };
        let prompt = compose(args, session, (role.as_ref(), &values), &backend, &scope, &task)?;
        let asked = who::Task {
            mode,
            // An argv is no script: its words are kept apart by NUL bytes.
            prompt: task.argv.is_empty().then_some(&prompt),
            words: &task.bytes,
            argv: &task.argv,
            model: variant.model.as_deref().or(agent.and_then(|agent| agent.model.as_deref())),
        };
        let chosen = who::choose(choice, asked, known, (session, settings))?;
        let fallbacks = who::fallbacks(&chosen.rest, settings)?;
        let Able { backend, program, model } = chosen.first;
        let name = match &args.name {
            Some(word) => JobName::new(word).map_err(|e| {
                Failure::usage(format!("'{word}' cannot be a job's name: it {e}"))
                    .hint("for example: -n auth, -n fix-123")
            })?,
            None => default_name(role.as_ref(), &backend, &task),
        };
        for word in &args.after {
            after.extend(session.jobs(std::slice::from_ref(word))?.into_iter().next());
        }
        let base = match mode {
            Mode::Writer => Some(known.base(args, &scope, (session, "a writer"))?),
            Mode::Reader => {
                reader_base(args)?;
                // To see their work, it has to look at something else than the checkout.
                let sees = after.iter().find(|job| job.spec.branch().is_some());
                let who = "a reader after a writer";
                sees.map(|_| known.base(args, &[], (session, who))).transpose()?
            }
        };
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let timeout = args.timeout.or(agent.and_then(|agent| agent.timeout)).or(config.timeout);
        let silence = args
            .silence
            .or(agent.and_then(|agent| agent.silence))
            .or_else(|| config.silence_for(backend.name));
        let schema = args.schema.as_deref().map(schema).transpose()?;
        let mut notes = settings.notes.clone();
        notes.extend(target.notes);
        notes.extend(role.iter().flat_map(|role| role.notes(args, &backend)));
        let setup = if base.is_some() { settings.setup(args.require_setup)? } else { Vec::new() };
        let max_jobs = config.max_jobs.map(|n| n.get() as u64);
        let max_jobs = args.max_jobs.map(std::num::NonZeroU64::get).or(max_jobs);
        let max_jobs = max_jobs.filter(|_| !args.takes_place);
        let limits = Limits::check(&args.uses, config, known.budget, (&backend, model.as_deref()))?;
        for Able { backend, model, .. } in &chosen.rest {
            Limits::check(&args.uses, config, known.budget, (backend, model.as_deref()))?;
        }
        let spec = Spawned {
            id,
            name,
            mode,
            backend: backend.name,
            program: path_text(&program)?,
            argv: task.argv.clone(),
            agent: variant.agent.clone().map(|word| match agent {
                Some(agent) if role.as_ref().is_some_and(|role| role.alias().is_some()) => {
                    agent.qualified.clone()
                }
                _ => word,
            }),
            alias: role.as_ref().and_then(Role::alias),
            hooks: role.as_ref().and_then(|role| role.hooks(args)),
            model: model.filter(|_| target.endpoint.is_none()),
            endpoint: target.endpoint,
            run: session.run.clone(),
            task: None,
            group: None,
            cwd: path_text(&session.cwd)?,
            checkout: checkout.as_deref().map(path_text).transpose()?,
            tree: None,
            scope,
            resolves: None,
            resumes: None,
            repeats: None,
            port: None,
            after: after.iter().map(|job| job.job).collect(),
            timeout_ms: timeout.map(millis),
            silence_ms: silence.map(millis),
            budgets: limits.budgets,
            price: limits.price,
            hold: limits.hold,
            grace_ms: millis(config.grace),
            max_jobs,
            pools,
            setup,
            include: config.worktree.include.clone(),
            extra_args: settings.extra_args(&backend)?,
            env_exclude: settings.env_exclude(&backend),
            fallbacks,
            git: may_commit(args, mode, (&backend, choice), session)?,
            mcp: mcp(args, config, choice),
            schema: schema.is_some(),
            checkpoint_ms: checkpoint(args, mode)?.map(millis),
            secrets: config.secrets.clone(),
            sharing: role.as_ref().and_then(Role::sharing),
            notice: settings.notice(args.notify),
            title: task.title(),
        };
        let others = chosen.rest.into_iter().map(|able| able.backend).collect();
        Ok(Self {
            passed_over: chosen.passed_over,
            token: target.token,
            schema,
            may_overlap: args.allow_overlap,
            ..Self::of(spec, (backend, others), prompt, args.name.is_some(), base, notes)
        })
    }

    /// All that can come to do its work.
    pub(super) fn backends(&self) -> impl Iterator<Item = &Backend> {
        std::iter::once(&self.backend).chain(&self.in_its_place)
    }

    /// One whose spec is known.
    pub(super) fn of(
        spec: Spawned,
        (backend, in_its_place): (Backend, Vec<Backend>),
        prompt: Vec<u8>,
        named: bool,
        base: Option<(String, String)>,
        notes: Vec<String>,
    ) -> Self {
        Self {
            spec,
            backend,
            in_its_place,
            passed_over: Vec::new(),
            prompt,
            token: None,
            named,
            kin: BTreeSet::new(),
            base,
            start: None,
            schema: None,
            notes,
            quiet: false,
            may_overlap: false,
        }
    }

    /// What would do the work.
    pub(super) fn backend(
        args: &SpawnArgs,
        session: &Session,
        settings: &Settings,
    ) -> Result<Backend, Failure> {
        let role = Known::default().role(args.agent.as_deref(), args, session, settings)?;
        let agent = role.as_ref().map(Role::agent);
        let choice = who::choice(args.backend.as_deref(), agent, settings)?;
        settings.backend(choice.first())
    }

    /// Makes it a job whose answer has the shape that the file `schema` describes.
    pub(super) fn answer(
        &mut self,
        name: JobName,
        title: String,
        schema: &Path,
    ) -> Result<(), Failure> {
        self.spec.name = name;
        self.spec.title = title;
        // The prompt says the same, for backends that cannot be told otherwise.
        let words = ["--output-schema".to_owned(), path_text(schema)?];
        if self.backend.family == Family::Codex {
            self.spec.extra_args.extend(words.clone());
        }
        for (other, fallback) in self.in_its_place.iter().zip(&mut self.spec.fallbacks) {
            if other.family == Family::Codex {
                fallback.extra_args.extend(words.clone());
            }
        }
        Ok(())
    }

    /// Makes it the job of a run's task. Whoever runs it has told its notes once.
    pub(super) fn belong(&mut self, name: JobName, run: &str, task: TaskOf) {
        self.spec.name = name;
        self.spec.run = Some(run.to_owned());
        self.spec.task = Some(task);
        // The person is told of the run's end.
        self.spec.notice = self.spec.notice.take().and_then(Notice::for_hooks_alone);
        self.quiet = true;
    }

    /// Limits its turns, where the backend can.
    pub(super) fn limit_turns(&mut self, turns: NonZeroU32) {
        let own = (&self.backend, &mut self.spec.extra_args);
        let others = self.spec.fallbacks.iter_mut().map(|fallback| &mut fallback.extra_args);
        for (backend, args) in std::iter::once(own).chain(self.in_its_place.iter().zip(others)) {
            match backend::max_turns(backend, turns) {
                Some(arg) => args.push(arg),
                None => self.notes.push(format!(
                    "'max-turns' is not honoured: {} cannot limit turns",
                    backend.name
                )),
            }
        }
    }

    /// The name that the person has chosen, where it may not be another.
    pub(super) fn asked_name(&self) -> Option<&str> {
        self.named.then(|| self.spec.name.as_str())
    }

    /// What would stand in the ledger, but for what is settled when it starts.
    pub(super) fn into_spec(self) -> Spawned {
        self.spec
    }

    /// Makes it a resolver, which stands at the top of its worktree.
    pub(super) fn resolve(&mut self, name: JobName, title: String, resolves: Resolves) {
        self.spec.name = name;
        self.spec.title = title;
        self.spec.resolves = Some(resolves);
        if let Some((_, prefix)) = &mut self.base {
            prefix.clear();
        }
    }

    /// Settles name, branch and worktree, under the ledger's lock.
    pub(super) fn finish(
        &self,
        session: &Session,
        settings: &Settings,
        head: &LedgerHead,
    ) -> Result<Spawned, Failure> {
        let mut spec = self.spec.clone();
        limits::refuse_spent(session, &spec)?;
        let Some((base, prefix)) = &self.base else {
            spec.name = self.free_name(session, head, &|_| Ok(None))?;
            if let Some(resumes) = &spec.resumes {
                Self::refuse_second(session, resumes, !spec.after.is_empty())?;
            }
            return Ok(spec);
        };
        let place = session.repository("a job with a worktree")?;
        let folder = settings.worktree_folder(place);
        refuse_place(place, &folder)?;
        self.refuse_overlap(session)?;
        spec.name = self.free_name(session, head, &|name| occupied(place, settings, name))?;
        spec.tree = Some(Tree {
            path: path_text(&folder.join(spec.name.as_str()))?,
            branch: (spec.mode == Mode::Writer).then(|| format!("cx/{}", spec.name)),
            base: base.clone(),
            start: self.start.as_ref().map(Oid::to_string),
            prefix: prefix.clone(),
        });
        Ok(spec)
    }

    /// The live writer that may be at work in its scope, and where: none of its own group, of
    /// which only one is picked, and none that is over before it starts.
    pub(super) fn overlap(&self, session: &Session) -> Result<Option<(Job, String)>, Failure> {
        let Some((base, prefix)) = &self.base else { return Ok(None) };
        if self.spec.mode == Mode::Reader || self.may_overlap || self.spec.scope.is_empty() {
            return Ok(None);
        }
        let repo = Repo::open(session.repository("a writer")?);
        let base = Oid::new(base).map_err(|e| Failure::internal(e.to_string()))?;
        let mine = Scope { prefix: Path::new(prefix), specs: &self.spec.scope };
        let state = session.store.state().map_err(store)?;
        let earlier = earlier(&state, &self.spec.after);
        let others = state.jobs.into_values();
        for job in others.filter(|job| job.is_live() && !earlier.contains(&job.job)) {
            let Some((tree, _)) = job.spec.branch() else { continue };
            let theirs = Scope { prefix: Path::new(&tree.prefix), specs: &job.spec.scope };
            if let Some(what) = scope::overlap(repo.place(), &base, mine, theirs).map_err(git)? {
                return Ok(Some((job, what)));
            }
        }
        Ok(None)
    }

    /// Refuses a scope in which a live writer may be at work.
    fn refuse_overlap(&self, session: &Session) -> Result<(), Failure> {
        let Some((job, what)) = self.overlap(session)? else { return Ok(()) };
        let (mine, theirs) = (self.spec.scope.join(" "), job.spec.scope.join(" "));
        let (name, other) = (&self.spec.name, label(&job));
        Err(Failure::usage(format!(
            "the scope of {name} ({mine}) overlaps with that of {other} ({theirs}), in {what}; nothing was started"
        ))
        .hint(format!(
            "narrow the scope, wait for it (cx wait {}), or give --allow-overlap",
            job.spec.name
        )))
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
            // What cannot be found out is not tried with one name after the other.
            let failed = RefCell::new(None);
            let taken = |name: &str| {
                let occupied =
                    || occupied(name).unwrap_or_else(|e| failed.replace(Some(e)).and(None));
                let is_taken = self.kin.contains(name) || head.taken.contains_key(name);
                is_taken || occupied().is_some()
            };
            let name = self.spec.name.untaken(taken);
            return failed.into_inner().map_or(Ok(name), Err);
        }
        if let Some(id) = head.taken.get(name) {
            let job = session.store.state().map_err(store)?.jobs.remove(id);
            // What goes on in its tree has its branch, and with it the name.
            let stays = |j: &Job| j.is_live() || j.went_on.is_some() || self.goes_on_from(j);
            let who = job.as_ref().map_or(id.to_string(), label);
            let failure = Failure::usage(format!(
                "the name '{name}' is in use by {who}; nothing was started"
            ));
            return Err(if job.as_ref().is_none_or(stays) {
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
