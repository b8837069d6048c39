//! What a check has held back is remembered: a merge without a check leaves it
//! out, unless it is named or its branch has moved on.

use super::{chosen::Chosen, land::append};
use crate::{
    commands::session::Session,
    failure::Failure,
    git::merge::{MergePlan, Verdict},
    job::JobId,
    ledger::{Event, Held},
};

/// Parts those that may land without a check from those that one held back.
pub(super) fn gate(chosen: Vec<Chosen>) -> (Vec<Chosen>, Vec<Chosen>) {
    chosen.into_iter().partition(|one| {
        let held = one.job.held.as_ref();
        held.is_none_or(|held| held.tip != one.branch_tip.as_str())
    })
}

/// Writes down whom the check `command` held back.
pub(super) fn remember(
    session: &Session,
    chosen: &[Chosen],
    plan: &MergePlan,
    command: &str,
) -> Result<(), Failure> {
    let mut events: Vec<(JobId, Event)> = Vec::new();
    for (one, entry) in chosen.iter().zip(&plan.entries) {
        let held = Held {
            by: "check".to_owned(),
            command: command.to_owned(),
            tip: one.branch_tip.to_string(),
        };
        let is_red = matches!(entry.verdict, Verdict::Red { .. });
        if is_red && one.job.held.as_ref() != Some(&held) {
            events.push((one.job.job, Event::Held(held)));
        }
    }
    append(session, &events)
}
