//! A writer's branch, whatever a person has done to it by hand meanwhile.

use super::session::{git, label};
use crate::{
    failure::Failure,
    git::{Oid, Repo},
    ledger::Job,
    ui,
};

/// The tip that counts: of the branch as it is now, or the last that the ledger
/// knows where it is gone, which is said; or a sentence that says why there is none.
pub(super) fn branch_now(repo: &Repo, job: &Job) -> Result<Result<Oid, String>, Failure> {
    let ended_at = job.exited.as_ref().and_then(|exited| exited.tip.as_ref());
    let ended_at = ended_at.and_then(|tip| Oid::new(tip).ok());
    let label = label(job);
    let Some((tree, branch)) = job.spec.branch() else {
        return Ok(Err(format!("{label}: the ledger knows no branch of it")));
    };
    let now = repo.branch_tip(branch).map_err(git)?;
    let last = ended_at.or_else(|| Oid::new(&tree.base).ok());
    Ok(match (now, last) {
        (Some(now), Some(last)) if now != last => {
            ui::note(format_args!(
                "{label}: {branch} was moved after its end from {} to {}, which is what counts",
                last.short(),
                now.short()
            ));
            Ok(now)
        }
        (Some(now), _) => Ok(now),
        (None, Some(last)) if repo.resolve_commit(last.as_str()).is_ok() => {
            ui::note(format_args!(
                "{label}: {branch} was deleted by hand; its last commit {} is still there and counts",
                last.short()
            ));
            Ok(last)
        }
        (None, _) => {
            Err(format!("{label}, whose {branch} was deleted by hand, and its commits too"))
        }
    })
}
