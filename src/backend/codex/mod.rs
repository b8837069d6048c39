//! The codex backend: `codex exec --json`.

mod activity;
mod argv;
mod counter;
mod digest;
mod event;
mod judge;
mod render;
mod stderr;
#[cfg(test)]
mod tests;

pub(super) use activity::activity;
pub(super) use argv::{check_args, check_prompt, launch, sandbox_probe};
pub(super) use counter::Counter;
pub(super) use judge::{hint, judge};
pub(super) use render::render;
