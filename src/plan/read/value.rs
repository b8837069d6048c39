//! From a node of the tree to a value that a plan has, or a sentence why not.

use std::{collections::HashSet, num::NonZeroU32, num::NonZeroU64, time::Duration};

use crate::{
    document::{Key, Node, Problem, Value},
    job::{BackendChoice, JobName, Usd, parse_count, parse_duration},
    plan::nearest,
};

/// What is wrong with a file. Reading goes on after each, so that all of it is told
/// at once.
#[derive(Debug, Default)]
pub(super) struct Wrong(Vec<Problem>);

impl Wrong {
    /// What was read; nothing in place of what could not be.
    pub(super) fn take<T: Default>(&mut self, read: Result<T, Problem>) -> T {
        read.unwrap_or_else(|problem| {
            self.0.push(problem);
            T::default()
        })
    }

    /// Names one more.
    pub(super) fn say(&mut self, line: u64, what: impl Into<String>) {
        self.0.push((line, what.into()));
    }

    /// All of it, in the order of the file.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.0.sort_by_key(|(line, _)| *line);
        self.0
    }
}

fn wrong<T>(key: &Key, node: &Node, wanted: &str) -> Result<T, Problem> {
    Err((node.line, format!("'{}' has to be {wanted}, and is {}", key.name, node.kind())))
}

/// A text; numbers are taken as they are written.
pub(super) fn text(key: &Key, node: &Node) -> Result<String, Problem> {
    node.text().map_or_else(|| wrong(key, node, "a text"), Ok)
}

/// A text that says something.
pub(super) fn word(key: &Key, node: &Node) -> Result<String, Problem> {
    let word = text(key, node)?.trim().to_owned();
    if word.is_empty() {
        return Err((node.line, format!("'{}' is empty", key.name)));
    }
    Ok(word)
}

/// A text, or a list of them.
pub(super) fn texts(key: &Key, node: &Node) -> Result<Vec<String>, Problem> {
    if node.value == Value::Null {
        return Ok(Vec::new());
    }
    let one = std::slice::from_ref(node);
    let items = node.list().unwrap_or(one);
    items
        .iter()
        .map(|item| item.text().map_or_else(|| wrong(key, item, "a text or a list of them"), Ok))
        .collect()
}

pub(super) fn flag(key: &Key, node: &Node) -> Result<bool, Problem> {
    match node.value {
        Value::Bool(bool) => Ok(bool),
        _ => wrong(key, node, "true or false"),
    }
}

pub(super) fn count(key: &Key, node: &Node) -> Result<u32, Problem> {
    let (Value::Number(text) | Value::Text(text)) = &node.value else {
        return wrong(key, node, "a whole number");
    };
    text.trim().parse().map_err(|_| {
        (node.line, format!("'{}' is {text}, and has to be a whole number from 0 on", key.name))
    })
}

/// A number from 1 on.
pub(super) fn some(key: &Key, node: &Node) -> Result<NonZeroU32, Problem> {
    let number = NonZeroU32::new(count(key, node)?);
    number.ok_or_else(|| (node.line, format!("'{}' has to be at least 1", key.name)))
}

pub(super) fn some_jobs(key: &Key, node: &Node) -> Result<NonZeroU64, Problem> {
    some(key, node).map(NonZeroU64::from)
}

/// A number of tokens.
pub(super) fn tokens(key: &Key, node: &Node) -> Result<NonZeroU64, Problem> {
    let word = text(key, node)?;
    parse_count(word.trim())
        .map_err(|error| (node.line, format!("'{}' is '{word}', which {error}", key.name)))
}

/// An amount of US dollars.
pub(super) fn dollars(key: &Key, node: &Node) -> Result<Usd, Problem> {
    let word = text(key, node)?;
    Usd::parse(word.trim())
        .map_err(|error| (node.line, format!("'{}' is '{word}', which {error}", key.name)))
}

/// `90s`, `10m`, or a number of seconds.
pub(super) fn duration(key: &Key, node: &Node) -> Result<Duration, Problem> {
    let word = text(key, node)?;
    parse_duration(word.trim())
        .map_err(|error| (node.line, format!("'{}' is '{word}', which {error}", key.name)))
}

/// `90s`, `10m`, or a number of milliseconds, as programs write it.
pub(super) fn milliseconds(key: &Key, node: &Node) -> Result<Duration, Problem> {
    match &node.value {
        Value::Number(number) => {
            let number = number.parse::<f64>().ok().filter(|ms| ms.is_finite() && *ms > 0.0);
            let duration = number.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
            duration.map_or_else(|| wrong(key, node, "milliseconds"), Ok)
        }
        _ => duration(key, node),
    }
}

pub(super) fn backend(key: &Key, node: &Node) -> Result<BackendChoice, Problem> {
    let word = text(key, node)?;
    word.parse().map_err(|e| (node.line, format!("'{}' is '{word}', which {e}", key.name)))
}

/// It becomes an argument, and must not pass for another option.
pub(super) fn model(key: &Key, node: &Node) -> Result<String, Problem> {
    let model = word(key, node)?;
    if model.starts_with('-') {
        return Err((
            node.line,
            format!("'{}' is '{model}', which is no name of a model", key.name),
        ));
    }
    Ok(model)
}

/// Why `key` is none of those that can stand there.
pub(super) fn unknown(key: &Key, what: &str, known: &[&str]) -> Problem {
    let near = nearest(&key.name, known.iter().copied());
    let rest = match near {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("there are {}", known.join(", ")),
    };
    (key.line, format!("{what} has no key '{}': {rest}", key.name))
}

/// What a foreign file says and cx does not do.
pub(super) fn not_honoured(key: &Key) -> String {
    format!("line {}: '{}' is not honoured", key.line, key.name)
}

/// Ids for tasks that the file gives none.
#[derive(Default)]
pub(super) struct Ids(HashSet<String>);

impl Ids {
    /// An id that was not given out before: `alias` where it is free and the only
    /// one of its kind, `alias-1`, `alias-2`, ... where there are several.
    pub(super) fn of(&mut self, alias: &str, number: usize, total: usize) -> String {
        let stem = stem(alias);
        let wanted = if total > 1 { format!("{stem}-{number}") } else { stem };
        let id = match JobName::new(&wanted) {
            Ok(name) => name.untaken(|id| self.0.contains(id)).to_string(),
            Err(_) => wanted,
        };
        self.0.insert(id.clone());
        id
    }
}

/// What of an alias can stand in an id: of `analysis/code-review/code-analyzer`
/// the last part, and `-` for what cannot.
fn stem(alias: &str) -> String {
    let last = alias.rsplit('/').next().unwrap_or(alias);
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let stem: String = last.chars().map(safe).take(48).collect();
    let stem = stem.trim_start_matches(['.', '_', '-']).trim_end_matches(['.', '-']);
    if stem.is_empty() || stem.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("task-{stem}").trim_end_matches('-').to_owned();
    }
    stem.to_owned()
}
