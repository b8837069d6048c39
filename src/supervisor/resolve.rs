//! What is different for a job that resolves another one's conflict: the merge
//! stands in its worktree before it starts, and its success is looked at twice.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Supervisor, SupervisorError, finish::Finisher, oid, prepare};
use crate::{
    backend::{Answer, Verdict, program},
    git::{
        self, GitError, Place,
        merge::{self, Undecided},
    },
    job::{Outcome, WorkerExit},
    ledger::{Exited, Resolves, Tree},
    process::crash,
};

impl Supervisor {
    /// Has the conflict stand in the fresh worktree.
    pub(super) fn stand(&mut self, place: &Place, tree: &Tree) -> Result<(), GitError> {
        let Some(resolves) = &self.spec.resolves else { return Ok(()) };
        self.undecided = merge::stand(place, Path::new(&tree.path), &oid(&resolves.tip)?)?;
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
    /// A success that left markers behind, or decided nothing about a path of the
    /// conflict it was given that has none, is none. `undecided` is how such paths stood at first.
    pub(super) fn refuse_unresolved(&self, verdict: &mut Verdict, undecided: &[Undecided]) {
        let Some((tree, _)) = self.spec.branch() else { return };
        if !verdict.outcome.is_success() {
            return;
        }
        let path = Path::new(&tree.path);
        let left = || -> Result<Option<String>, GitError> {
            let place = Place::discover(Path::new(
                self.spec.checkout.as_deref().unwrap_or(&self.spec.cwd),
            ))?
            .ok_or_else(|| git::GitError::NotAWorktree(path.to_owned()))?;
            let Some(resolves) = &self.spec.resolves else {
                // Its worker may have begun a merge by itself. Where git cannot tell, a
                // broken index is mended and said later.
                let left = merge::markers_standing(&place, path).unwrap_or_default();
                return Ok((!left.is_empty()).then(|| {
                    format!("it left conflict markers in {}, of a merge of its own", names(&left))
                }));
            };
            let (base, tip) = (oid(&tree.base)?, oid(&resolves.tip)?);
            let left = merge::markers_left(&place, path, &base, &tip)?;
            if !left.is_empty() {
                return Ok(Some(format!("conflict markers were left in {}", names(&left))));
            }
            let mut still = merge::undecided_still(&place, path, undecided)?;
            if !still.is_empty() {
                let kept = kept(&self.answer(verdict));
                still.retain(|path| !kept.contains(path));
            }
            Ok((!still.is_empty()).then(|| {
                format!(
                    "unresolved: {} stood in conflict and was neither changed nor kept by a line \
                     `KEEP: PATH` in the answer",
                    names(&still)
                )
            }))
        };
        let reason = match left() {
            Ok(None) => return,
            Ok(Some(reason)) => reason,
            Err(error) => format!("whether the conflict is resolved is not known: {error}"),
        };
        verdict.outcome = Outcome::Failed;
        verdict.reason = Some(reason);
    }

    /// What the worker said in the end.
    fn answer(&self, verdict: &Verdict) -> String {
        match &verdict.answer {
            Answer::Text(text) => text.clone(),
            Answer::Stdout => {
                let bytes = fs::read(self.files.stdout()).unwrap_or_default();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Answer::None => String::new(),
        }
    }
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The paths that an answer says are to stay as they are: `KEEP: PATH`, each in a
/// line of its own, as an item of a list or in backquotes if the model likes.
fn kept(answer: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let line = line.trim_matches([' ', '\t', '\r', '*', '-', '`']);
        let path = line.strip_prefix("KEEP:")?.trim_matches([' ', '\t', '*', '`']);
        Some(PathBuf::from(path))
    };
    answer.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_an_answer_keeps() {
        let said = "Done.\nKEEP: a b.txt\n- `KEEP: src/c`\n* **KEEP:** `d`\r\nI KEEP: e\nkeep: f";
        assert_eq!(kept(said), ["a b.txt", "src/c", "d"].map(PathBuf::from));
    }
}
