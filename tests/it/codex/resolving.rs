//! A conflict that the real codex resolves, in its sandbox, and that lands.

use super::{Lab, end};
use crate::support::Script;

/// Two shell writers that change `README.md` and `notes`; one removes `gone`, which
/// the other changes. `a` has landed, `b` is held back.
fn held_back() -> Lab {
    let lab = Lab::new();
    let sandbox = &lab.sandbox;
    sandbox.sh("echo one > notes; echo one > gone; git add -A; git commit -qm base").ok();
    sandbox.writer("a", "echo from-a > README.md; echo from-a > notes; rm gone");
    sandbox.writer("b", "echo from-b > README.md; echo from-b > notes; echo b > gone");
    lab.cx(&["wait"]).ok();
    lab.cx(&["merge", "a"]).ok();
    lab.cx(&["merge", "b"]).code(1);
    lab
}

/// The patch of somebody who has read the conflict in `file`.
fn patch(lab: &Lab, file: &str) -> String {
    let base = lab.sandbox.git(["rev-parse", "--short", "main~1"]);
    let old = lab.sandbox.git(["show", &format!("main~1:{file}")]);
    let tip = lab.sandbox.git(["rev-parse", "cx/b"]);
    format!(
        "*** Begin Patch\n*** Update File: {file}\n@@\n-<<<<<<< HEAD\n from-a\n-||||||| {base}\n\
         -{old}\n-=======\n from-b\n->>>>>>> {tip}\n*** End Patch\n"
    )
}

#[test]
fn a_model_resolves_by_patch_and_by_command_and_it_lands() {
    let lab = held_back();
    let script = Script::new()
        .shell("grep -c '^<<<<<<<' README.md notes; git status --porcelain")
        .patch(&patch(&lab, "README.md"))
        .shell("printf 'from-a\\nfrom-b\\n' > notes")
        .say("Both lines are there.\n\n- `KEEP: gone`: it is still needed\nKEEP: gone\n");
    lab.on("Resolve a merge conflict", script);
    lab.cx(&["resolve", "b", "--verify", "test $(wc -l < README.md) = 2"]).ok();
    lab.cx(&["wait", "b-resolve"]).ok();
    assert_eq!(end(&lab.show("b-resolve")), ("succeeded", ""));
    let request = lab.server.requests().last().unwrap().to_string();
    assert!(request.contains("UU README.md"), "git tells what stands there: {request}");
    let landed = lab.cx(&["merge"]).ok().stdout();
    assert!(landed.contains("b-resolve merged into main"), "{landed}");
    for file in ["README.md", "notes"] {
        assert_eq!(lab.sandbox.read(file), "from-a\nfrom-b\n");
    }
    assert_eq!(lab.sandbox.read("gone"), "b\n");
    assert_eq!(lab.sandbox.git(["status", "--porcelain"]), "");
    assert_eq!(lab.show("b")["merged_into"], "main");
}

#[test]
fn a_model_that_only_says_so_has_resolved_nothing() {
    let lab = held_back();
    lab.on("Resolve a merge conflict", Script::new().say("All is resolved."));
    lab.cx(&["resolve", "b"]).ok();
    lab.cx(&["wait", "b-resolve"]).code(1);
    let job = lab.show("b-resolve");
    assert_eq!(end(&job), ("failed", "conflict markers were left in README.md, notes"));
    let script = Script::new()
        .shell("for f in README.md notes; do printf 'from-a\\nfrom-b\\n' > $f; done")
        .say("All is resolved.");
    lab.server.forget();
    lab.on("Resolve a merge conflict", script);
    lab.cx(&["resolve", "b"]).ok();
    lab.cx(&["wait", "%+"]).code(1);
    let job = lab.show("%+");
    let (outcome, why) = end(&job);
    assert_eq!(outcome, "failed");
    assert!(why.starts_with("unresolved: gone stood in conflict"), "{why}");
    lab.cx(&["merge"]).code(1);
    assert_eq!(lab.sandbox.read("README.md"), "from-a\n");
}
