//! `cx spawn`: what it takes, what it refuses, where and with what the worker starts.

mod environment;
mod limits;
mod names;
mod places;
mod prompts;
mod queue;
mod refusals;
mod setup;
mod unusual;
