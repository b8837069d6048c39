//! `cx merge` where git is configured: what `git merge` would make of it.

use crate::support::Sandbox;

/// Two finished writers.
fn batch() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.writer("a", "echo a > a");
    sandbox.writer("b", "echo b > b");
    sandbox.cx(["wait"]).ok();
    sandbox
}

fn parents(sandbox: &Sandbox) -> usize {
    sandbox.git(["log", "-1", "--format=%P", "main"]).split_whitespace().count()
}

#[test]
fn how_a_branch_moves_is_as_configured_unless_the_command_line_says_otherwise() {
    let sandbox = batch();
    sandbox.git(["config", "merge.ff", "only"]);
    let output = sandbox.cx(["merge"]).code(1);
    assert!(output.stdout().contains("b held back: main has commits that it has not"), "{output}");
    assert!(output.stderr().contains("to bring b in: cx merge --ff b"), "{output}");
    sandbox.cx(["merge", "--ff"]).ok();
    assert_eq!(parents(&sandbox), 2);
    let sandbox = batch();
    sandbox.git(["config", "merge.ff", "false"]);
    sandbox.cx(["merge", "a"]).ok();
    assert_eq!(parents(&sandbox), 2, "a merge commit where main could have moved forward");
    sandbox.cx(["merge", "--undo"]).ok();
    // What is configured for the branch counts more; another's does not count.
    sandbox.git(["config", "branch.main.mergeOptions", "--squash --stat"]);
    sandbox.git(["config", "branch.other.mergeOptions", "-X theirs"]);
    sandbox.cx(["merge", "a"]).ok();
    assert_eq!(parents(&sandbox), 1);
    assert_eq!(
        sandbox.git(["log", "-1", "--format=%(trailers:key=Cx-Job,valueonly)"]).trim(),
        "1 a"
    );
    sandbox.cx(["merge", "--undo"]).ok();
    sandbox.cx(["merge", "--no-ff", "a"]).ok();
    assert_eq!(parents(&sandbox), 2);
}

#[test]
fn what_cx_cannot_do_as_configured_is_refused() {
    let sandbox = batch();
    let before = sandbox.git(["rev-parse", "main"]);
    sandbox.git(["config", "branch.main.mergeOptions", "--no-ff -X theirs"]);
    let refused = sandbox.cx(["merge"]).refused(1, "branch.main.mergeOptions of git's");
    assert!(refused.stderr().contains("'-X', which cx merge cannot do; nothing was merged"));
    assert!(refused.stderr().contains("--show-origin branch.main.mergeOptions"), "{refused}");
    assert_eq!(sandbox.git(["rev-parse", "main"]), before);
    sandbox.cx(["merge", "--into", "other", "a"]).ok();
}

#[test]
fn messages_are_cleaned_as_configured() {
    let message = "Subject\n\n# a comment?\n\n\n\nend";
    let merged = |cleanup: Option<&str>, more: &[&str], editor: Option<&str>| {
        let sandbox = batch();
        if let Some(cleanup) = cleanup {
            sandbox.git(["config", "commit.cleanup", cleanup]);
        }
        if let Some(script) = editor {
            sandbox.script_tool("editor", script);
            sandbox.git(["config", "core.editor", "editor"]);
        }
        let merge = ["merge", "--no-ff", "a", "-m", message];
        sandbox.cx(merge.iter().chain(more).copied()).ok();
        sandbox.git(["log", "-1", "--format=%B", "main"])
    };
    let (strip, whole) =
        ("Subject\n\nend\n\nCx-Job: 1 a", "Subject\n\n# a comment?\n\nend\n\nCx-Job: 1 a");
    let verbatim = "Subject\n\n# a comment?\n\n\n\nend\n\nCx-Job: 1 a";
    let edit = &["--edit"][..];
    for (cleanup, more, wanted) in [
        (Some("strip"), &[][..], strip),
        (Some("strip"), edit, strip),
        (None, edit, strip),
        (Some("whitespace"), edit, whole),
        (Some("verbatim"), edit, verbatim),
    ] {
        let said = merged(cleanup, more, Some("true"));
        assert!(said.starts_with(wanted), "{cleanup:?} {more:?}: {said}");
    }
    let cut = merged(Some("scissors"), edit, Some("echo below >> \"$1\""));
    assert!(cut.starts_with(whole), "{cut}");
    assert!(!cut.contains("below") && !cut.contains(">8"), "{cut}");
    // The same as git's own.
    for mode in ["strip", "whitespace", "verbatim", "scissors", "default"] {
        let sandbox = batch();
        sandbox.git(["config", "commit.cleanup", mode]);
        sandbox.git(["merge", "--quiet", "--no-ff", "cx/a", "-m", message]);
        let theirs = sandbox.git(["log", "-1", "--format=%B", "main"]);
        let ours = merged(Some(mode), &[], None);
        assert!(ours.starts_with(theirs.trim_end()), "{mode}: {ours:?} and {theirs:?}");
    }
}

/// Signs with a key that `ssh-keygen` makes. It comes with openssh-client, as git's
/// own ssh signatures do: without it this test fails, and does not pass by default.
fn signing() -> Sandbox {
    let sandbox = batch();
    sandbox.add_tool("ssh-keygen");
    let key = sandbox.root().join("key");
    let keygen = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(&key)
        .status();
    assert!(keygen.is_ok_and(|status| status.success()));
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let signers = sandbox.root().join("signers");
    std::fs::write(&signers, format!("test@example.com {public}")).unwrap();
    sandbox.git(["config", "gpg.format", "ssh"]);
    sandbox.git(["config", "user.signingKey", key.to_str().unwrap()]);
    sandbox.git(["config", "gpg.ssh.allowedSignersFile", signers.to_str().unwrap()]);
    sandbox
}

#[test]
fn merges_are_signed_with_an_ssh_key() {
    let sandbox = signing();
    sandbox.git(["config", "commit.gpgSign", "true"]);
    sandbox.cx(["merge"]).ok();
    assert_eq!(parents(&sandbox), 2);
    assert_eq!(sandbox.git(["log", "-1", "--format=%G? %GS", "main"]), "G test@example.com");
    // Without the key nothing lands unsigned.
    let sandbox = signing();
    sandbox.git(["config", "branch.main.mergeOptions", "--no-ff --gpg-sign"]);
    sandbox.git(["config", "user.signingKey", "/nowhere/key"]);
    let before = sandbox.git(["rev-parse", "main"]);
    let refused = sandbox.cx(["merge"]);
    assert_ne!(refused.status_code(), Some(0), "{refused}");
    assert_eq!(sandbox.git(["rev-parse", "main"]), before);
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
}

#[test]
fn only_what_is_signed_is_merged_where_git_asks_for_it() {
    let sandbox = signing();
    sandbox.git(["config", "merge.verifySignatures", "true"]);
    let output = sandbox.cx(["merge"]).code(1);
    assert!(output.stdout().contains("a held back: its last commit has no good sig"), "{output}");
    assert!(output.stderr().contains("commit --amend --no-edit -S"), "{output}");
    assert!(!sandbox.repo().join("a").exists());
    sandbox.sh("git -C ../repo.cx/a commit --quiet --amend --no-edit -S").ok();
    let report = sandbox.cx(["merge", "--json"]).code(1).json();
    let results: Vec<_> =
        report["jobs"].as_array().unwrap().iter().map(|job| job["result"].clone()).collect();
    assert_eq!(results, ["merged", "unsigned"]);
    assert_eq!(sandbox.read("a"), "a\n");
}
