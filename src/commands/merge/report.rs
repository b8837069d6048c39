//! What a merge says: rows for people and scripts.

use std::fmt::Write as _;

use serde::Serialize;

use super::MergeArgs;
use crate::{
    commands::session::label,
    failure::Failure,
    git::{
        Oid,
        merge::{Opponent, Target, Verdict},
    },
    job::JobId,
    ledger::Job,
    ui,
};

#[derive(Serialize)]
pub(super) struct Report {
    pub(super) into: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) dry_run: bool,
    pub(super) jobs: Vec<Row>,
}

#[derive(Serialize)]
pub(super) struct Row {
    pub(super) job: JobId,
    pub(super) name: String,
    /// `merged`, `already-merged`, `no-changes`, `conflict`, `unrelated`, `rebase-loses`.
    pub(super) result: &'static str,
    pub(super) commit: Option<String>,
    pub(super) conflicts: Vec<ConflictRow>,
    /// Jobs that it collides with; empty: with the branch itself.
    pub(super) with: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct ConflictRow {
    pub(super) path: String,
    pub(super) kind: String,
}

/// What became of `job`.
pub(super) fn row(job: &Job, verdict: &Verdict) -> Row {
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

/// Says it.
pub(super) fn report(
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
