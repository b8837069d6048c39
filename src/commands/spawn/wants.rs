//! What a job may be asked for besides its task: commits of its own, an answer of a
//! shape.

use std::path::Path;

use super::SpawnArgs;
use crate::{
    backend::{self, Backend, Family},
    commands::session::{Session, git},
    config::Config,
    failure::Failure,
    git::grant,
    job::{BackendChoice, Mode},
    schema::Schema,
};

/// Whether its worker may commit by itself.
pub(super) fn may_commit(
    args: &SpawnArgs,
    mode: Mode,
    (backend, choice): (&Backend, BackendChoice),
    session: &Session,
) -> Result<bool, Failure> {
    if !args.git {
        return Ok(false);
    }
    if mode == Mode::Reader || !matches!(backend.family, Family::Codex) {
        return Err(Failure::usage("--git lets a writer of codex commit, and this is none")
            .hint("without it cx commits what a writer leaves"));
    }
    if choice.names().count() > 1 {
        return Err(Failure::usage(
            "--git stands with one backend: what a worker that may commit has left is nothing that another one could go on with",
        )
        .hint("leave out the others, or --git: without it cx commits what a writer leaves"));
    }
    if grant::has_worktree_config(session.repository("a writer")?).map_err(git)? {
        return Err(Failure::usage(
            "--git cannot be given here: extensions.worktreeConfig is set, so a worker that can write in git's folder of its worktree could have git run anything",
        )
        .hint("without it cx commits what a writer leaves"));
    }
    Ok(true)
}

/// Whether its program is to be given the tools of `cx mcp --worker`.
pub(super) fn mcp(args: &SpawnArgs, config: &Config, choice: BackendChoice) -> bool {
    config.mcp && !args.no_mcp && choice.names().any(backend::takes_mcp)
}

/// The schema in a file, as one document.
pub(super) fn schema(file: &Path) -> Result<Vec<u8>, Failure> {
    let schema = Schema::read(file)
        .map_err(|error| Failure::usage(format!("{error}; nothing was started")))?;
    serde_json::to_vec(schema.document()).map_err(|error| Failure::internal(error.to_string()))
}
