//! cx's own shape: Markdown with YAML front matter.
//!
//! ```text
//! ---
//! description: Reviews for races
//! mode: reader
//! ---
//! LENS: ...
//! ```
//!
//! Keys that are not known are kept, with their lines.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::agent::{Agent, AgentError, ExtraKey, Source};
use crate::job::{BackendKind, Mode, parse_duration};

/// Reads an agent.
///
/// # Errors
/// [`AgentError::Invalid`], with the line.
pub(in crate::agent) fn parse(
    name: &str,
    bytes: &[u8],
    source: Source,
) -> Result<Agent, AgentError> {
    match read(name, bytes) {
        Ok(agent) => Ok(Agent { source, ..agent }),
        Err((line, problem)) => Err(AgentError::Invalid { place: source, line, problem }),
    }
}

/// A line of the file, from 1, and what is wrong there.
type Problem = (u64, String);

fn read(name: &str, bytes: &[u8]) -> Result<Agent, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        (line_of(before), "is not valid UTF-8".to_owned())
    })?;
    let (yaml, body) = split(text)?;
    // The front matter begins in the file's second line.
    let in_file = |location: serde_saphyr::Location| location.line() + 1;
    let front: Front = serde_saphyr::from_str(yaml).map_err(|error| {
        let error = error.without_snippet();
        (error.location().map_or(2, in_file), problem_of(error))
    })?;

    let mut agent = Agent {
        name: name.to_owned(),
        description: String::new(),
        mode: Mode::Reader,
        backend: None,
        model: None,
        timeout: None,
        silence: None,
        scope: Vec::new(),
        source: Source::BuiltIn,
        body: body.trim_matches(['\r', '\n']).trim_end().to_owned(),
        extra: Vec::new(),
    };
    for (key, line, value) in front.0 {
        let line = line + 1;
        set(&mut agent, &key, line, value).map_err(|problem| (line, problem))?;
    }
    if agent.description.is_empty() {
        return Err((1, "'description' is missing in the front matter".to_owned()));
    }
    if agent.body.is_empty() {
        return Err((
            line_of(text.trim_end().as_bytes()),
            "there is no text after the front matter".to_owned(),
        ));
    }
    Ok(agent)
}

/// Takes over what one key of the front matter says.
fn set(agent: &mut Agent, key: &str, line: u64, value: Value) -> Result<(), String> {
    let text = || text_of(&value).ok_or_else(|| format!("'{key}' has to be a word or a line"));
    let duration = || {
        let word = text()?;
        parse_duration(&word).map_err(|error| format!("'{key}' is '{word}', which {error}"))
    };
    match key {
        "name" => {
            let (given, name) = (text()?, &agent.name);
            if given != *name {
                return Err(format!("'name' is '{given}', but the file's name is '{name}'"));
            }
        }
        "description" => agent.description = text()?,
        "mode" => {
            agent.mode = match text()?.as_str() {
                "reader" => Mode::Reader,
                "writer" => Mode::Writer,
                word => return Err(format!("'mode' is '{word}': write reader or writer")),
            }
        }
        "backend" => {
            let word = text()?;
            let known = BackendKind::ALL.map(BackendKind::as_str).join(" or ");
            let kind =
                word.parse().map_err(|()| format!("'backend' is '{word}': write {known}"))?;
            agent.backend = Some(kind);
        }
        "model" => {
            // It becomes an argument, and must not pass for another option.
            let model = text()?;
            if model.starts_with('-') {
                return Err(format!("'model' is '{model}', which is no name of a model"));
            }
            agent.model = Some(model);
        }
        "timeout" => agent.timeout = Some(duration()?),
        "silence" => agent.silence = Some(duration()?),
        "scope" => {
            let one = std::slice::from_ref(&value);
            let all = value.as_array().map_or(one, Vec::as_slice);
            agent.scope = all
                .iter()
                .map(text_of)
                .collect::<Option<_>>()
                .ok_or_else(|| "'scope' has to be a pathspec or a list of them".to_owned())?;
        }
        _ => agent.extra.push(ExtraKey { key: key.to_owned(), line, value }),
    }
    Ok(())
}

/// The front matter without its fences, and what comes after it.
fn split(text: &str) -> Result<(&str, &str), Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_fence = |line: &str| line.trim_end() == "---";
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| is_fence(line)) else {
        return Err((1, "there is no front matter: begin the file with a line '---'".to_owned()));
    };
    let start = first.len();
    let mut end = start;
    for line in lines {
        let next = end + line.len();
        if is_fence(line) {
            return Ok((text.get(start..end).unwrap_or(""), text.get(next..).unwrap_or("")));
        }
        end = next;
    }
    Err((1, "the front matter is not closed by a line '---'".to_owned()))
}

/// The number of the line that begins or goes on after `before`.
fn line_of(before: &[u8]) -> u64 {
    before.iter().fold(1, |line, byte| line + u64::from(*byte == b'\n'))
}

/// What the YAML reader says, in one line.
fn problem_of(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    // The place is said once, in front, as the line in the file.
    let bare = first.split(" at line ").next().unwrap_or(first);
    format!("the front matter is no valid YAML: {}", bare.trim_start_matches("error: "))
}

/// The front matter: key, line in the YAML (from 1) and value, in their order.
struct Front(Vec<(String, u64, Value)>);

impl<'de> Deserialize<'de> for Front {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Front;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("keys with values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Front, A::Error> {
                let mut pairs = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    let value: Value = map.next_value()?;
                    pairs.push((key.value, key.referenced.line(), value));
                }
                Ok(Front(pairs))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Front, E> {
                Ok(Front(Vec::new()))
            }
        }

        deserializer.deserialize_any(Pairs)
    }
}

/// What a scalar says, as text. Empty is not said at all.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse_text(text: &str) -> Result<Agent, String> {
        parse("races", text.as_bytes(), Source::User("/x/races.md".into()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_and_the_body() {
        let agent = parse_text(
            "---\nname: races\ndescription: \"Looks: for races\"\nmode: writer\nbackend: codex\n\
             model: gpt-5.1\ntimeout: 1h30m\nsilence: 90\nscope: [src, ':!src/x']\n---\n\n\
             LENS: two at once\n---\nDO:\n\n",
        )
        .expect("reads");
        assert_eq!(agent.description, "Looks: for races");
        assert_eq!(agent.mode, Mode::Writer);
        assert_eq!(agent.backend, Some(BackendKind::Codex));
        assert_eq!(agent.model.as_deref(), Some("gpt-5.1"));
        assert_eq!(agent.timeout, Some(Duration::from_mins(90)));
        assert_eq!(agent.silence, Some(Duration::from_secs(90)));
        assert_eq!(agent.scope, ["src", ":!src/x"]);
        assert_eq!(agent.body, "LENS: two at once\n---\nDO:");
        assert_eq!(agent.extra, []);
    }

    #[test]
    fn a_short_one_is_a_reader_whatever_the_line_ends() {
        let agent = parse_text("\u{feff}---\r\ndescription: d\r\nscope: src\r\n---\r\nLook.\r\n")
            .expect("reads");
        assert_eq!((agent.mode, agent.body.as_str()), (Mode::Reader, "Look."));
        assert_eq!(agent.scope, ["src"]);
        assert_eq!((agent.backend, agent.model, agent.timeout), (None, None, None));
    }

    #[test]
    fn unknown_keys_are_kept_with_line_and_value() {
        let agent = parse_text(
            "---\n# a comment\ndescription: d\ntools: [read, grep]\n\nlimits:\n  max: 3\n---\nLook.",
        )
        .expect("reads");
        assert_eq!(
            agent.extra,
            [
                ExtraKey {
                    key: "tools".into(),
                    line: 4,
                    value: serde_json::json!(["read", "grep"])
                },
                ExtraKey { key: "limits".into(), line: 6, value: serde_json::json!({"max": 3}) },
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, problem) in [
            ("Look.", "1: there is no front matter: begin the file with a line '---'"),
            ("", "1: there is no front matter: begin the file with a line '---'"),
            ("---\ndescription: d\nLook.", "1: the front matter is not closed by a line '---'"),
            ("---\n---\nLook.", "1: 'description' is missing in the front matter"),
            ("---\nmode: reader\n---\nLook.", "1: 'description' is missing in the front matter"),
            ("---\ndescription: d\n---\n \n", "3: there is no text after the front matter"),
            ("---\ndescription: ''\n---\nLook.", "2: 'description' has to be a word or a line"),
            ("---\ndescription: [d]\n---\nLook.", "2: 'description' has to be a word or a line"),
            (
                "---\ndescription: d\nmode: both\n---\nx",
                "3: 'mode' is 'both': write reader or writer",
            ),
            ("---\nbackend: gpt\n---\nx", "2: 'backend' is 'gpt': write codex or sh"),
            ("---\n\nname: other\n---\nx", "3: 'name' is 'other', but the file's name is 'races'"),
            (
                "---\ntimeout: ever\n---\nx",
                "2: 'timeout' is 'ever', which is not a duration: write 90s, 10m, 1h30m or a number of seconds",
            ),
            ("---\nmodel: --yolo\n---\nx", "2: 'model' is '--yolo', which is no name of a model"),
            ("---\nscope: {a: b}\n---\nx", "2: 'scope' has to be a pathspec or a list of them"),
        ] {
            assert_eq!(parse_text(text), Err(format!("/x/races.md:{problem}")), "{text:?}");
        }
    }

    #[test]
    fn bad_yaml_and_bad_utf8_have_a_line_too() {
        for (text, line) in [
            ("---\ndescription: d\nmode: [\n---\nx", "/x/races.md:"),
            ("---\ndescription: d\ndescription: e\n---\nx", "/x/races.md:3: "),
            ("---\n- a\n- b\n---\nx", "/x/races.md:2: "),
            ("---\na: b: c\n---\nx", "/x/races.md:2: "),
        ] {
            let error = parse_text(text).expect_err("broken");
            assert!(error.starts_with(line), "{error}");
            assert!(error.contains("the front matter is no valid YAML: "), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let error =
            parse("x", b"---\ndescription: \xff\n---\nx", Source::BuiltIn).expect_err("bad");
        assert_eq!(error.to_string(), "built-in:2: is not valid UTF-8");
    }
}
