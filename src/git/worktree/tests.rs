use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::git::testing::{Fixture, commit, git, write};

#[test]
fn a_worktree_comes_and_goes_and_leaves_nothing() {
    let fixture = Fixture::new();
    let hook = fixture.root().join(".git/hooks/post-checkout");
    write(&fixture.root(), ".git/hooks/post-checkout", "#!/bin/sh\nexit 7\n");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let tree = fixture.worktree("a");
    assert_eq!(fs::read_to_string(tree.join("README")).unwrap(), "hello\n");
    assert!(state(&fixture.place(), &tree, None).unwrap().is_clean());
    let listed = list(&fixture.place()).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1].branch.as_deref(), Some("cx/a"));
    assert_eq!(admin_dir(&fixture.place(), &tree), Some(fixture.root().join(".git/worktrees/a")));

    write(&tree, "locked/file", "x");
    fs::set_permissions(tree.join("locked"), fs::Permissions::from_mode(0o555)).unwrap();
    let trash = remove(&fixture.place(), &tree, &fixture.lock()).unwrap().unwrap();
    assert!(!tree.exists() && trash.join("locked/file").exists());
    assert_eq!(trash_beside(&tree), std::slice::from_ref(&trash));
    assert_eq!(list(&fixture.place()).unwrap().len(), 1);
    assert!(fixture.repo().branch_exists("cx/a").unwrap(), "the branch is another matter");
    delete(&trash).unwrap();
    assert!(!trash.parent().unwrap().exists());
    assert_eq!(remove(&fixture.place(), &tree, &fixture.lock()).unwrap(), None, "again is fine");
}

#[test]
fn what_is_not_ours_to_remove_is_refused() {
    let fixture = Fixture::new();
    let tree = fixture.worktree("a");
    git(&fixture.root(), &["worktree", "lock", "--reason", "mine", tree.to_str().unwrap()]);
    let error = remove(&fixture.place(), &tree, &fixture.lock()).unwrap_err();
    assert!(matches!(error, GitError::WorktreeLocked { ref reason, .. } if reason == "mine"));
    let other = Fixture::new();
    for path in [fixture.root(), other.root(), fixture.root().join("src")] {
        let error = remove(&fixture.place(), &path, &fixture.lock()).unwrap_err();
        assert!(matches!(error, GitError::NotAWorktree(_)), "{error}");
        assert!(path.exists());
    }
}

#[test]
fn a_removal_that_was_cut_short_is_finished_by_the_next() {
    let fixture = Fixture::new();
    let tree = fixture.worktree("a");
    let trash = rename_away(&tree).unwrap().unwrap();
    assert_eq!(remove(&fixture.place(), &tree, &fixture.lock()).unwrap(), None);
    assert_eq!(list(&fixture.place()).unwrap().len(), 1);
    assert_eq!(trash_beside(&tree), [trash]);
}

#[test]
fn a_failed_creation_leaves_neither_worktree_nor_branch() {
    let fixture = Fixture::new();
    write(&fixture.root(), ".gitattributes", "README filter=broken\n");
    fixture.git(&["config", "filter.broken.smudge", "false"]);
    fixture.git(&["config", "filter.broken.required", "true"]);
    fixture.git(&["config", "filter.broken.clean", "cat"]);
    let base = fixture.commit("filtered");
    let path = fixture.beside("repo.cx").join("a");
    let new = NewWorktree { path: &path, branch: Some("cx/a"), base: &base };
    let error = create(&fixture.place(), &new, &fixture.lock()).unwrap_err();
    assert!(matches!(error, GitError::Command { .. }), "{error}");
    assert!(!path.exists());
    assert!(!fixture.repo().branch_exists("cx/a").unwrap());
    assert_eq!(list(&fixture.place()).unwrap().len(), 1);

    fixture.git(&["branch", "cx/b"]);
    let new = NewWorktree { path: &path, branch: Some("cx/b"), base: &base };
    let error = create(&fixture.place(), &new, &fixture.lock()).unwrap_err();
    assert!(matches!(error, GitError::BranchExists(_)));
    assert!(fixture.repo().branch_exists("cx/b").unwrap(), "another one's branch stays");
}

#[test]
fn a_bare_repository_and_a_linked_worktree_can_have_more() {
    let fixture = Fixture::new();
    let (linked, start) = (fixture.worktree("a"), fixture.oid("HEAD"));
    let bare = fixture.beside("bare.git");
    git(&fixture.root(), &["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    for from in [linked, bare] {
        let place = Place::discover(&from).unwrap().unwrap();
        let path = from.with_extension("more");
        let new = NewWorktree { path: &path, branch: Some("cx/more"), base: &start };
        create(&place, &new, &fixture.lock()).unwrap();
        write(&path, "new", "x");
        assert_eq!(state(&place, &path, None).unwrap().untracked, [PathBuf::from("new")]);
        delete(&remove(&place, &path, &fixture.lock()).unwrap().unwrap()).unwrap();
        assert_eq!(admin_dir(&place, &path), None);
    }
}

#[test]
fn many_at_once_take_turns() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let fixture = &fixture;
            scope.spawn(move || fixture.worktree(&format!("w{n}")));
        }
    });
    assert_eq!(list(&fixture.place()).unwrap().len(), 9);
}

#[test]
fn sparse_patterns_are_inherited() {
    let fixture = Fixture::new();
    fixture.write("docs/page", "text\n");
    fixture.commit("docs");
    fixture.git(&["sparse-checkout", "set", "docs"]);
    assert!(!fixture.root().join("src").exists());
    let tree = fixture.worktree("a");
    assert!(tree.join("docs/page").exists() && !tree.join("src").exists());
    assert!(state(&fixture.place(), &tree, None).unwrap().is_clean());
}

#[test]
fn the_state_sees_everything_but_ignored_files() {
    let fixture = Fixture::new();
    fixture.write(".gitignore", "*.log\n");
    let base = fixture.commit("ignore");
    fixture.git(&["config", "status.showUntrackedFiles", "no"]);
    let tree = fixture.worktree("a");
    commit(&tree, "one more");
    write(&tree, "README", "edited\n");
    fs::remove_file(tree.join("src/lib")).unwrap();
    write(&tree, "new\nline \"q\"", "x");
    write(&tree, "a.log", "x");
    fs::create_dir(tree.join("nested")).unwrap();
    git(&tree.join("nested"), &["init", "-q"]);
    write(&tree, "nested/file", "x");
    let state = state(&fixture.place(), &tree, Some(&base)).unwrap();
    assert_eq!(state.uncommitted, [PathBuf::from("README"), PathBuf::from("src/lib")]);
    assert_eq!(state.untracked, [PathBuf::from("nested/"), PathBuf::from("new\nline \"q\"")]);
    assert_eq!(state.ahead, 1);
    assert!(super::state(&fixture.place(), &tree.join("src"), None).is_err());
}

#[test]
fn submodules_come_along_without_their_url() {
    let fixture = Fixture::new();
    let [inner, outer] = ["inner", "outer"].map(|name| fixture.beside(name));
    for clone in [&inner, &outer] {
        git(&fixture.root(), &["clone", "-q", ".", clone.to_str().unwrap()]);
        git(clone, &["config", "user.name", "Ada"]);
        git(clone, &["config", "user.email", "ada@example.org"]);
    }
    let allow = ["-c", "protocol.file.allow=always", "submodule", "--quiet"];
    let submodule = |folder: &Path, args: &[&str]| git(folder, &[&allow, args].concat());
    submodule(&outer, &["add", inner.to_str().unwrap(), "deep"]);
    commit(&outer, "nest");
    submodule(&fixture.root(), &["add", outer.to_str().unwrap(), "sub"]);
    submodule(&fixture.root(), &["add", inner.to_str().unwrap(), "unwanted"]);
    submodule(&fixture.root(), &["update", "--init", "--recursive"]);
    fixture.commit("submodules");
    fixture.git(&["submodule", "--quiet", "deinit", "-f", "unwanted"]);
    // Whoever needs the URLs now fails.
    fs::rename(&inner, fixture.beside("moved1")).unwrap();
    fs::rename(&outer, fixture.beside("moved2")).unwrap();

    let path = fixture.beside("repo.cx").join("a");
    let base = fixture.oid("HEAD");
    let new = NewWorktree { path: &path, branch: Some("cx/a"), base: &base };
    let made = create(&fixture.place(), &new, &fixture.lock()).unwrap();
    assert_eq!(made.empty_submodules, [PathBuf::from("unwanted")]);
    assert!(path.join("sub/README").exists() && path.join("sub/deep/README").exists());
    let url = git(&path.join("sub"), &["config", "remote.origin.url"]);
    assert_eq!(url, outer.to_str().unwrap());
    assert!(state(&fixture.place(), &path, None).unwrap().is_clean());

    // What a worker commits in one lives in this worktree alone, until the
    // checkout's own clone has it.
    let root = fixture.root();
    assert_eq!(only_here(Some(&root), &path).unwrap(), Vec::<PathBuf>::new());
    let deep = path.join("sub/deep");
    git(&deep, &["config", "user.name", "Ada"]);
    git(&deep, &["config", "user.email", "ada@example.org"]);
    write(&deep, "new", "work\n");
    commit(&deep, "work in a submodule");
    assert_eq!(only_here(Some(&root), &path).unwrap(), [PathBuf::from("sub/deep")]);
    assert_eq!(only_here(None, &path).unwrap().len(), 1);
    git(&root.join("sub/deep"), &["fetch", "-q", deep.to_str().unwrap(), "HEAD"]);
    assert_eq!(only_here(Some(&root), &path).unwrap(), Vec::<PathBuf>::new());
    remove(&fixture.place(), &path, &fixture.lock()).unwrap();
    assert_eq!(list(&fixture.place()).unwrap().len(), 1);

    // Registered, but its objects are nowhere to be had.
    fixture.git(&["config", "submodule.unwanted.url", "/nonexistent/gone"]);
    fs::remove_dir_all(fixture.root().join(".git/modules/unwanted")).unwrap();
    let path = fixture.beside("repo.cx").join("b");
    let new = NewWorktree { path: &path, branch: Some("cx/b"), base: &base };
    let error = create(&fixture.place(), &new, &fixture.lock()).unwrap_err();
    assert!(matches!(error, GitError::Submodule { ref name, .. } if name == "unwanted"), "{error}");
    assert!(!path.exists() && !fixture.repo().branch_exists("cx/b").unwrap());
}
