//! What a task is repeated over, and what it fills in.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{job::Template, plan::Task};

/// Fills in the scope and the files of a task. What has no value stays.
pub(super) fn fill(task: &mut Task, vars: &BTreeMap<String, String>, item: Option<&str>) {
    let value = |name: &str| match name {
        "item" if item.is_some() => item.map(Cow::Borrowed),
        name => vars.get(name).map(|value| Cow::Borrowed(value.as_str())),
    };
    for text in task.scope.iter_mut().chain(&mut task.files) {
        if let Ok(filled) = Template::parse(text).render(&value) {
            *text = filled;
        }
    }
}

/// The items of an answer: those of the JSON array in it, or its lines.
///
/// Models like to wrap an array into a fence and a sentence; what stands between
/// the first `[` and the last `]` counts if it is one. Lines lose what makes them
/// a list (`- `, `* `, `1. `).
pub(super) fn items(answer: &str) -> Vec<String> {
    json_items(answer).unwrap_or_else(|| {
        let lines = answer.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("```"));
        lines.map(|line| list_item(line).to_owned()).collect()
    })
}

fn json_items(answer: &str) -> Option<Vec<String>> {
    let (start, end) = (answer.find('[')?, answer.rfind(']')?);
    let array: Vec<serde_json::Value> = serde_json::from_str(answer.get(start..=end)?).ok()?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Some(array.into_iter().map(text).collect())
}

fn list_item(line: &str) -> &str {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let after = line.get(digits..).unwrap_or_default();
    let numbered = after.strip_prefix(". ").or_else(|| after.strip_prefix(") "));
    let numbered = numbered.filter(|_| digits > 0);
    numbered
        .or_else(|| line.strip_prefix("- "))
        .or_else(|| line.strip_prefix("* "))
        .unwrap_or(line)
        .trim()
}
