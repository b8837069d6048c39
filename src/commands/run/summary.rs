//! What came of a run: one JSON object for scripts, a table for people, and what
//! to do next.
//!
//! The JSON has the keys that codex-flow's summary has, and more. It lies in
//! `runs/ID/summary.json` too, without the answers, which the jobs have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    answer::text,
    book::{Book, Counts},
    stored::Stored,
};
use crate::{
    commands::{session::Session, view},
    failure::Failure,
    job::{JobId, Usage},
    ledger::{Job, Run, RunEnded, State as LedgerState},
    plan::{State, TaskIx},
    ui::{self, Align, Table},
};

/// A run that is over. The keys are a contract: some are added, none renamed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::commands) struct Summary {
    /// `summary`.
    pub kind: String,
    /// The run's id.
    pub run: String,
    /// The plan's name.
    pub name: String,
    /// `succeeded`, `failed`, `stopped`, `timed-out`; while it goes on `running`,
    /// `stopping` or `interrupted`.
    pub outcome: String,
    /// One sentence that says why, unless it succeeded.
    pub reason: Option<String>,
    pub aliases: Vec<AliasRow>,
    pub total_tasks: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub skipped: u64,
    pub passed_over: u64,
    pub running: u64,
    pub waiting: u64,
    pub elapsed_ms: u64,
    pub usage: Usage,
    pub results_by_alias: BTreeMap<String, AliasResults>,
    /// Every task, in the order of the plan.
    pub tasks: Vec<TaskRow>,
    /// What `cx merge --json` said, where the run merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge: Option<serde_json::Value>,
}

/// An alias of the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::commands) struct AliasRow {
    pub alias: String,
    pub agent_id: Option<String>,
    pub limit: Option<u64>,
}

/// What came of the tasks of one alias, but for those that were passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::commands) struct AliasResults {
    pub agent_id: Option<String>,
    pub count: u64,
    pub ok: u64,
    /// 0 to 1, three digits.
    pub success_rate: f64,
    /// Of those that ran.
    pub avg_ms: u64,
    pub usage: Usage,
    pub tasks: Vec<AliasTask>,
}

/// A task among those of its alias.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::commands) struct AliasTask {
    pub id: String,
    /// The task's first line.
    pub summary: String,
    pub ms: u64,
    pub ok: bool,
    pub status: String,
    pub job: Option<JobId>,
    /// The answer, cut as another task would see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// A task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::commands) struct TaskRow {
    pub id: String,
    pub alias: Option<String>,
    /// `waiting`, `skipped`, `passed-over`, or its last job's status.
    pub status: String,
    pub ok: bool,
    /// Why it was skipped, passed over, or did not succeed.
    pub reason: Option<String>,
    /// What it still waits for.
    pub after: Vec<String>,
    pub attempts: u64,
    /// Its last job.
    pub job: Option<JobId>,
    /// That one's name.
    pub job_name: Option<String>,
    pub ms: u64,
    pub usage: Option<Usage>,
}

/// What a summary is made of.
pub(in crate::commands) struct Source<'a> {
    pub(super) session: &'a Session,
    pub(super) run: &'a str,
    pub(super) stored: &'a Stored,
    pub(super) book: &'a Book,
    pub(super) state: &'a LedgerState,
}

impl Source<'_> {
    /// As of now.
    pub(super) fn summary(&self, elapsed: std::time::Duration) -> Summary {
        let counts = self.book.counts();
        let mut summary = Summary {
            kind: "summary".to_owned(),
            run: self.run.to_owned(),
            name: self.stored.plan.name.clone(),
            total_tasks: counts.total(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            usage: self.book.usage(self.state),
            ..Summary::default()
        };
        summary.count(counts);
        for at in self.book.entries() {
            let row = self.row(at);
            self.add(at, &row, &mut summary);
            summary.tasks.push(row);
        }
        for (alias, results) in &mut summary.results_by_alias {
            results.settle();
            let limit = self.stored.roles.get(alias).and_then(|role| role.limit).map(u64::from);
            let agent_id = results.agent_id.clone();
            summary.aliases.push(AliasRow { alias: alias.clone(), agent_id, limit });
        }
        summary
    }

    fn job(&self, at: TaskIx) -> Option<&Job> {
        self.state.jobs.get(&self.book.last_of(at)?)
    }

    fn row(&self, at: TaskIx) -> TaskRow {
        let (schedule, job) = (&self.book.schedule, self.job(at));
        let task = schedule.task(at);
        let run = self.state.runs.get(self.run);
        let unstarted = run.and_then(|run| run.skipped.get(&task.id));
        let (status, reason) = match schedule.state(at) {
            State::Skipped(why) => ("skipped", Some(why.clone())),
            State::PassedOver(why) => ("passed-over", Some(why.clone())),
            State::Failed(why) if job.is_none() => {
                ("failed", why.clone().or_else(|| Some(unstarted?.reason.clone())))
            }
            State::Waiting | State::Ready if job.is_none() => match unstarted {
                Some(skipped) => ("failed", Some(skipped.reason.clone())),
                None => ("waiting", None),
            },
            _ => (job.map_or("waiting", view::status), None),
        };
        let exited = job.and_then(|job| job.exited.as_ref());
        let id_of = |need: TaskIx| schedule.task(need).id.clone();
        TaskRow {
            id: task.id.clone(),
            alias: task.alias.clone(),
            status: status.to_owned(),
            ok: *schedule.state(at) == State::Succeeded,
            reason: reason.or_else(|| exited?.reason.clone()),
            after: schedule.waits_for(at).into_iter().map(id_of).collect(),
            attempts: self.book.jobs_of(at).len() as u64,
            job: job.map(|job| job.job),
            job_name: job.map(|job| job.spec.name.to_string()),
            ms: job
                .map_or(0, |job| u64::try_from(view::elapsed(job).as_millis()).unwrap_or(u64::MAX)),
            usage: job.filter(|job| job.exited.is_some()).and_then(Job::usage),
        }
    }

    fn add(&self, at: TaskIx, row: &TaskRow, summary: &mut Summary) {
        let job = self.job(at);
        if matches!(self.book.schedule.state(at), State::PassedOver(_)) {
            return;
        }
        let task = self.book.schedule.task(at);
        let alias = task.alias.clone().unwrap_or_else(|| {
            let backend = job.map(|job| job.spec.backend.into()).or(task.backend);
            backend.map_or_else(|| "none".to_owned(), |choice| choice.to_string())
        });
        let results = summary.results_by_alias.entry(alias).or_default();
        results.agent_id = self.stored.role(task).map(|role| role.agent.clone());
        let title = job.map_or_else(
            || {
                let text = task.prompt.lines().find(|line| !line.trim().is_empty());
                let text = text.map_or_else(|| task.argv.join(" "), str::to_owned);
                ui::cut(&ui::clean(&text), 120)
            },
            |job| job.spec.title.clone(),
        );
        results.tasks.push(AliasTask {
            id: task.id.clone(),
            summary: title,
            ms: row.ms,
            ok: row.ok,
            status: row.status.clone(),
            job: row.job,
            output: None,
        });
        let usage = row.usage.unwrap_or_default();
        results.usage.input += usage.input;
        results.usage.cached += usage.cached;
        results.usage.output += usage.output;
    }

    /// Puts the answers in.
    pub(super) fn with_answers(&self, summary: &mut Summary) {
        let limit = self.stored.answer_bytes();
        let tasks = summary.results_by_alias.values_mut().flat_map(|results| &mut results.tasks);
        for task in tasks {
            let job = task.job.and_then(|id| self.state.jobs.get(&id));
            let Some(job) = job.filter(|job| !job.is_live()) else { continue };
            let mut text = text(self.session, job);
            if text.len() > limit {
                let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end));
                text.truncate(end.unwrap_or_default());
            }
            task.output = Some(text);
        }
    }
}

impl Summary {
    /// What the ledger has of a run whose folder is cleaned.
    pub(super) fn cleaned(run: &Run, ended: &RunEnded) -> Self {
        Self {
            kind: "summary".to_owned(),
            run: run.id().to_owned(),
            name: run.spec.name.clone(),
            outcome: ended.outcome.as_str().to_owned(),
            reason: ended.reason.clone(),
            total_tasks: run.spec.tasks,
            succeeded: ended.succeeded,
            failed: ended.failed,
            skipped: ended.skipped,
            passed_over: ended.passed_over,
            elapsed_ms: u64::try_from(run.worked(None).as_millis()).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// What was tried again by hand since the run ended.
    pub(super) fn tell_of_retries(&mut self, state: &LedgerState) {
        for row in &mut self.tasks {
            let job = row.job.and_then(|job| state.jobs.get(&job));
            if let Some(next) = job.and_then(Job::superseded_by) {
                row.reason = Some(format!("tried again as {next}"));
            }
        }
    }

    fn count(&mut self, counts: Counts) {
        self.succeeded = counts.succeeded;
        self.failed = counts.failed;
        self.skipped = counts.skipped;
        self.passed_over = counts.passed_over;
        self.running = counts.running;
        self.waiting = counts.waiting;
    }

    /// The table for people: a line for each alias.
    pub(super) fn table(&self) -> Vec<String> {
        let mut table = Table::new(&[
            Align::Left,
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
        ]);
        let head = ["ALIAS", "AGENT", "TASKS", "OK", "MEAN", "TOKENS IN", "OUT"];
        table.row(head.map(str::to_owned).to_vec());
        for (alias, results) in &self.results_by_alias {
            let tokens = |n: u64| if n == 0 { "-".to_owned() } else { n.to_string() };
            let ran = results.tasks.iter().any(|task| task.job.is_some());
            let mean = std::time::Duration::from_millis(results.avg_ms);
            table.row(vec![
                alias.clone(),
                results.agent_id.clone().unwrap_or_else(|| "-".to_owned()),
                results.count.to_string(),
                results.ok.to_string(),
                if ran { ui::short(mean) } else { "-".to_owned() },
                tokens(results.usage.input),
                tokens(results.usage.output),
            ]);
            let colour = if results.ok == results.count { ui::GOOD } else { ui::BAD };
            table.paint(3, colour);
        }
        table.lines(ui::is_terminal().then(ui::columns), &[1, 0])
    }

    /// Reads the summary of a run that is over.
    pub(in crate::commands) fn read(
        files: &crate::ledger::RunFiles,
    ) -> Result<Option<Self>, Failure> {
        let path = files.summary();
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| Failure::internal(format!("cannot read {}: {e}", path.display()))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Failure::internal(format!("cannot read {}: {e}", path.display()))),
        }
    }
}

impl AliasResults {
    /// Works out what the tasks come to.
    fn settle(&mut self) {
        let ran: Vec<u64> =
            self.tasks.iter().filter(|task| task.job.is_some()).map(|task| task.ms).collect();
        self.count = self.tasks.len() as u64;
        self.ok = self.tasks.iter().filter(|task| task.ok).count() as u64;
        self.avg_ms = ran.iter().sum::<u64>().checked_div(ran.len() as u64).unwrap_or_default();
        self.success_rate = rate(self.ok, self.count);
    }
}

/// `ok / count` with three digits.
fn rate(ok: u64, count: u64) -> f64 {
    let thousandths = (ok * 1000 + count / 2).checked_div(count).unwrap_or_default();
    f64::from(u32::try_from(thousandths).unwrap_or_default()) / 1000.0
}
