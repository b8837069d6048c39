use std::path::Path;

use super::{Head, Repo};
use crate::git::testing::Fixture;
use crate::git::{GitError, Oid, Place, refs};

/// Asks the same of both engines, which must agree.
fn both(fixture: &Fixture, ask: impl Fn(&Repo)) {
    let repo = fixture.repo();
    assert!(repo.is_in_process());
    ask(&repo);
    ask(&Repo::open_with_git(&fixture.place()));
}

fn ask_everything(fixture: &Fixture, repo: &Repo, start: &Oid, second: &Oid, other: &Oid) {
    assert_eq!(repo.head().unwrap(), Head::Branch { name: "main".into(), oid: second.clone() });
    assert_eq!(repo.resolve_commit("HEAD~1").unwrap(), *start);
    assert_eq!(repo.resolve_commit("v1").unwrap(), *start);
    assert_eq!(repo.resolve_commit(start.short()).unwrap(), *start);
    for bad in ["nope", "HEAD~9", "HEAD:README", "", "--all", "-n"] {
        let error = repo.resolve_commit(bad).unwrap_err();
        assert!(matches!(error, GitError::NoSuchRevision(_)), "{bad}: {error}");
    }
    assert_eq!(repo.branches().unwrap(), ["main", "side/way"]);
    assert_eq!(repo.branch_tip("side/way").unwrap().as_ref(), Some(other));
    assert!(!repo.branch_exists("side").unwrap());
    assert!(!repo.branch_exists("bad..name").unwrap());
    assert_eq!(repo.worktree_holding("main").unwrap(), Some(fixture.root()));
    assert_eq!(repo.worktree_holding("side/way").unwrap(), None);
    assert_eq!(repo.commits_between(start, second).unwrap(), 1);
    assert_eq!(repo.commits_between(second, start).unwrap(), 0);
    assert!(repo.is_ancestor(start, second).unwrap() && repo.is_ancestor(start, start).unwrap());
    assert!(!repo.is_ancestor(second, start).unwrap());
    assert_eq!(repo.merge_base(second, other).unwrap().as_ref(), Some(start));
}

fn history(fixture: &Fixture) -> (Oid, Oid, Oid) {
    let start = fixture.oid("HEAD");
    fixture.git(&["tag", "-a", "-m", "one", "v1"]);
    fixture.git(&["checkout", "-q", "-b", "side/way"]);
    let other = fixture.commit("other");
    fixture.git(&["checkout", "-q", "main"]);
    fixture.write("README", "second\n");
    let second = fixture.commit("second");
    (start, second, other)
}

#[test]
fn both_engines_answer_alike() {
    let fixture = Fixture::new();
    let (start, second, other) = history(&fixture);
    both(&fixture, |repo| ask_everything(&fixture, repo, &start, &second, &other));
    fixture.git(&["checkout", "-q", "--detach", "v1"]);
    both(&fixture, |repo| assert_eq!(repo.head().unwrap(), Head::Detached(start.clone())));
    fixture.git(&["checkout", "-q", "--orphan", "new"]);
    both(&fixture, |repo| {
        assert_eq!(repo.head().unwrap(), Head::Unborn("new".into()));
        assert_eq!(repo.worktree_holding("main").unwrap(), None);
    });
    let foreign = fixture.commit("no parents");
    both(&fixture, |repo| assert_eq!(repo.merge_base(&foreign, &start).unwrap(), None));
}

#[test]
fn both_know_who_holds_a_branch_and_what_is_on_none() {
    let fixture = Fixture::new();
    let tree = fixture.worktree("a");
    fixture.git(&["checkout", "-q", "-b", "topic/x"]);
    let topic = fixture.commit("topic");
    let holds = |name: &str, holder: Option<&Path>| {
        both(&fixture, |repo| {
            let held = repo.worktree_holding(name).unwrap();
            assert_eq!(held.as_deref(), holder, "{name}");
        });
    };
    holds("topic/x", Some(&fixture.root()));
    holds("cx/a", Some(&tree));
    holds("main", None);
    holds("nowhere", None);
    fixture.git(&["-C", tree.to_str().unwrap(), "checkout", "-q", "--detach"]);
    holds("cx/a", None);
    // A repository without a main checkout says `bare` to git, whatever its HEAD is.
    fixture.git(&["config", "core.bare", "true"]);
    let linked = Place::discover(&tree).unwrap().unwrap();
    assert_eq!(Repo::open(&linked).worktree_holding("topic/x").unwrap(), None);
    fixture.git(&["config", "core.bare", "false"]);

    fixture.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    fixture.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]);
    let names = |repo: &Repo| {
        let mut all = repo.all_branches().unwrap();
        all.sort_unstable();
        all
    };
    assert_eq!(names(&fixture.repo()), names(&Repo::open_with_git(&fixture.place())));
    assert_eq!(names(&fixture.repo()).len(), 5);
    both(&fixture, |repo| {
        let (main, own) = (fixture.oid("main"), [&topic]);
        let beyond = repo.beyond(&[&main], &own).unwrap();
        assert_eq!(beyond.trim_end(), format!("{topic} {main}"));
        assert_eq!(repo.beyond(&own, &[&main]).unwrap(), "");
    });
}

#[test]
fn what_git2_cannot_open_is_asked_through_git() {
    for options in [&["--object-format=sha256"][..], &["--ref-format=reftable"]] {
        let fixture = Fixture::with(options);
        let (start, second, other) = history(&fixture);
        let repo = fixture.repo();
        ask_everything(&fixture, &repo, &start, &second, &other);
    }
    let fixture = Fixture::new();
    let (start, second, other) = history(&fixture);
    fixture.git(&["config", "core.repositoryFormatVersion", "1"]);
    fixture.git(&["config", "extensions.partialClone", "origin"]);
    let repo = fixture.repo();
    assert!(!repo.is_in_process());
    ask_everything(&fixture, &repo, &start, &second, &other);
}

#[test]
fn refs_move_only_from_where_they_are_expected() {
    let fixture = Fixture::new();
    let (start, second, other) = history(&fixture);
    let place = fixture.place();
    let moved = refs::update(&place, "refs/heads/side/way", &second, Some(&start), "test");
    assert!(matches!(moved, Err(GitError::RefMoved { .. })));
    let gone = refs::delete_branch(&Repo::open(&place), "side/way", &second);
    assert!(matches!(gone, Err(GitError::RefMoved { .. })));
    assert_eq!(fixture.repo().branch_tip("side/way").unwrap().as_ref(), Some(&other));
    refs::delete_branch(&Repo::open(&place), "side/way", &other).unwrap();
    refs::delete_branch(&Repo::open(&place), "side/way", &other).unwrap();
    assert_eq!(fixture.repo().branches().unwrap(), ["main"]);

    assert_eq!(refs::keep(&place, "a", &start).unwrap(), "refs/cx/trash/a");
    assert_eq!(refs::keep(&place, "a", &start).unwrap(), "refs/cx/trash/a");
    assert_eq!(refs::keep(&place, "a", &second).unwrap(), "refs/cx/trash/a-2");
    assert_eq!(fixture.oid("refs/cx/trash/a-2"), second);
}
