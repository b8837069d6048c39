//! What claude is doing, in one short line.

use std::path::Path;

use super::super::text;
use super::event::{self, Call, Event};

/// Longest line, in characters; listings cut it further.
const MAX: usize = 200;

/// The last thing in `tail` that is worth telling.
pub(in super::super) fn activity(tail: &[u8], root: Option<&Path>) -> Option<String> {
    // A call comes before what it gave back, so going backwards its end is known.
    let mut returned: Vec<(String, bool)> = Vec::new();
    text::lines_from_end(tail).find_map(|line| {
        let value = event::parse(line)?;
        Event::of(&value).iter().rev().find_map(|event| {
            let said = match event {
                Event::Returned { id, failed, .. } => {
                    returned.push(((*id).to_owned(), *failed));
                    return None;
                }
                Event::Call(call) => {
                    let end = returned.iter().find(|(id, _)| id == call.id).map(|(_, f)| *f);
                    sentence(call, end, root)
                }
                event => remark(event)?,
            };
            let said = text::one_line(said.as_bytes(), MAX);
            (!said.is_empty()).then_some(said)
        })
    })
}

/// What an event says that is no call of a tool.
pub(super) fn remark(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Session(_) => "starting".to_owned(),
        Event::Thinking => "thinking".to_owned(),
        Event::Text(said) => said.lines().find(|line| !line.trim().is_empty())?.to_owned(),
        Event::Denied { tool } => format!("was denied {tool}"),
        Event::Retry { attempt, of, status, error } => {
            let why = status.map_or_else(|| (*error).to_owned(), |status| format!("HTTP {status}"));
            format!("trying again after {why} ({attempt} of {of})")
        }
        Event::Result(result) if result.is_error => match result.errors.last() {
            Some(error) => (*error).to_owned(),
            None => result.text.to_owned(),
        },
        Event::Result(_) | Event::Call(_) | Event::Returned { .. } => return None,
    })
}

/// What a call does; `end` says whether it has ended, and whether that was a failure.
pub(super) fn sentence(call: &Call<'_>, end: Option<bool>, root: Option<&Path>) -> String {
    let field = |key| event::text(call.input, key);
    let verb = |now: &str, done: &str, failed: &str| match end {
        None => now.to_owned(),
        Some(false) => done.to_owned(),
        Some(true) => failed.to_owned(),
    };
    let path = |key| relative(field(key), root);
    match call.name {
        "Bash" => format!("{} {}", verb("running", "ran", "ran, and it failed:"), command(call)),
        "Edit" | "Write" | "MultiEdit" => {
            format!("{} {}", verb("editing", "edited", "could not edit"), path("file_path"))
        }
        "NotebookEdit" => {
            format!("{} {}", verb("editing", "edited", "could not edit"), path("notebook_path"))
        }
        "Read" => format!("{} {}", verb("reading", "read", "could not read"), path("file_path")),
        "Grep" | "Glob" | "WebSearch" | "ToolSearch" => {
            let what = if field("pattern").is_empty() { field("query") } else { field("pattern") };
            format!("{}: {what}", verb("searching", "searched", "could not search"))
        }
        "WebFetch" => {
            format!("{} {}", verb("fetching", "fetched", "could not fetch"), field("url"))
        }
        "Task" | "Agent" => {
            let what = field("description");
            format!("{}: {what}", verb("asking a subagent", "asked a subagent", "lost a subagent"))
        }
        "TodoWrite" => todo(call).unwrap_or_else(|| "planning".to_owned()),
        name => {
            let name = name.strip_prefix("mcp__").unwrap_or(name).replacen("__", ".", 1);
            format!("{} {name}", verb("calling", "called", "could not call"))
        }
    }
}

/// What a Bash call runs: of several lines the first that says something.
pub(super) fn command<'a>(call: &Call<'a>) -> &'a str {
    let script = event::text(call.input, "command");
    script.lines().find(|line| !line.trim().is_empty()).unwrap_or("")
}

fn todo(call: &Call<'_>) -> Option<String> {
    let todos = call.input.get("todos")?.as_array()?;
    let is_done = |todo: &&serde_json::Value| event::text(todo, "status") == "completed";
    let (done, total) = (todos.iter().filter(is_done).count(), todos.len());
    Some(match todos.iter().find(|todo| !is_done(todo)) {
        Some(next) => format!("todo {done}/{total}: {}", event::text(next, "content")),
        None => format!("todo {done}/{total}"),
    })
}

fn relative<'a>(path: &'a str, root: Option<&Path>) -> &'a str {
    root.and_then(|root| Path::new(path).strip_prefix(root).ok())
        .and_then(Path::to_str)
        .unwrap_or(path)
}
