//! Programs that are backends by configuration: scripts of the test's own, which do
//! what such programs do.

use std::fs;

use serde_json::json;

use crate::support::{Output, Sandbox};

/// A program with events, which answers with its last argument and its prompt.
const AGENT: &str = r#"
printf '{"type":"start","id":"t-1"}\n{"type":"text","say":"I look"}\n'
printf '{"type":"tool","cmd":"touch made"}\n'
touch made 2>&1 || printf '{"type":"tool","cmd":"could not"}\n'
for last; do :; done
printf '{"type":"text","say":"%s: "}\n{"type":"text","say":"%s"}\n' "$last" "$(cat)"
printf '{"type":"end","ok":true,"in":3,"out":4,"usd":0.5}\n'
"#;

/// Its definition.
const DEFINITION: &str = r#"
[backends.mine]
argv = ["my-agent", "--events"]
model-args = ["--model={model}"]
reader = { args = ["--look"] }
writer = { args = ["--write"] }
install = "pip install my-agent"
output = "events"
answer = { where = { type = "text" }, path = "say", take = "join", restart = { type = "tool" } }
success.where = { type = "end", ok = true }
thread = { where = { type = "start" }, path = "id", resume-args = ["--again={thread}"] }
usage = { where = { type = "end" }, input = "in", output = "out", cost-usd = "usd" }
show = [{ where = { type = "tool" }, text = "runs {cmd}" }]
"#;

/// One that works through a second one where it is refused: exit code 75.
const TWO: &str = r#"
[backends.first]
argv = ["first"]
install = "pip install first"
rate-limit = { exit = 75, text = ["slow down"] }
[backends.second]
argv = ["second"]
install = "pip install second"
rate-limit = { exit = 75 }
"#;

impl Sandbox {
    /// Writes the person's own configuration.
    fn configure(&self, text: &str) {
        let folder = self.root().join("config/cx");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.toml"), text).unwrap();
    }

    /// A sandbox with the backend `mine`.
    fn with_mine() -> Self {
        let sandbox = Self::new();
        sandbox.configure(DEFINITION);
        sandbox.script_tool("my-agent", AGENT);
        sandbox
    }

    /// Spawns a job called `j` on these backends, without a preamble.
    fn on(&self, backends: &str, args: &[&str]) -> Output {
        let first = ["spawn", "--no-preamble", "--no-hold", "-n", "j", "-b", backends];
        self.cx(first.iter().chain(args))
    }
}

#[test]
fn a_program_answers_in_events() {
    let sandbox = Sandbox::with_mine();
    sandbox.on("mine", &["-w", "-m", "big", "do it"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    assert_eq!(
        sandbox.cx(["logs", "j"]).ok().stdout(),
        "I look\nruns touch made\n--model=big: \ndo it\n"
    );
    let job = sandbox.job("j");
    assert_eq!((&job["backend"], &job["thread"]), (&json!("mine"), &json!("t-1")));
    assert_eq!(job["usage"], json!({"input": 3, "cached": 0, "output": 4, "cost_usd": 0.5}));
    assert_eq!((&job["commits"], &job["fell_over"]), (&json!(1), &json!([])));
    let collected = sandbox.cx(["collect", "j"]).ok().stdout();
    assert!(collected.contains("\n--model=big: do it\n"), "{collected}");
    assert_eq!(sandbox.git(["ls-tree", "--name-only", "cx/j"]), "README.md\nmade");
}

#[test]
fn a_reader_only_reads_whatever_its_program_is_told() {
    let sandbox = Sandbox::with_mine();
    sandbox.on("mine", &["look"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    let logs = sandbox.cx(["logs", "j"]).ok().stdout();
    assert!(logs.contains("runs could not\n--look: \nlook\n"), "{logs}");
    assert_eq!(sandbox.git(["status", "--porcelain", "--ignored"]), "");
}

#[test]
fn a_writer_writes_in_its_worktree_and_where_its_program_has_to() {
    let sandbox = Sandbox::new();
    let home = sandbox.root().join("home");
    fs::create_dir(home.join(".tool")).unwrap();
    sandbox.script_tool(
        "tool",
        "echo x > in-tree; echo x > \"$HOME/.tool/session\" && echo session; \
         echo x > \"$HOME/other\" || echo refused; echo x > \"$ROOT/README.md\" || echo refused too",
    );
    let root = sandbox.repo().display().to_string();
    let definition = format!(
        "[backends.tool]\nargv = ['tool']\nwrites = ['~/.tool']\nenv = {{ ROOT = '{root}' }}\n"
    );
    sandbox.configure(&definition);
    sandbox.on("tool", &["-w", "x"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    assert_eq!(sandbox.cx(["logs", "j"]).ok().stdout(), "session\nrefused\nrefused too\n");
    assert!(!home.join("other").exists() && home.join(".tool/session").exists());
    sandbox.cx(["merge", "j"]).ok();
    sandbox.configure(&format!("{definition}writer.confine = false\n"));
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["clean", "j"]).ok();
    sandbox.on("tool", &["-w", "x"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    assert!(home.join("other").exists());
}

#[test]
fn a_conversation_goes_on_with_what_was_defined_then() {
    let sandbox = Sandbox::with_mine();
    sandbox.on("mine", &["-w", "one"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    // What the configuration says by now is another matter.
    sandbox.configure("[backends.mine]\nargv = ['false']\n");
    sandbox.cx(["resume", "j", "two"]).ok();
    sandbox.cx(["wait", "j-2"]).ok();
    let collected = sandbox.cx(["collect", "j-2"]).ok().stdout();
    assert!(collected.contains("--write: two"), "{collected}");
    assert_eq!(sandbox.job("j-2")["thread"], "t-1");
    sandbox.cx(["retry", "--fresh", "j-2"]).ok();
    sandbox.cx(["wait", "%3"]).ok();
    assert_eq!(sandbox.job("%3")["backend"], "mine");
}

#[test]
fn its_failures_have_names_and_a_next_step() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[backends.tool]\nargv = ['tool']\n\
         rate-limit = { exit = 75, hint = 'come back at ten' }\n\
         auth = { text = 'who are you', hint = 'tool login' }\n",
    );
    sandbox.script_tool("tool", "read -r what; case $what in limit) exit 75;; auth) echo 'Who are you?' >&2; exit 3;; empty) ;; esac");
    for (prompt, status, said) in [
        ("limit", "rate-limited", "tool ended with exit code 75\n    hint: come back at ten"),
        ("auth", "failed", "tool is not signed in: Who are you?\n    hint: tool login"),
        ("empty", "no-answer", "tool ended without a final message"),
    ] {
        sandbox.on("tool", &[prompt]).ok();
        let waited = sandbox.cx(["wait", "j"]);
        assert!(waited.stderr().contains(said), "{waited}");
        assert_eq!(sandbox.job("j")["status"], status);
        sandbox.cx(["collect", "j"]).code(1);
    }
}

#[test]
fn what_a_program_cannot_do_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.configure("[backends.tool]\nargv = ['tool']\nwriter = false\nprompt = ['{prompt}']\n");
    sandbox.script_tool("tool", "echo done");
    for (args, said) in [
        (&["-w", "x"][..], "tool cannot be a writer; nothing was started"),
        (&["-m", "big", "x"], "tool cannot be told a model; nothing was started"),
        (&["--", "--yolo"], "the prompt begins with '-', and tool would take it for an option"),
    ] {
        let refused = sandbox.on("tool", args).refused(2, said);
        sandbox.assert_nothing_started(&refused);
    }
    sandbox.on("tool", &["x"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    sandbox.cx(["resume", "j", "more"]).refused(2, "which has no conversation to go on with");
}

#[test]
fn a_definition_that_is_wrong_is_named_with_its_place() {
    let sandbox = Sandbox::new();
    sandbox.configure("\n[backends.tool]\nargv = ['tool', '{promt}']\n");
    let refused = sandbox
        .on("sh", &["true"])
        .refused(2, "config/cx/config.toml:3: 'backends.tool.argv' has {promt} in it");
    assert!(refused.stderr().contains("hint: `cx man backends` lists every key"), "{refused}");
    sandbox.configure("[backends.tool]\nargv = ['tool']\nanswr = 'x'\n");
    let spawned = sandbox.on("sh", &["true"]).ok();
    let said = "config.toml:3: there is no key 'backends.tool.answr', so it does nothing (did you mean 'backends.tool.answer'?)";
    assert!(spawned.stderr().contains(said), "{spawned}");
    sandbox.cx(["wait", "j"]).ok();
    sandbox.on("nobody", &["x"]).refused(2, "there is no backend 'nobody'");
}

#[test]
fn a_program_that_a_repository_names_has_to_be_trusted() {
    let sandbox = Sandbox::new();
    sandbox.write("tools/agent", "#!/bin/sh\necho from the repository\n");
    sandbox.sh("chmod +x tools/agent").ok();
    sandbox.write(".cx/config.toml", "[backends.ours]\nargv = ['./tools/agent']\n");
    let refused = sandbox.on("ours", &["x"]).refused(2, "there is no backend 'ours'");
    assert!(refused.stderr().contains("is not trusted: `cx trust` shows it"), "{refused}");
    let shown = sandbox.cx(["trust"]).ok().stdout();
    assert!(shown.contains("backends.ours = {\"argv\":[\"./tools/agent\"]}"), "{shown}");
    sandbox.on("ours", &["x"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    assert_eq!(sandbox.cx(["logs", "j"]).ok().stdout(), "from the repository\n");
    // Another word in it is another program.
    sandbox.write(".cx/config.toml", "[backends.ours]\nargv = ['./tools/agent', '--evil']\n");
    sandbox.on("ours", &["x"]).refused(2, "there is no backend 'ours'");
}

#[test]
fn one_that_is_missing_gives_127_and_says_how_to_get_it() {
    let sandbox = Sandbox::new();
    sandbox.configure(TWO);
    let refused = sandbox
        .on("first", &["x"])
        .refused(127, "first was not found on PATH; nothing was started");
    assert!(refused.stderr().contains("hint: install it: pip install first"), "{refused}");
    let refused = sandbox.on("first,second", &["x"]).refused(
        127,
        "first was not found on PATH, second was not found on PATH; nothing was started",
    );
    assert!(
        refused.stderr().contains("pip install first, or install it: pip install second"),
        "{refused}"
    );
    let refused = sandbox.on("gemini", &["x"]).refused(127, "gemini was not found on PATH");
    assert!(refused.stderr().contains("npm install -g @google/gemini-cli"), "{refused}");
    sandbox.assert_nothing_started(&refused);
}

#[test]
fn one_that_is_missing_is_passed_over() {
    let sandbox = Sandbox::new();
    sandbox.configure(TWO);
    sandbox.script_tool("second", "echo second");
    let spawned = sandbox.on("first,second", &["x"]).ok();
    assert!(
        spawned.stderr().contains("first cannot: first was not found on PATH; second does it"),
        "{spawned}"
    );
    sandbox.cx(["wait", "j"]).ok();
    let job = sandbox.job("j");
    assert_eq!(job["backend"], "second");
    let fell = json!([{"from": "first", "to": "second", "reason": "cannot: first was not found on PATH", "ran_ms": 0}]);
    assert_eq!(job["fell_over"], fell);
    let collected = sandbox.cx(["collect"]).ok().stdout();
    assert!(collected.contains(" · second instead of first"), "{collected}");
}

#[test]
fn one_that_is_refused_is_followed_by_the_next_in_the_same_tree() {
    let sandbox = Sandbox::new();
    sandbox.configure(TWO);
    sandbox.script_tool(
        "first",
        "echo half > half; echo 'Slow down!' >&2; echo words of first; exit 75",
    );
    sandbox.script_tool("second", "cat half; cat; echo whole > whole");
    sandbox.on("first,second", &["-w", "do it"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    assert_eq!(sandbox.cx(["logs", "j"]).ok().stdout(), "half\ndo it");
    let job = sandbox.job("j");
    assert_eq!((&job["backend"], &job["status"]), (&json!("second"), &json!("succeeded")));
    assert_eq!(job["fell_over"][0]["reason"], "was refused for a limit: Slow down!");
    let shown = sandbox.cx(["show", "j"]).ok().stdout();
    assert!(
        shown.contains("instead of  first, which was refused for a limit: Slow down!"),
        "{shown}"
    );
    assert_eq!(sandbox.git(["ls-tree", "--name-only", "cx/j"]), "README.md\nhalf\nwhole");
    let folder = job["folder"].as_str().unwrap();
    let aside = fs::read_to_string(format!("{folder}/events.jsonl.first")).unwrap();
    assert_eq!(aside, "words of first\n");
    let events = sandbox.ledger().events();
    let kinds: Vec<&str> = events.iter().filter_map(|line| line["ev"].as_str()).collect();
    let at = |kind: &str| kinds.iter().position(|other| *other == kind).expect(kind);
    assert!(
        at("running") < at("fell-over")
            && kinds.iter().filter(|kind| **kind == "running").count() == 2
    );
    // Who answered is asked again, and nobody else.
    sandbox.cx(["retry", "--fresh", "j"]).ok();
    sandbox.cx(["wait", "j-2"]).ok();
    assert_eq!(sandbox.job("j-2")["backend"], "second");
}

/// What a metered program says when it has used 70 tokens.
const END: &str = r#"printf '{"type":"end","say":"so far","in":60,"out":10}\n'"#;

/// Backends whose programs tell what they use; `hold` is how long a hold lasts.
fn metered(hold: &str, names: &[&str]) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("CX_HOLD_MS", hold);
    let definition = |name: &&str| {
        format!(
            "[backends.{name}]\nargv = ['{name}']\noutput = 'events'\nrate-limit = {{ exit = 75 }}\n\
             answer = {{ where = {{ type = 'end' }}, path = 'say' }}\n\
             usage = {{ where = {{ type = 'end' }}, input = 'in', output = 'out' }}\n"
        )
    };
    sandbox.configure(&names.iter().map(definition).collect::<String>());
    for name in names {
        sandbox.script_tool(name, &format!("cat > /dev/null; {END}; exit 75"));
    }
    sandbox
}

#[test]
fn what_one_used_that_was_refused_counts_as_well() {
    let sandbox = metered("0", &["first", "second"]);
    let end = END;
    let gate = sandbox.gate("second");
    sandbox.script_tool("second", &format!("{end}; {}", gate.pass()));
    // It is the second of them that has used it up, with the first.
    sandbox.on("first,second", &["--max-tokens", "100", "x"]).ok();
    sandbox.cx(["wait", "j"]).code(143);
    let job = sandbox.job("j");
    assert_eq!(job["reason"], "its budget of 100 tokens is used up: 140");
    assert_eq!(job["usage"], json!({"input": 120, "cached": 0, "output": 20}));
    let rows = |by: &str| {
        let usage = sandbox.cx(["usage", "--json", "--by", by]).ok().json();
        let row =
            |row: &serde_json::Value| (row[by].clone(), row["jobs"].clone(), row["input"].clone());
        usage["rows"].as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    let (none, one) = (json!(0), json!(1));
    let first = (json!("first"), none, json!(60));
    assert_eq!(rows("backend"), [first, (json!("second"), one.clone(), json!(60))]);
    assert_eq!(rows("job"), [(json!(1), one.clone(), json!(120))]);
    assert_eq!(rows("run"), [(json!(null), one, json!(120))]);
    // On hold it is the same: this one begins with an empty stream.
    sandbox.script_tool("first", &format!("{end}; test -e tried || {{ touch tried; exit 75; }}"));
    sandbox.cx(["spawn", "-w", "--no-preamble", "-n", "k", "-b", "first", "x"]).ok();
    sandbox.cx(["wait", "k"]).ok();
    assert_eq!(sandbox.job("k")["usage"]["input"], 120);
    assert_eq!(rows("job")[1], (json!(2), json!(1), json!(120)));
}

/// Three backends, and a hold of the last of them: what all four tries used.
#[test]
fn all_tries_count_against_the_budgets_of_the_job_the_run_and_the_day() {
    let sandbox = metered("0", &["first", "second", "third"]);
    let once = "test -e tried || { touch tried; exit 75; }";
    sandbox.script_tool("third", &format!("cat > /dev/null; {END}; {once}"));
    let plan = |tokens: u64| {
        format!(
            "name = 'p'\nmax-tokens = {tokens}\n\
             [tasks.a]\nprompt = 'x'\nmode = 'writer'\nbackend = 'first,second,third'\n\
             [tasks.b]\nprompt = 'x'\nneeds = ['a']\nbackend = 'third'\n"
        )
    };
    sandbox.write("plan.toml", plan(280));
    let said = sandbox.cx(["run", "-f", "plan.toml"]).code(1).stderr();
    let job = sandbox.job("a");
    assert_eq!(job["status"], "succeeded", "{said}");
    assert_eq!(job["usage"], json!({"input": 240, "cached": 0, "output": 40}), "{job}");
    let why = "the budget of its run of 280 tokens is used up: 280";
    assert!(said.contains(why), "{said}");
    for by in ["job", "run", "agent", "backend", "day"] {
        let usage = sandbox.cx(["usage", "--json", "--by", by]).ok().json();
        let total = &usage["total"];
        assert_eq!((&total["jobs"], &total["input"]), (&1.into(), &240.into()), "{by}: {usage}");
        assert_eq!(total["cost_unknown"], 1, "{by}: {usage}");
    }
    sandbox.write(".cx/config.toml", "[budget]\ntokens-per-day = 280\n");
    sandbox.on("first", &["x"]).refused(2, "the budget of the day of 280 tokens is used up: 280");
    // What one has used up, the next is not asked for; nor is any waited for.
    sandbox.write(".cx/config.toml", "[budget]\ntokens-per-day = 350\n");
    for limit in ["--no-hold", "--timeout=1h"] {
        let name = format!("n{}", limit.len());
        let spawn = ["spawn", "-b", "first,second", "--max-tokens", "70", limit, "-n", &name, "x"];
        sandbox.cx(spawn).ok();
        sandbox.cx(["wait", &name]);
        let job = sandbox.job(&name);
        assert_eq!((&job["status"], &job["backend"]), (&"over-budget".into(), &"first".into()));
        let reason = job["reason"].as_str().unwrap();
        assert!(reason.starts_with("its budget of 70 tokens is used up: 70"), "{reason}");
        sandbox.write(".cx/config.toml", "[budget]\ntokens-per-day = 1000\n");
    }
}

#[test]
fn one_that_others_wait_for_is_passed_over() {
    let sandbox = metered("3600000", &["first", "second", "third"]);
    sandbox.script_tool("third", &format!("cat > /dev/null; {END}"));
    for (job, name) in [(1, "first"), (2, "second")] {
        sandbox.cx(["spawn", "-b", name, "-n", name, "x"]).ok();
        sandbox.until(job, "on-hold");
    }
    sandbox.cx(["spawn", "-b", "first,second,third", "-n", "j", "x"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    let job = sandbox.job("j");
    assert_eq!((&job["backend"], &job["usage"]["input"]), (&"third".into(), &60.into()), "{job}");
    let reason = &job["fell_over"][0]["reason"];
    assert_eq!(reason, "has refused %1 for a limit");
    // Where all of them have refused, the first is waited for.
    sandbox.cx(["spawn", "-b", "second,first", "-n", "k", "x"]).ok();
    let held = sandbox.until(4, "on-hold");
    assert_eq!(held["reason"], "second has refused %2", "{held}");
    sandbox.cx(["kill", "--all"]).ok();
}

#[test]
fn the_next_one_is_told_the_task_and_not_what_was_wrong_before() {
    let sandbox = metered("0", &["first", "second"]);
    sandbox.write("s.json", r#"{"type": "integer"}"#);
    let again = format!("test -e tried && {{ {END}; exit 75; }}; touch tried; {END}");
    sandbox.script_tool("first", &again);
    // It answers with the number of lines that it was told, and then with none.
    let count = r#"printf '{"type":"end","say":"%s","in":1,"out":1}\n' "$(wc -l)""#;
    sandbox.script_tool("second", count);
    sandbox.on("first,second", &["-w", "--schema", "s.json", "one line\n"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    assert_eq!(sandbox.cx(["logs", "j"]).ok().stdout().trim(), "1");
    assert_eq!(sandbox.job("j")["backend"], "second");
}

#[test]
fn an_answer_has_no_words_of_a_try_that_was_refused() {
    let mut sandbox = Sandbox::new();
    sandbox.configure(TWO);
    sandbox.set("CX_HOLD_MS", "0");
    let once = "test -e tried || { touch tried; echo words of the first try; exit 75; }";
    sandbox.script_tool("first", &format!("{once}\necho the answer"));
    sandbox.cx(["spawn", "-w", "--no-preamble", "-n", "j", "-b", "first", "x"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    assert_eq!(sandbox.cx(["logs", "j"]).ok().stdout(), "the answer\n");
    let collected = sandbox.cx(["collect", "j"]).ok().stdout();
    assert!(collected.contains("the answer\n") && !collected.contains("words of"), "{collected}");
    assert_eq!(sandbox.ledger().events().iter().filter(|line| line["ev"] == "on-hold").count(), 1);
}

/// In a conversation it goes on, and what it says is its answer of now all the same.
#[test]
fn an_answer_in_a_conversation_has_no_words_of_a_try_that_was_refused() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CX_HOLD_MS", "0");
    let one = |name: &str, more: &str| {
        format!("[backends.{name}]\nargv = ['talks']\nrate-limit = {{ exit = 75 }}\n{more}\n")
    };
    let plain = "thread = { text = 'thread (\\S+)', resume-args = ['--again={thread}'] }";
    let usage = |whole: bool| {
        format!(
            "output = 'events'\nanswer = {{ path = 'say', take = 'join' }}\n\
             thread = {{ path = 'id', resume-args = ['--again={{thread}}'] }}\n\
             usage = {{ input = 'in', whole-thread = {whole} }}"
        )
    };
    let both = one("plain", plain) + &one("sums", &usage(false)) + &one("whole", &usage(true));
    sandbox.configure(&both);
    sandbox.script_tool(
        "talks",
        "case $CX_NAME in plain) echo thread t-1; say=$*;; \
         *) say=\"{\\\"id\\\":\\\"t-1\\\",\\\"say\\\":\\\"said $*.\\\",\\\"in\\\":7}\";; esac; \
         echo \"$say\"; test -e tried || { touch tried; exit 75; }",
    );
    for (name, answer, input) in [
        ("plain", "thread t-1\n--again=t-1\n", serde_json::Value::Null),
        ("sums", "said --again=t-1.", 14.into()),
        ("whole", "said --again=t-1.", 7.into()),
    ] {
        sandbox.cx(["spawn", "-w", "--no-preamble", "-n", name, "-b", name, "x"]).ok();
        sandbox.cx(["wait", name]).ok();
        let collected = sandbox.cx(["collect", name, "--format", "{message}"]).ok().stdout();
        assert_eq!(collected.trim_end(), answer.trim_end(), "{name}");
        assert_eq!(sandbox.job(name)["usage"]["input"], input, "{name}");
    }
}

#[test]
fn the_last_one_that_is_refused_is_how_it_ended() {
    let sandbox = Sandbox::new();
    sandbox.configure(TWO);
    for name in ["first", "second"] {
        sandbox.script_tool(name, "exit 75");
    }
    sandbox.on("first,second", &["x"]).ok();
    let waited = sandbox.cx(["wait", "j"]).code(75);
    assert!(waited.stderr().contains("second ended with exit code 75"), "{waited}");
    // Another failure is nobody else's business.
    sandbox.script_tool("first", "exit 3");
    sandbox.cx(["collect"]).code(1);
    sandbox.on("first,second", &["x"]).ok();
    sandbox.cx(["wait", "j"]).code(3);
    assert_eq!(sandbox.job("j")["backend"], "first");
}

#[test]
fn the_configuration_an_agent_and_a_plan_can_name_several() {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!("backend = ['first', 'second']\n{TWO}"));
    sandbox.script_tool("first", "exit 75");
    sandbox.script_tool("second", "echo second");
    sandbox.cx(["spawn", "-n", "j", "x"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    assert_eq!(sandbox.job("j")["backend"], "second");
    sandbox.write(
        ".cx/agents/scout.md",
        "---\ndescription: Looks\nbackend: first,second\n---\nLook.\n",
    );
    sandbox.cx(["spawn", "-t", "scout", "-n", "k", "x"]).ok();
    sandbox.cx(["wait", "k"]).ok();
    assert_eq!(sandbox.job("k")["backend"], "second");
    sandbox.write("plan.toml", "[tasks.a]\nprompt = 'x'\nbackend = 'first,second'\n");
    sandbox.cx(["run", "-f", "plan.toml"]).ok();
    sandbox.on("first,sh", &["x"]).refused(2, "has sh among others");
    sandbox.on("first,second,first", &["x"]).refused(2, "names first twice");
}

#[test]
fn a_crash_between_two_backends_loses_the_job_and_none_of_its_work() {
    let mut sandbox = Sandbox::new();
    sandbox.configure(TWO);
    sandbox.script_tool("first", "echo half > half; exit 75");
    sandbox.script_tool("second", "echo second");
    sandbox.set("CX_CRASH_AT", "fell-over");
    sandbox.on("first,second", &["-w", "x"]).ok();
    sandbox.cx(["wait", "j"]).code(1);
    let job = sandbox.job("j");
    assert_eq!((&job["status"], &job["backend"]), (&json!("lost"), &json!("second")));
    assert_eq!(sandbox.git(["ls-tree", "--name-only", "cx/j"]), "README.md\nhalf");
}

#[test]
fn all_are_listed_with_what_they_can_and_whether_they_have_run() {
    let sandbox = Sandbox::with_mine();
    sandbox.on("mine", &["x"]).ok();
    sandbox.cx(["wait", "j"]).ok();
    let all = sandbox.cx(["backends", "--json"]).ok().json();
    let names: Vec<&str> =
        all.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    let expected =
        "codex claude http sh mine gemini opencode copilot qwen aider amp goose cursor-agent";
    assert_eq!(names.join(" "), expected);
    let one = |name: &str| {
        all.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
    };
    let mine = one("mine");
    assert!(mine["from"].as_str().unwrap().ends_with("config/cx/config.toml"), "{mine}");
    assert_eq!((&mine["line"], &mine["modes"]), (&json!(2), &json!(["reader", "writer"])));
    assert_eq!((&mine["last"]["status"], &mine["last"]["job"]), (&json!("succeeded"), &json!(1)));
    assert!(mine["resumes"] == true && mine["usage"] == true && mine["model"] == true, "{mine}");
    let gemini = one("gemini");
    assert_eq!((&gemini["program"], &gemini["last"]), (&json!(null), &json!(null)));
    assert_eq!(gemini["install"], "npm install -g @google/gemini-cli");
    assert!(gemini["checked"].as_str().unwrap().contains("never run"), "{gemini}");
    assert_eq!(one("codex")["default"], true);
    let lines = sandbox.lines(["backends"]);
    let line = |name: &str| lines.iter().find(|line| line.starts_with(name)).unwrap();
    assert!(
        line("mine").contains("reads, writes  model, usage, resume  [1] j succeeded"),
        "{lines:?}"
    );
    assert!(
        line("gemini").contains("not installed") && line("gemini").ends_with("never run here"),
        "{lines:?}"
    );
    let shown = sandbox.cx(["backends", "goose"]).ok().stdout();
    assert!(
        shown.contains("install   curl -fsSL") && shown.contains("not even its help"),
        "{shown}"
    );
    sandbox.cx(["backends", "nobody"]).refused(2, "there is no backend 'nobody'");
}

#[test]
fn a_program_is_asked_for_its_version_where_that_is_wanted() {
    let sandbox = Sandbox::new();
    sandbox.configure("[backends.tool]\nargv = ['tool']\nversion = ['--version']\n");
    sandbox.script_tool("tool", "test \"$1\" = --version && echo 'tool 1.2'");
    assert_eq!(sandbox.cx(["backends", "--json", "tool"]).ok().json()["version"], "tool 1.2");
    let all = sandbox.cx(["backends", "--json"]).ok().stdout();
    assert!(!all.contains("tool 1.2"), "{all}");
    let all = sandbox.cx(["backends", "--versions"]).ok().stdout();
    assert!(all.contains("tool 1.2 at "), "{all}");
}

#[test]
fn the_doctor_looks_at_what_is_configured_or_there() {
    let sandbox = Sandbox::new();
    let finding = |text: &str| {
        let report = sandbox.cx(["doctor", "--json"]).json();
        let findings = report["findings"].as_array().unwrap().clone();
        let found = findings.iter().find(|one| one["text"].as_str().unwrap().contains(text));
        found.map(|one| (one["level"].clone(), one["mend"].clone()))
    };
    sandbox.configure(
        "[backends.tool]\nargv = ['tool']\nversion = '--version'\ninstall = 'make tool'\n",
    );
    assert_eq!(
        finding("tool: tool was not found on PATH"),
        Some((json!("note"), json!("install it: make tool")))
    );
    assert_eq!(finding("gemini"), None);
    sandbox.script_tool("tool", "exit 3");
    let (level, mend) = finding("does not run: exit 3").expect("a problem");
    assert_eq!((level, mend), (json!("problem"), json!("install it again: make tool")));
    sandbox.script_tool("tool", "echo 1.2");
    assert_eq!(finding("tool: 1.2 at ").expect("well").0, "ok");
    sandbox.configure("backend = 'gemini'\n[backends.tool]\nargv = ['tool']\nclour = 1\n");
    assert_eq!(finding("gemini: gemini was not found on PATH").expect("a problem").0, "problem");
    assert_eq!(finding("there is no key 'backends.tool.clour'").expect("a problem").0, "problem");
    sandbox.configure("[backends.tool]\nargv = []\n");
    assert_eq!(
        finding("'backends.tool.argv' has to begin with a program").expect("a problem").0,
        "problem"
    );
}
