use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::git::testing::{Fixture, commit, git, write};
use crate::git::{Git, Head, Repo, worktree};

mod crash;
mod hooks;
mod random;

/// A branch with one commit that writes `files`, made in a worktree of its own.
fn branch(fixture: &Fixture, name: &str, files: &[(&str, &str)]) -> Candidate {
    let tree = fixture.worktree(name);
    for (path, text) in files {
        if text.is_empty() {
            fs::remove_file(tree.join(path)).unwrap();
        } else {
            write(&tree, path, text);
        }
    }
    candidate(name, commit(&tree, &format!("work of {name}")))
}

fn candidate(name: &str, tip: Oid) -> Candidate {
    let trailers = vec![("Cx-Job".to_owned(), name.to_owned())];
    let subject = format!("Merge {name}");
    let message = CommitMessage { subject, trailers, ..CommitMessage::default() };
    Candidate { key: name.to_owned(), tip, start: None, message }
}

fn planned(fixture: &Fixture, candidates: &[Candidate], style: Style) -> MergePlan {
    plan(&fixture.repo(), &fixture.oid("main"), candidates, style, Order::AsGiven).unwrap()
}

/// The plan with the commits that land, made with the repository's hooks.
fn sealed(
    fixture: &Fixture,
    plan: &MergePlan,
    candidates: &[Candidate],
    style: Style,
    edit: bool,
) -> Result<MergePlan, MergeError> {
    let target = Target::find(&fixture.repo(), Some("main")).unwrap();
    let (state, lock) = (fixture.beside("state"), fixture.lock());
    fs::create_dir_all(&state).unwrap();
    let (target, state, worktree_lock) = (&target, state.as_path(), lock.as_path());
    let wishes = &Wishes::read(&fixture.repo(), "main").unwrap();
    let how = Seal { style, target, state, worktree_lock, hooks: true, edit, wishes };
    let sealed = seal(&fixture.repo(), plan, candidates, &how);
    assert!(!state.join("merge-hooks").exists());
    assert_eq!(fixture.git(&["worktree", "list"]).matches("merge-hooks").count(), 0);
    sealed
}

fn verdicts(plan: &MergePlan) -> Vec<(&str, &Verdict)> {
    plan.entries.iter().map(|entry| (entry.key.as_str(), &entry.verdict)).collect()
}

fn land_at(fixture: &Fixture, plan: &MergePlan, at: &dyn Fn(Step)) -> Result<(), MergeError> {
    let repo = fixture.repo();
    let target = Target::find(&repo, Some("main")).unwrap();
    let target = Target { tip: plan.target.clone(), ..target };
    let state = fixture.beside("state");
    fs::create_dir_all(&state).unwrap();
    let (result, why) = (&plan.result, "cx merge: test");
    land(&Landing { repo: &repo, target: &target, result, state: &state, why, at })
}

fn land_plan(fixture: &Fixture, plan: &MergePlan) -> Result<(), MergeError> {
    land_at(fixture, plan, &|_| {})
}

fn status(fixture: &Fixture) -> String {
    fixture.git(&["status", "--porcelain", "-uall"])
}

/// Nothing of a landing is left but its lock file.
fn assert_tidy(fixture: &Fixture) {
    let git_dir = fixture.root().join(".git");
    let ours = ["cx-merge-index", "cx-merge-lock", "cx-merge-scratch"];
    for name in ours.into_iter().chain(["index.lock", "HEAD.lock", "ORIG_HEAD.lock"]) {
        assert!(!git_dir.join(name).exists(), "{name}");
    }
    assert!(!git_dir.join("refs/heads/main.lock").exists());
    assert!(!fixture.beside("state").join("merge.journal").exists());
}

const LINES: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";

#[test]
fn one_conflict_holds_back_itself_and_names_its_opponent() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("README", "from a\n")]);
    let b = branch(&fixture, "b", &[("README", "from b\n"), ("b", "b\n")]);
    let c = branch(&fixture, "c", &[("c\n\"odd\"", "c\n")]);
    let plan = planned(&fixture, &[a.clone(), b.clone(), c.clone()], Style::NoFf);
    let paths = vec![Conflict { path: "README".into(), kind: "contents".into() }];
    let opponent = Opponent::Candidates(vec!["a".into()]);
    assert_eq!(verdicts(&plan)[1], ("b", &Verdict::Conflicts { paths: paths.clone(), opponent }));
    assert_eq!(fixture.oid("main"), plan.target, "a plan moves nothing");
    land_plan(&fixture, &plan).unwrap();
    assert_eq!(fixture.oid("main"), plan.result);
    assert_eq!(status(&fixture), "");
    assert_eq!(fs::read_to_string(fixture.root().join("README")).unwrap(), "from a\n");
    assert!(fixture.root().join("c\n\"odd\"").exists());
    let parents = fixture.git(&["log", "--first-parent", "--format=%P", "-2", "main"]);
    let expected =
        [format!("{} {}", fixture.oid("main~1"), c.tip), format!("{} {}", plan.target, a.tip)];
    assert_eq!(parents.lines().collect::<Vec<_>>(), expected);
    assert_eq!(
        fixture.git(&["log", "-1", "--format=%B", "main~1"]),
        "Merge a\n\nCx-Job: a\n".trim_end()
    );
    assert_eq!(fixture.oid("ORIG_HEAD"), plan.target);
    assert!(fixture.git(&["reflog", "-1", "HEAD"]).contains("cx merge: test"));
    assert_tidy(&fixture);

    let again = planned(&fixture, &[a, b, c], Style::Merge);
    assert_eq!(verdicts(&again)[0].1, &Verdict::AlreadyContained);
    let opponent = Opponent::Target;
    assert_eq!(verdicts(&again)[1].1, &Verdict::Conflicts { paths, opponent });
    assert!(!again.lands_something());
    assert_eq!(again.result, again.target);
}

#[test]
fn what_git_calls_a_conflict_is_one() {
    let fixture = Fixture::new();
    let edit = branch(&fixture, "edit", &[("src/lib", "other\n")]);
    let removal = branch(&fixture, "removal", &[("src/lib", "")]);
    let plan = planned(&fixture, &[edit.clone(), removal], Style::Merge);
    let Verdict::Conflicts { paths, .. } = &plan.entries[1].verdict else { panic!("{plan:?}") };
    assert_eq!(paths[..], [Conflict { path: "src/lib".into(), kind: "modify/delete".into() }]);
    let folder = branch(&fixture, "folder", &[("README", ""), ("README/x", "x\n")]);
    let file = branch(&fixture, "file", &[("README", "changed\n")]);
    let plan = planned(&fixture, &[folder, file], Style::Merge);
    assert!(matches!(&plan.entries[1].verdict, Verdict::Conflicts { .. }));
    // Two pieces that only together leave no room for a third.
    let one = branch(&fixture, "one", &[("src/lib", &LINES.replace('1', "one"))]);
    let nine = branch(&fixture, "nine", &[("src/lib", &LINES.replace('9', "nine"))]);
    let both = branch(&fixture, "both", &[("src/lib", &LINES.replace('9', "NINE"))]);
    let plan = planned(&fixture, &[one, nine, both], Style::Merge);
    let Verdict::Conflicts { opponent, .. } = &plan.entries[2].verdict else { panic!("{plan:?}") };
    assert_eq!(*opponent, Opponent::Candidates(vec!["nine".into()]));
}

#[test]
fn styles_make_the_history_they_promise() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let b = branch(&fixture, "b", &[("b", "b\n")]);
    let both = [a.clone(), b.clone()];
    let start = fixture.oid("main");
    let parents = |oid: &Oid| fixture.git(&["log", "-1", "--format=%P", oid.as_str()]);
    let plan = planned(&fixture, &both, Style::Merge);
    assert_eq!(plan.entries[0].verdict, Verdict::Landed { commit: a.tip.clone() });
    assert_eq!(parents(&plan.result), format!("{} {}", a.tip, b.tip));
    let plan = planned(&fixture, &both, Style::NoFf);
    assert!(parents(&plan.result).ends_with(b.tip.as_str()));
    assert_eq!(fixture.git(&["rev-list", "--count", plan.result.as_str()]), "5");
    let plan = planned(&fixture, &both, Style::Squash);
    assert_eq!(fixture.oid(&format!("{}~2", plan.result)), start);
    assert_eq!(fixture.git(&["log", "-1", "--format=%s", plan.result.as_str()]), "Merge b");
    let tree = fixture.beside("repo.cx").join("b");
    git(&tree, &["config", "user.name", "Worker"]);
    write(&tree, "b2", "b\n");
    let b = candidate("b", commit(&tree, "second of b"));
    git(&tree, &["config", "user.name", "Ada"]);
    let plan = planned(&fixture, &[a.clone(), b.clone()], Style::Rebase);
    assert_eq!(fixture.oid(&format!("{}~2", plan.result)), a.tip);
    let last = fixture.git(&["log", "-1", "--format=%an %cn %s", plan.result.as_str()]);
    assert_eq!(last, "Worker Ada second of b");
    let files = fixture.git(&["ls-tree", "--name-only", plan.result.as_str()]);
    assert_eq!(files, "README\na\nb\nb2\nsrc");
    // Once rebased, the branch has nothing that the target lacks.
    land_plan(&fixture, &plan).unwrap();
    let plan = planned(&fixture, &[b], Style::Squash);
    assert_eq!(plan.entries[0].verdict, Verdict::NoChanges);
}

#[test]
fn a_rebase_that_would_lose_a_merges_own_changes_is_held_back() {
    let fixture = Fixture::new();
    let other = branch(&fixture, "other", &[("o", "o\n")]);
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let tree = fixture.beside("repo.cx").join("a");
    git(&tree, &["merge", "-q", "--no-ff", "--no-commit", other.tip.as_str()]);
    write(&tree, "evil", "only in the merge\n");
    let tip = commit(&tree, "merge with more");
    fixture.write("m", "m\n");
    fixture.commit("main goes on");
    let plan = planned(&fixture, &[candidate("a", tip)], Style::Rebase);
    assert_eq!(plan.entries[0].verdict, Verdict::RebaseLoses);
    assert!(planned(&fixture, &[a], Style::Rebase).lands_something());
}

#[test]
fn unrelated_histories_are_held_back_and_an_identity_is_needed() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let tree = fixture.worktree("b");
    git(&tree, &["checkout", "-q", "--orphan", "orphan"]);
    let foreign = candidate("b", commit(&tree, "no past"));
    let plan = planned(&fixture, &[foreign], Style::Merge);
    assert_eq!(plan.entries[0].verdict, Verdict::Unrelated);
    fixture.git(&["config", "--unset", "user.name"]);
    fixture.git(&["config", "--unset", "user.email"]);
    fixture.git(&["config", "user.useConfigOnly", "true"]);
    let error = plan_error(&fixture, &a);
    assert!(matches!(error, GitError::NoIdentity(_)) && error.hint().is_some(), "{error}");
}

fn plan_error(fixture: &Fixture, candidate: &Candidate) -> GitError {
    let target = fixture.oid("main");
    plan(&fixture.repo(), &target, std::slice::from_ref(candidate), Style::NoFf, Order::Most)
        .unwrap_err()
}

#[test]
fn commits_are_signed_where_the_user_signs() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let signer = fixture.beside("signer");
    let script = "#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho SIGNED\n";
    fs::write(&signer, script).unwrap();
    fs::set_permissions(&signer, fs::Permissions::from_mode(0o755)).unwrap();
    fixture.git(&["config", "commit.gpgSign", "true"]);
    fixture.git(&["config", "gpg.program", signer.to_str().unwrap()]);
    for style in [Style::NoFf, Style::Squash, Style::Rebase] {
        fixture.write("more", &format!("{style:?}"));
        fixture.commit("so that there is something to rebase");
        let draft = planned(&fixture, std::slice::from_ref(&a), style);
        let plan = sealed(&fixture, &draft, std::slice::from_ref(&a), style, false).unwrap();
        let commit = fixture.git(&["cat-file", "commit", plan.result.as_str()]);
        assert!(commit.contains("gpgsig SIGNED"), "{commit}");
        assert!(!fixture.git(&["cat-file", "commit", draft.result.as_str()]).contains("gpgsig"));
    }
}

#[test]
fn local_changes_in_the_way_are_named_and_untouched_and_others_stay() {
    let fixture = Fixture::new();
    fixture.write(".gitignore", "secret\n");
    fixture.write("other", "o\n");
    fixture.commit("more");
    let files = [("README", "merged\n"), ("new", "merged\n"), ("dir/x", "merged\n")];
    let a = branch(&fixture, "a", &files);
    let plan = planned(&fixture, &[a], Style::NoFf);
    let refused = |expected: &[&str]| {
        let before = (status(&fixture), fixture.oid("main"));
        let error = land_plan(&fixture, &plan).unwrap_err();
        let MergeError::WouldOverwrite { paths, .. } = &error else { panic!("{error}") };
        assert_eq!(paths.iter().map(|p| p.to_str().unwrap()).collect::<Vec<_>>(), expected);
        assert_eq!((status(&fixture), fixture.oid("main")), before);
        assert_tidy(&fixture);
    };
    fixture.write("README", "mine\n");
    refused(&["README"]);
    fixture.git(&["add", "README"]);
    refused(&["README"]);
    fixture.git(&["reset", "-q", "--hard"]);
    fixture.write("new", "mine\n");
    refused(&["new"]);
    fs::remove_file(fixture.root().join("new")).unwrap();
    fixture.write("dir", "a file where the merge has a folder\n");
    refused(&["dir"]);
    fs::remove_file(fixture.root().join("dir")).unwrap();
    fixture.write("new/deep", "a folder where the merge has a file\n");
    refused(&["new/deep"]);
    fs::remove_dir_all(fixture.root().join("new")).unwrap();

    // What is not in the way: unstaged, staged, untracked.
    fixture.write("other", "mine\n");
    fixture.write("src/lib", "staged\n");
    fixture.git(&["add", "src/lib"]);
    fixture.write("untracked", "mine\n");
    let before = status(&fixture);
    land_plan(&fixture, &plan).unwrap();
    assert_eq!(status(&fixture), before);
    assert_eq!(fixture.oid("main"), plan.result);
    assert_tidy(&fixture);
}

#[test]
fn ignored_files_are_not_overwritten_either() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("secret", "merged\n")]);
    fixture.write(".git/info/exclude", "secret\n");
    fixture.write("secret", "the only copy\n");
    let plan = planned(&fixture, &[a], Style::Merge);
    let error = land_plan(&fixture, &plan).unwrap_err();
    assert!(matches!(error, MergeError::WouldOverwrite { .. }), "{error}");
    assert_eq!(fs::read_to_string(fixture.root().join("secret")).unwrap(), "the only copy\n");
}

#[test]
fn a_target_that_moved_a_busy_index_and_work_under_way_are_refused() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let plan = planned(&fixture, &[a], Style::NoFf);
    write(&fixture.root(), ".git/index.lock", "");
    assert!(matches!(land_plan(&fixture, &plan), Err(MergeError::Busy(_))));
    assert!(fixture.root().join(".git/index.lock").exists(), "it is not ours");
    fs::remove_file(fixture.root().join(".git/index.lock")).unwrap();
    write(&fixture.root(), ".git/MERGE_HEAD", plan.target.as_str());
    let error = land_plan(&fixture, &plan).unwrap_err();
    assert!(matches!(error, MergeError::UnderWay { what: "merge", .. }));
    fs::remove_file(fixture.root().join(".git/MERGE_HEAD")).unwrap();
    assert_tidy(&fixture);

    fixture.write("README", "meanwhile\n");
    let meanwhile = fixture.commit("meanwhile");
    let error = land_plan(&fixture, &plan).unwrap_err();
    assert!(matches!(error, MergeError::TargetMoved(_)), "{error}");
    assert_eq!((fixture.oid("main"), status(&fixture).as_str()), (meanwhile, ""));
    assert!(!fixture.root().join("a").exists());
    assert_tidy(&fixture);

    // Deleted meanwhile, checked out or not: it is not made again, and nothing is written.
    for checked_out in [true, false] {
        fixture.git(&["update-ref", "refs/heads/main", plan.target.as_str()]);
        fixture.git(&["reset", "-q", "--hard"]);
        if !checked_out {
            fixture.git(&["checkout", "-q", "--detach"]);
        }
        let repo = fixture.repo();
        let target = Target::find(&repo, Some("main")).unwrap();
        assert_eq!(target.checkout.is_some(), checked_out);
        fixture.git(&["update-ref", "-d", "refs/heads/main"]);
        let before = fixture.git(&["ls-files", "-s"]);
        let (state, result) = (&fixture.beside("state"), &plan.result);
        let landing =
            Landing { repo: &repo, target: &target, result, state, why: "test", at: &|_| {} };
        let error = land(&landing).unwrap_err();
        assert!(matches!(error, MergeError::TargetMoved(_)), "{error}");
        assert_eq!(fixture.repo().branch_tip("main").unwrap(), None);
        assert!(!fixture.root().join("a").exists());
        assert_eq!(fixture.git(&["ls-files", "-s"]), before);
        assert_tidy(&fixture);
    }
    fixture.git(&["update-ref", "refs/heads/main", plan.target.as_str()]);
    fixture.git(&["checkout", "-q", "main"]);

    // A rebase of the target in another worktree, whose HEAD is detached.
    let path = ".git/worktrees/a/rebase-merge/head-name";
    write(&fixture.root(), path, "refs/heads/main\n");
    let error = land_plan(&fixture, &plan).unwrap_err();
    let there = fixture.beside("repo.cx").join("a");
    assert!(
        matches!(error, MergeError::UnderWay { what: "rebase", checkout } if checkout == there)
    );
}

#[test]
fn targets_are_branches_of_any_checkout_or_of_none() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let repo = fixture.repo();
    let main = Target::find(&repo, None).unwrap();
    assert_eq!((main.branch.as_str(), main.checkout), ("main", Some(fixture.root())));
    assert!(matches!(Target::find(&repo, Some("a..b")), Err(MergeError::BadBranch(_))));
    let fresh = Target::find(&repo, Some("topic/new")).unwrap();
    assert!(fresh.is_new && fresh.checkout.is_none() && fresh.tip == fixture.oid("main"));
    let state = fixture.beside("state");
    fs::create_dir(&state).unwrap();
    let landing = |target| {
        let (result, why) = (&a.tip, "test");
        land(&Landing { repo: &repo, target, result, state: &state, why, at: &|_| {} })
    };
    landing(&fresh).unwrap();
    assert_eq!(fixture.oid("topic/new"), a.tip);
    assert!(matches!(landing(&fresh), Err(MergeError::TargetMoved(_))));
    // From another worktree the one that holds the target is updated.
    let linked = fixture.worktree("here");
    let from_there = crate::git::Place::discover(&linked).unwrap().unwrap();
    let target = Target::find(&Repo::open(&from_there), Some("main")).unwrap();
    landing(&target).unwrap();
    assert!(fixture.root().join("a").exists() && !linked.join("a").exists());
    assert_eq!(status(&fixture), "");
    fixture.git(&["checkout", "-q", "--detach"]);
    assert!(matches!(Target::find(&fixture.repo(), None), Err(MergeError::Detached)));
}

#[test]
fn a_checkout_that_switched_branches_is_left_alone() {
    let fixture = Fixture::new();
    let a = branch(&fixture, "a", &[("a", "a\n")]);
    let plan = planned(&fixture, &[a], Style::NoFf);
    fixture.git(&["branch", "topic"]);
    // Before it begins, and after it has looked.
    let switch = |step| {
        if step == Step::Journal {
            fixture.git(&["checkout", "-q", "topic"]);
        }
    };
    let error = land_at(&fixture, &plan, &switch).unwrap_err();
    assert!(matches!(error, MergeError::TargetMoved(_)), "{error}");
    assert_eq!((status(&fixture).as_str(), fixture.oid("main")), ("", plan.target.clone()));
    assert!(!fixture.root().join("a").exists());
    assert_tidy(&fixture);
    land_plan(&fixture, &plan).unwrap();
    assert_eq!((status(&fixture).as_str(), fixture.oid("main")), ("", plan.result));
    assert!(!fixture.root().join("a").exists(), "main is checked out nowhere now");
}
