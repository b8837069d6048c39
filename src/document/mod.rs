//! What people write: a file as a tree whose every key and value knows its line,
//! whichever of JSON, YAML and TOML it is written in. In all three a key that
//! stands twice is an error: taking the last one would lose work without a word.
//!
//! Plans and definitions of agents and backends are read through it. It knows nobody, does no
//! I/O, and a crash leaves nothing.

mod json;
mod toml;
mod yaml;

pub(crate) use toml::read as toml;
pub(crate) use yaml::read as yaml;

/// A line of the file, from 1, and what is wrong there.
pub(crate) type Problem = (u64, String);

/// How deep a file may nest: reading it recurses.
const DEPTH: usize = 100;

/// A value, and the line it begins in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) line: u64,
    pub(crate) value: Value,
}

/// See [`Node`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it is written, or nearly.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) line: u64,
}

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
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
/// extension of `name` only where the content could be either. `what` it should be
/// is a word for sentences.
pub(crate) fn read(what: &str, text: &str, name: &str) -> Result<(Syntax, Node), Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = first else { return Err((1, format!("the {what} is empty"))) };
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let by_name = match extension.to_ascii_lowercase().as_str() {
        "json" => Some(Syntax::Json),
        "yaml" | "yml" => Some(Syntax::Yaml),
        "toml" => Some(Syntax::Toml),
        _ => None,
    };
    let candidates: &[Syntax] = match (first.as_bytes().first(), by_name) {
        (Some(b'{'), _) | (Some(b'['), Some(Syntax::Json | Syntax::Yaml)) => {
            &[Syntax::Json, Syntax::Yaml]
        }
        (Some(b'['), _) => &[Syntax::Toml, Syntax::Json, Syntax::Yaml],
        (_, Some(Syntax::Toml)) => &[Syntax::Toml],
        (_, Some(Syntax::Yaml)) => &[Syntax::Yaml, Syntax::Toml],
        _ if first.contains('=') => &[Syntax::Toml, Syntax::Yaml],
        _ => &[Syntax::Yaml, Syntax::Toml],
    };
    let mut problem = None;
    for syntax in candidates {
        let tree = match syntax {
            Syntax::Json => json::read(text),
            Syntax::Yaml => yaml::read(text),
            Syntax::Toml => toml::read(text),
        };
        match tree {
            // Any prose is a scalar in YAML.
            Ok(tree) if matches!(tree.value, Value::List(_) | Value::Map(_)) => {
                return Ok((*syntax, tree));
            }
            Ok(tree) => {
                problem.get_or_insert((tree.line, format!("this is no {what}")));
            }
            Err((line, why)) => {
                let why = format!("this is no valid {}: {why}", syntax.name());
                problem.get_or_insert((line, why));
            }
        }
    }
    Err(problem.unwrap_or_else(|| (1, format!("this is no {what}"))))
}

impl Node {
    /// `a list`, `a number`, ...: what it is, for sentences.
    pub(crate) fn kind(&self) -> &'static str {
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
    pub(crate) fn of(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|(own, _)| own.name == key).map(|(_, node)| node)
    }

    pub(crate) fn map(&self) -> Option<&[(Key, Self)]> {
        match &self.value {
            Value::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// A text, or what was written for a number, true or false.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(bool) => Some(bool.to_string()),
            _ => None,
        }
    }

    /// The same as JSON, in its order.
    pub(crate) fn json(&self) -> serde_json::Value {
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
        let (syntax, tree) = read("plan", json, "-").expect("JSON");
        assert_eq!(syntax, Syntax::Json);
        assert_eq!(keys(&tree), ["2 a", "3 -", "4 -", "5 -", "5 b", "5 e", "7 c", "7 d"]);
        assert_eq!(tree.json(), serde_json::from_str::<serde_json::Value>(json).expect("JSON"));
        let (syntax, yaml) = read("plan", yaml, "-").expect("YAML");
        assert_eq!(syntax, Syntax::Yaml);
        assert_eq!(keys(&yaml), ["2 a", "3 -", "4 -", "5 -", "5 b", "6 e", "8 c", "9 d"]);
        assert_eq!(yaml.json(), tree.json());
        let (syntax, toml) = read("plan", toml, "-").expect("TOML");
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
            let (line, problem) = read("plan", text, "-").expect_err(text);
            assert_eq!(line, 4, "{problem}");
        }
        let (_, problem) = read("plan", "{\"a\": 1,\n\"a\": 2}", "x.json").expect_err("twice");
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
            assert_eq!(read("plan", text, name).expect(text).0, syntax, "{text}");
        }
        for (text, name, problem) in [
            ("", "-", (1, "the plan is empty")),
            ("\n# nothing\n", "x.json", (1, "the plan is empty")),
            ("just prose", "-", (1, "this is no plan")),
            ("{\"a\": [1,\n2,\n}", "x", (3, "this is no valid JSON: expected value")),
            ("a = 1\nb = = 2\n", "x", (2, "this is no valid TOML: ")),
            ("a:\n - b\n c: [\n", "x", (3, "this is no valid YAML: ")),
        ] {
            let (line, what) = read("plan", text, name).expect_err(text);
            assert_eq!(line, problem.0, "{what}");
            assert!(what.starts_with(problem.1) && !what.contains('\n'), "{what}");
        }
        assert!(read("plan", &"[".repeat(100_000), "x.json").is_err());
        assert!(
            read("plan", &format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)), "x.json")
                .is_err()
        );
        assert!(read("plan", "{\"a\": \"\\ud83d\\ude00\", \"b\": \"\\ud83d\"}", "-").is_err());
        assert!(read("plan", "{\"a\": \"\\ud83d\\ude00\"}", "-").is_ok());
        let (_, words) =
            read("plan", "a: [yes, 1.10, y, 'ä', 0x10, 010, true]", "-").expect("YAML");
        let words = words.of("a").and_then(Node::list).expect("a list");
        let words: Vec<_> = words.iter().filter_map(Node::text).collect();
        assert_eq!(words, ["yes", "1.10", "y", "ä", "16", "010", "true"]);
    }
}
