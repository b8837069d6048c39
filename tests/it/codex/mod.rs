//! The codex backend as people use it: the real codex, driven by `cx`, against
//! the model server.

mod answers;
mod commits;
mod endings;
mod failures;
mod patterns;
mod plans;
mod prompts;
mod resolving;
mod sandbox;
mod schema;
mod views;
mod writers;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{CodexHome, ModelServer, Output, Sandbox, Script};

/// A sandbox with codex in it, and the model that it talks to.
struct Lab {
    // Declared before the server: codex ends before what it talks to.
    sandbox: Sandbox,
    server: ModelServer,
    home: CodexHome,
}

impl Lab {
    fn new() -> Self {
        Self::around(Sandbox::new())
    }

    fn around(mut sandbox: Sandbox) -> Self {
        let server = ModelServer::start();
        let home = CodexHome::new(&mut sandbox, &server);
        Self { sandbox, server, home }
    }

    fn on(&self, marker: &str, script: Script) {
        self.server.on(marker, script);
    }

    /// Spawns a job called `name`.
    #[track_caller]
    fn spawn(&self, name: &str, words: &[&str]) {
        let printed = self.cx(&[&["spawn", "-n", name], words].concat()).ok().stdout();
        assert!(printed.ends_with(&format!("] {name}\n")), "{printed:?}");
    }

    #[track_caller]
    fn cx(&self, words: &[&str]) -> Output {
        self.sandbox.cx(words)
    }

    /// Spawns a job, waits for it, and gives what is known of it and the output
    /// of `cx wait`, which must have ended with `code`.
    #[track_caller]
    fn run(&self, name: &str, words: &[&str], code: i32) -> (Value, String) {
        self.spawn(name, words);
        let waited = self.cx(&["wait", name]).code(code);
        assert_eq!(waited.stdout(), "");
        (self.show(name), waited.stderr())
    }

    #[track_caller]
    fn show(&self, name: &str) -> Value {
        self.cx(&["show", "--json", name]).ok().json()
    }

    /// The element of `cx collect --json NAME`, which must end with `code`.
    #[track_caller]
    fn collect(&self, name: &str, code: i32) -> Value {
        let mut jobs = self.cx(&["collect", "--json", name]).code(code).json();
        assert_eq!(jobs.as_array().map(Vec::len), Some(1), "{jobs}");
        jobs[0].take()
    }

    /// A writer's worktree.
    fn tree(&self, name: &str) -> PathBuf {
        self.sandbox.root().join("repo.cx").join(name)
    }

    /// The processes of the sandbox, without supervisors: one that has let go
    /// of its job may still be on its way out.
    fn workers(&self) -> Vec<String> {
        let mut live = self.sandbox.live_processes();
        live.retain(|process| !process.contains(" __supervise "));
        live
    }

    fn job_file(&self, number: u32, name: &str) -> PathBuf {
        Path::new(&self.sandbox.repo()).join(format!(".git/cx/jobs/{number}/{name}"))
    }
}

/// `job`'s outcome and the sentence that says why.
#[track_caller]
fn end(job: &Value) -> (&str, &str) {
    (job["status"].as_str().unwrap(), job["reason"].as_str().unwrap_or_default())
}
