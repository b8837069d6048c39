//! `--scope`: what a writer may touch, held to at the merge.

use crate::support::Sandbox;

/// A job that was told to stay in `src` and did not.
fn stray(sandbox: &Sandbox) {
    sandbox.written_in("src", "auth", "mkdir src; echo in > src/a; echo out > out; mv README.md R");
}

impl Sandbox {
    /// Starts a writer with this scope and waits until it has succeeded.
    #[track_caller]
    fn written_in(&self, scope: &str, name: &str, script: &str) {
        self.spawn_sh(["-w", "-n", name, "--scope", scope, script]);
        self.cx(["wait", name]).ok();
    }
}

#[test]
fn what_is_outside_of_the_scope_is_held_back_by_file() {
    let sandbox = Sandbox::new();
    stray(&sandbox);
    sandbox.written_in("docs", "docs", "mkdir docs; echo 1 > docs/a");
    let head = sandbox.git(["rev-parse", "main"]);
    for args in [&["merge", "--dry-run"][..], &["merge"], &["merge", "--outside", "refuse"]] {
        let merged = sandbox.cx(args).code(1);
        let said = merged.stdout();
        assert!(
            said.contains(
                "[1] auth held back: it changes what is outside of its scope (src):\n\
                 \x20     R\n      README.md\n      out\n"
            ),
            "{said}"
        );
        assert!(merged.stderr().contains("cx merge --outside drop auth leaves these out"));
    }
    // It held back nobody else.
    assert_eq!(sandbox.read("docs/a"), "1\n");
    assert_ne!(sandbox.git(["rev-parse", "main"]), head);
    assert!(!sandbox.repo().join("src").exists());
    let row = sandbox.cx(["merge", "--json"]).code(1).json()["jobs"][0].clone();
    assert_eq!((&row["result"], &row["outside_fate"]), (&"outside-scope".into(), &"refuse".into()));
    assert_eq!(row["outside"], serde_json::json!(["R", "README.md", "out"]));
    sandbox.cx(["collect"]).ok();
    assert!(sandbox.cx(["clean"]).ok().stdout().contains("not merged"));
}

#[test]
fn drop_lands_the_rest_and_loses_nothing() {
    let sandbox = Sandbox::new();
    stray(&sandbox);
    let whole = sandbox.git(["rev-parse", "cx/auth"]);
    let author = sandbox.git(["log", "-1", "--format=%an %ae %ad%n%s", "cx/auth"]);
    let said = sandbox.cx(["merge", "--outside", "drop"]).ok().stdout();
    assert!(said.contains("without what it changed outside of its scope, 3 files:\n      R\n"));
    assert!(said.contains("(1 commit, 1 file)"), "{said}");
    assert_eq!(sandbox.read("src/a"), "in\n");
    assert!(!sandbox.repo().join("out").exists() && sandbox.repo().join("README.md").exists());
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
    assert_eq!(sandbox.git(["log", "-1", "--format=%an %ae %ad%n%s"]), author);
    let dropped = sandbox.git(["log", "-1", "--format=%(trailers:key=Cx-Dropped,valueonly)"]);
    assert_eq!(dropped.trim(), "R\nREADME.md\nout");
    let job = sandbox.git(["log", "-1", "--format=%(trailers:key=Cx-Job,valueonly)"]);
    assert_eq!(job.trim(), "1 auth");
    // What was left out is not merged again, and clean keeps it.
    sandbox.cx(["merge"]).code(1);
    sandbox.cx(["collect"]).ok();
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert!(cleaned.contains("all of it is kept at refs/cx/trash/auth-1"), "{cleaned}");
    assert_eq!(sandbox.git(["rev-parse", "refs/cx/trash/auth-1"]), whole);
}

#[test]
fn what_somebody_added_to_a_job_that_lost_a_part_stays() {
    let sandbox = Sandbox::new();
    stray(&sandbox);
    sandbox.cx(["merge", "--outside", "drop"]).ok();
    sandbox.cx(["collect"]).ok();
    sandbox
        .sh("cd ../repo.cx/auth && echo mine > mine && git add mine && git commit -qm mine")
        .ok();
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert!(cleaned.contains("kept: 2 commits on cx/auth not merged"), "{cleaned}");
    assert!(sandbox.root().join("repo.cx/auth/mine").exists());
}

#[test]
fn with_every_style_the_rest_is_the_same() {
    for style in ["--squash", "--rebase", "--no-ff"] {
        let sandbox = Sandbox::new();
        stray(&sandbox);
        sandbox.cx(["merge", style, "--outside", "drop"]).ok();
        let files = sandbox.git(["ls-tree", "-r", "--name-only", "main"]);
        assert_eq!(files, "README.md\nsrc/a", "{style}");
        assert!(sandbox.git(["log", "-1", "--format=%B"]).contains("Cx-Dropped: out"), "{style}");
    }
}

#[test]
fn keep_lands_it_whole_and_says_so() {
    let sandbox = Sandbox::new();
    stray(&sandbox);
    let said = sandbox.cx(["merge", "--outside", "keep"]).ok().stdout();
    assert!(said.contains("with what it changed outside of its scope, 3 files:\n      R\n"));
    assert_eq!(sandbox.read("out"), "out\n");
}

#[test]
fn a_job_that_is_outside_with_all_of_it_is_held_back_also_with_drop() {
    let sandbox = Sandbox::new();
    sandbox.written_in("src", "auth", "echo out > out");
    let said = sandbox.cx(["merge", "--outside", "drop"]).code(1).stdout();
    assert!(said.contains("held back: it changes what is outside of its scope"), "{said}");
    assert!(!sandbox.repo().join("out").exists());
}

#[test]
fn what_came_into_the_branch_from_the_target_is_not_the_jobs() {
    let sandbox = Sandbox::new();
    sandbox.written_in("src", "auth", "mkdir src; echo in > src/a");
    sandbox.write("other", "x\n");
    sandbox.git(["add", "--all"]);
    sandbox.git(["commit", "--quiet", "--message=Other"]);
    sandbox.sh("cd ../repo.cx/auth && git merge -q --no-edit main").ok();
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.read("src/a"), "in\n");
}

#[test]
fn live_writers_have_scopes_of_their_own() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.spawn_sh(["-w", "-n", "auth", "--scope", "src/auth", &gate.pass()]);
    let spawn = |name, scope| {
        let args = ["spawn", "-b", "sh", "-w", "-n", name, "--scope", scope, "true"];
        sandbox.cx(args)
    };
    let refused = spawn("docs", "src").refused(
        2,
        "the scope of docs (src) overlaps with that of [1] auth (src/auth), in src and src/auth; nothing was started",
    );
    assert!(refused.stderr().contains("--allow-overlap"), "{refused}");
    assert_eq!(sandbox.ledger().events().iter().filter(|e| e["ev"] == "spawned").count(), 1);
    spawn("other", "src/other").ok();
    sandbox.writer("all", "true");
    let args = ["-w", "-n", "docs", "--allow-overlap", "--scope", "src", "true"];
    sandbox.spawn_sh(args);
    gate.open();
    sandbox.cx(["wait"]).ok();
    // Who is over is in nobody's way.
    spawn("late", "src").ok();
    sandbox.cx(["wait"]).ok();
}

#[test]
fn a_scope_that_git_does_not_understand_starts_nothing() {
    let sandbox = Sandbox::new();
    for scope in ["../elsewhere", ":(nonsense)x"] {
        let refused = sandbox.cx(["spawn", "-b", "sh", "-w", "--scope", scope, "true"]);
        let refused = refused.refused(2, "--scope is no pathspec that git understands");
        sandbox.assert_nothing_started(&refused);
    }
}

#[test]
fn undo_after_drop_leaves_no_ref_behind() {
    let sandbox = Sandbox::new();
    stray(&sandbox);
    sandbox.cx(["merge", "--outside", "drop"]).ok();
    let undone = sandbox.cx(["merge", "--undo"]).ok();
    assert!(!undone.stderr().contains("gone"), "{undone}");
    assert_eq!(sandbox.git(["for-each-ref", "refs/cx"]), "");
    sandbox.cx(["merge", "--outside", "keep"]).ok();
}
