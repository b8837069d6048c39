//! Backends by configuration: those that are defined, there, or would be used.

use std::env;

use super::{
    Findings,
    programs::{ask, said},
};
use crate::{
    backend::program,
    commands::{backends::version_args, session::Session, settings::Settings},
    job::BackendName,
    ui,
};

const TOPIC: &str = "backends";

/// Ready ones that are not there are nobody's business, unless they would be used.
pub(super) fn look(session: &Session, settings: &Settings, findings: &mut Findings) {
    let path = env::var_os("PATH").unwrap_or_default();
    let default = settings.config.backend;
    for name in default.names() {
        if settings.catalog.find(name).is_none() {
            let mend = "`cx backends` lists them";
            findings.problem(
                TOPIC,
                format!("there is no backend '{name}', which is the default"),
                mend,
            );
        }
    }
    for name in settings.catalog.names() {
        if BackendName::BUILT_IN.contains(&name) {
            continue;
        }
        let Some((backend, _)) = settings.catalog.find(name) else { continue };
        let is_default = default.names().any(|other| other == name);
        let found = match program::locate(&backend, None, &path) {
            Ok(found) => found.path,
            Err(error) => {
                let mend = error.hint().unwrap_or_else(|| "see `cx man backends`".to_owned());
                let text = format!("{name}: {error}");
                if is_default {
                    findings.problem(TOPIC, text, mend);
                } else if settings.catalog.is_defined(name) {
                    findings.note(TOPIC, text, mend);
                }
                continue;
            }
        };
        let shown = found.display();
        let Some(words) = version_args(&backend) else {
            findings.ok(TOPIC, format!("{name}: {shown}"));
            continue;
        };
        let mend = match program::install(&backend) {
            Some(install) => format!("install it again: {install}"),
            None => format!("try it: {shown}"),
        };
        match ask(session, &found, &words) {
            Ok(answer) if answer.code == Some(0) => {
                let text = String::from_utf8_lossy(&answer.stdout).into_owned();
                let version = text.lines().map(ui::clean).find(|line| !line.is_empty());
                let version = version.unwrap_or_else(|| "of no version that it names".to_owned());
                findings.ok(TOPIC, format!("{name}: {version} at {shown}"));
            }
            Ok(answer) => {
                findings.problem(
                    TOPIC,
                    format!("{name}: {shown} does not run: {}", said(&answer)),
                    mend,
                );
            }
            Err(why) => findings.problem(TOPIC, format!("{name}: {shown} {why}"), mend),
        }
    }
}
