//! The claude backend as people use it: the real claude, driven by `cx`, against
//! the model server.

mod endings;
mod readers;
mod schema;
mod setup;
mod writers;

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{ClaudeHome, ModelServer, Output, Sandbox, Script};

/// A sandbox with claude in it, and the model that it talks to.
struct Lab {
    // Declared before the server: claude ends before what it talks to.
    sandbox: Sandbox,
    server: ModelServer,
    home: ClaudeHome,
}

impl Lab {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        sandbox.set("CX_BACKEND", "claude");
        let server = ModelServer::start();
        let home = ClaudeHome::new(&mut sandbox, &server);
        Self { sandbox, server, home }
    }

    fn on(&self, marker: &str, script: Script) {
        self.server.on(marker, script);
    }

    #[track_caller]
    fn cx(&self, words: &[&str]) -> Output {
        self.sandbox.cx(words)
    }

    /// Spawns a job called `name`, waits for it, which must end with `code`, and
    /// gives what is known of it.
    #[track_caller]
    fn run(&self, name: &str, words: &[&str], code: i32) -> Value {
        self.cx(&[&["spawn", "-n", name], words].concat()).ok();
        let waited = self.cx(&["wait", name]);
        if waited.status_code() != Some(code) {
            let raw = self.cx(&["logs", "--raw", name]);
            panic!("{name} should have ended with {code}:\n{waited}\n{raw}");
        }
        self.show(name)
    }

    #[track_caller]
    fn show(&self, name: &str) -> Value {
        self.cx(&["show", "--json", name]).ok().json()
    }

    #[track_caller]
    fn logs(&self, name: &str) -> String {
        self.cx(&["logs", name]).ok().stdout()
    }

    /// A writer's worktree.
    fn tree(&self, name: &str) -> PathBuf {
        self.sandbox.root().join("repo.cx").join(name)
    }
}

/// `job`'s outcome and the sentence that says why.
#[track_caller]
fn end(job: &Value) -> (&str, &str) {
    (job["status"].as_str().unwrap(), job["reason"].as_str().unwrap_or_default())
}
