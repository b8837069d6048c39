//! After the worker: what its end means, what it left, what is written down.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{Stop, Supervisor, SupervisorError, watch::Watched};
use crate::{
    backend::{self, Answer, Backend, JudgeInput, Verdict},
    git::{self, CommitMessage, Place, commit, diff},
    job::{BudgetOf, Outcome, Usage, WorkerExit, secret},
    ledger::{Exited, JobFiles, Note, Spawned, State, Store, Tree},
    process::crash,
    ui,
};

/// How the work ended, before it is judged.
pub(super) struct Ended {
    started: bool,
    exit: Option<WorkerExit>,
    stop: Option<Stop>,
    stragglers: u64,
    ran: Duration,
    answer_file: Option<PathBuf>,
    /// The thread that it had to answer on.
    thread: Option<String>,
    /// An unconfined reader changed the checkout.
    wrote: bool,
    /// What it means, once that was looked at.
    pub(super) verdict: Option<Verdict>,
}

impl Ended {
    /// No worker ran.
    pub(super) fn stopped(stop: Stop) -> Self {
        Self {
            started: false,
            exit: None,
            stop: Some(stop),
            stragglers: 0,
            ran: Duration::ZERO,
            answer_file: None,
            thread: None,
            wrote: false,
            verdict: None,
        }
    }

    /// The worker ran and was watched to its end.
    pub(super) fn ran(
        watched: Watched,
        answer_file: Option<PathBuf>,
        thread: Option<String>,
        wrote: bool,
    ) -> Self {
        Self {
            started: true,
            exit: watched.exit,
            stop: watched.stop,
            stragglers: watched.stragglers,
            ran: watched.ran,
            answer_file,
            thread,
            wrote,
            verdict: None,
        }
    }

    /// How long the job's workers ran, up to this end.
    pub(super) fn ran_so_far(&self) -> Duration {
        self.ran
    }

    /// Whether it was we who ended it, or it never ran.
    pub(super) fn was_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// The job ends after this worker and before another one that was to come.
    pub(super) fn stop_between(&mut self, stop: Stop) {
        self.stop = Some(stop);
        self.exit = None;
        self.verdict = None;
    }

    /// Where it was we who ended it, that is how it ended, whatever it said.
    pub(super) fn overrule(&self, mut verdict: Verdict) -> Verdict {
        if let Some(stop) = &self.stop {
            verdict.outcome = stop.outcome.clone();
            // What the worker said last helps whoever wonders why.
            verdict.reason = Some(match verdict.reason.take() {
                Some(said) if stop.outcome != Outcome::Killed => format!("{}; {said}", stop.reason),
                _ => stop.reason.clone(),
            });
        }
        verdict
    }

    /// The supervisor vanished; `started` says whether a worker may have run.
    pub(super) fn lost(started: bool, reason: String, ran: Duration, stragglers: u64) -> Self {
        Self { started, stragglers, ran, ..Self::stopped(Stop { outcome: Outcome::Lost, reason }) }
    }
}

/// What [`finish`] needs to know of a job.
pub(super) struct Finisher<'a> {
    pub(super) store: &'a Store,
    pub(super) id: crate::job::JobId,
    pub(super) spec: &'a Spawned,
    pub(super) backend: &'a Backend,
    pub(super) files: &'a JobFiles,
}

impl Supervisor {
    /// Judges, writes the answer down and commits; the result is what `exited`
    /// says.
    pub(super) fn finish(&mut self, mut ended: Ended) -> Result<Exited, SupervisorError> {
        let mut verdict = match ended.verdict.take() {
            Some(verdict) => verdict,
            None => self.finisher().judge(&ended)?,
        };
        if verdict.sandbox_unproven {
            self.prove_sandbox(&mut verdict)?;
        }
        self.finisher().refuse_unresolved(&mut verdict, &self.undecided);
        if ended.started {
            self.hooks_after(&verdict.outcome)?;
        }
        let mut exited = self.finisher().finish(&ended, verdict, self.usage.earlier())?;
        exited.usage = self.usage.whole(exited.usage);
        Ok(exited)
    }

    pub(super) fn finisher(&self) -> Finisher<'_> {
        Finisher {
            store: &self.store,
            id: self.id,
            spec: &self.spec,
            backend: &self.backend,
            files: &self.files,
        }
    }

    /// A success without a sign of a working sandbox is proved by starting one.
    fn prove_sandbox(&mut self, verdict: &mut Verdict) -> Result<(), SupervisorError> {
        let program = Path::new(&self.spec.program);
        let Some(probe) = backend::sandbox_probe(&self.backend, program) else { return Ok(()) };
        let log = self.files.dir().join("sandbox.log");
        // Whether it starts can depend on the folder.
        let mut command = self.step(probe.program, probe.args, self.start_folder(), &log);
        command.env.extend(probe.env);
        let watched = self.watch(command.start()?, &[&log])?;
        if watched.exit == Some(WorkerExit::Code(0)) {
            return Ok(());
        }
        let said = fs::read(&log)?;
        let unproven = std::mem::replace(verdict, Verdict::nothing());
        *verdict = unproven.with_broken_sandbox(&said);
        Ok(())
    }
}

impl Finisher<'_> {
    pub(super) fn judge(&self, ended: &Ended) -> Result<Verdict, SupervisorError> {
        let stop = ended.stop.as_ref();
        let mut verdict = if ended.started {
            backend::judge(
                self.backend,
                &JudgeInput {
                    exit: ended.exit,
                    stdout: &self.files.stdout(),
                    stderr: &self.files.stderr(),
                    answer_file: ended.answer_file.as_deref(),
                    ended_by_us: stop.map(|stop| stop.outcome.clone()),
                    expected_thread: ended.thread.as_deref(),
                },
            )?
        } else {
            Verdict::nothing()
        };
        self.hide_token(&mut verdict);
        verdict = ended.overrule(verdict);
        self.check_answer(&mut verdict)?;
        if ended.wrote {
            verdict.outcome = Outcome::WroteInReader;
            verdict.reason = Some(
                "the checkout changed while this reader ran, which could not be confined here"
                    .to_owned(),
            );
        }
        Ok(verdict)
    }

    /// `earlier` is what the job has used before its last try.
    pub(super) fn finish(
        &self,
        ended: &Ended,
        mut verdict: Verdict,
        earlier: Usage,
    ) -> Result<Exited, SupervisorError> {
        // Nobody needs it any more.
        if self.spec.endpoint.is_some() {
            self.files.remove_token()?;
        }
        let mut notes = std::mem::take(&mut verdict.notes);
        self.write_answer(&verdict.answer)?;
        crash::point("answered");
        notes.extend(self.refused_hint(&verdict, ended.exit));
        let mut kept = Work::default();
        if let (Some((tree, branch)), true) = (self.spec.branch(), ended.started) {
            match self.keep_work(tree, branch, &verdict) {
                Ok(work) => kept = work,
                Err(error) => {
                    // The files are still there, and the job must not look well.
                    if verdict.outcome.is_success() {
                        verdict.outcome = Outcome::Failed;
                    }
                    let before =
                        verdict.reason.take().map(|r| format!("{r}; ")).unwrap_or_default();
                    let path = &tree.path;
                    let gone = fs::symlink_metadata(path)
                        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
                    verdict.reason = Some(if gone {
                        format!(
                            "{before}its worktree {path} was removed, and what it had not committed with it"
                        )
                    } else {
                        format!(
                            "{before}its work could not be committed and is still in {path}: {error}"
                        )
                    });
                }
            }
        }
        crash::point("committed");
        notes.extend(std::mem::take(&mut kept.notes));
        let usage = self.own_usage(verdict.usage)?;
        let usage = usage.map(|usage| usage.priced(self.spec.price.as_ref()));
        if verdict.outcome.is_success() {
            let all = [earlier].into_iter().chain(usage).sum();
            notes.extend(self.over_its_own(all));
        }
        for text in notes {
            self.store.append(self.id, &crate::ledger::Event::Note(Note { text }))?;
        }
        Ok(Exited {
            code: WorkerExit::job_code(ended.exit, &verdict.outcome),
            outcome: verdict.outcome,
            exit: ended.exit,
            reason: verdict.reason,
            ran_ms: u64::try_from(ended.ran.as_millis()).unwrap_or(u64::MAX),
            usage,
            thread: verdict.thread_id,
            tip: kept.tip,
            commits: kept.commits,
            files: kept.files,
            stragglers: ended.stragglers,
        })
    }

    /// What a job has used of its own budget, where it did its work before anybody could
    /// end it for that.
    fn over_its_own(&self, usage: Usage) -> Option<String> {
        let own = self.spec.budgets.iter().filter(|budget| budget.of == BudgetOf::Job);
        let spec = Spawned { budgets: own.copied().collect(), ..self.spec.clone() };
        let spent = State::new().spent(&spec, usage, Usage::default(), Timestamp::now());
        spent.map(|spent| spent.to_string())
    }

    /// A server may have said its token back to us: what is written into the ledger does
    /// not have it.
    fn hide_token(&self, verdict: &mut Verdict) {
        if self.spec.endpoint.is_none() {
            return;
        }
        let line = fs::read_to_string(self.files.token()).unwrap_or_default();
        if let Some(token) = backend::http::token_in(&line) {
            for said in verdict.reason.iter_mut().chain(&mut verdict.notes) {
                *said = said.replace(token, "[token]");
            }
        }
    }

    fn write_answer(&self, answer: &Answer) -> Result<(), SupervisorError> {
        // Where stdout is the message it lies there already, and nobody writes to
        // it any more: the worker and all that it started are gone.
        if let Answer::Text(text) = answer {
            self.files.replace(&self.files.last_message(), text.as_bytes())?;
        }
        Ok(())
    }

    /// A reader that was refused a write is told how to get one.
    fn refused_hint(&self, verdict: &Verdict, exit: Option<WorkerExit>) -> Option<String> {
        // A shell goes on after a refusal, and its script may end well.
        let is_told = match verdict.outcome {
            Outcome::Failed => true,
            Outcome::Succeeded => self.backend.runs_commands(),
            _ => false,
        };
        // A program that may not be run is another matter.
        let cannot_run = exit == Some(WorkerExit::Code(126));
        if self.spec.mode != crate::job::Mode::Reader || !is_told || cannot_run {
            return None;
        }
        let stderr = self.files.stderr();
        if fs::metadata(&stderr).is_ok_and(|file| file.len() == 0) {
            return None;
        }
        let stderr = fs::read(stderr).ok()?;
        let tail = stderr.get(stderr.len().saturating_sub(4096)..)?;
        let tail = String::from_utf8_lossy(tail);
        let refused = ["Permission denied", "Read-only file system", "EACCES", "EROFS"];
        // Outside of a repository nobody gets a worktree.
        let has_place = || matches!(Place::discover(Path::new(&self.spec.cwd)), Ok(Some(_)));
        (refused.iter().any(|word| tail.contains(word)) && has_place()).then(|| {
            "a reader may not write outside its TMPDIR and /tmp; `--write` gives it a worktree of its own"
                .to_owned()
        })
    }

    /// Commits what lies in the worktree, and counts what the branch holds.
    fn keep_work(
        &self,
        tree: &Tree,
        branch: &str,
        verdict: &Verdict,
    ) -> Result<Work, git::GitError> {
        let path = Path::new(&tree.path);
        let from = self.spec.checkout.as_deref().unwrap_or(&self.spec.cwd);
        let place = match Place::discover(Path::new(from))? {
            Some(place) => place,
            None => Place::discover(path)?
                .ok_or_else(|| git::GitError::NotAWorktree(path.to_owned()))?,
        };
        let message = self.commit_message(verdict);
        // What failed is no resolution, and the merge stays under way.
        let merges = match &self.spec.resolves {
            Some(resolves) if verdict.outcome.is_success() => Some(super::oid(&resolves.tip)?),
            _ => None,
        };
        let kept = commit::leftovers(&commit::Leftovers {
            merges: merges.as_ref(),
            place: &place,
            worktree: path,
            branch,
            name: self.spec.name.as_str(),
            message: &message,
        })?;
        let notes = kept.notes.iter().map(ToString::to_string).collect();
        let Some(tip) = kept.tip else { return Ok(Work { notes, ..Work::default() }) };
        let base = super::oid(&tree.base)?;
        let (commits, files) = if tip == base {
            (0, 0)
        } else {
            let commits = git::Repo::open(&place).commits_between(&base, &tip)?;
            (commits as u64, diff::stat(&place, &base, &tip)?.len() as u64)
        };
        Ok(Work { tip: Some(tip.as_str().to_owned()), commits, files, notes })
    }

    /// Subject from the final message, or from the task where there is none.
    fn commit_message(&self, verdict: &Verdict) -> CommitMessage {
        let answer = match &verdict.answer {
            // JSON is no subject.
            _ if self.spec.schema => String::new(),
            Answer::Text(text) => text.clone(),
            // What a shell command prints last is seldom a summary.
            Answer::Stdout | Answer::None => String::new(),
        };
        // A commit is read by others, and pushed.
        let answer = secret::redacted(&answer);
        let subject = subject(&answer).unwrap_or_else(|| self.spec.title.clone());
        let mut trailers = vec![
            ("Cx-Job".to_owned(), format!("{} {}", self.id.0, self.spec.name)),
            ("Cx-Backend".to_owned(), self.spec.backend.to_string()),
        ];
        if let Some(agent) = &self.spec.agent {
            trailers.push(("Cx-Agent".to_owned(), agent.clone()));
        }
        if verdict.outcome.is_success() {
            return CommitMessage { subject, body: String::new(), trailers };
        }
        trailers.push(("Cx-Outcome".to_owned(), verdict.outcome.to_string()));
        CommitMessage {
            subject: format!("[{}] {}", verdict.outcome, ui::cut(&self.spec.title, 60)),
            body: format!(
                "Left behind by a job that did not succeed.\n\n{}",
                secret::redacted(verdict.reason.as_deref().unwrap_or_default())
            ),
            trailers,
        }
    }
}

#[derive(Default)]
struct Work {
    tip: Option<String>,
    commits: u64,
    files: u64,
    notes: Vec<String>,
}

/// The first line of an answer that says something, without Markdown around it,
/// cut to what `git log --oneline` shows.
fn subject(answer: &str) -> Option<String> {
    let plain = |line: &str| {
        let line = line.trim_start_matches(['#', '*', '-', '>', ' ', '`']);
        ui::clean(line.trim_end_matches(['*', '`', ':', ' ']))
    };
    let line = answer.lines().map(plain).find(|line| line.chars().any(char::is_alphanumeric))?;
    Some(ui::cut(&line, 72))
}

#[cfg(test)]
mod tests {
    use super::subject;

    #[test]
    fn subjects_are_the_first_line_that_says_something() {
        assert_eq!(
            subject("\n## **Added** the refresh\n\nmore"),
            Some("Added** the refresh".to_owned())
        );
        assert_eq!(subject("```\nDone."), Some("Done.".to_owned()));
        assert_eq!(subject(" \n--\n"), None);
        assert_eq!(subject(&"x".repeat(100)).map(|s| s.chars().count()), Some(72));
    }
}
