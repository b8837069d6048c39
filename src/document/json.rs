//! JSON.

use serde::de::IgnoredAny;

use super::{DEPTH, Key, Node, Problem, Value};

pub(super) fn read(text: &str) -> Result<Node, Problem> {
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
