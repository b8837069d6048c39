//! The real codex, pointed at a model server on loopback.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::{ModelServer, Sandbox};

/// The native codex that `scripts/setup-tests` has installed. Without it the
/// test fails: a test of codex that is skipped tests nothing.
fn native_codex() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools");
    let codex = tools.join("codex");
    let target = fs::read_link(&codex).unwrap_or_default();
    let wanted = format!("codex-{}", include_str!("../../codex-version").trim());
    assert!(
        target.starts_with(&wanted) && codex.exists(),
        "{} is not {wanted}: run scripts/setup-tests",
        codex.display()
    );
    // The link's target: codex looks for its helpers beside itself.
    fs::canonicalize(&codex).expect("the codex binary exists")
}

/// A `CODEX_HOME` whose provider is a model server of the test.
pub(crate) struct CodexHome {
    config: PathBuf,
    base_url: String,
    settings: Vec<(&'static str, u64)>,
}

impl CodexHome {
    /// Makes the home, points the sandbox's environment at it and puts codex
    /// on its PATH. Nothing is tried again unless [`Self::retries`] says so.
    pub(crate) fn new(sandbox: &mut Sandbox, server: &ModelServer) -> Self {
        let home = sandbox.root().join("codex");
        fs::create_dir(&home).expect("a folder of the sandbox can be made");
        sandbox.set("CODEX_HOME", &home);
        sandbox.set("FAKE_KEY", "a key that no command may see");
        sandbox.link_tool("codex", &native_codex());
        let home = Self {
            config: home.join("config.toml"),
            base_url: server.base_url(),
            settings: vec![],
        };
        home.retries(0)
    }

    /// How often codex tries a request, and a stream, again. Its own default is
    /// 4 and 5, which takes up to 25 s.
    pub(crate) fn retries(self, count: u64) -> Self {
        self.with("request_max_retries", count).with("stream_max_retries", count)
    }

    /// How long a stream may say nothing. Codex's own default is 300 s.
    pub(crate) fn stream_idle_timeout_ms(self, limit: u64) -> Self {
        self.with("stream_idle_timeout_ms", limit)
    }

    /// Talks to another server than the model server.
    pub(crate) fn at(mut self, base_url: &str) -> Self {
        base_url.clone_into(&mut self.base_url);
        self.write();
        self
    }

    fn with(mut self, key: &'static str, value: u64) -> Self {
        self.settings.retain(|(known, _)| *known != key);
        self.settings.push((key, value));
        self.write();
        self
    }

    fn write(&self) {
        let mut config = format!(
            "model = \"gpt-5.5\"\nmodel_provider = \"fake\"\n\n[model_providers.fake]\n\
             name = \"fake\"\nbase_url = \"{}\"\nwire_api = \"responses\"\nenv_key = \"FAKE_KEY\"\n",
            self.base_url
        );
        for (key, value) in &self.settings {
            let _ = writeln!(config, "{key} = {value}");
        }
        fs::write(&self.config, config).expect("codex's configuration can be written");
    }
}
