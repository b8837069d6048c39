//! A client of the protocol: the SDK from npm, driven line by line (`tests/mcp-client/`).

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use serde_json::{Value, json};

use crate::support::Sandbox;

/// What every process of a client and its server has in its environment.
pub(super) const CLIENT: &str = "CX_TEST_CLIENT=1";

/// The SDK that `scripts/setup-tests` has installed.
fn sdk() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools");
    let target = fs::read_link(tools.join("mcp-sdk")).unwrap_or_default();
    let wanted = format!("mcp-sdk-{}", include_str!("../../mcp-sdk-version").trim());
    assert!(target.starts_with(&wanted), ".tools/mcp-sdk is not {wanted}: run scripts/setup-tests");
    tools.join(target)
}

/// A client with its server.
pub(super) struct Client {
    talk: Child,
    stdin: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
    /// What the server has said of itself.
    pub(super) hello: Value,
}

impl Client {
    /// Starts `cx ARGS` and says hello to it.
    #[track_caller]
    pub(super) fn start(sandbox: &Sandbox, args: &[&str]) -> Self {
        let talk = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp-client/talk.mjs");
        let mut command = sandbox.command("node");
        command.arg(talk).arg(sdk()).arg(sandbox.root().join("bin/cx")).args(args);
        command.env("CX_TEST_CLIENT", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut talk = command.spawn().expect("node runs");
        let stdin = talk.stdin.take();
        let said = BufReader::new(talk.stdout.take().expect("a pipe"));
        let mut client = Self { talk, stdin, said, hello: Value::Null };
        client.hello = client.hear();
        client
    }

    #[track_caller]
    pub(super) fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("the client speaks UTF-8");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the client ended: {line:?}"))
    }

    /// Has the client do something, without waiting for what comes of it.
    pub(super) fn tell(&mut self, what: &Value) {
        let stdin = self.stdin.as_mut().expect("it was not closed");
        writeln!(stdin, "{what}").expect("the client listens");
    }

    #[track_caller]
    pub(super) fn ask(&mut self, what: &Value) -> Value {
        self.tell(what);
        self.hear()
    }

    /// The names of the tools.
    #[track_caller]
    pub(super) fn tools(&mut self) -> Vec<String> {
        let tools = self.ask(&json!({ "do": "tools" }));
        let tools = tools.as_array().expect("a list of tools");
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn ask_tool(&mut self, name: &str, arguments: Value) -> Value {
        let mut call = json!({ "do": "call", "name": name });
        call["arguments"] = arguments;
        self.ask(&call)
    }

    /// What a tool answers, which must be no error.
    #[track_caller]
    pub(super) fn call(&mut self, name: &str, arguments: Value) -> String {
        let said = self.ask_tool(name, arguments);
        assert_eq!(said["error"], false, "{name}: {said}");
        said["text"].as_str().unwrap().to_owned()
    }

    /// The sentence and the hint with which a tool refuses.
    #[track_caller]
    pub(super) fn refused(&mut self, name: &str, arguments: Value) -> String {
        let said = self.ask_tool(name, arguments);
        assert_eq!(said["error"], true, "{name}: {said}");
        said["text"].as_str().unwrap().to_owned()
    }

    /// Closes the connection as clients do; the server must go by itself.
    #[track_caller]
    pub(super) fn close(mut self) {
        assert_eq!(self.ask(&json!({ "do": "close" })), "closed");
        drop(self.stdin.take());
        assert!(self.talk.wait().expect("it can be waited for").success());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.stdin.take());
        drop(self.talk.kill());
        drop(self.talk.wait());
    }
}
