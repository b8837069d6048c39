//! Which jobs a merge takes, and what of them.

use super::MergeArgs;
use crate::{
    commands::{
        session::{Session, git, label},
        view,
    },
    failure::Failure,
    git::{
        CommitMessage, Oid, Repo,
        merge::{Candidate, Target},
    },
    job::Mode,
    ledger::Job,
    ui,
};

/// The jobs that are named; all finished and unmerged writers that succeeded if
/// none is.
pub(super) fn wanted(session: &Session, args: &MergeArgs) -> Result<Vec<Job>, Failure> {
    if args.jobs.is_empty() {
        let state = session.state()?;
        let (well, ill): (Vec<_>, Vec<_>) = state
            .jobs
            .into_values()
            .filter(|job| job.is_unmerged() && session.in_run(job))
            .partition(Job::succeeded);
        for job in &ill {
            let status = view::status(job);
            ui::note(format_args!(
                "left out {}, which is {status}; `cx diff {1}` shows its work, `cx merge {1}` takes it all the same",
                label(job),
                job.spec.name
            ));
        }
        return Ok(well);
    }
    let jobs = session.jobs(&args.jobs)?;
    for job in &jobs {
        let name = &job.spec.name;
        if job.spec.mode == Mode::Reader {
            return Err(Failure::usage(format!(
                "{} is a reader and has no branch to merge",
                label(job)
            )));
        }
        if job.is_live() {
            return Err(Failure::usage(format!(
                "{} is not over yet; nothing was merged",
                label(job)
            ))
            .hint(format!("cx wait {name} && cx merge {name}")));
        }
        if job.tree_gone {
            return Err(Failure::usage(format!(
                "{} was cleaned, and its branch with it; nothing was merged",
                label(job)
            )));
        }
    }
    Ok(jobs)
}

/// A job as something to merge: its branch as it is now, since a person may have
/// mended it after the job. Where it is gone it is the tip that the ledger knows.
pub(super) fn candidate(repo: &Repo, job: &Job, target: &Target) -> Result<Candidate, Failure> {
    let exited = job.exited.as_ref();
    let tree = job.spec.tree.as_ref();
    let known = exited.and_then(|e| e.tip.as_ref()).or(tree.map(|t| &t.base));
    let branch = match tree {
        Some(tree) => repo.branch_tip(&tree.branch).map_err(git)?,
        None => None,
    };
    let tip = branch.or_else(|| known.and_then(|tip| Oid::new(tip).ok())).ok_or_else(|| {
        Failure::internal(format!("the ledger does not know the tip of {}", label(job)))
    })?;
    let mut trailers = vec![
        ("Cx-Job".to_owned(), format!("{} {}", job.job.0, job.spec.name)),
        ("Cx-Backend".to_owned(), job.spec.backend.to_string()),
    ];
    trailers.extend(job.spec.agent.iter().map(|agent| ("Cx-Agent".to_owned(), agent.clone())));
    let branch = tree.map_or("", |tree| &tree.branch);
    let message = CommitMessage {
        subject: format!("Merge branch '{branch}' into {}", target.branch),
        body: job.spec.title.clone(),
        trailers,
    };
    Ok(Candidate { key: job.spec.name.to_string(), tip, message })
}
