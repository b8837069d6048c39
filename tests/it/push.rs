//! `cx push`: a lease of our own, hooks, and pull requests by gh.

use std::fs;

use crate::support::Sandbox;

/// A sandbox with a bare remote and a finished writer `a`.
fn with_remote() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.git(["init", "--quiet", "--bare", "../remote.git"]);
    sandbox.git(["remote", "add", "origin", "../remote.git"]);
    sandbox.written("a", "echo a > a; echo 'It is done.'");
    sandbox
}

fn there(sandbox: &Sandbox, branch: &str) -> String {
    sandbox.git(["--git-dir=../remote.git", "rev-parse", "--verify", branch])
}

/// Puts one more commit on a branch that nobody has checked out here.
fn one_more(sandbox: &Sandbox, branch: &str) -> String {
    let commit =
        sandbox.git(["commit-tree", "-p", branch, "-m", "more", &format!("{branch}^{{tree}}")]);
    sandbox.git(["update-ref", &format!("refs/heads/{branch}"), &commit]);
    commit
}

#[test]
fn only_what_cx_has_pushed_itself_is_overwritten() {
    let sandbox = with_remote();
    let output = sandbox.cx(["push", "a"]).ok();
    assert_eq!(output.stdout(), "[1] a pushed to origin as cx/a\n");
    assert_eq!(there(&sandbox, "cx/a"), sandbox.git(["rev-parse", "cx/a"]));
    // Rewritten by hand: not a fast-forward, and ours to replace.
    let rewritten = sandbox.git(["commit-tree", "-p", "main", "-m", "new", "cx/a^{tree}"]);
    sandbox.git(["update-ref", "refs/heads/cx/a", &rewritten]);
    sandbox.cx(["push", "a"]).ok();
    assert_eq!(there(&sandbox, "cx/a"), rewritten);
    // Somebody else has pushed, and we have even fetched it.
    let theirs = sandbox.git(["commit-tree", "-p", "cx/a", "-m", "theirs", "main^{tree}"]);
    sandbox.git(["push", "--quiet", "origin", &format!("{theirs}:refs/heads/cx/a")]);
    sandbox.git(["fetch", "--quiet"]);
    one_more(&sandbox, "cx/a");
    let output = sandbox.cx(["push", "a"]).code(1);
    assert!(output.stderr().contains("[1] a was not pushed: git said no"), "{output}");
    assert!(output.stderr().contains("stale info"), "{output}");
    assert_eq!(there(&sandbox, "cx/a"), theirs);
}

#[test]
fn a_branch_that_was_there_first_stays_and_hooks_have_their_say() {
    let sandbox = with_remote();
    sandbox.git(["push", "--quiet", "origin", "main:refs/heads/cx/a"]);
    sandbox.cx(["push", "a"]).code(1);
    assert_eq!(there(&sandbox, "cx/a"), sandbox.git(["rev-parse", "main"]));
    sandbox.git(["push", "--quiet", "origin", ":refs/heads/cx/a"]);
    let hook = sandbox.repo().join(".git/hooks/pre-push");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\necho heard\nexit 1\n").unwrap();
    sandbox.sh("chmod +x .git/hooks/pre-push").ok();
    let output = sandbox.cx(["push", "a"]).code(1);
    assert!(output.stdout().is_empty() && output.stderr().contains("heard"), "{output}");
    fs::remove_file(&hook).unwrap();
    sandbox.cx(["push", "a"]).ok();
}

#[test]
fn what_cannot_be_pushed_is_refused_before_anything_is() {
    let sandbox = with_remote();
    sandbox.reader("r", "true");
    sandbox.written("empty", "true");
    sandbox.cx(["push", "a", "r"]).refused(2, "[2] r is a reader and has no branch");
    sandbox.cx(["push", "a", "empty"]).refused(1, "[3] empty has no commits; nothing was pushed");
    sandbox.cx(["push", "--remote", "no", "a"]).refused(2, "there is no remote 'no'");
    let refused = sandbox.cx(["push", "--pr", "a"]).refused(127, "pull requests need gh");
    assert!(refused.stderr().contains("https://cli.github.com"), "{refused}");
    assert_eq!(sandbox.git(["--git-dir=../remote.git", "for-each-ref"]), "");
}

#[test]
fn a_pull_request_has_the_final_message_as_its_body() {
    let sandbox = with_remote();
    sandbox.script_tool(
        "gh",
        "test $2 != list || { echo '[]'; exit; }
         printf '%s|' \"$@\" > ../gh-args; cat > ../gh-body; echo https://host/pr/1",
    );
    let output = sandbox.cx(["push", "--pr", "a"]).ok();
    assert_eq!(output.stdout(), "[1] a pushed to origin as cx/a\nhttps://host/pr/1\n");
    let subject = sandbox.git(["log", "-1", "--format=%s", "cx/a"]);
    let expected = format!("pr|create|--head|cx/a|--title|{subject}|--body-file|-|");
    assert_eq!(sandbox.read("../gh-args"), expected);
    assert_eq!(sandbox.read("../gh-body"), "It is done.\n");
    fs::remove_file(sandbox.root().join("bin/gh")).unwrap();
    sandbox.script_tool("gh", "echo no >&2; exit 4");
    let output = sandbox.cx(["push", "--pr", "a"]).code(1);
    assert!(output.stderr().contains("no pull request was opened for [1] a"), "{output}");
}

#[test]
fn a_pull_request_that_is_there_is_used() {
    let sandbox = with_remote();
    sandbox.script_tool(
        "gh",
        "case $2 in
         list) printf '%s|' \"$@\" > ../gh-args
            echo '[{\"url\":\"https://host/fork/7\",\"isCrossRepository\":true},' \\
                 '{\"url\":\"https://host/pr/8\",\"isCrossRepository\":false}]';;
         *) echo 'already exists' >&2; exit 1;;
         esac",
    );
    let output = sandbox.cx(["push", "--pr", "a"]).ok();
    assert_eq!(output.stdout(), "[1] a pushed to origin as cx/a\nhttps://host/pr/8\n");
    assert!(output.stderr().contains("cx/a has a pull request already"), "{output}");
    let asked = "pr|list|--head|cx/a|--state|open|--json|url,isCrossRepository|";
    assert_eq!(sandbox.read("../gh-args"), asked);
    one_more(&sandbox, "cx/a");
    sandbox.cx(["push", "--pr", "a"]).ok();
    assert_eq!(there(&sandbox, "cx/a"), sandbox.git(["rev-parse", "cx/a"]));
    // A gh that cannot tell has the last word when one is opened.
    std::fs::remove_file(sandbox.root().join("bin/gh")).unwrap();
    sandbox.script_tool("gh", "test $2 != list || exit 4; cat > /dev/null; echo https://host/pr/9");
    assert!(sandbox.cx(["push", "--pr", "a"]).ok().stdout().ends_with("pr/9\n"));
}

#[test]
fn clean_forgets_what_was_pushed_and_leaves_no_folder() {
    let sandbox = with_remote();
    sandbox.written("b", "echo b > b");
    sandbox.cx(["push", "a", "b"]).ok();
    let notes = || sandbox.git(["for-each-ref", "--format=%(refname)", "refs/cx/pushed"]);
    assert_eq!(notes(), "refs/cx/pushed/origin/1-a\nrefs/cx/pushed/origin/2-b");
    let folder = sandbox.root().join("repo.cx");
    sandbox.cx(["merge", "a"]).ok();
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["clean", "--dry-run"]).ok();
    assert_eq!(notes().lines().count(), 2);
    sandbox.cx(["clean"]).ok();
    assert_eq!(notes(), "refs/cx/pushed/origin/2-b", "b is still there");
    assert!(folder.join("b").exists());
    sandbox.cx(["merge", "b"]).ok();
    sandbox.cx(["clean"]).ok();
    assert_eq!(notes(), "");
    assert!(!folder.exists());
    // It comes again with the next job, and stays where something else is in it.
    sandbox.written("c", "echo c > c");
    fs::write(folder.join("mine"), "mine").unwrap();
    sandbox.cx(["merge"]).ok();
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["clean"]).ok();
    assert!(folder.join("mine").exists() && !folder.join("c").exists());
}
