//! Proposals: a plan made from a goal, for a person to read before it runs.
//!
//! Two questions are asked: which agents ([`Member`]s), and which tasks for them.
//! A rule of thumb answers both ([`decompose`], by the verbs of the goal), or a
//! planner does: a command or a model that is sent a [`Request`] and whose answer
//! is read by [`members`] and [`tasks`]. An answer is data from elsewhere: it is
//! checked as a file would be, it can name only the agents it was given, and it
//! can say nothing of a task but its id, agent, mode, prompt and needs.
//!
//! Pure values: nothing here starts anything, so a crash leaves nothing.

mod exchange;
mod file;
mod heuristic;
mod split;
mod work;

pub(super) use exchange::needs;
pub use exchange::{Ask, Request, find_json, members, tasks};
pub use heuristic::decompose;
pub use work::{ROLES, Work, work};

use std::collections::BTreeMap;

use super::Plan;
use crate::job::{Mode, slug};

/// An agent that tasks can be given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name that reaches it.
    pub id: String,
    /// One line.
    pub description: String,
    /// What its jobs may do to files.
    pub mode: Mode,
    /// Why it was chosen; reads after a colon.
    pub why: String,
}

/// A plan that somebody proposes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// What it is to reach.
    pub goal: String,
    /// The tasks.
    pub plan: Plan,
    /// Why a task has its agent, by the task's id.
    pub why: BTreeMap<String, String>,
}

impl Proposal {
    /// An empty one, named after its goal.
    fn new(goal: &str) -> Self {
        let goal = goal.trim().to_owned();
        let mut plan = Plan { name: slug(&goal).to_string(), ..Plan::default() };
        plan.vars.insert("goal".to_owned(), goal.clone());
        Self { goal, plan, why: BTreeMap::new() }
    }
}
