//! The claude backend: `claude -p --output-format stream-json`.

mod activity;
mod argv;
mod counter;
mod digest;
mod event;
mod judge;
mod render;
#[cfg(test)]
mod tests;

pub(super) use activity::activity;
pub(super) use argv::{
    ENV_REMOVE, PREFIX_VARIABLE, check_args, check_prompt, launch, more_folders, own_places,
};
pub(super) use counter::Counter;
pub(super) use judge::{hint, judge};
pub(super) use render::render;
