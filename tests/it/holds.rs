//! Jobs on hold: the model's service refuses for rate, and they go on later.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{
    ClaudeHome, CodexHome, Gate, ModelServer, Output, Part, Sandbox, Script, WorkerServer,
};

/// A codex of a few lines: as long as the file `REFUSED` is there, its service refuses;
/// `waits` in the first prompt has it wait at the gate once it has been answered. A writer writes what it is told.
const CODEX: &str = r#"
[ "$1" = sandbox ] && exit 0
before=
for word; do [ "$before" = resume ] && thread=$word; before=$word; done
say=$(cat)
: "${thread:=t-$CX_JOB}"
printf '{"type":"thread.started","thread_id":"%s"}\n{"type":"turn.started"}\n' "$thread"
case $* in *workspace-write*) echo "$say" | tail -n 1 >> said;; esac
echo "$thread $(echo "$say" | tail -n 1)" >> "$TURNS"
if message=$(cat "$REFUSED" 2> /dev/null); then
  printf '{"type":"turn.failed","error":{"message":"%s"}}\n' "$message"
  exit 1
fi
printf '{"type":"item.completed","item":{"type":"command_execution","command":"x","exit_code":0,"aggregated_output":"","status":"completed"}}\n'
if grep -q "^$thread .*waits" "$TURNS"; then read -r _ < "$GATE"; fi
printf '{"type":"item.completed","item":{"type":"agent_message","text":"Done."}}\n'
printf '{"type":"turn.completed","usage":{"input_tokens":100,"cached_input_tokens":0,"output_tokens":1}}\n'
"#;

const TOO_MANY: &str = "exceeded retry limit, last status: 429 Too Many Requests";
const GO_ON: &str = "The model's service was not available for a while, and is again. \
                     Go on with your task from where you stood.";
const AN_HOUR: &str = "3600000";

struct Lab {
    sandbox: Sandbox,
    gate: Gate,
}

impl Lab {
    /// The service refuses; a hold lasts so many milliseconds.
    fn new(hold: &str) -> Self {
        let mut sandbox = Sandbox::new();
        sandbox.script_tool("codex", CODEX);
        for name in ["TURNS", "REFUSED"] {
            sandbox.set(name, sandbox.root().join(name));
        }
        sandbox.set("CX_BACKEND", "codex");
        sandbox.set("CX_HOLD_MS", hold);
        let gate = sandbox.gate("codex");
        sandbox.set("GATE", sandbox.root().join("gates/codex"));
        let lab = Self { sandbox, gate };
        lab.refuse(TOO_MANY);
        lab
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sandbox.root().join(name)
    }

    fn refuse(&self, message: &str) {
        std::fs::write(self.file("REFUSED"), message).unwrap();
    }

    fn answer(&self) {
        std::fs::remove_file(self.file("REFUSED")).unwrap();
    }

    #[track_caller]
    fn cx(&self, words: &[&str]) -> Output {
        self.sandbox.cx(words)
    }

    #[track_caller]
    fn spawn(&self, name: &str, words: &[&str]) {
        self.cx(&[&["spawn", "--no-preamble", "-n", name], words].concat()).ok();
    }

    #[track_caller]
    fn show(&self, name: &str) -> Value {
        self.cx(&["show", "--json", name]).ok().json()
    }

    /// The turns of all threads: thread, last line of the prompt.
    fn turns(&self) -> Vec<String> {
        let turns = std::fs::read_to_string(self.file("TURNS")).unwrap_or_default();
        turns.lines().map(str::to_owned).collect()
    }

    fn count(&self, event: &str) -> usize {
        self.sandbox.ledger().events().iter().filter(|line| line["ev"] == event).count()
    }
}

#[test]
fn a_refused_job_waits_and_goes_on_in_its_conversation() {
    let lab = Lab::new(AN_HOUR);
    lab.spawn("auth", &["-w", "mend it"]);
    let held = lab.sandbox.until(1, "on-hold");
    assert_eq!((&held["refused"], &held["thread"]), (&1.into(), &"t-1".into()));
    assert_eq!(held["reason"], TOO_MANY);
    let listed = lab.cx(&["jobs"]).ok().stdout();
    assert!(listed.contains(" waiting ") && listed.contains("rate limit, until "), "{listed}");
    let segment = lab.sandbox.repo().join(".git/cx/segment");
    lab.cx(&["__segment", lab.sandbox.repo().join(".git/cx").to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(segment).unwrap(), "cx:1~1\n");
    let shown = lab.cx(&["show", "auth"]).ok().stdout();
    assert!(shown.contains("waiting: rate limit, until "), "{shown}");
    let job = lab.show("auth");
    assert_eq!((&job["status"], &job["live"]), (&"waiting".into(), &true.into()));
    assert_eq!(job["hold"]["reason"], TOO_MANY);
    assert_eq!(job["hold"]["until"], held["until"]);
    assert_eq!(job["worker"], Value::Null, "nothing of it runs");
    lab.answer();
    lab.cx(&["kill", "-s", "CONT", "auth"]).ok();
    lab.cx(&["wait", "auth"]).ok();
    assert_eq!(lab.turns(), ["t-1 mend it".to_owned(), format!("t-1 {GO_ON}")]);
    let job = lab.show("auth");
    assert_eq!((&job["usage"]["input"], &job["hold"]), (&100.into(), &Value::Null));
    assert_eq!(lab.cx(&["collect", "--json", "auth"]).ok().json()[0]["message"], "Done.");
    assert_eq!(lab.sandbox.git(["show", "cx/auth:said"]), format!("mend it\n{GO_ON}"));
}

#[test]
fn no_hold_fails_at_once() {
    let lab = Lab::new(AN_HOUR);
    lab.spawn("auth", &["--no-hold", "mend it"]);
    let said = lab.cx(&["wait", "auth"]).code(1).stderr();
    assert_eq!(said, format!("cx: [1] auth rate-limited: {TOO_MANY}\n"));
    assert_eq!(lab.count("on-hold"), 0);
    lab.sandbox.write(".cx/config.toml", "[hold]\nenabled = false\n");
    lab.spawn("more", &["mend it"]);
    lab.cx(&["wait", "more"]).code(1);
    assert_eq!(lab.count("on-hold"), 0);
}

#[test]
fn a_hold_has_an_end() {
    let lab = Lab::new("0");
    lab.sandbox.write(".cx/config.toml", "[hold]\ntimes = 2\n");
    lab.spawn("auth", &["mend it"]);
    let said = lab.cx(&["wait", "auth"]).code(1).stderr();
    let why = "it was on hold 2 times, and no more";
    assert_eq!(said, format!("cx: [1] auth rate-limited: {TOO_MANY}; {why}\n"));
    assert_eq!(lab.turns().len(), 3);
    let lab = Lab::new(AN_HOUR);
    lab.sandbox.write(".cx/config.toml", "[hold]\nlongest = \"30m\"\n");
    lab.spawn("auth", &["mend it"]);
    let said = lab.cx(&["wait", "auth"]).code(1).stderr();
    assert!(said.contains("longer than the 30m00s that hold.longest allows"), "{said}");
    assert_eq!(lab.count("on-hold"), 0);
    // What no waiting helps against is not waited for.
    lab.refuse("Quota exceeded. Check your plan and billing details.");
    lab.spawn("broke", &["mend it"]);
    lab.cx(&["wait", "broke"]).code(1);
    assert_eq!(lab.count("on-hold"), 0);
}

#[test]
fn a_job_on_hold_can_be_killed_and_keeps_its_work() {
    let lab = Lab::new(AN_HOUR);
    lab.spawn("auth", &["-w", "mend it"]);
    lab.sandbox.until(1, "on-hold");
    lab.cx(&["kill", "auth"]).ok();
    let said = lab.cx(&["wait", "auth"]).code(143).stderr();
    assert!(said.contains("killed 143: ended by TERM while it was on hold"), "{said}");
    assert_eq!(lab.sandbox.git(["show", "cx/auth:said"]), "mend it");
}

#[test]
fn a_supervisor_that_dies_on_hold_leaves_a_lost_job() {
    let lab = Lab::new(AN_HOUR);
    lab.spawn("auth", &["-w", "mend it"]);
    lab.sandbox.until(1, "on-hold");
    let pid = lab.show("auth")["supervisor"]["pid"].as_i64().unwrap();
    lab.sandbox.sh(&format!("kill -9 {pid}")).ok();
    lab.cx(&["wait", "auth"]).code(1);
    assert_eq!(lab.show("auth")["status"], "lost");
    assert_eq!(lab.sandbox.git(["show", "cx/auth:said"]), "mend it");
    // Nobody is on hold any more: the next one finds out for itself.
    lab.answer();
    lab.spawn("more", &["mend it"]);
    lab.cx(&["wait", "more"]).ok();
}

#[test]
fn a_crash_on_hold_keeps_what_is_there() {
    for (point, hold) in [("on-hold", AN_HOUR), ("hold-left", "0")] {
        let lab = Lab::new(hold);
        let mut command =
            lab.sandbox.cx_command(["spawn", "--no-preamble", "-w", "-n", "auth", "mend it"]);
        command.env("CX_CRASH_AT", point);
        lab.sandbox.run(command).ok();
        lab.cx(&["wait", "auth"]).code(1);
        assert_eq!(lab.show("auth")["status"], "lost", "{point}");
        assert_eq!(lab.sandbox.git(["show", "cx/auth:said"]), "mend it", "{point}");
        assert_eq!(lab.turns().len(), 1, "{point}");
    }
}

#[test]
fn a_job_on_hold_gives_its_turn_to_others() {
    let lab = Lab::new(AN_HOUR);
    lab.spawn("auth", &["--max-jobs", "1", "mend it"]);
    lab.cx(&["spawn", "-b", "sh", "--max-jobs", "1", "-n", "other", "true"]).ok();
    lab.cx(&["wait", "other"]).ok();
    assert_eq!(lab.show("auth")["status"], "waiting");
    lab.answer();
    lab.cx(&["kill", "-s", "CONT", "auth"]).ok();
    lab.cx(&["wait"]).ok();
}

#[test]
fn many_on_hold_do_not_ask_at_once() {
    let lab = Lab::new(AN_HOUR);
    lab.spawn("first", &["one waits"]);
    lab.sandbox.until(1, "on-hold");
    // These need not be refused to know.
    for (job, name) in [(2, "second"), (3, "third")] {
        lab.spawn(name, &["one"]);
        assert_eq!(lab.sandbox.until(job, "on-hold")["refused"], 0);
    }
    // Another backend is not concerned, and neither is who does not want to wait.
    lab.spawn("rude", &["--no-hold", "one"]);
    lab.cx(&["wait", "rude"]).code(1);
    assert_eq!(lab.turns().len(), 2);
    lab.answer();
    lab.cx(&["kill", "-s", "CONT", "first"]).ok();
    // All go on, and the one that somebody has sent first is not waited for.
    lab.cx(&["wait", "second", "third"]).ok();
    lab.gate.open();
    lab.cx(&["wait", "first"]).ok();
    let events = lab.sandbox.ledger().events();
    let begun = |job: u64| {
        let of_it = |line: &&Value| line["job"] == job && line["ev"] == "running";
        events.iter().rfind(of_it).unwrap()["t"].as_str().unwrap().to_owned()
    };
    assert!(begun(2) < begun(3), "one after the other");
}

#[test]
fn one_asks_for_all() {
    let lab = Lab::new("0");
    // It is refused a few times, and goes on as soon as it is not.
    lab.spawn("first", &["waits"]);
    lab.sandbox.ledger().wait_for(|line| line["ev"] == "on-hold" && line["refused"] == 3);
    lab.answer();
    lab.sandbox.until(1, "hold-over");
    lab.gate.open();
    lab.cx(&["wait", "first"]).ok();
    let threads: Vec<String> =
        lab.turns().iter().map(|turn| turn.split(' ').next().unwrap().to_owned()).collect();
    assert!(threads.len() >= 4 && threads.iter().all(|thread| thread == "t-1"), "{threads:?}");
    assert_eq!(lab.count("hold-over"), 1);
}

#[test]
fn the_real_codex_goes_on_where_it_was_refused() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CX_HOLD_MS", "0");
    let server = ModelServer::start();
    let _home = CodexHome::new(&mut sandbox, &server);
    server.on("tides", Script::new().status(429));
    server.on("Go on with your task", Script::new().say("Twice a day."));
    sandbox.cx(["spawn", "-b", "codex", "-n", "sea", "Explain the tides"]).ok();
    sandbox.cx(["wait", "sea"]).ok();
    let job = sandbox.job("sea");
    assert_eq!(
        (&job["status"], &job["thread"]),
        (&"succeeded".into(), &sandbox.until(1, "on-hold")["thread"])
    );
    assert_eq!(sandbox.cx(["collect", "--json", "sea"]).ok().json()[0]["message"], "Twice a day.");
    // What was said before it was refused is part of the conversation.
    let last = server.requests().pop().expect("a request").to_string();
    assert!(last.contains("Explain the tides") && last.contains("Go on with your task"), "{last}");
}

#[test]
fn the_real_claude_goes_on_where_it_was_refused() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CX_HOLD_MS", "0");
    let server = ModelServer::start();
    let _home = ClaudeHome::new(&mut sandbox, &server);
    server.on("tides", Script::new().status(429).times(1).say("Twice a day."));
    sandbox.cx(["spawn", "-b", "claude", "-n", "sea", "Explain the tides"]).ok();
    let waited = sandbox.cx(["wait", "sea"]);
    assert_eq!(waited.status_code(), Some(0), "{waited}");
    let job = sandbox.job("sea");
    assert_eq!(job["thread"], sandbox.until(1, "on-hold")["thread"], "{job}");
    assert!(job["usage"]["cost_usd"].as_f64().unwrap() > 0.0, "{job}");
    let last = server.requests().pop().expect("a request").to_string();
    assert!(last.contains("Explain the tides") && last.contains("Go on with your task"), "{last}");
}

#[test]
fn a_server_over_http_is_asked_anew() {
    let slow = "HTTP/1.1 429 Slow\r\nRetry-After: 17\r\nConnection: close\r\n\r\nslow down";
    let server = WorkerServer::start([Part::Say(slow.to_owned())]);
    let mut sandbox = Sandbox::new();
    sandbox.add_tool("curl");
    sandbox.set("CX_HOLD_MS", "0");
    sandbox.write(".cx/config.toml", "[hold]\ntimes = 1\n");
    sandbox.cx(["spawn", "-b", "http", "--codex-url", &server.url(), "-n", "asked", "Look"]).ok();
    let said = sandbox.cx(["wait", "asked"]).code(1).stderr();
    let why = "HTTP 429, retry after 17 s: slow down; it was on hold once, and no more";
    assert!(said.starts_with(&format!("cx: [1] asked rate-limited: {why}\n")), "{said}");
    assert_eq!(server.asked().len(), 2);
    // The second answer stands in the first one's place.
    let raw = sandbox.cx(["logs", "--raw", "asked"]).ok().stdout();
    assert_eq!(raw.matches("slow down").count(), 1, "{raw}");
}
