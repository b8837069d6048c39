//! `cx jobs`, `cx show` and the ways to name a job.

use crate::support::{Sandbox, Terminal};

#[test]
fn the_listing_says_number_marks_status_and_what_it_did() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("auth", "exit 3");
    sandbox.written("docs", "echo x > a; echo y > b");
    sandbox.reader("live", &format!("echo step one; echo 'step \u{1b}[31mtwo'; {}", gate.pass()));
    gate.arrived();
    sandbox.until(3, "running");
    sandbox.cx(["wait", "auth", "docs"]).code(1);
    let lines = sandbox.lines(["jobs"]);
    let said = lines.join("\n");
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[0].starts_with("[1]   failed 3 ") && lines[0].contains("auth"), "{said}");
    assert!(
        lines[1].starts_with("[2]-  succeeded") && lines[1].contains("1 commit, 2 files"),
        "{said}"
    );
    assert!(lines[2].starts_with("[3]+  running ") && lines[2].contains("step two"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    let long = sandbox.lines(["jobs", "-l"]);
    assert_eq!(long.len(), 6);
    assert!(long[3].contains("writer on sh · cx/docs in "), "{long:?}");
    assert!(long[5].contains("reader on sh · pid "), "{long:?}");
    gate.open();
    sandbox.cx(["wait", "live"]).ok();
}

#[test]
fn what_is_collected_and_merged_is_listed_only_with_all() {
    let sandbox = Sandbox::new();
    sandbox.reader("r", "true");
    sandbox.written("w", "echo x > f");
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["collect"]).ok();
    let listed = sandbox.lines(["jobs"]);
    assert!(
        listed.len() == 1 && listed[0].contains("w "),
        "a branch is still to be merged: {listed:?}"
    );
    sandbox.cx(["merge"]).ok();
    assert_eq!(sandbox.cx(["jobs"]).ok().stdout(), "");
    assert_eq!(sandbox.lines(["jobs", "-a"]).len(), 2);
    let all = sandbox.cx(["jobs", "-a", "--json"]).ok().json();
    assert_eq!(
        (all[1]["merged_into"].as_str(), all[1]["collected"].as_bool()),
        (Some("main"), Some(true))
    );
}

#[test]
fn no_jobs_are_an_empty_listing() {
    let sandbox = Sandbox::new();
    let output = sandbox.cx(["jobs"]).ok();
    assert_eq!((output.stdout(), output.stderr()), (String::new(), String::new()));
    assert_eq!(sandbox.cx(["jobs", "--json"]).ok().json(), serde_json::json!([]));
    // Looking leaves nothing behind.
    assert!(!sandbox.repo().join(".git/cx").exists());
}

#[test]
fn json_has_what_a_script_needs() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.spawn_sh([
        "-w",
        "-n",
        "w",
        "--scope",
        "src",
        "--timeout",
        "1h",
        &format!("echo doing; {}", gate.pass()),
    ]);
    gate.arrived();
    sandbox.until(1, "running");
    let live = sandbox.job("w");
    assert_eq!((live["live"].as_bool(), live["status"].as_str()), (Some(true), Some("running")));
    assert_eq!((live["activity"].as_str(), live["exit_code"].is_null()), (Some("doing"), true));
    assert!(live["worker"]["pid"].is_u64() && live["seconds"].is_f64(), "{live}");
    gate.open();
    sandbox.cx(["wait"]).ok();
    let over = sandbox.job("w");
    assert_eq!((over["live"].as_bool(), over["exit_code"].as_u64()), (Some(false), Some(0)));
    assert_eq!(over["scope"], serde_json::json!(["src"]));
    assert_eq!(over, sandbox.cx(["jobs", "--json"]).ok().json()[0]);
}

#[test]
fn every_way_to_name_a_job() {
    let sandbox = Sandbox::new();
    for name in ["auth", "auth-core", "docs"] {
        sandbox.reader(name, "true");
    }
    sandbox.cx(["wait"]).ok();
    for (spec, job) in [
        ("%1", 1),
        ("1", 1),
        ("auth", 1),
        ("auth-", 2),
        ("d", 3),
        ("%+", 3),
        ("%-", 2),
        ("[2] auth-core", 2),
        ("%docs", 3),
    ] {
        assert_eq!(sandbox.job(spec)["job"], job, "{spec}");
    }
    sandbox.cx(["show", "au"]).refused(2, "'au' could be any of auth, auth-core");
    sandbox.cx(["show", "%9"]).refused(127, "no such job: %9");
    sandbox.cx(["show", "nope"]).refused(127, "no such job: nope");
    sandbox.cx(["show", ""]).refused(127, "no such job");
    sandbox.cx(["show", "auth", "docs"]).refused(2, "one job is wanted");
}

#[test]
fn show_tells_everything_about_one_job() {
    let sandbox = Sandbox::new();
    sandbox.written("w", "echo x > f");
    let shown = sandbox.cx(["show", "w"]).ok().stdout();
    for word in
        ["[1] w", "succeeded", "cx/w", "1 commit, 1 file", "repo.cx/w", "pid ", "echo x > f"]
    {
        assert!(shown.contains(word), "no {word} in\n{shown}");
    }
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["clean", "--discard", "w"]).ok();
    let shown = sandbox.cx(["show", "w"]).ok().stdout();
    assert!(shown.contains("refs/cx/trash/w-1"), "where its work is kept:\n{shown}");
    assert!(sandbox.cx(["jobs", "-a"]).ok().stdout().contains("refs/cx/trash/w-1"));
}

#[test]
fn a_title_cannot_paint_on_the_terminal() {
    let sandbox = Sandbox::new();
    sandbox.spawn_sh(["printf x # \u{1b}]0;owned\u{7}\u{1b}[2J\n\n# second line"]);
    sandbox.cx(["wait"]).ok();
    let terminal = Terminal::start(&sandbox, "cx", ["jobs", "-l"]);
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(0));
    assert!(screen.contains("printf x #") && !screen.contains("second"), "{screen}");
    assert!(!sandbox.cx(["jobs"]).ok().stdout().contains('\u{1b}'));
}

#[test]
fn on_a_terminal_every_job_is_one_line() {
    let sandbox = Sandbox::new();
    sandbox.spawn_sh([format!("true {}", "long ".repeat(60)).as_str()]);
    sandbox.spawn_sh(["echo short"]);
    sandbox.cx(["wait"]).ok();
    let (_, screen) = Terminal::start(&sandbox, "cx", ["jobs"]).finish();
    assert_eq!(screen.lines().count(), 2, "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() <= 100), "{screen}");
}

#[test]
fn a_listing_whose_reader_has_gone_is_no_error() {
    let sandbox = Sandbox::new();
    sandbox.reader("r", "true");
    sandbox.cx(["wait"]).ok();
    let output = sandbox.sh("{ cx jobs; echo $? >&2; } | true");
    assert_eq!(output.stderr(), "0\n");
    let full = sandbox.sh("cx jobs > /dev/full").code(125);
    assert!(full.stderr().contains("cannot write to stdout"), "{full}");
}
