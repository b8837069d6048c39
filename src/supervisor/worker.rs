//! The worker: what it is started with, and where it may write.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Stop, Supervisor, SupervisorError, checkpoint::Checkpoints, finish::Ended, litter::Litter,
    prepare,
};
use crate::{
    backend::{self, LaunchInput, Stdin, Tools},
    job::{Mode, secret},
    ledger::{Event, Running},
    process::{
        confine, crash, start,
        within::Bounds,
        worker::{Input, WorkerCommand},
    },
};

impl Supervisor {
    /// Starts the worker and watches it until nothing of it runs any more.
    pub(super) fn run_worker(&mut self) -> Result<Ended, SupervisorError> {
        let (thread, prompt_file) = match (self.tries.thread.clone(), self.tries.prompt.clone()) {
            (thread, Some(prompt_file)) => (thread, prompt_file),
            (Some(thread), None) => (Some(thread), self.files.going_on()),
            (None, None) => match self.thread()? {
                Ok(thread) => (thread, self.files.prompt()),
                Err(stop) => return Ok(Ended::stopped(stop)),
            },
        };
        self.begin_try()?;
        if self.spec.mode == Mode::Writer {
            self.store.create_cache()?;
        }
        let prompt = fs::read(&prompt_file)?;
        let (schema_file, schema) = (self.files.schema(), self.schema()?);
        let start = self.start_folder();
        let root =
            self.spec.tree.as_ref().map(|tree| tree.path.clone()).or(self.spec.checkout.clone());
        let argv: Vec<_> = self.spec.argv.iter().map(Into::into).collect();
        let places = self.writable_places();
        let token = self.spec.endpoint.is_some().then(|| self.files.token());
        let grant = match self.open_grant() {
            Ok(grant) => grant,
            Err(reason) => return Ok(Ended::stopped(Stop::not_started(reason))),
        };
        let mut folders = grant.as_ref().map(|grant| grant.folders.clone()).unwrap_or_default();
        folders.extend((self.spec.mode == Mode::Writer).then(|| self.store.cache_dir()));
        let server = if self.spec.mcp { start::mcp_server() } else { None };
        // Not its worktree, which may say that it belongs to another repository.
        let home = self.spec.checkout.as_deref().unwrap_or(&self.spec.cwd);
        let tools = server.as_deref().map(|cx| Tools { cx, dir: Path::new(home) });
        let launch = backend::launch(&LaunchInput {
            backend: &self.backend,
            id: &self.spec.id,
            program: Path::new(&self.spec.program),
            mode: self.spec.mode,
            start: &start,
            root: root.as_deref().map(Path::new),
            model: self.spec.model.as_deref(),
            prompt_file: &prompt_file,
            prompt: &prompt,
            prompt_is_secret: secret::variable_in(&String::from_utf8_lossy(&prompt)).is_some(),
            argv: &argv,
            answer_file: &self.files.answer(),
            tmp: &self.files.tmp(),
            exclude_env: &self.spec.env_exclude,
            extra_args: &self.spec.extra_args,
            resume: thread.as_deref(),
            schema: schema.as_deref().map(|text| (schema_file.as_path(), text)),
            folders: &folders,
            commands_confined: places.is_some(),
            endpoint: self.spec.endpoint.as_ref(),
            token_file: token.as_deref().filter(|token| token.exists()),
            agent: self.spec.agent.as_deref(),
            alias: self.spec.alias.as_deref(),
            usd: self.usd_left()?,
            tools,
        });
        drop(prompt);
        let mut env = self.worker_env();
        env.extend(launch.env);
        env.extend(grant.map(|grant| grant.env).unwrap_or_default());
        if let Some(prefix) = backend::command_prefix(&self.backend) {
            let exclude = self.spec.env_exclude.clone();
            let server = tools.as_ref().and_then(Tools::words).unwrap_or_default();
            let bounds = Bounds { writable: places.clone(), exclude, server };
            env.extend(bounds.environment(prefix, self.files.dir())?);
        }
        // What is set is not taken out.
        let is_ours = |name: &String| env.iter().any(|(known, _)| known == name.as_str());
        let mut env_remove = prepare::scrubbed();
        env_remove.extend(backend::env_remove(&self.backend));
        env_remove.retain(|name| !is_ours(name));
        let command = WorkerCommand {
            program: launch.program,
            args: launch.args,
            dir: start,
            env,
            env_remove,
            stdin: match launch.stdin {
                Stdin::PromptFile => Input::File(prompt_file),
                Stdin::Bytes(bytes) => {
                    let request = self.files.request();
                    self.files.replace(&request, &bytes)?;
                    Input::File(request)
                }
                Stdin::Null => Input::Null,
            },
            stdout: self.files.stdout(),
            stderr: self.files.stderr(),
            confine: places.map(|places| self.with_own_places(places, server.is_some())),
        };
        let reader = self.spec.mode == Mode::Reader;
        let unconfined = reader && self.is_confinable() && command.confine.is_none();
        let before = if unconfined { self.checkout_state() } else { None };
        let litter = self.spec.tree.as_ref().map(|tree| {
            let root = Path::new(&tree.path);
            let names = backend::litter(&self.backend);
            (Litter::foresee(names, &[root, &self.start_folder()]), root.to_owned())
        });
        crash::point("before-worker");
        let worker = match command.start() {
            Ok(worker) => worker,
            Err(error) => {
                let reason = format!("{} could not be started: {error}", self.spec.program);
                return Ok(Ended::stopped(Stop::not_started(reason)));
            }
        };
        crash::point("worker");
        self.append(&Event::Running(Running { worker: worker.process() }))?;
        crash::point("running");
        // Now, so that the worker does not wait for it.
        self.note_what_is_left_out()?;
        let (stdout, stderr) = (self.files.stdout(), self.files.stderr());
        let every = self.spec.checkpoint_ms.filter(|_| self.spec.mode == Mode::Writer);
        self.checkpoints = every.map(Duration::from_millis).map(Checkpoints::every);
        self.usage.is_worker = true;
        let watched = self.watch(worker, &[&stdout, &stderr]);
        self.usage.is_worker = false;
        let mut watched = watched?;
        watched.ran += self.tries.ran;
        if let Some((litter, root)) = litter {
            litter.remove(&root);
        }
        crash::point("worker-ended");
        if self.spec.git
            && let Ok(place) = self.place()
        {
            self.finisher().close_grant(&place)?;
        }
        let wrote = unconfined && before != self.checkout_state();
        Ok(Ended::ran(watched, launch.answer_file, launch.thread, wrote))
    }

    /// The schema of its answer, if there is one.
    fn schema(&self) -> Result<Option<String>, SupervisorError> {
        if !self.spec.schema {
            return Ok(None);
        }
        Ok(Some(fs::read_to_string(self.files.schema())?))
    }

    /// Where the worker stands.
    pub(super) fn start_folder(&self) -> PathBuf {
        match &self.spec.tree {
            // Joined with nothing, it would end in a slash.
            Some(tree) if tree.prefix.is_empty() => PathBuf::from(&tree.path),
            Some(tree) => Path::new(&tree.path).join(&tree.prefix),
            None => PathBuf::from(&self.spec.cwd),
        }
    }

    /// Whether it is up to us to keep the worker from writing.
    fn is_confinable(&self) -> bool {
        backend::is_confined_by_us(&self.backend, self.spec.mode)
    }

    /// Where the worker's commands may write, if it is we who confine them.
    fn writable_places(&self) -> Option<Vec<PathBuf>> {
        if !self.is_confinable() || !confine::is_supported() {
            return None;
        }
        let checkout = self.spec.checkout.as_deref().unwrap_or(&self.spec.cwd);
        let tree = self.spec.tree.as_ref().map(|tree| Path::new(&tree.path));
        let roots: Vec<&Path> = tree.into_iter().chain([Path::new(checkout)]).collect();
        let mut places = confine::writable_places(&self.files.tmp(), &roots);
        // A reader's place is to be looked at.
        if let (Some(tree), Mode::Writer) = (tree, self.spec.mode) {
            places.push(tree.to_owned());
            places.push(self.store.cache_dir());
            places.extend(backend::more_folders(&self.backend, &self.spec.extra_args));
        }
        Some(places)
    }

    /// `places`, and those where the worker's program itself has to write; and with it our
    /// own tools, which it starts where it is confined.
    fn with_own_places(&self, mut places: Vec<PathBuf>, has_tools: bool) -> Vec<PathBuf> {
        places.extend(backend::own_places(&self.backend, |name| std::env::var_os(name)));
        // Only what is there can be opened to it.
        if has_tools
            && self.files.create_reported().is_ok()
            && self.store.create_memory_dir().is_ok()
        {
            places.extend([self.files.reported(), self.store.memory_dir()]);
        }
        places
    }

    /// What tells whether a reader that could not be confined has written.
    fn checkout_state(&self) -> Option<Vec<u8>> {
        let tree = self.spec.tree.as_ref().map(|tree| tree.path.as_str());
        let root = tree.or(self.spec.checkout.as_deref())?;
        crate::git::worktree::fingerprint(Path::new(root)).ok()
    }
}
