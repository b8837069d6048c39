//! Pools: how many jobs of one agent run at once, over all shells.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Sandbox;

/// An agent of which only so many run at once.
fn agent(sandbox: &Sandbox, name: &str, limit: u64) {
    let text =
        format!("---\nname: {name}\ndescription: looks\nmax-parallel: {limit}\n---\nLook.\n");
    sandbox.write(format!(".cx/agents/{name}.md"), text);
}

#[test]
fn a_full_pool_holds_up_nobody_else() {
    let sandbox = Sandbox::new();
    agent(&sandbox, "lens", 1);
    let gates: Vec<_> = (1..=4).map(|n| sandbox.gate(&format!("gate{n}"))).collect();
    let spawn = |n: usize, options: &[&str]| {
        let (name, script) = (format!("j{n}"), gates[n - 1].pass());
        sandbox.spawn_sh(options.iter().copied().chain(["-n", &name, &script]));
    };
    spawn(1, &["-t", "lens", "--max-jobs", "2"]);
    gates[0].arrived();
    spawn(2, &["-t", "lens", "--max-jobs", "2"]);
    spawn(3, &["--max-jobs", "2"]);
    gates[2].arrived();
    spawn(4, &["--max-jobs", "2"]);
    sandbox.until(1, "running");
    sandbox.until(3, "running");
    let doing = |name: &str| sandbox.job(name)["activity"].as_str().unwrap_or_default().to_owned();
    assert_eq!(doing("j2"), "waits for its turn: 1 of lens runs");
    assert_eq!(doing("j4"), "waits for its turn: 2 jobs run");
    assert!(sandbox.lines(["jobs"])[1].contains("1 of lens runs"), "{:?}", sandbox.lines(["jobs"]));
    assert_eq!(
        sandbox.ledger().events()[0]["pools"],
        serde_json::json!([{"name": "cx/lens", "max": 1}])
    );
    // The lens is the first that may go, although one more has come meanwhile.
    gates[0].open();
    gates[1].arrived();
    assert_eq!(doing("j4"), "waits for its turn: 2 jobs run");
    gates[2].open();
    gates[3].arrived();
    gates[1].open();
    gates[3].open();
    sandbox.cx(["wait"]).ok();
}

#[test]
fn a_supervisor_that_dies_in_a_pool_frees_its_place() {
    let sandbox = Sandbox::new();
    agent(&sandbox, "lens", 1);
    let (first, other) = (sandbox.gate("first"), sandbox.gate("other"));
    // It has got its turn in the pool, and waits for the other one.
    sandbox.reader("other", &other.pass());
    other.arrived();
    let spawn = |at: Option<&str>, name: &str, script: &str| {
        let mut command = sandbox.cx_command(["spawn", "-b", "sh", "-t", "lens", "-n", name]);
        if let Some(at) = at {
            command.env("CX_CRASH_AT", at);
        }
        command.args(["--max-jobs", "1", script]);
        sandbox.run(command).ok();
    };
    spawn(Some("turn-got"), "dies", "true");
    spawn(None, "waits", &first.pass());
    sandbox.ledger().wait_for(|event| event["job"] == 3 && event["ev"] == "started");
    other.open();
    first.arrived();
    first.open();
    sandbox.cx(["wait", "waits"]).ok();
    sandbox.cx(["wait", "dies"]).code(1);
    assert_eq!(sandbox.job("dies")["status"], "lost");
}

/// Sixty jobs of three pools, from four shells, some of which come after others,
/// some of which are killed.
#[test]
fn a_storm_keeps_to_every_limit_and_everybody_gets_a_turn() {
    let limits = [("one", 1), ("two", 2), ("three", 3)];
    let max_jobs = 4;
    let sandbox = Sandbox::new();
    for (name, limit) in limits {
        agent(&sandbox, name, limit);
    }
    // A worker marks that it is there, looks who else is, and goes.
    let jobs = sandbox.repo().join(".git/cx/jobs");
    let jobs = jobs.display();
    let shells: Vec<_> = (0..4)
        .map(|shell| {
            let script = format!(
                "for n in $(seq 5); do for pool in one two three; do \
                   after=; test $n = 4 && after=\"--after s{shell}-$pool-1\"; \
                   cx spawn -b sh -t $pool -n s{shell}-$pool-$n $after --max-jobs {max_jobs} \
                     'touch $TMPDIR/on-'$pool'; echo '$pool' $(ls -d {jobs}/*/tmp/on-'$pool' | wc -l) $(ls -d {jobs}/*/tmp/on-* | wc -l); rm $TMPDIR/on-'$pool || exit; \
                 done; done"
            );
            let mut command = sandbox.command("sh");
            command.arg("-c").arg(script);
            sandbox.start(command)
        })
        .collect();
    for shell in shells {
        shell.finish().ok();
    }
    sandbox.cx(["wait"]).ok();
    let said = sandbox.cx(["collect", "--format", "{message}"]).ok().stdout();
    let mut most = BTreeSet::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [pool, of_pool, all] = words[..] else { panic!("{line}") };
        let (of_pool, all): (u64, u64) = (of_pool.parse().unwrap(), all.parse().unwrap());
        let limit = limits.iter().find(|(name, _)| *name == pool).unwrap().1;
        assert!((1..=limit).contains(&of_pool), "{line}");
        assert!((1..=max_jobs).contains(&all), "{line}");
        most.insert((pool.to_owned(), of_pool));
    }
    assert_eq!(said.lines().count(), 60);
    // They did run at once.
    assert!(most.contains(&("three".to_owned(), 2)) || most.contains(&("three".to_owned(), 3)));
    let events = sandbox.ledger().events();
    let turns = events.iter().filter(|event| event["ev"] == "admitted");
    let turns: BTreeSet<u64> = turns.map(|event| event["job"].as_u64().unwrap()).collect();
    assert_eq!(turns, (1..=60).collect());
    // Where there is room for one, nobody overtakes but for those that joined late.
    let spec = |job: u64| {
        events.iter().find(|event| event["ev"] == "spawned" && event["job"] == job).unwrap()
    };
    let order: Vec<u64> = events
        .iter()
        .filter(|event| event["ev"] == "admitted")
        .filter_map(|event| event["job"].as_u64())
        .filter(|job| spec(*job)["agent"] == "one" && spec(*job)["after"] == Value::Null)
        .collect();
    assert!(order.len() == 16 && order.is_sorted(), "{order:?}");
}
