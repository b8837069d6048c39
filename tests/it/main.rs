//! The integration tests: one binary, one file for each verb.
//!
//! Every test works in a [`support::Sandbox`], which owns all that the programs
//! in it can see and fails the test when one of them is left behind.
#![expect(clippy::unwrap_used, reason = "a test that panics says where")]

mod after;
mod agents;
mod apply;
mod backends;
mod best_of_n;
mod budgets;
mod bundles;
mod checkpoints;
mod claude;
mod clean;
mod codex;
mod codex_real;
mod collect;
mod conflicts;
mod crash;
mod demo;
mod doctor;
mod follow;
mod full_disk;
mod git_settings;
mod ground;
mod holds;
mod honest;
mod http;
mod jobs;
mod kill;
mod landing;
mod ledger_doc;
mod look;
mod manual;
mod many;
mod mcp;
mod memory;
mod merge;
mod notice;
mod packed;
mod parallel;
mod patterns;
mod planner;
mod plans;
mod pool;
mod push;
mod races;
mod readers;
mod resolve;
mod resume;
mod route;
mod run;
mod schema;
mod scope;
mod secrets;
mod serve;
mod shells;
mod spawn;
mod support;
mod targets;
mod verify;
mod wait;
mod writers;
