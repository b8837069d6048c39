//! `cx mcp`: both faces, spoken to by the official SDK, by codex and by claude.

mod client;
mod orchestrator;
mod protocol;
mod small;
mod swarm;
mod workers;
