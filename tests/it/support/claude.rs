//! The real claude, pointed at a model server on loopback.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ModelServer, Sandbox};

/// The native claude that `scripts/setup-tests` has installed. Without it the
/// test fails: a test of claude that is skipped tests nothing.
fn native_claude() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools");
    let claude = tools.join("claude");
    let target = fs::read_link(&claude).unwrap_or_default();
    let wanted = format!("claude-{}", include_str!("../../claude-version").trim());
    assert!(
        target.starts_with(&wanted) && claude.exists(),
        "{} is not {wanted}: run scripts/setup-tests",
        claude.display()
    );
    fs::canonicalize(&claude).expect("the claude binary exists")
}

/// A `CLAUDE_CONFIG_DIR` of the test's own.
pub(crate) struct ClaudeHome {
    folder: PathBuf,
}

impl ClaudeHome {
    /// Makes the folder, points the sandbox's environment at it and at the server,
    /// and puts claude on its PATH. A request that fails is not tried again.
    pub(crate) fn new(sandbox: &mut Sandbox, server: &ModelServer) -> Self {
        let folder = sandbox.root().join("claude");
        fs::create_dir(&folder).expect("a folder of the sandbox can be made");
        sandbox.set("CLAUDE_CONFIG_DIR", &folder);
        sandbox.set("ANTHROPIC_BASE_URL", server.origin());
        sandbox.set("ANTHROPIC_API_KEY", "a key that no command may see");
        sandbox.set("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        sandbox.set("CLAUDE_CODE_MAX_RETRIES", "0");
        // It would take zsh where there is one.
        sandbox.set("SHELL", sandbox.root().join("bin/bash"));
        sandbox.link_tool("claude", &native_claude());
        Self { folder }
    }

    /// The configuration folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}
