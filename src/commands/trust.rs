//! `cx trust`

use std::{fs, path::Path};

use clap::Args;

use super::{
    session::Session,
    settings::{claim, load},
};
use crate::{
    agent::{Catalog, Source},
    config::{Claim, Trust, TrustError, visible},
    failure::{Exit, Failure},
    git::Place,
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
    agents_dir: super::roles::AgentsDir,
}

/// Runs the verb.
pub fn run(args: &TrustArgs) -> Result<Exit, Failure> {
    super::session::refuse_in_worker("trust commands")?;
    let session = Session::open()?;
    session.repository("trust")?;
    let mut claims: Vec<Claim> = claim(&session, &load(&session)?)?.into_iter().collect();
    claims.extend(agent_claims(&session, args.agents_dir.path())?);
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

/// The repository's own agents that would have something run.
pub(super) fn agent_claims(
    session: &Session,
    agents_dir: Option<&Path>,
) -> Result<Vec<Claim>, Failure> {
    let catalog = Catalog::load(&session.places(agents_dir)).map_err(super::roles::failure)?;
    let mut claims = Vec::new();
    for agent in catalog.iter() {
        let wants = agent.wants();
        if !wants.is_empty() {
            claims.extend(agent_claim(session, &agent.source, &wants)?);
        }
    }
    Ok(claims)
}

/// That an agent's file would have something run; nothing where the file is not
/// the repository's.
pub(super) fn agent_claim(
    session: &Session,
    source: &Source,
    wants: &[(String, String)],
) -> Result<Option<Claim>, Failure> {
    let (Some(place), Some(path)) = (&session.place, source.path()) else { return Ok(None) };
    let Some(file) = repositorys(place, path) else { return Ok(None) };
    let wants = wants.iter().map(|(key, json)| (key.clone(), visible(json))).collect();
    let common = &place.common_dir;
    Claim::new(common, file, wants)
        .map(Some)
        .map_err(|e| Failure::internal(format!("cannot read {}: {e}", common.display())))
}

/// How a file is called from the top of its checkout, if that is a checkout of this
/// repository. Links are followed: what counts is where the words really stand.
fn repositorys(place: &Place, path: &Path) -> Option<String> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let below = |root: &Path, path: &Path| {
        Some(path.strip_prefix(root).ok()?.to_string_lossy().into_owned())
    };
    // A link in the checkout is the repository's as well.
    let root = place.checkout.as_deref()?;
    let real_root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    if let Some(file) = below(root, path).or_else(|| below(&real_root, &real)) {
        return Some(file);
    }
    let other = Place::discover(real.parent()?).ok()??;
    let same =
        fs::canonicalize(&other.common_dir).ok()? == fs::canonicalize(&place.common_dir).ok()?;
    let root = other.checkout.filter(|_| same)?;
    below(&fs::canonicalize(root).ok()?, &real)
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failure(error: TrustError) -> Failure {
    Failure::internal(error.to_string()).maybe_hint(error.hint())
}
