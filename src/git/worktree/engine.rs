//! What can make a worktree, from the cheapest to the one that can always do it.
//!
//! Each is tried in this order and hands on what it cannot do, or is not sure to do
//! exactly as git does, with the reason. The reasons are kept: `cx show` and
//! `cx doctor` tell why a worktree was not made by a cheaper one.

use std::fmt;

/// What made a worktree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// A clean tree of the pool was claimed and switched to the base.
    Recycled,
    /// The files share their blocks with those of another checkout.
    Cloned,
    /// The files were copied from another checkout.
    Copied,
    /// `git worktree add`.
    Git,
}

impl Engine {
    /// Its name in the ledger and for people: `copy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recycled => "pool",
            Self::Cloned => "clone",
            Self::Copied => "copy",
            Self::Git => "git worktree add",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The engine that was taken, and why no cheaper one was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What made it.
    pub engine: Engine,
    /// Why those before it did not, each in a clause: `the checkout is sparse`. Engines
    /// that nobody can expect to work here (cloning on ext4) say nothing.
    pub why: Vec<String>,
}

impl Taken {
    /// `engine`, with nothing to say about the others.
    pub fn by(engine: Engine) -> Self {
        Self { engine, why: Vec::new() }
    }

    /// The reasons as one clause, as the ledger has them; none where there are none.
    pub fn why(&self) -> Option<String> {
        (!self.why.is_empty()).then(|| self.why.join("; "))
    }
}
