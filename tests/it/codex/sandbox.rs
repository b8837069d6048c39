//! What workers can see and do, and a sandbox that does not start.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Lab, end};
use crate::support::Script;

// codex leaves no event of a command that has failed with "Read-only file
// system", if it ends before codex looks: those here end with `true`.

#[test]
fn a_reader_runs_commands_and_writes_nothing() {
    let lab = Lab::new();
    let before = lab.sandbox.git(["status", "--porcelain", "--ignored"]);
    let script =
        "head -c 12 README.md; echo x > README.md; touch new; git commit -qm x --allow-empty; true";
    lab.on("write", Script::new().shell(script).say("It is refused."));
    let (job, _) = lab.run("look", &["Try to write"], 0);
    assert_eq!(end(&job), ("succeeded", ""));
    let log = lab.cx(&["logs", "--raw", "look"]).ok().stdout();
    assert!(log.contains("A repository") && log.contains("Read-only file system"), "{log}");
    assert_eq!(lab.sandbox.read("README.md"), "A repository to work in.\n");
    assert_eq!(lab.sandbox.git(["status", "--porcelain", "--ignored"]), before);
    assert_eq!(lab.sandbox.git(["rev-list", "--count", "--all"]), "1");
}

#[test]
fn a_patch_of_a_reader_is_refused_and_noted() {
    let lab = Lab::new();
    lab.on("patch", Script::new().write("new.txt", "new\n").say("Written."));
    let (job, _) = lab.run("look", &["Try to patch"], 0);
    let notes = job["notes"].to_string();
    assert_eq!(notes, "[\"codex refused an edit: writing is blocked by read-only sandbox\"]");
    assert_eq!(lab.sandbox.git(["status", "--porcelain"]), "");
    let shown = lab.cx(&["collect", "look"]).ok().stdout();
    assert!(shown.contains("\n-- codex refused an edit"), "{shown}");
}

#[test]
fn a_writer_writes_nowhere_but_in_its_worktree_and_tmpdir() {
    let lab = Lab::new();
    let repo = lab.sandbox.repo();
    let script = format!(
        "echo ok > \"$TMPDIR/t\" && cat \"$TMPDIR/t\"; touch '{0}/stray' '{0}/../stray' /tmp/cx-stray-of-a-test; true",
        repo.display()
    );
    lab.on("stray", Script::new().shell(&script).say("Tried."));
    lab.run("stray", &["--write", "write a stray file"], 0);
    assert!(!repo.join("stray").exists() && !lab.sandbox.root().join("stray").exists());
    assert!(!fs::exists("/tmp/cx-stray-of-a-test").unwrap());
    let log = lab.cx(&["logs", "--raw", "stray"]).ok().stdout();
    assert!(log.contains("\"aggregated_output\":\"ok\\n"), "{log}");
    assert_eq!(log.matches("Read-only file system").count(), 3, "{log}");
}

#[test]
fn secrets_are_kept_from_the_commands_unless_configured() {
    let Lab { mut sandbox, server, home } = Lab::new();
    sandbox.set("FOO_TOKEN", "a-secret-token");
    sandbox.set("MY_SECRET_PLACE", "a-secret-place");
    sandbox.set("PLAIN", "a-plain-value");
    let lab = Lab { sandbox, server, home };
    lab.on("environment", Script::new().shell("env").say("Looked."));
    let environment = |name: &str| {
        lab.run(name, &["Look at the environment"], 0);
        lab.cx(&["logs", "--raw", name]).ok().stdout()
    };
    let seen = environment("careful");
    assert!(seen.contains("PLAIN=a-plain-value"), "{seen}");
    assert!(!seen.contains("a-secret") && !seen.contains("FAKE_KEY"), "{seen}");
    for ours in ["CX_JOB=1\\n", "CX_NAME=careful\\n", "CX_JOB_ID=", "/jobs/1/tmp\\n"] {
        assert!(seen.contains(ours), "{ours}: {seen}");
    }
    let config = lab.sandbox.root().join("config/cx");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("config.toml"), "[codex]\nenv-exclude = [\"MY_*\"]\n").unwrap();
    let seen = environment("open");
    assert!(
        seen.contains("FOO_TOKEN=a-secret-token") && !seen.contains("a-secret-place"),
        "{seen}"
    );
}

#[test]
fn a_worker_cannot_spawn_workers() {
    let lab = Lab::new();
    // The full path: a login shell sets a PATH of its own.
    let cx = lab.sandbox.root().join("bin/cx");
    let script = format!("'{}' spawn 'another one'", cx.display());
    lab.on("helper", Script::new().shell(&script).say("Could not."));
    lab.run("alone", &["Get a helper"], 0);
    let log = lab.cx(&["logs", "--raw", "alone"]).ok().stdout();
    assert!(log.contains("\"exit_code\":2"), "{log}");
    assert_eq!(lab.sandbox.ledger().events().iter().filter(|e| e["ev"] == "spawned").count(), 1);
}

/// Puts a `bwrap` on the PATH that fails as bubblewrap does where it may not
/// make namespaces. codex asks it for its help first, and without the right
/// options in it takes its own.
fn break_sandbox(lab: &Lab) {
    let codex = fs::canonicalize(lab.sandbox.root().join("bin/codex")).unwrap();
    let bundled = codex.ancestors().nth(2).unwrap().join("codex-resources/bwrap");
    let body = format!(
        "[ \"$1\" = --help ] && exec '{}' --help\n\
         echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1",
        bundled.display()
    );
    lab.sandbox.script_tool("bwrap", &body);
}

#[test]
fn a_broken_sandbox_is_no_success() {
    let lab = Lab::new();
    break_sandbox(&lab);
    lab.on("look", Script::new().shell("cat README.md").say("All is fine."));
    let (job, said) = lab.run("look", &["look around"], 1);
    let (outcome, reason) = end(&job);
    assert_eq!(outcome, "sandbox-broken", "{job}");
    assert!(reason.starts_with("codex could not start its sandbox, so no command ran"), "{reason}");
    assert!(reason.contains("uid map: Permission denied"), "{reason}");
    assert!(
        said.ends_with("\n    hint: `codex sandbox -- /bin/true` fails until that is mended\n"),
        "{said}"
    );
}

#[test]
fn a_broken_sandbox_is_found_where_no_command_was_run() {
    let lab = Lab::new();
    break_sandbox(&lab);
    lab.on("edit", Script::new().write("new.txt", "new\n").say("Written."));
    let (job, _) = lab.run("edit", &["--write", "edit it"], 1);
    assert_eq!(end(&job).0, "sandbox-broken", "{job}");
    lab.on("talk", Script::new().say("I looked at everything."));
    let (job, _) = lab.run("talk", &["just talk"], 1);
    assert_eq!(end(&job).0, "sandbox-broken", "{job}");
    // What it said is kept all the same.
    assert_eq!(lab.collect("talk", 1)["message"], "I looked at everything.");
}

#[test]
fn the_native_program_runs_in_place_of_npms_wrapper() {
    let lab = Lab::new();
    let codex = lab.sandbox.root().join("bin/codex");
    let native = fs::canonicalize(&codex).unwrap();
    // .../node_modules/@openai/codex-PLATFORM/vendor/TRIPLE/bin/codex
    let modules = native.ancestors().nth(5).unwrap();
    let wrapper = modules.join("codex/bin/codex.js");
    assert!(wrapper.is_file(), "{}", wrapper.display());
    fs::remove_file(&codex).unwrap();
    symlink(&wrapper, &codex).unwrap();
    // There is no node on this PATH: the wrapper itself could not even start.
    lab.on("who", Script::new().say("It is me."));
    let (job, _) = lab.run("who", &["who are you"], 0);
    assert_eq!(job["status"], "succeeded");
    let shown = lab.cx(&["show", "who"]).ok().stdout();
    assert!(shown.contains(&format!("codex ({})", native.display())), "{shown}");
}
