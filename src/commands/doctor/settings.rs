//! Configuration, agents, and trust.

use super::Findings;
use crate::{
    agent,
    commands::{
        backends::Catalog,
        claims, roles,
        session::Session,
        settings::{Settings, load},
    },
    config::Trust,
    failure::Failure,
};

/// Looks at them, and gives the configuration as it counts, if there is one.
pub(super) fn look(session: &Session, findings: &mut Findings) -> Option<Settings> {
    let loaded = configuration(session, findings).and_then(|()| Settings::load(session));
    let settings = match loaded {
        Ok(settings) => Some(settings),
        Err(mut failure) => {
            // Said for the verbs that start something.
            failure.message = failure.message.replace("; nothing was started", "");
            findings.failure("config", failure);
            None
        }
    };
    findings.ok_unless_said("config", "every key is known");
    agents(session, findings);
    findings.ok_unless_said("agents", "every file can be read");
    settings
}

fn configuration(session: &Session, findings: &mut Findings) -> Result<(), Failure> {
    let loaded = load(session)?;
    for warning in &loaded.warnings {
        let mend = warning.hint().unwrap_or_else(|| "`cx man config` lists every key".to_owned());
        findings.problem("config", warning.to_string(), mend);
    }
    let mut unknown = Vec::new();
    Catalog::read(&loaded.config.backends, &mut unknown)?;
    for text in unknown {
        findings.problem("config", text, "`cx man backends` lists every key");
    }
    let claims = claims::all(session, &loaded, &roles::catalog(session, None)?)?;
    let trust = Trust::open(&session.roots.state_home);
    for claim in claims.iter().filter(|claim| !trust.is_trusted(claim)) {
        let keys: Vec<&str> = claim.commands().iter().map(|(key, _)| key.as_str()).collect();
        findings.note(
            "trust",
            format!("{} in {} is not trusted and will not run", keys.join(", "), claim.file()),
            "`cx trust` shows it, and remembers that you trust it",
        );
    }
    Ok(())
}

fn agents(session: &Session, findings: &mut Findings) {
    match agent::Catalog::load(&session.places(None)) {
        Ok(catalog) => {
            for error in catalog.entries().iter().filter_map(|entry| entry.agent.as_ref().err()) {
                let mend = error.hint().unwrap_or_else(|| "correct the file, or remove it".into());
                findings.problem("agents", error.to_string(), mend);
            }
        }
        Err(error) => {
            let mend = error.hint().unwrap_or_else(|| "make the folder readable".to_owned());
            findings.problem("agents", error.to_string(), mend);
        }
    }
}
