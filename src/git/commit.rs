//! Commits: messages with trailers, and what a writer left.
//!
//! The supervisor commits for workers (sandboxed ones cannot). It runs after the
//! worker's whole process tree has ended, so what looks held in that worktree is
//! stale. Work is never given up for a formality: a missing identity, a worker
//! that switched branches, a broken index, a nested repository are reported as
//! [`Note`]s. After a crash at any step the files are still in the worktree, and
//! the same call does the rest.

mod pen;

pub(super) use pen::Pen;

use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

use super::{Git, GitError, Head, Oid, Place, Repo, refs, stage, worktree};

/// A commit message: subject, body, trailers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitMessage {
    /// The first line. Line ends in it become spaces.
    pub subject: String,
    /// Paragraphs below it; may be empty.
    pub body: String,
    /// `Key: value` lines at the end. Line ends in values become spaces.
    pub trailers: Vec<(String, String)>,
}

impl fmt::Display for CommitMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // NUL ends a commit's message in git, which refuses it.
        let line =
            |text: &str| text.replace('\0', "").split_whitespace().collect::<Vec<_>>().join(" ");
        let subject = line(&self.subject);
        writeln!(f, "{}", if subject.is_empty() { "(no subject)" } else { &subject })?;
        let body = self.body.replace('\0', "");
        if !body.trim().is_empty() {
            write!(f, "\n{}\n", body.trim_matches('\n').trim_end())?;
        }
        if !self.trailers.is_empty() {
            f.write_char('\n')?;
        }
        for (key, value) in &self.trailers {
            writeln!(f, "{key}: {}", line(value))?;
        }
        Ok(())
    }
}

/// What is to be committed, and where it belongs.
#[derive(Clone, Copy, Debug)]
pub struct Leftovers<'a> {
    /// The repository, from any of its worktrees.
    pub place: &'a Place,
    /// The job's worktree.
    pub worktree: &'a Path,
    /// The job's branch (short name).
    pub branch: &'a str,
    /// The job's name, for `refs/cx/stray/NAME`.
    pub name: &'a str,
    /// The message of the commit, if one is needed.
    pub message: &'a CommitMessage,
    /// The work is the merge of this commit, which stands in the worktree and is
    /// done: its second parent, unless the worker has committed it already.
    pub merges: Option<&'a Oid>,
}

/// Where the work is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The commit that was made; none when nothing was left over.
    pub commit: Option<Oid>,
    /// The tip of the job's branch afterwards; none only when there is no such branch.
    pub tip: Option<Oid>,
    /// What else a person should know.
    pub notes: Vec<Note>,
}

/// Something that was not as expected, and was dealt with. Displays as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// git knows no identity.
    #[error("git knows no user.name and user.email, so cx <cx@localhost> committed")]
    FallbackIdentity,
    /// A repository in the worktree that no commit holds.
    #[error("{} is a repository of its own and was left in the worktree, uncommitted", .0.display())]
    Nested(PathBuf),
    /// A submodule with work that no commit of the branch holds.
    #[error("submodule {} has changes or commits that are only in this worktree", .0.display())]
    Submodule(PathBuf),
    /// A file that git could not read.
    #[error("not committed: {0}")]
    Unreadable(String),
    /// A lock of a git that was killed.
    #[error("removed the stale lock {}", .0.display())]
    StaleLock(PathBuf),
    /// The index could not be read.
    #[error("the worktree's index was missing or broken, and was rebuilt")]
    IndexRebuilt,
    /// A merge, rebase, ... that the worker began.
    #[error("the worker left a {0} unfinished")]
    Unfinished(&'static str),
    /// HEAD was not on the job's branch; its work was brought over.
    #[error("the worker left the job's branch for {}; the branch was moved to its work", .0.as_deref().unwrap_or("a detached HEAD"))]
    Elsewhere(Option<String>),
    /// HEAD was not on the job's branch, and had gone another way.
    #[error("the worker's last commit {} is not on the job's branch, and is kept as {name}", oid.short())]
    Stray {
        /// The ref that keeps it.
        name: String,
        /// The commit.
        oid: Oid,
    },
    /// The worktree's `.git` file was missing or replaced.
    #[error("the worktree's .git file was missing or replaced")]
    GitFile,
}

/// Commits everything that lies in a writer's worktree on the job's branch.
///
/// The job's branch holds all work afterwards. Where the worker left it: it is
/// moved forward to that work, or, where the histories have parted, the work is
/// kept under `refs/cx/stray/`, and a note says so. Commits that the worker made
/// stay as they are. Fails where git cannot read or write the repository; the
/// files are then still in the worktree.
pub fn leftovers(what: &Leftovers<'_>) -> Result<Kept, GitError> {
    let mut notes = Vec::new();
    let place = settle(what, &mut notes)?;
    let git = || place.git();
    if stage::mend_index(&git, &place.git_dir)? {
        notes.push(Note::IndexRebuilt);
    }
    let unfinished = if what.merges.is_some() { None } else { unfinished(&place.git_dir) };
    notes.extend(unfinished.map(Note::Unfinished));
    let left = stage::all(&place, &git)?;
    notes.extend(left.nested.into_iter().map(Note::Nested));
    notes.extend(left.submodules.into_iter().map(Note::Submodule));
    notes.extend(left.unreadable.into_iter().map(Note::Unreadable));

    let repo = Repo::open(&place);
    let head = repo.head()?;
    let before = head.oid().cloned();
    let tree = git().arg("write-tree").run()?.oid()?;
    let known = match &before {
        Some(oid) => Some(repo.tree_of(oid)?),
        None => None,
    };
    let is_empty = before.is_none() && git().args(["ls-files", "-z"]).read()?.stdout.is_empty();
    let merges = match (what.merges, &before) {
        (Some(tip), Some(head)) if !repo.is_ancestor(tip, head)? => Some(tip),
        _ => None,
    };
    let commit = if merges.is_none() && (known.as_ref() == Some(&tree) || is_empty) {
        None
    } else {
        let parents: Vec<&Oid> = before.iter().chain(merges).collect();
        let (oid, fallback) = make(&git, &tree, &parents, what.message)?;
        if fallback {
            notes.push(Note::FallbackIdentity);
        }
        Some(oid)
    };
    let tip = place_work(what, &place, &head, commit.as_ref(), unfinished.is_some(), &mut notes)?;
    if what.merges.is_some() {
        git().args(["merge", "--quit"]).run()?;
    }
    Ok(Kept { commit, tip, notes })
}

/// Finds git's folder of the worktree, mends its `.git` file, drops stale locks.
fn settle(what: &Leftovers<'_>, notes: &mut Vec<Note>) -> Result<Place, GitError> {
    let worktree = fs::canonicalize(what.worktree).map_err(GitError::io("read", what.worktree))?;
    let git_dir = worktree::admin_dir(what.place, &worktree)
        .ok_or_else(|| GitError::NotAWorktree(worktree.clone()))?;
    let pointer = worktree.join(".git");
    if !fs::symlink_metadata(&pointer).is_ok_and(|meta| meta.is_file()) {
        notes.push(Note::GitFile);
        if fs::symlink_metadata(&pointer).is_err() {
            let mut content = b"gitdir: ".to_vec();
            content.extend_from_slice(git_dir.as_os_str().as_encoded_bytes());
            content.push(b'\n');
            fs::write(&pointer, content).map_err(GitError::io("write", &pointer))?;
        } else if pointer.is_dir() {
            notes.push(Note::Nested(PathBuf::from(".git")));
        }
    }
    // Only what belongs to this worktree and this branch: their worker is dead.
    let branch_lock = format!("refs/heads/{}.lock", what.branch);
    for lock in [
        git_dir.join("index.lock"),
        git_dir.join("HEAD.lock"),
        what.place.common_dir.join(branch_lock),
    ] {
        if fs::remove_file(&lock).is_ok() {
            notes.push(Note::StaleLock(lock));
        }
    }
    Ok(Place {
        common_dir: what.place.common_dir.clone(),
        git_dir,
        checkout: Some(worktree),
        prefix: PathBuf::new(),
        is_bare: false,
    })
}

/// What git has under way in the worktree with this git dir, as people call it.
pub fn unfinished(git_dir: &Path) -> Option<&'static str> {
    let signs = [
        ("rebase-merge", "rebase"),
        ("rebase-apply", "rebase"),
        ("MERGE_HEAD", "merge"),
        ("CHERRY_PICK_HEAD", "cherry-pick"),
        ("REVERT_HEAD", "revert"),
    ];
    let there = |sign: &&(&str, &str)| fs::symlink_metadata(git_dir.join(sign.0)).is_ok();
    signs.iter().find(there).map(|sign| sign.1)
}

/// Makes the job's branch hold the work, or keeps the work beside it.
/// Returns the branch's tip.
fn place_work(
    what: &Leftovers<'_>,
    place: &Place,
    head: &Head,
    commit: Option<&Oid>,
    unfinished: bool,
    notes: &mut Vec<Note>,
) -> Result<Option<Oid>, GitError> {
    let repo = Repo::open(place);
    let full = format!("refs/heads/{}", what.branch);
    let tip = repo.branch_tip(what.branch)?;
    let Some(work) = commit.or(head.oid()) else { return Ok(tip) };
    if head.branch() == Some(what.branch) {
        if tip.as_ref() != Some(work) {
            refs::update(place, &full, work, tip.as_ref(), "cx: commit what the worker left")?;
        }
        return Ok(Some(work.clone()));
    }
    let forward = match &tip {
        Some(tip) => repo.is_ancestor(tip, work)?,
        None => true,
    };
    if forward {
        if tip.as_ref() != Some(work) {
            refs::update(place, &full, work, tip.as_ref(), "cx: follow the worker")?;
            notes.push(Note::Elsewhere(head.branch().map(str::to_owned)));
        }
        if !unfinished {
            place.git().args(["symbolic-ref", "-m", "cx: return", "HEAD", &full]).run()?;
        }
        return Ok(Some(work.clone()));
    }
    let contained = match &tip {
        Some(tip) => repo.is_ancestor(work, tip)?,
        None => false,
    };
    if !contained {
        let name = refs::keep_under(place, refs::STRAY, what.name, work)?;
        notes.push(Note::Stray { name, oid: work.clone() });
    }
    // HEAD goes with the files, so that the worktree does not look changed; a
    // branch of the worker's own stays where the worker put it.
    if commit.is_some() {
        let why = "cx: commit what the worker left";
        place.git().args(["update-ref", "--no-deref", "-m", why, "HEAD", work.as_str()]).run()?;
    }
    Ok(tip)
}

/// Makes a commit, as the user, or as cx where git knows no user. Says whether as cx.
pub(super) fn make(
    git: &dyn Fn() -> Git,
    tree: &Oid,
    parents: &[&Oid],
    message: &CommitMessage,
) -> Result<(Oid, bool), GitError> {
    if has_identity(git)?.is_none() {
        return Ok((commit_tree(git(), tree, parents, &message.to_string(), false)?, false));
    }
    let mut as_cx = git();
    for role in ["AUTHOR", "COMMITTER"] {
        as_cx = as_cx.env(&format!("GIT_{role}_NAME"), "cx");
        as_cx = as_cx.env(&format!("GIT_{role}_EMAIL"), "cx@localhost");
    }
    Ok((commit_tree(as_cx, tree, parents, &message.to_string(), false)?, true))
}

/// What git says when it knows no identity; none when it knows one.
pub(super) fn has_identity(git: &dyn Fn() -> Git) -> Result<Option<String>, GitError> {
    for role in ["GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"] {
        let output = git().args(["var", role]).output()?;
        if output.code() != 0 {
            return Ok(Some(super::command::telling_line(&output.stderr)));
        }
    }
    Ok(None)
}

/// Makes a commit object; no ref moves. `git` may carry an identity and dates.
pub(super) fn commit_tree(
    git: Git,
    tree: &Oid,
    parents: &[&Oid],
    message: &str,
    signed: bool,
) -> Result<Oid, GitError> {
    let mut git = git.config("i18n.commitEncoding", "UTF-8").arg("commit-tree");
    if signed {
        git = git.arg("-S");
    }
    git = git.arg(tree);
    for parent in parents {
        git = git.arg("-p").arg(parent);
    }
    git.stdin(message).run()?.oid()
}

#[cfg(test)]
mod tests;
