//! Who is told of a job's end: `[hooks]` and `--notify`.

use std::fs;

use serde_json::Value;

use crate::support::{Gate, Sandbox, Terminal};

/// The person's own configuration.
fn configure(sandbox: &Sandbox, text: &str) {
    sandbox.write("../config/cx/config.toml", text);
}

/// A line of TOML: a hook that writes its stdin into a file and then passes a gate.
fn hook(sandbox: &Sandbox, key: &str, gate: &str) -> (String, Gate) {
    let gate = sandbox.gate(gate);
    let file = sandbox.root().join(format!("{key}.json"));
    let script = format!("cat >> {}; {}", file.display(), gate.pass());
    (format!("{key} = [\"sh\", \"-c\", \"\"\"{script}\"\"\"]\n"), gate)
}

/// What a hook was given, a line for each time that it ran.
fn given(sandbox: &Sandbox, key: &str) -> Vec<Value> {
    let text = fs::read_to_string(sandbox.root().join(format!("{key}.json"))).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_hook_gets_the_job_as_show_has_it_and_nobody_waits_for_it() {
    let sandbox = Sandbox::new();
    let (exit, gate) = hook(&sandbox, "on-exit", "exit");
    let (failure, _never) = hook(&sandbox, "on-failure", "failure");
    configure(&sandbox, &format!("[hooks]\n{exit}{failure}"));
    sandbox.writer("w", "echo one > one; test -z \"$CX_HOOK\"");
    gate.arrived();
    // It still stands there, and the job is over all the same.
    sandbox.cx(["wait", "w"]).ok();
    let [given_job] = <[Value; 1]>::try_from(given(&sandbox, "on-exit")).unwrap();
    assert_eq!(given_job, sandbox.job("w"));
    assert_eq!(given_job["status"], "succeeded");
    assert_eq!(given_job["commits"], 1);
    gate.open();
    assert!(given(&sandbox, "on-failure").is_empty());
}

#[test]
fn a_hook_that_fails_is_a_note_and_changes_nothing() {
    let sandbox = Sandbox::new();
    configure(
        &sandbox,
        "[hooks]\non-exit = 'echo said; exit 3'\non-failure = ['no-such-program']\non-idle = 'echo $CX_HOOK$CX_JOB >&2'\n",
    );
    sandbox.reader("r", "exit 7");
    sandbox.cx(["wait", "r"]).code(7);
    let note = |text: &str| {
        let says = |line: &Value| line["text"].as_str().is_some_and(|said| said.contains(text));
        sandbox.ledger().wait_for(|line| line["ev"] == "note" && says(line))
    };
    let failed = note("the on_exit hook failed (3); its output is in ");
    let log = failed["text"].as_str().unwrap().rsplit(' ').next().unwrap();
    assert_eq!(fs::read_to_string(log).unwrap(), "said\n");
    note("the on_failure hook could not be started: ");
    let job = sandbox.job("r");
    assert_eq!((&job["status"], &job["exit_code"]), (&"failed".into(), &7.into()));
    assert_eq!(job["notes"].as_array().unwrap().len(), 2, "{job}");
    let idle = fs::read_to_string(sandbox.repo().join(".git/cx/jobs/1/on_idle.log"));
    assert_eq!(idle.unwrap(), "on_idle\n", "a hook is no worker");
}

#[test]
fn a_hook_has_so_much_time() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("never");
    let script = format!("{} & {}", gate.pass(), gate.pass());
    configure(
        &sandbox,
        &format!("[hooks]\ntimeout = '100ms'\non-exit = [\"sh\", \"-c\", \"\"\"{script}\"\"\"]\n"),
    );
    sandbox.reader("r", "true");
    sandbox.cx(["wait", "r"]).ok();
    let late = sandbox.ledger().wait_for(|line| line["ev"] == "note");
    let text = late["text"].as_str().unwrap();
    assert!(text.starts_with("the on_exit hook was ended after 0.1s; "), "{text}");
}

#[test]
fn of_many_that_end_at_once_one_finds_the_repository_idle() {
    let sandbox = Sandbox::new();
    let (idle, told) = hook(&sandbox, "on-idle", "idle");
    configure(&sandbox, &format!("[hooks]\n{idle}"));
    let gate = sandbox.gate("gate");
    let names: Vec<String> = (0..8).map(|n| format!("r{n}")).collect();
    for name in &names {
        sandbox.reader(name, &gate.pass());
        sandbox.until(names.iter().position(|one| one == name).unwrap() as u64 + 1, "running");
    }
    told.open();
    gate.open();
    sandbox.cx(["wait"]).ok();
    sandbox.until_quiet();
    let told = given(&sandbox, "on-idle");
    assert_eq!(told.len(), 1, "{told:?}");
    let events = sandbox.ledger().events();
    let last = events.iter().rfind(|line| line["ev"] == "exited").unwrap();
    assert_eq!(told[0]["job"], last["job"]);
}

#[test]
fn a_job_that_a_hook_starts_is_a_job_like_any_other() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    // Only the first job has the hook.
    configure(&sandbox, "[hooks]\non-failure = 'cx spawn -b sh -n next \"$NEXT\"'\n");
    let mut spawn = sandbox.cx_command(["spawn", "-b", "sh", "-n", "first", "exit 1"]);
    spawn.env("NEXT", gate.pass());
    sandbox.run(spawn).ok();
    gate.arrived();
    sandbox.cx(["wait", "first"]).code(1);
    assert_eq!(sandbox.job("next")["live"], true);
    gate.open();
    sandbox.cx(["wait", "next"]).ok();
    assert_eq!(sandbox.job("first")["notes"], serde_json::json!([]));
}

#[test]
fn a_lost_job_is_told_of_once_it_is_taken_care_of() {
    let sandbox = Sandbox::new();
    let (failure, gate) = hook(&sandbox, "on-failure", "failure");
    configure(&sandbox, &format!("[hooks]\n{failure}"));
    let mut spawn = sandbox.cx_command(["spawn", "-b", "sh", "-w", "-n", "w", "echo one > one"]);
    spawn.env("CX_CRASH_AT", "worker-ended");
    sandbox.run(spawn).ok();
    sandbox.cx(["wait", "w"]).code(1);
    gate.arrived();
    let told = given(&sandbox, "on-failure");
    assert_eq!((told.len(), &told[0]["status"]), (1, &"lost".into()));
    gate.open();
}

#[test]
fn a_supervisor_that_dies_over_its_hooks_leaves_an_ended_job() {
    let sandbox = Sandbox::new();
    let (exit, gate) = hook(&sandbox, "on-exit", "exit");
    configure(&sandbox, &format!("[hooks]\n{exit}"));
    let mut spawn = sandbox.cx_command(["spawn", "-b", "sh", "-n", "r", "true"]);
    spawn.env("CX_CRASH_AT", "telling");
    sandbox.run(spawn).ok();
    gate.arrived();
    sandbox.cx(["wait", "r"]).ok();
    gate.open();
    sandbox.cx(["jobs", "-a"]).ok();
    sandbox.until_quiet();
    assert_eq!(given(&sandbox, "on-exit").len(), 1, "none runs twice");
    assert_eq!(sandbox.job("r")["status"], "succeeded");
}

#[test]
fn hooks_of_the_repository_wait_for_trust() {
    let sandbox = Sandbox::new();
    let (exit, gate) = hook(&sandbox, "on-exit", "exit");
    sandbox.write(".cx/config.toml", format!("notify = true\n[hooks]\n{exit}"));
    let spawned = sandbox.cx(["spawn", "-b", "sh", "true"]).ok();
    let said = spawned.stderr();
    assert!(said.contains("hooks.on-exit, notify of this repository's"), "{said}");
    sandbox.cx(["wait"]).ok();
    assert!(sandbox.ledger().events()[0].get("notice").is_none());
    let shown = sandbox.cx(["trust"]).ok().stdout();
    assert!(shown.contains("hooks.on-exit = [\"sh\",\"-c\",") && shown.contains("notify = true"));
    sandbox.spawn_sh(["true"]);
    gate.arrived();
    gate.open();
    sandbox.until_quiet();
    assert_eq!(given(&sandbox, "on-exit").len(), 1);
}

#[test]
fn the_terminal_tells_and_rings() {
    let sandbox = Sandbox::new();
    let (worker, shell) = (sandbox.gate("worker"), sandbox.gate("shell"));
    let script = format!(
        "cx spawn --notify -b sh -n auth \"{}; exit 3\"; cx wait auth --notify; {}",
        worker.pass(),
        shell.pass()
    );
    let terminal = Terminal::start(&sandbox, "sh", ["-c", &script]);
    worker.arrived();
    worker.open();
    // From its supervisor, which has no terminal of its own, and from `cx wait`.
    terminal.wait_for_written("\x1b]9;auth failed 3: read -r _");
    terminal.wait_for_written("\x1b]9;cx wait: not all succeeded: auth\x1b\\\x07");
    shell.arrived();
    shell.open();
    assert_eq!(terminal.finish().0, Some(0));
    assert!(!sandbox.job("auth")["notes"].to_string().contains("notify"));
}

#[test]
fn the_desktop_is_told_where_there_is_one() {
    let mut sandbox = Sandbox::new();
    sandbox.set("DISPLAY", ":7");
    let told = sandbox.root().join("told");
    sandbox.script_tool("notify-send", &format!("printf '[%s]' \"$@\" >> {}", told.display()));
    configure(&sandbox, "notify = true\n");
    sandbox.reader("r", "true # <b> & more");
    sandbox.cx(["wait", "r"]).ok();
    sandbox.until_quiet();
    let said = || fs::read_to_string(&told).unwrap();
    assert_eq!(said(), "[--app-name=cx][--][r succeeded][true # &lt;b> &amp; more]");
    // Of a run the end is told, and not each job's.
    fs::remove_file(&told).unwrap();
    let plan = r#"{"tasks": [{"id": "a", "backend": "sh", "prompt": "true"}, {"id": "b", "backend": "sh", "prompt": "true"}]}"#;
    sandbox.write("p.json", plan);
    sandbox.cx(["run", "-f", "p.json"]).ok();
    sandbox.until_quiet();
    assert_eq!(said(), "[--app-name=cx][--][run p succeeded][]");
}
