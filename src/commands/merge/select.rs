//! Which jobs a merge takes, and what of them.

use super::{MergeArgs, along::along, chosen::Chosen};
use crate::{
    commands::{
        branch::branch_now,
        session::{Session, git, label},
        view,
    },
    failure::{Exit, Failure},
    git::{
        CommitMessage, Oid, Repo,
        merge::{Candidate, Start, Style, Target},
    },
    job::{JobId, Mode},
    ledger::{Job, State},
    ui,
};

/// The jobs that are named; all finished and unmerged writers that succeeded if
/// none is.
pub(super) fn wanted(session: &Session, args: &MergeArgs) -> Result<Vec<Job>, Failure> {
    if args.jobs.is_empty() {
        let state = session.state()?;
        let (mut well, ill): (Vec<Job>, Vec<Job>) = state
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
        // A job whose conflict somebody has resolved comes with that.
        let resolved: Vec<JobId> =
            well.iter().filter_map(|job| Some(job.spec.resolves.as_ref()?.job)).collect();
        well.retain(|job| !resolved.contains(&job.job));
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
        if let Some(next) = job.went_on {
            return Err(Failure::usage(format!(
                "{} went on as {next}, which has its branch; nothing was merged",
                label(job)
            ))
            .hint(format!("cx merge {next}")));
        }
        if job.never_started() {
            let label = label(job);
            return Err(Failure::usage(format!(
                "{label} never started and has no branch; nothing was merged"
            )));
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

/// Finds what of each job is to be merged: its branch as it is now, and where
/// the branch is gone the tip that the ledger knows. Either is said.
///
/// Where nothing of a job is left it is an error if the job was named, and said
/// otherwise.
pub(super) fn chosen(
    session: &Session,
    repo: &Repo,
    target: &Target,
    args: &MergeArgs,
    style: Style,
    jobs: Vec<Job>,
) -> Result<Vec<Chosen>, Failure> {
    let mut chosen = Vec::new();
    for job in jobs {
        let ended_at = job.exited.as_ref().and_then(|exited| exited.tip.as_ref());
        let ended_at = ended_at.and_then(|tip| Oid::new(tip).ok());
        if args.jobs.is_empty() && is_given_up(repo, target, &job, ended_at.as_ref())? {
            ui::note(format_args!(
                "left out {}, whose branch was deleted by hand; `cx merge {}` takes its last commit all the same",
                label(&job),
                job.spec.name
            ));
            continue;
        }
        match branch_now(repo, &job)? {
            Ok(tip) => {
                let branch_tip = tip.clone();
                let candidate = candidate(&job, target, tip, args, style);
                chosen.push(Chosen {
                    job,
                    candidate,
                    branch_tip,
                    ended_at,
                    outside: None,
                    base: None,
                    along: Vec::new(),
                });
            }
            Err(why) if args.jobs.is_empty() => ui::warn(format_args!("left out {why}")),
            Err(why) => {
                return Err(Failure::new(Exit::Failed, format!("{why}; nothing was merged")));
            }
        }
    }
    if chosen.iter().any(|one| !one.job.spec.after.is_empty()) {
        let history = session.history()?;
        for one in &mut chosen {
            one.along = along(repo, target, &history, one)?;
            one.candidate.start = start(repo, &target.tip, &history, &one.job)?;
        }
    }
    Ok(chosen)
}

/// Whether a person has deleted its branch, with commits that the target has not:
/// that says that they are not wanted.
fn is_given_up(
    repo: &Repo,
    target: &Target,
    job: &Job,
    ended_at: Option<&Oid>,
) -> Result<bool, Failure> {
    let Some((_, branch)) = job.spec.branch() else { return Ok(false) };
    if repo.branch_exists(branch).map_err(git)? {
        return Ok(false);
    }
    match ended_at.filter(|tip| repo.resolve_commit(tip.as_str()).is_ok()) {
        Some(tip) => Ok(!repo.is_ancestor(tip, &target.tip).map_err(git)?),
        None => Ok(false),
    }
}

/// Where a job's own work begins, if that is not where the branch left the target,
/// which is at `target`.
pub(in crate::commands) fn start(
    repo: &Repo,
    target: &Oid,
    history: &State,
    job: &Job,
) -> Result<Option<Start>, Failure> {
    let (Some(based), Some((tree, _))) = (&job.based, job.spec.branch()) else { return Ok(None) };
    let base = Oid::new(&tree.base).map_err(|e| Failure::internal(e.to_string()))?;
    let mut is_in = true;
    for id in &based.of {
        let merged = history.jobs.get(id).and_then(|job| job.merged.as_ref());
        let commit = merged.and_then(|merged| repo.resolve_commit(&merged.commit).ok());
        is_in &= match commit {
            Some(commit) => repo.is_ancestor(&commit, target).map_err(git)?,
            None => false,
        };
    }
    Ok(Some(Start { base, is_in, alone: false }))
}

/// A job as something to merge.
fn candidate(job: &Job, target: &Target, tip: Oid, args: &MergeArgs, style: Style) -> Candidate {
    let mut trailers = vec![
        ("Cx-Job".to_owned(), format!("{} {}", job.job.0, job.spec.name)),
        ("Cx-Backend".to_owned(), job.spec.backend.to_string()),
    ];
    trailers.extend(job.spec.agent.iter().map(|agent| ("Cx-Agent".to_owned(), agent.clone())));
    let branch = job.spec.branch().map_or("", |(_, branch)| branch);
    let words = args.message.join("\n\n");
    let (subject, body) = match words.split_once('\n') {
        // One ordinary commit says what it does, not where it comes from.
        _ if words.trim().is_empty() && style == Style::Squash => {
            (ui::cut(&job.spec.title, 72), String::new())
        }
        _ if words.trim().is_empty() => {
            (format!("Merge branch '{branch}' into {}", target.branch), job.spec.title.clone())
        }
        Some((subject, body)) => (subject.to_owned(), body.to_owned()),
        None => (words, String::new()),
    };
    let message = CommitMessage { subject, body, trailers };
    Candidate { key: job.spec.name.to_string(), tip, start: None, message }
}
