//! `cx trust`

use std::{fs, path::Path};

use clap::Args;

use super::{
    session::Session,
    settings::{claim, load},
};
use crate::{
    agent::{find, names},
    config::{Claim, Trust, TrustError},
    failure::{Exit, Failure},
    ui,
};

/// Show what this repository's own files would run, and trust it
///
/// A repository can bring commands along (`worktree.setup` and the like in
/// `.cx/config.toml`, agents that run scripts). They run only after this verb has
/// shown them. Trust is remembered for this repository and these very words:
/// when they change, it is asked for again. What the commands themselves call is
/// not looked at.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// Only show; trust nothing
    #[arg(long, conflicts_with = "revoke")]
    show: bool,

    /// Trust it no longer
    #[arg(long)]
    revoke: bool,
}

/// Runs the verb.
pub fn run(args: &TrustArgs) -> Result<Exit, Failure> {
    super::session::refuse_in_worker("trust commands")?;
    let session = Session::open()?;
    let place = session.repository("trust")?;
    let mut claims: Vec<Claim> = claim(&session, &load(&session)?)?.into_iter().collect();
    claims.extend(agent_claims(&session, &place.common_dir)?);
    if claims.is_empty() {
        ui::note("this repository's files want nothing run");
        return Ok(Exit::Success);
    }
    let trust = Trust::open(&session.roots.state_home);
    let mut out = ui::out();
    for claim in &claims {
        let known = if trust.is_trusted(claim) { "trusted" } else { "not trusted" };
        out.line(format_args!("{} ({known})", claim.file()))?;
        for (key, command) in claim.commands() {
            out.line(format_args!("    {key} = {command}"))?;
        }
    }
    // Shown first, remembered then.
    out.finish()?;
    if args.show {
        return Ok(Exit::Success);
    }
    for claim in &claims {
        if args.revoke {
            trust.revoke(claim).map_err(failure)?;
        } else {
            trust.trust(claim).map_err(failure)?;
        }
    }
    ui::note(if args.revoke { "no longer trusted" } else { "trusted, until any of it changes" });
    Ok(Exit::Success)
}

/// The repository's own agents that run scripts.
pub(super) fn agent_claims(session: &Session, common: &Path) -> Result<Vec<Claim>, Failure> {
    let checkout = session.place.as_ref().and_then(|place| place.checkout.as_deref());
    let Some(root) = checkout else { return Ok(Vec::new()) };
    if fs::metadata(root.join(".cx/agents")).is_err() {
        return Ok(Vec::new());
    }
    let folders = session.places(None);
    let mut claims = Vec::new();
    for name in names(&folders).map_err(|e| Failure::usage(e.to_string()))? {
        if find(&name, &folders).is_ok_and(|agent| agent.needs_trust()) {
            claims.push(agent_claim(common, &name)?);
        }
    }
    Ok(claims)
}

/// That an agent of the repository runs scripts.
pub fn agent_claim(common: &Path, name: &str) -> Result<Claim, Failure> {
    let file = format!(".cx/agents/{name}.md");
    Claim::new(common, &file, vec![("backend".to_owned(), "\"sh\"".to_owned())])
        .map_err(|e| Failure::internal(format!("cannot read {}: {e}", common.display())))
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failure(error: TrustError) -> Failure {
    Failure::internal(error.to_string()).maybe_hint(error.hint())
}
