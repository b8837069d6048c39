//! Aliases: second names for agents, with something laid over each.
//!
//! They come from the command line, a plan, the configuration, and ten are part of
//! cx: those that codex-flow has, for its bundle.

use serde_json::{Map, Value, json};

use super::definition::{Node, apply};
use super::{Agent, AgentError};

/// A second name for an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// The agent that it stands for: never another alias.
    pub agent: String,
    /// What is laid over the agent's definition: an object, in any spelling that a
    /// definition can have.
    pub overrides: Value,
    /// Where it was said, for messages: `--alias`, or a file.
    pub origin: String,
}

/// Why an alias is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// It is not written as an alias is.
    #[error("{origin} '{text}' is no alias: {problem}")]
    Malformed {
        /// Where it was said.
        origin: String,
        /// As it is written.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something that it lays over its agent cannot be.
    #[error("the alias '{name}' ({origin}): {problem}")]
    Override {
        /// The alias.
        name: String,
        /// Where it was said.
        origin: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl AliasError {
    /// What helps, where this module knows it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed { origin, .. } if origin == "--alias" => Some(
                "for example: --alias fast=reviewer:model=gpt-5-mini,runtime.autonomy_level=0.9"
                    .to_owned(),
            ),
            Self::Malformed { .. } => Some(
                "for example: fast = { agent = \"reviewer\", model = \"gpt-5-mini\" }".to_owned(),
            ),
            Self::Override { .. } => None,
        }
    }
}

/// An alias that is part of cx.
#[derive(Clone, Copy, Debug)]
struct Stock {
    name: &'static str,
    /// Its agent in codex-flow's bundle, qualified.
    agent: &'static str,
    /// The agent of cx that does the same work.
    own: &'static str,
    autonomy: Option<f64>,
    /// Whether codex-flow lets it produce files.
    writes: bool,
}

/// Those that codex-flow has.
const STOCK: [Stock; 10] = {
    const fn stock(name: &'static str, agent: &'static str, own: &'static str) -> Stock {
        Stock { name, agent, own, autonomy: None, writes: false }
    }
    const fn writer(stock: Stock) -> Stock {
        Stock { writes: true, ..stock }
    }
    const fn free(stock: Stock, autonomy: f64) -> Stock {
        Stock { autonomy: Some(autonomy), ..stock }
    }
    [
        stock("architect", "architecture/system-design/system-architect", "architect"),
        writer(stock("backend", "development/backend/backend-dev", "coder")),
        writer(stock("docs", "documentation/api-docs/api-docs", "docs")),
        writer(stock("frontend", "core/coder", "coder")),
        stock("planner", "templates/task-orchestrator", "architect"),
        free(stock("reviewer", "analysis/code-review/code-analyzer", "reviewer"), 0.7),
        free(stock("reviewer2", "analysis/code-review/code-analyzer", "reviewer"), 0.9),
        writer(stock("scaffold", "core/coder", "coder")),
        writer(stock("tester", "core/tester", "tester")),
        stock("validator", "testing/validation/production-validator", "verifier"),
    ]
};

impl Alias {
    /// Reads the value of an alias in a configuration or a plan: an object with
    /// `agent` and whatever is laid over it, or the agent's name alone.
    ///
    /// # Errors
    /// [`AliasError::Malformed`].
    pub fn from_value(name: &str, value: &Value, origin: &str) -> Result<Self, AliasError> {
        let malformed = |problem: &str| AliasError::Malformed {
            origin: origin.to_owned(),
            text: name.to_owned(),
            problem: problem.to_owned(),
        };
        let mut overrides = match value {
            Value::String(agent) => Map::from_iter([("agent".to_owned(), agent.clone().into())]),
            Value::Object(map) => map.clone(),
            _ => return Err(malformed("it has to name its 'agent'")),
        };
        let agent = match overrides.shift_remove("agent") {
            Some(Value::String(agent)) if !agent.is_empty() => agent,
            _ => return Err(malformed("it has to name its 'agent'")),
        };
        if !super::lookup::is_name(name) {
            return Err(malformed("its name has to consist of letters, digits, '.', '_' and '-'"));
        }
        Ok(Self {
            name: name.to_owned(),
            agent,
            overrides: overrides.into(),
            origin: origin.to_owned(),
        })
    }

    /// Reads `NAME=AGENT[:KEY=VALUE[,KEY=VALUE]...]`. A key may have dots; a value
    /// is JSON where it reads as such, else text. Of a comma, what follows belongs
    /// to the value before it unless it has a `=`.
    ///
    /// # Errors
    /// [`AliasError::Malformed`].
    pub fn parse(word: &str) -> Result<Self, AliasError> {
        let malformed = |problem: &str| AliasError::Malformed {
            origin: "--alias".to_owned(),
            text: word.to_owned(),
            problem: problem.to_owned(),
        };
        let (name, rest) =
            word.split_once('=').ok_or_else(|| malformed("write NAME=AGENT[:KEY=VALUE,...]"))?;
        let (agent, keys) = rest.split_once(':').map_or((rest, ""), |(agent, keys)| (agent, keys));
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in keys.split(',').filter(|part| !part.is_empty()) {
            match (part.split_once('='), pairs.last_mut()) {
                (Some((key, value)), _) if is_key(key) => {
                    pairs.push((key.to_owned(), value.to_owned()));
                }
                (_, Some((_, value))) => {
                    value.push(',');
                    value.push_str(part);
                }
                _ => return Err(malformed("what comes after ':' has to be KEY=VALUE")),
            }
        }
        let mut overrides = json!({ "agent": agent });
        for (key, value) in pairs {
            let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
            let tree = key.rsplit('.').fold(value, |inner, part| json!({ part: inner }));
            merge(&mut overrides, &tree);
        }
        Self::from_value(name, &overrides, "--alias").map_err(|error| match error {
            AliasError::Malformed { problem, .. } => malformed(&problem),
            error @ AliasError::Override { .. } => error,
        })
    }

    /// The ten that are part of cx, for the agents of codex-flow's bundle.
    pub fn stock() -> impl Iterator<Item = Self> {
        STOCK.iter().map(|stock| Self::of(stock, stock.agent.to_owned()))
    }

    /// The same for one of cx's own agents, where that bundle is not there.
    pub(super) fn stand_in(name: &str) -> Option<Self> {
        let stock = STOCK.iter().find(|stock| stock.name == name)?;
        Some(Self::of(stock, format!("cx/{}", stock.own)))
    }

    fn of(stock: &Stock, agent: String) -> Self {
        let mut overrides = Map::new();
        if let Some(level) = stock.autonomy {
            overrides.insert("runtime".to_owned(), json!({ "autonomy_level": level }));
        }
        if stock.writes {
            overrides.insert("mode".to_owned(), "writer".into());
        }
        let (name, origin) = (stock.name.to_owned(), "built-in".to_owned());
        Self { name, agent, overrides: overrides.into(), origin }
    }

    /// Lays it over its agent.
    pub(super) fn lay_over(&self, mut agent: Agent) -> Result<Agent, AgentError> {
        apply(&mut agent, &Node::of(&self.overrides), &[], 0)
            .map_err(|(_, problem)| self.wrong(problem))?;
        Ok(agent)
    }

    pub(super) fn wrong(&self, problem: String) -> AgentError {
        let (name, origin) = (self.name.clone(), self.origin.clone());
        AliasError::Override { name, origin, problem }.into()
    }
}

fn is_key(word: &str) -> bool {
    !word.is_empty()
        && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Lays `over` over `base`: maps are merged key by key, everything else (lists
/// too) is replaced.
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => base.clone_from(over),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_name_agent_and_keys() {
        let alias = Alias::parse("fast=core/coder:model=gpt-5,runtime.autonomy_level=0.9,tools=[\"Read\",\"Edit\"],hooks.pre_task=echo a,b")
            .expect("reads");
        assert_eq!((alias.name.as_str(), alias.agent.as_str()), ("fast", "core/coder"));
        assert_eq!(
            alias.overrides,
            json!({
                "model": "gpt-5",
                "runtime": { "autonomy_level": 0.9 },
                "tools": ["Read", "Edit"],
                "hooks": { "pre_task": "echo a,b" },
            })
        );
        assert_eq!(Alias::parse("a=b").expect("reads").overrides, json!({}));
    }

    #[test]
    fn what_is_no_alias_is_said() {
        for (word, problem) in [
            ("fast", "write NAME=AGENT[:KEY=VALUE,...]"),
            ("fast=", "it has to name its 'agent'"),
            ("=coder", "its name has to consist of letters, digits, '.', '_' and '-'"),
            ("a/b=coder", "its name has to consist of letters, digits, '.', '_' and '-'"),
            ("fast=coder:model", "what comes after ':' has to be KEY=VALUE"),
        ] {
            let error = Alias::parse(word).expect_err(word);
            assert_eq!(error.to_string(), format!("--alias '{word}' is no alias: {problem}"));
            assert!(error.hint().is_some_and(|hint| hint.contains("--alias")));
        }
        for value in [json!(1), json!({}), json!({"agent": 3}), json!({"model": "x"})] {
            let error = Alias::from_value("x", &value, "f.toml").expect_err("no agent");
            assert_eq!(error.to_string(), "f.toml 'x' is no alias: it has to name its 'agent'");
        }
        let short = Alias::from_value("x", &json!("coder"), "f.toml").expect("reads");
        assert_eq!(short.agent, "coder");
    }

    #[test]
    fn maps_are_merged_and_all_else_is_replaced() {
        let mut base = json!({"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}, "f": "x"});
        merge(&mut base, &json!({"a": {"c": [3]}, "d": 2, "f": {"g": 1}, "h": {"i": null}}));
        assert_eq!(base, json!({"a": {"b": 1, "c": [3]}, "d": 2, "f": {"g": 1}, "h": {"i": null}}));
    }

    #[test]
    fn laying_over_is_the_same_as_merging_the_trees() {
        let base = json!({"runtime": {"autonomy_level": 0.2, "timeout_ms": 5},
                          "tools": {"allowed": ["Read"]}, "hooks": {"failure": ["a"]}});
        let over = json!({"runtime": {"autonomy_level": 0.9}, "tools": {"restricted": ["Bash"]},
                          "hooks": {"failure": []}});
        let read = |tree: &Value| {
            let mut agent = Agent::empty("x", "x".to_owned(), super::super::Source::BuiltIn);
            apply(&mut agent, &Node::of(tree), &[], 0).expect("reads");
            agent
        };
        let alias = Alias {
            name: "y".to_owned(),
            agent: "x".to_owned(),
            overrides: over.clone(),
            origin: "--alias".to_owned(),
        };
        let laid = alias.lay_over(read(&base)).expect("lies");
        let mut merged = base;
        merge(&mut merged, &over);
        assert_eq!(laid, read(&merged));
        assert_eq!((laid.autonomy, laid.hooks.is_empty()), (Some(0.9), true));
    }

    #[test]
    fn the_stock_is_codex_flows() {
        let names: Vec<String> = Alias::stock().map(|alias| alias.name).collect();
        assert_eq!(
            names,
            [
                "architect",
                "backend",
                "docs",
                "frontend",
                "planner",
                "reviewer",
                "reviewer2",
                "scaffold",
                "tester",
                "validator"
            ]
        );
    }
}
