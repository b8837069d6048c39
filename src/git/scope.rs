//! Scopes: which files a set of pathspecs means, by git's own reading of them.
//!
//! Pathspecs are relative to the folder in which a job was spawned, its prefix.
//! That folder need not exist any more, so git is asked from an empty stand-in
//! for the checkout that has it. Everything here makes objects at most.

mod overlap;

pub use overlap::overlap;

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::command::{path as path_of, records};
use super::commit::commit_tree;
use super::{Git, GitError, Oid, Place, Repo};

/// Pathspecs and where they were given.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The folder that they are relative to, below the root; empty for the root.
    pub prefix: &'a Path,
    /// The pathspecs; none of them means that nothing is out of scope.
    pub specs: &'a [String],
}

/// The files of a commit or tree that are in the scope. Fails where git does
/// not understand a pathspec.
pub fn files(place: &Place, tree: &Oid, scope: Scope<'_>) -> Result<Vec<PathBuf>, GitError> {
    let empty = place.git().args(["hash-object", "-t", "tree", "-w", "--stdin"]).run()?.oid()?;
    changed(place, &empty, tree, scope)
}

/// The files that differ between two commits and are out of the scope, both
/// sides of a rename.
pub fn outside(
    place: &Place,
    from: &Oid,
    to: &Oid,
    scope: Scope<'_>,
) -> Result<Vec<PathBuf>, GitError> {
    if scope.specs.is_empty() {
        return Ok(Vec::new());
    }
    let inside: HashSet<PathBuf> = changed(place, from, to, scope)?.into_iter().collect();
    let all = changed(place, from, to, Scope { specs: &[], ..scope })?;
    Ok(all.into_iter().filter(|path| !inside.contains(path)).collect())
}

/// What of a branch's changes are its own, as `from`: the commit it was started
/// from, or the last commit that it has in common with the target where that
/// came into it later.
pub fn origin(repo: &Repo, base: &Oid, tip: &Oid, target: &Oid) -> Result<Option<Oid>, GitError> {
    let Some(common) = repo.merge_base(target, tip)? else { return Ok(None) };
    let is_further = repo.is_ancestor(base, tip)? && repo.is_ancestor(&common, base)?;
    Ok(Some(if is_further { base.clone() } else { common }))
}

/// The commits `from..tip` again, without what they change in `paths`: author,
/// date and message are kept, the last one gets a `Cx-Dropped` line for each
/// path. Where the history is not one line, one commit stands for all. None
/// where nothing is left.
pub fn without(
    repo: &Repo,
    from: &Oid,
    tip: &Oid,
    paths: &[PathBuf],
) -> Result<Option<Oid>, GitError> {
    let place = repo.place();
    let kept = entries(place, from, paths)?;
    let mut trees = Vec::new();
    let mut last = repo.tree_of(from)?;
    for commit in line(place, from, tip)? {
        let tree = replaced(place, &commit, &kept)?;
        if tree != last {
            trees.push((commit, tree.clone()));
            last = tree;
        }
    }
    let mut parent = from.clone();
    let count = trees.len();
    for (at, (commit, tree)) in trees.into_iter().enumerate() {
        let dropped = if at + 1 == count { paths } else { &[] };
        parent = again(place, &commit, &tree, &parent, dropped)?;
    }
    // Commits that undo each other leave nothing.
    Ok((repo.tree_of(&parent)? != repo.tree_of(from)?).then_some(parent))
}

/// The files that differ between two commits or trees and match.
fn changed(
    place: &Place,
    from: &Oid,
    to: &Oid,
    scope: Scope<'_>,
) -> Result<Vec<PathBuf>, GitError> {
    let made = tempfile::tempdir_in(&place.git_dir);
    let stand_in = made.map_err(GitError::io("make a folder in", &place.git_dir))?;
    let folder = stand_in.path().join(scope.prefix);
    fs::create_dir_all(&folder).map_err(GitError::io("make", &folder))?;
    let output = Git::at(&folder)
        .repository(&place.git_dir, stand_in.path())
        .config("core.bare", "false")
        .args(["diff", "--name-only", "-z", "--no-renames", "--no-relative", "--no-ext-diff"])
        .arg("--ignore-submodules=none")
        .arg(from)
        .arg(to)
        .arg("--")
        .args(scope.specs)
        .read()?;
    Ok(records(&output.stdout).map(path_of).collect())
}

/// The commits from `from` to `tip`, oldest first; only `tip` where they are not
/// one line.
fn line(place: &Place, from: &Oid, tip: &Oid) -> Result<Vec<Oid>, GitError> {
    let range = format!("{from}..{tip}");
    let args = ["rev-list", "--reverse", "--topo-order", "--parents", &range];
    let listed = place.git().args(args).read()?.text();
    let mut commits = Vec::new();
    let mut parent = from.as_str();
    for row in listed.lines() {
        let mut words = row.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some(commit), Some(of), None) if of == parent => {
                let oid = Oid::new(commit).map_err(|_| GitError::Answer("git rev-list".into()))?;
                commits.push(oid);
                parent = commit;
            }
            _ => return Ok(vec![tip.clone()]),
        }
    }
    Ok(commits)
}

/// Lines for `git update-index`: `paths` as they are in `commit`.
fn entries(place: &Place, commit: &Oid, paths: &[PathBuf]) -> Result<Vec<u8>, GitError> {
    let listed = place.git().args(["ls-tree", "-r", "-z", "--full-tree"]).arg(commit).read()?;
    let wanted: HashSet<&[u8]> = paths.iter().map(|path| path.as_os_str().as_bytes()).collect();
    let mut lines = Vec::new();
    let null = "0".repeat(commit.as_str().len());
    for path in &wanted {
        lines.extend_from_slice(format!("0 {null}\t").as_bytes());
        lines.extend_from_slice(path);
        lines.push(0);
    }
    for record in records(&listed.stdout) {
        let Some(tab) = record.iter().position(|byte| *byte == b'\t') else { continue };
        if wanted.contains(&record[tab + 1..]) {
            lines.extend_from_slice(record);
            lines.push(0);
        }
    }
    Ok(lines)
}

/// The tree of `commit` with these entries in place of its own.
fn replaced(place: &Place, commit: &Oid, entries: &[u8]) -> Result<Oid, GitError> {
    let made = tempfile::tempdir_in(&place.git_dir);
    let folder = made.map_err(GitError::io("make a folder in", &place.git_dir))?;
    let index = folder.path().join("index");
    let git = || place.git().env("GIT_INDEX_FILE", &index);
    git().arg("read-tree").arg(commit).run()?;
    git().args(["update-index", "-z", "--index-info"]).stdin(entries).run()?;
    git().arg("write-tree").run()?.oid()
}

/// `commit` with another tree and parent.
fn again(
    place: &Place,
    commit: &Oid,
    tree: &Oid,
    parent: &Oid,
    dropped: &[PathBuf],
) -> Result<Oid, GitError> {
    let format = "--format=%an%x00%ae%x00%ad%x00%B";
    let log = ["log", "-1", "--encoding=UTF-8", "--date=raw", "--no-show-signature", format];
    let shown = place.git().args(log).arg(commit).read()?;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let mut fields = text.splitn(4, '\0');
    let mut field = || fields.next().unwrap_or_default().to_owned();
    let git = place.git().env("GIT_AUTHOR_NAME", field()).env("GIT_AUTHOR_EMAIL", field());
    let git = git.env("GIT_AUTHOR_DATE", format!("@{}", field()));
    let mut message = format!("{}\n", field().trim_end_matches('\n'));
    if !dropped.is_empty() {
        let mut trailers = place.git().args(["interpret-trailers", "--no-divider"]);
        for path in dropped {
            trailers = trailers.arg("--trailer").arg(format!("Cx-Dropped: {}", path.display()));
        }
        let said = trailers.stdin(message).run()?.stdout;
        message = String::from_utf8_lossy(&said).into_owned();
    }
    commit_tree(git, tree, &[parent], &message, false)
}

#[cfg(test)]
mod tests;
