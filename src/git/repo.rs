//! Questions to a repository, answered in process where `git2` can.
//!
//! `git2` opens in about 0.1 ms, a child takes ten times that, and `cx spawn`
//! asks in the foreground. A repository that `git2` refuses to open (partial
//! clone, reftable, SHA-256, an extension it does not know) is asked through
//! `git`, with the same answers.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::worktree::{self, Holder};
use super::{Git, GitError, Oid, Place, Settings};

/// What HEAD of a worktree is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// On a branch with commits.
    Branch {
        /// Short name: `main`.
        name: String,
        /// Its tip.
        oid: Oid,
    },
    /// On no branch.
    Detached(Oid),
    /// On this branch, which has no commits yet.
    Unborn(String),
}

impl Head {
    /// The commit, unless there is none yet.
    pub fn oid(&self) -> Option<&Oid> {
        match self {
            Self::Branch { oid, .. } | Self::Detached(oid) => Some(oid),
            Self::Unborn(_) => None,
        }
    }

    /// The branch, unless detached.
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Branch { name, .. } | Self::Unborn(name) => Some(name),
            Self::Detached(_) => None,
        }
    }
}

/// A repository that can be asked.
pub struct Repo {
    place: Place,
    /// None: ask `git`.
    lib: Option<git2::Repository>,
    settings: OnceCell<Settings>,
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repo")
            .field("place", &self.place)
            .field("lib", &self.lib.is_some())
            .finish_non_exhaustive()
    }
}

fn lib_error(error: &git2::Error) -> GitError {
    GitError::Read(error.message().to_owned())
}

impl Repo {
    /// Opens the repository at `place`. Never fails: what `git2` cannot open is
    /// asked through `git`, whose errors then come with the questions.
    pub fn open(place: &Place) -> Self {
        // No environment, no search: the place says it all.
        let lib = git2::Repository::open_ext(
            &place.git_dir,
            git2::RepositoryOpenFlags::NO_SEARCH,
            std::iter::empty::<&Path>(),
        );
        Self { place: place.clone(), lib: lib.ok(), settings: OnceCell::new() }
    }

    /// The same repository as the worktree at `place` sees it, with what is known
    /// already where that is this one.
    pub(super) fn seen_from(&self, place: &Place) -> Self {
        let seen = Self::open(place);
        if place.git_dir == self.place.git_dir
            && let Some(known) = self.settings.get()
        {
            // It is empty, having just been made.
            let _ = seen.settings.set(known.clone());
        }
        seen
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether `git2` reads it; otherwise `git` does.
    pub fn is_in_process(&self) -> bool {
        self.lib.is_some()
    }

    #[cfg(test)]
    pub(super) fn open_with_git(place: &Place) -> Self {
        Self { place: place.clone(), lib: None, settings: OnceCell::new() }
    }

    /// What git is configured to do there; asked once, at the first need.
    pub fn settings(&self) -> Result<&Settings, GitError> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let read = Settings::read(&self.place)?;
        Ok(self.settings.get_or_init(|| read))
    }

    /// The library's own view of it, where it has one.
    pub(super) fn lib(&self) -> Option<&git2::Repository> {
        self.lib.as_ref()
    }

    fn git(&self) -> Git {
        self.place.git()
    }

    /// HEAD of the place's worktree.
    pub fn head(&self) -> Result<Head, GitError> {
        let Some(lib) = &self.lib else { return self.head_with_git() };
        let head = lib.find_reference("HEAD").map_err(|e| lib_error(&e))?;
        let Ok(Some(target)) = head.symbolic_target() else {
            let oid = head.peel_to_commit().map_err(|e| lib_error(&e))?.id();
            return oid_of(oid).map(Head::Detached);
        };
        let name = target.strip_prefix("refs/heads/").unwrap_or(target).to_owned();
        match lib.refname_to_id(target) {
            Ok(oid) => Ok(Head::Branch { name, oid: oid_of(oid)? }),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(Head::Unborn(name)),
            Err(error) => Err(lib_error(&error)),
        }
    }

    fn head_with_git(&self) -> Result<Head, GitError> {
        let symbolic = self.git().args(["symbolic-ref", "-q", "HEAD"]).output()?;
        let tip = self.git().args(["rev-parse", "-q", "--verify", "HEAD^{commit}"]).output()?;
        if symbolic.code() == 0 {
            let target = symbolic.text();
            let name = target.strip_prefix("refs/heads/").unwrap_or(&target).to_owned();
            if tip.code() == 0 {
                return Ok(Head::Branch { name, oid: tip.oid()? });
            }
            return Ok(Head::Unborn(name));
        }
        if symbolic.code() != 1 {
            return Err(symbolic.error());
        }
        tip.success()?.oid().map(Head::Detached)
    }

    /// The commit that `rev` names: a branch, a tag, an id, `HEAD~2`, ...
    pub fn resolve_commit(&self, rev: &str) -> Result<Oid, GitError> {
        if let Some(lib) = &self.lib {
            let found = lib.revparse_single(rev).and_then(|object| object.peel_to_commit());
            if let Ok(commit) = found {
                return oid_of(commit.id());
            }
        }
        // git knows more ways to name a commit, and has the last word.
        let spec = format!("{rev}^{{commit}}");
        let output =
            self.git().args(["rev-parse", "-q", "--verify", "--end-of-options", &spec]).output()?;
        match output.code() {
            0 => output.oid(),
            1 => Err(GitError::NoSuchRevision(rev.to_owned())),
            _ if output.stderr.contains("not a git repository")
                || output.stderr.contains("dubious ownership") =>
            {
                Err(output.error())
            }
            _ => Err(GitError::NoSuchRevision(rev.to_owned())),
        }
    }

    /// The tip of branch `name` (short: `main`); none when there is no such branch.
    pub fn branch_tip(&self, name: &str) -> Result<Option<Oid>, GitError> {
        self.ref_tip(&format!("refs/heads/{name}"))
    }

    /// The commit that the ref with the full name `name` points to.
    pub fn ref_tip(&self, name: &str) -> Result<Option<Oid>, GitError> {
        if let Some(lib) = &self.lib {
            return match lib.refname_to_id(name) {
                Ok(oid) => oid_of(oid).map(Some),
                Err(error)
                    if matches!(
                        error.code(),
                        git2::ErrorCode::NotFound | git2::ErrorCode::InvalidSpec
                    ) =>
                {
                    Ok(None)
                }
                Err(error) => Err(lib_error(&error)),
            };
        }
        let output = self.git().args(["rev-parse", "-q", "--verify", name]).output()?;
        match output.code() {
            0 => output.oid().map(Some),
            1 => Ok(None),
            _ => Err(output.error()),
        }
    }

    /// Whether there is a branch `name`.
    pub fn branch_exists(&self, name: &str) -> Result<bool, GitError> {
        Ok(self.branch_tip(name)?.is_some())
    }

    /// A branch below `name`, as in a folder: there can be no branch `name` then.
    pub fn branch_below(&self, name: &str) -> Result<Option<String>, GitError> {
        Ok(self.branches_in(&format!("{name}/"))?.into_iter().next())
    }

    /// The local branches, sorted. Names that are not UTF-8 are left out.
    pub fn branches(&self) -> Result<Vec<String>, GitError> {
        self.branches_in("")
    }

    /// The local branches whose names begin with `prefix`, which is empty or ends
    /// with a `/`.
    fn branches_in(&self, prefix: &str) -> Result<Vec<String>, GitError> {
        let mut names: Vec<String> = if let Some(lib) = &self.lib {
            let glob = format!("refs/heads/{prefix}*");
            let references = lib.references_glob(&glob).map_err(|e| lib_error(&e))?;
            references
                .filter_map(Result::ok)
                .filter_map(|r| r.name().ok()?.strip_prefix("refs/heads/").map(str::to_owned))
                .collect()
        } else {
            let format = "--format=%(refname:lstrip=2)";
            let within = format!("refs/heads/{prefix}");
            let output = self.git().args(["for-each-ref", format, &within]).read()?;
            String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
        };
        names.sort_unstable();
        Ok(names)
    }

    /// Whether the index has paths in conflict; none where only git can tell.
    pub(super) fn has_conflicts(&self) -> Option<bool> {
        let index = self.lib.as_ref()?.index().ok()?;
        Some(index.has_conflicts())
    }

    /// The branches, local and remote, by their full names, and where they are.
    pub(super) fn all_branches(&self) -> Result<Vec<(String, Oid)>, GitError> {
        if let Some(lib) = &self.lib {
            let mut found = Vec::new();
            for glob in ["refs/heads/*", "refs/remotes/*"] {
                for reference in lib.references_glob(glob).map_err(|e| lib_error(&e))? {
                    // One that points nowhere holds nothing.
                    let named = reference.ok().and_then(|one| {
                        Some((one.name().ok()?.to_owned(), one.resolve().ok()?.target()?))
                    });
                    if let Some((name, oid)) = named {
                        found.push((name, oid_of(oid)?));
                    }
                }
            }
            return Ok(found);
        }
        let format = "--format=%(objectname) %(refname)";
        let refs =
            self.git().args(["for-each-ref", format, "refs/heads", "refs/remotes"]).read()?;
        let branch = |line: &str| {
            let (oid, name) = line.split_once(' ')?;
            Some((name.to_owned(), Oid::new(oid).ok()?))
        };
        Ok(String::from_utf8_lossy(&refs.stdout).lines().filter_map(branch).collect())
    }

    /// The checkout that has branch `name` checked out, if one has.
    pub fn worktree_holding(&self, name: &str) -> Result<Option<PathBuf>, GitError> {
        if self.lib.is_some()
            && !self.settings()?.is_on("core.bare")
            && !self.settings()?.is_on("extensions.worktreeconfig")
        {
            match worktree::holder(&self.place, name) {
                Holder::Checkout(path) => return Ok(Some(path)),
                Holder::Nobody => return Ok(None),
                Holder::Unclear => {}
            }
        }
        let held = worktree::list(&self.place)?;
        Ok(held.into_iter().find(|tree| tree.branch.as_deref() == Some(name)).map(|tree| tree.path))
    }

    /// How many commits are in `tip` that are not in `base`.
    pub fn commits_between(&self, base: &Oid, tip: &Oid) -> Result<usize, GitError> {
        if let Some(lib) = &self.lib
            && let Ok((ahead, _)) = lib.graph_ahead_behind(lib_oid(tip)?, lib_oid(base)?)
        {
            return Ok(ahead);
        }
        let range = format!("{base}..{tip}");
        let output = self.git().args(["rev-list", "--count", &range, "--"]).read()?;
        output.text().parse().map_err(|_| GitError::Answer("git rev-list --count".to_owned()))
    }

    /// The commits that `tips` have and none of `known` has: `COMMIT PARENT...` in lines.
    pub(super) fn beyond(&self, known: &[&Oid], tips: &[&Oid]) -> Result<String, GitError> {
        if let Some(lib) = &self.lib
            && let Ok(listed) = beyond(lib, known, tips)
        {
            return Ok(listed);
        }
        let mut input = String::new();
        for known in known {
            input.extend(["^", known.as_str(), "\n"]);
        }
        for tip in tips {
            input.extend([tip.as_str(), "\n"]);
        }
        Ok(self.git().args(["rev-list", "--parents", "--stdin"]).stdin(input).read()?.text())
    }

    /// Whether `a` is in the history of `b`; a commit is in its own.
    pub fn is_ancestor(&self, a: &Oid, b: &Oid) -> Result<bool, GitError> {
        if a == b {
            return Ok(true);
        }
        if let Some(lib) = &self.lib
            && let Ok(answer) = lib.graph_descendant_of(lib_oid(b)?, lib_oid(a)?)
        {
            return Ok(answer);
        }
        let output =
            self.git().args(["merge-base", "--is-ancestor", a.as_str(), b.as_str()]).output()?;
        match output.code() {
            0 => Ok(true),
            1 => Ok(false),
            _ => Err(output.error()),
        }
    }

    /// The tree of a commit.
    pub fn tree_of(&self, commit: &Oid) -> Result<Oid, GitError> {
        if let Some(lib) = &self.lib
            && let Ok(found) = lib.find_commit(lib_oid(commit)?)
        {
            return oid_of(found.tree_id());
        }
        self.git().args(["rev-parse", &format!("{commit}^{{tree}}")]).read()?.oid()
    }

    /// The best common ancestor; none for unrelated histories.
    pub fn merge_base(&self, a: &Oid, b: &Oid) -> Result<Option<Oid>, GitError> {
        if let Some(lib) = &self.lib {
            match lib.merge_base(lib_oid(a)?, lib_oid(b)?) {
                Ok(oid) => return oid_of(oid).map(Some),
                Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
                Err(_) => {}
            }
        }
        let output = self.git().args(["merge-base", a.as_str(), b.as_str()]).output()?;
        match output.code() {
            0 => output.oid().map(Some),
            1 => Ok(None),
            _ => Err(output.error()),
        }
    }

    /// All best common ancestors: none for unrelated histories, several where
    /// histories cross.
    pub fn merge_bases(&self, a: &Oid, b: &Oid) -> Result<Vec<Oid>, GitError> {
        if let Some(lib) = &self.lib {
            match lib.merge_bases(lib_oid(a)?, lib_oid(b)?) {
                Ok(bases) => return bases.iter().map(|oid| oid_of(*oid)).collect(),
                Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(Vec::new()),
                Err(_) => {}
            }
        }
        let output = self.git().args(["merge-base", "--all", a.as_str(), b.as_str()]).output()?;
        let answer = |_| GitError::Answer("git merge-base --all".to_owned());
        match output.code() {
            0 => output.text().lines().map(|line| Oid::new(line).map_err(answer)).collect(),
            1 => Ok(Vec::new()),
            _ => Err(output.error()),
        }
    }

    /// Whether the tree `tree` has a folder `path`. `false` also where only git
    /// itself could tell: this is asked often, to save work.
    pub(super) fn has_folder(&self, tree: &Oid, path: &[u8]) -> bool {
        let path = Path::new(OsStr::from_bytes(path));
        let Some(lib) = &self.lib else { return false };
        let tree = lib_oid(tree).ok().and_then(|oid| lib.find_tree(oid).ok());
        path.as_os_str().is_empty()
            || tree
                .and_then(|tree| tree.get_path(path).ok())
                .is_some_and(|entry| entry.kind() == Some(git2::ObjectType::Tree))
    }
}

fn beyond(lib: &git2::Repository, known: &[&Oid], tips: &[&Oid]) -> Result<String, GitError> {
    let mut walk = lib.revwalk().map_err(|e| lib_error(&e))?;
    for known in known {
        walk.hide(lib_oid(known)?).map_err(|e| lib_error(&e))?;
    }
    for tip in tips {
        walk.push(lib_oid(tip)?).map_err(|e| lib_error(&e))?;
    }
    let mut listed = String::new();
    for oid in walk {
        let commit = oid.and_then(|oid| lib.find_commit(oid)).map_err(|e| lib_error(&e))?;
        listed.push_str(&commit.id().to_string());
        for parent in commit.parent_ids() {
            listed.push(' ');
            listed.push_str(&parent.to_string());
        }
        listed.push('\n');
    }
    Ok(listed)
}

pub(super) fn oid_of(oid: git2::Oid) -> Result<Oid, GitError> {
    Oid::new(&oid.to_string()).map_err(|_| GitError::Read("an object id is malformed".to_owned()))
}

pub(super) fn lib_oid(oid: &Oid) -> Result<git2::Oid, GitError> {
    git2::Oid::from_str(oid.as_str()).map_err(|e| lib_error(&e))
}

#[cfg(test)]
mod tests;
