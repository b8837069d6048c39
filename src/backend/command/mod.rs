//! Any program: a backend that is a few lines of configuration.
//!
//! `read` turns a table `[backends.NAME]` into a [`Command`], which is all that
//! the other modules look at: how it is started (`launch`), what its output says
//! (`digest`, by the paths of `path`), what that means (`judge`), and what of it is
//! shown while it runs (`show`). Nothing here knows a program by name: what is
//! known of gemini and its like stands in `backends/*.toml`.
//!
//! What a definition does not say is not assumed: without a sign of success that
//! is asked for, without an answer, or with an exit code that is not 0 the job has
//! not succeeded.

mod counter;
mod digest;
mod judge;
mod launch;
mod path;
pub(super) mod read;
mod show;
mod spec;
#[cfg(test)]
mod tests;

pub use read::{Definition, Unknown};
pub use spec::{
    AnswerFrom, AnswerRule, Command, Found, ModeRule, Output, Prompt, Show, Signs, Take, Thread,
    UsageRule, Where,
};

pub(super) use counter::Counter;
pub(super) use judge::{hint, judge};
pub(super) use launch::{check_prompt, launch, max_turns, own_places};
pub(super) use show::{activity, render};
