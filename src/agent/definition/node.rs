//! A tree of keys and values that knows the line of each key.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::Problem;

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

/// Reads YAML; an empty text is an empty map. Lines count from its first one.
pub(in crate::agent) fn yaml(text: &str) -> Result<Node, Problem> {
    serde_saphyr::from_str::<Node>(text).map_err(|error| {
        let error = error.without_snippet();
        let line = error.location().map_or(1, |location| location.line());
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        // The place is said once, in front, as the line in the file.
        let bare = first.split(" at line ").next().unwrap_or(first);
        (line, bare.trim_start_matches("error: ").to_owned())
    })
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

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("keys with values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    entries.push((key.value, key.referenced.line(), map.next_value()?));
                }
                Ok(Node::Map(entries))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut all = Vec::new();
                while let Some(node) = seq.next_element()? {
                    all.push(node);
                }
                Ok(Node::Seq(all))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
                Ok(Node::Leaf(Value::Null))
            }

            fn visit_none<E: de::Error>(self) -> Result<Node, E> {
                Ok(Node::Leaf(Value::Null))
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Node, D::Error> {
                Node::deserialize(inner)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Leaf(value.into()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Leaf(value.into()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Leaf(value.into()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
                Ok(Node::Leaf(value.into()))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Leaf(value.into()))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
