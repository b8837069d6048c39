//! What an alias of a repository's own file would have run: shell commands around
//! its jobs, and its tasks themselves where it makes `sh` the backend.
//!
//! What else an alias says is the business of whoever knows agents. A key may be
//! written as tables or with dots in quotes, and with `-` or `_`.

use serde_json::Value;

use super::trust::visible;

/// Whether what stands under this key is run.
fn is_run(path: &str, value: &Value) -> bool {
    let path = path.replace('-', "_");
    let backend = matches!(path.as_str(), "backend" | "runtime.backend");
    (backend && value == "sh") || path == "hooks" || path.starts_with("hooks.")
}

fn join(above: &str, key: &str) -> String {
    if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") }
}

/// Collects it as key and JSON; `prefix` stands before every key.
pub(super) fn commands(
    prefix: &str,
    above: &str,
    value: &Value,
    found: &mut Vec<(String, String)>,
) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = join(above, key);
        if is_run(&path, value) {
            found.push((format!("{prefix}.{path}"), visible(&value.to_string())));
        } else {
            commands(prefix, &path, value, found);
        }
    }
}

/// Takes it out.
pub(super) fn withhold(above: &str, value: &mut Value) {
    let Value::Object(map) = value else { return };
    map.retain(|key, value| !is_run(&join(above, key), value));
    for (key, value) in map {
        withhold(&join(above, key), value);
    }
}
