//! A job on its way through a merge, and what was found of it.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::{
    git::{
        Oid,
        merge::{Candidate, Foreign},
    },
    ledger::Job,
};

/// A job on its way through a merge.
#[derive(Debug)]
pub(super) struct Chosen {
    /// The job.
    pub(super) job: Job,
    /// Its branch as it is now.
    pub(super) candidate: Candidate,
    /// The tip of its branch; the candidate's is another one where a part of it
    /// is left out.
    pub(super) branch_tip: Oid,
    /// The tip at its end, by the ledger. Where somebody has moved the branch
    /// since, the candidate's is another one.
    pub(super) ended_at: Option<Oid>,
    /// What it changed outside of its scope, once the gate has looked.
    pub(super) outside: Option<Found>,
    /// What it was started from, where the target has not all of that.
    pub(super) base: Option<Base>,
    /// Whose work it brings along.
    pub(super) along: Vec<Along>,
}

impl Chosen {
    /// Whether its branch stands where it began.
    pub(super) fn is_at_base(&self) -> bool {
        let base = self.job.spec.tree.as_ref().map(|tree| tree.base.as_str());
        base == Some(self.candidate.tip.as_str())
    }

    /// The files that were left out of it.
    pub(super) fn dropped(&self) -> Vec<String> {
        let dropped = self.outside.as_ref().filter(|found| found.fate == Outside::Drop);
        dropped.map(Found::names).unwrap_or_default()
    }
}

/// Commits of others that a job was started from and the target has not.
#[derive(Clone, Debug)]
pub(super) struct Base {
    /// Which.
    pub(super) foreign: Foreign,
    /// What becomes of them.
    pub(super) others: Others,
    /// The job whose own work they are, where the first branch that has them is a job's.
    pub(super) of: Option<String>,
    /// No branch has them, and the target had them before: somebody has amended or
    /// rebased it since.
    pub(super) is_rewritten: bool,
}

/// What becomes of commits of others that a job was started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// They land with it.
    Brought,
    /// It lands without them.
    LeftOut,
    /// It is held back for them.
    HeldBack,
}

/// A job whose branch is part of another one's.
#[derive(Clone, Debug)]
pub(super) struct Along {
    pub(super) job: Job,
    /// Its branch as it is now, or its last commit where that is gone.
    pub(super) tip: Oid,
}

/// What becomes of changes outside of a job's scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outside {
    /// The job lands without them.
    Drop,
    /// The job lands whole.
    Keep,
    /// The job is held back.
    #[default]
    Refuse,
}

/// What was found outside of a job's scope.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The files, relative to the root.
    pub(super) paths: Vec<PathBuf>,
    /// What became of them.
    pub(super) fate: Outside,
    /// How many files are changed without them, where they were left out.
    pub(super) files_left: Option<u64>,
    /// The job that changed them, where it is another one, which came along.
    pub(super) of: Option<String>,
}

impl Found {
    /// The files, as people write them.
    pub(super) fn names(&self) -> Vec<String> {
        self.paths.iter().map(|path| path.display().to_string()).collect()
    }
}
