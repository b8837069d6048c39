//! `cx conflicts`: which writers collide, before anybody merges.

use crate::support::{Sandbox, Terminal};

#[test]
fn live_writers_count_as_their_worktree_is_and_are_not_touched() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.written("done", "echo done > README.md; echo x > own");
    sandbox.writer("live", &format!("echo live > README.md; echo y > new; {}", gate.pass()));
    gate.arrived();
    let tree = sandbox.root().join("repo.cx/live");
    let git = |args: &[&str]| {
        let mut command = sandbox.command("git");
        command.args(args).current_dir(&tree);
        sandbox.run(command).ok().stdout()
    };
    let before = (git(&["status", "--porcelain"]), git(&["ls-files", "--stage", "--debug"]));
    let output = sandbox.cx(["conflicts"]).code(1);
    assert_eq!(output.stdout(), "[2] live × [1] done\n      README.md (contents)\n");
    assert_eq!((git(&["status", "--porcelain"]), git(&["ls-files", "--stage", "--debug"])), before);

    // An untracked file against one of the branch; `new` is nowhere in the index.
    sandbox.write("new", "ours\n");
    sandbox.git(["add", "new"]);
    sandbox.git(["commit", "--quiet", "--message=new"]);
    let report = sandbox.cx(["conflicts", "--json"]).code(1).json();
    let pairs = report["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 2, "{report}");
    assert_eq!(pairs[0]["a"], serde_json::Value::Null);
    assert_eq!(pairs[0]["b"], "live");
    assert_eq!(pairs[0]["conflicts"][0]["path"], "new");
    assert_eq!(pairs[0]["conflicts"][0]["kind"], "contents");
    assert_eq!(
        (report["jobs"][0]["live"].as_bool(), report["jobs"][1]["live"].as_bool()),
        (Some(false), Some(true))
    );
    assert_eq!(report["target"], "main");

    // Named ones only.
    let output = sandbox.cx(["conflicts", "done"]).ok();
    assert!(output.stderr().contains("nothing collides: 1 writer and main"), "{output}");
    gate.open();
    sandbox.cx(["wait"]).ok();
}

#[test]
fn with_another_branch_and_what_cannot_be_compared() {
    let sandbox = Sandbox::new();
    sandbox.git(["branch", "other"]);
    sandbox.written("w", "echo w > README.md");
    sandbox.reader("r", "true");
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["conflicts"]).ok();
    sandbox.git(["checkout", "--quiet", "other"]);
    sandbox.write("README.md", "other\n");
    sandbox.git(["commit", "--quiet", "--all", "--message=other"]);
    sandbox.git(["checkout", "--quiet", "main"]);
    let output = sandbox.cx(["conflicts", "--with", "other"]).code(1);
    assert_eq!(output.stdout(), "[1] w × other\n      README.md (contents)\n");
    sandbox.cx(["conflicts", "--with", "none"]).refused(2, "there is no branch 'none'");
    sandbox.cx(["conflicts", "r"]).refused(2, "[2] r is a reader and changes nothing");
    sandbox.cx(["merge"]).ok();
    let output = sandbox.cx(["conflicts"]).ok();
    assert!(output.stderr().contains("no writers to compare"), "{output}");
}

/// Writers of which every one writes `shared` and its own file.
fn crowd(count: usize, shared: impl Fn(usize) -> Option<usize>) -> Sandbox {
    let sandbox = Sandbox::new();
    for n in 1..=count {
        let also = shared(n).map(|file| format!("echo {n} > shared{file}; ")).unwrap_or_default();
        sandbox.writer(&format!("job{n}"), &format!("{also}echo {n} > own{n}"));
    }
    sandbox.cx(["wait"]).ok();
    sandbox
}

#[test]
fn the_matrix_is_read_at_a_glance_with_eight_jobs() {
    let sandbox = crowd(8, |n| (n % 4 == 2).then_some(1));
    let terminal = Terminal::start(&sandbox, "cx", ["conflicts"]);
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(1), "{screen}");
    let expected = "          main  1  2  3  4  5  6  7
[1] job1     ·
[2] job2     ·  ·
[3] job3     ·  ·  ·
[4] job4     ·  ·  ·  ·
[5] job5     ·  ·  ·  ·  ·
[6] job6     ·  ·  ×  ·  ·  ·
[7] job7     ·  ·  ·  ·  ·  ·  ·
[8] job8     ·  ·  ·  ·  ·  ·  ·  ·
× conflict

[6] job6 × [2] job2
      shared1 (contents)";
    assert_eq!(screen, expected);
}

#[test]
fn thirty_jobs_show_those_that_collide() {
    let sandbox = crowd(30, |n| (n % 10 == 0).then_some(n % 20));
    let terminal = Terminal::start(&sandbox, "cx", ["conflicts"]);
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(1), "{screen}");
    let expected = "            main  10
[10] job10     ·
[30] job30     ·   ×
× conflict
28 more writers collide with nobody

[30] job30 × [10] job10
      shared10 (contents)";
    assert_eq!(screen, expected);
}

#[test]
fn watching_says_so_as_soon_as_two_begin_to_collide_and_ends_with_the_jobs() {
    let sandbox = Sandbox::new();
    let (first, second, end) = (sandbox.gate("first"), sandbox.gate("second"), sandbox.gate("end"));
    sandbox.writer("one", &format!("echo one > f; {}", end.pass()));
    let steps = [&first.pass(), "echo two > f", &second.pass(), "rm f", &end.pass()].join("; ");
    sandbox.writer("two", &steps);
    first.arrived();
    let mut command = sandbox.cx_command(["conflicts", "--watch", "--interval", "0.05"]);
    command.env("COLUMNS", "200");
    let watching = sandbox.start(command);
    first.open();
    watching.wait_for_stdout("[2] two and [1] one collide: f (contents)\n");
    second.open();
    watching.wait_for_stdout("[2] two and [1] one no longer collide\n");
    end.open();
    let output = watching.finish().ok();
    assert_eq!(output.stdout().lines().count(), 2, "{output}");
    // Over, and still colliding with main or not: the exit code says which.
    let output = sandbox.cx(["conflicts", "--watch", "--json"]).ok();
    assert_eq!(output.stdout(), "");
}

#[test]
fn what_a_need_has_landed_as_a_squash_does_not_collide_with_itself() {
    let sandbox = Sandbox::new();
    sandbox.written("auth", "echo one > auth");
    sandbox.spawn_sh(["-w", "-n", "docs", "--after", "auth", "echo two > auth; echo docs > docs"]);
    sandbox.cx(["wait"]).ok();
    sandbox.sh("echo x > x; git add x; git commit -qm x").ok();
    sandbox.cx(["merge", "--squash", "auth"]).ok();
    // The branch of docs still holds auth in the old form: a plain merge conflicts.
    sandbox.sh("git merge-tree --write-tree main cx/docs").code(1);
    sandbox.cx(["conflicts"]).ok();
    let dry = sandbox.cx(["merge", "--dry-run"]).ok();
    assert!(dry.stdout().contains("docs would merge into main"), "{dry}");
    // What the target has made of it since does collide.
    sandbox.sh("echo mine > auth; git commit -qam mine").ok();
    let said = sandbox.cx(["conflicts"]).code(1).stdout();
    assert_eq!(said, "[2] docs × main\n      auth (contents)\n");
    sandbox.cx(["merge", "--dry-run"]).code(1);
}
