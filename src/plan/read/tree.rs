//! A file as a tree whose every key and value knows its line, whichever of JSON,
//! YAML and TOML it is written in. In all three a key that stands twice is an
//! error: taking the last one would lose work without a word.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use toml::de::{DeTable, DeValue};

/// A line of the file, from 1, and what is wrong there.
pub(super) type Problem = (u64, String);

/// How deep a file may nest: reading it recurses.
const DEPTH: usize = 100;

/// A value, and the line it begins in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Value,
}

/// See [`Node`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As it is written, or nearly.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key, and its line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) line: u64,
}

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Json,
    Yaml,
    Toml,
}

impl Syntax {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Yaml => "YAML",
            Self::Toml => "TOML",
        }
    }
}

/// Reads a file, and finds out what it is written in: the content decides, the
/// extension of `name` only where the content could be either.
pub(super) fn read(text: &str, name: &str) -> Result<(Syntax, Node), Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = first else { return Err((1, "the plan is empty".to_owned())) };
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let by_name = match extension.to_ascii_lowercase().as_str() {
        "json" => Some(Syntax::Json),
        "yaml" | "yml" => Some(Syntax::Yaml),
        "toml" => Some(Syntax::Toml),
        _ => None,
    };
    let candidates: &[Syntax] = match (first.as_bytes().first(), by_name) {
        (Some(b'{'), _) => &[Syntax::Json, Syntax::Yaml],
        (Some(b'['), Some(Syntax::Json)) => &[Syntax::Json],
        (Some(b'['), Some(Syntax::Yaml)) => &[Syntax::Json, Syntax::Yaml],
        (Some(b'['), _) => &[Syntax::Toml, Syntax::Json, Syntax::Yaml],
        (_, Some(Syntax::Toml)) => &[Syntax::Toml],
        (_, Some(Syntax::Yaml)) => &[Syntax::Yaml, Syntax::Toml],
        _ if first.contains('=') => &[Syntax::Toml, Syntax::Yaml],
        _ => &[Syntax::Yaml, Syntax::Toml],
    };
    let mut problem = None;
    for syntax in candidates {
        let tree = match syntax {
            Syntax::Json => json(text),
            Syntax::Yaml => yaml(text),
            Syntax::Toml => toml(text),
        };
        match tree {
            // Any prose is a scalar in YAML.
            Ok(tree) if matches!(tree.value, Value::List(_) | Value::Map(_)) => {
                return Ok((*syntax, tree));
            }
            Ok(tree) => {
                problem.get_or_insert((tree.line, "this is no plan".to_owned()));
            }
            Err((line, what)) => {
                let what = format!("this is no valid {}: {what}", syntax.name());
                problem.get_or_insert((line, what));
            }
        }
    }
    Err(problem.unwrap_or_else(|| (1, "this is no plan".to_owned())))
}

impl Node {
    /// `a list`, `a number`, ...: what it is, for sentences.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a table",
        }
    }

    /// The value of a key, if this has it.
    pub(super) fn of(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|(own, _)| own.name == key).map(|(_, node)| node)
    }

    pub(super) fn map(&self) -> Option<&[(Key, Self)]> {
        match &self.value {
            Value::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// A text, or what was written for a number, true or false.
    pub(super) fn text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(bool) => Some(bool.to_string()),
            _ => None,
        }
    }

    /// The same as JSON, in its order.
    pub(super) fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(bool) => (*bool).into(),
            Value::Number(number) => serde_json::from_str(number)
                .unwrap_or_else(|_| serde_json::Value::String(number.clone())),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Map(pairs) => {
                let pairs = pairs.iter().map(|(key, node)| (key.name.clone(), node.json()));
                serde_json::Value::Object(pairs.collect())
            }
        }
    }
}

fn twice(name: &str, first: u64) -> String {
    format!("'{name}' stands here a second time, after line {first}")
}

/// A map whose keys are its own. Sorted, as a plan may have a thousand of them.
fn distinct(pairs: Vec<(Key, Node)>) -> Result<Value, Problem> {
    let mut names: Vec<(&str, u64)> =
        pairs.iter().map(|(key, _)| (key.name.as_str(), key.line)).collect();
    names.sort_unstable();
    let same = names.windows(2).find_map(|pair| match pair {
        [(a, first), (b, second)] if a == b => Some((*second, twice(a, *first))),
        _ => None,
    });
    match same {
        Some(problem) => Err(problem),
        None => Ok(Value::Map(pairs)),
    }
}

fn json(text: &str) -> Result<Node, Problem> {
    // Whether it is JSON is said by who knows best; after this, only places are
    // looked for.
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| {
        let what = error.to_string();
        let bare = what.split(" at line ").next().unwrap_or(&what).to_owned();
        (error.line().max(1) as u64, bare)
    })?;
    Json { text, at: 0, line: 1 }.node(0)
}

/// Walks through text that is known to be JSON.
struct Json<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl Json<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n' | b',' | b':')) = self.peek() {
            self.line += u64::from(byte == b'\n');
            self.at += 1;
        }
    }

    /// What `end` says is the end of the scalar that begins here.
    fn scalar(&mut self, end: impl Fn(&[u8]) -> usize) -> &str {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        self.at += end(rest).clamp(1, rest.len().max(1));
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn string(&mut self) -> Result<String, Problem> {
        let line = self.line;
        let raw = self.scalar(|rest| {
            let mut escaped = false;
            for (at, byte) in rest.iter().enumerate().skip(1) {
                match byte {
                    b'"' if !escaped => return at + 1,
                    b'\\' => escaped = !escaped,
                    _ => escaped = false,
                }
            }
            rest.len()
        });
        // Half a surrogate pair is found only here.
        serde_json::from_str(raw).map_err(|error| {
            let what = error.to_string();
            (line, what.split(" at line ").next().unwrap_or(&what).to_owned())
        })
    }

    fn node(&mut self, depth: usize) -> Result<Node, Problem> {
        self.blank();
        let line = self.line;
        if depth > DEPTH {
            return Err((line, "it is nested too deeply".to_owned()));
        }
        let value = match self.peek() {
            Some(b'{') => {
                self.at += 1;
                let mut pairs = Vec::new();
                loop {
                    self.blank();
                    if self.peek() != Some(b'"') {
                        break;
                    }
                    let line = self.line;
                    let key = Key { name: self.string()?, line };
                    pairs.push((key, self.node(depth + 1)?));
                }
                self.at += 1;
                distinct(pairs)?
            }
            Some(b'[') => {
                self.at += 1;
                let mut items = Vec::new();
                loop {
                    self.blank();
                    if matches!(self.peek(), Some(b']') | None) {
                        break;
                    }
                    items.push(self.node(depth + 1)?);
                }
                self.at += 1;
                Value::List(items)
            }
            Some(b'"') => Value::Text(self.string()?),
            _ => {
                let end = |rest: &[u8]| {
                    let in_word = |byte: &u8| {
                        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
                    };
                    rest.iter().take_while(|byte| in_word(byte)).count()
                };
                match self.scalar(end) {
                    "null" => Value::Null,
                    word @ ("true" | "false") => Value::Bool(word == "true"),
                    number => Value::Number(number.to_owned()),
                }
            }
        };
        Ok(Node { line, value })
    }
}

fn yaml(text: &str) -> Result<Node, Problem> {
    serde_saphyr::from_str::<Node>(text).map_err(|error| {
        let error = error.without_snippet();
        let what = error.to_string();
        let first = what.lines().next().unwrap_or_default();
        let bare = first.split(" at line ").next().unwrap_or(first);
        let line = error.location().map_or(1, |location| location.line());
        (line, bare.trim_start_matches("error: ").to_owned())
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Key { line: key.referenced.line(), name: key.value };
            pairs.push((key, map.next_value()?));
        }
        Ok(Value::Map(pairs))
    }
}

fn toml(text: &str) -> Result<Node, Problem> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.at(span.start));
        (line, error.message().lines().collect::<Vec<_>>().join(", "))
    })?;
    Ok(lines.table(table.get_ref(), 1))
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect())
    }

    fn at(&self, offset: usize) -> u64 {
        self.0.partition_point(|start| *start <= offset).max(1) as u64
    }

    fn table(&self, table: &DeTable, line: u64) -> Node {
        let mut pairs: Vec<_> = table.iter().collect();
        pairs.sort_by_key(|(key, _)| key.span().start);
        let pairs = pairs.into_iter().map(|(key, value)| {
            let line = self.at(key.span().start);
            let key = Key { name: key.get_ref().to_string(), line };
            // A table written as `[a.b]` has no better place than its key's.
            (key, self.value(value.get_ref(), line.max(self.at(value.span().start))))
        });
        Node { line, value: Value::Map(pairs.collect()) }
    }

    fn value(&self, value: &DeValue, line: u64) -> Node {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix())
                    .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string());
                Value::Number(number)
            }
            DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
            DeValue::Boolean(bool) => Value::Bool(*bool),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(items) => {
                let items =
                    items.iter().map(|item| self.value(item.get_ref(), self.at(item.span().start)));
                Value::List(items.collect())
            }
            DeValue::Table(table) => return self.table(table, line),
        };
        Node { line, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `line key` of every key, in order.
    fn keys(node: &Node) -> Vec<String> {
        match &node.value {
            Value::Map(pairs) => pairs
                .iter()
                .flat_map(|(key, node)| {
                    std::iter::once(format!("{} {}", key.line, key.name)).chain(keys(node))
                })
                .collect(),
            Value::List(items) => items
                .iter()
                .flat_map(|item| std::iter::once(format!("{} -", item.line)).chain(keys(item)))
                .collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn one_tree_from_three_syntaxes_with_all_lines() {
        let json = "{\n \"a\": [\n  \"x\\\"\",\n  2,\n  {\"b\": true}], \"e\": null,\n\n \"c\": {\"d\": 1.5}\n}";
        let yaml = "# first\na:\n  - 'x\"'\n  - 2\n  - b: true\ne: ~\n\nc:\n  d: 1.5\n";
        let toml = "a = [\n 'x\"',\n 2,\n { b = true }]\n\n[c]\nd = 1.5\n";
        let (syntax, tree) = read(json, "-").expect("JSON");
        assert_eq!(syntax, Syntax::Json);
        assert_eq!(keys(&tree), ["2 a", "3 -", "4 -", "5 -", "5 b", "5 e", "7 c", "7 d"]);
        assert_eq!(tree.json(), serde_json::from_str::<serde_json::Value>(json).expect("JSON"));
        let (syntax, yaml) = read(yaml, "-").expect("YAML");
        assert_eq!(syntax, Syntax::Yaml);
        assert_eq!(keys(&yaml), ["2 a", "3 -", "4 -", "5 -", "5 b", "6 e", "8 c", "9 d"]);
        assert_eq!(yaml.json(), tree.json());
        let (syntax, toml) = read(toml, "-").expect("TOML");
        assert_eq!(syntax, Syntax::Toml);
        assert_eq!(keys(&toml), ["1 a", "2 -", "3 -", "4 -", "4 b", "6 c", "7 d"]);
        assert_eq!(toml.json()["c"]["d"], 1.5);
    }

    #[test]
    fn a_key_that_stands_twice_is_an_error_everywhere() {
        for text in [
            "{\"a\": 1,\n\"b\": {\n\"x\": 1},\n\"a\": 2}",
            "a: 1\nb: 2\n\na: 3\n",
            "a = 1\nb = 2\n\na = 3\n",
        ] {
            let (line, problem) = read(text, "-").expect_err(text);
            assert_eq!(line, 4, "{problem}");
        }
        let (_, problem) = read("{\"a\": 1,\n\"a\": 2}", "x.json").expect_err("twice");
        assert_eq!(problem, "this is no valid JSON: 'a' stands here a second time, after line 1");
    }

    #[test]
    fn the_content_tells_what_it_is_written_in() {
        for (text, name, syntax) in [
            ("{\"a\": []}", "plan.toml", Syntax::Json),
            ("{a: [b]}", "plan", Syntax::Yaml),
            ("[a]\nb = 1", "-", Syntax::Toml),
            ("[{\"id\": \"a\"}]", "-", Syntax::Json),
            ("- id: a", "-", Syntax::Yaml),
            ("\u{feff}# a = b\n\nsteps:\n- x", "x.txt", Syntax::Yaml),
            ("name = 'x'", "plan.yaml", Syntax::Toml),
            ("a: b=c", "-", Syntax::Yaml),
        ] {
            assert_eq!(read(text, name).expect(text).0, syntax, "{text}");
        }
        for (text, name, problem) in [
            ("", "-", (1, "the plan is empty")),
            ("\n# nothing\n", "x.json", (1, "the plan is empty")),
            ("just prose", "-", (1, "this is no plan")),
            ("{\"a\": [1,\n2,\n}", "x", (3, "this is no valid JSON: expected value")),
            ("a = 1\nb = = 2\n", "x", (2, "this is no valid TOML: ")),
            ("a:\n - b\n c: [\n", "x", (3, "this is no valid YAML: ")),
        ] {
            let (line, what) = read(text, name).expect_err(text);
            assert_eq!(line, problem.0, "{what}");
            assert!(what.starts_with(problem.1) && !what.contains('\n'), "{what}");
        }
        assert!(read(&"[".repeat(100_000), "x.json").is_err());
        assert!(read(&format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)), "x.json").is_err());
        assert!(read("{\"a\": \"\\ud83d\\ude00\", \"b\": \"\\ud83d\"}", "-").is_err());
        assert!(read("{\"a\": \"\\ud83d\\ude00\"}", "-").is_ok());
    }
}
