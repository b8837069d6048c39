//! While the worker runs: its end, its limits, and requests from other shells.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use super::{
    KILL, Stop, Supervisor, SupervisorError, TERM, finish::Ended, litter::Litter, prepare,
};
use crate::{
    backend::{self, LaunchInput, Stdin},
    job::{Mode, Outcome, WorkerExit},
    ledger::{Event, Running},
    process::{
        confine, crash, signals,
        start::{Input, Worker, WorkerCommand},
        tree,
        within::Bounds,
    },
    ui,
};

/// How a process that was watched came to its end.
pub(super) struct Watched {
    /// How its first process ended.
    pub(super) exit: Option<WorkerExit>,
    /// What we did to it, if we ended it.
    pub(super) stop: Option<Stop>,
    /// Processes that outlived it and were ended.
    pub(super) stragglers: u64,
    /// How long it ran.
    pub(super) ran: Duration,
}

impl Supervisor {
    /// Starts the worker and watches it until nothing of it runs any more.
    pub(super) fn run_worker(&mut self) -> Result<Ended, SupervisorError> {
        let thread = match self.thread()? {
            Ok(thread) => thread,
            Err(stop) => return Ok(Ended::stopped(stop)),
        };
        let prompt = fs::read(self.files.prompt())?;
        let start = self.start_folder();
        let root =
            self.spec.tree.as_ref().map(|tree| tree.path.clone()).or(self.spec.checkout.clone());
        let argv: Vec<_> = self.spec.argv.iter().map(Into::into).collect();
        let places = self.writable_places();
        let launch = backend::launch(&LaunchInput {
            kind: self.spec.backend,
            id: &self.spec.id,
            program: Path::new(&self.spec.program),
            mode: self.spec.mode,
            start: &start,
            root: root.as_deref().map(Path::new),
            model: self.spec.model.as_deref(),
            prompt_file: &self.files.prompt(),
            prompt: &prompt,
            argv: &argv,
            answer_file: &self.files.answer(),
            exclude_env: &self.spec.env_exclude,
            extra_args: &self.spec.extra_args,
            resume: thread.as_deref(),
            commands_confined: places.is_some(),
        });
        drop(prompt);
        let mut env = self.worker_env();
        env.extend(launch.env);
        if let Some(prefix) = backend::command_prefix(self.spec.backend) {
            let exclude = self.spec.env_exclude.clone();
            env.extend(Bounds { writable: places.clone(), exclude }.environment(prefix)?);
        }
        let command = WorkerCommand {
            program: launch.program,
            args: launch.args,
            dir: start,
            env,
            env_remove: prepare::scrubbed()
                .into_iter()
                .chain(backend::env_remove(self.spec.backend).iter().map(|&name| name.to_owned()))
                .collect(),
            stdin: match launch.stdin {
                Stdin::PromptFile => Input::File(self.files.prompt()),
                Stdin::Null => Input::Null,
            },
            stdout: self.files.stdout(),
            stderr: self.files.stderr(),
            confine: places.map(|places| self.with_own_places(places)),
        };
        let reader = self.spec.mode == Mode::Reader;
        let unconfined = reader && self.is_confinable() && command.confine.is_none();
        let before = if unconfined { self.checkout_state() } else { None };
        let litter = self.spec.tree.as_ref().map(|tree| {
            let root = Path::new(&tree.path);
            let names = backend::litter(self.spec.backend);
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
        let watched = self.watch(worker, &[&stdout, &stderr])?;
        if let Some((litter, root)) = litter {
            litter.remove(&root);
        }
        crash::point("worker-ended");
        let wrote = unconfined && before != self.checkout_state();
        Ok(Ended::ran(watched, launch.answer_file, launch.thread, wrote))
    }

    /// Where the worker stands.
    pub(super) fn start_folder(&self) -> PathBuf {
        match &self.spec.tree {
            Some(tree) => Path::new(&tree.path).join(&tree.prefix),
            None => PathBuf::from(&self.spec.cwd),
        }
    }

    /// Whether it is up to us to keep the worker from writing.
    fn is_confinable(&self) -> bool {
        backend::is_confined_by_us(self.spec.backend, self.spec.mode)
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
            places.extend(backend::more_folders(self.spec.backend, &self.spec.extra_args));
        }
        Some(places)
    }

    /// `places`, and those where the worker's program itself has to write.
    fn with_own_places(&self, mut places: Vec<PathBuf>) -> Vec<PathBuf> {
        places.extend(backend::own_places(self.spec.backend, |name| std::env::var_os(name)));
        places
    }

    /// What tells whether a reader that could not be confined has written.
    fn checkout_state(&self) -> Option<Vec<u8>> {
        let tree = self.spec.tree.as_ref().map(|tree| tree.path.as_str());
        let root = tree.or(self.spec.checkout.as_deref())?;
        crate::git::worktree::fingerprint(Path::new(root)).ok()
    }

    /// Watches `worker` until nothing of it runs any more. `outputs` are the
    /// files whose growth counts against the no-output limit.
    pub(super) fn watch(
        &mut self,
        mut worker: Worker,
        outputs: &[&Path],
    ) -> Result<Watched, SupervisorError> {
        let begun = Instant::now();
        let begun_clock = SystemTime::now();
        let millis = |ms: Option<u64>| ms.map(Duration::from_millis);
        let (timeout, silence) = (millis(self.spec.timeout_ms), millis(self.spec.silence_ms));
        let end = timeout.and_then(|timeout| begun.checked_add(timeout));
        let mut look_again = silence.and_then(|silence| begun.checked_add(silence));
        let mut left;
        let stop = loop {
            left = tree::reap(Some(&mut worker))?;
            if worker.exit().is_some() {
                break None;
            }
            if let Some(signal) = self.kill {
                let name = signals::name(signal);
                break Some(Stop { outcome: Outcome::Killed, reason: format!("ended by {name}") });
            }
            let now = Instant::now();
            if let (Some(timeout), true) = (timeout, end.is_some_and(|end| now >= end)) {
                let reason = format!("its time limit of {} ran out", ui::short(timeout));
                break Some(Stop { outcome: Outcome::TimedOut, reason });
            }
            if let (Some(silence), true) = (silence, look_again.is_some_and(|look| now >= look)) {
                let quiet = quiet_for(outputs, begun_clock);
                if quiet >= silence {
                    let reason = format!("it wrote nothing for {}", ui::short(silence));
                    break Some(Stop { outcome: Outcome::Silent, reason });
                }
                look_again = now.checked_add(silence.saturating_sub(quiet));
            }
            let next = match (end, look_again) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            let woken = self.signals.wait(next)?;
            if woken.terminate {
                self.kill = Some(TERM);
            }
            if woken.request {
                self.read_requests()?;
            }
        };
        let ran = begun.elapsed();
        let grace = Duration::from_millis(self.spec.grace_ms);
        // Kill is not asked again, and has no grace.
        let (first, grace) = match (&stop, self.kill) {
            (Some(Stop { outcome: Outcome::Killed, .. }), Some(KILL)) => (KILL, Duration::ZERO),
            (Some(Stop { outcome: Outcome::Killed, .. }), Some(signal)) => (signal, grace),
            _ => (TERM, grace),
        };
        let had_ended = worker.exit().is_some();
        let mut stragglers = 0;
        if left {
            let (requests, id) = (&mut self.requests, self.id);
            // Whoever asks for KILL does not want to wait for the grace time. A
            // ledger that cannot be read just now is no reason to end nothing.
            let mut hurry =
                || super::requested(requests, id).is_ok_and(|signals| signals.contains(&KILL));
            let signals = &mut self.signals;
            stragglers =
                tree::end_descendants(Some(&mut worker), signals, first, grace, &mut hurry)?;
        }
        Ok(Watched {
            exit: worker.exit(),
            stop,
            stragglers: if had_ended { stragglers } else { 0 },
            ran,
        })
    }
}

/// How long none of `outputs` has been written to; from `begun` on where none
/// ever was.
fn quiet_for(outputs: &[&Path], begun: SystemTime) -> Duration {
    let written = |path: &&Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let last = outputs.iter().filter_map(written).fold(begun, SystemTime::max);
    // A clock that was set back must not end a worker.
    SystemTime::now().duration_since(last).unwrap_or_default()
}
