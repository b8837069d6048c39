//! Claude Code's subagents: Markdown with front matter.
//!
//! Its front matter looks like YAML and need not be: descriptions with `: ` in
//! them are common, and Claude Code takes them. What is no YAML is read line by
//! line.

use serde_json::Value;

use super::markdown::{finish, parts};
use super::mode_by_tools;
use crate::agent::definition::{Node, Problem, apply};
use crate::agent::{Agent, AgentError, ExtraKey, Source};
use crate::job::Mode;

/// Reads an agent; `stem` is its file's name, which counts where it has none.
///
/// # Errors
/// [`AgentError::Invalid`], with the line.
pub(in crate::agent) fn parse(
    stem: &str,
    bytes: &[u8],
    source: Source,
) -> Result<Agent, AgentError> {
    read(stem, bytes, &source).map_err(super::invalid(source))
}

fn read(stem: &str, bytes: &[u8], source: &Source) -> Result<Agent, Problem> {
    let (front, body) = match parts(bytes) {
        Ok(parts) => parts,
        Err(problem) => by_line(bytes).ok_or(problem)?,
    };
    let name = front.text("name").unwrap_or_else(|| stem.to_owned());
    let mut agent = Agent::empty(&name, format!("claude/{name}"), source.clone());
    apply(&mut agent, &front, &["name", "model", "disallowedTools"], 1)?;
    if let Some((line, node)) = front.get("disallowedTools") {
        // The same words as for `tools`.
        let tools = Node::Map(vec![(
            "tools".to_owned(),
            0,
            Node::Map(vec![("restricted".to_owned(), line, node.clone())]),
        )]);
        apply(&mut agent, &tools, &[], 1)?;
    }
    if let (Some((line, _)), Some(model)) = (front.get("model"), front.text("model"))
        && model != "inherit"
    {
        if is_claudes(&model) {
            let key = "model".to_owned();
            agent.extra.push(ExtraKey { key, line: line + 1, value: Value::String(model) });
        } else {
            agent.model = Some(model);
        }
    }
    let plans = front.text("permissionMode").is_some_and(|mode| mode == "plan");
    if plans {
        agent.mode_reason = Some("'permissionMode' is plan".to_owned());
    }
    mode_by_tools(&mut agent);
    if agent.mode_reason.is_none() {
        // Without a list of its own it has all tools but those it is refused.
        let writes = ["Write", "Edit"].iter().any(|tool| agent.tools.refusal(tool).is_none());
        let (mode, reason) = if writes {
            (Mode::Writer, "it has no 'tools', and so all of them")
        } else {
            (Mode::Reader, "'disallowedTools' has Write and Edit")
        };
        agent.mode = mode;
        agent.mode_reason = Some(reason.to_owned());
    }
    body.clone_into(&mut agent.body);
    finish(agent, bytes)
}

/// Whether only Claude has a model of this name.
fn is_claudes(model: &str) -> bool {
    ["opus", "sonnet", "haiku", "claude", "best", "default"]
        .iter()
        .any(|family| model.to_ascii_lowercase().starts_with(family))
}

/// Front matter that is no YAML: `key: text` on each line that begins with a word
/// and a colon; other lines belong to the one before.
fn by_line(bytes: &[u8]) -> Option<(Node, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rest = text.strip_prefix("---")?.trim_start_matches(['\r', ' ']).strip_prefix('\n')?;
    let mut entries: Vec<(String, u64, String)> = Vec::new();
    let mut at = 0;
    for (line, number) in rest.split_inclusive('\n').zip(1..) {
        at += line.len();
        let line = line.trim_end();
        if line == "---" {
            let node = |text: String| Node::Leaf(Value::String(unquoted(&text)));
            let map = entries.into_iter().map(|(key, line, text)| (key, line, node(text)));
            let body = rest.get(at..).unwrap_or_default();
            return Some((Node::Map(map.collect()), body.trim()));
        }
        let key = line.split_once(':').filter(|(key, _)| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        });
        match (key, entries.last_mut()) {
            (Some((key, value)), _) => {
                entries.push((key.to_owned(), number, value.trim().to_owned()));
            }
            (None, Some((_, _, text))) => {
                text.push('\n');
                text.push_str(line);
            }
            (None, None) if line.is_empty() || line.starts_with('#') => {}
            (None, None) => return None,
        }
    }
    None
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    let inner = ['"', '\''].iter().find_map(|quote| {
        text.strip_prefix(*quote)?.strip_suffix(*quote).filter(|inner| !inner.contains(*quote))
    });
    inner.unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Agent, String> {
        parse("file", text.as_bytes(), Source::Claude("/c/file.md".into()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_front_matter_says() {
        let agent = parse_text(
            "---\nname: reviewer\ndescription: Reviews\ntools: Read, Grep, Bash(git diff, git log)\n\
             model: sonnet\ncolor: red\n---\nYou review.\n",
        )
        .expect("reads");
        assert_eq!(
            (agent.name.as_str(), agent.qualified.as_str()),
            ("reviewer", "claude/reviewer")
        );
        assert_eq!(agent.tools.allowed, ["Read", "Grep", "Bash(git diff, git log)"]);
        assert_eq!((agent.mode, agent.why_mode()), (Mode::Reader, "none of its tools writes"));
        assert_eq!(agent.body, "You review.");
        assert_eq!(agent.model, None);
        let extra: Vec<_> = agent.extra.iter().map(|key| (key.key.as_str(), key.line)).collect();
        assert_eq!(extra, [("color", 6), ("model", 5)]);
    }

    #[test]
    fn who_may_write() {
        for (front, mode, why) in [
            ("", Mode::Writer, "it has no 'tools', and so all of them"),
            ("tools: Read, Edit\n", Mode::Writer, "its tools have Edit"),
            ("tools: [Read]\n", Mode::Reader, "none of its tools writes"),
            (
                "tools: '*'\ndisallowedTools: Edit\n",
                Mode::Writer,
                "its tools have Write, MultiEdit, NotebookEdit",
            ),
            (
                "disallowedTools: Write, Edit\n",
                Mode::Reader,
                "'disallowedTools' has Write and Edit",
            ),
            ("permissionMode: plan\n", Mode::Reader, "'permissionMode' is plan"),
        ] {
            let agent =
                parse_text(&format!("---\ndescription: d\n{front}---\nDo.")).expect("reads");
            assert_eq!((agent.mode, agent.why_mode()), (mode, why), "{front}");
            assert_eq!(agent.name, "file");
        }
    }

    #[test]
    fn a_description_that_is_no_yaml_is_read_all_the_same() {
        let agent = parse_text(
            "---\nname: helper\ndescription: Use this when: it breaks. <example>user: 'x'\n\
             more: of it\ntools: Read\nmodel: inherit\n---\n\nHelp.\n",
        )
        .expect("reads");
        assert_eq!(agent.description, "Use this when: it breaks. <example>user: 'x'");
        assert_eq!((agent.name.as_str(), agent.body.as_str()), ("helper", "Help."));
        assert_eq!(agent.tools.allowed, ["Read"]);
        assert_eq!(agent.extra.first().map(|key| (key.key.as_str(), key.line)), Some(("more", 4)));
    }

    #[test]
    fn what_is_no_agent_is_named_with_its_line() {
        for (text, problem) in [
            ("Just text.", "1: there is no front matter: begin the file with a line '---'"),
            ("---\nname: x\n---\nDo.", "1: 'description' is missing in the front matter"),
            ("---\ndescription: d\n---\n", "3: there is no text after the front matter"),
        ] {
            assert_eq!(parse_text(text), Err(format!("/c/file.md:{problem}")), "{text:?}");
        }
    }
}
