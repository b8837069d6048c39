//! `cx clean`: no work is lost.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::run::plan;
use crate::support::Sandbox;

fn tree(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.root().join("repo.cx").join(name)
}

/// A writer that is over and collected.
fn collected(sandbox: &Sandbox, name: &str, script: &str) {
    sandbox.written(name, script);
    sandbox.cx(["collect", name]).ok();
}

#[test]
fn merged_and_empty_jobs_go_and_the_rest_stays_and_is_named() {
    let sandbox = Sandbox::new();
    collected(&sandbox, "merged", "echo x > f");
    sandbox.cx(["merge"]).ok();
    collected(&sandbox, "empty", "true");
    collected(&sandbox, "unmerged", "echo y > g");
    collected(&sandbox, "dirty", "true");
    fs::write(tree(&sandbox, "dirty").join("README.md"), "changed").unwrap();
    collected(&sandbox, "untracked", "true");
    fs::write(tree(&sandbox, "untracked").join("file"), "new").unwrap();
    sandbox.reader("uncollected", "echo the only answer");
    sandbox.cx(["wait"]).ok();
    let planned = sandbox.cx(["clean", "--dry-run"]).ok().stdout();
    assert!(tree(&sandbox, "merged").exists());
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert_eq!(planned.replace("would remove", "removed"), cleaned);
    let root = sandbox.root().display();
    assert_eq!(
        cleaned,
        format!(
            "[1] merged removed worktree, branch and files\n\
             [2] empty removed worktree, branch and files\n\
             [3] unmerged kept: 1 commit on cx/unmerged not merged\n\
             [4] dirty kept: 1 change not committed in {root}/repo.cx/dirty\n\
             [5] untracked kept: 1 file not tracked in {root}/repo.cx/untracked\n\
             [6] uncollected its answer is kept: not collected\n"
        )
    );
    assert!(!tree(&sandbox, "merged").exists() && !tree(&sandbox, "empty").exists());
    assert_eq!(fs::read_to_string(tree(&sandbox, "unmerged").join("g")).unwrap(), "y\n");
    assert_eq!(fs::read_to_string(tree(&sandbox, "untracked").join("file")).unwrap(), "new");
    assert_eq!(sandbox.git(["show", "cx/unmerged:g"]), "y");
    assert!(sandbox.cx(["collect"]).ok().stdout().contains("the only answer"));
    // By name it is a failure that something stays.
    sandbox.cx(["clean", "unmerged"]).code(1);
    sandbox.cx(["clean", "uncollected"]).ok();
    // And what has gone is not named again.
    assert_eq!(sandbox.cx(["clean"]).ok().stdout().lines().count(), 3);
}

#[test]
fn discard_keeps_all_of_it_under_a_ref() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "echo committed > f");
    let folder = tree(&sandbox, "w");
    fs::write(folder.join("f"), "changed\n").unwrap();
    fs::write(folder.join("u"), "untracked\n").unwrap();
    sandbox.cx(["clean", "--discard"]).code(2);
    let dry = sandbox.cx(["clean", "--discard", "--dry-run", "w"]).ok().stdout();
    assert!(dry.contains("would remove") && folder.exists(), "{dry}");
    let cleaned = sandbox.cx(["clean", "--discard", "w"]).ok().stdout();
    assert_eq!(
        cleaned,
        "[1] w removed worktree, branch and files; all of it is kept at refs/cx/trash/w-1\n"
    );
    assert!(!folder.exists());
    assert_eq!(sandbox.git(["branch", "--format=%(refname:short)"]), "main");
    assert_eq!(sandbox.git(["show", "refs/cx/trash/w-1:f"]), "changed");
    assert_eq!(sandbox.git(["show", "refs/cx/trash/w-1:u"]), "untracked");
    assert_eq!(sandbox.git(["show", "refs/cx/trash/w-1~1:f"]), "committed");
    // The name is free, and a second one does not overwrite what is kept.
    sandbox.written("w", "echo again > f");
    sandbox.cx(["clean", "--discard", "w"]).ok();
    assert_eq!(
        sandbox.git(["for-each-ref", "--format=%(refname)", "refs/cx"]),
        "refs/cx/trash/w-1\nrefs/cx/trash/w-2"
    );
}

#[test]
fn only_what_is_old_enough() {
    let sandbox = Sandbox::new();
    collected(&sandbox, "w", "true");
    assert_eq!(sandbox.cx(["clean", "--older-than", "1h"]).ok().stderr(), "cx: nothing to clean\n");
    assert!(tree(&sandbox, "w").exists());
    assert_eq!(sandbox.cx(["clean", "--older-than", "1ms"]).ok().stdout().lines().count(), 1);
    assert!(!tree(&sandbox, "w").exists());
}

#[test]
fn a_live_job_is_not_touched() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.writer("live", &gate.pass());
    gate.arrived();
    let refused = sandbox.cx(["clean", "--discard", "live"]).refused(2, "[1] live is not over");
    assert!(refused.stderr().contains("hint:"), "{refused}");
    assert_eq!(sandbox.cx(["clean"]).ok().stdout(), "");
    assert!(tree(&sandbox, "live").exists());
    gate.open();
    sandbox.cx(["wait"]).ok();
}

#[test]
fn what_was_merged_by_hand_goes() {
    let sandbox = Sandbox::new();
    collected(&sandbox, "w", "echo x > f");
    sandbox.git(["merge", "-q", "cx/w"]);
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert_eq!(cleaned, "[1] w removed worktree, branch and files\n");
    assert_eq!(sandbox.read("f"), "x\n");
}

#[test]
fn a_branch_that_went_on_after_the_merge_stays() {
    let sandbox = Sandbox::new();
    collected(&sandbox, "w", "echo x > f");
    sandbox.cx(["merge"]).ok();
    let folder = tree(&sandbox, "w");
    fs::write(folder.join("f"), "more\n").unwrap();
    sandbox.git(["-C", folder.to_str().unwrap(), "commit", "-qam", "more"]);
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert!(cleaned.contains("on cx/w not merged"), "{cleaned}");
    assert_eq!(sandbox.git(["show", "cx/w:f"]), "more");
}

#[test]
fn a_branch_that_was_rewritten_or_deleted_by_hand() {
    let sandbox = Sandbox::new();
    collected(&sandbox, "reset", "echo x > f");
    sandbox.git(["-C", tree(&sandbox, "reset").to_str().unwrap(), "reset", "-q", "--hard", "main"]);
    // The commit that the ledger knows is on no branch any more; that was the
    // person's wish, and its worktree holds nothing.
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert_eq!(cleaned.lines().count(), 1, "{cleaned}");
    collected(&sandbox, "deleted", "true");
    sandbox.git(["worktree", "remove", "--force", "../repo.cx/deleted"]);
    sandbox.git(["branch", "-D", "cx/deleted"]);
    sandbox.cx(["clean", "deleted"]).ok();
    assert_eq!(sandbox.spawn_sh(["-w", "-n", "deleted", "true"]), "[3] deleted");
    sandbox.cx(["wait"]).ok();
}

#[test]
fn a_worktree_that_was_removed_by_hand_and_the_name_again() {
    let sandbox = Sandbox::new();
    for (name, how) in
        [("rm", "rm -r ../repo.cx/rm"), ("git", "git worktree remove ../repo.cx/git")]
    {
        collected(&sandbox, name, "echo x > $CX_NAME");
        sandbox.sh(how).ok();
        let kept = sandbox.cx(["clean"]).ok().stdout();
        assert!(kept.contains(&format!("{name} kept: 1 commit on cx/{name} not merged")), "{kept}");
        sandbox.cx(["merge"]).ok();
        let cleaned = sandbox.cx(["clean"]).ok().stdout();
        assert!(
            cleaned.contains(&format!("{name} removed worktree, branch and files")),
            "{cleaned}"
        );
        sandbox.written(name, "cat $CX_NAME");
    }
    assert_eq!(sandbox.git(["worktree", "list"]).lines().count(), 2);
}

#[test]
fn somebody_elses_checkout_of_the_branch_is_not_pulled_away() {
    let sandbox = Sandbox::new();
    collected(&sandbox, "w", "true");
    let folder = tree(&sandbox, "w");
    let folder = folder.to_str().unwrap();
    sandbox.git(["-C", folder, "checkout", "-q", "-b", "mine"]);
    sandbox.git(["-C", folder, "commit", "-q", "--allow-empty", "-m", "mine"]);
    let kept = sandbox.cx(["clean"]).ok().stdout();
    assert!(kept.contains("kept:"), "{kept}");
    assert!(tree(&sandbox, "w").exists());
    sandbox.git(["worktree", "lock", folder]);
    sandbox.git(["-C", folder, "checkout", "-q", "cx/w"]);
    let kept = sandbox.cx(["clean"]).ok().stdout();
    assert!(kept.contains("locked"), "{kept}");
    sandbox.git(["worktree", "unlock", folder]);
    sandbox.cx(["clean", "w"]).ok();
    assert_eq!(sandbox.git(["log", "-1", "--format=%s", "mine"]), "mine");
}

#[test]
fn nothing_to_clean_is_no_error() {
    let sandbox = Sandbox::new();
    let output = sandbox.cx(["clean"]).ok();
    assert_eq!(
        (output.stdout().as_str(), output.stderr().as_str()),
        ("", "cx: nothing to clean\n")
    );
    sandbox.cx(["clean", "ghost"]).refused(127, "no such job: ghost");
}

#[test]
fn a_cleaned_job_is_still_known() {
    let sandbox = Sandbox::new();
    collected(&sandbox, "w", "true");
    sandbox.cx(["clean"]).ok();
    sandbox.cx(["show", "w"]).ok();
    sandbox.cx(["wait", "w"]).ok();
    let gone =
        sandbox.cx(["collect", "w"]).refused(1, "the result of [1] w is gone: it was cleaned");
    assert!(gone.stderr().contains("hint:"), "{gone}");
    sandbox.cx(["logs", "w"]).refused(1, "[1] w has no output: it was cleaned");
    sandbox.cx(["prompt", "w"]).refused(1, "the prompt of [1] w");
    sandbox.cx(["path", "w"]).refused(1, "the worktree of [1] w is not there");
    sandbox.cx(["merge", "w"]).refused(2, "[1] w was cleaned");
    sandbox.cx(["clean", "w"]).ok();
    assert_eq!(sandbox.cx(["diff", "w"]).ok().stdout(), "");
}

#[test]
fn old_records_go_but_none_of_a_job_that_is_not_done_with() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("live", &gate.pass());
    sandbox.reader("kept", "echo answer");
    sandbox.reader("taken", "echo answer");
    gate.arrived();
    sandbox.cx(["wait", "kept", "taken"]).ok();
    sandbox.cx(["collect", "taken"]).ok();
    let record = |milliseconds: u32, name: &str| {
        let job = sandbox.cx(["show", "--json", name]).ok().json();
        let id = job["id"].as_str().unwrap();
        let path = format!(".runs/reviewer/{milliseconds}-{}", &id[..6]);
        sandbox.write(format!("{path}/input.json"), "1");
        sandbox.repo().join(path)
    };
    let (live, kept, taken) = (record(1, "live"), record(2, "kept"), record(3, "taken"));
    sandbox.write(".runs/reviewer/4-nobody/input.json", "1");
    sandbox.write("data/logs/events.jsonl", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    let words = ["clean", "--runs-max-per-alias", "1", "--logs-max-bytes", "17"];
    let dry = sandbox.cx([words.as_slice(), &["-n"]].concat()).ok();
    assert!(dry.stdout().contains("would remove 1 record of reviewer in .runs\n"), "{dry}");
    assert!(taken.exists());
    let cleaned = sandbox.cx(words).ok();
    assert!(
        cleaned.stdout().ends_with(
            "removed 1 record of reviewer in .runs\nremoved 8 bytes of data/logs/events.jsonl\n"
        ),
        "{cleaned}"
    );
    assert!(cleaned.stderr().contains(" stays: [1] live is not over\n"), "{cleaned}");
    assert!(cleaned.stderr().contains(" stays: [2] kept is not collected\n"), "{cleaned}");
    assert!(live.exists() && kept.exists() && !taken.exists());
    assert!(sandbox.repo().join(".runs/reviewer/4-nobody").exists());
    let log = fs::read_to_string(sandbox.repo().join("data/logs/events.jsonl")).unwrap();
    assert_eq!(log, "{\"n\":2}\n{\"n\":3}\n");
    gate.open();
    sandbox.cx(["wait"]).ok();
}

#[test]
fn a_run_goes_once_all_its_jobs_are_cleaned() {
    let sandbox = Sandbox::new();
    let tasks = json!([
        { "id": "write", "prompt": "echo work > work", "write": true },
        { "id": "read", "prompt": "echo answer", "needs": ["write"] },
    ]);
    let file = plan(&sandbox, "two", &tasks);
    sandbox.cx(["run", "-f", &file]).ok();
    let folder = sandbox.repo().join(".git/cx/runs/two");
    // Neither merged nor collected; then only one of them.
    sandbox.cx(["clean"]).ok();
    sandbox.cx(["collect", "--run", "two"]).ok();
    sandbox.cx(["clean"]).ok();
    assert!(folder.exists());
    sandbox.cx(["merge", "--run", "two"]).ok();
    sandbox.cx(["clean", "--older-than", "1h"]).ok();
    assert!(folder.exists());
    let planned = sandbox.cx(["clean", "--dry-run"]).ok().stdout();
    assert!(planned.contains("\nrun two would remove files\n"), "{planned}");
    assert!(folder.exists());
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert_eq!(planned.replace("would remove", "removed"), cleaned);
    assert!(!folder.exists());
    // What the ledger has of it is still known.
    let status = sandbox.cx(["status", "two", "--json"]).ok().json();
    assert_eq!((&status["outcome"], &status["succeeded"]), (&json!("succeeded"), &json!(2)));
    assert!(sandbox.cx(["runs"]).ok().stdout().contains("two  succeeded"));
    sandbox.cx(["run", "--resume", "two"]).refused(2, "run two is over and cleaned");
    // And its name is not given again.
    sandbox.cx(["run", "-f", &file]).ok();
    assert!(sandbox.repo().join(".git/cx/runs/two-2").exists());
    assert_eq!(sandbox.cx(["clean", "--dry-run"]).ok().stdout().matches("run ").count(), 0);
}

#[test]
fn a_run_that_is_not_over_stays_with_its_records() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let tasks = json!([
        { "id": "first", "agent": "scout", "prompt": "echo first" },
        { "id": "second", "agent": "scout", "prompt": gate.pass(), "needs": ["first"] },
    ]);
    let file = plan(&sandbox, "slow", &tasks);
    let run = ["run", "-f", &file, "--compat", "codex-flow"];
    let running = sandbox.start(sandbox.cx_command(run));
    gate.arrived();
    sandbox.cx(["collect", "first"]).ok();
    let cleaned = sandbox.cx(["clean", "--runs-max-per-alias", "0"]).ok();
    assert!(cleaned.stderr().contains("stays: run slow is not over"), "{cleaned}");
    assert_eq!(fs::read_dir(sandbox.repo().join(".runs/scout")).unwrap().count(), 2);
    assert!(sandbox.repo().join(".git/cx/runs/slow").exists());
    gate.open();
    running.finish().ok();
}

/// What `cx clean` says first, of a job whose merge was reset, rebased or deleted away.
fn assert_stays(sandbox: &Sandbox, into: &str) {
    let why =
        format!("was merged into {into}, which no longer has it; 1 commit on cx/w not merged");
    let dry = sandbox.cx(["clean", "-n"]).ok().stdout();
    assert!(dry.contains(&why), "{dry}");
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert!(cleaned.contains(&why), "{cleaned}");
    assert!(tree(sandbox, "w").exists());
    assert_eq!(sandbox.git(["show", "cx/w:p"]), "precious");
    assert!(sandbox.job("w")["merged_into"].is_null());
}

#[test]
fn a_merge_that_was_reset_away_is_unmerged_again() {
    for style in [&[][..], &["--squash", "-m", "other words"], &["--no-ff"]] {
        let sandbox = Sandbox::new();
        collected(&sandbox, "w", "echo precious > p");
        sandbox.cx([&["merge"], style].concat()).ok();
        // A job's branch that starts from the merge is no place to rely on.
        collected(&sandbox, "later", "echo more > q");
        sandbox.git(["reset", "-q", "--hard", "HEAD~1"]);
        assert_stays(&sandbox, "main");
        sandbox.cx(["merge", "w"]).ok();
        sandbox.git(["reset", "-q", "--hard", "HEAD~1"]);
        // A merge alone finds it as well. What began from the merge that is gone waits.
        let merged = sandbox.cx(["merge"]);
        assert!(merged.stderr().contains("was merged into main, which no longer has it"));
        let (code, of_later) = if style.is_empty() {
            // The merge was the job's own commit, which lands again.
            (0, "[2] later merged into main")
        } else {
            (1, "[2] later held back: it was started from")
        };
        let merged = merged.code(code);
        assert!(merged.stdout().contains(of_later), "{merged}");
        assert_eq!(fs::read_to_string(sandbox.repo().join("p")).unwrap(), "precious\n");
        let cleaned = sandbox.cx(["clean", "w"]).ok().stdout();
        assert!(cleaned.contains("removed worktree, branch"), "{cleaned}");
    }
}

#[test]
fn a_merge_whose_branch_was_deleted_or_made_again_is_unmerged_again() {
    let sandbox = Sandbox::new();
    collected(&sandbox, "w", "echo precious > p");
    sandbox.cx(["merge", "--into", "side"]).ok();
    sandbox.git(["branch", "-q", "-D", "side"]);
    assert_stays(&sandbox, "side");
    sandbox.cx(["merge", "--no-ff"]).ok();
    sandbox.git(["commit", "-q", "--amend", "-m", "other"]);
    sandbox.git(["reset", "-q", "--hard", "HEAD~1"]);
    assert_stays(&sandbox, "main");
    // Somewhere else is good enough.
    sandbox.cx(["merge"]).ok();
    sandbox.git(["branch", "-q", "elsewhere"]);
    sandbox.git(["reset", "-q", "--hard", "HEAD~1"]);
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert_eq!(cleaned, "[1] w removed worktree, branch and files\n");
    assert_eq!(sandbox.git(["for-each-ref", "refs/cx/trash"]), "");
}

#[test]
fn what_was_reset_away_is_kept_when_it_is_discarded() {
    let sandbox = Sandbox::new();
    collected(&sandbox, "w-1", "echo precious > p");
    sandbox.cx(["merge"]).ok();
    sandbox.git(["reset", "-q", "--hard", "HEAD~1"]);
    sandbox.cx(["clean", "--discard", "w-1"]).ok();
    assert_eq!(sandbox.git(["show", "refs/cx/trash/w-1-1:p"]), "precious");
}

#[test]
fn what_only_the_branch_holds_is_kept_until_the_trash_is_emptied() {
    let sandbox = Sandbox::new();
    collected(&sandbox, "w", "echo precious > p");
    // The squashed commit is another one then.
    sandbox.git(["commit", "-q", "--allow-empty", "-m", "meanwhile"]);
    sandbox.cx(["merge", "--squash"]).ok();
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert_eq!(
        cleaned,
        "[1] w removed worktree, branch and files; all of it is kept at refs/cx/trash/w-1\n"
    );
    assert_eq!(sandbox.git(["show", "refs/cx/trash/w-1:p"]), "precious");
    // The sandbox's git commits at a fixed time, long ago.
    let young = sandbox.cx(["clean", "--trash", "--older-than", "200000h"]).ok();
    assert_eq!(young.stdout(), "");
    let dry = sandbox.cx(["clean", "--trash", "-n"]).ok();
    assert!(dry.stdout().starts_with("would remove refs/cx/trash/w-1 "), "{dry}");
    let emptied = sandbox.cx(["clean", "--trash"]).ok();
    assert!(emptied.stdout().starts_with("removed refs/cx/trash/w-1 "), "{emptied}");
    assert!(emptied.stderr().contains("removed 1 ref from refs/cx/trash"), "{emptied}");
    assert_eq!(sandbox.git(["for-each-ref", "refs/cx/trash"]), "");
}

#[test]
fn cleaning_asks_git_little_and_says_what_stays() {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c"] {
        sandbox.written(name, &format!("echo {name} > {name}"));
    }
    sandbox.cx(["merge"]).ok();
    sandbox.git(["config", "branch.cx/a.description", "mine"]);
    sandbox.git(["config", "branch.cx/a.b.description", "another"]);
    let traced = sandbox.root().join("trace");
    let mut clean = sandbox.cx_command(["clean"]);
    clean.env("GIT_TRACE2_EVENT", &traced);
    let cleaned = sandbox.run(clean).ok().stdout();
    assert_eq!(
        cleaned.matches("removed worktree and branch; its answer is kept: not collected").count(),
        3,
        "{cleaned}"
    );
    let trace = fs::read_to_string(&traced).unwrap();
    let asked = |verb: &str| {
        let starts = trace.lines().filter(|line| line.contains("\"event\":\"start\""));
        starts.filter(|line| line.contains(&format!("\"{verb}\""))).count()
    };
    assert_eq!((asked("list"), trace.matches("--contains").count()), (0, 0));
    assert_eq!((asked("status"), asked("remove"), asked("update-ref")), (3, 3, 3));
    assert_eq!(asked("--remove-section"), 1);
    assert_eq!(sandbox.git(["config", "branch.cx/a.b.description"]), "another");
}

#[test]
fn a_repository_that_was_moved_leaves_no_empty_folder_behind() {
    let sandbox = Sandbox::new();
    sandbox.written("a", "echo a > a");
    sandbox.cx(["merge"]).ok();
    sandbox.cx(["collect"]).ok();
    let moved = sandbox
        .sh("mv ../repo ../moved && cd ../moved && git worktree repair ../repo.cx/a && cx clean");
    moved.ok();
    assert!(!sandbox.root().join("repo.cx").exists());
}
