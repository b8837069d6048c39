//! `cx wait`.

use std::thread;

use crate::support::{Gate, Sandbox, Terminal};

#[test]
fn one_job_gives_its_own_code() {
    let sandbox = Sandbox::new();
    for (name, script, code) in [
        ("well", "true", 0),
        ("three", "exit 3", 3),
        ("most", "exit 255", 255),
        ("term", "kill -TERM $$", 143),
        ("kill", "kill -KILL $$", 137),
        ("missing", "no-such-program", 127),
    ] {
        sandbox.reader(name, script);
        let waited = sandbox.cx(["wait", name]).code(code);
        assert_eq!(waited.stdout(), "");
        assert_eq!(waited.stderr().lines().count(), usize::from(code != 0), "{waited}");
    }
    assert_eq!(
        sandbox.cx(["wait", "three"]).code(3).stderr(),
        "cx: [2] three failed 3: ended with exit code 3\n"
    );
}

#[test]
fn a_failure_of_earlier_is_told_as_one() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("old", "exit 3");
    let alone = sandbox.cx(["wait"]).code(1).stderr();
    assert!(!alone.contains("hint"), "{alone}");
    sandbox.reader("new", &gate.pass());
    let terminal = Terminal::start(&sandbox, "cx", ["wait"]);
    gate.arrived();
    terminal.wait_for("running");
    gate.open();
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(1));
    let screen = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        screen.contains("failed before these began, and not yet collected: [1] old; `cx collect`"),
        "{screen}"
    );
}

#[test]
fn several_jobs_give_zero_only_if_all_were_well() {
    let sandbox = Sandbox::new();
    sandbox.reader("a", "true");
    sandbox.reader("b", "true");
    sandbox.cx(["wait"]).ok();
    sandbox.reader("c", "echo 'no such table' >&2; exit 7");
    let waited = sandbox.cx(["wait"]).code(1);
    assert_eq!(waited.stderr(), "cx: [3] c failed 7: ended with exit code 7: no such table\n");
    sandbox.cx(["wait", "a", "b"]).ok();
    sandbox.cx(["wait", "a", "c"]).code(1);
    // Named twice it is still one job.
    sandbox.cx(["wait", "c", "%3"]).code(7);
    // Collected ones are not waited for again.
    sandbox.cx(["collect"]).code(1);
    let waited = sandbox.cx(["wait"]).ok();
    assert_eq!(waited.stderr(), "cx: no jobs to wait for\n");
    sandbox.cx(["wait", "nobody"]).refused(127, "no such job: nobody");
    sandbox.cx(["wait", "a", "nobody"]).refused(127, "no such job: nobody");
}

#[test]
fn a_time_limit_of_the_wait_leaves_the_jobs_alone() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("slow", &gate.pass());
    let waited = sandbox.cx(["wait", "--timeout", "0.1"]).code(124);
    assert_eq!(waited.stderr(), "cx: still running after 0.1s: [1] slow\n");
    sandbox.cx(["wait", "-n", "--timeout", "50ms", "slow"]).code(124);
    assert_eq!(sandbox.job("slow")["live"], true);
    gate.open();
    sandbox.cx(["wait", "--timeout", "1h", "slow"]).ok();
}

#[test]
fn any_returns_at_the_first_end() {
    let sandbox = Sandbox::new();
    let (first, second) = (sandbox.gate("first"), sandbox.gate("second"));
    sandbox.reader("a", &format!("{}; exit 4", first.pass()));
    sandbox.reader("b", &second.pass());
    let waiting = sandbox.start(sandbox.cx_command(["wait", "-n"]));
    first.open();
    let waited = waiting.finish().code(4);
    assert_eq!(waited.stdout(), "[1] a\n");
    assert_eq!(sandbox.job("b")["live"], true);
    second.open();
    sandbox.cx(["wait"]).code(1);
}

/// The loop of the help: each job comes once, also those that end meanwhile.
#[test]
fn any_in_a_loop_gives_each_job_once() {
    let sandbox = Sandbox::new();
    let gates: Vec<Gate> = (0..5).map(|n| sandbox.gate(&format!("g{n}"))).collect();
    for (n, gate) in gates.iter().enumerate() {
        sandbox.reader(&format!("job{n}"), &format!("{}; exit {n}", gate.pass()));
    }
    let script = "while id=$(cx wait -n) || [ -n \"$id\" ]; do
            cx collect --format '{name} {code}' \"$id\"
        done";
    let mut command = sandbox.command("sh");
    command.args(["-c", script]);
    let looping = sandbox.start(command);
    for n in [3, 0, 4, 1, 2] {
        gates[n].open();
        looping.wait_for_stdout(&format!("job{n} {n}\n"));
    }
    assert_eq!(looping.finish().stdout(), "job3 3\njob0 0\njob4 4\njob1 1\njob2 2\n");
}

#[test]
fn any_without_jobs_is_not_found() {
    let sandbox = Sandbox::new();
    sandbox.cx(["wait", "-n"]).code(127);
}

#[test]
fn many_wait_for_one_job_and_all_are_woken() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("r", &format!("{}; exit 5", gate.pass()));
    let waiting: Vec<_> =
        (0..8).map(|_| sandbox.start(sandbox.cx_command(["wait", "r"]))).collect();
    let elsewhere = Terminal::start(&sandbox, "cx", ["wait", "r"]);
    elsewhere.wait_for("[1]");
    gate.open();
    for waiter in waiting {
        waiter.finish().code(5);
    }
    let (code, screen) = elsewhere.finish();
    assert_eq!(code, Some(5));
    assert!(screen.contains("failed 5") && screen.contains("exit code 5"), "{screen}");
}

#[test]
fn a_run_narrows_what_all_means() {
    let mut sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("outside", &gate.pass());
    gate.arrived();
    sandbox.set("CX_RUN", "mine");
    sandbox.reader("inside", "exit 2");
    let waited = sandbox.cx(["wait"]).code(1);
    assert!(waited.stderr().contains("[2] inside"), "{waited}");
    assert_eq!(sandbox.lines(["jobs"]).len(), 1);
    let collected = sandbox.cx(["collect", "--format", "{name}"]).code(1);
    assert_eq!(collected.stdout(), "inside\n");
    // Those that are named are meant.
    assert_eq!(sandbox.job("outside")["live"], true);
    let killed = sandbox.cx(["kill", "--all"]).ok();
    assert_eq!(killed.stderr(), "cx: no live jobs\n");
    // Its name is good for `--run` too, although nobody works through it.
    let stands = sandbox.gate("stands");
    sandbox.reader("late", &stands.pass());
    stands.arrived();
    assert!(sandbox.lines(["jobs", "--run", "mine"])[0].contains("late"));
    sandbox.cx(["kill", "-KILL", "--run", "mine"]).ok();
    sandbox.cx(["wait", "--run", "mine"]).code(1);
    assert_eq!(
        sandbox.cx(["collect", "--run", "mine", "--format", "{name}"]).code(1).stdout(),
        "late\n"
    );
    sandbox.cx(["jobs", "--run", "min"]).refused(127, "no such run: min");
    gate.open();
    sandbox.cx(["wait", "outside"]).ok();
}

#[test]
fn ctrl_c_stops_the_waiting_and_not_the_work() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    // From an interactive shell: the job is in the terminal's session at first.
    sandbox.reader("r", &format!("echo thinking hard; {}", gate.pass()));
    gate.arrived();
    let terminal = Terminal::start(&sandbox, "cx", ["wait"]);
    terminal.wait_for("thinking hard");
    terminal.send("\x03");
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(130));
    assert!(screen.contains("no longer waiting; these go on: [1] r"), "{screen}");
    // Its line stays once, wherever the terminal has put its `^C`.
    assert_eq!(screen.matches("thinking hard").count(), 1, "{screen}");
    assert_eq!(sandbox.job("r")["live"], true);
    gate.open();
    sandbox.cx(["wait", "r"]).ok();
}

#[test]
fn ctrl_c_lets_go_of_a_job_that_is_followed() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("r", &format!("echo thinking hard; {}", gate.pass()));
    gate.arrived();
    let terminal = Terminal::start(&sandbox, "cx", ["fg", "r"]);
    terminal.wait_for("\nthinking hard");
    terminal.send("\x03");
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(130));
    assert!(screen.contains("\ncx: no longer following; [1] r goes on"), "{screen}");
    assert_eq!(sandbox.job("r")["live"], true);
    gate.open();
    sandbox.cx(["wait", "r"]).ok();
}

#[test]
fn live_lines_say_what_each_job_does_now() {
    let sandbox = Sandbox::new();
    let gates: Vec<Gate> = (1..=3).map(|n| sandbox.gate(&format!("g{n}"))).collect();
    for (n, gate) in gates.iter().enumerate() {
        sandbox.reader(
            &format!("job{n}"),
            &format!("echo first {n}; {}; echo second {n}; {}", gate.pass(), gates[2].pass()),
        );
    }
    let terminal = Terminal::start(&sandbox, "cx", ["wait"]);
    let screen = terminal.wait_for("first 2");
    assert_eq!(screen.matches("running").count(), 3, "{screen}");
    gates[0].open();
    let screen = terminal.wait_for("second 0");
    assert!(!screen.contains("first 0"), "redrawn in place:\n{screen}");
    gates[1].open();
    gates[2].open();
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(0), "{screen}");
}

#[test]
fn live_lines_have_colours_only_where_they_are_wanted() {
    let mut sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("r", &gate.pass());
    // Cyan is what lives.
    let live = |sandbox: &Sandbox| {
        let terminal = Terminal::start(sandbox, "cx", ["wait"]);
        terminal.wait_for("running");
        terminal.written().contains("\u{1b}[36m")
    };
    assert!(live(&sandbox));
    sandbox.set("NO_COLOR", "1");
    assert!(!live(&sandbox));
    gate.open();
    sandbox.cx(["wait"]).ok();
}

/// 24 lines and 40 jobs: what happens must still be seen.
#[test]
fn more_jobs_than_lines_do_not_flood_the_screen() {
    let sandbox = Sandbox::new();
    let (gate, last) = (sandbox.gate("gate"), sandbox.gate("last"));
    for n in 1..=40 {
        sandbox.reader(&format!("job{n}"), &gate.pass());
    }
    sandbox.reader("last", &format!("echo the last one; {}", last.pass()));
    let terminal = Terminal::start(&sandbox, "cx", ["wait"]);
    terminal.wait_for("running");
    gate.open();
    // When the others are over it can be seen what the last one does.
    let screen = terminal.wait_for("the last one");
    assert!(screen.lines().count() <= 24, "{screen}");
    last.open();
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(0), "{screen}");
}

#[test]
fn a_wait_begun_before_the_end_and_one_after_it_agree() {
    let sandbox = Sandbox::new();
    for _ in 0..10 {
        sandbox.reader("quick", "exit 9");
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| sandbox.cx(["wait", "quick"]).code(9));
            }
        });
        sandbox.cx(["collect"]).code(1);
    }
}

#[test]
fn a_worker_does_not_wait_for_its_own_end() {
    let sandbox = Sandbox::new();
    let gate = sandbox.gate("gate");
    sandbox.reader("before", "true");
    sandbox.reader("own", &gate.pass());
    sandbox.spawn_sh(["-n", "later", "--after", "own", "true"]);
    sandbox.spawn_sh(["-n", "last", "--after", "later", "true"]);
    let inside = |words: &[&str]| {
        let mut command = sandbox.command(env!("CARGO_BIN_EXE_cx"));
        command.arg("wait").args(words).env("CX_JOB", "2").env("CX_NAME", "own");
        sandbox.run(command)
    };
    for (words, what) in [
        (&[][..], "all jobs"),
        (&["own"], "itself"),
        (&["before", "own"], "itself"),
        (&["last"], "[4] last, which comes after it"),
    ] {
        let why = format!(
            "the worker of job %2 own cannot wait for {what}: it would wait for its own end"
        );
        inside(words).refused(2, &why);
    }
    inside(&["before"]).ok();
    gate.open();
    sandbox.cx(["wait"]).ok();
}
