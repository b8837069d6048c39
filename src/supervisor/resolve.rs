//! What is different for a job that resolves another one's conflict: the merge
//! stands in its worktree before it starts, and its success is looked at twice.

use std::path::Path;

use super::{Supervisor, SupervisorError, finish::Finisher, prepare};
use crate::{
    backend::{Verdict, program},
    git::{self, GitError, Oid, Place, merge},
    job::{Outcome, WorkerExit},
    ledger::{Exited, Resolves, Tree},
    process::crash,
};

/// A commit out of the ledger.
pub(super) fn commit(text: &str) -> Result<Oid, GitError> {
    Oid::new(text).map_err(|_| GitError::NoSuchRevision(text.to_owned()))
}

impl Supervisor {
    /// Has the conflict stand in the fresh worktree.
    pub(super) fn stand(&self, place: &Place, tree: &Tree) -> Result<(), GitError> {
        let Some(resolves) = &self.spec.resolves else { return Ok(()) };
        merge::stand(place, Path::new(&tree.path), &commit(&resolves.tip)?)?;
        crash::point("conflict-stands");
        Ok(())
    }

    /// Runs the check on what a resolver has committed. Red is a failure.
    pub(super) fn verify(&mut self, exited: &mut Exited) -> Result<(), SupervisorError> {
        let Some(Resolves { verify, .. }) = &self.spec.resolves else { return Ok(()) };
        let (Some(tree), [word, args @ ..]) = (&self.spec.tree, verify.as_slice()) else {
            return Ok(());
        };
        if !exited.outcome.is_success() {
            return Ok(());
        }
        let log = self.files.dir().join("verify.log");
        let program = match program::locate_word(word.as_ref(), &prepare::path_variable()) {
            Ok(program) => program,
            Err(error) => {
                fail(exited, Outcome::Failed, format!("the check could not run: {error}"));
                return Ok(());
            }
        };
        let args = args.iter().map(Into::into).collect();
        let command = self.step(program, args, tree.path.clone().into(), &log);
        let worker = match command.start() {
            Ok(worker) => worker,
            Err(error) => {
                fail(exited, Outcome::Failed, format!("the check could not run: {error}"));
                return Ok(());
            }
        };
        let watched = self.watch(worker, &[&log])?;
        crash::point("verified");
        if let Some(stop) = watched.stop {
            fail(exited, stop.outcome, format!("in the check of its resolution: {}", stop.reason));
        } else if watched.exit != Some(WorkerExit::Code(0)) {
            let code = watched.exit.map_or_else(|| "?".to_owned(), |e| e.shell_code().to_string());
            let log = log.display();
            fail(
                exited,
                Outcome::Failed,
                format!(
                    "the check fails with its resolution (exit {code}); its output is in {log}"
                ),
            );
        }
        Ok(())
    }
}

fn fail(exited: &mut Exited, outcome: Outcome, reason: String) {
    exited.outcome = outcome;
    exited.reason = Some(reason);
    exited.code = WorkerExit::job_code(exited.exit, &exited.outcome);
}

impl Finisher<'_> {
    /// A success that left markers behind is none.
    pub(super) fn refuse_markers(&self, verdict: &mut Verdict) {
        let (Some(resolves), Some(tree)) = (&self.spec.resolves, &self.spec.tree) else { return };
        if !verdict.outcome.is_success() {
            return;
        }
        let left = || -> Result<Vec<std::path::PathBuf>, GitError> {
            let path = Path::new(&tree.path);
            let place = Place::discover(Path::new(
                self.spec.checkout.as_deref().unwrap_or(&self.spec.cwd),
            ))?
            .ok_or_else(|| git::GitError::NotAWorktree(path.to_owned()))?;
            merge::markers_left(&place, path, &commit(&tree.base)?, &commit(&resolves.tip)?)
        };
        let reason = match left() {
            Ok(left) if left.is_empty() => return,
            Ok(left) => {
                let names: Vec<String> = left.iter().map(|p| p.display().to_string()).collect();
                format!("conflict markers were left in {}", names.join(", "))
            }
            Err(error) => format!("whether the conflict is resolved is not known: {error}"),
        };
        verdict.outcome = Outcome::Failed;
        verdict.reason = Some(reason);
    }
}
