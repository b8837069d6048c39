//! `cx agents` and `cx trust`.

use crate::support::Sandbox;

#[test]
fn nine_are_built_in() {
    let sandbox = Sandbox::new();
    let listed = sandbox.cx(["agents", "--json"]).ok().json();
    let mut names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|agent| agent["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    let expected = [
        "architect",
        "coder",
        "docs",
        "implementer",
        "researcher",
        "reviewer",
        "scout",
        "tester",
        "verifier",
    ];
    assert_eq!(names, expected);
    assert_eq!(sandbox.cx(["agents", "list", "--json"]).ok().json(), listed);
    for name in names {
        assert!(sandbox.cx(["agents", "show", name]).ok().stdout().starts_with("---\n"), "{name}");
    }
    sandbox.cx(["agents", "show", "nobody"]).refused(2, "nobody");
    sandbox.cx(["agents", "path", "nobody"]).refused(2, "nobody");
}

#[test]
fn an_agent_decides_whether_a_job_writes() {
    let sandbox = Sandbox::new();
    sandbox.spawn_sh(["-t", "coder", "true"]);
    sandbox.spawn_sh(["-t", "reviewer", "true"]);
    sandbox.spawn_sh(["-t", "coder", "--read", "true"]);
    sandbox.spawn_sh(["-t", "reviewer", "--write", "true"]);
    sandbox.cx(["wait"]).ok();
    let jobs = sandbox.cx(["jobs", "--json"]).ok().json();
    let modes: Vec<_> = (0..4).map(|n| jobs[n]["mode"].as_str().unwrap()).collect();
    assert_eq!(modes, ["writer", "reader", "reader", "writer"]);
    assert_eq!(jobs[0]["agent"], "coder");
}

#[test]
fn nothing_to_trust() {
    let sandbox = Sandbox::new();
    let output = sandbox.cx(["trust"]).ok();
    assert_eq!(output.stderr(), "cx: this repository's files want nothing run\n");
    let sandbox = Sandbox::without_repository();
    sandbox.cx(["trust"]).refused(2, "trust needs a git repository");
}

#[test]
fn an_unknown_key_is_named_and_stops_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write(".cx/config.toml", "max-job = 1\n");
    let spawned = sandbox.cx(["spawn", "-b", "sh", "true"]).ok();
    assert!(spawned.stderr().contains("config.toml:1: there is no key 'max-job'"), "{spawned}");
    sandbox.cx(["wait"]).ok();
    // It is nothing that whoever reads the answer should know.
    assert!(!sandbox.cx(["collect"]).ok().stdout().contains("max-job"));
    sandbox.write(".cx/config.toml", "max-jobs = \n");
    let broken = sandbox.cx(["spawn", "-b", "sh", "true"]).code(2);
    assert!(broken.stderr().contains("config.toml"), "{broken}");
    assert_eq!(sandbox.lines(["jobs", "-a"]).len(), 1);
}
