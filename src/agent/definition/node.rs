//! A tree of keys and values that knows the line of each key.

use serde_json::Value;

use super::Problem;
use crate::document;

/// A value of a definition.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::agent) enum Node {
    /// Key, its line (from 1; 0 where there is no file) and value, in their order.
    Map(Vec<(String, u64, Node)>),
    /// A list.
    Seq(Vec<Node>),
    /// Anything else.
    Leaf(Value),
}

/// Reads YAML; an empty text is nothing. Lines count from its first one.
pub(in crate::agent) fn yaml(text: &str) -> Result<Node, Problem> {
    document::yaml(text).map(Node::from)
}

/// Reads TOML.
pub(in crate::agent) fn toml(text: &str) -> Result<Node, Problem> {
    document::toml(text).map(Node::from)
}

/// The number of the line that begins or goes on after `before`.
pub(in crate::agent) fn line_of(before: &[u8]) -> u64 {
    before.iter().fold(1, |line, byte| line + u64::from(*byte == b'\n'))
}

impl Node {
    /// The same without lines.
    pub(in crate::agent) fn value(&self) -> Value {
        match self {
            Self::Map(entries) => entries
                .iter()
                .map(|(key, _, node)| (key.clone(), node.value()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Self::Seq(all) => all.iter().map(Self::value).collect(),
            Self::Leaf(value) => value.clone(),
        }
    }

    /// A tree that stands in no file.
    pub(in crate::agent) fn of(value: &Value) -> Self {
        match value {
            Value::Object(map) => Self::Map(
                map.iter().map(|(key, value)| (key.clone(), 0, Self::of(value))).collect(),
            ),
            Value::Array(all) => Self::Seq(all.iter().map(Self::of).collect()),
            other => Self::Leaf(other.clone()),
        }
    }

    /// What stands under a dotted key, with the line of the key.
    pub(in crate::agent) fn get(&self, path: &str) -> Option<(u64, &Self)> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)));
        let Self::Map(entries) = self else { return None };
        let (_, line, node) = entries.iter().find(|(key, ..)| key == first)?;
        match rest {
            Some(rest) => node.get(rest),
            None => Some((*line, node)),
        }
    }

    /// The text under a dotted key, unless it is empty.
    pub(in crate::agent) fn text(&self, path: &str) -> Option<String> {
        super::keys::text_of(&self.get(path)?.1.value())
    }

    /// The texts in the list under a dotted key.
    pub(in crate::agent) fn texts(&self, path: &str) -> Vec<String> {
        match self.get(path) {
            Some((_, Self::Seq(all))) => {
                all.iter().filter_map(|node| super::keys::text_of(&node.value())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether it is nothing, an empty list or map, or made of such.
    pub(super) fn says_nothing(&self) -> bool {
        match self {
            Self::Map(entries) => entries.iter().all(|(_, _, node)| node.says_nothing()),
            Self::Seq(all) => all.is_empty(),
            Self::Leaf(value) => {
                value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
            }
        }
    }
}

impl From<document::Node> for Node {
    fn from(node: document::Node) -> Self {
        match node.value {
            document::Value::Map(pairs) => Self::Map(
                pairs.into_iter().map(|(key, node)| (key.name, key.line, node.into())).collect(),
            ),
            document::Value::List(items) => Self::Seq(items.into_iter().map(Self::from).collect()),
            _ => Self::Leaf(node.json()),
        }
    }
}
