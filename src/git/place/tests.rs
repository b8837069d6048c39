use std::fs;

use super::{Place, is_plain};
use crate::git::testing::{Fixture, git};
use crate::git::{Head, Repo};

#[test]
fn a_subfolder_knows_its_root() {
    let fixture = Fixture::new();
    let place = Place::discover(&fixture.root().join("src")).unwrap().unwrap();
    assert_eq!(place.checkout, Some(fixture.root()));
    assert_eq!(place.prefix.to_str(), Some("src"));
    assert_eq!(place.common_dir, fixture.root().join(".git"));
    assert_eq!(place.git_dir, place.common_dir);
    assert!(!place.is_bare && !place.is_linked());
    let inside = Place::discover(&place.git_dir.join("refs")).unwrap().unwrap();
    assert_eq!((inside.checkout, inside.prefix.to_str()), (Some(fixture.root()), Some("")));
}

#[test]
fn a_linked_worktree_shares_the_common_dir() {
    let fixture = Fixture::new();
    let tree = fixture.worktree("a");
    let place = Place::discover(&tree.join("src")).unwrap().unwrap();
    assert_eq!(place.common_dir, fixture.root().join(".git"));
    assert_eq!(place.git_dir, fixture.root().join(".git/worktrees/a"));
    assert_eq!(place.checkout, Some(tree));
    assert!(place.is_linked());
    let head = Repo::open(&place).head().unwrap();
    assert_eq!(head.branch(), Some("cx/a"));
}

#[test]
fn bare_repositories_have_no_checkout_but_their_worktrees_do() {
    let fixture = Fixture::new();
    let bare = fixture.beside("bare.git");
    git(&fixture.root(), &["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    let place = Place::discover(&bare.join("objects")).unwrap().unwrap();
    assert!(place.is_bare && place.checkout.is_none());
    assert!(
        matches!(Repo::open(&place).head().unwrap(), Head::Branch { name, .. } if name == "main")
    );
    let tree = fixture.beside("tree");
    git(&bare, &["worktree", "add", "-q", "-b", "x", tree.to_str().unwrap()]);
    let place = Place::discover(&tree).unwrap().unwrap();
    assert!(!place.is_bare && place.checkout == Some(tree) && place.common_dir == bare);
    // The layout `.bare` with a `.git` file beside it.
    let hub = fixture.beside("hub");
    fs::create_dir(&hub).unwrap();
    git(&fixture.root(), &["clone", "-q", "--bare", ".", hub.join(".bare").to_str().unwrap()]);
    fs::write(hub.join(".git"), "gitdir: ./.bare\n").unwrap();
    let place = Place::discover(&hub).unwrap().unwrap();
    assert!(place.is_bare && place.git_dir == hub.join(".bare"));
}

#[test]
fn no_repository_is_no_error_and_a_dangling_pointer_is_one() {
    let fixture = Fixture::new();
    let empty = fixture.beside("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(Place::discover(&empty).unwrap(), None);
    fs::create_dir(empty.join(".git")).unwrap();
    assert_eq!(Place::discover(&empty).unwrap(), None, "an empty .git folder is no repository");
    fs::remove_dir(empty.join(".git")).unwrap();
    fs::write(empty.join(".git"), "gitdir: ../gone\n").unwrap();
    assert!(Place::discover(&empty).is_err());
    assert!(Place::discover(&fixture.beside("nowhere")).is_err());
}

#[test]
fn a_submodule_is_a_repository_of_its_own() {
    let fixture = Fixture::new();
    let other = fixture.beside("other");
    git(&fixture.root(), &["clone", "-q", ".", other.to_str().unwrap()]);
    let add =
        ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../other", "sub"];
    fixture.git(&add);
    let place = Place::discover(&fixture.root().join("sub/src")).unwrap().unwrap();
    assert_eq!(place.checkout, Some(fixture.root().join("sub")));
    assert_eq!(place.common_dir, fixture.root().join(".git/modules/sub"));
}

#[test]
fn only_what_surely_says_nothing_is_not_parsed() {
    let made =
        "[core]\n\trepositoryformatversion = 0\n\tbare = false\n[remote \"origin\"]\n\turl = x\n";
    assert!(is_plain(made.as_bytes()) && is_plain(b"") && is_plain(b"[user]\nname = \xff"));
    let others = [
        "[core]\n\tbare = true\n",
        "[core]\n\tbare\n",
        "[core] bare = false\n",
        "[CORE]\n\tBare = yes\n",
        "[core]\n\tbare = false\n\tbare = 1\n",
        "[core]\n\tworkTree = ..\n",
        "[Include]\n\tpath = more\n",
        "[includeIf \"gitdir:x\"]\n\tpath = more\n",
    ];
    for other in others {
        assert!(!is_plain(other.as_bytes()), "{other}");
    }
    let fixture = Fixture::new();
    let written = fs::read(fixture.root().join(".git/config")).unwrap();
    assert!(is_plain(&written), "{}", String::from_utf8_lossy(&written));
}
