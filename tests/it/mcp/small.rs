//! What an orchestrator reads of cx's own words.

use crate::support::Sandbox;

/// The most characters that a fan-out of eight may cost it, from spawn to merge.
const MOST: usize = 2000;

#[test]
fn a_fan_out_of_eight_costs_an_orchestrator_little() {
    let sandbox = Sandbox::new();
    let mut read = 0;
    let mut run = |words: &[&str]| {
        let said = sandbox.cx(words).ok();
        read += said.stdout().chars().count() + said.stderr().chars().count();
        said
    };
    // What a worker answers is its own, and not counted against cx: nothing here.
    for job in ["one", "two", "three", "four", "five", "six", "seven", "eight"] {
        let script = format!("echo {job} > {job}.txt");
        run(&["spawn", "-b", "sh", "--write", "-n", job, &script]);
    }
    run(&["jobs", "--brief"]);
    run(&["wait"]);
    let collected = run(&["collect", "--digest"]).stdout();
    assert_eq!(collected.lines().count(), 8, "{collected}");
    run(&["conflicts"]);
    run(&["merge", "--dry-run"]);
    let merged = run(&["merge"]);
    assert_eq!(merged.stdout().matches("merged into main").count(), 8, "{merged}");
    assert!(read < MOST, "{read} characters");
}

#[test]
fn a_digest_is_cut_fairly_and_says_where_the_rest_is() {
    let sandbox = Sandbox::new();
    let long = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i of many; done";
    sandbox.reader("long", long);
    sandbox.reader("short", "echo just this");
    sandbox.reader("bad", "echo oh no >&2; exit 3");
    sandbox.cx(["wait"]).code(1);
    let said = sandbox.cx(["collect", "--digest=300"]).code(1).stdout();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "== [1] long succeeded");
    assert_eq!(lines[1], "line 1 of many");
    let more = lines.iter().position(|line| line.ends_with(" bytes more: cx collect long]"));
    let rest = &lines[more.expect("it was cut") + 1..];
    assert_eq!(rest[..2], ["== [2] short succeeded", "just this"]);
    assert!(rest[2].starts_with("== [3] bad failed 3"), "{said}");
    assert!(said.len() < 600, "{said}");
    // It counts as handed out, and can be read in full.
    sandbox.cx(["collect"]).code(1);
    let whole = sandbox.cx(["collect", "long"]).ok().stdout();
    assert!(whole.contains("line 200 of many"), "{whole}");
    sandbox.cx(["collect", "--digest", "--json"]).code(2);
}

#[test]
fn a_brief_listing_has_a_line_for_each_job() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("open");
    sandbox.reader("held", &gate.pass());
    gate.arrived();
    sandbox.reader("done", "true");
    sandbox.cx(["wait", "done"]).ok();
    let said = sandbox.cx(["jobs", "--brief"]).ok().stdout();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("1 held running "), "{said}");
    assert!(lines[1].starts_with("2 done succeeded "), "{said}");
    assert_eq!(lines.len(), 2, "{said}");
    gate.open();
}

#[test]
fn a_skill_is_installed_checked_and_not_overwritten() {
    let sandbox = Sandbox::new();
    for (whom, path) in [
        ("codex", ".agents/skills/cx/SKILL.md"),
        ("claude", ".claude/skills/cx/SKILL.md"),
        ("agents-md", "AGENTS.md"),
    ] {
        let skill = |words: &[&str]| sandbox.cx([&["skill"], words, &["--for", whom]].concat());
        if whom == "agents-md" {
            sandbox.write("AGENTS.md", "# Ours\n");
        }
        assert!(skill(&["--check"]).code(1).stdout().ends_with(": not installed\n"));
        assert!(!sandbox.repo().join(path).exists() || whom == "agents-md");
        skill(&["install"]).ok();
        assert!(sandbox.read(path).contains(&skill(&["--print"]).ok().stdout()));
        assert!(skill(&["--check"]).ok().stdout().ends_with(": current\n"));
        let changed = sandbox.read(path).replace("Merge last", "Merge first");
        sandbox.write(path, &changed);
        skill(&["--check"]).code(1);
        skill(&["install"])
            .refused(1, "says something else than this cx would; nothing was changed");
        assert_eq!(sandbox.read(path), changed);
        assert!(skill(&["install", "--force"]).ok().stderr().contains("replaced what was in "));
        skill(&["--check"]).ok();
    }
    assert!(sandbox.read("AGENTS.md").starts_with("# Ours\n\n<!-- cx skill: begin -->"));
}
