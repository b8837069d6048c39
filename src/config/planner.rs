//! `[planner.NAME]`: who can be asked for a plan.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::value::{Command, Commanded, Limit, Origin};
use crate::job::BackendChoice;

/// Names that `cx plan` knows by itself.
const RESERVED: [&str; 2] = ["heuristic", "llm"];

/// Whom `cx plan` can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planner {
    /// A command with JSON on stdin and stdout.
    Command {
        /// What runs.
        command: Commanded<Command>,
        /// How long one answer may take, where it is said.
        timeout: Option<Limit>,
    },
    /// A reader of a backend.
    Model {
        /// The backend, where it is not the default one.
        backend: Option<BackendChoice>,
        /// The model, in the backend's own words.
        model: Option<String>,
        /// How long one answer may take, where it is said.
        timeout: Option<Limit>,
    },
}

/// One table `[planner.NAME]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct PlannerLayer {
    pub(super) command: Option<Command>,
    backend: Option<BackendChoice>,
    model: Option<String>,
    timeout: Option<Limit>,
}

/// The tables of one file.
pub(super) type PlannerLayers = BTreeMap<String, PlannerLayer>;

impl PlannerLayer {
    /// What is wrong with it, as the end of a sentence.
    pub(super) fn problem(&self, name: &str) -> Option<String> {
        if RESERVED.contains(&name) {
            return Some("is a name that cx plan has for something else".to_owned());
        }
        match (&self.command, &self.backend, &self.model) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                Some("has a command, and so neither a backend nor a model".to_owned())
            }
            (None, None, None) => Some("has neither a command nor a backend or a model".to_owned()),
            (_, Some(backend), _) if backend.is_shell() => {
                Some("is on the backend sh, which cannot plan: give it a command".to_owned())
            }
            (_, _, Some(model)) if model.is_empty() || model.starts_with('-') => {
                Some(format!("has the model '{model}', which is no name of one"))
            }
            _ => None,
        }
    }

    pub(super) fn planner(&self, origin: &Origin) -> Planner {
        let timeout = self.timeout;
        match &self.command {
            Some(command) => {
                let command = Commanded { value: command.clone(), origin: origin.clone() };
                Planner::Command { command, timeout }
            }
            None => Planner::Model { backend: self.backend, model: self.model.clone(), timeout },
        }
    }
}
