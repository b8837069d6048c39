//! The shapes in which agents are written down: one module for each.
//!
//! A shape turns a file's bytes and where they were found into an
//! [`Agent`](super::Agent). Looking for files is not its business.

pub(super) mod bundle;
pub(super) mod claude;
pub(super) mod codex;
pub(super) mod markdown;
pub(super) mod write;

use super::{Agent, AgentError, Source, definition::Problem};
use crate::job::Mode;

/// What is wrong with a definition, and where it stands.
fn invalid(place: Source) -> impl FnOnce(Problem) -> AgentError {
    |(line, problem)| AgentError::Invalid { place, line, problem }
}

/// Tools that write files, of those that agents of other tools name.
const WRITING: [&str; 4] = ["Write", "Edit", "MultiEdit", "NotebookEdit"];

/// Makes an agent a writer whose list of tools has one that writes, unless its
/// definition says what it is.
fn mode_by_tools(agent: &mut Agent) {
    if agent.mode_reason.is_some() || agent.tools.allowed.is_empty() {
        return;
    }
    let writes: Vec<&str> =
        WRITING.into_iter().filter(|tool| agent.tools.refusal(tool).is_none()).collect();
    if writes.is_empty() {
        agent.mode_reason = Some("none of its tools writes".to_owned());
    } else {
        agent.mode = Mode::Writer;
        agent.mode_reason = Some(format!("its tools have {}", writes.join(", ")));
    }
}
