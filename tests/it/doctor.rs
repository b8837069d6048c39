//! `cx doctor`: each problem is found, named, and can be mended as it says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{CodexHome, ModelServer, Output, Sandbox};

/// A sandbox where jobs are shell commands, so that codex is not needed.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("CX_BACKEND", "sh");
    sandbox
}

fn findings(output: &Output) -> Vec<Value> {
    output.json()["findings"].as_array().unwrap().clone()
}

/// The only finding of this topic that is not ok.
#[track_caller]
fn finding(sandbox: &Sandbox, topic: &str) -> (String, String, String) {
    let output = sandbox.cx(["doctor", "--json"]);
    let found = findings(&output);
    let odd: Vec<&Value> =
        found.iter().filter(|one| one["topic"] == topic && one["level"] != "ok").collect();
    assert_eq!(odd.len(), 1, "{topic}: {output}");
    let text = |key: &str| odd[0][key].as_str().unwrap().to_owned();
    let told = (text("level"), text("text"), text("mend"));
    let problems = found.iter().filter(|one| one["level"] == "problem").count();
    assert_eq!(output.json()["problems"], problems);
    output.code(i32::from(problems > 0));
    told
}

#[track_caller]
fn problem(sandbox: &Sandbox, topic: &str, text: &str, mend: &str) -> String {
    let (level, found, how) = finding(sandbox, topic);
    assert_eq!(level, "problem", "{found}");
    assert!(found.contains(text), "{found}");
    assert!(how.contains(mend), "{how}");
    how
}

#[track_caller]
fn note(sandbox: &Sandbox, topic: &str, text: &str, mend: &str) {
    let (level, found, how) = finding(sandbox, topic);
    assert_eq!(level, "note", "{found}");
    assert!(found.contains(text), "{found}");
    assert!(how.contains(mend), "{how}");
}

#[track_caller]
fn well(sandbox: &Sandbox, topic: &str) {
    let output = sandbox.cx(["doctor", "--json"]);
    let found = findings(&output);
    let levels: Vec<&Value> =
        found.iter().filter(|one| one["topic"] == topic).map(|one| &one["level"]).collect();
    assert_eq!(levels, ["ok"], "{topic}: {output}");
}

fn writer(sandbox: &Sandbox, name: &str) -> String {
    sandbox.cx(["spawn", "-n", name, "--write", "--", &format!("echo new > {name}")]).ok();
    sandbox.cx(["wait", name]).ok();
    sandbox.cx(["path", name]).ok().stdout().trim().to_owned()
}

fn reader(sandbox: &Sandbox, name: &str) {
    sandbox.cx(["spawn", "-n", name, "--read", "--", "true"]).ok();
    sandbox.cx(["wait", name]).ok();
}

#[test]
fn a_healthy_place_has_no_problem_and_is_not_changed() {
    let sandbox = sandbox();
    let first = sandbox.cx(["doctor"]).ok();
    assert!(first.stdout().contains("no job yet"), "{first}");
    assert!(!sandbox.repo().join(".git/cx").exists());
    writer(&sandbox, "fin");
    let before = fs::read(sandbox.repo().join(".git/cx/ledger.jsonl")).unwrap();
    let second = sandbox.cx(["doctor"]).ok();
    for topic in ["git", "config", "landlock", "disk", "state", "ledger", "jobs", "worktrees"] {
        let line = format!("ok       {topic} ");
        assert!(second.stdout().contains(&line), "{topic}: {second}");
    }
    assert_eq!(fs::read(sandbox.repo().join(".git/cx/ledger.jsonl")).unwrap(), before);
    assert_eq!(sandbox.cx(["doctor", "--json"]).ok().json()["problems"], 0);
}

#[test]
fn outside_of_a_repository_too() {
    let mut sandbox = Sandbox::without_repository();
    sandbox.set("CX_BACKEND", "sh");
    sandbox.cx(["doctor"]).ok();
}

#[test]
fn git_that_is_missing_or_old() {
    let sandbox = sandbox();
    fs::remove_file(sandbox.root().join("bin/git")).unwrap();
    let found = findings(&sandbox.cx(["doctor", "--json"]).code(1));
    assert_eq!(found[0]["level"], "problem");
    assert!(found[0]["text"].as_str().unwrap().contains("cannot run git"), "{found:?}");

    let sandbox = self::sandbox();
    let git = fs::read_link(sandbox.root().join("bin/git")).unwrap();
    fs::remove_file(sandbox.root().join("bin/git")).unwrap();
    let body = format!(
        "case \"$*\" in *--version*) echo 'git version 2.37.1';; *) exec '{}' \"$@\";; esac",
        git.display()
    );
    sandbox.script_tool("git", &body);
    problem(&sandbox, "git", "git 2.37.1 is too old", "2.38");
}

#[test]
fn codex_that_is_missing_is_a_problem_only_where_it_is_the_default() {
    let mut sandbox = sandbox();
    note(&sandbox, "codex", "codex was not found on PATH", "npm install -g @openai/codex");
    sandbox.set("CX_BACKEND", "codex");
    problem(&sandbox, "codex", "codex was not found on PATH", "npm install -g @openai/codex");
}

#[test]
fn the_real_codex_with_a_key_and_without() {
    let server = ModelServer::start();
    let mut sandbox = Sandbox::new();
    let _home = CodexHome::new(&mut sandbox, &server);
    let found = findings(&sandbox.cx(["doctor", "--json"]));
    let level = |topic: &str| {
        let one = found.iter().find(|one| one["topic"] == topic);
        one.unwrap_or_else(|| panic!("{topic}: {found:?}"))["level"].clone()
    };
    assert_eq!(level("codex"), "ok");
    assert_eq!(level("codex login"), "ok", "{found:?}");
    assert_eq!(level("codex config"), "ok");
    assert_eq!(level("codex sandbox"), "ok", "{found:?}");
    sandbox.set("FAKE_KEY", "");
    problem(&sandbox, "codex login", "auth env var is missing", "FAKE_KEY");
}

#[test]
fn an_older_codex_is_asked_for_its_login() {
    let sandbox = Sandbox::new();
    let codex = |login: &str, sandbox: &str| {
        format!(
            "case \"$1\" in --version) echo 'codex-cli 0.1.0';; login) {login};; \
             sandbox) {sandbox};; *) echo 'stdin is not a terminal' >&2; exit 1;; esac"
        )
    };
    sandbox.script_tool("codex", &codex("exit 0", "exit 0"));
    well(&sandbox, "codex login");
    well(&sandbox, "codex sandbox");
    // A script is not the native program.
    note(&sandbox, "codex", "wrapper", "codex.program");
    fs::remove_file(sandbox.root().join("bin/codex")).unwrap();
    let denied = "echo 'bwrap: No permissions' >&2; exit 101";
    sandbox.script_tool("codex", &codex("exit 1", denied));
    let (level, text, _) = finding(&sandbox, "codex login");
    assert_eq!((level.as_str(), &text[..9]), ("note", "not known"));
    problem(&sandbox, "codex sandbox", "bwrap: No permissions (exit 101)", "codex sandbox");
    fs::remove_file(sandbox.root().join("bin/codex")).unwrap();
    sandbox.script_tool("codex", "exit 1");
    problem(&sandbox, "codex", "does not run: exit 1", "npm install");
}

#[test]
fn configuration_and_agents() {
    let sandbox = sandbox();
    sandbox.write(".cx/config.toml", "max-job = 3\n");
    problem(&sandbox, "config", "max-job", "max-jobs");
    sandbox.write(".cx/config.toml", "max-jobs = \"many\"\n");
    problem(&sandbox, "config", "config.toml:1", "cx man config");
    sandbox.write(".cx/config.toml", "[worktree]\nsetup = \"make\"\n");
    note(&sandbox, "trust", "worktree.setup in .cx/config.toml is not trusted", "cx trust");
    sandbox.cx(["trust"]).ok();
    let output = sandbox.cx(["doctor", "--json"]).ok();
    assert!(findings(&output).iter().all(|one| one["topic"] != "trust"), "{output}");
    sandbox.write(".cx/agents/broken.md", "---\nmode: [\n---\n");
    problem(&sandbox, "agents", "broken", "");
}

#[test]
fn a_state_folder_that_others_can_read() {
    let sandbox = sandbox();
    reader(&sandbox, "look");
    let state = sandbox.repo().join(".git/cx");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let mend = problem(&sandbox, "state", "others can look into", "chmod 700");
    sandbox.sh(&mend).ok();
    well(&sandbox, "state");
}

#[test]
fn torn_lines_are_numbered_and_can_be_taken_out() {
    let sandbox = sandbox();
    reader(&sandbox, "one");
    let path = sandbox.repo().join(".git/cx/ledger.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let end = text.lines().count();
    let (first, rest) = text.split_once('\n').unwrap();
    fs::write(&path, format!("{first}\n{{\"v\":1,\"t\":\"20\n{rest}{{\"v\":1")).unwrap();
    let expected = format!("2 torn lines (2, {})", end + 2);
    let mend = problem(&sandbox, "ledger", &expected, "sed -i '2d;");
    let script = mend.strip_prefix("while no job is live: ").unwrap();
    sandbox.sh(script).ok();
    well(&sandbox, "ledger");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_job_whose_supervisor_was_killed() {
    let sandbox = sandbox();
    sandbox.expect_leftovers();
    let gate = sandbox.gate("busy");
    sandbox.cx(["spawn", "-n", "busy", "--", &gate.pass()]).ok();
    gate.arrived();
    let shown = sandbox.cx(["show", "busy", "--json"]).ok().json();
    let supervisor = &shown["supervisor"]["pid"];
    sandbox.sh(&format!("kill -9 {supervisor}")).ok();
    // Its lock is freed by the kernel when it is dead, which may take a moment.
    sandbox.cx(["wait", "busy"]).code(1);
    note(&sandbox, "jobs", "[1] busy was lost", "cx show busy");
    sandbox.cx(["collect", "busy"]).code(1);
    well(&sandbox, "jobs");
}

#[test]
fn a_job_that_nobody_supervises_is_named_and_left_alone() {
    let mut sandbox = sandbox();
    sandbox.expect_leftovers();
    sandbox.set("CX_CRASH_AT", "spawned");
    sandbox.cx(["spawn", "-n", "gone", "--", "true"]).signal(9);
    sandbox.set("CX_CRASH_AT", "");
    let ledger = || fs::read(sandbox.repo().join(".git/cx/ledger.jsonl")).unwrap();
    let before = ledger();
    problem(&sandbox, "jobs", "[1] gone is lost", "cx jobs");
    assert_eq!(ledger(), before);
    sandbox.cx(["wait", "gone"]).code(1);
    note(&sandbox, "jobs", "[1] gone was lost", "cx show gone");
}

#[test]
fn a_job_whose_folder_is_gone() {
    let sandbox = sandbox();
    reader(&sandbox, "look");
    fs::remove_dir_all(sandbox.repo().join(".git/cx/jobs/1")).unwrap();
    problem(&sandbox, "jobs", "the folder of [1] look is gone", "cx clean look");
}

#[test]
fn a_draft_of_a_spawn_that_died() {
    let mut sandbox = sandbox();
    reader(&sandbox, "look");
    sandbox.set("CX_CRASH_AT", "draft");
    sandbox.cx(["spawn", "--", "true"]).signal(9);
    sandbox.set("CX_CRASH_AT", "");
    note(&sandbox, "drafts", "1 draft of jobs that never came to be", "cx clean");
    sandbox.cx(["clean"]).ok();
    let said_nothing = || {
        let output = sandbox.cx(["doctor", "--json"]).ok();
        assert!(findings(&output).iter().all(|one| one["topic"] != "drafts"), "{output}");
    };
    said_nothing();
    // One without a lock may still be in the making.
    sandbox.sh("mkdir .git/cx/jobs/.new-x").ok();
    said_nothing();
    sandbox.sh("touch -d '2 hours ago' .git/cx/jobs/.new-x").ok();
    note(&sandbox, "drafts", "1 draft of jobs that never came to be", "cx clean");
    sandbox.cx(["clean"]).ok();
    said_nothing();
}

#[test]
fn a_merge_that_was_cut_short() {
    let mut sandbox = sandbox();
    writer(&sandbox, "fin");
    sandbox.set("CX_CRASH_AT", "merge-journal");
    sandbox.cx(["merge"]).signal(9);
    sandbox.set("CX_CRASH_AT", "");
    problem(&sandbox, "merge", "a merge was cut short", "cx merge");
    sandbox.cx(["merge"]).ok();
    let output = sandbox.cx(["doctor", "--json"]).ok();
    assert!(findings(&output).iter().all(|one| one["topic"] != "merge"), "{output}");
}

#[test]
fn a_worktree_that_belongs_to_no_job() {
    let sandbox = sandbox();
    sandbox.git(["worktree", "add", "-q", "-b", "cx/stray", "../stray"]);
    let mend = problem(&sandbox, "worktrees", "cx/stray, which belongs to no job", "git branch -d");
    sandbox.sh(mend.strip_prefix("when nothing in it is wanted: ").unwrap()).ok();
    well(&sandbox, "worktrees");
    // A person's own worktree is nobody's business.
    sandbox.git(["worktree", "add", "-q", "-b", "mine", "../mine"]);
    well(&sandbox, "worktrees");
}

#[test]
fn a_worktree_that_was_removed_by_hand() {
    let sandbox = sandbox();
    let tree = writer(&sandbox, "fin");
    fs::remove_dir_all(&tree).unwrap();
    problem(&sandbox, "worktrees", "the worktree of [1] fin is gone", "cx merge fin");
    sandbox.cx(["merge", "fin"]).ok();
    let mend = problem(&sandbox, "worktrees", "the worktree of [1] fin is gone", "cx clean fin");
    assert!(!mend.contains("cx merge"), "{mend}");
    sandbox.cx(["collect", "fin"]).ok();
    sandbox.cx(["clean", "fin"]).ok();
    well(&sandbox, "worktrees");
}

#[test]
fn a_worktree_that_its_own_worker_removed() {
    let sandbox = sandbox();
    sandbox.writer("gone", "tree=$PWD; cd /; rm -r \"$tree\"");
    sandbox.cx(["wait", "gone"]).code(1);
    let tree = sandbox.root().join("repo.cx/gone");
    let reason = format!(
        "its worktree {} was removed, and what it had not committed with it",
        tree.display()
    );
    assert_eq!(sandbox.job("gone")["reason"], reason);
    // Nothing of it can be merged.
    let mend = problem(&sandbox, "worktrees", "the worktree of [1] gone is gone", "cx clean gone");
    assert!(!mend.contains("cx merge"), "{mend}");
}

#[test]
fn a_branch_that_was_deleted_with_its_work() {
    let sandbox = sandbox();
    let tree = writer(&sandbox, "fin");
    let tip = sandbox.git(["rev-parse", "cx/fin"]);
    sandbox.git(["worktree", "remove", &tree]);
    sandbox.git(["branch", "-D", "cx/fin"]);
    let mend =
        problem(&sandbox, "worktrees", "branch cx/fin of [1] fin is gone", "git branch cx/fin");
    sandbox.sh(&mend).ok();
    assert_eq!(sandbox.git(["rev-parse", "cx/fin"]), tip);
    sandbox.cx(["merge", "fin"]).ok();
}

#[test]
fn a_worktree_that_git_has_forgotten() {
    let sandbox = sandbox();
    let tree = writer(&sandbox, "fin");
    let away = sandbox.root().join("away");
    fs::rename(&tree, &away).unwrap();
    sandbox.git(["worktree", "prune"]);
    fs::rename(&away, &tree).unwrap();
    problem(
        &sandbox,
        "worktrees",
        "git no longer knows the worktree of [1] fin",
        "git worktree repair",
    );
}

#[test]
fn a_worktree_that_was_left_half_made() {
    let sandbox = sandbox();
    let tree = writer(&sandbox, "fin");
    // What `git worktree add` says of it until it is whole.
    sandbox.git(["worktree", "lock", "--reason", "initializing", &tree]);
    problem(&sandbox, "worktrees", "the worktree of [1] fin is half made", "cx clean fin");
    sandbox.cx(["merge", "fin"]).ok();
    sandbox.cx(["clean", "fin"]).code(1);
    well(&sandbox, "worktrees");
}

#[test]
fn what_lies_among_the_worktrees() {
    let sandbox = sandbox();
    let tree = writer(&sandbox, "fin");
    let folder = std::path::Path::new(&tree).parent().unwrap().to_owned();
    fs::create_dir(folder.join("odd")).unwrap();
    note(&sandbox, "worktrees", "odd lies among the worktrees and is none", "look into it");
    fs::remove_dir(folder.join("odd")).unwrap();
    fs::create_dir_all(folder.join(".trash/old.1.1")).unwrap();
    note(&sandbox, "worktrees", "1 worktree removed but not yet deleted", "cx clean");
    sandbox.cx(["clean"]).ok();
    well(&sandbox, "worktrees");
}

#[test]
fn what_cannot_be_looked_at_is_a_problem() {
    let mut sandbox = sandbox();
    sandbox.set("HOME", "");
    problem(&sandbox, "place", "HOME is not set", "HOME=");
}
