//! One line of `codex exec --json`, in either of its shapes.
//!
//! Lines go through a JSON `Value`: `web_search` items carry the key `id` twice,
//! which a struct would refuse. What is unknown is [`Event::Other`].

use std::borrow::Cow;

use serde_json::Value;

use crate::job::Usage;

/// What one line says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event<'a> {
    /// The thread that the turn belongs to.
    Thread(&'a str),
    TurnStarted,
    /// The older shape repeats the final message here.
    TurnCompleted {
        usage: Option<Usage>,
        message: Option<&'a str>,
    },
    /// Fatal.
    TurnFailed(&'a str),
    /// Not fatal: one comes for every reconnect.
    Error(&'a str),
    /// Tokens so far, over the whole thread.
    Usage(Usage),
    /// The agent says something; the last one is the answer.
    Message(&'a str),
    Thinking,
    CommandStarted {
        command: Cow<'a, str>,
    },
    CommandEnded {
        command: Cow<'a, str>,
        /// None where it was not run.
        exit: Option<i64>,
        output: &'a str,
    },
    Edit {
        paths: Vec<&'a str>,
        stage: Stage,
    },
    Todo {
        done: usize,
        total: usize,
        /// The first one that is not done.
        next: Option<&'a str>,
    },
    Search {
        query: &'a str,
        stage: Stage,
    },
    Tool {
        name: String,
        stage: Stage,
    },
    Other,
}

/// How far something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Started,
    Done,
    Failed,
}

/// The JSON object on a line; none for blank, torn and other lines. Invalid
/// UTF-8 is replaced.
pub(super) fn parse(line: &[u8]) -> Option<Value> {
    super::super::text::object(line)
}

impl<'a> Event<'a> {
    /// What `line` says.
    pub(super) fn of(line: &'a Value) -> Self {
        if let Some(msg) = line.get("msg") {
            return Self::older(msg);
        }
        match text(line, "type") {
            "thread.started" => Self::Thread(text(line, "thread_id")),
            "turn.started" => Self::TurnStarted,
            "turn.completed" => {
                Self::TurnCompleted { usage: line.get("usage").map(usage), message: None }
            }
            "turn.failed" => {
                Self::TurnFailed(line.get("error").map_or("", |error| text(error, "message")))
            }
            "error" => Self::Error(text(line, "message")),
            "item.started" | "item.updated" => {
                line.get("item").map_or(Self::Other, |item| Self::item(item, false))
            }
            "item.completed" => line.get("item").map_or(Self::Other, |item| Self::item(item, true)),
            _ => Self::Other,
        }
    }

    fn item(item: &'a Value, ended: bool) -> Self {
        let stage = match (ended, text(item, "status")) {
            (false, _) => Stage::Started,
            (true, "failed" | "declined") => Stage::Failed,
            (true, _) => Stage::Done,
        };
        let kind = match text(item, "type") {
            "" => text(item, "item_type"),
            kind => kind,
        };
        match kind {
            "agent_message" | "assistant_message" if ended => Self::Message(text(item, "text")),
            "reasoning" => Self::Thinking,
            "command_execution" => {
                let command = Cow::Borrowed(text(item, "command"));
                if ended {
                    let exit = item.get("exit_code").and_then(Value::as_i64);
                    Self::CommandEnded { command, exit, output: text(item, "aggregated_output") }
                } else {
                    Self::CommandStarted { command }
                }
            }
            "file_change" => {
                let changes = array(item, "changes");
                Self::Edit { paths: changes.iter().map(|c| text(c, "path")).collect(), stage }
            }
            "todo_list" => {
                let completed = |item: &&Value| item["completed"].as_bool() == Some(true);
                Self::todo(array(item, "items"), completed, "text")
            }
            "web_search" => Self::Search { query: text(item, "query"), stage },
            "mcp_tool_call" => {
                let name = format!("{}.{}", text(item, "server"), text(item, "tool"));
                Self::Tool { name, stage }
            }
            "collab_tool_call" => Self::Tool { name: text(item, "tool").to_owned(), stage },
            _ => Self::Other,
        }
    }

    /// `{"id":..,"msg":{"type":..}}`, as codex wrote before `thread.started`.
    fn older(msg: &'a Value) -> Self {
        let stage = |ok: &str| match msg.get(ok).and_then(Value::as_bool) {
            Some(false) => Stage::Failed,
            _ => Stage::Done,
        };
        let tool = |stage| {
            let call = msg.get("invocation").unwrap_or(&Value::Null);
            Self::Tool { name: format!("{}.{}", text(call, "server"), text(call, "tool")), stage }
        };
        match text(msg, "type") {
            "session_configured" => Self::Thread(text(msg, "session_id")),
            "task_started" | "turn_started" => Self::TurnStarted,
            "task_complete" | "turn_complete" => Self::TurnCompleted {
                usage: None,
                message: msg.get("last_agent_message").and_then(Value::as_str),
            },
            "turn_aborted" => Self::TurnFailed("the turn was interrupted"),
            "error" => Self::TurnFailed(text(msg, "message")),
            "stream_error" => Self::Error(text(msg, "message")),
            "token_count" => match msg.get("info").and_then(|info| info.get("total_token_usage")) {
                Some(total) => Self::Usage(usage(total)),
                None if msg.get("input_tokens").is_some() => Self::Usage(usage(msg)),
                None => Self::Other,
            },
            "agent_message" => Self::Message(text(msg, "message")),
            "agent_reasoning" => Self::Thinking,
            "exec_command_begin" => Self::CommandStarted { command: command(msg) },
            "exec_command_end" => Self::CommandEnded {
                command: command(msg),
                exit: msg.get("exit_code").and_then(Value::as_i64),
                output: ["aggregated_output", "stderr", "stdout"]
                    .into_iter()
                    .map(|key| text(msg, key))
                    .find(|output| !output.is_empty())
                    .unwrap_or(""),
            },
            "patch_apply_begin" => Self::Edit { paths: changed(msg), stage: Stage::Started },
            "patch_apply_end" => Self::Edit { paths: changed(msg), stage: stage("success") },
            "plan_update" => {
                Self::todo(array(msg, "plan"), |item| text(item, "status") == "completed", "step")
            }
            "web_search_begin" => Self::Search { query: "", stage: Stage::Started },
            "web_search_end" => Self::Search { query: text(msg, "query"), stage: Stage::Done },
            "mcp_tool_call_begin" => tool(Stage::Started),
            "mcp_tool_call_end" => tool(Stage::Done),
            _ => Self::Other,
        }
    }

    fn todo(items: &'a [Value], done: impl Fn(&&'a Value) -> bool, label: &str) -> Self {
        Self::Todo {
            done: items.iter().filter(&done).count(),
            total: items.len(),
            next: items.iter().find(|item| !done(item)).map(|item| text(item, label)),
        }
    }
}

/// The text at `key`, or "".
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

/// The list at `key`, or none.
fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The older shape's command: an argv.
fn command(msg: &Value) -> Cow<'_, str> {
    match array(msg, "command") {
        [shell, flag, script]
            if text_of(shell).ends_with("sh") && matches!(text_of(flag), "-c" | "-lc") =>
        {
            Cow::Borrowed(text_of(script))
        }
        words => Cow::Owned(words.iter().map(text_of).collect::<Vec<_>>().join(" ")),
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// The older shape's changes: an object with paths as keys.
fn changed(msg: &Value) -> Vec<&str> {
    match msg.get("changes").and_then(Value::as_object) {
        Some(changes) => changes.keys().map(String::as_str).collect(),
        None => Vec::new(),
    }
}

fn usage(value: &Value) -> Usage {
    let count = |key| value.get(key).and_then(Value::as_u64).unwrap_or(0);
    Usage {
        input: count("input_tokens"),
        cached: count("cached_input_tokens"),
        output: count("output_tokens"),
        cost_usd: None,
    }
}
