//! Where a writer's branch and worktree are to be: whether they can be made there.

use std::{fs, path::Path};

use crate::{
    commands::{session::git, settings::Settings},
    failure::Failure,
    git::{Place, Repo},
    process::stdio,
};

/// Refuses where no worktree and no branch of a job can be made, whatever its name.
pub(super) fn refuse_place(place: &Place, folder: &Path) -> Result<(), Failure> {
    if Repo::open(place).branch_exists("cx").map_err(git)? {
        return Err(Failure::usage(
            "there is a branch called 'cx', and git cannot make branches 'cx/NAME' beside it; nothing was started",
        )
        .hint("rename it: git branch -m cx OTHER"));
    }
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(folder);
    if stdio::is_writable(there) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "worktrees cannot be made in {}: {} is not writable; nothing was started",
        folder.display(),
        there.display()
    ))
    .hint("choose another place in the configuration: [worktree] dir = \"...\""))
}

/// What stands where a writer of this name would have its branch and worktree.
pub(super) fn occupied(
    place: &Place,
    settings: &Settings,
    name: &str,
) -> Result<Option<String>, Failure> {
    let branch = format!("cx/{name}");
    if Repo::open(place).branch_exists(&branch).map_err(git)? {
        return Ok(Some(format!("branch {branch} exists already")));
    }
    if let Some(other) = Repo::open(place).branch_below(&branch).map_err(git)? {
        return Ok(Some(format!("branch {other} is in the way of {branch}")));
    }
    let path = settings.worktree_folder(place).join(name);
    let there = fs::symlink_metadata(&path).is_ok();
    Ok(there.then(|| format!("{} exists already", path.display())))
}
