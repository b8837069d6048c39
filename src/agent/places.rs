//! Where agents lie.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{AgentError, Source};

/// The folders that agents are looked for in. All may be missing, except
/// `agents_dir` and `codex_agents_dir`, which somebody has named.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The root of the checkout, in which `.cx/agents/`, `.claude/agents/`,
    /// `.codex/agents/` and `codex/agents/` may lie.
    pub checkout: Option<&'a Path>,
    /// The person's configuration folder (`~/.config`), in which `cx/agents/`
    /// may lie.
    pub config_home: &'a Path,
    /// The person's home, in which `.claude/agents/` and `.codex/agents/` may lie.
    pub home: &'a Path,
    /// The bundle of `--agents-dir`.
    pub agents_dir: Option<&'a Path>,
    /// The bundle of `$CODEX_AGENTS_DIR`.
    pub codex_agents_dir: Option<&'a Path>,
}

impl Places<'_> {
    /// The folders with cx's own agents in files, in the order in which they count.
    pub(super) fn own(&self) -> impl Iterator<Item = (PathBuf, fn(PathBuf) -> Source)> + use<> {
        let repository = self
            .checkout
            .map(|root| (root.join(".cx/agents"), Source::Repository as fn(PathBuf) -> Source));
        let user = (self.config_home.join("cx/agents"), Source::User as fn(PathBuf) -> Source);
        repository.into_iter().chain([user])
    }
}

/// Whether there is no such file or folder, also because a part of its path is
/// no folder.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// What lies in a folder, by name; nothing where there is no such folder.
pub(super) fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, AgentError> {
    let unreadable = |error| AgentError::Unreadable { path: folder.to_owned(), error };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}
