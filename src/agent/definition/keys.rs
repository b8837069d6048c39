//! What each key means, in all the spellings that there are.

use std::num::NonZeroU64;
use std::time::Duration;

use serde_json::Value;

use crate::agent::{Agent, Priority, RegexTrigger};
use crate::job::{Mode, parse_duration};

/// Whether a key means something to this cx.
pub(super) enum Known {
    Yes,
    /// It does, but not all that it says is done.
    InPart,
    No,
}

/// Maps whose keys mean something; others are one thing that is not honoured.
const GROUPS: [&str; 14] = [
    "agent",
    "runtime",
    "runtime.concurrency",
    "capabilities",
    "capabilities.detail",
    "capabilities.detail.tools",
    "tools",
    "triggers",
    "hooks",
    "prompt",
    "policy",
    "memory",
    "memory.sharing_policy",
    "agent.classification",
];

/// Whether the keys in this map are looked at one by one.
pub(super) fn is_group(path: &str) -> bool {
    GROUPS.contains(&path)
}

/// Takes over what one key says.
pub(super) fn set(agent: &mut Agent, path: &str, value: &Value) -> Result<Known, String> {
    let text = || text_of(value).ok_or_else(|| format!("'{path}' has to be a word or a line"));
    let words =
        || words_of(value).ok_or_else(|| format!("'{path}' has to be a word or a list of them"));
    match path.replace('-', "_").as_str() {
        "description" | "agent.description" => agent.description = text()?,
        "mode" => {
            agent.mode = match text()?.as_str() {
                "reader" => Mode::Reader,
                "writer" => Mode::Writer,
                word => return Err(format!("'{path}' is '{word}': write reader or writer")),
            };
            agent.mode_reason = Some(format!("'{path}' says so"));
        }
        "sandbox" | "sandbox_mode" | "runtime.sandbox" | "policy.sandbox" => {
            let word = text()?;
            agent.mode = match word.as_str() {
                "read-only" => Mode::Reader,
                "workspace-write" | "danger-full-access" => Mode::Writer,
                _ => {
                    return Err(format!(
                        "'{path}' is '{word}': write read-only or workspace-write"
                    ));
                }
            };
            agent.mode_reason = Some(format!("'{path}' is {word}"));
            // A writer's sandbox is the worktree, whatever else is asked for.
            if word == "danger-full-access" {
                return Ok(Known::InPart);
            }
        }
        "backend" | "runtime.backend" => {
            let word = text()?;
            let name = word.parse().map_err(|e| format!("'{path}' is '{word}', which {e}"))?;
            agent.backend = Some(name);
        }
        "model" | "runtime.model" | "agent.model" => {
            // It becomes an argument, and must not pass for another option.
            let model = text()?;
            if model.starts_with('-') {
                return Err(format!("'{path}' is '{model}', which is no name of a model"));
            }
            agent.model = Some(model);
        }
        "timeout" => agent.timeout = Some(duration(path, &text()?)?),
        "timeout_ms" | "runtime.timeout_ms" => {
            let millis = value.as_u64().filter(|millis| *millis > 0);
            let millis = millis
                .ok_or_else(|| format!("'{path}' has to be a number of milliseconds, 1 or more"))?;
            agent.timeout = Some(Duration::from_millis(millis));
        }
        "silence" => agent.silence = Some(duration(path, &text()?)?),
        "scope" => {
            agent.scope = words_of(value)
                .filter(|words| !words.is_empty())
                .ok_or_else(|| format!("'{path}' has to be a pathspec or a list of them"))?;
        }
        "tools" if !value.is_object() => {
            agent.tools.allowed = tool_names(path, value)?;
        }
        "tools.allowed" | "capabilities.detail.tools.allowed" | "policy.tools_allowlist" => {
            agent.tools.allowed = tool_names(path, value)?;
        }
        "tools.restricted" | "capabilities.detail.tools.restricted" | "policy.tools_denylist" => {
            agent.tools.restricted = tool_names(path, value)?;
        }
        "max_parallel"
        | "max_parallel_tasks"
        | "runtime.max_parallel"
        | "runtime.max_parallel_tasks"
        | "runtime.concurrency.max_parallel_tasks" => {
            let limit = whole(value).and_then(NonZeroU64::new);
            agent.limit =
                Some(limit.ok_or_else(|| format!("'{path}' has to be a number, 1 or more"))?);
        }
        "retries" | "runtime.retries" | "runtime.max_retries" => {
            let retries = whole(value).and_then(|retries| u32::try_from(retries).ok());
            agent.retries = Some(retries.ok_or_else(|| format!("'{path}' has to be a number"))?);
        }
        "autonomy" | "autonomy_level" | "runtime.autonomy_level" => {
            let level = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
            let level = level.filter(|level| (0.0..=1.0).contains(level));
            agent.autonomy =
                Some(level.ok_or_else(|| format!("'{path}' has to be a number from 0 to 1"))?);
        }
        "hooks.pre_task" => agent.hooks.pre_task = words()?,
        "hooks.post_task" => agent.hooks.post_task = words()?,
        "hooks.failure" => agent.hooks.failure = words()?,
        "triggers.keywords" => agent.triggers.keywords = words()?,
        "triggers.regex" => agent.triggers.regex = expressions(path, value)?,
        "triggers.file_patterns" => agent.triggers.file_patterns = words()?,
        "prompt.user_template" | "template" => agent.template = Some(text()?),
        "prompt.system" => agent.body = text()?,
        "memory.sharing_policy.share_with" => agent.sharing.share_with = words()?,
        "memory.sharing_policy.redact" => agent.sharing.redact = words()?,
        _ => return Ok(Known::No),
    }
    Ok(Known::Yes)
}

fn duration(path: &str, word: &str) -> Result<Duration, String> {
    parse_duration(word).map_err(|error| format!("'{path}' is '{word}', which {error}"))
}

/// What a scalar says, as text. Empty is not said at all.
pub(in crate::agent) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A list of texts, or one; nothing is an empty list.
fn words_of(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(all) => all.iter().map(text_of).collect(),
        one => Some(vec![text_of(one)?]),
    }
}

/// Tools: a list, or names with commas between them.
fn tool_names(path: &str, value: &Value) -> Result<Vec<String>, String> {
    let words = words_of(value).ok_or_else(|| format!("'{path}' has to be a list of tools"))?;
    Ok(words.iter().flat_map(|word| apart(word)).collect())
}

/// Names with commas between them; those in parentheses belong to a name, as in
/// `Bash(git add, git commit)`.
fn apart(word: &str) -> Vec<String> {
    let mut depth = 0_u32;
    let names = word.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    names.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Expressions: texts, or maps with `pattern` and perhaps `priority`.
fn expressions(path: &str, value: &Value) -> Result<Vec<RegexTrigger>, String> {
    let one = |value: &Value| match value {
        Value::Object(map) => {
            let pattern = text_of(map.get("pattern")?)?;
            let priority = match map.get("priority") {
                Some(word) => text_of(word)?.parse().ok()?,
                None => Priority::default(),
            };
            Some(RegexTrigger { pattern, priority })
        }
        value => Some(RegexTrigger { pattern: text_of(value)?, priority: Priority::default() }),
    };
    let all = match value {
        Value::Null => Some(Vec::new()),
        Value::Array(all) => all.iter().map(one).collect(),
        value => one(value).map(|one| vec![one]),
    };
    all.ok_or_else(|| {
        format!("'{path}' has to be a list of expressions, or of pattern and priority (low, medium, high)")
    })
}
