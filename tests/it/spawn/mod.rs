//! `cx spawn`: what it takes, what it refuses, where and with what the worker starts.

mod environment;
mod limits;
mod names;
mod places;
mod pools;
mod prompts;
mod queue;
mod refusals;
mod setup;
mod unusual;
