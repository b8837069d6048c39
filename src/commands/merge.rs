//! `cx merge`

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::session::{Session, git, label, refuse_in_worker, store};
use crate::{
    failure::{Exit, Failure},
    git::{
        CommitMessage, Oid, Place, Repo,
        merge::{
            self, Candidate, Landing, MergeError, Opponent, Recovered, Step, Style, Target, Verdict,
        },
    },
    job::{JobId, Mode},
    ledger::{Event, Job, Merged},
    process::crash,
    ui,
};

/// Merge the branches of finished writers, all that merge, at once
///
/// Everything is tried in memory first, with git's own merge. A job that
/// conflicts is held back and named, with its paths and its opponent; the others
/// land. The checkout, the index and the branch change once, at the end, and
/// only if the branch has not moved meanwhile. Local changes that would be
/// overwritten: nothing is merged. The exit code is 1 when something was held
/// back or there was nothing to merge.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The jobs, merged in this order; all finished and unmerged writers that succeeded if none is named
    #[arg(value_name = "JOB", add = super::completions::finished_writer())]
    jobs: Vec<String>,

    /// Merge into this branch; it is made from HEAD if it does not exist
    #[arg(long, value_name = "BRANCH", add = super::completions::branch())]
    into: Option<String>,

    /// One ordinary commit for each job
    #[arg(long, conflicts_with_all = ["rebase", "no_ff"])]
    squash: bool,

    /// Each job's commits again, on top of the branch
    #[arg(long, conflicts_with = "no_ff")]
    rebase: bool,

    /// A merge commit also where the branch could simply move forward
    #[arg(long)]
    no_ff: bool,

    /// Say what would happen; change nothing
    #[arg(long)]
    dry_run: bool,

    /// Say it as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    into: String,
    before: String,
    after: String,
    dry_run: bool,
    jobs: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    job: JobId,
    name: String,
    /// `merged`, `already-merged`, `no-changes`, `conflict`, `unrelated`, `rebase-loses`.
    result: &'static str,
    commit: Option<String>,
    conflicts: Vec<ConflictRow>,
    /// Jobs that it collides with; empty: with the branch itself.
    with: Vec<String>,
}

#[derive(Serialize)]
struct ConflictRow {
    path: String,
    kind: String,
}

/// Runs the verb.
pub fn run(args: &MergeArgs) -> Result<Exit, Failure> {
    refuse_in_worker("merge")?;
    let session = Session::open()?;
    let place = session.repository("merge")?;
    recover(&session, place)?;
    let jobs = wanted(&session, args)?;
    let repo = Repo::open(place);
    if jobs.is_empty() {
        ui::note("nothing to merge: no finished writer has unmerged commits");
        if args.json {
            let target = Target::find(&repo, args.into.as_deref()).map_err(failure)?;
            report(args, &[], &[], &target, &target.tip)?;
        }
        return Ok(Exit::Failed);
    }
    let target = Target::find(&repo, args.into.as_deref()).map_err(failure)?;
    let candidates =
        jobs.iter().map(|job| candidate(&repo, job, &target)).collect::<Result<Vec<_>, _>>()?;
    let style = match (args.squash, args.rebase, args.no_ff) {
        (true, ..) => Style::Squash,
        (_, true, _) => Style::Rebase,
        (.., true) => Style::NoFf,
        _ => Style::Merge,
    };
    let plan = merge::plan(&repo, &target.tip, &candidates, style).map_err(git)?;
    let rows: Vec<Row> =
        jobs.iter().zip(&plan.entries).map(|(job, entry)| row(job, &entry.verdict)).collect();
    if plan.lands_something() && !args.dry_run {
        let landed: Vec<&str> =
            rows.iter().filter(|row| row.result == "merged").map(|row| row.name.as_str()).collect();
        merge::land(&Landing {
            place,
            target: &target,
            result: &plan.result,
            state: session.store.dir(),
            why: &format!("cx merge: {}", landed.join(", ")),
            at: &|step| crash::point(step_name(step)),
        })
        .map_err(failure)?;
        crash::point("landed");
    }
    if !args.dry_run {
        for ((job, row), candidate) in jobs.iter().zip(&rows).zip(&candidates) {
            mark(&session, job, row, &candidate.tip, &target.branch)?;
        }
    }
    report(args, &jobs, &rows, &target, &plan.result)?;
    let held =
        rows.iter().any(|row| !matches!(row.result, "merged" | "already-merged" | "no-changes"));
    Ok(if held { Exit::Failed } else { Exit::Success })
}

/// Finishes or takes back a merge that was cut short.
fn recover(session: &Session, place: &Place) -> Result<(), Failure> {
    match merge::recover(place, session.store.dir()).map_err(failure)? {
        None => {}
        Some(Recovered::Finished { branch }) => {
            ui::note(format_args!("finished an earlier merge into {branch} that was cut short"));
        }
        Some(Recovered::RolledBack { branch }) => {
            ui::note(format_args!("took back an earlier merge into {branch} that was cut short"));
        }
    }
    Ok(())
}

fn wanted(session: &Session, args: &MergeArgs) -> Result<Vec<Job>, Failure> {
    if args.jobs.is_empty() {
        let state = session.state()?;
        let (well, ill): (Vec<_>, Vec<_>) = state
            .jobs
            .into_values()
            .filter(|job| job.is_unmerged() && session.in_run(job))
            .partition(Job::succeeded);
        for job in &ill {
            let status = super::view::status(job);
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

/// What is merged is the branch as it is now: a person may have mended it after
/// the job. Where it is gone it is the tip that the ledger knows.
fn candidate(repo: &Repo, job: &Job, target: &Target) -> Result<Candidate, Failure> {
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

fn row(job: &Job, verdict: &Verdict) -> Row {
    let (result, commit) = match verdict {
        Verdict::Landed { commit } => ("merged", Some(commit.as_str().to_owned())),
        Verdict::Conflicts { .. } => ("conflict", None),
        Verdict::AlreadyContained => ("already-merged", None),
        Verdict::NoChanges => ("no-changes", None),
        Verdict::Unrelated => ("unrelated", None),
        Verdict::RebaseLoses => ("rebase-loses", None),
    };
    let (mut conflicts, mut with) = (Vec::new(), Vec::new());
    if let Verdict::Conflicts { paths, opponent } = verdict {
        conflicts = paths
            .iter()
            .map(|c| ConflictRow { path: c.path.display().to_string(), kind: c.kind.clone() })
            .collect();
        if let Opponent::Candidates(names) = opponent {
            with.clone_from(names);
        }
    }
    Row { job: job.job, name: job.spec.name.to_string(), result, commit, conflicts, with }
}

fn mark(session: &Session, job: &Job, row: &Row, tip: &Oid, into: &str) -> Result<(), Failure> {
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

fn report(
    args: &MergeArgs,
    jobs: &[Job],
    rows: &[Row],
    target: &Target,
    result: &Oid,
) -> Result<(), Failure> {
    let mut out = ui::out();
    if args.json {
        out.json(&Report {
            into: target.branch.clone(),
            before: target.tip.as_str().to_owned(),
            after: result.as_str().to_owned(),
            dry_run: args.dry_run,
            jobs: rows
                .iter()
                .map(|row| Row {
                    job: row.job,
                    name: row.name.clone(),
                    result: row.result,
                    commit: row.commit.clone(),
                    conflicts: row
                        .conflicts
                        .iter()
                        .map(|c| ConflictRow { path: c.path.clone(), kind: c.kind.clone() })
                        .collect(),
                    with: row.with.clone(),
                })
                .collect(),
        })?;
        return out.finish();
    }
    for (job, row) in jobs.iter().zip(rows) {
        out.line(format_args!("{} {}", label(job), sentence(job, row, target, args.dry_run)))?;
        for conflict in &row.conflicts {
            out.line(format_args!("      {} ({})", conflict.path, conflict.kind))?;
        }
    }
    out.finish()?;
    for row in rows.iter().filter(|row| row.result == "conflict") {
        let path =
            jobs.iter().find(|job| job.job == row.job).and_then(|job| job.spec.tree.as_ref());
        let mut hint = format!("to bring {} in: ", row.name);
        if let Some(tree) = path {
            let _ = write!(hint, "git merge {}", tree.branch);
        }
        hint.push_str(", resolve, commit; then `cx clean` takes its worktree");
        ui::note(hint);
    }
    Ok(())
}

fn sentence(job: &Job, row: &Row, target: &Target, dry_run: bool) -> String {
    let into = &target.branch;
    match row.result {
        "merged" => {
            let exited = job.exited.as_ref();
            let commits = ui::plural(exited.map_or(0, |e| e.commits), "commit");
            let files = ui::plural(exited.map_or(0, |e| e.files), "file");
            let verb = if dry_run { "would merge into" } else { "merged into" };
            format!("{verb} {into} ({commits}, {files})")
        }
        "already-merged" => format!("is in {into} already"),
        "no-changes" => "has nothing to merge".to_owned(),
        "unrelated" => format!("held back: it has no common history with {into}"),
        "rebase-loses" => {
            "held back: its merges hold changes that a rebase would lose; merge it without --rebase"
                .to_owned()
        }
        _ if row.with.is_empty() => format!("held back: conflicts with {into} in"),
        _ => format!("held back: conflicts with {} in", row.with.join(", ")),
    }
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

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failure(error: MergeError) -> Failure {
    let exit = match &error {
        MergeError::Detached | MergeError::BadBranch(_) => Exit::Usage,
        MergeError::Git(_) => Exit::Internal,
        _ => Exit::Failed,
    };
    Failure::new(exit, format!("{error}; nothing was merged")).maybe_hint(error.hint())
}
