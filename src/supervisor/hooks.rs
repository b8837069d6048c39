//! What runs around a worker, where the person asked for it: lines for `sh -c`, one
//! after another, in the worker's folder and with its environment.
//!
//! What they put out goes to `hooks.log`. They count as the job's: `cx kill` ends
//! them, its limits hold for each, and nothing that one starts outlives it. After
//! a crash none of them is run: recovery only keeps what there is.

use std::{ffi::OsString, path::PathBuf};

use super::{Stop, Supervisor, SupervisorError, prepare::path_variable, watch::Watched};
use crate::{backend::program, job::Outcome};

impl Supervisor {
    /// Runs what comes before the worker. `Ok(Err(stop))`: one of them failed, or
    /// the job was ended meanwhile.
    pub(super) fn hooks_before(&mut self) -> Result<Result<(), Stop>, SupervisorError> {
        let lines = self.spec.hooks.as_ref().map(|hooks| hooks.pre_task.clone());
        for line in lines.unwrap_or_default() {
            let (watched, log) = match self.hook("pre_task", &line, None)? {
                Ok(run) => run,
                Err(problem) => {
                    return Ok(Err(Stop::not_started(format!("the pre_task hook {problem}"))));
                }
            };
            if let Some(stop) = watched.stop {
                return Ok(Err(stop));
            }
            let code = watched.exit.map(crate::job::WorkerExit::shell_code);
            if code != Some(0) {
                return Ok(Err(Stop::not_started(format!(
                    "the pre_task hook `{}` failed ({}); its output is in {}",
                    shown(&line),
                    code.map_or_else(|| "how is not known".to_owned(), |code| code.to_string()),
                    log.display()
                ))));
            }
        }
        Ok(Ok(()))
    }

    /// Runs what comes after the worker, in the same folder, before anything is
    /// committed. One that fails is noted and changes nothing.
    pub(super) fn hooks_after(&mut self, outcome: &Outcome) -> Result<(), SupervisorError> {
        let Some(hooks) = &self.spec.hooks else { return Ok(()) };
        let (name, lines) = if outcome.is_success() {
            ("post_task", hooks.post_task.clone())
        } else {
            ("failure", hooks.failure.clone())
        };
        if lines.is_empty() {
            return Ok(());
        }
        if self.kill.is_some() {
            return Ok(self.note(format!("the {name} hooks did not run, since the job was ended"))?);
        }
        for line in lines {
            let failed = match self.hook(name, &line, Some(outcome))? {
                Ok((Watched { stop: Some(stop), .. }, _)) => Some(stop.reason),
                Ok((watched, log)) => match watched.exit.map(crate::job::WorkerExit::shell_code) {
                    Some(0) => None,
                    code => Some(format!(
                        "failed ({}); its output is in {}",
                        code.map_or_else(|| "how is not known".to_owned(), |code| code.to_string()),
                        log.display()
                    )),
                },
                Err(problem) => Some(problem),
            };
            if let Some(failed) = failed {
                self.note(format!("the {name} hook `{}`: {failed}", shown(&line)))?;
            }
        }
        Ok(())
    }

    /// Runs one to its end; `Ok(Err(problem))` where it could not be started.
    fn hook(
        &mut self,
        name: &str,
        line: &str,
        outcome: Option<&Outcome>,
    ) -> Result<Result<(Watched, PathBuf), String>, SupervisorError> {
        let log = self.files.hooks_log();
        let sh = match program::locate_word("sh".as_ref(), &path_variable()) {
            Ok(sh) => sh,
            Err(error) => return Ok(Err(format!("cannot run: {error}"))),
        };
        let args: Vec<OsString> = vec!["-c".into(), line.into()];
        let mut command = self.step(sh, args, self.start_folder(), &log);
        command.env.push(("CX_HOOK".into(), name.into()));
        command.env.push(("TASK".into(), self.spec.title.clone().into()));
        if let Some(outcome) = outcome {
            command.env.push(("CX_OUTCOME".into(), outcome.as_str().into()));
        }
        match command.start() {
            Ok(worker) => Ok(Ok((self.watch(worker, &[&log])?, log))),
            Err(error) => Ok(Err(format!("could not be started: {error}"))),
        }
    }
}

/// The first line of a command, cut.
fn shown(line: &str) -> String {
    crate::ui::cut(&crate::ui::clean(line.lines().next().unwrap_or_default()), 60)
}
