//! What a worker may do: use the memory, look at its own job, say how far it is.
//!
//! Which job that is, says `CX_JOB`, which cx itself has put there; the client has no word
//! in it, and each `cx` that is run here knows by it that a worker asks.

use std::env;

use crate::{
    arguments::{Arguments, Refusal, Words},
    child::Cx,
    memory,
    tool::{Answer, Description, Effect, text},
};

/// Besides those of the memory.
pub(crate) const TOOLS: [Description; 2] = [
    Description {
        name: "report",
        says: "Say in one line how far you are; the orchestrator sees it while you work",
        effect: Effect::Changes,
        takes: &[text("text", "")],
        needs: &["text"],
    },
    Description {
        name: "job",
        says: "The facts of your own job",
        effect: Effect::Looks,
        takes: &[],
        needs: &[],
    },
];

/// Answers one of them, or one of the memory's.
pub(crate) async fn call(cx: &Cx, tool: &str, said: Arguments<'_>) -> Result<Answer, Refusal> {
    match tool {
        "report" => {
            let text = said.needed("text")?;
            Ok(cx.answer(&Words::of(&["__report"]).behind(&[text]), None, "told").await)
        }
        "job" => {
            let job = env::var("CX_JOB").unwrap_or_default();
            Ok(cx.answer(&Words::of(&["show"]).behind(&[&job]), None, "").await)
        }
        _ => memory::call(cx, tool, said).await,
    }
}
