//! `cx trust`

use clap::Args;

use super::{claims, roles, session::Session, settings};
use crate::{
    config::{Trust, TrustError},
    failure::{Exit, Failure},
    ui,
};

/// Show what this repository's own files would run, and trust it
///
/// A repository can bring commands along (`worktree.setup` and the like in
/// `.cx/config.toml`, agents that run scripts or have hooks). They run only after this verb has
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

    #[command(flatten)]
    agents_dir: roles::AgentsDir,
}

/// Runs the verb.
pub fn run(args: &TrustArgs) -> Result<Exit, Failure> {
    super::session::refuse_in_worker("trust commands")?;
    let session = Session::open()?;
    session.repository("trust")?;
    let loaded = settings::load(&session)?;
    let catalog = roles::catalog(&session, args.agents_dir.path())?;
    let claims = claims::all(&session, &loaded, &catalog)?;
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

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failure(error: TrustError) -> Failure {
    Failure::internal(error.to_string()).maybe_hint(error.hint())
}
