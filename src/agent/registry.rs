//! What lies beside the agents of a bundle: `index.json`, which lists them, and
//! `triggers.json`, which says when each is to be chosen.
//!
//! What an agent is, its own file says; the index is only compared with what is
//! there. Triggers add to those of the definitions. One that names an id which two
//! agents have goes to those whose definition has it already, or else to both.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::definition::{Node, apply, line_of};
use super::places::is_absent;
use super::{Agent, Entry, Source, Triggers};

/// What is wrong with a file that is no definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong there.
    pub problem: String,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    agents: Vec<Indexed>,
}

#[derive(Deserialize)]
struct Indexed {
    id: String,
    domain: Option<String>,
    subdomain: Option<String>,
    #[serde(default)]
    keywords: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TriggersFile {
    keywords: Map<String, Value>,
    regex: Vec<Value>,
    file_patterns: Map<String, Value>,
}

/// Reads both files, gives the agents of this bundle their triggers, and says what
/// is wrong.
pub(super) fn lay(root: &Path, entries: &mut [Entry]) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    index(&root.join("index.json"), entries, &mut flaws);
    triggers(&root.join("triggers.json"), entries, &mut flaws);
    flaws
}

/// The file, as text and as what it says; nothing where there is none.
fn read<T: for<'de> Deserialize<'de>>(path: &Path, flaws: &mut Vec<Flaw>) -> Option<(String, T)> {
    let mut flaw = |line, problem| flaws.push(Flaw { path: path.to_owned(), line, problem });
    match fs::read_to_string(path) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(value) => Some((text, value)),
            Err(error) => {
                let line = u64::try_from(error.line()).unwrap_or(1).max(1);
                flaw(line, format!("is not as it should be: {error}"));
                None
            }
        },
        Err(error) if is_absent(&error) => None,
        Err(error) => {
            flaw(1, format!("cannot be read: {error}"));
            None
        }
    }
}

/// The line in which a text stands in quotes for the `nth` time, from 0.
fn line_with(text: &str, word: &str, nth: usize) -> u64 {
    let quoted = Value::from(word).to_string();
    let at = text.match_indices(&quoted).nth(nth).map_or(0, |(at, _)| at);
    line_of(text.get(..at).unwrap_or_default().as_bytes())
}

fn index(path: &Path, entries: &mut [Entry], flaws: &mut Vec<Flaw>) {
    let Some((text, index)) = read::<Index>(path, flaws) else { return };
    for (at, indexed) in index.agents.iter().enumerate() {
        let parts = [indexed.domain.as_deref(), indexed.subdomain.as_deref(), Some(&indexed.id)];
        let parts: Vec<&str> =
            parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let qualified = match parts.as_slice() {
            [id] => format!("./{id}"),
            parts => parts.join("/"),
        };
        let found = entries.iter_mut().find(|entry| {
            matches!(entry.source, Source::Bundle(_)) && entry.qualified == qualified
        });
        let Some(entry) = found else {
            let before = index.agents.get(..at).unwrap_or_default();
            let nth = before.iter().filter(|other| other.id == indexed.id).count();
            let line = line_with(&text, &indexed.id, nth);
            let problem = format!("lists '{qualified}', of which there is no file");
            flaws.push(Flaw { path: path.to_owned(), line, problem });
            continue;
        };
        if let Ok(agent) = &mut entry.agent {
            let keywords = indexed.keywords.clone();
            agent.triggers.add(Triggers { keywords, ..Triggers::default() });
        }
    }
}

fn triggers(path: &Path, entries: &mut [Entry], flaws: &mut Vec<Flaw>) {
    let Some((text, file)) = read::<TriggersFile>(path, flaws) else { return };
    let mut give = |word: &str, ids: Option<&Value>, triggers: &Triggers| {
        for id in ids.into_iter().flat_map(ids_of) {
            if !give_to(entries, &id, triggers) {
                let line = line_with(&text, word, 0);
                let problem = format!("names '{id}' for '{word}', and there is no such agent");
                flaws.push(Flaw { path: path.to_owned(), line, problem });
            }
        }
    };
    for (word, ids) in &file.keywords {
        let triggers = Triggers { keywords: vec![word.clone()], ..Triggers::default() };
        give(word, Some(ids), &triggers);
    }
    for (glob, ids) in &file.file_patterns {
        let triggers = Triggers { file_patterns: vec![glob.clone()], ..Triggers::default() };
        give(glob, Some(ids), &triggers);
    }
    let mut wrong = Vec::new();
    for value in &file.regex {
        let word = value.get("pattern").and_then(Value::as_str).unwrap_or_default();
        let tree = serde_json::json!({ "triggers": { "regex": [value] } });
        // As a definition would say it.
        let mut scratch = Agent::empty("", String::new(), Source::BuiltIn);
        match apply(&mut scratch, &Node::of(&tree), &[], 0) {
            Ok(()) => give(word, value.get("agents"), &scratch.triggers),
            Err((_, problem)) => wrong.push((word.to_owned(), problem)),
        }
    }
    for (word, problem) in wrong {
        let line = line_with(&text, &word, 0);
        flaws.push(Flaw { path: path.to_owned(), line, problem });
    }
}

fn ids_of(value: &Value) -> Vec<String> {
    match value {
        Value::String(id) => vec![id.clone()],
        Value::Array(all) => all.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// Gives triggers to whom an id of the bundle means. `false`: to nobody.
fn give_to(entries: &mut [Entry], id: &str, triggers: &Triggers) -> bool {
    let mut meant: Vec<&mut Entry> = entries
        .iter_mut()
        .filter(|entry| matches!(entry.source, Source::Bundle(_)))
        .filter(|entry| entry.name == id || entry.qualified == id)
        .collect();
    let there = !meant.is_empty();
    let has = |entry: &&mut Entry| entry.agent.as_ref().is_ok_and(|a| a.triggers.has(triggers));
    if meant.iter().any(has) {
        return true;
    }
    for agent in meant.iter_mut().filter_map(|entry| entry.agent.as_mut().ok()) {
        agent.triggers.add(triggers.clone());
    }
    there
}
