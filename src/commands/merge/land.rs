//! From a plan to the branch, and to the ledger.

use super::{failure, report::Row};
use crate::{
    commands::session::{Session, store},
    failure::Failure,
    git::{
        Oid, Place,
        merge::{self, Landing, MergePlan, Step, Target},
    },
    ledger::{Event, Job, Merged},
    process::crash,
};

/// Moves the target, and the checkout that has it, to the plan's result.
pub(super) fn land(
    session: &Session,
    place: &Place,
    target: &Target,
    plan: &MergePlan,
    rows: &[Row],
) -> Result<(), Failure> {
    let landed: Vec<&str> =
        rows.iter().filter(|row| row.result == "merged").map(|row| row.name.as_str()).collect();
    merge::land(&Landing {
        place,
        target,
        result: &plan.result,
        state: session.store.dir(),
        why: &format!("cx merge: {}", landed.join(", ")),
        at: &|step| crash::point(step_name(step)),
    })
    .map_err(failure)?;
    crash::point("landed");
    Ok(())
}

/// Writes into the ledger what became of `job`, of which `tip` was merged.
pub(super) fn mark(
    session: &Session,
    job: &Job,
    row: &Row,
    tip: &Oid,
    into: &str,
) -> Result<(), Failure> {
    let tip = tip.as_str().to_owned();
    let commit = match row.result {
        "merged" => row.commit.clone().unwrap_or_default(),
        // By hand, or by a merge that was killed before it could say so.
        "already-merged" if job.is_unmerged() => tip.clone(),
        _ => return Ok(()),
    };
    let merged = Merged { into: into.to_owned(), commit, tip };
    session.store.append(job.job, &Event::Merged(merged)).map_err(store)
}

fn step_name(step: Step) -> &'static str {
    match step {
        Step::Journal => "merge-journal",
        Step::Locked => "merge-locked",
        Step::Files => "merge-files",
        Step::Moved => "merge-moved",
        Step::Index => "merge-index",
    }
}
