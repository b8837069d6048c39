//! What the repository's own files want run, which counts only once a person
//! trusts it. Reads, and decides nothing.

use std::{fs, path::Path};

use super::session::Session;
use crate::{
    agent::{Catalog, Source},
    config::{Claim, Loaded, visible},
    failure::Failure,
    git::Place,
};

/// What the configuration and the agents of the repository want run, a claim for
/// each file.
pub(super) fn all(
    session: &Session,
    loaded: &Loaded,
    catalog: &Catalog,
) -> Result<Vec<Claim>, Failure> {
    let mut claims: Vec<Claim> = of_config(session, loaded)?.into_iter().collect();
    for agent in catalog.iter() {
        let wants = agent.wants();
        if !wants.is_empty() {
            claims.extend(of_agent(session, &agent.source, &wants)?);
        }
    }
    Ok(claims)
}

/// What the repository's own file wants run.
pub(super) fn of_config(session: &Session, loaded: &Loaded) -> Result<Option<Claim>, Failure> {
    let Some(place) = &session.place else { return Ok(None) };
    let common: &Path = &place.common_dir;
    loaded
        .claim(common)
        .map_err(|e| Failure::internal(format!("cannot read {}: {e}", common.display())))
}

/// That an agent's file would have something run; nothing where the file is not
/// the repository's.
pub(super) fn of_agent(
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
