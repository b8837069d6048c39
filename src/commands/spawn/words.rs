//! What the template of an agent may name besides the task.

use std::collections::BTreeMap;

use super::{SpawnArgs, role::Role};
use crate::{commands::session::Session, failure::Failure, job::is_template_name};

/// By name.
pub(in crate::commands) type Values = BTreeMap<String, String>;

/// What `--var` gives.
pub(in crate::commands) fn said(words: &[String]) -> Result<Values, Failure> {
    let mut values = Values::new();
    for said in words {
        let (name, value) = said.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--var '{said}' gives no value")).hint("write --var NAME=VALUE")
        })?;
        if !is_template_name(name) {
            return Err(Failure::usage(format!("'{name}' cannot be a name in a template"))
                .hint("letters, digits, '_', '.' and '-' only, beginning with a letter"));
        }
        if values.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::usage(format!("--var gives '{name}' two values")));
        }
    }
    Ok(values)
}

/// The values for a job that somebody typed; `id` is its unique id.
pub(super) fn values(
    args: &SpawnArgs,
    role: Option<&Role>,
    session: &Session,
    id: &str,
) -> Result<Values, Failure> {
    let said = said(&args.vars)?;
    if !said.is_empty() && role.is_none_or(|role| role.agent().template.is_none()) {
        let who = role.map_or("there is no agent".to_owned(), |role| {
            format!("agent '{}' has none", role.name())
        });
        return Err(Failure::usage(format!(
            "--var is for the template of an agent, and {who}; nothing was started"
        ))
        .hint("a prompt is told as it is"));
    }
    let name = role.map(|role| role.name().to_owned()).unwrap_or_default();
    let session = session.run.clone().unwrap_or_else(|| id.to_owned());
    let mut values = of_worker(&name, id, &session);
    values.extend(said);
    Ok(values)
}

/// The names that every job has a value for.
pub(super) fn of_worker(name: &str, id: &str, session: &str) -> Values {
    let own = [("worker_name", name), ("worker_id", id), ("session_id", session), ("run", session)];
    own.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
