//! What becomes of what a writer leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::Sandbox;

#[test]
fn all_kinds_of_changes_are_committed() {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "ignored\n");
    sandbox.write("gone", "gone\n");
    sandbox.write("old-name", "a file\nthat moves\nas it is\n");
    sandbox.write("script", "#!/bin/sh\n");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "files"]);
    sandbox.written(
        "w",
        "echo more >> README.md; rm gone; mv old-name new-name; chmod +x script; \
         mkdir -p deep/er; echo x > 'deep/er/a \"name\" é'; ln -s README.md link; echo i > ignored",
    );
    let changes =
        sandbox.git(["-c", "core.quotePath=false", "diff", "--name-status", "-M", "main", "cx/w"]);
    assert_eq!(
        changes,
        "M\tREADME.md\nA\t\"deep/er/a \\\"name\\\" é\"\nD\tgone\nA\tlink\nR100\told-name\tnew-name\nM\tscript"
    );
    assert!(sandbox.git(["ls-tree", "cx/w", "script", "link"]).starts_with("120000"));
    assert!(sandbox.git(["ls-tree", "cx/w", "script"]).starts_with("100755"));
    let job = sandbox.job("w");
    assert_eq!((job["commits"].as_u64(), job["files"].as_u64()), (Some(1), Some(6)), "{job}");
    // Nothing is left to be committed, and what is ignored lies where it was.
    let tree = sandbox.root().join("repo.cx/w");
    assert_eq!(sandbox.git(["-C", tree.to_str().unwrap(), "status", "--porcelain"]), "");
    assert_eq!(fs::read_to_string(tree.join("ignored")).unwrap(), "i\n");
}

#[test]
fn the_commit_says_whose_it_is() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "echo x > f # make f");
    let body = sandbox.git(["log", "-1", "--format=%an <%ae>%n%B", "cx/w"]);
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!(lines[..2], ["Test <test@example.com>", "echo x > f # make f"]);
    assert!(body.contains("\nCx-Job: 1 w\nCx-Backend: sh"), "{body}");
    assert_eq!(
        sandbox.git(["log", "-1", "--format=%(trailers:key=Cx-Job,valueonly)", "cx/w"]).trim(),
        "1 w"
    );
}

#[test]
fn commits_of_the_worker_are_kept_as_they_are() {
    let sandbox = Sandbox::new();
    sandbox.written(
        "w",
        "echo 1 > a; git add a; git commit -qm 'my first' --author 'Me <me@x>'; \
         echo 2 > b; git add b; git commit -qm 'my second'; echo 3 > c",
    );
    let log = sandbox.git(["log", "--format=%s|%an", "main..cx/w"]);
    assert_eq!(log.lines().skip(1).collect::<Vec<_>>(), ["my second|Test", "my first|Me"]);
    assert_eq!(sandbox.job("w")["commits"], 3);
    // All of it committed by itself: nothing is added.
    sandbox.written("own", "echo 1 > a; git add a; git commit -qm 'all mine'");
    assert_eq!(sandbox.git(["log", "--format=%s", "main..cx/own"]), "all mine");
    assert_eq!(sandbox.job("own")["commits"], 1);
}

#[test]
fn hooks_of_the_repository_do_not_run() {
    let sandbox = Sandbox::new();
    let hooks = sandbox.repo().join(".git/hooks");
    fs::create_dir_all(&hooks).unwrap();
    for hook in
        ["pre-commit", "commit-msg", "post-checkout", "post-commit", "reference-transaction"]
    {
        let path = hooks.join(hook);
        let ran = sandbox.root().join("hook-ran");
        fs::write(&path, format!("#!/bin/sh\necho {hook} >> '{}'\nexit 1\n", ran.display()))
            .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    sandbox.written("w", "echo x > f");
    assert_eq!(sandbox.job("w")["commits"], 1);
    sandbox.cx(["merge"]).ok();
    let ran = fs::read_to_string(sandbox.root().join("hook-ran")).unwrap_or_default();
    assert_eq!(ran, "");
}

#[test]
fn a_failed_job_has_its_work_committed_and_marked() {
    let sandbox = Sandbox::new();
    sandbox.writer("w", "echo half > f; echo broken >&2; exit 5");
    sandbox.cx(["wait", "w"]).code(5);
    let body = sandbox.git(["log", "-1", "--format=%B", "cx/w"]);
    assert!(body.starts_with("[failed] echo half"), "{body}");
    assert!(body.contains("ended with exit code 5: broken"), "{body}");
    assert!(body.contains("Cx-Outcome: failed"), "{body}");
    assert_eq!(sandbox.git(["show", "cx/w:f"]), "half");
}

#[test]
fn a_killed_job_has_its_work_committed_and_marked() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.writer("w", &format!("echo half > f; {}", gate.pass()));
    gate.arrived();
    sandbox.cx(["kill", "w"]).ok();
    assert_eq!(sandbox.git(["show", "cx/w:f"]), "half");
    assert!(sandbox.git(["log", "-1", "--format=%B", "cx/w"]).contains("Cx-Outcome: killed"));
    assert_eq!(sandbox.job("w")["commits"], 1);
}

#[test]
fn somebody_without_an_identity_has_commits_all_the_same() {
    let mut sandbox = Sandbox::new();
    for who in ["AUTHOR", "COMMITTER"] {
        sandbox.set(format!("GIT_{who}_NAME"), "");
        sandbox.set(format!("GIT_{who}_EMAIL"), "");
    }
    sandbox.git(["config", "user.useConfigOnly", "true"]);
    sandbox.written("w", "echo x > f");
    assert_eq!(sandbox.git(["show", "cx/w:f"]), "x");
    let notes = sandbox.job("w")["notes"].to_string();
    assert!(notes.contains("user.name"), "who is the author must be said: {notes}");
    sandbox.cx(["merge"]).ok();
}

#[test]
fn a_job_that_changed_nothing_has_no_commit() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "echo looked; echo x > f; rm f");
    let job = sandbox.job("w");
    assert_eq!((job["commits"].as_u64(), &job["tip"]), (Some(0), &job["base"]));
    assert_eq!(
        sandbox.cx(["merge"]).code(1).stderr(),
        "cx: nothing to merge: no finished writer has unmerged commits\n"
    );
    sandbox.cx(["collect"]).ok();
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert_eq!(cleaned, "[1] w removed worktree, branch and files\n");
}

#[test]
fn a_repository_made_by_the_worker_is_named_and_stays() {
    let sandbox = Sandbox::new();
    sandbox.writer("w", "git init -q inner; cd inner; echo x > f; git add f; git commit -qm inner; cd ..; echo y > g");
    sandbox.cx(["wait", "w"]);
    let job = sandbox.job("w");
    let inner = sandbox.root().join("repo.cx/w/inner/f");
    assert!(inner.exists(), "{job}");
    assert_eq!(sandbox.git(["show", "cx/w:g"]), "y");
    assert!(job["notes"].to_string().contains("inner"), "{job}");
    sandbox.cx(["merge", "w"]).ok();
    sandbox.cx(["collect", "w"]);
    sandbox.cx(["clean", "w"]).code(1);
    assert!(inner.exists(), "the only copy of the inner repository is gone");
}

#[test]
fn a_worker_that_leaves_its_branch_loses_nothing() {
    let sandbox = Sandbox::new();
    sandbox.writer(
        "w",
        "git checkout -q -b side; echo x > f; git add f; git commit -qm side; echo y > g",
    );
    sandbox.cx(["wait", "w"]);
    let job = sandbox.job("w");
    let all = sandbox.git(["log", "--all", "--format=%s"]);
    assert!(all.contains("side"), "{all}");
    let tip = job["tip"].as_str().unwrap();
    assert_eq!(sandbox.git(["show", &format!("{tip}:f")]), "x", "{job}");
    assert_eq!(sandbox.git(["show", &format!("{tip}:g")]), "y", "{job}");
    // `cx merge` takes what the job says.
    sandbox.cx(["merge", "w"]).ok();
    assert_eq!(sandbox.read("f"), "x\n");
}

#[test]
fn a_worker_that_removes_its_own_worktree_is_no_success_of_work() {
    let sandbox = Sandbox::new();
    sandbox.writer("w", "git worktree remove --force .");
    sandbox.cx(["wait", "w"]);
    let job = sandbox.job("w");
    assert_ne!(job["status"], "running");
    sandbox.cx(["collect"]);
    sandbox.cx(["clean"]);
    sandbox.cx(["jobs", "-a"]).ok();
}

#[test]
fn what_is_not_committed_is_not_in_the_worktree_and_that_is_said() {
    let sandbox = Sandbox::new();
    sandbox.write(".cx/config.toml", "grace = \"1s\"\n");
    sandbox.written("clean", "true");
    assert_eq!(sandbox.job("clean")["notes"], serde_json::json!([]));
    sandbox.write("README.md", "edited\n");
    sandbox.write("new", "new\n");
    sandbox.written("dirty", "true");
    let note = "1 uncommitted change and 1 untracked file of the checkout are not in its worktree; commit first what it is to see";
    assert_eq!(sandbox.job("dirty")["notes"], serde_json::json!([note]));
    // A reader sees them, and who names a base does not expect them.
    sandbox.reader("reader", "cat new");
    sandbox.git(["commit", "--quiet", "--allow-empty", "--message=more"]);
    sandbox.spawn_sh(["-w", "-n", "based", "--base", "HEAD~1", "true"]);
    sandbox.cx(["wait"]).ok();
    for name in ["reader", "based"] {
        assert_eq!(sandbox.job(name)["notes"], serde_json::json!([]), "{name}");
    }
}
