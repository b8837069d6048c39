//! The jobs that come one from another: what one that goes on, or does a task again, is
//! called, and what was said in a conversation.

use std::collections::BTreeSet;

use crate::{
    job::{JobId, JobName},
    ledger::{Job, State},
};

/// The name of the first of them, and all the names that they have. A name that a
/// person chose on the way is a new beginning.
pub(super) struct Kin {
    pub(super) root: JobName,
    pub(super) names: BTreeSet<String>,
}

impl Kin {
    /// Those of `job`, and `job` itself.
    pub(super) fn of(history: &State, job: &Job) -> Self {
        let mut line: Vec<&Job> =
            std::iter::successors(Some(job), |job| before(history, job)).collect();
        line.reverse();
        let mut root = line.first().map_or(&job.spec.name, |first| &first.spec.name);
        for job in &line {
            if !is_numbered(job.spec.name.as_str(), root.as_str()) {
                root = &job.spec.name;
            }
        }
        let mut all: BTreeSet<JobId> = line.iter().map(|job| job.job).collect();
        for other in history.jobs.values() {
            if before(history, other).is_some_and(|before| all.contains(&before.job)) {
                all.insert(other.job);
            }
        }
        let names = all.iter().filter_map(|id| history.jobs.get(id));
        let names = names.chain([job]).map(|job| job.spec.name.as_str().to_owned()).collect();
        Self { root: root.clone(), names }
    }
}

/// The job that this one goes on from, or whose task it does again.
fn before<'a>(history: &'a State, job: &Job) -> Option<&'a Job> {
    let before = job.spec.resumes.as_ref().map(|resumes| resumes.job).or(job.spec.repeats)?;
    // Numbers only grow, so this ends whatever the ledger says.
    history.jobs.get(&before).filter(|before| before.job < job.job)
}

/// The jobs before `job` in its conversation and that itself, the first one first.
pub(super) fn turns<'a>(history: &'a State, job: &'a Job) -> Vec<&'a Job> {
    let said_before = |job: &&'a Job| {
        let resumes = job.spec.resumes.as_ref().filter(|resumes| !resumes.anew)?;
        history.jobs.get(&resumes.job).filter(|before| before.job < job.job)
    };
    let mut turns: Vec<&Job> = std::iter::successors(Some(job), said_before).collect();
    turns.reverse();
    turns
}

/// Whether `name` is `root`, or that with a number.
fn is_numbered(name: &str, root: &str) -> bool {
    let Some(rest) = name.strip_prefix(root) else { return false };
    let number = rest.strip_prefix('-').unwrap_or_default();
    rest.is_empty() || (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_a_name_may_have_more() {
        for (name, is) in [
            ("w", true),
            ("w-2", true),
            ("w-13", true),
            ("w2", false),
            ("w-", false),
            ("w-2-2", false),
            ("x", false),
        ] {
            assert_eq!(is_numbered(name, "w"), is, "{name}");
        }
    }
}
