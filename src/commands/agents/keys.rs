//! Keys that are not honoured, named so that a person can read them: a bundle of
//! seventy definitions may have ten such keys in each.

use std::collections::BTreeMap;

use crate::{agent::Agent, ui};

/// From how many definitions on one key is said once for all of them.
const MANY: usize = 4;

/// One key of one definition.
pub(super) struct Key {
    pub(super) place: String,
    /// From 1; 0 where there is none to name.
    pub(super) line: u64,
    pub(super) name: String,
}

/// The keys of a definition that are not honoured.
pub(super) fn of(agent: &Agent) -> impl Iterator<Item = Key> {
    let place = agent.source.to_string();
    agent.extra.iter().map(move |extra| Key {
        place: place.clone(),
        line: extra.line,
        name: extra.key.clone(),
    })
}

/// One line for each key, or for all definitions that have it: `PLACE: 'KEY' is not
/// WHAT`.
pub(super) fn lines(keys: &[Key], what: &str) -> Vec<String> {
    let mut all: BTreeMap<&str, Vec<&Key>> = BTreeMap::new();
    for key in keys {
        all.entry(&key.name).or_default().push(key);
    }
    let line = |Key { place, line, name }: &Key| {
        format!("{}'{}' is not {what}", at(place, *line), ui::clean(name))
    };
    let few = keys.iter().filter(|key| all.get(key.name.as_str()).is_none_or(|of| of.len() < MANY));
    let mut lines: Vec<String> = few.map(line).collect();
    for of in all.values().filter(|of| of.len() >= MANY) {
        if let [first, others @ ..] = of.as_slice() {
            let others = ui::plural(others.len() as u64, "other definition");
            lines.push(format!("{}, nor in {others}", line(first)));
        }
    }
    lines
}

/// `FILE:LINE: `, as far as there are such.
pub(super) fn at(place: &str, line: u64) -> String {
    match (place, line) {
        ("", _) => String::new(),
        (place, 0) => format!("{place}: "),
        (place, line) => format!("{place}:{line}: "),
    }
}
