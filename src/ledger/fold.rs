//! Folding events into jobs and runs. Pure: a record goes in, the state moves on.
//!
//! Every event may come at any time and more than once (two commands may both
//! see a supervisor dead): folding is tolerant, and the first `exited` of a job
//! is the one that counts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    event::{Based, Event, Exited, Record, Spawned, Worktree},
    fallback::FellOver,
    hold::{self, Clocks, OnHold},
    landing::{Held, Merged},
    phase::Phase,
    run::NO_JOB,
    runs::{self, Run},
    usage::{self, Book},
};
use crate::job::{Candidate, JobId, Mode, Outcome, ProcessRef, Usage};

/// A job as the ledger tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub job: JobId,
    /// What was decided when it was spawned.
    pub spec: Box<Spawned>,
    /// How far it has come.
    pub phase: Phase,
    /// When it was spawned.
    pub spawned_at: Timestamp,
    /// When its worker was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Its supervisor, once that has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<ProcessRef>,
    /// Its worker's first process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<ProcessRef>,
    /// Whose work its tree starts from, once that is settled. `spec.tree.base` is
    /// the commit that it does start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub based: Option<Based>,
    /// How its worktree was made, once it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<Worktree>,
    /// Whether it counts against a limit on parallel jobs.
    #[serde(default)]
    pub admitted: bool,
    /// The last signal that somebody asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill: Option<i32>,
    /// The backends that could not do its work; `spec` is as it is for the one that
    /// does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fell_over: Vec<FellOver>,
    /// What a person should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What its backend has used so far, as it is counted in [`State::book`]; those
    /// before it stand in `fell_over`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Usage>,
    /// Why and until when it was put on hold last, and since when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<(Timestamp, OnHold)>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exited: Option<Exited>,
    /// Whether its result was handed out.
    #[serde(default)]
    pub collected: bool,
    /// Its last merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
    /// The check that held it back, since it was merged last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// The job of its group that was picked in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_picked: Option<JobId>,
    /// Whether its worktree and branch are gone.
    #[serde(default)]
    pub tree_gone: bool,
    /// Whether its folder with prompt and outputs is gone.
    #[serde(default)]
    pub files_gone: bool,
    /// The ref that keeps what was discarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// The job that goes on from it, in its tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub went_on: Option<JobId>,
    /// The next attempt at its task, in files of its own: of its run, or by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_again: Option<JobId>,
}

impl Job {
    fn new(job: JobId, at: Timestamp, spec: Box<Spawned>) -> Self {
        // A job that has to queue says so itself; all others may run at once.
        let admitted = !spec.is_limited() && spec.after.is_empty();
        let phase = if spec.is_limited() { Phase::Queued } else { Phase::Starting };
        let phase = if spec.after.is_empty() { phase } else { Phase::Waiting };
        Self {
            job,
            spec,
            phase,
            spawned_at: at,
            running_at: None,
            ended_at: None,
            supervisor: None,
            worker: None,
            based: None,
            worktree: None,
            admitted,
            kill: None,
            fell_over: Vec::new(),
            notes: Vec::new(),
            used: None,
            hold: None,
            exited: None,
            collected: false,
            merged: None,
            held: None,
            not_picked: None,
            tree_gone: false,
            files_gone: false,
            kept: None,
            went_on: None,
            tried_again: None,
        }
    }

    /// Whether it is over without a worktree ever having been made for it.
    pub fn never_started(&self) -> bool {
        !self.is_live() && self.running_at.is_none() && self.worktree.is_none()
    }

    /// Whether its worktree and branch are not its own any more: they are gone, or
    /// another job goes on in them.
    pub fn is_without_tree(&self) -> bool {
        self.tree_gone || self.went_on.is_some()
    }

    /// Whether it is not over.
    pub fn is_live(&self) -> bool {
        self.exited.is_none()
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.exited.as_ref().map(|exited| &exited.outcome)
    }

    /// Whether it ended well.
    pub fn succeeded(&self) -> bool {
        self.outcome().is_some_and(Outcome::is_success)
    }

    /// The job that does what this one failed to do: how that ends is what counts.
    pub fn superseded_by(&self) -> Option<JobId> {
        let failed = self.outcome().is_some_and(|outcome| !outcome.is_success());
        self.went_on.or(self.tried_again).filter(|_| failed)
    }

    /// Whether it is over and somebody has yet to see how.
    pub fn is_to_collect(&self) -> bool {
        !self.is_live() && !self.is_put_away() && self.superseded_by().is_none()
    }

    /// Whether its result was handed out, or is gone.
    fn is_put_away(&self) -> bool {
        self.collected || self.files_gone
    }

    /// Whether it is a writer whose branch holds commits that no merge took, and
    /// that none of its group was picked for.
    pub fn is_unmerged(&self) -> bool {
        let has_work = self.exited.as_ref().is_some_and(|e| e.commits > 0 && e.tip.is_some());
        self.spec.mode == Mode::Writer && !self.is_without_tree() && has_work && !self.is_settled()
    }

    /// Whether it was merged, or another of its group was picked.
    fn is_settled(&self) -> bool {
        self.merged.is_some() || self.not_picked.is_some()
    }

    /// Whether it did not succeed and its branch holds nothing of what it did.
    pub fn is_empty_handed(&self) -> bool {
        self.exited.as_ref().is_some_and(|e| !e.outcome.is_success() && e.commits == 0)
    }

    /// What it has used so far, of all backends that did its work.
    pub fn usage(&self) -> Option<Usage> {
        let last = match &self.exited {
            Some(exited) => exited.usage.or(self.used),
            None => self.used,
        };
        let tries = self.fell_over.iter().filter_map(|fell| fell.usage);
        tries.chain(last).map(Some).reduce(|sum, one| Some(sum.into_iter().chain(one).sum()))?
    }

    /// Whether its name, branch and worktree are still in use, so that a new
    /// job cannot have them.
    pub fn holds_name(&self) -> bool {
        self.is_live() || (self.spec.tree.is_some() && !self.is_without_tree())
    }

    fn fold(&mut self, at: Timestamp, event: Event) {
        if self.exited.is_some() {
            match event {
                Event::Collected => self.collected = true,
                Event::Merged(merged) => {
                    self.merged = Some(merged);
                    self.held = None;
                }
                Event::Held(held) => self.held = Some(held),
                Event::Unmerged(_) => self.merged = None,
                Event::NotPicked(other) => self.not_picked = Some(other.picked),
                Event::Cleaned(cleaned) => {
                    self.tree_gone |= cleaned.tree;
                    self.files_gone |= cleaned.files;
                    self.kept = cleaned.kept.or(self.kept.take());
                }
                Event::Note(note) => self.notes.push(note.text),
                _ => {}
            }
            return;
        }
        match event {
            Event::Started(started) => self.supervisor = Some(started.supervisor),
            Event::Waiting(_) => self.phase = Phase::Waiting,
            Event::Queued => {
                self.phase = Phase::Queued;
                self.admitted = false;
            }
            Event::Admitted => {
                self.phase = Phase::Starting;
                self.admitted = true;
            }
            Event::Based(based) => {
                if let Some(tree) = &mut self.spec.tree {
                    tree.base.clone_from(&based.base);
                }
                self.based = Some(based);
            }
            Event::Worktree(worktree) => self.worktree = Some(worktree),
            Event::Note(note) => self.notes.push(note.text),
            Event::Running(running) => {
                self.phase = Phase::Running;
                self.worker = Some(running.worker);
                self.running_at = Some(at);
            }
            Event::FellOver(fell) => {
                self.spec.fall_over(fell.to);
                self.fell_over.push(fell);
            }
            Event::KillRequested(request) => self.kill = Some(request.signal),
            Event::Lost => self.phase = Phase::Lost,
            Event::Exited(exited) => {
                self.phase = Phase::Ended;
                self.ended_at = Some(at);
                self.exited = Some(*exited);
            }
            Event::OnHold(hold) => {
                self.phase = Phase::OnHold;
                self.admitted = false;
                self.worker = None;
                self.hold = Some((at, hold));
            }
            // What was used is counted by the state.
            Event::Used(_)
            | Event::HoldOver
            | Event::Spawned(_)
            | Event::Collected
            | Event::Merged(_)
            | Event::Unmerged(_)
            | Event::Held(_)
            | Event::NotPicked(_)
            | Event::Cleaned(_)
            | Event::RunStarted(_)
            | Event::RunRunning(_)
            | Event::RunRevised(_)
            | Event::TaskSkipped(_)
            | Event::RunStopping(_)
            | Event::RunEnded(_)
            | Event::Unknown => {}
        }
    }
}

impl Candidate for Job {
    fn id(&self) -> JobId {
        self.job
    }

    fn name(&self) -> &str {
        self.spec.name.as_str()
    }

    fn is_open(&self) -> bool {
        self.is_live() || self.is_to_collect() || self.is_unmerged()
    }
}

/// What of an event counts beyond its own job.
#[derive(Default)]
struct Counted {
    /// It says what it has used so far, if it knows.
    uses: bool,
    usage: Option<Usage>,
    held: bool,
    left: bool,
    over: bool,
    ended: bool,
}

impl Counted {
    fn of(job: &Job, event: &Event) -> Self {
        if job.exited.is_some() {
            return Self::default();
        }
        let was_held = job.phase == Phase::OnHold;
        match event {
            Event::Used(used) => Self { uses: true, usage: Some(used.usage), ..Self::default() },
            Event::OnHold(_) => Self { held: true, ..Self::default() },
            Event::Queued | Event::Admitted | Event::Running(_) => {
                Self { left: was_held, ..Self::default() }
            }
            Event::HoldOver => Self { over: true, ..Self::default() },
            Event::Exited(exited) => Self {
                uses: true,
                usage: exited.usage,
                over: job.hold.is_some() && exited.outcome.is_success(),
                ended: true,
                ..Self::default()
            },
            _ => Self::default(),
        }
    }

    fn count(
        self,
        job: &mut Job,
        at: Timestamp,
        (book, clocks, runs): (&mut Book, &mut Clocks, &mut BTreeMap<String, Run>),
    ) {
        if self.uses {
            let run = job.spec.run.as_deref().and_then(|run| runs.get_mut(run));
            usage::count(book, run, job, (at, self.usage));
        }
        if let (true, Some((_, hold))) = (self.held, &job.hold) {
            hold::fold_hold(clocks, job, hold);
        }
        if self.left {
            hold::fold_leave(clocks, job, at);
        }
        if self.over {
            hold::fold_over(clocks, job, at);
        }
        if self.ended {
            hold::fold_end(clocks, job);
        }
    }
}

/// All jobs that a fold has seen, or the open ones and the last closed ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// By number.
    pub jobs: BTreeMap<JobId, Job>,
    /// By id.
    pub runs: BTreeMap<String, Run>,
    /// What was used, by day, backend and agent.
    pub book: Book,
    /// When backends that have refused may be asked again.
    pub clocks: Clocks,
    /// The number that the next job gets, at least 1.
    pub next: u64,
    /// Lines that could not be read.
    pub torn: u64,
}

impl State {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self { next: 1, ..Self::default() }
    }

    /// Moves on by one record.
    pub fn fold(&mut self, record: Record) {
        if record.job == NO_JOB {
            return runs::fold(&mut self.runs, record);
        }
        self.next = self.next.max(record.job.0.saturating_add(1));
        match record.event {
            Event::Spawned(spec) => {
                self.hand_over(record.job, &spec);
                self.supersede(record.job, &spec);
                self.jobs
                    .entry(record.job)
                    .or_insert_with(|| Job::new(record.job, record.at, spec));
            }
            event => {
                if matches!(event, Event::Unmerged(_)) {
                    // The others of its group are to be had again.
                    let others = self.jobs.values_mut();
                    others
                        .filter(|job| job.not_picked == Some(record.job))
                        .for_each(|job| job.not_picked = None);
                }
                let is_end = matches!(event, Event::Exited(_));
                if let Some(job) = self.jobs.get_mut(&record.job) {
                    let what = Counted::of(job, &event);
                    if let (Event::FellOver(fell), None) = (&event, &job.exited) {
                        let run = job.spec.run.as_deref().and_then(|run| self.runs.get_mut(run));
                        usage::count_try(&mut self.book, run, job, (record.at, fell.usage));
                    }
                    job.fold(record.at, event);
                    let run = job.spec.run.as_ref().filter(|_| is_end);
                    if let Some(run) = run.and_then(|run| self.runs.get_mut(run)) {
                        run.seen_at = record.at;
                    }
                    what.count(job, record.at, (&mut self.book, &mut self.clocks, &mut self.runs));
                }
                if is_end {
                    self.hand_back(record.job);
                }
            }
        }
    }

    /// What a job that goes on from another takes over from it.
    fn hand_over(&mut self, to: JobId, spec: &Spawned) {
        let Some(resumes) = &spec.resumes else { return };
        if let Some(before) = self.jobs.get_mut(&resumes.job) {
            before.went_on = Some(to);
        }
    }

    /// What the attempts before at the same task came to counts no more.
    fn supersede(&mut self, by: JobId, spec: &Spawned) {
        if let Some(before) = spec.repeats.and_then(|before| self.jobs.get_mut(&before)) {
            before.tried_again = Some(by);
        }
        let Some(task) = spec.task.as_ref().filter(|task| task.attempt > 1) else { return };
        let same = |job: &&mut Job| {
            job.job != by
                && job.spec.run == spec.run
                && job
                    .spec
                    .task
                    .as_ref()
                    .is_some_and(|other| other.id == task.id && other.attempt < task.attempt)
        };
        for before in self.jobs.values_mut().filter(same) {
            before.tried_again = Some(by);
        }
    }

    /// One that is over and never came to its worker gives back what it took over.
    fn hand_back(&mut self, from: JobId) {
        let Some(job) = self.jobs.get_mut(&from) else { return };
        let ran = job.running_at.is_some()
            || job.exited.as_ref().is_none_or(|exited| exited.tip.is_some());
        let Some(resumes) = job.spec.resumes.as_ref().filter(|_| !ran) else { return };
        let before = resumes.job;
        job.tree_gone |= job.spec.tree.is_some();
        if let Some(before) = self.jobs.get_mut(&before)
            && before.went_on == Some(from)
        {
            before.went_on = None;
        }
    }

    /// Takes out and gives closed jobs but for the last `keep` and those whose names
    /// are still in use, and forgets ended runs but for the last `keep_runs`.
    pub(super) fn prune(&mut self, keep: usize, keep_runs: usize) -> Vec<Job> {
        runs::prune(&mut self.runs, keep_runs);
        let goes_on = |run: &str| self.runs.get(run).is_some_and(Run::is_open);
        let closed: Vec<JobId> = self
            .jobs
            .values()
            .filter(|job| !job.is_open() && !job.holds_name())
            // A run that goes on looks at all attempts at its tasks.
            .filter(|job| job.is_put_away() || !job.spec.run.as_deref().is_some_and(goes_on))
            .map(|job| job.job)
            .collect();
        let gone = closed.iter().take(closed.len().saturating_sub(keep));
        gone.filter_map(|id| self.jobs.remove(id)).collect()
    }
}
