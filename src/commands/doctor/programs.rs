//! The programs that cx needs, and the kernel's part.

use std::{env, ffi::OsString, path::Path, time::Duration};

use serde_json::Value;

use super::Findings;
use crate::{
    backend::{self, Backend, program},
    commands::{session::Session, settings::Settings},
    git::{self, SCRUBBED},
    job::BackendName,
    process::{
        confine,
        run::{Answer, Question},
        start,
    },
    ui,
};

/// The first git whose `merge-tree` merges; merges need it.
const GIT: [u32; 2] = [2, 38];

/// How long codex may take over a question. Its doctor asks the network.
const PATIENCE: Duration = Duration::from_secs(20);

/// Checks of `codex doctor` whose failure keeps a worker from working.
const CODEX_CHECKS: [(&str, &str); 3] = [
    ("auth.credentials", "codex login"),
    ("config.load", "codex config"),
    ("network.provider_reachability", "codex network"),
];

pub(super) fn git(findings: &mut Findings) {
    let version = match git::command::version() {
        Ok(version) => version,
        Err(error) => {
            let mend = "install git 2.38 or newer; without it there are only readers outside of repositories";
            return findings.problem("git", error.to_string(), mend);
        }
    };
    let text = version.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    if version.as_slice() < GIT.as_slice() {
        findings.problem(
            "git",
            format!("git {text} is too old: `cx merge` cannot merge with it"),
            "install git 2.38 or newer",
        );
    } else {
        findings.ok("git", text);
    }
}

/// Codex is a problem only where it would be used without being named.
pub(super) fn codex(session: &Session, settings: &Settings, findings: &mut Findings) {
    let configured = settings.config.codex.program.as_ref().map(|found| found.value.as_path());
    let path = env::var_os("PATH").unwrap_or_default();
    let found = match program::locate(&Backend::CODEX, configured, &path) {
        Ok(found) => found,
        Err(error) => {
            let mend =
                error.hint().unwrap_or_else(|| "see codex.program in `cx man config`".into());
            return if settings.config.backend.names().any(|name| name == BackendName::CODEX) {
                findings.problem("codex", error.to_string(), mend);
            } else {
                findings.note("codex", error.to_string(), mend);
            };
        }
    };
    let shown = found.path.display();
    match ask(session, &found.path, &["--version".into()]) {
        Ok(answer) if answer.code == Some(0) => {
            let version = ui::clean(&String::from_utf8_lossy(&answer.stdout));
            findings.ok("codex", format!("{version} at {shown}"));
        }
        Ok(answer) => {
            let mend = "install it again: npm install -g @openai/codex";
            return findings.problem(
                "codex",
                format!("{shown} does not run: {}", said(&answer)),
                mend,
            );
        }
        Err(why) => {
            return findings.problem("codex", format!("{shown} {why}"), "try it: codex --version");
        }
    }
    if !found.native {
        findings.note(
            "codex",
            "this is a wrapper that starts the real codex, so a worker is two processes",
            "set codex.program to the native binary, to save a process for each worker",
        );
    }
    login(session, &found.path, findings);
    sandbox(session, &found.path, findings);
}

/// Without its other binary all works but what agents are given.
pub(super) fn mcp(settings: &Settings, findings: &mut Findings) {
    if settings.config.mcp && start::mcp_program().is_none() {
        findings.note(
            "mcp",
            "cx-mcp is not beside cx: `cx mcp` cannot serve, and workers get no tools of cx",
            "install both, as `cargo install --locked --path .` does; or set mcp = false",
        );
    }
}

/// What codex knows of its own login. Only the model's service knows whether
/// it takes it.
fn login(session: &Session, codex: &Path, findings: &mut Findings) {
    let doctor = ask(session, codex, &["doctor".into(), "--json".into()]);
    let report =
        doctor.ok().and_then(|answer| serde_json::from_slice::<Value>(&answer.stdout).ok());
    let checks = report.as_ref().and_then(|report| report["checks"].as_object());
    if let Some(checks) = checks.filter(|checks| checks.contains_key("auth.credentials")) {
        for (key, topic) in CODEX_CHECKS {
            let Some(check) = checks.get(key) else { continue };
            let text = check["summary"].as_str().unwrap_or("it does not say what is wrong");
            let mend = check["remediation"].as_str().unwrap_or("`codex doctor` says more");
            match check["status"].as_str() {
                Some("ok") => findings.ok(topic, text),
                Some("fail") => findings.problem(topic, text, mend),
                _ => findings.note(topic, text, mend),
            }
        }
        return;
    }
    // An older codex. It knows a login by `codex login` only, no key in the
    // environment and no provider of its own.
    match ask(session, codex, &["login".into(), "status".into()]) {
        Ok(answer) if answer.code == Some(0) => {
            findings
                .ok("codex login", "logged in; only the service knows whether it is still good");
        }
        _ => findings.note(
            "codex login",
            "not known: this codex cannot say whether its provider has a key",
            "where workers fail with 401: codex login, or set the key of the configured provider",
        ),
    }
}

fn sandbox(session: &Session, codex: &Path, findings: &mut Findings) {
    let Some(probe) = backend::sandbox_probe(&Backend::CODEX, codex) else { return };
    let mend = "`codex sandbox -- /bin/true` must give 0: see \"Linux sandbox\" in the documentation of codex; \
                inside a container it may need other privileges";
    match ask(session, &probe.program, &probe.args) {
        Ok(answer) if answer.code == Some(0) => findings.ok("codex sandbox", "it starts"),
        Ok(answer) => {
            let said = said(&answer);
            let mend = match said.split_once("config.toml:") {
                Some((before, _)) => &format!("mend {before}config.toml"),
                None => mend,
            };
            findings.problem("codex sandbox", format!("it does not start: {said}"), mend);
        }
        Err(why) => findings.problem("codex sandbox", format!("it {why}"), mend),
    }
}

/// What confines `sh` readers.
pub(super) fn confinement(findings: &mut Findings) {
    if confine::is_supported() {
        findings.ok("landlock", "readers of the sh backend can write nothing");
    } else {
        findings.problem(
            "landlock",
            "this kernel cannot confine readers of the sh backend: they could write, and one that changes the checkout fails",
            "use Linux 6.2 or newer with Landlock switched on (`lsm=landlock,...`)",
        );
    }
}

/// Asks a program; the error reads as the end of a sentence about it.
pub(in crate::commands) fn ask(
    session: &Session,
    program: &Path,
    args: &[OsString],
) -> Result<Answer, String> {
    let question = Question {
        program,
        args: args.to_vec(),
        dir: session.cwd.clone(),
        env_remove: SCRUBBED,
        limit: PATIENCE,
    };
    match question.ask() {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(format!("did not answer within {}", ui::short(PATIENCE))),
        Err(error) => Err(format!("cannot be run: {error}")),
    }
}

/// The last line of what it said, where programs put what went wrong.
pub(super) fn said(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.stderr);
    // A program that names its error in a line of that kind may print more below it.
    let error = text.lines().find_map(|line| line.strip_prefix("Error: ")).map(ui::clean);
    let last = || text.lines().rev().map(ui::clean).find(|line| !line.is_empty());
    let line = error.or_else(last);
    let ending = match answer.code {
        Some(code) => format!("exit {code}"),
        None => "ended by a signal".to_owned(),
    };
    line.map_or(ending.clone(), |line| format!("{} ({ending})", ui::cut(&line, 200)))
}
