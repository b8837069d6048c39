//! YAML, from the parser's events: a scalar is then what it is written as, and a
//! version `1.10` stays one.
//!
//! Plain scalars are told apart as the core schema of YAML 1.2 does: `no` and `y`
//! are words. Tags change nothing but that `!!str` makes a text.

use std::{borrow::Cow, collections::BTreeMap};

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{DEPTH, Key, Node, Problem, Value};

/// The most nodes that a document may have once its aliases are written out.
const NODES: usize = 1_000_000;

/// Reads the first document; an empty text is nothing.
pub(crate) fn read(text: &str) -> Result<Node, Problem> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| (error.marker().line().max(1) as u64, error.info()))?;
        match event {
            // What follows the first document without being one is an error of it.
            Event::DocumentStart(..) if builder.root.is_some() => break,
            event => builder.take(event, span)?,
        }
    }
    Ok(builder.root.unwrap_or(Node { line: 1, value: Value::Null }))
}

/// A list or a map that is not closed yet.
struct Open {
    line: u64,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    /// With the key that waits for its value.
    Map(Vec<(Key, Node)>, Option<Key>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    /// What has an anchor, and of how many nodes it is.
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let line = span.start.line().max(1) as u64;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(text, style, tag.as_deref());
                self.put(Node { line, value }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(line, anchor, Content::List(vec![])),
            Event::MappingStart(_, anchor, _) => {
                self.begin(line, anchor, Content::Map(vec![], None))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { line, anchor, content }) = self.open.pop() else { return Ok(()) };
                let value = match content {
                    Content::List(items) => Value::List(items),
                    Content::Map(pairs, _) => Value::Map(merged(pairs)?),
                };
                self.put(Node { line, value }, anchor)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((node, count)) => {
                    self.nodes += count;
                    let node = node.clone();
                    self.put(node, 0)
                }
                None => Err((line, "an alias stands within what it stands for".to_owned())),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, line: u64, anchor: usize, content: Content) -> Result<(), Problem> {
        if self.open.len() >= DEPTH {
            return Err((line, format!("it nests deeper than {DEPTH} levels")));
        }
        // A map or a list is no key that anything here could ask for.
        if let Some(Open { content: Content::Map(_, None), .. }) = self.open.last() {
            return Err((line, "a key has to be a word".to_owned()));
        }
        self.open.push(Open { line, anchor, content });
        Ok(())
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err((node.line, format!("it has more than {NODES} values")));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), count(&node)));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map(pairs, waiting)) => {
                if let Some(key) = waiting.take() {
                    pairs.push((key, node));
                    return Ok(());
                }
                let name = node.text().unwrap_or_default();
                let is_known = |key: &Key| key.name == name && name != MERGE;
                if let Some((first, _)) = pairs.iter().find(|(key, _)| is_known(key)) {
                    let line = first.line;
                    let what = format!("'{name}' stands here a second time, after line {line}");
                    return Err((node.line, what));
                }
                *waiting = Some(Key { name, line: node.line });
            }
        }
        Ok(())
    }
}

/// The key under which a map takes over the keys of others.
const MERGE: &str = "<<";

/// The pairs of a map, and those of the maps that it takes over: its own win, and
/// then those of the first.
fn merged(pairs: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, Problem> {
    if pairs.iter().all(|(key, _)| key.name != MERGE) {
        return Ok(pairs);
    }
    let (others, mut own): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(key, _)| key.name == MERGE);
    for (key, node) in others {
        let maps = match node.value {
            Value::List(items) => items,
            _ => vec![node],
        };
        for map in maps {
            let Value::Map(more) = map.value else {
                return Err((key.line, format!("'{MERGE}' has to be a map, or a list of maps")));
            };
            for (key, node) in more {
                if own.iter().all(|(known, _)| known.name != key.name) {
                    own.push((key, node));
                }
            }
        }
    }
    Ok(own)
}

/// How many nodes it is made of.
fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(pairs) => pairs.iter().map(|(_, node)| count(node)).sum(),
        _ => 0,
    }
}

/// What a scalar means: only a plain one can be anything but a text.
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.suffix() == "str" || tag.handle() == "!");
    if style != ScalarStyle::Plain || is_text {
        return Value::Text(text.into_owned());
    }
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        plain => match number(plain) {
            Some(number) => Value::Number(number),
            None => Value::Text(text.into_owned()),
        },
    }
}

/// A number as it is written; in tens where it is written otherwise.
fn number(plain: &str) -> Option<String> {
    let radix = |digits, radix| u64::from_str_radix(digits, radix).ok().map(|n| n.to_string());
    if let Some(digits) = plain.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = plain.strip_prefix("0o") {
        return radix(digits, 8);
    }
    // `inf` and `nan` are words here.
    let digits = plain.trim_start_matches(['+', '-']);
    let begins = digits.starts_with(|c: char| c.is_ascii_digit())
        || digits
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    (begins && plain.parse::<f64>().is_ok_and(f64::is_finite)).then(|| plain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> serde_json::Value {
        read(text).expect(text).json()
    }

    #[test]
    fn scalars_are_what_they_are_written_as() {
        let all = "[~, '', null, True, 'true', 1, +1, 1.10, .5, 1e3, 0x1F, 0o17, 010, -3, .inf, 1_000,\n\
                   no, y, 2026-11-20, 12:30, !!str 7, \"\\u00e4\"]";
        let expected = serde_json::json!([
            null,
            "",
            null,
            true,
            "true",
            1,
            "+1",
            1.1,
            ".5",
            1e3,
            31,
            15,
            "010",
            -3,
            ".inf",
            "1_000",
            "no",
            "y",
            "2026-11-20",
            "12:30",
            "7",
            "ä"
        ]);
        assert_eq!(json(all), expected);
        assert_eq!(json(""), serde_json::Value::Null);
        assert_eq!(json("a: |\n  one\n  two\nb: >-\n  one\n  two\n")["a"], "one\ntwo\n");
        assert_eq!(json("---\na: 1\n---\na: 2\n")["a"], 1);
    }

    #[test]
    fn what_stands_for_something_else_is_written_out() {
        let text = "base: &base {a: 1, b: 2}\nmore: &more\n  c: 3\none:\n  <<: [*base, *more]\n  b: own\nlist: [*base]\n";
        let all = json(text);
        assert_eq!(all["one"], serde_json::json!({"b": "own", "a": 1, "c": 3}));
        assert_eq!(all["list"][0]["b"], 2);
        let (line, problem) = read("a:\n  <<: 3\n").expect_err("no map");
        assert_eq!((line, problem.as_str()), (2, "'<<' has to be a map, or a list of maps"));
        assert!(read("a: *nobody\n").is_err());
        assert!(read("a: &a [*a]\n").is_err());
        // Each doubles the one before: written out they would fill the memory.
        let bomb: String = (1..40).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
            format!("{text}a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)
        });
        let (_, problem) = read(&bomb).expect_err("too much");
        assert!(problem.contains("more than 1000000 values"), "{problem}");
    }

    #[test]
    fn what_cannot_be_read_has_its_line() {
        for (text, line) in [
            ("a: 1\nb: [1,\n", 2),
            ("a: 1\n\nb: 2\nb: 3\n", 4),
            ("a: 1\n? [x]\n: y\n", 2),
            ("[a]\nb: 1\n", 2),
        ] {
            assert_eq!(read(text).expect_err(text).0, line, "{text}");
        }
        assert!(read(&"[".repeat(5_000)).is_err());
        assert!(read(&format!("{}1{}", "[".repeat(101), "]".repeat(101))).is_err());
    }
}
