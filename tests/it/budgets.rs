//! What jobs use, what that costs, and budgets: for a job, a run and a day.

use serde_json::Value;

use crate::support::{ClaudeHome, Gate, ModelServer, Output, Sandbox, Script};

/// A claude of a few lines: each message has used 100 tokens, and it waits at its own
/// gate before the next; after `LAST` messages it is done, and says what it cost.
const CLAUDE: &str = r#"
printf '{"type":"args","args":"%s"}\n' "$*"
case $* in *acceptEdits*) echo half > work;; esac
before=
for word; do [ "$before" = --session-id ] && session=$word; before=$word; done
cat > /dev/null
printf '{"type":"system","subtype":"init","session_id":"%s"}\n' "$session"
n=0
while :; do
  n=$((n+1))
  printf '{"type":"assistant","message":{"id":"m-%s","model":"m","content":[{"type":"text","text":"x"}],"usage":{"input_tokens":90,"output_tokens":10}}}\n' $n
  [ $n = "$LAST" ] && break
  read -r _ < "$GATES/job-$CX_JOB"
done
printf '{"type":"result","subtype":"success","is_error":false,"result":"Done.","session_id":"%s","total_cost_usd":0.5,"usage":{"input_tokens":%s,"output_tokens":%s},"num_turns":1}\n' "$session" $((n * 90)) $((n * 10))
"#;

/// A codex that has used 1000 tokens once it is done.
const CODEX: &str = r#"
[ "$1" = sandbox ] && exit 0
cat > /dev/null
printf '{"type":"thread.started","thread_id":"t-%s"}\n{"type":"turn.started"}\n' "$CX_JOB"
printf '{"type":"item.completed","item":{"type":"command_execution","command":"x","exit_code":0,"aggregated_output":"","status":"completed"}}\n'
printf '{"type":"item.completed","item":{"type":"agent_message","text":"Done."}}\n'
printf '{"type":"turn.completed","usage":{"input_tokens":900,"cached_input_tokens":400,"output_tokens":100}}\n'
"#;

const PRICE: &str = "[price.m]\ninput = 1000\ncached = 100\noutput = 10000\n";

struct Lab(Sandbox);

impl Lab {
    fn new(last: u32) -> Self {
        let mut sandbox = Sandbox::new();
        sandbox.script_tool("claude", CLAUDE);
        sandbox.script_tool("codex", CODEX);
        sandbox.set("LAST", last.to_string());
        sandbox.set("GATES", sandbox.root().join("gates"));
        sandbox.set("CX_BACKEND", "claude");
        Self(sandbox)
    }

    #[track_caller]
    fn cx(&self, words: &[&str]) -> Output {
        self.0.cx(words)
    }

    fn gate(&self, job: u32) -> Gate {
        self.0.gate(&format!("job-{job}"))
    }

    fn config(&self, text: &str) {
        self.0.write(".cx/config.toml", text);
    }

    #[track_caller]
    fn usage(&self, by: &str) -> Value {
        self.cx(&["usage", "--json", "--by", by]).ok().json()
    }
}

#[test]
fn a_job_is_ended_at_its_budget_and_its_work_is_kept() {
    let lab = Lab::new(9);
    let gate = lab.gate(1);
    // It waits after its third message, until it is ended.
    (0..2).for_each(|_| gate.step());
    lab.cx(&["spawn", "-w", "-n", "auth", "--max-tokens", "250", "go on"]).ok();
    let said = lab.cx(&["wait", "auth"]);
    let job = lab.0.job("auth");
    assert_eq!(job["status"], "over-budget", "{said}");
    let reason = job["reason"].as_str().unwrap();
    assert_eq!(reason, "its budget of 250 tokens is used up: 300");
    assert_eq!(lab.0.git(["show", "cx/auth:work"]), "half");
    // What its messages told is known, though it never came to an end.
    assert_eq!(job["usage"]["input"], 270, "{job}");
    let usage = lab.usage("job");
    assert_eq!(
        (&usage["rows"][0]["name"], &usage["total"]["cost_unknown"]),
        (&"auth".into(), &1.into())
    );
    assert_eq!(usage["total"]["cost_usd"], Value::Null);
}

/// codex tells what it has used when it is done, and then nothing is spared by ending it.
#[test]
fn a_job_that_was_done_before_it_could_be_ended_says_that_it_went_over() {
    let lab = Lab::new(1);
    lab.cx(&["spawn", "-b", "codex", "-n", "done", "--max-tokens", "500", "go on"]).ok();
    lab.cx(&["wait", "done"]).ok();
    let said = lab.cx(&["collect", "done"]).ok().stdout();
    assert!(said.contains("-- its budget of 500 tokens is used up: 1000"), "{said}");
}

#[test]
fn a_day_that_is_used_up_starts_nothing_more() {
    let lab = Lab::new(9);
    lab.config("[budget]\ntokens-per-day = 250\n");
    let gate = lab.gate(1);
    lab.cx(&["spawn", "-n", "first", "--max-jobs", "1", "go on"]).ok();
    lab.cx(&["spawn", "-n", "queued", "--max-jobs", "1", "go on"]).ok();
    (0..2).for_each(|_| gate.step());
    lab.cx(&["wait", "first"]);
    assert_eq!(lab.0.job("first")["status"], "over-budget");
    lab.cx(&["wait", "queued"]).code(1);
    let queued = lab.0.job("queued");
    assert_eq!((&queued["status"], &queued["running_at"]), (&"over-budget".into(), &Value::Null));
    let why = "the budget of the day of 250 tokens is used up: ";
    assert!(queued["reason"].as_str().unwrap().starts_with(why), "{queued}");
    lab.cx(&["spawn", "go on"]).refused(2, why);
    lab.cx(&["retry", "first"]).refused(2, why);
    // What uses no tokens may run.
    lab.cx(&["spawn", "-b", "sh", "-n", "shell", "true"]).ok();
    lab.cx(&["wait", "shell"]).ok();
    // More is allowed, and it goes on.
    lab.config("[budget]\ntokens-per-day = 100000\n");
    lab.gate(4).open();
    lab.cx(&["spawn", "-n", "more", "go on"]).ok();
    lab.cx(&["wait", "more"]).ok();
}

#[test]
fn many_at_once_use_little_more_than_their_budget() {
    const BUDGET: u64 = 6400;
    const MESSAGE: u64 = 100;
    const WORKERS: u32 = 4;
    let lab = Lab::new(999);
    lab.config(&format!("[budget]\ntokens-per-day = {BUDGET}\n"));
    let gates: Vec<Gate> = (1..=WORKERS).map(|job| lab.gate(job)).collect();
    for job in 1..=WORKERS {
        lab.cx(&["spawn", "-n", &format!("w-{job}"), "go on"]).ok();
    }
    // Each goes on message by message, once its supervisor has seen the last one.
    let mut live: Vec<u32> = (1..=WORKERS).collect();
    let mut messages = 0;
    while !live.is_empty() {
        messages += 1;
        live.retain(|job| {
            let seen = lab.0.ledger().wait_for(|line| {
                let used =
                    line["ev"] == "used" && line["usage"]["input"].as_u64() == Some(messages * 90);
                line["job"] == *job && (used || line["ev"] == "exited")
            });
            if seen["ev"] == "exited" {
                assert_eq!(seen["outcome"], "over-budget", "{seen}");
                return false;
            }
            gates[*job as usize - 1].step();
            true
        });
        assert!(messages < 100, "nobody was ended");
    }
    let total = &lab.usage("day")["total"];
    let used = total["input"].as_u64().unwrap() + total["output"].as_u64().unwrap();
    assert_eq!(total["jobs"], WORKERS);
    // One message of each was under way, and a 64th was not yet told of.
    let bound = BUDGET + u64::from(WORKERS) * (MESSAGE + BUDGET / 64);
    assert!(used >= BUDGET && used <= bound, "{used} of {BUDGET}, at most {bound}");
}

/// Nobody says anything any more but the one who uses the last.
#[test]
fn who_uses_the_last_of_a_budget_has_the_others_ended() {
    let lab = Lab::new(9);
    lab.config("[budget]\ntokens-per-day = 250\n");
    let mute = "[ \"$1\" = sandbox ] && exit 0; cat > /dev/null; read -r _ < \"$GATES/mute\"";
    lab.0.script_tool("codex", mute);
    let (gates, silent) = ([1, 2, 4].map(|job| lab.gate(job)), lab.0.gate("mute"));
    for name in ["a", "b"] {
        lab.cx(&["spawn", "-n", name, "go on"]).ok();
    }
    (1..=2).for_each(|job| drop(lab.0.until(job, "used")));
    lab.cx(&["spawn", "-b", "codex", "-n", "mute", "go on"]).ok();
    silent.arrived();
    lab.cx(&["spawn", "-n", "last", "go on"]).ok();
    lab.cx(&["wait"]).code(1);
    for name in ["a", "b", "mute", "last"] {
        let job = lab.0.job(name);
        assert_eq!(job["status"], "over-budget", "{job}");
        let reason = job["reason"].as_str().unwrap();
        assert!(reason.starts_with("the budget of the day of 250 tokens is used up: 300"), "{job}");
    }
    drop(gates);
}

#[test]
fn who_uses_the_last_of_it_when_it_ends_has_the_others_ended_too() {
    let lab = Lab::new(9);
    lab.config("[budget]\ntokens-per-day = 1050\n");
    let _gate = lab.gate(1);
    lab.cx(&["spawn", "-n", "waits", "go on"]).ok();
    lab.0.until(1, "used");
    lab.cx(&["spawn", "-b", "codex", "-n", "ends", "go on"]).ok();
    lab.cx(&["wait", "ends"]).ok();
    lab.cx(&["wait", "waits"]).code(143);
    assert_eq!(lab.0.job("waits")["status"], "over-budget");
}

#[test]
fn a_run_has_one_budget_for_all_its_tasks() {
    let lab = Lab::new(1);
    let plan = "name = \"p\"\nbackend = \"codex\"\nmax-tokens = 1500\n\
                [tasks.a]\nprompt = \"x\"\n\
                [tasks.b]\nprompt = \"x\"\nneeds = [\"a\"]\n\
                [tasks.c]\nprompt = \"x\"\nneeds = [\"b\"]\n";
    lab.0.write("p.toml", plan);
    let said = lab.cx(&["run", "-f", "p.toml"]).code(1).stderr();
    // What has done its work with the last of a budget has done its work.
    assert_eq!(lab.0.job("b")["status"], "succeeded", "{said}");
    let why = "c could not be started: the budget of its run of 1500 tokens is used up: 2000";
    assert!(said.contains(why), "{said}");
    lab.cx(&["show", "c"]).code(127);
    assert_eq!(lab.usage("run")["rows"][0]["input"], 1800);
    // A larger one for the same run; that on the command line counts.
    lab.cx(&["run", "--resume", "p", "--max-tokens", "2500"]).ok();
    // A task has one of its own.
    let plan = plan.replacen("name = \"p\"", "name = \"q\"", 1);
    let plan = plan.replacen("prompt = \"x\"", "prompt = \"x\"\nmax-budget-usd = 1", 1);
    lab.0.write("q.toml", plan);
    lab.cx(&["run", "-f", "q.toml"]).refused(2, "--max-budget-usd needs a price");
}

#[test]
fn a_budget_in_dollars_needs_a_price() {
    let lab = Lab::new(1);
    let spawn = |words: &[&str]| lab.cx(&[&["spawn", "--max-budget-usd", "2"], words].concat());
    let refusal = spawn(&["-b", "codex", "go on"])
        .refused(2, "--max-budget-usd needs a price, and which model codex uses is not known");
    lab.0.assert_nothing_started(&refusal);
    let refusal = spawn(&["-b", "codex", "-m", "m", "go on"])
        .refused(2, "--max-budget-usd needs the price of m, which codex does not tell");
    lab.0.assert_nothing_started(&refusal);
    spawn(&["-b", "sh", "true"]).refused(2, "a job of sh uses no tokens that could be counted");
    lab.cx(&["spawn", "--max-budget-usd", "much", "go on"]).code(2);
    // claude tells what it costs, and keeps to it by itself as well.
    spawn(&["-n", "told", "go on"]).ok();
    lab.cx(&["wait", "told"]).ok();
    assert_eq!(lab.0.job("told")["usage"]["cost_usd"], 0.5);
    let args = lab.cx(&["logs", "--raw", "told"]).ok().stdout();
    assert!(args.contains(" --max-budget-usd=2\""), "{args}");
    lab.config(PRICE);
    spawn(&["-b", "codex", "-m", "m", "-n", "priced", "go on"]).ok();
    lab.cx(&["wait", "priced"]).ok();
    // 500 at 1000, 400 at 100 and 100 at 10000 for a million.
    assert_eq!(lab.0.job("priced")["usage"]["cost_usd"], 1.54);
    // A day in dollars asks the same.
    lab.config("[budget]\nusd-per-day = 1.5\n");
    lab.cx(&["spawn", "-b", "codex", "-m", "m", "go on"])
        .refused(2, "budget.usd-per-day needs the price of m");
    lab.cx(&["spawn", "go on"]).refused(2, "the budget of the day of $1.50 is used up: $2.04");
}

#[test]
fn usage_says_what_it_does_not_know() {
    let lab = Lab::new(1);
    lab.cx(&["usage"]).ok();
    lab.cx(&["spawn", "-n", "told", "go on"]).ok();
    lab.cx(&["spawn", "-b", "codex", "-n", "untold", "go on"]).ok();
    lab.cx(&["spawn", "-b", "sh", "-n", "shell", "true"]).ok();
    lab.cx(&["wait"]).ok();
    let shown = lab.cx(&["usage"]).ok();
    let line = shown
        .stdout()
        .lines()
        .nth(1)
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(line, "3 990 400 110 $0.50 + 1 job unknown", "{shown}");
    assert!(shown.stderr().contains("hint: a cost is known where"), "{shown}");
    let by = |by: &str| -> Vec<String> {
        let rows = lab.usage(by)["rows"].as_array().unwrap().clone();
        let key = if by == "job" { "name" } else { by };
        rows.iter()
            .map(|row| format!("{} {} {}", row[key], row["input"], row["cost_usd"]))
            .collect()
    };
    assert_eq!(by("backend"), ["\"claude\" 90 0.5", "\"codex\" 900 null", "\"sh\" 0 0.0"]);
    assert_eq!(by("job"), ["\"told\" 90 0.5", "\"untold\" 900 null", "\"shell\" 0 0.0"]);
    assert_eq!(by("run"), ["null 990 0.5"]);
    assert_eq!(by("agent"), ["null 990 0.5"]);
    let total = lab.cx(&["usage", "--since", "today", "--json"]).ok().json();
    assert_eq!(total["total"]["cost_unknown"], 1);
    lab.cx(&["usage", "--since", "yesterday"]).code(2);
}

#[test]
fn the_real_claude_has_its_budget_anew_in_each_job_of_a_conversation() {
    let mut sandbox = Sandbox::new();
    let server = ModelServer::start();
    let _home = ClaudeHome::new(&mut sandbox, &server);
    server.on("first", Script::new().shell("true").say("One."));
    server.on("second", Script::new().shell("true").say("Two."));
    // Four requests cost 1.6 cents, those of each job half of that.
    let spawn = ["spawn", "-b", "claude", "--max-budget-usd", "0.01", "-n"];
    sandbox.cx(spawn.iter().chain(&["one", "the first"])).ok();
    sandbox.cx(["wait", "one"]).ok();
    sandbox.cx(["resume", "one", "the second"]).ok();
    sandbox.cx(["wait", "%2"]).ok();
    let usage = sandbox.cx(["usage", "--json", "--by", "job"]).ok().json();
    let cost = |job: usize| usage["rows"][job]["cost_usd"].as_f64().unwrap();
    assert!(cost(0) > 0.005 && (cost(0) - cost(1)).abs() < 1e-9, "{usage}");
}
