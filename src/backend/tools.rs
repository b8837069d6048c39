//! Our own tools for a worker: what its program is told so that it starts their server.

use std::path::Path;

use crate::job::BackendName;

/// The worker's face of `cx mcp`, which the worker's program starts.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// This very cx, absolute.
    pub cx: &'a Path,
    /// Where cx finds the job's state: a folder in which the worker cannot write, so that
    /// it cannot point to another one.
    pub dir: &'a Path,
}

impl Tools<'_> {
    /// What the server is called, and with it its tools.
    pub(super) const NAME: &'static str = "cx";

    /// Variables that the server needs and a program may keep from it.
    pub(super) const ENV: [&'static str; 7] = [
        "CX_JOB",
        "CX_JOB_ID",
        "CX_NAME",
        "CX_RUN",
        "GIT_CEILING_DIRECTORIES",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
    ];

    /// The whole command of the server; none where a path is no text.
    pub fn words(&self) -> Option<Vec<String>> {
        let (cx, args) = self.command()?;
        Some([cx].into_iter().chain(args).map(str::to_owned).collect())
    }

    /// The arguments of cx; none where a path is no text, which neither JSON nor TOML can have.
    pub(super) fn command(&self) -> Option<(&str, [&str; 4])> {
        Some((self.cx.to_str()?, ["-C", self.dir.to_str()?, "mcp", "--worker"]))
    }
}

/// Whether a backend of this name can be given [`Tools`].
pub fn takes_mcp(name: BackendName) -> bool {
    [BackendName::CODEX, BackendName::CLAUDE].contains(&name)
}
