//! Files and index of a new worktree, without git where the result is known to be git's.
//!
//! [`plan`] reads what the commit has and looks for whatever makes a checkout more than
//! its objects; what is unusual is left to git, with the reason. [`fill`] takes what it
//! can from the person's checkout ([`copy`]), has git write the rest with its filters,
//! and writes an index that knows every file ([`index`]), so that the first `git status`
//! reads none of them.
//!
//! Nothing but the new worktree and git's folder of it is written. A crash leaves a
//! worktree that lacks files or an index; git calls it `locked: initializing`.

mod copy;
mod index;
mod listing;
mod usual;

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use rustix::fd::AsFd;

use self::index::Seen;
use self::listing::Listing;
use self::usual::Attributes;
use super::Engine;
use crate::git::settings::Settings;
use crate::git::{Git, GitError, Oid, Place, Repo};

/// An index in git's folder of the worktree that has only what git is asked about.
const PARTIAL: &str = "cx-index";

/// From so many files on whose content git has to make, git makes all of it: it keeps
/// filters waiting for each other less.
const FILTERED: usize = 1_000;

/// A worktree that can be filled without git.
pub(super) struct Plan {
    listing: Listing,
    attributes: Attributes,
    settings: Settings,
    source: PathBuf,
}

/// Looks at what `commit` has, and whether `place`'s checkout can give it.
///
/// # Errors
/// A clause that says why that is left to git.
pub(super) fn plan(place: &Place, commit: &Oid) -> Result<Plan, String> {
    let source = place.checkout.clone().ok_or("there is no checkout to copy from")?;
    let repo = Repo::open(place);
    let settings = repo.settings().map_err(|error| error.to_string())?.clone();
    if let Some(why) = usual::unusual(&repo, &settings) {
        return Err(why);
    }
    let listing = Listing::read(&repo, commit)?;
    let attributes = usual::attributes(&repo, &settings, &listing)?;
    Ok(Plan { listing, attributes, settings, source })
}

/// Fills the new worktree `tree`, in which nothing is but its `.git`.
///
/// # Errors
/// A clause that says why git has to do it. Files may be there then, but no index.
pub(super) fn fill(plan: &Plan, tree: &Place) -> Result<Engine, String> {
    let told = |error: GitError| error.to_string();
    let Plan { listing, settings, .. } = plan;
    let partial = Partial { tree, path: tree.git_dir.join(PARTIAL) };
    let left = match plan.attributes {
        Attributes::Idle => Vec::new(),
        Attributes::Asked => {
            partial.write(listing, &[]).map_err(told)?;
            usual::changed_by_attributes(partial.git(), settings, listing).map_err(told)?
        }
    };
    if left.len() >= FILTERED {
        return Err(format!("git makes the content of {} files (filters)", left.len()));
    }
    let io = |error: io::Error| format!("it could not be copied: {error}");
    let source = File::open(&plan.source).map_err(io)?;
    let root = File::open(tree.folder()).map_err(io)?;
    let mut brought = copy::bring(listing, &left, source.as_fd(), root.as_fd()).map_err(io)?;
    let rest: Vec<usize> =
        (0..brought.seen.len()).filter(|at| brought.seen.get(*at) == Some(&None)).collect();
    if !rest.is_empty() {
        partial.write(listing, &rest).map_err(told)?;
        partial.check_out(listing, &rest).map_err(told)?;
        for at in rest {
            if let (Some(wanted), Some(seen)) = (listing.wanted.get(at), brought.seen.get_mut(at)) {
                *seen = Some(copy::look(root.as_fd(), listing.path(wanted)).map_err(io)?);
            }
        }
    }
    drop(partial);
    // What git may write without a sum it reads without one.
    let hashed = !settings.is_on("index.skiphash") && !settings.is_on("feature.manyfiles");
    let all = brought.seen.iter().map(|seen| seen.unwrap_or_default());
    let index = tree.git_dir.join("index");
    index::write(&index, listing, listing.wanted.iter().zip(all), true, hashed).map_err(io)?;
    Ok(if brought.is_shared { Engine::Cloned } else { Engine::Copied })
}

/// An index of a few paths, for questions to git; gone with this value.
struct Partial<'a> {
    tree: &'a Place,
    path: PathBuf,
}

impl Partial<'_> {
    /// Has it hold these, by number, and all files of attributes.
    fn write(&self, listing: &Listing, which: &[usize]) -> Result<(), GitError> {
        let _ = fs::remove_file(&self.path);
        let few: Vec<_> = listing
            .wanted
            .iter()
            .enumerate()
            .filter(|(at, wanted)| {
                which.binary_search(at).is_ok() || listing.split(wanted).1 == b".gitattributes"
            })
            .map(|(_, wanted)| (wanted, Seen::default()))
            .collect();
        index::write(&self.path, listing, few.into_iter(), false, true)
            .map_err(GitError::io("write", &self.path))
    }

    fn git(&self) -> Git {
        self.tree.git().env("GIT_INDEX_FILE", &self.path).config("checkout.workers", "0")
    }

    /// Has git write these files, by number.
    fn check_out(&self, listing: &Listing, which: &[usize]) -> Result<(), GitError> {
        let mut paths = Vec::new();
        for wanted in which.iter().filter_map(|at| listing.wanted.get(*at)) {
            paths.extend_from_slice(listing.path(wanted));
            paths.push(0);
        }
        self.git().args(["checkout-index", "--force", "-z", "--stdin"]).stdin(paths).run()?;
        Ok(())
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
