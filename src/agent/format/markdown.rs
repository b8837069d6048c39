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

use crate::agent::definition::{Node, Problem, apply, line_of, yaml};
use crate::agent::{Agent, AgentError, Source};

/// Reads an agent.
///
/// # Errors
/// [`AgentError::Invalid`], with the line.
pub(in crate::agent) fn parse(
    name: &str,
    bytes: &[u8],
    source: Source,
) -> Result<Agent, AgentError> {
    let agent = Agent::empty(name, format!("cx/{name}"), source.clone());
    read(agent, bytes).map_err(super::invalid(source))
}

fn read(mut agent: Agent, bytes: &[u8]) -> Result<Agent, Problem> {
    let (front, body) = parts(bytes)?;
    if let Some((line, _)) = front.get("name") {
        let given = front.text("name").ok_or_else(|| wrong_name(line))?;
        if given != agent.name {
            let name = &agent.name;
            return Err((
                line + 1,
                format!("'name' is '{given}', but the file's name is '{name}'"),
            ));
        }
    }
    apply(&mut agent, &front, &["name"], 1)?;
    body.clone_into(&mut agent.body);
    finish(agent, bytes)
}

/// Front matter, whose first line is the file's second one, and body.
pub(super) fn parts(bytes: &[u8]) -> Result<(Node, &str), Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        (line_of(before), "is not valid UTF-8".to_owned())
    })?;
    let (front, body) = split(text)?;
    let front = match yaml(front) {
        Ok(front @ Node::Map(_)) => Ok(front),
        Ok(node) if node.value().is_null() => Ok(Node::Map(Vec::new())),
        Ok(_) => Err((1, "it has to be keys with values".to_owned())),
        Err(problem) => Err(problem),
    };
    let front = front.map_err(|(line, problem)| {
        (line + 1, format!("the front matter is no valid YAML: {problem}"))
    })?;
    Ok((front, body.trim_matches(['\r', '\n']).trim_end()))
}

/// Refuses an agent that says too little.
pub(super) fn finish(agent: Agent, bytes: &[u8]) -> Result<Agent, Problem> {
    if agent.description.is_empty() {
        return Err((1, "'description' is missing in the front matter".to_owned()));
    }
    if agent.body.is_empty() {
        let last = line_of(bytes.trim_ascii_end());
        return Err((last, "there is no text after the front matter".to_owned()));
    }
    Ok(agent)
}

/// `line` is one of the front matter.
pub(super) fn wrong_name(line: u64) -> Problem {
    (line + 1, "'name' has to be a word or a line".to_owned())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::agent::ExtraKey;
    use crate::job::{BackendName, Mode};

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
        assert_eq!(agent.backend, Some(BackendName::CODEX.into()));
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
            "---\n# a comment\ndescription: d\ncolors: [red, green]\n\nlimits:\n  max: 3\n---\nLook.",
        )
        .expect("reads");
        assert_eq!(
            agent.extra,
            [
                ExtraKey {
                    key: "colors".into(),
                    line: 4,
                    value: serde_json::json!(["red", "green"])
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
            (
                "---\nbackend: gpt!\n---\nx",
                "2: 'backend' is 'gpt!', which is no name of a backend: '!' may not be there, only letters, digits, '.', '_' and '-' after a letter",
            ),
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
