//! The shapes of codex-flow: `ID.codex.yaml`, and flat files.
//!
//! ```text
//! agent:                                     id: planner
//!   id: code-analyzer                        name: Planner
//!   description: ...                         prompt:
//! runtime:                                     system: ...
//!   timeout_ms: 600000                         user_template: ...
//!   concurrency: { max_parallel_tasks: 2 }   policy: { tools_allowlist: [] }
//! capabilities:                              runtime: { max_parallel: 1 }
//!   detail: { tools: { allowed: [] } }
//! responsibilities: { primary: [...] }
//! ```
//!
//! Either may have keys of the other. A file without `prompt.system` has its role
//! made of its description and its responsibilities.

use super::mode_by_tools;
use crate::agent::definition::{Node, Problem, apply, line_of, yaml};
use crate::agent::{Agent, AgentError, Source};

/// Keys that are seen to here, and those that only describe.
const SEEN: [&str; 13] = [
    "version",
    "id",
    "name",
    "agent.id",
    "agent.name",
    "agent.long_description",
    "agent.classification",
    "capabilities.core",
    "capabilities.detail.languages",
    "capabilities.detail.frameworks",
    "capabilities.detail.domains",
    "responsibilities",
    "prompt.system",
];

/// Reads an agent whose file's place in the bundle gives it this id and this
/// qualified name.
///
/// # Errors
/// [`AgentError::Invalid`], with the line.
pub(in crate::agent) fn parse(
    id: &str,
    qualified: &str,
    bytes: &[u8],
    source: Source,
) -> Result<Agent, AgentError> {
    let agent = Agent::empty(id, qualified.to_owned(), source.clone());
    read(agent, bytes).map_err(super::invalid(source))
}

fn read(mut agent: Agent, bytes: &[u8]) -> Result<Agent, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        (line_of(before), "is not valid UTF-8".to_owned())
    })?;
    let tree =
        yaml(text).map_err(|(line, problem)| (line, format!("is no valid YAML: {problem}")))?;
    if !matches!(tree, Node::Map(_)) {
        return Err((1, "is no definition of an agent: it has no keys".to_owned()));
    }
    for key in ["agent.id", "id"] {
        if let (Some((line, _)), Some(id)) = (tree.get(key), tree.text(key))
            && id != agent.name
        {
            let name = &agent.name;
            return Err((line, format!("'{key}' is '{id}', but the file's name is '{name}'")));
        }
    }
    apply(&mut agent, &tree, &SEEN, 0)?;
    mode_by_tools(&mut agent);
    let title = tree.text("agent.name").or_else(|| tree.text("name"));
    if agent.description.is_empty() {
        let does = tree.texts("capabilities.core").join(", ");
        let title = title.as_deref().unwrap_or(&agent.name);
        agent.description =
            if does.is_empty() { title.to_owned() } else { format!("{title}: {does}") };
    }
    agent.body = match tree.text("prompt.system") {
        Some(system) => system,
        None => role(&tree, title.as_deref(), &agent.description),
    };
    Ok(agent)
}

/// The role in words, of a definition that has it in pieces.
fn role(tree: &Node, title: Option<&str>, description: &str) -> String {
    let mut role = String::new();
    if let Some(title) = title {
        role.push_str("ROLE: ");
        role.push_str(title);
        role.push('\n');
    }
    role.push_str(tree.text("agent.long_description").as_deref().unwrap_or(description));
    role.push('\n');
    for (heading, key) in [
        ("DO", "responsibilities.primary"),
        ("ALSO", "responsibilities.secondary"),
        ("CAPABILITIES", "capabilities.core"),
    ] {
        let points = tree.texts(key);
        if points.is_empty() {
            continue;
        }
        role.push('\n');
        role.push_str(heading);
        role.push_str(":\n");
        for point in points {
            role.push_str("- ");
            role.push_str(&point);
            role.push('\n');
        }
    }
    role.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use crate::agent::{Priority, RegexTrigger};
    use crate::job::Mode;

    use super::*;

    fn parse_text(text: &str) -> Result<Agent, String> {
        parse("looker", "eyes/looker", text.as_bytes(), Source::Bundle("/b/looker.yaml".into()))
            .map_err(|error| error.to_string())
    }

    const WHOLE: &str = "\
version: 1
agent:
  id: looker
  name: Looker
  classification: {domain: eyes, tier: specialist}
  description: Looks at things
  long_description: >-
    You look at things
    for long.
runtime:
  execution_mode: async
  autonomy_level: 0.85
  concurrency:
    max_parallel_tasks: 2
    queue_strategy: priority
  timeout_ms: 600000
  retries: 1
capabilities:
  core: []
  detail:
    languages: []
    tools:
      allowed: [Read, Write]
      restricted: [WebFetch]
responsibilities:
  primary:
    - '**Look**: at all'
  secondary: [wink]
triggers:
  keywords: [look at]
  regex:
    - pattern: ^look .* up$
      priority: high
  file_patterns: ['**/*.png']
  delegations: {prefers: [], complements: []}
memory:
  retention: {short_term: 7d}
  sharing_policy:
    share_with: [winker]
    redact: []
hooks:
  pre_task:
    - |
      echo one
      echo two
  post_task: []
workflow:
  setup_tasks: []
observability:
  log_level: info
";

    #[test]
    fn the_nested_shape() {
        let agent = parse_text(WHOLE).expect("reads");
        assert_eq!((agent.name.as_str(), agent.qualified.as_str()), ("looker", "eyes/looker"));
        assert_eq!(agent.description, "Looks at things");
        assert_eq!(
            agent.body,
            "ROLE: Looker\nYou look at things for long.\n\nDO:\n- **Look**: at all\n\nALSO:\n- wink"
        );
        assert_eq!((agent.autonomy, agent.retries), (Some(0.85), Some(1)));
        assert_eq!(agent.limit, NonZeroU64::new(2));
        assert_eq!(agent.timeout, Some(Duration::from_mins(10)));
        assert_eq!(agent.tools.allowed, ["Read", "Write"]);
        assert_eq!(agent.tools.restricted, ["WebFetch"]);
        assert_eq!((agent.mode, agent.why_mode()), (Mode::Writer, "its tools have Write"));
        assert_eq!(agent.triggers.keywords, ["look at"]);
        assert_eq!(
            agent.triggers.regex,
            [RegexTrigger { pattern: "^look .* up$".to_owned(), priority: Priority::High }]
        );
        assert_eq!(agent.triggers.file_patterns, ["**/*.png"]);
        assert_eq!(agent.sharing.share_with, ["winker"]);
        assert_eq!(agent.hooks.pre_task, ["echo one\necho two"]);
        assert_eq!(agent.hooks.post_task, [""; 0]);
        let extra: Vec<_> = agent.extra.iter().map(|key| (key.key.as_str(), key.line)).collect();
        assert_eq!(
            extra,
            [
                ("runtime.execution_mode", 11),
                ("runtime.concurrency.queue_strategy", 15),
                ("memory.retention", 37),
                ("observability", 49),
            ]
        );
    }

    #[test]
    fn the_flat_shape() {
        let agent = parse_text(
            "id: looker\nname: The Looker\ncapabilities:\n  core: [look, wink]\nruntime:\n  \
             max_parallel: 1\n  timeout_ms: 20000\npolicy:\n  tools_allowlist: []\nprompt:\n  \
             system: |\n    You look.\n  user_template: |\n    GOAL: {{goal}}\n",
        )
        .expect("reads");
        assert_eq!(agent.description, "The Looker: look, wink");
        assert_eq!((agent.body.as_str(), agent.limit), ("You look.", NonZeroU64::new(1)));
        assert_eq!(agent.template.as_deref(), Some("GOAL: {{goal}}"));
        assert_eq!(agent.timeout, Some(Duration::from_secs(20)));
        assert_eq!(
            (agent.mode, agent.why_mode()),
            (Mode::Reader, "nothing in its definition says that it may write")
        );
        assert_eq!(agent.extra, []);
    }

    #[test]
    fn tools_decide_unless_the_definition_does() {
        let mode = |text: &str| {
            let agent = parse_text(text).expect("reads");
            (agent.mode, agent.why_mode().to_owned())
        };
        let reads = "policy: {tools_allowlist: [Read, Bash]}";
        assert_eq!(mode(reads), (Mode::Reader, "none of its tools writes".to_owned()));
        let said = "sandbox: read-only\npolicy: {tools_allowlist: [Write]}";
        assert_eq!(mode(said), (Mode::Reader, "'sandbox' is read-only".to_owned()));
        let said = "runtime: {sandbox: workspace-write}";
        assert_eq!(mode(said), (Mode::Writer, "'runtime.sandbox' is workspace-write".to_owned()));
        let restricted = "tools: {allowed: [Write], restricted: [Write]}";
        assert_eq!(mode(restricted), (Mode::Reader, "none of its tools writes".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, problem) in [
            ("id: other\n", "1: 'id' is 'other', but the file's name is 'looker'"),
            ("agent:\n  id: other\n", "2: 'agent.id' is 'other', but the file's name is 'looker'"),
            ("- a\n", "1: is no definition of an agent: it has no keys"),
            (
                "runtime:\n  autonomy_level: 2\n",
                "2: 'runtime.autonomy_level' has to be a number from 0 to 1",
            ),
            (
                "runtime:\n  max_parallel: 0\n",
                "2: 'runtime.max_parallel' has to be a number, 1 or more",
            ),
            (
                "triggers:\n  regex: [{priority: high}]\n",
                "2: 'triggers.regex' has to be a list of expressions, or of pattern and priority (low, medium, high)",
            ),
            (
                "hooks:\n  failure: {a: b}\n",
                "2: 'hooks.failure' has to be a word or a list of them",
            ),
        ] {
            assert_eq!(parse_text(text), Err(format!("/b/looker.yaml:{problem}")), "{text:?}");
        }
        let error = parse_text("a: [\n").expect_err("broken");
        assert!(error.contains("is no valid YAML: "), "{error}");
    }
}
