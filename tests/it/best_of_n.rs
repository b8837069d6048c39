//! Several writers on one task: `cx spawn -N`, `--with`, `cx pick`.

use crate::support::Sandbox;

/// Three writers that each write their own name.
fn group(sandbox: &Sandbox) {
    let printed = sandbox.spawn_sh(["-n", "auth", "-N", "3", "echo $CX_NAME > answer"]);
    assert_eq!(printed, "[1] auth-1\n[2] auth-2\n[3] auth-3");
    sandbox.cx(["wait"]).ok();
}

#[test]
fn one_is_picked_and_clean_takes_the_others() {
    let sandbox = Sandbox::new();
    group(&sandbox);
    let tips = ["cx/auth-1", "cx/auth-3"].map(|branch| sandbox.git(["rev-parse", branch]));
    let before = sandbox.job("auth-1");
    assert_eq!(before["group"], before["id"]);
    assert_eq!(sandbox.job("auth-3")["group"], before["id"]);
    sandbox.cx(["pick", "--dry-run", "auth-2"]).ok();
    assert!(sandbox.job("auth-1")["not_picked"].is_null());
    let picked = sandbox.cx(["pick", "auth-2"]).ok();
    assert_eq!(picked.stdout(), "[2] auth-2 merged into main (1 commit, 1 file)\n");
    assert!(picked.stderr().contains("[1] auth-1 was not picked"), "{picked}");
    assert_eq!(sandbox.read("answer"), "auth-2\n");
    assert_eq!(sandbox.job("auth-1")["not_picked"], 2);
    // They are not merged by the way.
    let none = sandbox.cx(["merge"]).code(1);
    assert!(none.stderr().contains("nothing to merge"), "{none}");
    sandbox.cx(["collect"]).ok();
    let cleaned = sandbox.cx(["clean"]).ok().stdout();
    assert_eq!(cleaned.matches("removed worktree, branch and files").count(), 3, "{cleaned}");
    let kept = ["auth-1-1", "auth-3-3"].map(|name| format!("refs/cx/trash/{name}"));
    assert_eq!(kept.map(|name| sandbox.git(["rev-parse", &name])), tips);
}

#[test]
fn a_pick_is_taken_back_with_its_merge() {
    let sandbox = Sandbox::new();
    group(&sandbox);
    sandbox.cx(["pick", "auth-2"]).ok();
    sandbox.cx(["merge", "--undo"]).ok();
    assert!(sandbox.job("auth-1")["not_picked"].is_null());
    sandbox.cx(["collect"]).ok();
    assert_eq!(sandbox.cx(["clean"]).ok().stdout().matches("not merged").count(), 3);
    sandbox.cx(["pick", "auth-1"]).ok();
    assert_eq!(sandbox.read("answer"), "auth-1\n");
}

#[test]
fn a_pick_that_does_not_land_gives_nobody_up() {
    let sandbox = Sandbox::new();
    group(&sandbox);
    sandbox.cx(["pick", "--verify", "false", "auth-1"]).code(1);
    assert!(sandbox.job("auth-2")["not_picked"].is_null());
    sandbox.written("alone", "echo x > x");
    let refused = sandbox.cx(["pick", "alone"]).refused(2, "[4] alone is in no group");
    assert!(refused.stderr().contains("hint: cx merge alone"), "{refused}");
}

#[test]
fn the_whole_group_has_to_be_over() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    let script = format!("echo $CX_NAME > answer; test $CX_NAME = a-1 || {{ {}; }}", gate.pass());
    sandbox.spawn_sh(["-n", "a", "-N", "2", "--scope", "answer", &script]);
    sandbox.cx(["wait", "a-1"]).ok();
    sandbox.cx(["pick", "a-1"]).refused(2, "[2] a-2 of the same group is not over yet");
    gate.open();
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["pick", "a-1"]).ok();
}

#[test]
fn all_of_a_group_is_checked_before_any_of_it_starts() {
    let sandbox = Sandbox::new();
    for (args, why) in [
        (&["--with", "sh,ghost"][..], "ghost"),
        (&["--with", "sh,,sh"], "--with has an empty word"),
        (&["-b", "sh", "--with", "sh,sh"], "both --with sh and --backend"),
        (&["-t", "reviewer", "-b", "sh", "-N", "2"], "-N and --with start writers"),
    ] {
        let refused = sandbox.cx([&["spawn"], args, &["true"]].concat()).code(2);
        assert!(refused.stderr().contains(why), "{refused}");
        sandbox.assert_nothing_started(&refused);
    }
    sandbox.git(["branch", "cx/auth-2"]);
    let taken = ["spawn", "-b", "sh", "-n", "auth", "-N", "3", "true"];
    let refused = sandbox.cx(taken).refused(2, "branch cx/auth-2 exists already");
    sandbox.assert_nothing_started(&refused);
}

#[test]
fn names_that_cx_chooses_are_free_for_all() {
    let sandbox = Sandbox::new();
    sandbox.git(["branch", "cx/true-2"]);
    let printed = sandbox.cx(["spawn", "--with", "sh,sh", "--json", "true"]).ok().json();
    let names: Vec<_> = printed.as_array().unwrap().iter().map(|job| job["name"].clone()).collect();
    assert_eq!(names, ["true-2-1", "true-2-2"]);
    sandbox.cx(["wait"]).ok();
}

#[test]
fn stdin_is_read_once_for_all() {
    let sandbox = Sandbox::new();
    let command = sandbox.cx_command(["spawn", "-b", "sh", "-n", "a", "-N", "2", "-"]);
    sandbox.run_with_input(command, "echo from stdin > answer").ok();
    sandbox.cx(["wait"]).ok();
    for name in ["cx/a-1:answer", "cx/a-2:answer"] {
        assert_eq!(sandbox.git(["show", name]), "from stdin");
    }
}

#[test]
fn compare_says_where_they_differ() {
    let sandbox = Sandbox::new();
    let script = "echo $CX_NAME > answer; echo same > both; echo x > only-$CX_NAME";
    sandbox.spawn_sh(["-n", "a", "-N", "2", script]);
    sandbox.cx(["wait"]).ok();
    let said = sandbox.cx(["compare", "a-1", "a-2"]).ok().stdout();
    assert!(said.contains("3 files +3 -0") && said.contains("succeeded"), "{said}");
    assert!(
        said.ends_with(
            "changed differently:\n      answer (a-1, a-2)\n\
             changed by one:\n      only-a-1 (a-1)\n      only-a-2 (a-2)\n\
             changed alike:\n      both (a-1, a-2)\n"
        ),
        "{said}"
    );
    let json = sandbox.cx(["compare", "--json", "a-1", "a-2"]).ok().json();
    assert_eq!(json["jobs"][1]["added"], 3);
    assert_eq!(
        json["files"][0],
        serde_json::json!({"path": "answer", "by": ["a-1", "a-2"], "how": "differs"})
    );
    sandbox.cx(["compare", "a-1"]).refused(2, "nothing to compare one job with");
}

#[test]
fn compare_runs_the_check_on_what_each_would_bring() {
    let sandbox = Sandbox::new();
    let script = "echo $CX_NAME > answer; test $CX_NAME != auth-2 || echo x > bad";
    sandbox.spawn_sh(["-n", "auth", "-N", "3", script]);
    sandbox.cx(["wait", "auth"]).ok();
    // News of the target is there; what collides with it is checked by itself.
    sandbox.write("news", "yes\n");
    sandbox.git(["add", "news"]);
    sandbox.git(["commit", "--quiet", "--message=news"]);
    sandbox.writer("other", "echo other > answer");
    sandbox.cx(["wait"]).ok();
    let before = sandbox.git(["rev-parse", "main"]);
    let check = "cat answer; test -e news && test ! -e bad";
    let json = sandbox.cx(["compare", "auth", "--json", "--verify", check]).ok().json();
    let result = |at: usize| {
        let verify = &json["jobs"][at]["verify"];
        (
            verify["result"].as_str().unwrap().to_owned(),
            verify["on"].clone(),
            verify["code"].clone(),
        )
    };
    assert_eq!(json["jobs"].as_array().unwrap().len(), 3);
    assert_eq!(result(0), ("green".to_owned(), "merged".into(), 0.into()));
    assert_eq!(result(1), ("red".to_owned(), "merged".into(), 1.into()));
    let log = json["jobs"][1]["verify"]["log"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(log).unwrap(), "auth-2\n");
    assert_eq!(sandbox.git(["rev-parse", "main"]), before);
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
    sandbox.cx(["pick", "auth-1"]).ok();
    let said = sandbox.cx(["compare", "auth-2", "other", "--verify", check]).ok().stdout();
    // Neither merges any more: both change `answer`.
    assert!(said.contains("red (1), by itself"), "{said}");
    let logs = sandbox.repo().join(".git/cx/verify/2");
    assert!(said.contains(&format!("      {}/2.log (other)\n", logs.display())), "{said}");
    sandbox.cx(["clean"]);
    assert!(!sandbox.root().join("repo.cx/.verify").exists());
}

#[test]
fn a_check_without_a_value_is_the_configured_one() {
    let sandbox = Sandbox::new();
    group(&sandbox);
    let refused =
        sandbox.cx(["compare", "auth", "--verify"]).refused(2, "--verify needs a command");
    assert!(refused.stderr().contains("nothing was compared"), "{refused}");
    sandbox.cx(["compare", "auth", "--verify", ""]).refused(2, "nothing was compared");
    let refused = sandbox.cx(["compare", "--verify", "auth-1", "auth-2", "auth-3"]);
    refused.refused(2, "'auth-1' is a job, and was taken for the command of --verify");
    sandbox.write(".git/info/exclude", ".cx/\n");
    sandbox.write(".cx/config.toml", "[merge]\nverify = \"test $(cat answer) = auth-3\"\n");
    let refused = sandbox.cx(["compare", "auth", "--verify"]).refused(1, "is not trusted");
    assert!(refused.stderr().ends_with("remembers that you trust it\n"), "{refused}");
    sandbox.cx(["trust"]).ok();
    let json = sandbox.cx(["compare", "auth", "--json", "--verify"]).ok().json();
    let results: Vec<_> = (0..3).map(|at| json["jobs"][at]["verify"]["result"].clone()).collect();
    assert_eq!(results, ["red", "red", "green"]);
    // Looking runs nothing that was not asked for.
    let json = sandbox.cx(["compare", "auth", "--json"]).ok().json();
    assert!(json["jobs"][0]["verify"].is_null());
}

#[test]
fn the_name_of_a_group_stands_for_its_jobs() {
    let sandbox = Sandbox::new();
    group(&sandbox);
    let said = sandbox.cx(["compare", "auth"]).ok().stdout();
    assert!(said.contains("answer (auth-1, auth-2, auth-3)"), "{said}");
    for verb in ["pick", "merge", "show"] {
        let refused = sandbox.cx([verb, "auth"]).refused(2, "'auth' could be any of auth-1, ");
        assert!(refused.stderr().contains("it is a group: `cx compare auth`"), "{refused}");
    }
    let collected = sandbox.cx(["collect", "auth", "--format", "{name}"]).ok().stdout();
    assert_eq!(collected.matches("auth-").count(), 3, "{collected}");
    // A job of that name is meant first, and a later group before an earlier one.
    sandbox.spawn_sh(["-n", "b", "-N", "2", "echo $CX_NAME > b"]);
    sandbox.cx(["wait", "b"]).ok();
    assert!(sandbox.cx(["compare", "b"]).ok().stdout().contains("b (b-1, b-2)"));
    sandbox.written("auth", "echo alone > answer");
    sandbox.cx(["compare", "auth"]).refused(2, "nothing to compare one job with");
}
