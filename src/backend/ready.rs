//! Backends that come with cx: definitions as people write them, in `backends/` at
//! the top of the source. Each says where what it knows comes from.

use super::command::{Definition, read};
use super::{Backend, Family};
use crate::document::{self, Key, Node, Problem};
use crate::job::BackendName;

/// Name and text of each, in the order in which they are listed.
const READY: [(&str, &str); 8] = [
    ("gemini", include_str!("../../backends/gemini.toml")),
    ("opencode", include_str!("../../backends/opencode.toml")),
    ("copilot", include_str!("../../backends/copilot.toml")),
    ("qwen", include_str!("../../backends/qwen.toml")),
    ("aider", include_str!("../../backends/aider.toml")),
    ("amp", include_str!("../../backends/amp.toml")),
    ("goose", include_str!("../../backends/goose.toml")),
    ("cursor-agent", include_str!("../../backends/cursor-agent.toml")),
];

/// The names of those that come with cx and are no part of it.
pub fn ready_names() -> impl Iterator<Item = BackendName> {
    READY.iter().filter_map(|(name, _)| BackendName::new(name).ok())
}

/// One of those that come with cx.
pub fn ready(name: BackendName) -> Option<Backend> {
    let (key, node) = table(name.as_str())?;
    let definition = read::read(&key, &node, |_| None).ok()?;
    Some(Backend { name, family: Family::Command(Box::new(definition.command)) })
}

/// What people have written under `backends` in a file: a table with a table for
/// each name.
pub(crate) fn define(key: &Key, node: &Node) -> Result<Definition, Problem> {
    read::read(key, node, |name| table(name).map(|(_, node)| node))
}

/// The table of a ready one.
fn table(name: &str) -> Option<(Key, Node)> {
    let (_, text) = READY.iter().find(|(own, _)| *own == name)?;
    let file = document::toml(text).ok()?;
    let pairs = file.of("backends")?.map()?;
    pairs.iter().find(|(key, _)| key.name == name).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_can_be_read_and_says_where_it_comes_from() {
        for (name, text) in READY {
            let (key, node) = table(name).expect(name);
            let definition = read::read(&key, &node, |_| None);
            let definition =
                definition.unwrap_or_else(|(line, what)| panic!("{name}:{line}: {what}"));
            assert_eq!(definition.unknown, [], "{name}");
            assert_eq!(definition.name.as_str(), name);
            let command = definition.command;
            for said in [&command.checked, &command.install, &command.about] {
                assert!(said.as_ref().is_some_and(|said| !said.is_empty()), "{name}");
            }
            assert!(text.contains("not been run here"), "{name}");
            assert!(ready(definition.name).is_some(), "{name}");
        }
        assert_eq!(ready(BackendName::CODEX), None);
    }
}
