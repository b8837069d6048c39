//! A proposal as a file: cx's own form in TOML, with the reasons as comments.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Proposal;

impl Proposal {
    /// The text of a file that `cx run -f` takes. It ends in a newline.
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# Proposed by `cx plan`. Read it, change what is not right, then: cx run -f FILE\n\n",
        );
        let mut pair = |key: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key} = {value}");
        };
        pair("name", &line(&self.plan.name));
        pair("goal", &block(&self.goal));
        let others = self.plan.vars.iter().filter(|(name, _)| *name != "goal");
        for (at, (name, value)) in others.enumerate() {
            text.push_str(if at == 0 { "\n[vars]\n" } else { "" });
            let _ = writeln!(text, "{} = {}", key(name), block(value));
        }
        for task in &self.plan.tasks {
            text.push('\n');
            if let Some(why) = self.why.get(&task.id) {
                let _ = writeln!(text, "# {}", comment(why));
            }
            let _ = writeln!(text, "[tasks.{}]", key(&task.id));
            if let Some(agent) = &task.alias {
                let _ = writeln!(text, "agent = {}", line(agent));
            }
            if let Some(mode) = task.mode {
                let _ = writeln!(text, "mode = \"{mode}\"");
            }
            if !task.needs.is_empty() {
                let needs: Vec<String> = task.needs.iter().map(|id| line(id)).collect();
                let _ = writeln!(text, "needs = [{}]", needs.join(", "));
            }
            let _ = writeln!(text, "prompt = {}", block(&task.prompt));
        }
        text
    }

    /// The same plan in JSON, which `cx run -f` takes too. The reasons are its
    /// description. It ends in a newline.
    pub fn to_json(&self) -> String {
        let tasks = self.plan.tasks.iter().map(|task| {
            let mut said = Map::new();
            said.insert("id".to_owned(), task.id.as_str().into());
            if let Some(agent) = &task.alias {
                said.insert("agent".to_owned(), agent.as_str().into());
            }
            if let Some(mode) = task.mode {
                said.insert("mode".to_owned(), mode.to_string().into());
            }
            said.insert("needs".to_owned(), task.needs.clone().into());
            said.insert("prompt".to_owned(), task.prompt.as_str().into());
            Value::Object(said)
        });
        let reasons = self.plan.tasks.iter().filter_map(|task| {
            self.why.get(&task.id).map(|why| format!("{}: {}", task.id, comment(why)))
        });
        let vars: Map<String, Value> = self
            .plan
            .vars
            .iter()
            .filter(|(name, _)| *name != "goal")
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let plan = json!({
            "name": self.plan.name,
            "description": reasons.collect::<Vec<_>>().join("\n"),
            "goal": self.goal,
            "vars": vars,
            "tasks": tasks.collect::<Vec<_>>(),
        });
        format!("{plan:#}\n")
    }
}

/// A key, in quotes where it has to be.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { line(name) }
}

/// What can stand in a comment: one line without control characters.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A string in one line.
fn line(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        escape(&mut quoted, c);
    }
    quoted.push('"');
    quoted
}

/// A string in as many lines as it has.
fn block(text: &str) -> String {
    if !text.contains('\n') {
        return line(text);
    }
    // The first newline is not part of it.
    let mut quoted = String::from("\"\"\"\n");
    let mut chars = text.chars().peekable();
    let mut after_quote = false;
    while let Some(c) = chars.next() {
        let beside = after_quote || matches!(chars.peek(), Some('"') | None);
        match c {
            '\n' => quoted.push('\n'),
            '"' if !beside => quoted.push('"'),
            c => escape(&mut quoted, c),
        }
        after_quote = c == '"';
    }
    quoted.push_str("\"\"\"");
    quoted
}

fn escape(quoted: &mut String, c: char) {
    match c {
        '"' => quoted.push_str("\\\""),
        '\\' => quoted.push_str("\\\\"),
        '\n' => quoted.push_str("\\n"),
        '\t' => quoted.push_str("\\t"),
        '\r' => quoted.push_str("\\r"),
        c if c.is_control() => {
            let _ = write!(quoted, "\\u{:04x}", u32::from(c));
        }
        c => quoted.push(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_come_back(text in "[a\"\\\\\n\r\t\u{7f}\u{0}\u{85}é😀{} ]{0,30}") {
            for quoted in [line(&text), block(&text)] {
                let document = format!("x = {quoted}\n");
                let table: toml::Table = toml::from_str(&document).expect("is TOML");
                prop_assert_eq!(table["x"].as_str(), Some(text.as_str()), "{}", document);
            }
        }
    }

    #[test]
    fn keys_are_quoted_where_they_must_be() {
        assert_eq!(key("a-b_1"), "a-b_1");
        assert_eq!(key("v1.2"), "\"v1.2\"");
    }
}
