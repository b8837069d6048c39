//! What the tests stand on.

mod claude;
mod codex;
mod gate;
mod ledger;
mod listening;
mod model_server;
mod processes;
mod pty;
mod running;
mod sandbox;
mod verbs;
mod watch;
mod worker_server;

use std::time::Duration;

pub(crate) use claude::ClaudeHome;
pub(crate) use codex::CodexHome;
pub(crate) use gate::Gate;
pub(crate) use ledger::Ledger;
pub(crate) use model_server::{ModelServer, Script};
pub(crate) use pty::Terminal;
pub(crate) use running::{Output, Running};
pub(crate) use sandbox::Sandbox;
pub(crate) use verbs::{until_changed, until_gone, until_none_has, until_there};
pub(crate) use worker_server::{Part, WorkerServer, response};

/// How long a test waits for something that has to happen. It is never the
/// time that something takes: whatever waits is woken when it happens.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// What an orderly program that has let its waiters go may still take to exit.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
