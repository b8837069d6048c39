//! `cx resume`, `cx send`, `cx retry`: a job that goes on from another.

use serde_json::Value;

use crate::support::{ClaudeHome, CodexHome, Gate, ModelServer, Output, Sandbox, Script};

/// A codex of a few lines: it writes what it is told into `said`, waits at the
/// gate that `GATE` names, and counts 100 tokens for each turn of its thread.
const CODEX: &str = r#"
[ "$1" = sandbox ] && exit 0
thread=t-1 before=
for word; do [ "$before" = resume ] && thread=$word; before=$word; done
[ -n "$ECHO" ] && thread=$ECHO
say=$(tail -n 1)
printf '{"type":"thread.started","thread_id":"%s"}\n{"type":"turn.started"}\n' "$thread"
case $* in *workspace-write*) echo "$say" >> said;; esac
echo "$thread $PWD $say" >> "$TURNS"
case $say in *wait*) read -r _ < "$GATE";; esac
case $say in *fail*) exit 3;; esac
total=$(($(grep -c "^$thread " "$TURNS") * 100))
printf '{"type":"item.completed","item":{"type":"command_execution","command":"x","exit_code":0,"aggregated_output":"","status":"completed"}}\n'
printf '{"type":"item.completed","item":{"type":"agent_message","text":"Did %s."}}\n' "$say"
printf '{"type":"turn.completed","usage":{"input_tokens":%s,"cached_input_tokens":0,"output_tokens":1}}\n' "$total"
"#;

struct Lab {
    sandbox: Sandbox,
    gate: Gate,
}

impl Lab {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        sandbox.script_tool("codex", CODEX);
        let turns = sandbox.root().join("turns");
        std::fs::write(&turns, "").unwrap();
        sandbox.set("TURNS", turns);
        let gate = sandbox.gate("codex");
        sandbox.set("GATE", sandbox.root().join("gates/codex"));
        Self { sandbox, gate }
    }

    #[track_caller]
    fn cx(&self, words: &[&str]) -> Output {
        self.sandbox.cx(words)
    }

    /// Starts a job by `words`, and waits for it.
    #[track_caller]
    fn run(&self, words: &[&str], code: i32) -> Value {
        let printed = self.cx(words).ok().stdout();
        let name = printed.trim_end().split_once("] ").expect("a job").1.to_owned();
        self.cx(&["wait", &name]).code(code);
        self.show(&name)
    }

    #[track_caller]
    fn show(&self, name: &str) -> Value {
        self.cx(&["show", "--json", name]).ok().json()
    }

    /// The turns of all threads: thread, folder, last line of the prompt.
    fn turns(&self) -> Vec<String> {
        let turns = std::fs::read_to_string(self.sandbox.root().join("turns")).unwrap();
        turns.lines().map(|line| self.sandbox.redact(line)).collect()
    }
}

const SPAWN: [&str; 7] = ["spawn", "-b", "codex", "--no-preamble", "-n", "auth", "--write"];

#[test]
fn a_writer_goes_on_in_its_thread_its_worktree_and_its_branch() {
    let lab = Lab::new();
    lab.run(&[&SPAWN[..], &["one"]].concat(), 0);
    let more = lab.run(&["resume", "auth", "two"], 0);
    assert_eq!(more["name"], "auth-2");
    assert_eq!(more["resumes"], 1);
    assert_eq!(more["thread"], "t-1");
    assert_eq!(more["usage"]["input"], 100, "of 200 in the thread: {more}");
    let usage = lab.cx(&["usage", "--json"]).ok().json();
    assert_eq!((&usage["total"]["input"], &usage["total"]["jobs"]), (&200.into(), &2.into()));
    assert_eq!(more["branch"], "cx/auth");
    assert_eq!(more["commits"], 2);
    let again = lab.run(&["resume", "auth-2", "-n", "third", "three"], 0);
    assert_eq!(again["usage"]["input"], 100, "of 300 in the thread");
    let folder = "[ROOT]/repo.cx/auth";
    assert_eq!(
        lab.turns(),
        [format!("t-1 {folder} one"), format!("t-1 {folder} two"), format!("t-1 {folder} three")]
    );
    assert_eq!(lab.cx(&["prompt", "third"]).ok().stdout(), "three");
    let old = lab.show("auth");
    assert_eq!(old["went_on"], 2);
    let refused = lab.cx(&["merge", "%1"]).code(2).stderr();
    assert!(refused.contains("[1] auth went on as %2"), "{refused}");
    // All of it lands once, and there is one worktree to clean.
    lab.cx(&["merge"]).ok();
    assert_eq!(lab.sandbox.read("said"), "one\ntwo\nthree\n");
    lab.cx(&["merge"]).code(1);
    lab.cx(&["collect"]).ok();
    lab.cx(&["clean"]).ok();
    assert!(!lab.sandbox.root().join("repo.cx/auth").exists());
    assert_eq!(lab.sandbox.git(["branch", "--list", "cx/*"]), "");
    assert_eq!(lab.cx(&["doctor", "--json"]).ok().json()["problems"], 0);
}

#[test]
fn a_reader_goes_on_in_its_folder() {
    let lab = Lab::new();
    lab.sandbox.write("sub/file", "x");
    let mut command =
        lab.sandbox.cx_command(["spawn", "-b", "codex", "--no-preamble", "-n", "look", "one"]);
    command.current_dir(lab.sandbox.repo().join("sub"));
    lab.sandbox.run(command).ok();
    lab.cx(&["wait", "look"]).ok();
    lab.run(&["resume", "look", "two"], 0);
    assert_eq!(lab.turns(), ["t-1 [ROOT]/repo/sub one", "t-1 [ROOT]/repo/sub two"]);
}

#[test]
fn a_job_that_went_on_goes_on_from_its_last() {
    let lab = Lab::new();
    lab.run(&[&SPAWN[..], &["one"]].concat(), 0);
    lab.run(&["resume", "auth", "two"], 0);
    let printed = lab.cx(&["resume", "%1", "three"]).ok();
    assert!(printed.stderr().contains("[1] auth went on as [2] auth-2"), "{printed}");
    lab.cx(&["wait"]).ok();
    assert_eq!(lab.show("%3")["resumes"], 2);
}

#[test]
fn another_thread_than_the_one_asked_for_is_no_success() {
    let mut lab = Lab::new();
    lab.run(&[&SPAWN[..], &["one"]].concat(), 0);
    lab.sandbox.set("ECHO", "t-9");
    let more = lab.run(&["resume", "auth", "two"], 1);
    assert_eq!(more["status"], "failed");
    assert_eq!(more["reason"], "codex answered on thread t-9 instead of t-1");
}

#[test]
fn what_is_said_to_a_live_worker_is_said_when_it_has_ended_well() {
    let lab = Lab::new();
    lab.cx(&[&SPAWN[..], &["wait one"]].concat()).ok();
    lab.gate.arrived();
    let refused = lab.cx(&["resume", "auth", "two"]).code(2).stderr();
    assert!(refused.contains("is not over") && refused.contains("cx send"), "{refused}");
    let sent = lab.cx(&["send", "auth", "-n", "next", "two"]).ok();
    assert_eq!(sent.stdout(), "[2] next\n");
    assert!(sent.stderr().contains("takes no messages while it runs"), "{sent}");
    assert_eq!(lab.show("next")["status"], "waiting");
    // One thread, one writer: nothing else can be queued behind the same turn.
    let third = lab.cx(&["send", "%1", "-n", "third", "three"]).ok();
    assert!(third.stderr().contains("went on as [2] next"), "{third}");
    lab.gate.open();
    lab.cx(&["wait", "next", "third"]).ok();
    assert_eq!(lab.turns().len(), 3, "{:?}", lab.turns());
    lab.cx(&["merge"]).ok();
    assert_eq!(lab.sandbox.read("said"), "wait one\ntwo\nthree\n");
    // To one that is over it is said at once.
    lab.run(&["send", "third", "four"], 0);
}

#[test]
fn what_never_ran_gives_back_what_it_took_over() {
    let lab = Lab::new();
    lab.cx(&[&SPAWN[..], &["wait one"]].concat()).ok();
    lab.gate.arrived();
    lab.cx(&["send", "auth", "-n", "next", "two"]).ok();
    lab.cx(&["kill", "next"]).ok();
    lab.cx(&["wait", "next"]).code(143);
    lab.gate.open();
    lab.cx(&["wait", "auth"]).ok();
    assert_eq!(lab.show("auth")["went_on"], Value::Null);
    lab.cx(&["clean", "next"]).code(1);
    assert!(lab.sandbox.root().join("repo.cx/auth/said").exists());
    lab.cx(&["merge"]).ok();
    assert_eq!(lab.sandbox.read("said"), "wait one\n");
    lab.run(&["resume", "auth", "three"], 0);
}

#[test]
fn one_that_failed_can_go_on_and_its_message_is_not_sent() {
    let lab = Lab::new();
    lab.cx(&[&SPAWN[..], &["wait and fail"]].concat()).ok();
    lab.gate.arrived();
    lab.cx(&["send", "auth", "-n", "next", "two"]).ok();
    lab.gate.open();
    lab.cx(&["wait", "next"]).code(1);
    assert_eq!(lab.show("next")["status"], "skipped");
    let more = lab.run(&["resume", "auth", "-n", "more", "three"], 0);
    assert_eq!((&more["thread"], &more["commits"]), (&"t-1".into(), &2.into()));
}

#[test]
fn a_task_is_tried_again_in_its_files_or_afresh() {
    let lab = Lab::new();
    lab.run(&[&SPAWN[..], &["one"]].concat(), 0);
    lab.sandbox.write("README.md", "Moved on.\n");
    lab.sandbox.git(["commit", "--quiet", "-am", "More"]);
    let fresh = lab.run(&["retry", "--fresh", "auth"], 0);
    assert_eq!(fresh["branch"], "cx/auth-2");
    assert_eq!(fresh["base"], lab.show("auth")["base"]);
    assert_eq!(fresh["resumes"], Value::Null);
    let again = lab.run(&["retry", "auth"], 0);
    assert_eq!((&again["branch"], &again["resumes"]), (&"cx/auth".into(), &1.into()));
    assert_eq!(lab.sandbox.git(["show", "cx/auth:said"]), "one\none");
    assert_eq!(lab.sandbox.git(["show", "cx/auth-2:said"]), "one");
    for job in ["auth-2", again["name"].as_str().unwrap()] {
        assert_eq!(lab.cx(&["prompt", job]).ok().stdout(), "one");
    }
    // A script has no thread, but can be run again.
    lab.run(&["spawn", "-b", "sh", "-n", "sh", "echo ran"], 0);
    let refused = lab.cx(&["resume", "sh", "x"]).code(2).stderr();
    assert!(refused.contains("no conversation") && refused.contains("cx retry sh"), "{refused}");
    lab.run(&["retry", "sh"], 0);
}

#[test]
fn what_it_may_use_is_its_own_where_that_is_said() {
    let lab = Lab::new();
    lab.run(&["spawn", "-n", "look", "--max-tokens", "1000", "one"], 0);
    let spec = || {
        let events = lab.sandbox.ledger().events();
        events.into_iter().rev().find(|event| event["ev"] == "spawned").expect("a job")
    };
    assert!(spec()["hold"].is_object(), "{}", spec());
    lab.run(&["resume", "look", "two"], 0);
    assert_eq!(spec()["budgets"], serde_json::json!([{"of": "job", "tokens": 1000}]));
    lab.run(&["resume", "look", "--max-tokens", "2000", "--no-hold", "three"], 0);
    assert_eq!(spec()["budgets"], serde_json::json!([{"of": "job", "tokens": 2000}]));
    assert_eq!(spec()["hold"], Value::Null);
    let refused = lab.cx(&["retry", "look", "--max-budget-usd", "1"]).code(2).stderr();
    assert!(refused.contains("--max-budget-usd needs a price"), "{refused}");
    lab.run(&["spawn", "-b", "sh", "-n", "shell", "true"], 0);
    let refused = lab.cx(&["retry", "shell", "--max-tokens", "9"]).code(2).stderr();
    assert!(refused.contains("a job of sh uses no tokens"), "{refused}");
}

#[test]
fn the_name_of_what_is_gone_on_from_is_not_freed_for_who_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.cx(["spawn", "-b", "sh", "--write", "-n", "w", "echo hi"]).ok();
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["collect"]).ok();
    let whole = |what: &str| {
        assert_eq!(sandbox.cx(["logs", what]).ok().stdout(), "hi\n");
        let tree = sandbox.job(what)["worktree"].as_str().map(std::path::PathBuf::from);
        assert!(tree.is_some_and(|tree| tree.is_dir()), "{what}");
    };
    sandbox.cx(["retry", "-n", "w", "w"]).refused(2, "the name 'w' is in use by [1] w");
    whole("%1");
    sandbox.cx(["retry", "w"]).ok();
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["retry", "-n", "w", "w"]).code(2);
    whole("%1");
    // Who begins anew may have it.
    sandbox.cx(["retry", "--fresh", "-n", "w", "w-2"]).code(2);
    whole("%2");
}

#[test]
fn a_retried_job_still_comes_after_what_it_came_after() {
    let sandbox = Sandbox::new();
    sandbox.reader("tests", "test -e ok");
    sandbox.spawn_sh(["-n", "deploy", "--after", "tests", "echo DEPLOYED"]);
    sandbox.cx(["wait", "deploy"]).code(1);
    let jobs = || sandbox.cx(["jobs", "-a", "--json"]).ok().json().as_array().unwrap().len();
    let refused = sandbox.cx(["retry", "deploy"]);
    let refused = refused.refused(2, "[2] deploy comes after [1] tests, which is failed");
    assert!(refused.stderr().contains("hint: cx retry %1 first"), "{refused}");
    sandbox.cx(["retry", "--fresh", "deploy"]).refused(2, "[2] deploy comes after [1] tests");
    assert_eq!(jobs(), 2);
    // It is the last try of what it needs that counts.
    sandbox.cx(["retry", "tests"]).ok();
    sandbox.cx(["wait", "%3"]).code(1);
    sandbox.cx(["retry", "deploy"]).refused(2, "[2] deploy comes after [3] tests");
    sandbox.write("ok", "");
    sandbox.cx(["retry", "tests"]).ok();
    sandbox.cx(["retry", "deploy"]).ok();
    sandbox.cx(["wait", "%5"]).ok();
    let deploy = sandbox.job("%5");
    assert_eq!(deploy["after"], serde_json::json!([4]), "{deploy}");
    // A writer that never ran has no worktree to go on in, and needs what it needed.
    sandbox.reader("gate", "test -e late");
    sandbox.spawn_sh(["-w", "-n", "write", "--after", "gate", "echo x > x"]);
    sandbox.cx(["wait", "write"]).code(1);
    sandbox.cx(["retry", "write"]).refused(2, "write comes after [6] gate, which is failed");
    sandbox.write("late", "");
    sandbox.cx(["retry", "gate"]).ok();
    sandbox.cx(["retry", "write", "-n", "second"]).ok();
    sandbox.cx(["wait", "second"]).ok();
    assert_eq!(sandbox.job("second")["after"], serde_json::json!([8]));
}

#[test]
fn what_was_tried_again_afresh_is_what_others_come_after() {
    let sandbox = Sandbox::new();
    sandbox.writer("base", "test -n \"$OK\" && echo x > x");
    sandbox.spawn_sh(["-n", "next", "--after", "base", "echo NEXT"]);
    sandbox.cx(["wait", "next"]).code(1);
    sandbox.cx(["retry", "next"]).refused(2, "[2] next comes after [1] base, which is failed");
    let mut retry = sandbox.cx_command(["retry", "--fresh", "base"]);
    retry.env("OK", "yes");
    sandbox.run(retry).ok();
    sandbox.cx(["wait", "%3"]).ok();
    let (first, second) = (sandbox.job("%1"), sandbox.job("%3"));
    assert_eq!((&first["tried_again"], &second["repeats"]), (&3.into(), &1.into()), "{first}");
    assert!(sandbox.cx(["show", "%3"]).ok().stdout().contains("does again"));
    sandbox.cx(["retry", "next"]).ok();
    sandbox.cx(["wait", "%4"]).ok();
    assert_eq!(sandbox.job("%4")["after"], serde_json::json!([3]));
}

#[test]
fn each_job_of_a_conversation_has_the_next_number() {
    let lab = Lab::new();
    let name = |words: &[&str]| lab.run(words, 0)["name"].as_str().unwrap().to_owned();
    lab.run(&[&SPAWN[..], &["one"]].concat(), 0);
    assert_eq!(name(&["resume", "auth", "two"]), "auth-2");
    assert_eq!(name(&["resume", "auth-2", "three"]), "auth-3");
    assert_eq!(name(&["retry", "--fresh", "auth"]), "auth-4");
    assert_eq!(name(&["retry", "--fresh", "auth-4"]), "auth-5");
    assert_eq!(name(&["send", "auth", "four"]), "auth-6");
    // Nothing holds a reader's name once it is over; each has its own all the same.
    lab.run(&["spawn", "-b", "codex", "-n", "look-2", "one"], 0);
    assert_eq!(name(&["resume", "look-2", "two"]), "look-2-2");
    assert_eq!(name(&["retry", "look-2"]), "look-2-3");
    assert_eq!(name(&["resume", "look-2-3", "-n", "other", "three"]), "other");
    assert_eq!(name(&["resume", "look-2", "four"]), "other-2");
}

/// What is said again needs what was said before it.
#[test]
fn what_was_said_in_a_conversation_is_said_again_in_it() {
    let lab = Lab::new();
    lab.run(&[&SPAWN[..], &["one"]].concat(), 0);
    lab.run(&["resume", "auth", "two, and fail"], 3);
    let again = lab.run(&["retry", "auth"], 3);
    assert_eq!((&again["thread"], &again["resumes"]), (&"t-1".into(), &2.into()), "{again}");
    assert_eq!(lab.cx(&["prompt", "auth-3"]).ok().stdout(), "two, and fail");
    assert_eq!(lab.turns().len(), 3);
    assert!(lab.turns().iter().all(|turn| turn.starts_with("t-1 [ROOT]/repo.cx/auth ")));
    // One that begins anew knows nothing of that.
    let said = lab.cx(&["retry", "--fresh", "auth-3"]).ok().stderr();
    assert!(said.contains("is told all 2 messages of the old one"), "{said}");
    assert_eq!(lab.cx(&["prompt", "auth-4"]).ok().stdout(), "one\n\ntwo, and fail");
    assert_eq!(lab.show("auth-4")["title"], "one");
    lab.cx(&["wait", "auth-4"]).code(3);
    lab.run(&["retry", "--fresh", "auth"], 0);
    assert_eq!(lab.cx(&["prompt", "auth-5"]).ok().stdout(), "one");
}

#[test]
fn what_was_never_said_is_said_when_it_is_retried() {
    let lab = Lab::new();
    lab.cx(&[&SPAWN[..], &["wait and fail"]].concat()).ok();
    lab.gate.arrived();
    lab.cx(&["send", "auth", "two"]).ok();
    lab.gate.open();
    lab.cx(&["wait", "auth-2"]).code(1);
    assert_eq!(lab.show("auth-2")["status"], "skipped");
    let said = lab.run(&["retry", "auth-2"], 0);
    assert_eq!((&said["name"], &said["resumes"]), (&"auth-3".into(), &1.into()), "{said}");
    assert_eq!(
        lab.turns(),
        ["t-1 [ROOT]/repo.cx/auth wait and fail", "t-1 [ROOT]/repo.cx/auth two"]
    );
}

#[test]
fn what_was_merged_is_not_counted_again() {
    let lab = Lab::new();
    lab.run(&[&SPAWN[..], &["one"]].concat(), 0);
    lab.cx(&["merge"]).ok();
    let more = lab.run(&["resume", "auth", "two"], 0);
    assert_eq!(more["commits"], 1);
    lab.cx(&["merge"]).ok();
    assert_eq!(lab.sandbox.read("said"), "one\ntwo\n");
}

#[test]
fn without_its_worktree_it_cannot_go_on() {
    let lab = Lab::new();
    lab.run(&[&SPAWN[..], &["one"]].concat(), 0);
    lab.cx(&["clean", "--discard", "auth"]).ok();
    let refused = lab.cx(&["resume", "%1", "two"]).code(2).stderr();
    assert!(refused.contains("was cleaned") && refused.contains("retry --fresh"), "{refused}");
}

/// `kill -9` on the way: before its worker the tree is given back, after it the
/// work is kept; nothing that the first job did is ever lost.
#[test]
fn a_crash_on_the_way_loses_nothing() {
    for point in [
        "settled",
        "spawned",
        "supervisor-started",
        "supervisor-up",
        "started",
        "before-worker",
        "worker",
        "running",
        "worker-ended",
        "committed",
        "before-exited",
        "exited",
    ] {
        let lab = Lab::new();
        lab.run(&[&SPAWN[..], &["one"]].concat(), 0);
        let mut command = lab.sandbox.cx_command(["resume", "auth", "-n", "more", "two"]);
        command.env("CX_CRASH_AT", point);
        lab.sandbox.expect_leftovers();
        drop(lab.sandbox.run(command));
        drop(lab.cx(&["wait"]));
        let branch = lab.sandbox.git(["show", "cx/auth:said"]);
        assert!(branch == "one" || branch == "one\ntwo", "{point}: {branch}");
        let jobs = lab.cx(&["jobs", "-a", "--json"]).ok().json();
        let last = jobs.as_array().unwrap().last().unwrap()["job"].to_string();
        let holder = if lab.show("%1")["went_on"].is_null() { "1" } else { &last };
        lab.cx(&["merge", holder]).ok();
        assert!(lab.sandbox.read("said").starts_with("one\n"), "{point}");
        let more = lab.run(&["resume", "%1", "-n", "after", "three"], 0);
        assert_eq!(more["thread"], "t-1", "{point}");
    }
}

#[test]
fn the_real_codex_goes_on() {
    let mut sandbox = Sandbox::new();
    let server = ModelServer::start();
    let _home = CodexHome::new(&mut sandbox, &server);
    server.on("first turn", Script::new().say("One.").usage(500, 0, 50, 0));
    server.on("second turn", Script::new().say("Two.").usage(700, 100, 30, 0));
    sandbox.cx(["spawn", "-b", "codex", "-n", "talk", "the first turn"]).ok();
    sandbox.cx(["wait", "talk"]).ok();
    sandbox.cx(["resume", "talk", "the second turn"]).ok();
    sandbox.cx(["wait"]).ok();
    let show = |job: &str| sandbox.cx(["show", "--json", job]).ok().json();
    let (first, second) = (show("%1"), show("%2"));
    assert_eq!(first["thread"], second["thread"]);
    assert_eq!((&first["usage"]["input"], &second["usage"]["input"]), (&500.into(), &700.into()));
    let asked = server.requests();
    assert!(asked.last().unwrap().to_string().contains("the first turn"), "it forgot");
    assert_eq!(sandbox.cx(["collect", "%2"]).ok().stdout().lines().last(), Some("Two."));
}

#[test]
fn the_real_claude_goes_on() {
    let mut sandbox = Sandbox::new();
    let server = ModelServer::start();
    let _home = ClaudeHome::new(&mut sandbox, &server);
    server.on("first turn", Script::new().shell("echo one > said").say("One."));
    server.on("second turn", Script::new().shell("echo two >> said").say("Two."));
    sandbox.cx(["spawn", "-b", "claude", "-n", "talk", "--write", "the first turn"]).ok();
    sandbox.cx(["wait", "talk"]).ok();
    sandbox.cx(["resume", "talk", "the second turn"]).ok();
    sandbox.cx(["wait"]).ok();
    let show = |job: &str| sandbox.cx(["show", "--json", job]).ok().json();
    let (first, second) = (show("%1"), show("%2"));
    assert_eq!(first["thread"], second["thread"]);
    assert_eq!(first["usage"]["input"], second["usage"]["input"]);
    assert_eq!(first["usage"]["cost_usd"], second["usage"]["cost_usd"], "{second}");
    assert_eq!(sandbox.git(["show", "cx/talk:said"]), "one\ntwo");
    let asked = server.requests();
    assert!(asked.last().unwrap().to_string().contains("the first turn"), "it forgot");
}
