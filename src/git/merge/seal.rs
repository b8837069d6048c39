//! From drafts to the commits that land: hooks, the person's words, signatures.
//!
//! The landing order of a plan is gone through again, and every commit is made
//! as `git merge` (or, for a squash, `git commit`) makes it:
//!
//! ```text
//! pre-merge-commit   (pre-commit for a squash)   may change the index; no: held back
//! prepare-commit-msg FILE merge
//! the editor, with --edit                        no, or empty: nothing lands at all
//! commit-msg FILE                                no: held back
//! commit                                         signed where commit.gpgSign says so
//! ```
//!
//! The checkout must not change before the result is known, so hooks see the
//! merge in a scratch worktree of their own (`merge-hooks` in the state folder):
//! its HEAD is the first parent (detached), its index is the merge, MERGE_HEAD
//! the branch. `pre-merge-commit` runs in its files. The hooks that look at
//! messages run in the person's checkout, with that HEAD and index, because the
//! tools they start are often installed there, untracked. A crash leaves the
//! scratch worktree, which the next [`seal`] or [`clear`] takes.

use std::cell::{OnceCell, RefCell};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::hook::{self, Hooks, Stage};
use super::plan::{Chain, Commits, Tried};
use super::{
    Candidate, Cleanup, Entry, MergeError, MergePlan, Opponent, Style, Target, Verdict, Wishes,
};
use crate::git::commit::{Pen, commit_tree};
use crate::git::{GitError, Oid, Place, Repo, worktree};

/// The hooks that may have a say before the commit of a merge, or of a squash.
const MERGE_HOOKS: &[&str] = &["pre-merge-commit", "prepare-commit-msg", "commit-msg"];
const SQUASH_HOOKS: &[&str] = &["pre-commit", "prepare-commit-msg", "commit-msg"];

const SCRATCH: &str = "merge-hooks";

/// What has a say.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'a> {
    /// What the plan was made with.
    pub style: Style,
    /// Where it will land.
    pub target: &'a Target,
    /// The folder for the scratch worktree; one for each repository.
    pub state: &'a Path,
    /// The lock file for worktree commands.
    pub worktree_lock: &'a Path,
    /// Whether the repository's hooks run.
    pub hooks: bool,
    /// Whether a person edits the message of each merge.
    pub edit: bool,
    /// What git is configured to do.
    pub wishes: &'a Wishes,
}

/// Makes the commits of `plan` for good. `candidates` are those it was made
/// from, perhaps with other messages, in the same order.
///
/// A candidate whose commit a hook refuses is held back, and so is one that
/// conflicts with what a hook changed; the others go on, and whoever added
/// nothing to what is held back is tried anew. Where nothing has a
/// say the plan comes back as it is. No ref and no checkout changes.
pub fn seal(
    repo: &Repo,
    plan: &MergePlan,
    candidates: &[Candidate],
    how: &Seal<'_>,
) -> Result<MergePlan, MergeError> {
    let messages = plan.entries.iter().zip(candidates).all(|(entry, c)| entry.key == c.key);
    debug_assert!(messages, "the candidates are those of the plan");
    let (beside, hooks) = bystanders(repo, how)?;
    if !has_a_say(&hooks, candidates, how) {
        return Ok(plan.clone());
    }
    let sealer = Sealer {
        how,
        repo,
        hooks: &hooks,
        beside: &beside,
        scratch: OnceCell::new(),
        problem: RefCell::new(None),
    };
    let made = sealer.again(plan, candidates);
    let cleared = sealer.clear();
    let made = made.map_err(|error| sealer.problem.take().unwrap_or(error))?;
    cleared?;
    Ok(made)
}

/// Whether hooks, the person or a signature have a say in the commits of `candidates`:
/// whether [`seal`] would take more than a moment.
pub fn is_sealed(
    repo: &Repo,
    candidates: &[Candidate],
    how: &Seal<'_>,
) -> Result<bool, MergeError> {
    Ok(has_a_say(&bystanders(repo, how)?.1, candidates, how))
}

/// The person's checkout, or the repository, and the hooks there.
fn bystanders(repo: &Repo, how: &Seal<'_>) -> Result<(Place, Hooks), GitError> {
    let beside = match &how.target.checkout {
        Some(checkout) => Place::discover(checkout)?.unwrap_or_else(|| repo.place().clone()),
        None => repo.place().clone(),
    };
    let wanted: &[&str] = match how.style {
        _ if !how.hooks => &[],
        Style::Merge | Style::NoFf => MERGE_HOOKS,
        Style::Squash => SQUASH_HOOKS,
        // As in git: no commit is merged here, and a rebase keeps messages.
        Style::FfOnly | Style::Rebase => &[],
    };
    let hooks = match wanted {
        [] => Hooks::default(),
        wanted => Hooks::find(&repo.seen_from(&beside), wanted)?,
    };
    Ok((beside, hooks))
}

fn has_a_say(hooks: &Hooks, candidates: &[Candidate], how: &Seal<'_>) -> bool {
    let is_clean = match how.wishes.cleanup {
        Cleanup::Verbatim => true,
        Cleanup::Strip => false,
        _ => candidates.iter().all(|candidate| is_tidy(&candidate.message.to_string())),
    };
    !hooks.is_empty() || how.edit || how.wishes.sign || !is_clean
}

/// Whether git would leave the blanks of a message as they are.
fn is_tidy(message: &str) -> bool {
    !message.contains("\n\n\n")
        && message.lines().all(|line| !line.ends_with(|c: char| c.is_ascii_whitespace()))
}

/// Takes away the scratch worktree that a killed [`seal`] left. Does nothing
/// while one is at work.
pub fn clear(place: &Place, state: &Path, worktree_lock: &Path) -> Result<(), GitError> {
    let path = state.join(SCRATCH);
    if fs::symlink_metadata(&path).is_err() {
        return Ok(());
    }
    let lock = lock_file(state)?;
    if lock.try_lock().is_err() {
        return Ok(());
    }
    remove(place, &path, worktree_lock)
}

fn lock_file(state: &Path) -> Result<File, GitError> {
    let path = state.join("merge-hooks.lock");
    let mut options = File::options();
    options.create(true).truncate(false).write(true).read(true);
    options.open(&path).map_err(GitError::io("open", &path))
}

fn remove(place: &Place, path: &Path, lock: &Path) -> Result<(), GitError> {
    match worktree::remove(place, path, lock)? {
        Some(trash) => worktree::delete(&trash),
        None => Ok(()),
    }
}

/// The scratch worktree, and the lock that says it is in use.
struct Scratch {
    place: Place,
    path: PathBuf,
    _lock: File,
}

struct Sealer<'a> {
    how: &'a Seal<'a>,
    repo: &'a Repo,
    hooks: &'a Hooks,
    /// The person's checkout, or the repository.
    beside: &'a Place,
    scratch: OnceCell<Scratch>,
    /// What ended it that is not git's.
    problem: RefCell<Option<MergeError>>,
}

impl Sealer<'_> {
    fn again(&self, plan: &MergePlan, candidates: &[Candidate]) -> Result<MergePlan, MergeError> {
        let chain = Chain::new(self.repo, self.how.style, self)?;
        let mut sealed = MergePlan {
            target: plan.target.clone(),
            result: plan.target.clone(),
            entries: plan.entries.clone(),
            landed: Vec::new(),
        };
        // Who adds nothing to one that is refused may add something to the rest.
        let idle = plan.idle();
        for &at in plan.landed.iter().chain(&idle) {
            if sealed.landed.len() == plan.landed.len() {
                break;
            }
            let tried = chain.try_next(&sealed.result, candidates, &sealed.landed, at)?;
            let verdict = match tried {
                Tried::Verdict(verdict) => verdict,
                Tried::Conflicts(paths) => {
                    let keys = sealed.landed.iter().map(|at| candidates[*at].key.clone());
                    let opponent = Opponent::Candidates(keys.collect());
                    Verdict::Conflicts { paths, opponent }
                }
            };
            if let Verdict::Landed { commit } = &verdict {
                sealed.result = commit.clone();
                sealed.landed.push(at);
            }
            sealed.entries[at] = Entry { key: candidates[at].key.clone(), verdict };
        }
        Ok(sealed)
    }

    /// The scratch worktree at `commit`; made at its first use. Its files are
    /// there only if a hook looks at them.
    fn scratch(&self, commit: &Oid) -> Result<&Scratch, GitError> {
        if let Some(scratch) = self.scratch.get() {
            let head = ["update-ref", "--no-deref", "HEAD", commit.as_str()];
            scratch.place.git().args(head).run()?;
            return Ok(scratch);
        }
        let lock = lock_file(self.how.state)?;
        lock.lock().map_err(GitError::io("lock", &self.how.state.join("merge-hooks.lock")))?;
        let path = self.how.state.join(SCRATCH);
        remove(self.repo.place(), &path, self.how.worktree_lock)?;
        let files = self.looks_at_files();
        let place =
            worktree::scratch(self.repo.place(), &path, commit, files, self.how.worktree_lock)?;
        Ok(self.scratch.get_or_init(|| Scratch { place, path, _lock: lock }))
    }

    fn looks_at_files(&self) -> bool {
        self.hooks.has("pre-merge-commit") || self.hooks.has("pre-commit")
    }

    fn clear(&self) -> Result<(), GitError> {
        match self.scratch.get() {
            Some(scratch) => remove(self.repo.place(), &scratch.path, self.how.worktree_lock),
            None => Ok(()),
        }
    }

    /// Gives up everything, for a reason that is not git's.
    fn give_up(&self, problem: MergeError) -> GitError {
        *self.problem.borrow_mut() = Some(problem);
        GitError::Answer("the person".to_owned())
    }

    /// The part that needs the scratch worktree. The tree to commit and the
    /// final message, or the hook that said no.
    fn with_hooks(
        &self,
        candidate: &Candidate,
        tree: &Oid,
        parents: &[&Oid],
    ) -> Result<Result<(Oid, String), &'static str>, GitError> {
        let squash = parents.len() == 1;
        let Scratch { place: there, path, .. } = self.scratch(parents[0])?;
        let interactive = self.how.edit;
        let git_dir = Some(there.git_dir.as_path());
        let in_files = Stage { cwd: path, git_dir, interactive };
        let in_checkout = Stage { cwd: self.beside.folder(), git_dir, interactive };
        let read = there.git().arg("read-tree");
        let read = if self.looks_at_files() { read.args(["--reset", "-u"]) } else { read };
        read.arg(tree).run()?;
        let first = if squash { "pre-commit" } else { "pre-merge-commit" };
        if !self.hooks.run(first, &[], in_files)? {
            return Ok(Err(first));
        }
        let tree = there.git().arg("write-tree").run()?.oid()?;
        let merge_head = there.git_dir.join("MERGE_HEAD");
        if !squash {
            let heads = format!("{}\n", candidate.tip);
            fs::write(&merge_head, heads).map_err(GitError::io("write", &merge_head))?;
        }
        let name = if squash { "COMMIT_EDITMSG" } else { "MERGE_MSG" };
        let file = there.git_dir.join(name);
        fs::write(&file, candidate.message.to_string()).map_err(GitError::io("write", &file))?;
        let kind = OsStr::new(if squash { "squash" } else { "merge" });
        if !self.hooks.run("prepare-commit-msg", &[file.as_os_str(), kind], in_checkout)? {
            return Ok(Err("prepare-commit-msg"));
        }
        if self.how.edit {
            self.edit(&file)?;
        }
        if !self.hooks.run("commit-msg", &[file.as_os_str()], in_checkout)? {
            return Ok(Err("commit-msg"));
        }
        let message = self.message(&file)?;
        if !squash {
            fs::remove_file(&merge_head).map_err(GitError::io("remove", &merge_head))?;
        }
        Ok(Ok((tree, message)))
    }

    fn edited_alone(&self, candidate: &Candidate) -> Result<String, GitError> {
        let folder = tempfile::tempdir_in(self.how.state)
            .map_err(GitError::io("make a folder in", self.how.state))?;
        // The name tells editors what it is.
        let file = folder.path().join("MERGE_MSG");
        fs::write(&file, candidate.message.to_string()).map_err(GitError::io("write", &file))?;
        self.edit(&file)?;
        self.message(&file)
    }

    fn edit(&self, file: &Path) -> Result<(), GitError> {
        let cut = if self.how.wishes.cleanup == Cleanup::Scissors { hook::SCISSORS } else { "" };
        let help = "Please enter a commit message to explain why this merge is necessary.\n\
                    \n\
                    Lines starting with the comment character will be ignored, and an empty\n\
                    message gives up the whole merge.\n";
        let git = self.repo.place().git().args(["stripspace", "--comment-lines"]);
        let help = git.stdin(format!("{cut}\n{help}").trim_start()).run()?.stdout;
        let mut text = fs::read(file).map_err(GitError::io("read", file))?;
        text.push(b'\n');
        text.extend_from_slice(&help);
        fs::write(file, text).map_err(GitError::io("write", file))?;
        hook::edit(self.beside, file)?.map_err(|why| self.give_up(MergeError::Editor(why)))
    }

    fn message(&self, file: &Path) -> Result<String, GitError> {
        let text = fs::read(file).map_err(GitError::io("read", file))?;
        hook::clean(self.repo.place().git(), text, self.how.edit, self.how.wishes.cleanup)
    }
}

impl Commits for Sealer<'_> {
    fn merged(
        &self,
        candidate: &Candidate,
        tree: &Oid,
        parents: &[&Oid],
    ) -> Result<Verdict, GitError> {
        let (tree, message) = if !self.hooks.is_empty() {
            match self.with_hooks(candidate, tree, parents)? {
                Ok(made) => made,
                Err(hook) => return Ok(Verdict::Refused { hook }),
            }
        } else if self.how.edit {
            (tree.clone(), self.edited_alone(candidate)?)
        } else {
            let text = candidate.message.to_string();
            let git = self.repo.place().git();
            (tree.clone(), hook::clean(git, text.into_bytes(), false, self.how.wishes.cleanup)?)
        };
        if message.trim().is_empty() {
            return Err(self.give_up(MergeError::EmptyMessage(candidate.key.clone())));
        }
        let commit = if self.how.wishes.sign {
            commit_tree(self.repo.place().git(), &tree, parents, &message, true)?
        } else {
            Pen::new(self.repo)?.commit(&tree, parents, &message)?
        };
        Ok(Verdict::Landed { commit })
    }

    fn are_signed(&self) -> bool {
        self.how.wishes.sign
    }
}
