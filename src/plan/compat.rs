//! Records of a run as codex-flow keeps them, for tools that read those: below a
//! folder, `.runs/ALIAS/TASKID/{input,output}.json` and `data/logs/events.jsonl`.
//!
//! Pure: this says what stands in which file; whoever runs a plan writes it. A task
//! id is the time of the start in milliseconds and the first six characters of the
//! job's own id, so that a folder names its job.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Task;

/// The log of events, below the folder.
pub const LOG: &str = "data/logs/events.jsonl";

/// The folder of all tasks' folders, below the folder.
pub const RUNS: &str = ".runs";

/// A task that a job was started for.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The task.
    pub task: &'a Task,
    /// What its worker is told of it: the prompt with its values.
    pub text: &'a str,
    /// The agent's id, where it has one.
    pub agent: Option<&'a str>,
    /// The job's unique id.
    pub job: &'a str,
    /// When its worker started.
    pub started: Timestamp,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// When.
    pub ended: Timestamp,
    /// Whether it succeeded.
    pub ok: bool,
    /// The backend's word.
    pub engine: &'a str,
    /// Why it failed, where it did.
    pub reason: Option<&'a str>,
    /// The answer.
    pub output: Option<&'a str>,
}

impl Record<'_> {
    fn alias(&self) -> &str {
        self.task.alias.as_deref().or(self.agent).unwrap_or("agent")
    }

    fn agent(&self) -> &str {
        self.agent.unwrap_or_else(|| self.alias())
    }

    /// The id that the task has in all records.
    pub fn task_id(&self) -> String {
        let id: String = self.job.chars().filter(char::is_ascii_alphanumeric).take(6).collect();
        format!("{}-{id}", self.started.as_millisecond())
    }

    /// Its folder, below the folder.
    pub fn folder(&self) -> PathBuf {
        PathBuf::from(RUNS).join(folder_name(self.alias())).join(self.task_id())
    }

    /// What it was given: a text, or an object where the task says more.
    fn given(&self) -> Value {
        let Task { kind, files, tools, .. } = self.task;
        if kind.is_none() && files.is_empty() && tools.is_empty() {
            return self.text.into();
        }
        let mut given = serde_json::Map::new();
        if let Some(kind) = kind {
            given.insert("type".to_owned(), kind.as_str().into());
        }
        for (key, list) in [("files", files), ("tools", tools)] {
            if !list.is_empty() {
                given.insert(key.to_owned(), list.clone().into());
            }
        }
        given.insert("goal".to_owned(), self.text.into());
        given.into()
    }

    /// `input.json`.
    pub fn input(&self) -> String {
        format!("{:#}", self.given())
    }

    /// `output.json`.
    pub fn output(&self, ending: &Ending<'_>) -> String {
        let first =
            |text: &str| text.lines().map(str::trim).find(|l| !l.is_empty()).map(str::to_owned);
        let summary = ending
            .reason
            .and_then(first)
            .or_else(|| ending.output.and_then(first))
            .unwrap_or_default();
        format!(
            "{:#}",
            json!({
                "alias": self.alias(),
                "agentId": self.agent(),
                "task": self.given(),
                "ok": ending.ok,
                "ms": self.milliseconds(ending),
                "engine": ending.engine,
                "summary": summary,
                "output": ending.output,
            })
        )
    }

    fn milliseconds(&self, ending: &Ending<'_>) -> i64 {
        (ending.ended.as_millisecond() - self.started.as_millisecond()).max(0)
    }

    /// The line of its start.
    pub fn started_line(&self) -> String {
        line(&json!({
            "ts": time(self.started),
            "kind": "task_started",
            "alias": self.alias(),
            "agentId": self.agent(),
            "taskId": self.task_id(),
        }))
    }

    /// The lines of its end.
    pub fn ended_lines(&self, ending: &Ending<'_>) -> String {
        let (ts, ms) = (time(ending.ended), self.milliseconds(ending));
        let complete = json!({
            "ts": ts,
            "kind": "task_complete",
            "alias": self.alias(),
            "agentId": self.agent(),
            "taskId": self.task_id(),
            "ok": ending.ok,
            "ms": ms,
        });
        let telemetry = json!({
            "ts": ts,
            "kind": "telemetry",
            "agentId": self.agent(),
            "alias": self.alias(),
            "ok": ending.ok,
            "ms": ms,
            "engine": ending.engine,
        });
        line(&complete) + &line(&telemetry)
    }
}

/// The line of a plan that is about to run; `items` as `--dry-run --json` prints
/// them below `plan`.
pub fn plan_line(at: Timestamp, engine: &str, items: &Value) -> String {
    line(&json!({
        "ts": time(at), "kind": "plan_generated", "runtime": engine, "endpoint": null, "items": items
    }))
}

/// An alias as the name of a folder: never a path, never `.` or `..`.
pub fn folder_name(alias: &str) -> String {
    let name: String = alias
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' })
        .collect();
    if name.starts_with('.') || name.is_empty() { format!("_{name}") } else { name }
}

/// The characters of a job's id that the name of a task's folder ends in.
pub fn job_of(folder: &str) -> Option<&str> {
    let (milliseconds, job) = folder.split_once('-')?;
    let is_number = !milliseconds.is_empty() && milliseconds.bytes().all(|b| b.is_ascii_digit());
    (is_number && !job.is_empty()).then_some(job)
}

/// The last whole lines of a log that are at most `most` bytes together. A line
/// that is not ended yet counts as one.
pub fn last_lines(log: &[u8], most: usize) -> &[u8] {
    if log.len() <= most {
        return log;
    }
    let start = log.len() - most;
    // Where the last byte left out ends a line, nothing of a line is cut.
    let newline = log.get(start - 1..).and_then(|rest| rest.iter().position(|b| *b == b'\n'));
    newline.and_then(|at| log.get(start + at..)).unwrap_or_default()
}

/// As JavaScript writes times: UTC with milliseconds.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn line(event: &Value) -> String {
    format!("{event}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(task: &Task) -> Record<'_> {
        Record {
            task,
            text: "Review utils/date.ts",
            agent: Some("code-analyzer"),
            job: "0123456789abcdef",
            started: "2026-01-02T03:04:05.006Z".parse().expect("a time"),
        }
    }

    fn ending() -> Ending<'static> {
        Ending {
            ended: "2026-01-02T03:04:06.5Z".parse().expect("a time"),
            ok: true,
            engine: "codex",
            reason: None,
            output: Some("\nFine.\nReally."),
        }
    }

    #[test]
    fn records_have_the_shapes_that_others_read() {
        let task = Task { alias: Some("reviewer".into()), ..Task::default() };
        let record = record(&task);
        assert_eq!(record.folder().to_str(), Some(".runs/reviewer/1767323045006-012345"));
        assert_eq!(record.input(), "\"Review utils/date.ts\"");
        let output: Value = serde_json::from_str(&record.output(&ending())).expect("JSON");
        assert_eq!(
            output,
            json!({
                "alias": "reviewer", "agentId": "code-analyzer", "task": "Review utils/date.ts",
                "ok": true, "ms": 1494, "engine": "codex", "summary": "Fine.",
                "output": "\nFine.\nReally.",
            })
        );
        assert_eq!(
            record.started_line(),
            "{\"ts\":\"2026-01-02T03:04:05.006Z\",\"kind\":\"task_started\",\"alias\":\"reviewer\",\
             \"agentId\":\"code-analyzer\",\"taskId\":\"1767323045006-012345\"}\n"
        );
        let lines = record.ended_lines(&ending());
        let kinds: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!((&kinds[0]["kind"], &kinds[0]["ms"]), (&"task_complete".into(), &1494.into()));
        assert_eq!(
            (&kinds[1]["kind"], &kinds[1]["engine"]),
            (&"telemetry".into(), &"codex".into())
        );
        assert_eq!(lines.matches("2026-01-02T03:04:06.500Z").count(), 2);
    }

    #[test]
    fn a_task_that_says_more_is_an_object() {
        let task = Task { kind: Some("edit".into()), files: vec!["a".into()], ..Task::default() };
        let record = record(&task);
        let given: Value = serde_json::from_str(&record.input()).expect("JSON");
        let wanted = json!({"type": "edit", "files": ["a"], "goal": "Review utils/date.ts"});
        assert_eq!(given, wanted);
        assert!(record.folder().starts_with(".runs/code-analyzer"));
    }

    #[test]
    fn an_alias_is_never_a_path() {
        for (alias, folder) in [
            ("a/b", "a_b"),
            ("..", "_.."),
            (".", "_."),
            ("", "_"),
            ("ä.b-c", "ä.b-c"),
            ("a\0", "a_"),
        ] {
            assert_eq!(folder_name(alias), folder);
        }
    }

    #[test]
    fn a_folder_names_its_job() {
        assert_eq!(job_of("1767323045006-012345"), Some("012345"));
        for other in ["", "x", "12", "12-", "-a", "1a-b"] {
            assert_eq!(job_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_log_is_cut_between_lines() {
        let log = b"one\ntwo\nthree\n";
        assert_eq!(last_lines(log, 14), log);
        assert_eq!(last_lines(log, 13), b"two\nthree\n");
        assert_eq!(last_lines(log, 10), b"two\nthree\n");
        assert_eq!(last_lines(log, 9), b"three\n");
        assert_eq!(last_lines(log, 5), b"");
        assert_eq!(last_lines(log, 0), b"");
        assert_eq!(last_lines(b"one\ntorn", 4), b"torn");
    }
}
