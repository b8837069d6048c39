//! `cx memory`, and what of it is told to workers.

use std::fs;

use serde_json::{Value, json};

use crate::support::Sandbox;

impl Sandbox {
    /// What `cx memory get --value-only` prints.
    fn remembered(&self, key: &str) -> String {
        self.cx(["memory", "get", key, "--value-only"]).ok().stdout()
    }

    /// The keys that `cx memory list` shows, with their namespaces.
    fn keys(&self) -> Vec<String> {
        self.lines(["memory", "list", "--format", "{namespace}/{key}"])
    }
}

/// A backend that answers with what it is told.
const ECHO: &str = "[backends.echo]\nargv = [\"cat\"]\n";

#[test]
fn a_value_is_stored_changed_and_deleted_and_its_history_stays() {
    let sandbox = Sandbox::new();
    let stored =
        sandbox.cx(["memory", "store", "a", "first", "--tags", "x, y", "--json"]).ok().json();
    let expected = json!({"stored": true, "key": "a", "namespace": "default", "version": 1,
        "updated": false, "bytes": 5, "expires_at": null});
    assert_eq!(stored, expected);
    sandbox
        .cx(["memory", "store", "a", "other", "--no-upsert"])
        .refused(1, "'a' is stored already; nothing was changed");
    assert_eq!(sandbox.remembered("a"), "first");
    sandbox.cx(["memory", "store", "a", "second"]).ok();
    sandbox.cx(["memory", "store", "a", "elsewhere", "-n", "notes"]).ok();
    let got = sandbox.cx(["memory", "get", "a", "--json"]).ok().json();
    assert_eq!(
        (&got["value"], &got["encoding"], &got["version"], &got["by"]),
        (&json!("second"), &json!("utf-8"), &json!(2), &Value::Null)
    );
    assert_eq!(sandbox.cx(["memory", "get", "a", "--at", "1"]).ok().stdout(), "first\n");
    assert_eq!(sandbox.keys(), ["default/a", "notes/a"]);
    let listed = sandbox.cx(["memory", "list", "-n", "notes", "--json"]).ok().json();
    assert_eq!((listed[0]["key"].as_str(), listed[0]["bytes"].as_u64()), (Some("a"), Some(9)));
    let deleted = sandbox.cx(["memory", "delete", "a", "--json"]).ok().json();
    assert_eq!(deleted, json!({"deleted": true, "key": "a", "namespace": "default"}));
    for verb in ["get", "delete"] {
        sandbox.cx(["memory", verb, "a"]).refused(1, "there is no 'a' in the memory");
    }
    let history = sandbox.cx(["memory", "history", "a", "--json"]).ok().json();
    let ops: Vec<_> = history
        .as_array()
        .expect("an array")
        .iter()
        .map(|v| (v["op"].as_str(), v["value"].as_str()))
        .collect();
    assert_eq!(
        ops,
        [(Some("store"), Some("first")), (Some("store"), Some("second")), (Some("delete"), None)]
    );
    // A key that was deleted is free.
    assert_eq!(
        sandbox.cx(["memory", "store", "a", "x", "--no-upsert", "--json"]).ok().json()["version"],
        4
    );
    sandbox.cx(["memory", "history", "never"]).refused(1, "there is no 'never' in the memory");
}

#[test]
fn values_are_bytes_up_to_a_mebibyte() {
    let sandbox = Sandbox::new();
    sandbox.sh(r"printf 'a\377\000b' | cx memory store bytes").ok();
    assert_eq!(
        sandbox.cx(["memory", "get", "bytes", "--value-only"]).ok().stdout_bytes(),
        b"a\xff\0b"
    );
    let got = sandbox.cx(["memory", "get", "bytes", "--json"]).ok().json();
    assert_eq!(
        (got["encoding"].as_str(), got["value"].as_str()),
        (Some("base64"), Some("Yf8AYg=="))
    );
    let most = "x".repeat(1 << 20);
    sandbox.write("most", &most);
    sandbox.cx(["memory", "store", "most", "-F", "most"]).ok();
    assert!(sandbox.remembered("most") == most);
    sandbox.write("more", format!("{most}x"));
    sandbox.cx(["memory", "store", "most", "-F", "more"]).refused(2, "more than 1048576 bytes");
    sandbox
        .cx(["memory", "store", "most", "-F", "nowhere"])
        .refused(2, "cannot read the value from nowhere");
    sandbox.cx(["memory", "store", "", "x"]).refused(2, "the key '' is empty");
    sandbox
        .cx(["memory", "store", "k", "x", "-n", "a\nb"])
        .refused(2, "the namespace 'ab' has a control character in it");
    sandbox.cx(["memory", "store", "k", "x", "--ttl", "soon"]).refused(2, "is not a duration");
    sandbox.sh("cx memory store most < /dev/null").refused(2, "there is no value to store");
    assert!(sandbox.remembered("most") == most);
    assert_eq!(sandbox.keys(), ["default/bytes", "default/most"]);
    // No newline is added, and none taken.
    sandbox.cx(["memory", "store", "k", "--", "--json\n"]).ok();
    assert_eq!(sandbox.remembered("k"), "--json\n");
}

#[test]
fn what_has_expired_is_there_no_more() {
    let sandbox = Sandbox::new();
    let stored =
        sandbox.cx(["memory", "store", "later", "here still", "--ttl", "7d", "--json"]).ok().json();
    assert!(stored["expires_at"].is_string(), "{stored}");
    // Nothing waits for a clock: this one has expired long ago.
    let line = r#"{"v":1,"t":"2026-01-01T00:00:00.000Z","op":"store","ns":"default","key":"gone","n":1,"expires":"2026-01-02T00:00:00Z","value":"here no more"}"#;
    let log = ".git/cx/memory/entries.jsonl";
    let before = sandbox.read(log);
    sandbox.write(log, format!("{before}{line}\n"));
    sandbox.cx(["memory", "get", "gone"]).refused(1, "there is no 'gone' in the memory");
    assert_eq!(sandbox.keys(), ["default/later"]);
    let found = sandbox.cx(["memory", "search", "here", "--json"]).ok().json();
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    sandbox.cx(["memory", "store", "gone", "back", "--no-upsert"]).ok();
}

#[test]
fn the_best_match_comes_first_with_its_passage() {
    let sandbox = Sandbox::new();
    sandbox
        .cx(["memory", "store", "http/parser", "parseHTTPRequest reads the headers one at a time"])
        .ok();
    sandbox
        .cx([
            "memory",
            "store",
            "errors",
            "All errors are RFC 7807 problem details",
            "--tags",
            "api",
        ])
        .ok();
    sandbox.cx(["memory", "store", "notes", "an error in the request log"]).ok();
    let keys = |query: &[&str]| -> Vec<String> {
        let args = ["memory", "search", "--json"].iter().chain(query);
        let found = sandbox.cx(args).ok().json();
        found
            .as_array()
            .expect("an array")
            .iter()
            .map(|hit| hit["key"].as_str().expect("a key").to_owned())
            .collect()
    };
    assert_eq!(keys(&["parse requests"])[0], "http/parser");
    assert_eq!(keys(&["API"]), ["errors"]);
    assert_eq!(keys(&["error"]), ["errors", "notes"]);
    assert_eq!(keys(&["error", "--limit", "1"]), ["errors"]);
    let hit = &sandbox.cx(["memory", "search", "error", "--json", "--values"]).ok().json()[1];
    assert_eq!(
        (hit["passage"].as_str(), hit["value"].as_str()),
        (Some("an error in the request log"), Some("an error in the request log"))
    );
    assert!(hit["score"].as_f64().is_some_and(|score| (0.01..0.99).contains(&score)), "{hit}");
    let text = sandbox.cx(["memory", "search", "rfc"]).ok().stdout();
    assert!(
        text.ends_with("  default errors\n      All errors are RFC 7807 problem details\n"),
        "{text}"
    );
    for nothing in [&["nowhere"][..], &["error", "--threshold", "1"], &["error", "-n", "other"]] {
        let args = ["memory", "search", "--json"].iter().chain(nothing);
        let none = sandbox.cx(args).code(1);
        assert_eq!((none.json(), none.stderr().as_str()), (json!([]), "cx: nothing was found\n"));
    }
    sandbox
        .cx(["memory", "search", "x", "--threshold", "2"])
        .refused(2, "is not a number from 0 to 1");
}

#[test]
fn an_answer_is_there_by_itself_and_outlives_its_job() {
    let sandbox = Sandbox::new();
    sandbox.reader("look", "echo the lock is in src/lock.rs");
    sandbox.reader("ill", "echo half; exit 3");
    sandbox.reader("mute", "true");
    sandbox.cx(["wait"]).code(1);
    assert_eq!(sandbox.keys(), ["results/result-ill", "results/result-look"]);
    let get = |key| sandbox.cx(["memory", "get", key, "-n", "results", "--json"]).ok().json();
    let look = get("result-look");
    assert_eq!(look["value"], "the lock is in src/lock.rs\n");
    assert_eq!(
        (&look["by"]["name"], &look["by"]["job"], &look["tags"]),
        (&json!("look"), &json!(1), &json!(["succeeded"]))
    );
    assert_eq!(get("result-ill")["tags"], json!(["failed"]));
    // Taken in once, and what a person says of it stays.
    sandbox.cx(["memory", "store", "result-look", "wrong", "-n", "results"]).ok();
    fs::remove_file(sandbox.repo().join(".git/cx/memory/ledger-offset")).expect("it was written");
    assert_eq!(get("result-look")["value"], "wrong");
    // Nobody looks at the memory before its files go.
    sandbox.reader("late", "echo late; head -c 100000 /dev/zero | tr '\\0' x");
    sandbox.cx(["wait", "late"]).ok();
    sandbox.cx(["collect", "late"]).ok();
    sandbox.cx(["clean", "late"]).ok();
    let late = get("result-late")["value"].as_str().expect("text").to_owned();
    assert!(
        late.starts_with("late\nxxx")
            && late.contains("xxx\n[... 34469 bytes are left out here ...]\nxxx"),
        "{}",
        late.len()
    );
}

#[test]
fn a_worker_that_cannot_write_sees_what_was_answered_and_says_that_it_cannot_store() {
    let sandbox = Sandbox::new();
    sandbox.reader("first", "echo found it");
    sandbox.cx(["wait"]).ok();
    sandbox.reader("second", "cx memory get result-first -n results; cx memory search found --json | wc -l; cx memory store x y");
    sandbox.cx(["wait"]).code(1);
    let collected = sandbox.cx(["collect", "second", "--json"]).code(1).json();
    assert_eq!(collected[0]["message"], "found it\n1\n");
    let said = sandbox.read(".git/cx/jobs/2/stderr");
    assert!(
        said.contains("/memory: Permission denied")
            && said.contains("hint: inside a sandbox the memory can only be read"),
        "{said}"
    );
}

#[test]
fn workers_see_what_is_shared_with_them() {
    let sandbox = Sandbox::new();
    let agent = |name: &str, memory: &str| {
        sandbox.write(
            format!(".cx/agents/{name}.md"),
            format!("---\ndescription: d\nmode: writer\n{memory}---\nDo it.\n"),
        );
    };
    agent("planner", "memory:\n  sharing_policy:\n    share_with: [tester]\n    redact: [token]\n");
    agent("tester", "");
    agent("coder", "");
    sandbox.git(["add", "."]);
    sandbox.git(["commit", "-qm", "agents"]);
    let worker = |agent: &str, name: &str, script: &str| {
        sandbox.cx(["spawn", "-b", "sh", "-t", agent, "-n", name, script]).ok();
        sandbox.cx(["wait", name]).ok();
        sandbox.cx(["collect", name, "--format", "{message}"]).ok().stdout()
    };
    worker("planner", "plan", r#"cx memory store plan '{"a":[{"token":"t0","n":1}]}'"#);
    sandbox.cx(["memory", "store", "open", "for all"]).ok();
    sandbox.cx(["memory", "store", "own", "for nobody", "--share-with", "none"]).ok();
    sandbox.cx(["memory", "store", "named", "for one job", "--share-with", "code"]).ok();
    let list = "cx memory list --format '{key}={value}'";
    let shown = |all: &str| all.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        shown(&worker("tester", "test", list)),
        ["open=for all", r#"plan={"a":[{"token":"[REDACTED]","n":1}]}"#]
    );
    assert_eq!(
        shown(&worker("coder", "code", list)),
        [
            "named=for one job",
            "open=for all",
            "result-test=open=for all",
            r#"plan={"a":[{"token":"[REDACTED]","n":1}]}"#
        ]
    );
    assert_eq!(
        shown(&worker("planner", "again", "cx memory get plan")),
        [r#"{"a":[{"token":"t0","n":1}]}"#]
    );
    let refused = worker(
        "coder",
        "over",
        "cx memory store own mine; echo $?; cx memory get own; echo $?; cx memory delete own; echo $?",
    );
    assert_eq!(shown(&refused), ["1", "1", "1"]);
    // The person sees everything, and who it is from.
    let plan = sandbox.cx(["memory", "get", "plan", "--json"]).ok().json();
    assert_eq!(
        (&plan["value"], &plan["by"]["agent"], &plan["share_with"]),
        (&json!(r#"{"a":[{"token":"t0","n":1}]}"#), &json!("planner"), &json!(["tester"]))
    );
    assert_eq!(sandbox.remembered("own"), "for nobody");
}

#[test]
fn what_is_exported_is_imported_again() {
    let sandbox = Sandbox::new();
    sandbox.cx(["memory", "store", "a", "one\ntwo", "--tags", "x,y", "--share-with", "coder"]).ok();
    sandbox.sh(r"printf '\377' | cx memory store b -n other").ok();
    let exported = sandbox.cx(["memory", "export"]).ok().stdout();
    let other = Sandbox::new();
    other.write("all.jsonl", &exported);
    other.cx(["memory", "store", "a", "mine"]).ok();
    let imported = other.cx(["memory", "import", "all.jsonl", "--no-upsert", "--json"]).ok().json();
    assert_eq!(imported, json!({"stored": 1, "left": 1}));
    assert_eq!(other.remembered("a"), "mine");
    other.sh("cx memory import < all.jsonl").ok();
    let plain = |text: &str| -> Vec<Value> {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines
            .map(|mut line| {
                line["stored_at"] = Value::Null;
                line["version"] = Value::Null;
                line
            })
            .collect()
    };
    assert_eq!(plain(&other.cx(["memory", "export"]).ok().stdout()), plain(&exported));
    // What is there already keeps its time and its versions.
    let again = sandbox.sh("cx memory export | cx memory import --json").ok().json();
    assert_eq!(again, json!({"stored": 0, "left": 2}));
    assert_eq!(sandbox.cx(["memory", "export"]).ok().stdout(), exported);
    // All of it is read before anything is stored.
    other.write("bad.jsonl", "{\"key\":\"new\",\"value\":\"x\"}\n{\"key\":\"no value\"}\n");
    other.cx(["memory", "import", "bad.jsonl"]).refused(2, "line 2 of bad.jsonl is no entry");
    assert_eq!(other.keys(), ["default/a", "other/b"]);
}

#[test]
fn a_torn_line_is_told_and_costs_one_entry() {
    let sandbox = Sandbox::new();
    sandbox.cx(["memory", "store", "a", "word"]).ok();
    sandbox.cx(["memory", "store", "b", "word"]).ok();
    let log = ".git/cx/memory/entries.jsonl";
    let whole = sandbox.read(log);
    sandbox.write(log, &whole[..whole.len() - 9]);
    sandbox.cx(["memory", "store", "c", "word"]).ok();
    let listed = sandbox.cx(["memory", "list", "--format", "{key}"]).ok();
    assert_eq!(listed.stdout(), "a\nc\n");
    assert!(
        listed.stderr().contains("warning: the memory has 1 line that cannot be read"),
        "{listed}"
    );
    assert!(
        sandbox
            .cx(["memory", "search", "word"])
            .ok()
            .stderr()
            .contains("1 line that cannot be read")
    );
}

#[test]
fn sixty_four_processes_at_once_lose_nothing() {
    let sandbox = Sandbox::new();
    sandbox.sh("for n in $(seq 64); do cx memory store key-$n value-$n & cx memory store shared $n & done; wait").ok();
    assert_eq!(sandbox.keys().len(), 65);
    let history = sandbox.cx(["memory", "history", "shared", "--json"]).ok().json();
    assert_eq!(history.as_array().map(Vec::len), Some(64));
}

#[test]
fn a_secret_is_not_stored() {
    let mut sandbox = Sandbox::new();
    sandbox.set("MY_API_KEY", "sk-0123456789");
    let stored = sandbox.cx(["memory", "store", "a", "use sk-0123456789 there"]).ok();
    assert!(stored.stderr().contains("warning: the value has a secret in it"), "{stored}");
    assert_eq!(sandbox.remembered("a"), "use [redacted MY_API_KEY] there");
    sandbox.reader("told", "echo the key is $MY_API_KEY now");
    sandbox.cx(["wait"]).ok();
    sandbox.cx(["memory", "list"]).ok();
    let log = sandbox.read(".git/cx/memory/entries.jsonl");
    assert!(!log.contains("sk-0123456789"), "{log}");
}

#[test]
fn a_worker_is_told_what_is_known_where_that_is_asked_for() {
    let sandbox = Sandbox::new();
    let config = sandbox.root().join("config/cx");
    fs::create_dir_all(&config).expect("makes");
    fs::write(config.join("config.toml"), ECHO).expect("writes");
    sandbox.cx(["memory", "store", "api/errors", "All errors are RFC 7807\nproblem details"]).ok();
    sandbox.cx(["memory", "store", "weather", "it rains"]).ok();
    sandbox
        .cx(["memory", "store", "hidden", "errors of the endpoint", "--share-with", "tester"])
        .ok();
    let told = |name: &str, options: &[&str]| {
        let args = ["spawn", "-b", "echo", "-n", name, "--no-preamble"];
        sandbox.cx(args.iter().chain(options).chain(&["Add an endpoint that reports errors"])).ok();
        sandbox.cx(["wait", name]).ok();
        sandbox.cx(["prompt", name]).ok().stdout()
    };
    assert_eq!(told("plain", &[]), "Add an endpoint that reports errors");
    let with = told("with", &["--recall=3"]);
    let (_, memory) =
        with.split_once("CONTEXT FROM the memory of this repository").expect("a heading");
    assert!(memory.contains("- api/errors (namespace default), "), "{with}");
    assert!(memory.contains(" ago:\n  All errors are RFC 7807\n  problem details\n"), "{with}");
    assert!(
        memory.contains("- result-plain (namespace results), ")
            && memory.contains(" by [1] plain:\n"),
        "{with}"
    );
    assert!(!memory.contains("it rains") && !memory.contains("- hidden"), "{with}");
    let from = told("from", &["--context-from", "plain"]);
    assert!(
        from.ends_with("CONTEXT FROM job [1] plain:\nAdd an endpoint that reports errors\n"),
        "{from}"
    );
    sandbox.write(
        "plan.toml",
        "[tasks.planned]\nbackend = \"echo\"\nrecall = 1\nprompt = \"problem details\"\n",
    );
    sandbox.cx(["run", "-f", "plan.toml"]).ok();
    let planned = sandbox.cx(["prompt", "planned"]).ok().stdout();
    assert!(planned.contains("\n- api/errors (namespace default), "), "{planned}");
    // Also once it was cleaned.
    sandbox.cx(["collect"]).ok();
    sandbox.cx(["clean", "plain"]).ok();
    assert!(
        told("late", &["--context-from", "plain"]).contains("CONTEXT FROM job [1] plain:\nAdd an")
    );
    let refused = |options: &[&str], sentence: &str| {
        sandbox.cx(["spawn"].iter().chain(options).chain(&["x"])).refused(2, sentence);
    };
    refused(&["-b", "echo", "--recall", "4"], "'4' after --recall would be a word of the prompt");
    refused(&["-b", "sh", "--recall"], "a shell command cannot be given context");
    let gate = sandbox.gate("gate");
    sandbox.reader("live", &gate.pass());
    gate.arrived();
    refused(&["-b", "echo", "--context-from", "live"], "live is not over: ");
    gate.open();
    sandbox.cx(["wait"]).ok();
}
