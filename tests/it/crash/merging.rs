//! The same of what merges: `cx merge`, `cx pick`, `cx merge --undo`, `--verify`.

use std::fs;

use super::{MERGE, VERIFY, crashing, is_there, understood};
use crate::support::Sandbox;

#[test]
fn a_merge_is_killed() {
    for (at, landed) in MERGE {
        let sandbox = Sandbox::new();
        sandbox.written("auth", "echo merged > new; mkdir d; echo x > d/x; echo one > one");
        sandbox.written("docs", "echo two > two; git rm -q --cached one 2>/dev/null; true");
        sandbox.write("mine", "not for git\n");
        sandbox.write(".git/info/exclude", "/mine\n");
        crashing(&sandbox, at, ["merge"]).signal(9);
        // What the ledger knows needs no other merge.
        let merged = sandbox.cx(["merge"]).code(i32::from(at == "merge-marked"));
        let said = merged.stderr();
        let index = match at {
            "merge-promised" => "",
            "landed" => "[1] auth was merged into main by a merge that was cut short",
            "merge-marked" => "nothing to merge",
            _ if landed => "finished an earlier merge",
            _ => "took back an earlier merge",
        };
        assert!(said.contains(index), "{at}: {merged}");
        for (name, content) in [("new", "merged\n"), ("d/x", "x\n"), ("two", "two\n")] {
            assert_eq!(sandbox.read(name), content, "{at}");
        }
        assert_eq!(sandbox.read("mine"), "not for git\n");
        assert_eq!(sandbox.job("auth")["merged_into"], "main", "{at}");
        sandbox.cx(["merge"]).code(1);
        // It is a merge of cx, that can be taken back as any other.
        sandbox.cx(["merge", "--undo"]).ok();
        assert!(!sandbox.repo().join("new").exists(), "{at}");
        sandbox.cx(["merge"]).ok();
        assert_eq!(fs::read_dir(sandbox.repo().join(".git/cx/promises")).unwrap().count(), 0);
        understood(&sandbox, at);
        // Git itself is not held up by anything.
        sandbox.git(["commit", "--quiet", "--allow-empty", "--message=by hand"]);
        sandbox.git(["gc", "--quiet"]);
    }
}

/// The others are given up in the same moment in which the one is merged, whoever
/// finds out that it is.
#[test]
fn a_pick_is_killed() {
    for (at, landed) in MERGE {
        for next in ["pick", "clean", "merge"] {
            let sandbox = Sandbox::new();
            // A clean takes no locks of a merge away.
            sandbox.expect_leftovers();
            sandbox.spawn_sh(["-n", "auth", "-N", "3", "echo $CX_NAME > answer"]);
            sandbox.cx(["wait"]).ok();
            sandbox.cx(["collect"]).ok();
            crashing(&sandbox, at, ["pick", "auth-2"]).signal(9);
            let ctx = format!("{at}, then {next}");
            match next {
                "pick" => sandbox.cx(["pick", "auth-2"]).ok(),
                "merge" if !landed => sandbox.cx(["merge", "auth-2"]).ok(),
                next => sandbox.cx([next]),
            };
            let given_up = landed || next == "pick";
            for other in ["auth-1", "auth-3"] {
                let not_picked = &sandbox.job(other)["not_picked"];
                assert_eq!(*not_picked == 2, given_up, "{ctx}: {other}: {not_picked}");
            }
            if given_up {
                assert_eq!(sandbox.read("answer"), "auth-2\n", "{ctx}");
                sandbox.cx(["clean"]).ok();
                assert_eq!(sandbox.git(["branch", "--list", "cx/*"]), "", "{ctx}");
                sandbox.git(["rev-parse", "refs/cx/trash/auth-1-1", "refs/cx/trash/auth-3-3"]);
            } else {
                sandbox.cx(["clean"]).ok();
                assert!(is_there(&sandbox, "cx/auth-1"), "{ctx}: its work is nowhere else");
            }
        }
    }
}

#[test]
fn a_merge_that_was_killed_is_taken_back_at_once() {
    for (at, landed) in MERGE {
        let sandbox = Sandbox::new();
        sandbox.written("auth", "echo work > work");
        let before = sandbox.git(["rev-parse", "main"]);
        crashing(&sandbox, at, ["merge"]).signal(9);
        let undone = sandbox.cx(["merge", "--undo"]);
        if landed {
            let undone = undone.ok();
            assert!(undone.stdout().contains("took back the merge of auth"), "{at}: {undone}");
        } else {
            undone.code(1);
        }
        assert_eq!(sandbox.git(["rev-parse", "main"]), before, "{at}");
        assert!(!sandbox.repo().join("work").exists(), "{at}");
        sandbox.cx(["merge"]).ok();
        assert_eq!(sandbox.read("work"), "work\n", "{at}");
        understood(&sandbox, at);
    }
}

/// Nothing has landed before the check has said so, and what it stood on does
/// not hinder the next.
#[test]
fn a_check_is_killed() {
    for at in VERIFY {
        let sandbox = Sandbox::new();
        sandbox.written("auth", "echo work > work");
        let before = sandbox.git(["rev-parse", "main"]);
        let merge = ["merge", "--verify", "test -f work"];
        crashing(&sandbox, at, merge).signal(9);
        assert_eq!(sandbox.git(["rev-parse", "main"]), before, "{at}");
        assert_eq!(sandbox.git(["status", "--porcelain"]), "", "{at}");
        sandbox.cx(merge).ok();
        assert_eq!(sandbox.read("work"), "work\n", "{at}");
        understood(&sandbox, at);
        sandbox.cx(["clean"]).ok();
        assert!(!sandbox.root().join("repo.cx/.verify").exists(), "{at}");
    }
}
