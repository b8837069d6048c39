//! YAML.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::{Key, Node, Problem, Value};

pub(super) fn read(text: &str) -> Result<Node, Problem> {
    // `no` and `y` are words that people write.
    let options = serde_saphyr::options! { strict_booleans: true };
    let spoken = serde_saphyr::from_str_with_options::<Spoken>(text, options).map_err(|error| {
        let error = error.without_snippet();
        let what = error.to_string();
        let first = what.lines().next().unwrap_or_default();
        let bare = first.split(" at line ").next().unwrap_or(first);
        let line = error.location().map_or(1, |location| location.line());
        (line, bare.trim_start_matches("error: ").to_owned())
    })?;
    Ok(spoken.node(&text.lines().collect::<Vec<_>>()))
}

/// A node of YAML, with its column.
struct Spoken {
    line: u64,
    column: u64,
    value: Scalar,
}

/// As [`Value`], of YAML.
enum Scalar {
    One(Value),
    List(Vec<Spoken>),
    Map(Vec<(Key, Spoken)>),
}

impl Spoken {
    fn node(self, lines: &[&str]) -> Node {
        let value = match self.value {
            Scalar::One(Value::Number(number)) => {
                Value::Number(written(lines, self.line, self.column, number))
            }
            Scalar::One(value) => value,
            Scalar::List(items) => {
                Value::List(items.into_iter().map(|item| item.node(lines)).collect())
            }
            Scalar::Map(pairs) => {
                let pairs = pairs.into_iter().map(|(key, value)| (key, value.node(lines)));
                Value::Map(pairs.collect())
            }
        };
        Node { line: self.line, value }
    }
}

/// A number as it is written: a version `1.10` is not `1.1`.
fn written(lines: &[&str], line: u64, column: u64, number: String) -> String {
    let index = |n: u64| usize::try_from(n).unwrap_or_default().saturating_sub(1);
    let rest = lines.get(index(line)).map(|line| line.chars().skip(index(column)));
    let in_number = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let raw: String = rest.into_iter().flatten().take_while(in_number).collect();
    match (raw.parse::<f64>(), number.parse::<f64>()) {
        (Ok(a), Ok(b)) if a.total_cmp(&b).is_eq() => raw,
        _ => number,
    }
}

impl<'de> Deserialize<'de> for Spoken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Scalar>::deserialize(deserializer)?;
        Ok(Self { line: referenced.line(), column: referenced.column(), value })
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::One(Value::Null))
    }

    fn visit_none<E: de::Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::One(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        Scalar::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, bool: bool) -> Result<Scalar, E> {
        Ok(Scalar::One(Value::Bool(bool)))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::One(Value::Number(number.to_string())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::One(Value::Number(number.to_string())))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::One(Value::Number(number.to_string())))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::One(Value::Text(text.to_owned())))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::One(Value::Text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Scalar::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Key { line: key.referenced.line(), name: key.value };
            pairs.push((key, map.next_value()?));
        }
        Ok(Scalar::Map(pairs))
    }
}
