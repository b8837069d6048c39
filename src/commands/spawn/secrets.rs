//! No secret in what a job is started with: the ledger has all of it, and a list of
//! processes has its worker's arguments.

use serde_json::Value;

use super::check::Checked;
use crate::{backend::Backend, failure::Failure, job::secret, ledger::Spawned};

impl Checked {
    /// Refuses a job in whose command there is a secret. A prompt may have one: it goes
    /// to its worker by a file that nobody else can read.
    pub(super) fn refuse_secrets(&self) -> Result<(), Failure> {
        let kept = Backend::to_keep(self.backends()).ok().flatten().unwrap_or_default();
        let backend = || Some(("backend", secret::variable_in(&String::from_utf8_lossy(&kept))?));
        let Some((field, variable)) = found(&self.spec).or_else(backend) else { return Ok(()) };
        let what = match field {
            "argv" => "its command",
            "name" => "its name",
            "extra_args" => "the configured arguments of its program",
            "setup" => "its setup command",
            "hooks" => "a hook of its agent",
            "notice" => "a hook of its end",
            "backend" => "the definition of its backend",
            "endpoint" => "the URL of its server",
            other => other,
        };
        let help = match field {
            "argv" => format!("a script can read it: cx spawn -b sh '... \"${variable}\"'"),
            "name" => "choose another with -n".to_owned(),
            _ => format!("name the variable there and not its value: \"${variable}\""),
        };
        Err(Failure::usage(format!(
            "the value of {variable} stands in {what}, where the ledger and the list of processes would show it; nothing was started"
        ))
        .hint(help))
    }
}

/// The field that has a secret in it, and the variable that this is the value of.
fn found(spec: &Spawned) -> Option<(&'static str, String)> {
    // Titles are redacted, and the paths are there whether a job is or not.
    let fields = [
        ("name", serde_json::to_value(&spec.name)),
        ("argv", serde_json::to_value(&spec.argv)),
        ("extra_args", serde_json::to_value(&spec.extra_args)),
        ("setup", serde_json::to_value(&spec.setup)),
        ("hooks", serde_json::to_value(&spec.hooks)),
        ("notice", serde_json::to_value(&spec.notice)),
        ("model", serde_json::to_value(&spec.model)),
        ("endpoint", serde_json::to_value(&spec.endpoint)),
        ("fallbacks", serde_json::to_value(&spec.fallbacks)),
        ("scope", serde_json::to_value(&spec.scope)),
        ("include", serde_json::to_value(&spec.include)),
        ("env_exclude", serde_json::to_value(&spec.env_exclude)),
    ];
    fields.into_iter().find_map(|(field, value)| Some((field, within(&value.ok()?)?)))
}

fn within(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => secret::variable_in(text),
        Value::Array(all) => all.iter().find_map(within),
        Value::Object(all) => all.values().find_map(within),
        _ => None,
    }
}
