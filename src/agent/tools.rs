//! What an agent may use, and whether a task asks for more.
//!
//! Names are compared without regard to case, since `read` and `Read` are one
//! tool. A name may end in `*`; `Bash(git:*)` counts as `Bash`.

use super::Agent;
use crate::job::BackendName;

/// The tools that an agent may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// Those that it may use; empty where the definition does not say.
    pub allowed: Vec<String>,
    /// Those that it may not use, whatever else is said.
    pub restricted: Vec<String>,
}

/// A tool that was asked for and may not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The tool.
    pub tool: String,
    /// The agent's qualified name.
    pub agent: String,
    /// Reads after "because".
    pub reason: &'static str,
}

impl Tools {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.restricted.is_empty()
    }

    /// Why `tool` may not be used, if it may not.
    pub fn refusal(&self, tool: &str) -> Option<&'static str> {
        if self.restricted.iter().any(|known| is_same(known, tool)) {
            return Some("it is restricted");
        }
        let listed =
            self.allowed.is_empty() || self.allowed.iter().any(|known| is_same(known, tool));
        (!listed).then_some("it is not among those that are allowed")
    }
}

/// The tools that one of `candidates` may not use. Where an id stands for
/// several agents, all of them have to be allowed what is asked for.
pub fn check<'a>(
    candidates: impl IntoIterator<Item = &'a Agent>,
    asked: &[String],
) -> Vec<Refused> {
    let refused = |agent: &Agent, tool: &String| {
        agent.tools.refusal(tool).map(|reason| Refused {
            tool: tool.clone(),
            agent: agent.qualified.clone(),
            reason,
        })
    };
    candidates
        .into_iter()
        .flat_map(|agent| asked.iter().filter_map(|tool| refused(agent, tool)).collect::<Vec<_>>())
        .collect()
}

/// What cannot be held to on this backend, as one sentence; nothing where the
/// agent has no list of tools.
pub fn unenforced(backend: BackendName, tools: &Tools) -> Option<String> {
    if tools.is_empty() {
        return None;
    }
    let name = backend.as_str();
    Some(match backend {
        BackendName::CODEX => format!(
            "{name} cannot be held to a list of tools; only what the sandbox forbids is out of reach"
        ),
        BackendName::CLAUDE => {
            format!("{name} is given the tools of its mode, and not yet the agent's list of tools")
        }
        BackendName::HTTP => {
            format!("{name} sends the agent's name, and not its list of tools")
        }
        BackendName::SH => {
            format!("{name} knows no tools, so the agent's list of them means nothing")
        }
        _ => format!("{name} is not told the agent's list of tools"),
    })
}

/// Whether a name in a list stands for this tool.
fn is_same(known: &str, tool: &str) -> bool {
    let bare = |name: &str| {
        name.split_once('(').map_or(name, |(name, _)| name).trim().to_ascii_lowercase()
    };
    let (known, tool) = (bare(known), bare(tool));
    match known.strip_suffix('*') {
        Some(start) => tool.starts_with(start),
        None => known == tool,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Source;

    fn agent(qualified: &str, allowed: &[&str], restricted: &[&str]) -> Agent {
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect();
        Agent {
            tools: Tools { allowed: words(allowed), restricted: words(restricted) },
            ..Agent::empty("x", qualified.to_owned(), Source::BuiltIn)
        }
    }

    #[test]
    fn a_list_that_is_there_is_the_whole_list() {
        let any = agent("any", &[], &[]);
        assert_eq!(any.tools.refusal("Bash"), None);
        let some = agent("some", &["Read", "Bash(git:*)", "mcp__github__*"], &["WebFetch"]);
        for tool in ["read", "Bash", "Bash(rm:*)", "mcp__github__issue"] {
            assert_eq!(some.tools.refusal(tool), None, "{tool}");
        }
        let not_listed = Some("it is not among those that are allowed");
        assert_eq!(some.tools.refusal("Write"), not_listed);
        assert_eq!(some.tools.refusal("mcp__gitlab__issue"), not_listed);
        assert_eq!(some.tools.refusal("webfetch"), Some("it is restricted"));
        let all_but = agent("all-but", &["*"], &["Write"]);
        assert_eq!(all_but.tools.refusal("Edit"), None);
        assert_eq!(all_but.tools.refusal("Write"), Some("it is restricted"));
    }

    #[test]
    fn every_candidate_has_to_be_allowed() {
        let both = [agent("a/x", &[], &[]), agent("b/x", &["Read"], &[])];
        let asked = ["Read".to_owned(), "Write".to_owned()];
        let refused = check(&both, &asked);
        assert_eq!(
            refused,
            [Refused {
                tool: "Write".to_owned(),
                agent: "b/x".to_owned(),
                reason: "it is not among those that are allowed",
            }]
        );
        assert_eq!(check(&both, &asked[..1]), []);
    }

    #[test]
    fn what_a_backend_cannot_enforce_is_said_only_where_there_is_a_list() {
        let none = Tools::default();
        let some = Tools { restricted: vec!["Bash".to_owned()], ..Tools::default() };
        for backend in BackendName::BUILT_IN {
            assert_eq!(unenforced(backend, &none), None);
            assert!(unenforced(backend, &some).is_some_and(|said| said.contains("tools")));
        }
    }
}
