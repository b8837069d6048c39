//! `--git`: codex commits by itself, and nothing else of the repository is its.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Lab, end};
use crate::support::{Script, until_there};

/// Every file of the repository that is not the worker's, with its content.
fn shared(lab: &Lab) -> Vec<(PathBuf, Vec<u8>)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), found);
            } else {
                found.push((entry.path(), fs::read(entry.path()).unwrap()));
            }
        }
    }
    let git = lab.sandbox.repo().join(".git");
    let mut found = vec![(git.join("config"), fs::read(git.join("config")).unwrap())];
    walk(&git.join("hooks"), &mut found);
    found.sort();
    found
}

#[test]
fn a_writer_commits_and_can_write_to_nothing_that_is_shared() {
    let lab = Lab::new();
    let before = shared(&lab);
    let script = r#"
        echo one > one && git add one && git commit -qm 'mine: one' && echo COMMITTED
        echo two > two && git add two && git commit -qm 'mine: two' && echo COMMITTED
        echo rest > rest
        C=$(git rev-parse --git-common-dir)
        for f in hooks/post-commit config refs/heads/evil refs/heads/main packed-refs HEAD index \
            objects/evil objects/info/alternates info/attributes cx/ledger.jsonl cx/jobs/1/prompt cx/jobs/1/seal.json; do
            (echo evil >> "$C/$f") 2>/dev/null && echo "WROTE $f"
        done
        (echo evil >> .git) 2>/dev/null && echo "WROTE .git"
        git branch evil 2>/dev/null && echo "WROTE a branch"
        git tag evil 2>/dev/null && echo "WROTE a tag"
        git config core.pager evil 2>/dev/null && echo "WROTE a setting"
        git update-ref refs/heads/main HEAD 2>/dev/null && echo "WROTE main"
        true"#;
    lab.on("commit", Script::new().shell(script).say("Done."));
    let main = lab.sandbox.git(["rev-parse", "main"]);
    let (job, said) = lab.run("w", &["-w", "--git", "commit it"], 0);
    let raw = lab.cx(&["logs", "--raw", "w"]).ok().json_lines();
    let log: String =
        raw.iter().filter_map(|line| line["item"]["aggregated_output"].as_str()).collect();
    assert_eq!(log.matches("COMMITTED").count(), 2, "{log}");
    assert!(!log.contains("WROTE"), "{log}");
    assert_eq!((end(&job), said.as_str()), (("succeeded", ""), ""));
    assert_eq!(job["notes"], serde_json::json!([]), "{log}");
    let subjects = lab.sandbox.git(["log", "--format=%s", "main..cx/w"]);
    assert_eq!(subjects, "Done.\nmine: two\nmine: one");
    assert_eq!(job["commits"], 3);
    assert_eq!(lab.sandbox.git(["rev-parse", "main"]), main);
    assert_eq!(shared(&lab), before);
    assert_eq!(lab.sandbox.git(["fsck", "--strict", "--no-dangling"]), "");
    let tree = lab.tree("w");
    let in_tree =
        |args: &[&str]| lab.sandbox.git([&["-C", tree.to_str().unwrap()][..], args].concat());
    assert_eq!(in_tree(&["symbolic-ref", "HEAD"]), "refs/heads/cx/w");
    assert_eq!(in_tree(&["status", "--porcelain"]), "");
    lab.cx(&["merge"]).ok();
    assert_eq!(lab.sandbox.read("two"), "two\n");
    lab.cx(&["collect"]).ok();
    lab.cx(&["clean"]).ok();
    assert_eq!(lab.sandbox.git(["log", "--format=%s", "-1", "main~1"]), "mine: two");
}

#[test]
fn what_a_worker_rewrites_in_its_own_folder_is_put_back_and_named() {
    let lab = Lab::new();
    let pwned = lab.sandbox.root().join("pwned");
    let evil = lab.sandbox.root().join("evil");
    fs::create_dir(&evil).unwrap();
    lab.sandbox.sh(&format!("cp -r .git/. '{}'", evil.display())).ok();
    let run = format!(
        "[core]\n\tfsmonitor = touch {0}\n[filter \"x\"]\n\tclean = touch {0}; cat\n",
        pwned.display()
    );
    fs::write(evil.join("config"), run).unwrap();
    let script = format!(
        r#"
        echo one > one && git add one && git commit -qm mine && echo COMMITTED
        echo '* filter=x' > .gitattributes
        G=$(git rev-parse --git-dir)
        echo '{evil}' > "$G/commondir"
        echo /nowhere/.git > "$G/gitdir"
        cp '{evil}/config' "$G/config.worktree"
        mkdir "$G/hooks"; ln -s '{evil}/config' "$G/logs/evil"
        echo evil > "$G/index"
        true"#,
        evil = evil.display()
    );
    lab.on("commit", Script::new().shell(&script).say("Done."));
    let (job, _) = lab.run("w", &["-w", "--git", "commit it"], 0);
    let note = job["notes"][0].as_str().unwrap_or_default();
    assert_eq!(
        note,
        "the worker rewrote commondir, config.worktree, gitdir, hooks, logs in git's folder of its worktree, which was put back"
    );
    assert!(!pwned.exists(), "what the worker wrote was run");
    assert_eq!(lab.sandbox.git(["log", "--format=%s", "main..cx/w"]), "Done.\nmine");
    lab.cx(&["diff", "w"]).ok();
    lab.cx(&["merge"]).ok();
    assert!(!pwned.exists());
}

#[test]
fn a_head_that_points_elsewhere_takes_nothing_along() {
    let lab = Lab::new();
    let script = "echo one > one; echo 'ref: refs/heads/main' > $(git rev-parse --git-dir)/HEAD";
    lab.on("commit", Script::new().shell(script).say("Done."));
    let main = lab.sandbox.git(["rev-parse", "main"]);
    let (job, _) = lab.run("w", &["-w", "--git", "commit it"], 0);
    assert!(job["notes"][0].as_str().unwrap().starts_with("the worker rewrote HEAD in"), "{job}");
    assert_eq!(lab.sandbox.git(["rev-parse", "main", "cx/w~1"]), format!("{main}\n{main}"));
}

#[test]
fn a_supervisor_that_dies_leaves_it_to_the_recovery() {
    let lab = Lab::new();
    let script = "echo one > one && git add one && git commit -qm mine; echo /nowhere > $(git rev-parse --git-dir)/commondir";
    for point in ["worker-ended", "grant-closed"] {
        lab.on("commit", Script::new().shell(script).say("Done."));
        let mut spawn = lab.sandbox.cx_command(["spawn", "-w", "--git", "-n", point, "commit it"]);
        spawn.env("CX_CRASH_AT", point);
        lab.sandbox.run(spawn).ok();
        lab.cx(&["wait", point]).code(1);
        let job = lab.show(point);
        assert_eq!(job["status"], "lost", "{point}");
        let notes = job["notes"].to_string();
        assert_eq!(notes.matches("the worker rewrote commondir in").count(), 1, "{job}");
        let range = format!("main..cx/{point}");
        assert_eq!(lab.sandbox.git(["log", "--format=%s", &range]), "mine", "{point}");
    }
}

#[test]
fn it_is_for_writers_of_codex_alone() {
    let lab = Lab::new();
    for args in [&["--git", "look"][..], &["-w", "-b", "sh", "--git", "true"]] {
        let refused = lab.cx(&[&["spawn"], args].concat());
        let refused = refused.refused(2, "--git lets a writer of codex commit");
        lab.sandbox.assert_nothing_started(&refused);
    }
    let two = lab.cx(&["spawn", "-w", "-b", "codex,claude", "--git", "x"]);
    lab.sandbox.assert_nothing_started(&two.refused(2, "--git stands with one backend"));
    lab.sandbox.git(["config", "extensions.worktreeConfig", "true"]);
    let refused = lab.cx(&["spawn", "-w", "--git", "x"]).refused(2, "extensions.worktreeConfig");
    lab.sandbox.assert_nothing_started(&refused);
}

#[test]
fn what_it_does_can_be_looked_at_while_it_works() {
    let lab = Lab::new();
    let config = lab.sandbox.root().join("config/cx");
    fs::create_dir_all(&config).unwrap();
    let setup = "[worktree]\nsetup = \"echo given > given; echo more >> README.md\"\n";
    fs::write(config.join("config.toml"), setup).unwrap();
    let gate = lab.sandbox.gate("gate");
    let refs = lab.sandbox.repo().join(".git/refs/cx/checkpoints");
    fs::create_dir_all(&refs).unwrap();
    let script = format!(
        "echo one > one && git add one && git commit -qm mine; echo two > two; git add two; {}",
        gate.pass()
    );
    lab.on("commit", Script::new().shell(&script).say("Done."));
    lab.spawn("w", &["-w", "--git", "--checkpoint", "20ms", "commit it"]);
    gate.arrived();
    until_there(&refs, "w");
    // Its objects are in a store of its own, and not one of them is needed.
    let changed = lab.cx(&["diff", "--name-only", "w"]).ok();
    assert_eq!((changed.stdout(), changed.stderr()), ("one\ntwo\n".to_owned(), String::new()));
    lab.sandbox.write("two", "other\n");
    lab.sandbox.git(["add", "two"]);
    lab.sandbox.git(["commit", "-qm", "other"]);
    let collision = lab.cx(&["conflicts"]).code(1);
    assert!(collision.stdout().contains("two") && collision.stderr().is_empty(), "{collision}");
    assert!(lab.cx(&["jobs"]).ok().stdout().contains(" running "));
    gate.open();
    lab.cx(&["wait", "w"]).ok();
    let job = lab.show("w");
    assert_eq!(job["notes"], serde_json::json!([]));
    // What was given is nobody's work, as in other writers.
    let files = lab.sandbox.git(["diff", "--name-only", "main...cx/w"]);
    assert_eq!(files, "one\ntwo");
    let kept = lab.sandbox.git(["ls-tree", "--name-only", "refs/cx/checkpoints/w"]);
    assert!(kept.contains("one"), "{kept}");
    assert_eq!(lab.sandbox.git(["fsck", "--strict", "--no-dangling"]), "");
    assert!(!lab.job_file(1, "git").exists() && !lab.job_file(1, "seal.json").exists());
}
