//! Before the worker starts: a writer's worktree, what comes along into it, and
//! the setup command.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{Stop, Supervisor, SupervisorError};
use crate::{
    git::{self, Place, include, worktree},
    ledger::{Event, Spawned, Tree, Worktree},
    process::{
        crash,
        worker::{Input, WorkerCommand},
    },
};

impl Supervisor {
    /// `Ok(Err(stop))`: the job cannot start, and nothing is left behind that
    /// has no job's name on it.
    pub(super) fn prepare(&mut self) -> Result<Result<(), Stop>, SupervisorError> {
        self.files.create_tmp()?;
        let Some(tree) = self.spec.tree.clone() else { return Ok(Ok(())) };
        self.asked_base = Some(tree.base.clone());
        let place = match self.place() {
            Ok(place) => place,
            Err(reason) => return Ok(Err(Stop::not_started(reason))),
        };
        if self.spec.resumes.is_some() {
            return self.take_over(&place, &tree);
        }
        if let Err(stop) = self.settle_base(&place)? {
            return Ok(Err(stop));
        }
        let tree = self.spec.tree.clone().unwrap_or(tree);
        if let Err(reason) = self.make_worktree(&place, &tree)? {
            return Ok(Err(Stop::not_started(reason)));
        }
        crash::point("worktree");
        if let Err(stop) = self.set_up(&tree)? {
            return Ok(Err(stop));
        }
        if !self.spec.setup.is_empty() || self.came_along {
            // What is not known to be given is committed, which loses nothing.
            if let Err(error) = worktree::note_given(&place, Path::new(&tree.path)) {
                self.note(format!("what its worktree was given is not known: {error}"))?;
            }
        }
        Ok(Ok(()))
    }

    fn make_worktree(
        &mut self,
        place: &Place,
        tree: &Tree,
    ) -> Result<Result<(), String>, SupervisorError> {
        let begun = Instant::now();
        let base = match git::Oid::new(tree.beginning()) {
            Ok(base) => base,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let new = worktree::NewWorktree {
            path: Path::new(&tree.path),
            branch: tree.branch.as_deref(),
            base: &base,
        };
        let made =
            match worktree::create_in_steps(place, &new, &self.store.worktree_lock(), &|step| {
                crash::point(step.name());
            }) {
                Ok(made) => made,
                Err(error) => return Ok(Err(format!("its worktree could not be made: {error}"))),
            };
        self.has_tree = true;
        crash::point("worktree-made");
        if let Err(error) = self.stand(place, tree) {
            return Ok(Err(format!(
                "the conflict could not be brought into its worktree: {error}"
            )));
        }
        for submodule in &made.empty_submodules {
            self.note(format!(
                "submodule {} is empty in the worktree, as it is in the checkout",
                submodule.display()
            ))?;
        }
        if let Some(checkout) = &place.checkout {
            match include::copy(checkout, Path::new(&tree.path), &self.spec.include) {
                Ok(copied) if copied.files > 0 => {
                    self.came_along = true;
                    self.note(format!(
                        "{} came along into the worktree",
                        crate::ui::plural(copied.files, "ignored file")
                    ))?;
                }
                Ok(_) => {}
                Err(error) => {
                    return Ok(Err(format!("ignored files could not come along: {error}")));
                }
            }
        }
        // A subfolder that holds only ignored files is not in a fresh worktree.
        let folder = Path::new(&tree.path).join(&tree.prefix);
        if let Err(error) = std::fs::create_dir_all(&folder) {
            return Ok(Err(format!("cannot make {}: {error}", folder.display())));
        }
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.append(&Event::Worktree(Worktree {
            engine: made.taken.engine.to_string(),
            took_ms,
            why: made.taken.why(),
        }))?;
        Ok(Ok(()))
    }

    /// Says what of the checkout the worktree has not, because nobody committed it.
    pub(super) fn note_what_is_left_out(&self) -> Result<(), SupervisorError> {
        let (Some(base), None) = (&self.asked_base, &self.spec.resolves) else { return Ok(()) };
        let Ok(place) = self.place() else { return Ok(()) };
        let Some(checkout) = place.checkout.clone() else { return Ok(()) };
        // Whoever names another base does not expect the checkout's changes.
        let Ok(state) = worktree::state(&place, &checkout, None) else { return Ok(()) };
        if state.head.oid().is_none_or(|head| head.as_str() != base) {
            return Ok(());
        }
        // What cx itself is told there is not the worker's.
        let untracked = state.untracked.iter().filter(|path| !path.starts_with(".cx")).count();
        let uncommitted = state.uncommitted.len();
        let count = |n: usize, what: &str| (n > 0).then(|| crate::ui::plural(n as u64, what));
        let parts = [count(uncommitted, "uncommitted change"), count(untracked, "untracked file")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            let is = if uncommitted + untracked == 1 { "is" } else { "are" };
            self.note(format!(
                "{} of the checkout {is} not in its worktree; commit first what it is to see",
                parts.join(" and ")
            ))?;
        }
        Ok(())
    }

    pub(super) fn place(&self) -> Result<Place, String> {
        place_of(&self.spec)
    }

    /// A step of the job besides its worker: its environment is the worker's, and
    /// all that it puts out goes to one log.
    pub(super) fn step(
        &self,
        program: PathBuf,
        args: Vec<OsString>,
        dir: PathBuf,
        log: &Path,
    ) -> WorkerCommand {
        WorkerCommand {
            program,
            args,
            dir,
            env: self.worker_env(),
            env_remove: scrubbed(),
            stdin: Input::Null,
            stdout: log.to_owned(),
            stderr: log.to_owned(),
            confine: None,
        }
    }

    /// Runs the setup command in the worktree, watched as the worker is.
    fn set_up(&mut self, tree: &Tree) -> Result<Result<(), Stop>, SupervisorError> {
        let [program, args @ ..] = self.spec.setup.as_slice() else { return Ok(Ok(())) };
        let log = self.files.setup_log();
        let program = match crate::backend::program::locate_word(program.as_ref(), &path_variable())
        {
            Ok(program) => program,
            Err(error) => return Ok(Err(Stop::not_started(format!("setup: {error}")))),
        };
        let args = args.iter().map(Into::into).collect();
        let command = self.step(program, args, PathBuf::from(&tree.path), &log);
        let worker = match command.start() {
            Ok(worker) => worker,
            Err(error) => return Ok(Err(Stop::not_started(format!("setup: {error}")))),
        };
        let watched = self.watch(worker, &[&log])?;
        if let Some(stop) = watched.stop {
            return Ok(Err(stop));
        }
        match watched.exit {
            Some(exit) if exit.shell_code() == 0 => Ok(Ok(())),
            Some(exit) => Ok(Err(Stop::not_started(format!(
                "the setup command failed ({}); its output is in {}",
                exit.shell_code(),
                log.display()
            )))),
            None => Ok(Err(Stop::not_started("how the setup command ended is not known"))),
        }
    }

    /// What every process of the job has in its environment on top of what its
    /// spawner had.
    pub(super) fn worker_env(&self) -> Vec<(OsString, OsString)> {
        let mut env = vec![
            ("CX_JOB".into(), self.id.0.to_string().into()),
            ("CX_JOB_ID".into(), self.spec.id.clone().into()),
            ("CX_NAME".into(), self.spec.name.as_str().into()),
            ("TMPDIR".into(), self.files.tmp().into()),
        ];
        if let Some(run) = &self.spec.run {
            env.push(("CX_RUN".into(), run.clone().into()));
        }
        env
    }
}

/// The repository of a job.
pub(super) fn place_of(spec: &Spawned) -> Result<Place, String> {
    let from = spec.checkout.as_deref().unwrap_or(&spec.cwd);
    match Place::discover(Path::new(from)) {
        Ok(Some(place)) => Ok(place),
        Ok(None) => Err(format!("{from} is no repository any more")),
        Err(error) => Err(error.to_string()),
    }
}

/// What no worker inherits: variables that name another repository.
pub(super) fn scrubbed() -> Vec<String> {
    git::SCRUBBED.iter().map(|name| (*name).to_owned()).chain(["CX_CRASH_AT".to_owned()]).collect()
}

pub(super) fn path_variable() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}
