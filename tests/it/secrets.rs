//! What stands in `*KEY*`, `*TOKEN*`, `*SECRET*` and what the configuration names
//! stands nowhere else.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Sandbox;

const TOKEN: &str = "ghp_0123456789abcdef";
const PASSWORD: &str = "correct horse battery";

/// A sandbox with a token and a password in its environment.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("GITHUB_TOKEN", TOKEN);
    sandbox.set("DB_PASSWORD", PASSWORD);
    sandbox.write("../config/cx/config.toml", "secrets = ['*password*']\n");
    sandbox
}

/// Every file below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            _ => vec![entry.path()],
        })
        .collect()
}

/// What cx has written has none. A worker's own words, and those that a person
/// gave it, are theirs.
#[track_caller]
fn assert_kept(sandbox: &Sandbox) {
    let theirs = ["prompt", "stderr", "events.jsonl"];
    let all = files(&sandbox.repo().join(".git/cx"));
    assert!(all.iter().any(|path| path.ends_with("ledger.jsonl")), "{all:?}");
    for path in all.into_iter().chain(files(&sandbox.root().join("state"))) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if theirs.contains(&name) {
            continue;
        }
        assert_has_none(&fs::read(&path).unwrap(), &path.display().to_string());
    }
    assert_has_none(sandbox.git(["log", "--all", "--format=%B"]).as_bytes(), "a commit");
}

#[track_caller]
fn assert_has_none(bytes: &[u8], what: &str) {
    let text = String::from_utf8_lossy(bytes);
    for secret in [TOKEN, PASSWORD] {
        assert!(!text.contains(secret), "{what} has a secret:\n{text}");
    }
}

#[test]
fn nothing_that_cx_writes_or_says_has_a_secret() {
    let sandbox = sandbox();
    let told = sandbox.root().join("told");
    let config = format!(
        "secrets = ['*password*']\n[hooks]\non-failure = 'cat >> {}; exit 1'\n",
        told.display()
    );
    sandbox.write("../config/cx/config.toml", config);
    let gate = sandbox.gate("gate");
    // The worker itself says them, in its own words and in those of its task.
    let script = format!(
        "{}; echo \"refused: $GITHUB_TOKEN\" >&2; echo {TOKEN} one > one; echo \"$DB_PASSWORD\"; exit 3",
        gate.pass()
    );
    let mut spawned = Vec::new();
    for (name, args) in [("", &["-w"][..]), ("named", &["-w", "-n", "named"]), ("r", &["-n", "r"])]
    {
        let script = if name == "r" { script.replace("> one", "") } else { script.clone() };
        let args = ["spawn", "-b", "sh"].iter().chain(args).copied().chain([script.as_str()]);
        spawned.push(sandbox.cx(args.map(str::to_owned)).ok());
        gate.arrived();
    }
    for process in sandbox.live_processes() {
        assert_has_none(process.as_bytes(), "the list of processes");
    }
    gate.open();
    let waited = sandbox.cx(["wait"]).code(1);
    assert!(waited.stderr().contains("refused: [redacted GITHUB_TOKEN]"), "{waited}");
    sandbox.until_quiet();
    assert_eq!(fs::read_to_string(&told).unwrap().lines().count(), 3);
    assert_has_none(&fs::read(&told).unwrap(), "what a hook is given");
    for output in [
        waited,
        sandbox.cx(["jobs", "-a"]).ok(),
        sandbox.cx(["jobs", "--json"]).ok(),
        sandbox.cx(["show", "named"]).ok(),
        sandbox.cx(["events"]).ok(),
        sandbox.cx(["show", TOKEN]).code(127),
        sandbox.cx(["spawn", "-b", TOKEN, "x"]).code(2),
        sandbox.cx(["merge", "named", "--verify", &format!("test ! -e one # {TOKEN}")]).code(1),
        sandbox.cx(["doctor"]),
    ]
    .into_iter()
    .chain(spawned)
    {
        assert_has_none(output.stderr().as_bytes(), "stderr");
        assert_has_none(output.stdout().as_bytes(), "stdout");
    }
    let held = sandbox.ledger().events().into_iter().find(|line| line["ev"] == "held").unwrap();
    assert_eq!(held["command"], "test ! -e one # [redacted GITHUB_TOKEN]");
    assert_kept(&sandbox);
}

#[test]
fn a_lost_job_and_its_recovery_keep_them_too() {
    let sandbox = sandbox();
    let script = format!("echo {PASSWORD} > one; echo refused $GITHUB_TOKEN >&2");
    let mut spawn = sandbox.cx_command(["spawn", "-b", "sh", "-w", "-n", "w", &script]);
    spawn.env("CX_CRASH_AT", "worker-ended");
    sandbox.run(spawn).ok();
    sandbox.cx(["wait", "w"]).code(1);
    assert_kept(&sandbox);
}

#[test]
fn a_command_with_a_secret_in_it_is_refused() {
    let sandbox = sandbox();
    for (args, sentence) in [
        (
            &["--", "cat", "Authorization: ghp_0123456789abcdef"][..],
            "the value of GITHUB_TOKEN stands in its command",
        ),
        (&["-w", "--scope", PASSWORD, "true"], "the value of DB_PASSWORD stands in scope"),
        (&["-n", TOKEN, "true"], "the value of GITHUB_TOKEN stands in its name"),
    ] {
        let args = ["spawn", "-b", "sh"].iter().chain(args);
        let refused = sandbox.cx(args).refused(2, sentence);
        assert_has_none(refused.stderr().as_bytes(), "stderr");
        sandbox.assert_nothing_started(&refused);
    }
    // The shell reads it itself.
    sandbox.spawn_sh(["-n", "r", "echo \"$GITHUB_TOKEN\" | cut -c 1-4"]);
    sandbox.cx(["wait", "r"]).ok();
    assert_eq!(sandbox.cx(["collect", "r", "--format", "{message}"]).ok().stdout(), "ghp_\n");
}
