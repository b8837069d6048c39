//! The protocol, as the official SDK speaks it.

use serde_json::json;

use super::client::{CLIENT, Client};
use crate::support::{Sandbox, until_none_has};

pub(super) fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.add_tool("node");
    sandbox
}

#[test]
fn an_orchestrator_spawns_waits_collects_and_merges() {
    let sandbox = sandbox();
    let mut client = Client::start(&sandbox, &["mcp", "--allow-sh"]);
    assert_eq!(client.hello["server"]["name"], "cx");
    let tools = client.tools();
    for tool in
        ["spawn", "jobs", "wait", "collect", "diff", "conflicts", "merge", "kill", "swarm_init"]
    {
        assert!(tools.iter().any(|known| known == tool), "{tool} in {tools:?}");
    }
    let said = client.call("swarm_init", json!({ "topology": "hierarchical", "maxAgents": 3 }));
    assert!(said.contains("at most 3 jobs"), "{said}");
    let task = json!({ "task": "echo new > new.txt; echo wrote it", "backend": "sh", "name": "add", "mode": "writer" });
    assert_eq!(client.call("spawn", task), "[1] add");
    let task = json!({ "task": "cat; wc -l < README.md", "backend": "sh", "name": "count", "extra": null });
    let refused = client.refused("spawn", task);
    assert!(
        refused
            .starts_with("spawn has no argument 'extra'; nothing was done\nhint: it takes task,"),
        "{refused}"
    );
    let task = json!({ "task": "wc -l < README.md", "backend": "sh", "name": "count" });
    assert_eq!(client.call("spawn", task), "[2] count");
    let said = client.call("wait", json!({}));
    assert_eq!(said, "all succeeded; `collect` gives their results");
    let said = client.call("collect", json!({}));
    assert!(said.contains("[1] add") && said.contains("wrote it"), "{said}");
    assert!(client.call("diff", json!({ "job": "add" })).contains("new.txt | 1 +"));
    assert!(client.call("diff", json!({ "job": "add", "patch": true })).contains("+new"));
    assert!(client.call("conflicts", json!({})).contains("nothing collides"));
    let said = client.call("merge", json!({}));
    assert!(said.contains("[1] add would merge into main"), "{said}");
    assert!(!sandbox.repo().join("new.txt").exists());
    let said = client.call("merge", json!({ "jobs": ["add"], "land": true }));
    assert!(said.contains("[1] add merged into main"), "{said}");
    assert_eq!(sandbox.read("new.txt"), "new\n");
    client.close();
    let spawned = sandbox.ledger().wait_for(|event| event["job"] == 2 && event["ev"] == "spawned");
    assert_eq!(spawned["max_jobs"], 3, "{spawned}");
}

#[test]
fn what_cx_refuses_is_its_sentence_and_its_hint() {
    let sandbox = sandbox();
    sandbox.script_tool("codex", "exit 0");
    let mut client = Client::start(&sandbox, &["mcp"]);
    let refused = client.refused("kill", json!({ "jobs": ["ghost"] }));
    assert!(refused.starts_with("no such job: ghost\nhint: "), "{refused}");
    let refused = client.refused("kill", json!({}));
    assert_eq!(refused, "'jobs' has to name the jobs to end; nothing was done");
    // Words of the client are no options of ours.
    let refused =
        client.refused("merge", json!({ "jobs": ["--verify=touch owned"], "land": true }));
    assert!(refused.starts_with("no such job: --verify=touch owned"), "{refused}");
    let refused = client.refused("spawn", json!({ "task": "x", "base": "--git" }));
    assert!(refused.contains("'--git'") || refused.contains("--base is for"), "{refused}");
    assert!(!sandbox.repo().join("owned").exists());
    let said = client.ask(&json!({ "do": "call", "name": "nothing", "arguments": {} }));
    assert!(said["failed"].as_str().unwrap().contains("there is no tool 'nothing'"), "{said}");
    client.close();
}

#[test]
fn a_shell_is_no_worker_unless_somebody_said_so() {
    let mut sandbox = sandbox();
    let mut client = Client::start(&sandbox, &["mcp"]);
    let sentence =
        "the task would be run as a command, outside of any sandbox; nothing was started";
    let task = json!({ "task": "touch owned", "backend": "sh" });
    assert!(client.refused("spawn", task).starts_with(sentence));
    client.close();
    sandbox.set("CX_BACKEND", "sh");
    let mut client = Client::start(&sandbox, &["mcp"]);
    let refused = client.refused("spawn", json!({ "task": "touch owned", "mode": "writer" }));
    assert!(refused.starts_with(sentence), "{refused}");
    client.close();
    assert_eq!(sandbox.cx(["jobs", "-a"]).ok().stdout(), "");
}

#[test]
fn waiting_tells_of_progress_ends_in_time_and_can_be_given_up() {
    let sandbox = sandbox();
    let gate = sandbox.gate("open");
    let mut client = Client::start(&sandbox, &["mcp", "--allow-sh"]);
    let task = json!({ "task": gate.pass(), "backend": "sh", "name": "held" });
    client.call("spawn", task);
    let said = client.call("wait", json!({ "jobs": ["held"], "seconds": 1 }));
    assert_eq!(said, "still running after 1.0s: [1] held\nthey go on; call wait again");
    // Its first word of progress is what it is cancelled at.
    let wait =
        json!({ "do": "call", "name": "wait", "arguments": { "jobs": ["held"] }, "cancel": true });
    let said = client.ask(&wait);
    assert!(said["failed"].as_str().is_some_and(|said| said.contains("enough")), "{said}");
    let wait = json!({ "do": "call", "name": "wait", "arguments": {}, "progress": true });
    client.tell(&wait);
    gate.open();
    let said = client.hear();
    assert_eq!(said["text"], "all succeeded; `collect` gives their results", "{said}");
    client.close();
    sandbox.until_quiet();
}

#[test]
fn a_client_that_goes_away_ends_what_waits_for_it_and_not_the_jobs() {
    let sandbox = sandbox();
    let gate = sandbox.gate("open");
    sandbox.reader("held", &gate.pass());
    gate.arrived();
    let mut client = Client::start(&sandbox, &["mcp"]);
    // Once it has told of progress, it waits.
    let wait = json!({ "seconds": 3600 });
    client.tell(&json!({ "do": "call", "name": "wait", "arguments": wait, "told": true }));
    assert_eq!(client.hear(), "told");
    drop(client);
    until_none_has(CLIENT);
    assert!(sandbox.cx(["jobs", "--brief"]).ok().stdout().starts_with("1 held running"));
    gate.open();
    sandbox.cx(["wait"]).ok();
    sandbox.until_quiet();
}

#[test]
fn without_its_other_binary_it_says_so_and_workers_go_without_tools() {
    let sandbox = sandbox();
    let lone = sandbox.root().join("bin/lone-cx");
    std::fs::hard_link(env!("CARGO_BIN_EXE_cx"), &lone).unwrap();
    let mut command = sandbox.command("lone-cx");
    command.arg("mcp");
    let refused = sandbox.run(command).refused(127, "bin/cx-mcp is not there");
    assert!(refused.stderr().contains("hint: it comes with cx"), "{refused}");
    sandbox.script_tool("codex", "printf '%s\\n' \"$@\" > arguments");
    let mut command = sandbox.command("lone-cx");
    command.args(["spawn", "-n", "bare", "x"]);
    sandbox.run(command).ok();
    sandbox.cx(["wait", "bare"]);
    assert!(!sandbox.read("arguments").contains("mcp_servers"));
    sandbox.cx(["spawn", "-n", "given", "x"]).ok();
    sandbox.cx(["wait", "given"]);
    assert!(sandbox.read("arguments").contains("mcp_servers.cx={command="));
}

#[test]
fn it_says_where_it_does_not_serve() {
    let mut sandbox = sandbox();
    sandbox
        .cx(["mcp", "--worker"])
        .refused(2, "this is not the worker of a job: CX_JOB is not set");
    sandbox.set("CX_JOB", "7");
    sandbox.cx(["mcp", "--worker"]).refused(2, "there is no job %7 in ");
    sandbox.cx(["mcp"]).refused(2, "a worker cannot serve an orchestrator");
    // A program that takes the variable away from what it starts does not hide that.
    let hidden = sandbox.sh("env -u CX_JOB cx mcp --allow-sh; exit $?");
    hidden.refused(2, "a worker cannot have an orchestrator's tools");
}
