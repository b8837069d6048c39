//! Readers only read: `sh` readers are confined by the kernel.

use std::{fs, path::Path};

use crate::support::{Sandbox, until_gone};

#[test]
fn a_reader_cannot_change_the_checkout() {
    let sandbox = Sandbox::new();
    let attempts = [
        "echo x > new",
        "echo x >> README.md",
        ": > README.md",
        "rm README.md",
        "mv README.md other",
        "mkdir folder",
        "ln -s README.md link",
        "ln README.md hard",
        "git add . && git commit --allow-empty -m x",
        "git branch new",
        "touch .git/cx/ledger.jsonl.x",
        "setsid sh -c 'echo x > new'",
        "mkfifo pipe",
        "echo x > \"$HOME/file\"",
        "echo x > ../outside",
    ];
    let before = sandbox.git(["rev-parse", "HEAD"]);
    for script in attempts {
        sandbox.spawn_sh(["-n", "r", script]);
        let waited = sandbox.cx(["wait", "r"]);
        assert_ne!(sandbox.job("r")["status"], "succeeded", "{script}: {waited}");
        sandbox.cx(["collect"]).code(1);
    }
    assert_eq!(sandbox.git(["status", "--porcelain", "--ignored"]), "");
    assert_eq!(sandbox.read("README.md"), "A repository to work in.\n");
    assert_eq!(sandbox.git(["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    assert_eq!(sandbox.git(["rev-parse", "HEAD"]), before);
    assert!(!sandbox.root().join("outside").exists() && !sandbox.root().join("home/file").exists());
}

#[test]
fn a_reader_may_read_git_and_write_scraps() {
    let sandbox = Sandbox::new();
    sandbox.reader(
        "r",
        "set -e; git status --short; git log --format=%s; git diff; echo a > $TMPDIR/a; cat $TMPDIR/a; \
         echo x > /dev/null; f=/tmp/cx-reader-$CX_JOB_ID; echo b > $f; cat $f; rm $f",
    );
    sandbox.cx(["wait", "r"]).ok();
    assert_eq!(sandbox.cx(["logs", "r"]).ok().stdout(), "The first commit\na\nb\n");
    // Scraps go with the job.
    let folder = sandbox.job("r")["folder"].as_str().unwrap().to_owned();
    until_gone(Path::new(&folder), "tmp");
}

#[test]
fn a_reader_that_was_refused_is_told_how_to_write() {
    let sandbox = Sandbox::new();
    sandbox.reader("r", "touch file");
    let waited = sandbox.cx(["wait", "r"]).code(1);
    assert!(waited.stderr().contains("[1] r failed"), "{waited}");
    let collected = sandbox.cx(["collect", "r"]).code(1).stdout();
    assert!(collected.contains("`--write` gives it a worktree of its own"), "{collected}");
    // Its script may go on, and end well.
    sandbox.reader("on", "touch file; echo fine");
    sandbox.cx(["wait", "on"]).ok();
    let collected = sandbox.cx(["collect", "on"]).ok().stdout();
    assert!(collected.contains("fine") && collected.contains("`--write` gives"), "{collected}");
    // A reader that failed of something else is not.
    sandbox.reader("other", "exit 1");
    sandbox.cx(["wait", "other"]).code(1);
    assert!(!sandbox.cx(["collect", "other"]).code(1).stdout().contains("--write"));
}

/// `/tmp` is writable for readers, but not where the checkout itself is.
#[test]
fn a_checkout_below_tmp_is_protected_too() {
    let sandbox = Sandbox::without_repository();
    let place = tempfile::Builder::new().prefix("cx-").tempdir_in("/tmp").unwrap();
    for name in ["repo", "plain"] {
        fs::create_dir(place.path().join(name)).unwrap();
    }
    let repo = place.path().join("repo");
    sandbox.git(["-C", repo.to_str().unwrap(), "init", "-q", "-b", "main"]);
    for name in ["repo", "plain"] {
        let run = |args: &[&str]| {
            let mut command = sandbox.cx_command(args);
            command.current_dir(place.path().join(name));
            sandbox.run(command)
        };
        let script = "echo scrap > $TMPDIR/s && cat $TMPDIR/s; touch file";
        run(&["spawn", "-b", "sh", "-n", "r", script]).ok();
        run(&["wait", "r"]).code(1);
        assert_eq!(run(&["logs", "r"]).ok().stdout(), "scrap\n");
        assert!(!place.path().join(name).join("file").exists(), "{name}");
    }
}

#[test]
fn a_writer_is_not_confined_and_its_checkout_is_its_worktree() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "echo x > here; echo y > $TMPDIR/scrap");
    assert_eq!(sandbox.lines(["diff", "--name-only", "w"]), ["here"]);
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
}
