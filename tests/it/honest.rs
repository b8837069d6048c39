//! What a person may take at its word: small lies that were found by using cx.

use crate::support::Sandbox;

#[test]
fn a_dry_run_looks_at_the_checkout_too_and_names_all_that_is_in_the_way() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "echo mine >> README.md; echo new > brandnew; echo ok > other");
    sandbox.write("README.md", "edited\n");
    sandbox.write("brandnew", "untracked\n");
    for args in [&["merge", "--dry-run"][..], &["merge"]] {
        let refused = sandbox.cx(args).code(1);
        let said = refused.stdout();
        assert!(said.contains("README.md") && said.contains("brandnew"), "{refused}");
    }
    assert_eq!(sandbox.read("README.md"), "edited\n");
    sandbox.write("README.md", "A repository to work in.\n");
    std::fs::remove_file(sandbox.repo().join("brandnew")).unwrap();
    sandbox.cx(["merge", "--dry-run"]).ok();
    sandbox.cx(["merge"]).ok();
}

#[test]
fn what_is_in_the_branch_already_counts_as_merged() {
    let sandbox = Sandbox::new();
    sandbox.writer("one", "echo same > f");
    sandbox.writer("two", "echo same > f");
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["merge", "one"]).ok();
    let said = sandbox.cx(["merge", "two"]).ok().stdout();
    assert!(said.contains("adds nothing: what it changed is in main already"), "{said}");
    sandbox.cx(["collect"]).ok();
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    // Nothing stays; the commit that only its branch had is kept under a ref.
    assert!(!cleaned.contains("kept:"), "{cleaned}");
    assert_eq!(sandbox.cx(["jobs"]).ok().stdout(), "");
}

#[test]
fn work_that_was_lost_is_not_merged() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.writer("gone", &format!("echo work > f; {}", gate.pass()));
    gate.arrived();
    std::fs::remove_dir_all(sandbox.root().join("repo.cx/gone")).unwrap();
    gate.open();
    sandbox.cx(["wait", "gone"]).code(1);
    let said = sandbox.cx(["merge", "gone"]).code(1).stdout();
    assert!(said.contains("its branch holds nothing of its work"), "{said}");
}

#[test]
fn a_worker_leaves_other_jobs_alone() {
    let sandbox = Sandbox::new();
    sandbox.reader("done", "echo said");
    sandbox.cx(["wait"]).ok();
    let script = "cx kill done; echo $?; cx collect done; echo $?; cx merge; echo $?";
    sandbox.written("nosy", script);
    let said = sandbox.cx(["collect", "nosy", "--format", "{message}"]).ok().stdout();
    assert_eq!(said, "2\n2\n2\n");
    assert_eq!(sandbox.cx(["collect", "--format", "{message}"]).ok().stdout(), "said\n");
}

#[test]
fn a_wait_that_gives_up_names_what_has_failed_meanwhile() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("slow", &gate.pass());
    sandbox.reader("bad", "exit 7");
    sandbox.cx(["wait", "bad"]).code(7);
    let waited = sandbox.cx(["wait", "--timeout", "10ms"]).code(124);
    assert!(waited.stderr().contains("[2] bad failed 7"), "{waited}");
    assert!(waited.stderr().contains("still running"), "{waited}");
    gate.open();
    sandbox.cx(["wait"]).code(1);
}

#[test]
fn a_hint_is_about_what_happened() {
    let sandbox = Sandbox::new();
    // A program that may not be run has nothing to do with --write.
    sandbox.write("tool", "#!/bin/sh\n");
    sandbox.reader("r", "./tool");
    sandbox.cx(["wait", "r"]).code(126);
    assert!(!sandbox.job("r").to_string().contains("--write"));
    // A job that comes after a failed one never starts.
    sandbox.spawn_sh(["-w", "-n", "never", "--after", "r", "true"]);
    sandbox.cx(["wait"]).code(1);
    sandbox.cx(["merge", "never"]).refused(2, "[2] never never started and has no branch");
    sandbox.cx(["conflicts", "never"]).refused(2, "[2] never never started and has no branch");
    sandbox.written("w", "echo x > f");
    std::fs::remove_dir_all(sandbox.root().join("repo.cx/w")).unwrap();
    let path = sandbox.cx(["path", "w"]).code(1);
    assert!(path.stderr().contains("hint: somebody removed it; what was committed is on cx/w"));
    let many = sandbox.cx(["spawn", "-w", "-N", "256", "true"]).code(2);
    assert!(many.stderr().contains("is not a whole number from 1 to 255"), "{many}");
}
