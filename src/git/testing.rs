//! Repositories to test with: in folders of their own, with nobody's configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Git, Oid, Place, Repo};

/// What every `git` that tests start gets: no configuration but the
/// repository's, a fixed clock.
pub(super) fn environment(command: &mut Command) {
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command.env("HOME", "/nonexistent").env_remove("XDG_CONFIG_HOME");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_DATE"), "2026-01-02T03:04:05Z");
        command.env_remove(format!("GIT_{role}_NAME")).env_remove(format!("GIT_{role}_EMAIL"));
    }
    command.env_remove("EMAIL").env_remove("GIT_CONFIG_COUNT").env_remove("GIT_CONFIG_PARAMETERS");
}

/// A repository with one commit on `main`, holding `README` and `src/lib`.
pub(super) struct Fixture {
    pub(super) temp: tempfile::TempDir,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    /// The same, with more options for `git init`.
    pub(super) fn with(options: &[&str]) -> Self {
        let temp = tempfile::tempdir().expect("a folder");
        let fixture = Self { temp };
        fs::create_dir(fixture.root()).expect("made");
        fixture
            .git(&["init", "-q", "-b", "main"].iter().chain(options).copied().collect::<Vec<_>>());
        fixture.git(&["config", "user.name", "Ada"]);
        fixture.git(&["config", "user.email", "ada@example.org"]);
        fixture.write("README", "hello\n");
        fixture.write("src/lib", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
        fixture.commit("start");
        fixture
    }

    /// A repository on `main` without a commit, for histories that are imported.
    pub(super) fn bare_of_commits() -> Self {
        let fixture = Self { temp: tempfile::tempdir().expect("a folder") };
        fs::create_dir(fixture.root()).expect("made");
        fixture.git(&["init", "-q", "-b", "main"]);
        fixture
    }

    /// The checkout.
    pub(super) fn root(&self) -> PathBuf {
        fs::canonicalize(self.temp.path()).expect("there").join("repo")
    }

    pub(super) fn beside(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.temp.path()).expect("there").join(name)
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.beside("lock")
    }

    pub(super) fn place(&self) -> Place {
        Place::discover(&self.root()).expect("readable").expect("a repository")
    }

    pub(super) fn repo(&self) -> Repo {
        Repo::open(&self.place())
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        git(&self.root(), args)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        write(&self.root(), path, text);
    }

    /// Commits everything in the checkout.
    pub(super) fn commit(&self, subject: &str) -> Oid {
        commit(&self.root(), subject)
    }

    /// A linked worktree `cx/NAME` at HEAD.
    pub(super) fn worktree(&self, name: &str) -> PathBuf {
        let path = self.beside("repo.cx").join(name);
        let base = self.repo().resolve_commit("HEAD").expect("a commit");
        let branch = format!("cx/{name}");
        let new = super::worktree::NewWorktree { path: &path, branch: Some(&branch), base: &base };
        super::worktree::create(&self.place(), &new, &self.lock()).expect("a worktree");
        path
    }

    /// The commit that `rev` names.
    pub(super) fn oid(&self, rev: &str) -> Oid {
        Oid::new(&self.git(&["rev-parse", rev])).expect("an id")
    }
}

pub(super) fn git(folder: &Path, args: &[&str]) -> String {
    Git::at(folder).args(args).run().unwrap_or_else(|error| panic!("{error}")).text()
}

pub(super) fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, text).expect("written");
}

pub(super) fn commit(folder: &Path, subject: &str) -> Oid {
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-q", "--allow-empty", "-m", subject]);
    Oid::new(&git(folder, &["rev-parse", "HEAD"])).expect("an id")
}
