//! Claude, where it would be used.

use std::{env, path::Path};

use serde_json::Value;

use super::{Findings, programs::ask, programs::said};
use crate::{
    backend::{Backend, program},
    commands::{session::Session, settings::Settings},
    job::BackendName,
    process::confine,
    ui,
};

/// Claude is spoken of only where it is there, or would be used.
pub(super) fn look(session: &Session, settings: &Settings, findings: &mut Findings) {
    let configured = settings.config.claude.program.as_ref().map(|found| found.value.as_path());
    let is_default = settings.config.backend.names().any(|name| name == BackendName::CLAUDE);
    let path = env::var_os("PATH").unwrap_or_default();
    let found = match program::locate(&Backend::CLAUDE, configured, &path) {
        Ok(found) => found,
        Err(error) => {
            let mend =
                error.hint().unwrap_or_else(|| "see claude.program in `cx man config`".into());
            if is_default {
                findings.problem("claude", error.to_string(), mend);
            } else if configured.is_some() {
                findings.note("claude", error.to_string(), mend);
            }
            return;
        }
    };
    let shown = found.path.display();
    match ask(session, &found.path, &["--version".into()]) {
        Ok(answer) if answer.code == Some(0) => {
            let version = ui::clean(&String::from_utf8_lossy(&answer.stdout));
            findings.ok("claude", format!("{version} at {shown}"));
        }
        Ok(answer) => {
            let mend = "install it again: npm install -g @anthropic-ai/claude-code";
            return findings.problem(
                "claude",
                format!("{shown} does not run: {}", said(&answer)),
                mend,
            );
        }
        Err(why) => {
            return findings.problem(
                "claude",
                format!("{shown} {why}"),
                "try it: claude --version",
            );
        }
    }
    login(session, &found.path, is_default, findings);
    if confine::is_supported() {
        findings.ok("claude readers", "they can only read, and run commands");
    } else {
        findings.note(
            "claude readers",
            "this kernel cannot confine them, so they are given no commands to run",
            "use Linux 6.2 or newer with Landlock switched on (`lsm=landlock,...`)",
        );
    }
}

/// What claude knows of its own login. Only the model's service knows whether it
/// takes it.
fn login(session: &Session, claude: &Path, is_default: bool, findings: &mut Findings) {
    let answer = ask(session, claude, &["auth".into(), "status".into(), "--json".into()]);
    let status =
        answer.ok().and_then(|answer| serde_json::from_slice::<Value>(&answer.stdout).ok());
    let mend = "sign in with `claude`, or set ANTHROPIC_API_KEY";
    match status.as_ref().and_then(|status| status["loggedIn"].as_bool()) {
        Some(true) => {
            let by = status.as_ref().and_then(|status| status["authMethod"].as_str());
            let by = ui::clean(by.unwrap_or("a way that it does not name"));
            findings.ok(
                "claude login",
                format!("logged in by {by}; only the service knows whether it is still good"),
            );
        }
        Some(false) if is_default => findings.problem("claude login", "not logged in", mend),
        Some(false) => findings.note("claude login", "not logged in", mend),
        None => findings.note(
            "claude login",
            "not known: this claude cannot say whether it is logged in",
            mend,
        ),
    }
}
