//! How it ended is never nicer than it was.

use serde_json::json;

use super::{Lab, end};
use crate::support::Script;

#[test]
fn what_was_denied_is_named_and_its_answer_is_kept() {
    let lab = Lab::new();
    let settings = lab.tree("wr").join(".claude/settings.json");
    let script = Script::new()
        .tool("Write", json!({ "file_path": settings, "content": "{}" }))
        .shell("touch rest")
        .say("All but that.");
    lab.on("settings", script);
    let job = lab.run("wr", &["--write", "Change the settings"], 1);
    let (outcome, reason) = end(&job);
    assert_eq!(outcome, "denied");
    assert!(reason.starts_with("claude was denied Write "), "{reason}");
    assert_eq!(job["exit"]["code"], 0, "claude itself says that all is well");
    let collected = lab.cx(&["collect", "wr"]).code(1);
    assert!(collected.stdout().ends_with("All but that.\n"), "{collected}");
    assert_eq!(lab.sandbox.git(["ls-tree", "--name-only", "cx/wr", "rest"]), "rest");
    assert!(lab.cx(&["merge"]).code(1).stderr().contains("denied"));
}

#[test]
fn every_failure_of_the_service_is_named() {
    let lab = Lab::new();
    for (marker, script, outcome, says) in [
        ("m401", Script::new().status(401), "failed", "401"),
        ("m400", Script::new().status(400), "failed", "400"),
        ("m500", Script::new().status(500), "failed", "500"),
        ("m429", Script::new().status(429), "rate-limited", "429"),
        ("m529", Script::new().status(529), "rate-limited", "529"),
        ("mbad", Script::new().bad_json(), "failed", "API Error"),
        ("mdrop", Script::new().drop_stream(), "failed", "API Error"),
        (
            "mfail",
            Script::new().fail("overloaded_error", "Overloaded"),
            "rate-limited",
            "verloaded",
        ),
        ("mempty", Script::new().empty(), "no-answer", "without a final message"),
    ] {
        lab.on(marker, script);
        let job = lab.run(marker, &["--no-hold", marker], 1);
        let (ended, reason) = end(&job);
        assert_eq!(ended, outcome, "{marker}: {reason}");
        assert!(reason.contains(says), "{marker}: {reason}");
    }
    let told = lab.cx(&["show", "m401"]).ok().stdout();
    assert!(told.contains("failed"), "{told}");
}

#[test]
fn a_service_that_is_not_there_ends_the_job() {
    let mut lab = Lab::new();
    lab.sandbox.set("ANTHROPIC_BASE_URL", "http://127.0.0.1:9");
    let job = lab.run("gone", &["hello"], 1);
    let (outcome, reason) = end(&job);
    assert_eq!(outcome, "failed");
    assert!(reason.contains("refused"), "{reason}");
}

#[test]
fn limits_of_its_own_have_names() {
    let mut lab = Lab::new();
    lab.sandbox.write(".cx/config.toml", "");
    for (name, args, outcome) in [
        ("turns", "['--max-turns=1']", "turn-limit"),
        ("money", "['--max-budget-usd=0.0001']", "over-budget"),
    ] {
        let folder = lab.sandbox.root().join(name);
        std::fs::create_dir_all(folder.join("cx")).unwrap();
        std::fs::write(folder.join("cx/config.toml"), format!("[claude]\nargs = {args}\n"))
            .unwrap();
        lab.sandbox.set("XDG_CONFIG_HOME", &folder);
        lab.on(name, Script::new().shell("true").shell("true").say("Done."));
        let job = lab.run(name, &[name], 1);
        assert_eq!(end(&job).0, outcome, "{job}");
        assert!(job["usage"]["cost_usd"].as_f64().unwrap() > 0.0, "{job}");
    }
}

#[test]
fn a_command_of_claudes_own_is_no_answer() {
    let lab = Lab::new();
    let job = lab.run("slash", &["--no-preamble", "/clear"], 1);
    let (outcome, reason) = end(&job);
    assert_eq!(outcome, "no-answer");
    assert!(reason.contains("for a command of its own"), "{reason}");
    assert_eq!(lab.server.requests().len(), 0);
}

#[test]
fn a_worker_that_hangs_is_ended_whole() {
    let lab = Lab::new();
    lab.on(
        "hang",
        Script::new()
            .shell("sh -c 'tail -f /dev/null & setsid tail -f /dev/null & echo begun'")
            .hang(),
    );
    lab.cx(&["spawn", "-n", "h", "hang about"]).ok();
    lab.server.wait_for_requests(2);
    let waiting =
        |live: Vec<String>| live.iter().filter(|p| p.contains("tail -f /dev/null")).count();
    assert!(waiting(lab.sandbox.live_processes()) >= 2, "{}", lab.logs("h"));
    lab.cx(&["kill", "h"]).ok();
    let waited = lab.cx(&["wait", "h"]).code(143);
    assert!(waited.stderr().contains("killed"), "{waited}");
    let job = lab.show("h");
    assert_eq!(end(&job).0, "killed");
    assert_eq!(waiting(lab.sandbox.live_processes()), 0);
}

#[test]
fn a_command_that_goes_on_does_not_keep_claude() {
    let lab = Lab::new();
    lab.on(
        "server",
        Script::new()
            .shell("sh -c 'setsid tail -f /dev/null >/dev/null 2>&1 & echo begun'")
            .say("It runs."),
    );
    let job = lab.run("bg", &["start the server"], 0);
    assert_eq!(end(&job).0, "succeeded");
    assert_eq!(job["stragglers"], 1, "{job}");
}
