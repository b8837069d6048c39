use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::git::testing::{Fixture, git, write};
use crate::git::worktree::{Engine, Made, NewWorktree, list, remove, state};

const RULES: Rules =
    Rules { max: 4, age: Duration::from_hours(24), bytes: u64::MAX, min_files: 0, keep: None };

fn nothing(_: Step) {}

/// A repository with a cache, and a tree in which a worker was.
fn used() -> (Fixture, PathBuf) {
    let fixture = Fixture::new();
    fixture.write(".gitignore", "target/\n*.log\n");
    fixture.write("Cargo.toml", "[package]\n");
    fixture.write("run", "#!/bin/sh\n");
    fixture.write("deep/er/file", "1\n");
    symlink("README", fixture.root().join("link")).unwrap();
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(fixture.root().join("run"), mode).unwrap();
    fixture.commit("project");
    let tree = fixture.worktree("a");
    write(&tree, "target/debug/cache", "warm\n");
    (fixture, tree)
}

fn give_back(fixture: &Fixture, tree: &Path) -> PathBuf {
    give(&fixture.place(), tree, &fixture.lock(), &nothing).unwrap().unwrap()
}

fn admitted(fixture: &Fixture, tree: &Path) -> Admitted {
    admit(&fixture.place(), tree, &RULES, &fixture.lock(), &nothing).unwrap()
}

fn recycled(fixture: &Fixture, name: &str, base: &Oid) -> Result<Made, Option<String>> {
    let (path, branch) = (fixture.beside("repo.cx").join(name), format!("cx/{name}"));
    let new = NewWorktree { path: &path, branch: Some(&branch), base };
    recycle(&fixture.place(), &new, &fixture.lock(), &nothing).unwrap()
}

/// Why a tree is not admitted. Nothing of it is left then.
fn refused(fixture: &Fixture, tree: &Path) -> String {
    let given = give_back(fixture, tree);
    let Admitted::Removed(why, trash) = admitted(fixture, &given) else { panic!("kept") };
    assert!(!given.exists() && trash.unwrap().exists());
    assert_eq!(list(&fixture.place()).unwrap().len(), 1);
    assert_eq!(recycled(fixture, "b", &fixture.oid("HEAD")), Err(None));
    why
}

/// Every path below a folder with its mode, and what it is.
fn contents(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut all = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(below) = pending.pop() {
        for entry in fs::read_dir(below).unwrap().map(Result::unwrap) {
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            if entry.file_name() == ".git" {
                continue;
            }
            let what = if meta.is_dir() {
                pending.push(path.clone());
                Vec::new()
            } else if meta.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).unwrap()
            };
            let path = path.strip_prefix(folder).unwrap().to_owned();
            all.push((path, meta.permissions().mode(), what));
        }
    }
    all.sort();
    all
}

#[test]
fn a_used_tree_is_handed_on_as_a_fresh_one_but_for_its_cache() {
    let (fixture, tree) = used();
    write(&tree, "secret.log", "of the job before");
    write(&tree, "untracked/deep/file", "x");
    fs::create_dir_all(tree.join("deep/empty/folder")).unwrap();
    write(&tree, "deep/target", "no folder");
    for (path, mode) in [("README", 0o666), ("run", 0o700), ("deep", 0o777), ("untracked", 0o500)] {
        fs::set_permissions(tree.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    write(&tree, "own", "committed\n");
    git(&tree, &["add", "own", "README"]);
    git(&tree, &["commit", "-q", "-m", "work"]);
    let given = give_back(&fixture, &tree);
    assert!(!tree.exists());
    assert_eq!(list(&fixture.place()).unwrap()[1].branch, None);
    assert_eq!(
        waiting(&fixture.place(), &fixture.beside("repo.cx"), &fixture.lock()).unwrap(),
        std::slice::from_ref(&given)
    );
    // Nobody gets it before it was looked at.
    assert_eq!(recycled(&fixture, "b", &fixture.oid("HEAD")), Err(None));
    assert_eq!(admitted(&fixture, &given), Admitted::Kept);
    fixture.git(&["worktree", "prune"]);
    let listed = list(&fixture.place()).unwrap();
    assert_eq!((listed.len(), listed[1].locked.as_deref()), (2, Some(LOCKED)));

    let head = fixture.oid("HEAD");
    let made = recycled(&fixture, "b", &head).unwrap();
    assert_eq!((made.taken.engine, made.taken.why), (Engine::Recycled, vec![]));
    let recycled = fixture.beside("repo.cx/b");
    assert_eq!(fs::read_to_string(recycled.join("target/debug/cache")).unwrap(), "warm\n");
    let found = state(&fixture.place(), &recycled, Some(&head)).unwrap();
    assert!(found.is_clean() && found.ahead == 0, "{found:?}");
    assert_eq!(found.head.branch(), Some("cx/b"));
    assert_eq!(git(&recycled, &["reflog", "-1", "--format=%gs"]), "cx: worktree from the pool");
    fs::remove_dir_all(recycled.join("target")).unwrap();
    let fresh = fixture.beside("fresh");
    fixture.git(&["worktree", "add", "-q", "--detach", fresh.to_str().unwrap()]);
    assert_eq!(contents(&recycled), contents(&fresh));
    assert_eq!(git(&recycled, &["ls-files", "-s"]), git(&fresh, &["ls-files", "-s"]));
    let listed = list(&fixture.place()).unwrap();
    assert!(listed.iter().all(|tree| tree.locked.is_none() && tree.prunable.is_none()));
    // There was one, and it is taken.
    assert_eq!(look(&fixture.place(), &fixture.beside("repo.cx")), (vec![], vec![]));
    remove(&fixture.place(), &recycled, &fixture.lock()).unwrap();
    fixture.git(&["fsck", "--strict"]);
}

#[test]
fn a_tree_is_brought_to_the_base_and_what_is_no_cache_there_goes() {
    let (fixture, tree) = used();
    let first = fixture.oid("HEAD");
    assert_eq!(admitted(&fixture, &give_back(&fixture, &tree)), Admitted::Kept);
    fixture.write("README", "second\n");
    fixture.write("new/file", "new\n");
    fs::remove_dir_all(fixture.root().join("deep")).unwrap();
    let second = fixture.commit("second");
    recycled(&fixture, "b", &second).unwrap();
    let b = fixture.beside("repo.cx/b");
    assert!(b.join("target/debug/cache").exists() && !b.join("deep").exists());
    assert!(state(&fixture.place(), &b, Some(&second)).unwrap().is_clean());

    // It waits where the checkout is.
    fixture.write("README", "third\n");
    let third = fixture.commit("third");
    let given = give_back(&fixture, &b);
    assert_eq!(admitted(&fixture, &given), Admitted::Kept);
    assert_eq!(fs::read_to_string(given.join("README")).unwrap(), "third\n");
    // And back, to where nothing is ignored.
    fixture.write(".gitignore", "");
    let open = fixture.commit("nothing is ignored");
    assert_eq!(look(&fixture.place(), &fixture.beside("repo.cx")).0[0].commit(), Some(third));
    recycled(&fixture, "c", &open).unwrap();
    let c = fixture.beside("repo.cx/c");
    assert!(!c.join("target").exists() && b.parent().unwrap().join(".trash").exists());
    assert!(state(&fixture.place(), &c, Some(&open)).unwrap().is_clean());
    assert_eq!(admitted(&fixture, &give_back(&fixture, &c)), Admitted::Kept);
    recycled(&fixture, "d", &first).unwrap();
    let d = fixture.beside("repo.cx/d");
    assert!(state(&fixture.place(), &d, Some(&first)).unwrap().is_clean());
    assert_eq!(fs::read_to_string(d.join("deep/er/file")).unwrap(), "1\n");
}

#[test]
fn attributes_and_settings_that_changed_and_a_base_in_a_cache_ask_for_a_fresh_one() {
    let (fixture, tree) = used();
    let first = fixture.oid("HEAD");
    assert_eq!(admitted(&fixture, &give_back(&fixture, &tree)), Admitted::Kept);
    let why = |base: &Oid| recycled(&fixture, "b", base).unwrap_err().unwrap();
    fixture.write(".gitattributes", "README text eol=crlf\n");
    let second = fixture.commit("attributes");
    assert_eq!(why(&second), "no tree of the pool fits: attributes differ");
    fixture.git(&["reset", "-q", "--hard", first.as_str()]);
    fixture.write("target/tracked", "x");
    fixture.git(&["add", "-f", "target/tracked"]);
    let third = fixture.commit("in the cache");
    assert_eq!(why(&third), "no tree of the pool fits: the base has files in a cache");
    fixture.git(&["config", "core.autocrlf", "true"]);
    assert_eq!(why(&first), "no tree of the pool fits: settings or attributes have changed");
    fixture.git(&["config", "--unset", "core.autocrlf"]);
    fixture.git(&["config", "core.sparseCheckout", "true"]);
    assert_eq!(why(&first), "the pool is not used: the checkout is sparse");
    fixture.git(&["config", "--unset", "core.sparseCheckout"]);
    assert!(recycled(&fixture, "b", &first).is_ok());
}

#[test]
fn what_is_not_shown_to_be_clean_is_removed() {
    let (fixture, tree) = used();
    git(&tree, &["update-index", "--assume-unchanged", "README"]);
    write(&tree, "README", "hidden\n");
    assert_eq!(refused(&fixture, &tree), "the index marks README");

    let (fixture, tree) = used();
    fs::hard_link(tree.join("README"), fixture.beside("other")).unwrap();
    assert_eq!(refused(&fixture, &tree), "README has another name somewhere");

    let (fixture, tree) = used();
    write(&tree, "README", "edited\n");
    assert!(refused(&fixture, &tree).contains("README is not as it was committed"));

    let (fixture, tree) = used();
    fs::remove_file(tree.join("deep/er/file")).unwrap();
    assert!(refused(&fixture, &tree).contains("deep/er/file is not as it was committed"));

    let (fixture, tree) = used();
    fixture.git(&["config", "filter.f.smudge", "cat"]);
    fixture.write(".git/info/attributes", "run filter=f\n");
    assert_eq!(refused(&fixture, &tree), "files pass through the filter f");
}

#[test]
fn what_a_worker_put_into_gits_own_folder_keeps_a_tree_out() {
    for name in ["config.worktree", "hooks", "index.lock", "MERGE_HEAD"] {
        let (fixture, tree) = used();
        let admin = admin_of(&fixture.place(), &tree).unwrap();
        fs::write(admin.join(name), "x").unwrap();
        assert_eq!(give(&fixture.place(), &tree, &fixture.lock(), &nothing).unwrap(), None);
        assert!(tree.join("README").exists(), "it is as it was");
    }
    let (fixture, tree) = used();
    git(&fixture.root(), &["worktree", "lock", "--reason", "mine", tree.to_str().unwrap()]);
    let error = give(&fixture.place(), &tree, &fixture.lock(), &nothing).unwrap_err();
    assert!(matches!(error, GitError::WorktreeLocked { ref reason, .. } if reason == "mine"));
}

#[test]
fn a_cache_that_leads_out_does_not_stay() {
    let (fixture, tree) = used();
    symlink("../../../../home", tree.join("target/debug/out")).unwrap();
    let given = give_back(&fixture, &tree);
    assert_eq!(admitted(&fixture, &given), Admitted::Kept);
    assert!(!given.join("target").exists());

    let (fixture, tree) = used();
    fs::remove_dir_all(tree.join("target")).unwrap();
    symlink(fixture.root(), tree.join("target")).unwrap();
    fixture.write(".gitignore", "target\n");
    fixture.commit("a link is ignored too");
    let given = give_back(&fixture, &tree);
    // It is brought to where the checkout is, without it.
    assert_eq!(admitted(&fixture, &given), Admitted::Kept);
    assert!(fs::symlink_metadata(given.join("target")).is_err());
    assert!(fixture.root().join("README").exists());
}

#[test]
fn of_many_that_want_one_each_tree_goes_to_one() {
    let (fixture, tree) = used();
    let more = fixture.worktree("a2");
    for tree in [tree, more] {
        assert_eq!(admitted(&fixture, &give_back(&fixture, &tree)), Admitted::Kept);
    }
    let head = fixture.oid("HEAD");
    let got = std::thread::scope(|scope| {
        let (fixture, head) = (&fixture, &head);
        let ask = |n| scope.spawn(move || recycled(fixture, &format!("w{n}"), head).is_ok());
        let asked: Vec<_> = (0..6).map(ask).collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).filter(|got| *got).count()
    });
    assert_eq!(got, 2);
    assert_eq!(list(&fixture.place()).unwrap().len(), 3);
}

#[test]
fn the_pool_is_bounded_by_number_age_and_bytes() {
    let (fixture, tree) = used();
    let more = fixture.worktree("a2");
    for tree in [tree, more] {
        assert_eq!(admitted(&fixture, &give_back(&fixture, &tree)), Admitted::Kept);
    }
    let (pooled, _) = look(&fixture.place(), &fixture.beside("repo.cx"));
    assert!(pooled.iter().all(|tree| tree.bytes() > 0));
    let beyond = |rules: Rules| super::beyond(&pooled, &rules).len();
    assert_eq!(beyond(RULES), 0);
    assert_eq!(beyond(Rules { max: 1, ..RULES }), 1);
    assert_eq!(beyond(Rules { bytes: pooled[0].bytes(), ..RULES }), 1);
    let mut old = pooled.clone();
    old[1].note.since -= 1000;
    assert_eq!(super::beyond(&old, &Rules { age: Duration::from_secs(500), ..RULES }), [&old[1]]);
}

#[test]
fn small_trees_without_a_cache_are_not_worth_it() {
    let (fixture, tree) = used();
    let is_worth = |rules: &Rules| is_worth_keeping(&fixture.place(), &tree, rules);
    let rules = Rules { min_files: 1000, ..RULES };
    assert!(is_worth(&RULES) && is_worth(&rules));
    assert!(!is_worth(&Rules { max: 0, ..RULES }));
    assert!(!is_worth(&Rules { keep: Some(vec![]), ..rules.clone() }));
    fs::remove_dir_all(tree.join("target")).unwrap();
    assert!(!is_worth(&rules) && is_worth(&RULES));
}

#[test]
fn a_crash_at_any_step_leaves_what_the_next_look_makes_whole_or_takes_away() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    for at in [Step::Renamed, Step::Given, Step::Cleaned] {
        let (fixture, tree) = used();
        let place = fixture.place();
        let die = |step: Step| assert_ne!(step, at, "dies here");
        let lock = fixture.lock();
        let died = catch_unwind(AssertUnwindSafe(|| {
            let given = give(&place, &tree, &lock, &die).unwrap().unwrap();
            admit(&place, &given, &RULES, &lock, &die)
        }));
        assert!(died.is_err());
        // As `cx clean` does with a tree that is gone already.
        remove(&place, &tree, &lock).unwrap();
        let waiting = waiting(&place, &fixture.beside("repo.cx"), &lock).unwrap();
        assert_eq!(waiting.len(), 1);
        let kept = admitted(&fixture, &waiting[0]) == Admitted::Kept;
        assert_eq!(kept, at != Step::Renamed, "{at:?}");
        let trees = list(&place).unwrap();
        assert_eq!(trees.len(), 1 + usize::from(kept), "{at:?}: {trees:?}");
        assert!(trees.iter().all(|tree| tree.prunable.is_none()));
    }
    for at in [Step::Claimed, Step::Moved, Step::Switched] {
        let (fixture, tree) = used();
        let (place, lock) = (fixture.place(), fixture.lock());
        assert_eq!(admitted(&fixture, &give_back(&fixture, &tree)), Admitted::Kept);
        let die = |step: Step| assert_ne!(step, at, "dies here");
        let (head, path) = (fixture.oid("HEAD"), fixture.beside("repo.cx/b"));
        let new = NewWorktree { path: &path, branch: Some("cx/b"), base: &head };
        let died = catch_unwind(AssertUnwindSafe(|| recycle(&place, &new, &lock, &die)));
        assert!(died.is_err());
        // As the recovery of a job does whose worker was never started.
        remove(&place, &path, &lock).unwrap();
        assert!(!path.exists());
        let waiting = waiting(&place, &fixture.beside("repo.cx"), &lock).unwrap();
        let kept = waiting.iter().filter(|tree| admitted(&fixture, tree) == Admitted::Kept).count();
        assert_eq!(kept, usize::from(at == Step::Claimed), "{at:?}");
        assert_eq!(list(&place).unwrap().len(), 1 + kept, "{at:?}");
        assert!(!fixture.repo().branch_exists("cx/b").unwrap());
    }
}
