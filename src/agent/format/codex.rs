//! Codex's own agents: TOML, a layer of its configuration with a name.
//!
//! ```text
//! name = "reviewer"
//! description = "Reviews"
//! developer_instructions = "You review."
//! sandbox_mode = "read-only"
//! ```

use crate::agent::definition::{Problem, apply, line_of, toml};
use crate::agent::{Agent, AgentError, Source};

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
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        (line_of(before), "is not valid UTF-8".to_owned())
    })?;
    let tree =
        toml(text).map_err(|(line, problem)| (line, format!("is no valid TOML: {problem}")))?;
    let name = tree.text("name").unwrap_or_else(|| stem.to_owned());
    let mut agent = Agent::empty(&name, format!("codex/{name}"), source.clone());
    apply(&mut agent, &tree, &["name", "developer_instructions", "nickname_candidates"], 0)?;
    agent.body =
        tree.text("developer_instructions").ok_or_else(|| missing("developer_instructions"))?;
    if agent.description.is_empty() {
        return Err(missing("description"));
    }
    Ok(agent)
}

fn missing(key: &str) -> Problem {
    (1, format!("'{key}' is missing"))
}

#[cfg(test)]
mod tests {
    use crate::job::Mode;

    use super::*;

    fn parse_text(text: &str) -> Result<Agent, String> {
        parse("file", text.as_bytes(), Source::Codex("/c/file.toml".into()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_key() {
        let agent = parse_text(
            "# mine\nname = \"explorer\"\ndescription = \"Explores\"\n\
             developer_instructions = \"\"\"\nStay in exploration.\n\"\"\"\nmodel = \"gpt-5.4\"\n\
             model_reasoning_effort = \"high\"\nsandbox_mode = \"read-only\"\n\
             nickname_candidates = [\"A\"]\n\n[mcp_servers.docs]\nurl = \"http://x\"\n",
        )
        .expect("reads");
        assert_eq!((agent.name.as_str(), agent.qualified.as_str()), ("explorer", "codex/explorer"));
        assert_eq!(agent.body, "Stay in exploration.");
        assert_eq!(agent.model.as_deref(), Some("gpt-5.4"));
        assert_eq!((agent.mode, agent.why_mode()), (Mode::Reader, "'sandbox_mode' is read-only"));
        let extra: Vec<_> = agent.extra.iter().map(|key| (key.key.as_str(), key.line)).collect();
        assert_eq!(extra, [("model_reasoning_effort", 8), ("mcp_servers", 12)]);
    }

    #[test]
    fn a_sandbox_that_is_wider_than_a_worktree_is_a_writers_and_named() {
        let text = "description = \"d\"\ndeveloper_instructions = \"x\"\n";
        let agent =
            parse_text(&format!("{text}sandbox_mode = \"danger-full-access\"")).expect("reads");
        assert_eq!((agent.name.as_str(), agent.mode), ("file", Mode::Writer));
        assert_eq!(agent.extra.first().map(|key| key.key.as_str()), Some("sandbox_mode"));
        assert_eq!(parse_text(text).expect("reads").mode, Mode::Reader);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, problem) in [
            ("description = \"d\"\n", "1: 'developer_instructions' is missing"),
            ("developer_instructions = \"x\"\n", "1: 'description' is missing"),
            (
                "description = \"d\"\nsandbox_mode = \"none\"\n",
                "2: 'sandbox_mode' is 'none': write read-only or workspace-write",
            ),
        ] {
            assert_eq!(parse_text(text), Err(format!("/c/file.toml:{problem}")), "{text:?}");
        }
        let error = parse_text("a = 1\nb = \n").expect_err("broken");
        assert!(error.starts_with("/c/file.toml:2: is no valid TOML: "), "{error}");
    }
}
