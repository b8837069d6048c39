//! What a merge says: rows for people and scripts.

use std::path::Path;

use serde::Serialize;

use super::{
    MergeArgs,
    chosen::{Base, Chosen, Found, Others, Outside},
};
use crate::{
    commands::{check::Try, session::label, spawn::Launched, view},
    failure::Failure,
    git::{
        Oid,
        merge::{Foreign, Opponent, Target, Verdict},
    },
    job::JobId,
    ledger::Job,
    ui,
};

#[derive(Serialize)]
struct Report<'a> {
    into: String,
    before: String,
    after: String,
    dry_run: bool,
    /// The merge makes the branch.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    makes: bool,
    jobs: &'a [Row],
    /// What `--verify` ran.
    #[serde(skip_serializing_if = "<[Try]>::is_empty")]
    verify: &'a [Try],
}

#[derive(Serialize)]
pub(super) struct Row {
    pub(super) job: JobId,
    pub(super) name: String,
    /// `merged`, `merged-along`, `already-merged`, `no-changes`, `conflict`, `unrelated`,
    /// `rebase-loses`, `not-forward`, `refused`, `git-died`, `in-the-way`, `red`,
    /// `red-together`, `red-on-top`, `red-before`, `outside-scope`, `foreign-base`, `unsigned`,
    /// `submodule-commit`.
    pub(super) result: &'static str,
    pub(super) commit: Option<String>,
    pub(super) conflicts: Vec<ConflictRow>,
    /// Files that it changes outside of its scope.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) outside: Vec<String>,
    /// What `--outside` made of them: `drop`, `keep`, `refuse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outside_fate: Option<&'static str>,
    /// How many files it changes still, where these were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) files_left: Option<u64>,
    /// The job whose work it brings along, where these files are that one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outside_of: Option<String>,
    /// The hook that refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hook: Option<&'static str>,
    /// Jobs that it collides with; empty: with the branch itself.
    pub(super) with: Vec<String>,
    /// Jobs whose work its branch brings along, which they are not needed for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) along: Vec<String>,
    /// Commits of others that it was started from and the branch has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) base: Option<BaseRow>,
    /// Who resolves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resolver: Option<ResolverRow>,
}

impl Row {
    /// Whether it is held back by a conflict that editing files can resolve.
    pub(super) fn is_resolvable(&self) -> bool {
        self.result == "conflict" && !self.is_case_only()
    }

    fn is_case_only(&self) -> bool {
        self.conflicts.iter().all(|conflict| conflict.kind == "case")
    }
}

#[derive(Serialize)]
pub(super) struct BaseRow {
    /// How many.
    commits: usize,
    /// Their messages' first lines, the newest first; of five at most.
    subjects: Vec<String>,
    /// Branches that hold them all.
    branches: Vec<String>,
    /// `brought`, `left-out`, `held-back`.
    fate: &'static str,
    /// The job whose work they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// The target had them before it was amended, rebased or reset.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rewritten: bool,
}

impl From<&Base> for BaseRow {
    fn from(base: &Base) -> Self {
        let Foreign { subjects, branches, .. } = &base.foreign;
        Self {
            commits: subjects.len(),
            subjects: subjects.iter().take(5).cloned().collect(),
            branches: branches.clone(),
            of: base.of.clone(),
            rewritten: base.is_rewritten,
            fate: match base.others {
                Others::Brought => "brought",
                Others::LeftOut => "left-out",
                Others::HeldBack => "held-back",
            },
        }
    }
}

impl BaseRow {
    /// `2 commits of others, which feature has`.
    fn shown(&self, into: &str) -> String {
        let count = ui::plural(self.commits as u64, "commit");
        if self.rewritten {
            return format!("{count} that {into} had before");
        }
        let of = self.branches.first().map(|branch| format!(", which {branch} has"));
        format!("{count} of others{}", of.unwrap_or_default())
    }
}

#[derive(Serialize)]
pub(super) struct ResolverRow {
    job: JobId,
    name: String,
}

impl From<Launched> for ResolverRow {
    fn from(started: Launched) -> Self {
        Self { job: started.id, name: started.spec.name.to_string() }
    }
}

#[derive(Serialize)]
pub(super) struct ConflictRow {
    pub(super) path: String,
    pub(super) kind: String,
}

/// What a gate says of a job that it holds back.
pub(super) fn held(one: &Chosen, result: &'static str) -> Row {
    Row { result, commit: None, ..row(one, &Verdict::NoChanges) }
}

/// What became of a job.
pub(super) fn row(one: &Chosen, verdict: &Verdict) -> Row {
    let (result, commit) = match verdict {
        Verdict::Landed { commit } => ("merged", Some(commit.as_str().to_owned())),
        Verdict::Conflicts { .. } => ("conflict", None),
        // Its branch holds nothing, and it did not end well: that is no merge.
        Verdict::AlreadyContained if one.job.is_empty_handed() && one.is_at_base() => {
            ("no-work", None)
        }
        // It has succeeded, and had nothing to change.
        Verdict::AlreadyContained
            if one.is_at_base() && one.job.exited.as_ref().is_some_and(|e| e.commits == 0) =>
        {
            ("no-changes", None)
        }
        Verdict::AlreadyContained => ("already-merged", None),
        Verdict::NoChanges => ("no-changes", None),
        Verdict::Unrelated => ("unrelated", None),
        Verdict::RebaseLoses => ("rebase-loses", None),
        Verdict::NotForward => ("not-forward", None),
        Verdict::Refused { .. } => ("refused", None),
        Verdict::GitDied { .. } => ("git-died", None),
        Verdict::InTheWay { .. } => ("in-the-way", None),
        Verdict::Red { with, .. } if !with.is_empty() => ("red-together", None),
        Verdict::Red { on, .. } if !on.is_empty() => ("red-on-top", None),
        Verdict::Red { .. } => ("red", None),
    };
    let (mut conflicts, mut with) = (Vec::new(), Vec::new());
    if let Verdict::Conflicts { paths, .. } | Verdict::InTheWay { paths, .. } = verdict {
        conflicts = paths
            .iter()
            .map(|c| ConflictRow { path: c.path.display().to_string(), kind: c.kind.clone() })
            .collect();
    }
    if let Verdict::Conflicts { opponent: Opponent::Candidates(names), .. } = verdict {
        with.clone_from(names);
    }
    if let Verdict::Red { with: others, on } = verdict {
        with.extend(others.iter().chain(on).cloned());
    }
    let hook = match verdict {
        Verdict::Refused { hook } => Some(*hook),
        _ => None,
    };
    let fate = one.outside.as_ref().map(|found| match found.fate {
        Outside::Drop => "drop",
        Outside::Keep => "keep",
        Outside::Refuse => "refuse",
    });
    Row {
        job: one.job.job,
        name: one.job.spec.name.to_string(),
        result,
        commit,
        conflicts,
        outside: one.outside.as_ref().map(Found::names).unwrap_or_default(),
        outside_fate: fate,
        files_left: one.outside.as_ref().and_then(|found| found.files_left),
        outside_of: one.outside.as_ref().and_then(|found| found.of.clone()),
        hook,
        with,
        along: Vec::new(),
        base: one.base.as_ref().map(BaseRow::from),
        resolver: None,
    }
}

/// Has each job that landed say whose work it brought, and each of those that
/// were chosen too, that it came with it.
pub(super) fn say_along(chosen: &[Chosen], rows: &mut [Row]) {
    let merged: Vec<JobId> =
        rows.iter().filter(|row| row.result == "merged").map(|row| row.job).collect();
    for (one, row) in chosen.iter().zip(rows.iter_mut()) {
        if row.result == "merged" {
            let along = one.along.iter().filter(|along| !merged.contains(&along.job.job));
            row.along = along.map(|along| along.job.spec.name.to_string()).collect();
        }
    }
    let came: Vec<(String, String)> = rows
        .iter()
        .flat_map(|row| row.along.iter().map(|name| (name.clone(), row.name.clone())))
        .collect();
    for row in rows {
        if row.result == "already-merged"
            && let Some((_, with)) = came.iter().find(|(name, _)| *name == row.name)
        {
            row.result = "merged-along";
            row.with.push(with.clone());
        }
    }
}

/// Says it.
pub(super) fn report(
    args: &MergeArgs,
    chosen: &[Chosen],
    rows: &[Row],
    target: &Target,
    result: &Oid,
    verify: &[Try],
) -> Result<(), Failure> {
    let mut out = ui::out();
    if args.json {
        out.json(&Report {
            into: target.branch.clone(),
            before: target.tip.as_str().to_owned(),
            after: result.as_str().to_owned(),
            dry_run: args.dry_run,
            makes: target.is_new && result != &target.tip,
            jobs: rows,
            verify,
        })?;
        return out.finish();
    }
    if target.is_new && result != &target.tip {
        let verb = if args.dry_run { "would be made" } else { "was made" };
        ui::note(format_args!("{} {verb}, from {}", target.branch, target.tip.short()));
    }
    for (one, row) in chosen.iter().zip(rows) {
        let sentence = sentence(&one.job, row, target, args.dry_run);
        out.line(format_args!("{} {sentence}", label(&one.job)))?;
        for conflict in &row.conflicts {
            out.line(format_args!("      {} ({})", conflict.path, conflict.kind))?;
        }
        if matches!(row.result, "merged" | "outside-scope") {
            for path in &row.outside {
                out.line(format_args!("      {path}"))?;
            }
        }
        if let Some(base) =
            row.base.as_ref().filter(|_| matches!(row.result, "merged" | "foreign-base"))
        {
            for subject in &base.subjects {
                out.line(format_args!("      {}", ui::cut(subject, 72)))?;
            }
            if base.commits > base.subjects.len() {
                out.line(format_args!("      and {} more", base.commits - base.subjects.len()))?;
            }
        }
    }
    out.finish()?;
    for (one, row) in chosen.iter().zip(rows) {
        if let Some(next) = next(one, row) {
            ui::note(next);
        }
    }
    Ok(())
}

fn sentence(job: &Job, row: &Row, target: &Target, dry_run: bool) -> String {
    let into = &target.branch;
    match row.result {
        "merged" => {
            let exited = job.exited.as_ref();
            let whole = exited.map_or(0, |e| e.files);
            let commits = ui::plural(exited.map_or(0, |e| e.commits), "commit");
            let files = ui::plural(row.files_left.unwrap_or(whole), "file");
            let verb = if dry_run { "would merge into" } else { "merged into" };
            let count = ui::plural(row.outside.len() as u64, "file");
            let outside = match row.outside_fate {
                Some("drop") => format!(" without what it changed outside of its scope, {count}:"),
                Some(_) => format!(" with what it changed outside of its scope, {count}:"),
                None => String::new(),
            };
            let along = match row.along.as_slice() {
                [] => String::new(),
                names => format!(", and brings the work of {} along", names.join(", ")),
            };
            let base = match &row.base {
                Some(base) if base.fate == "left-out" => {
                    format!(", its own changes alone, without {}", base.shown(into))
                }
                Some(base) => format!(", and brings {} along", base.shown(into)),
                None => String::new(),
            };
            format!("{verb} {into} ({commits}, {files}){along}{base}{outside}")
        }
        "merged-along" => format!("came along with {}", row.with.join(", ")),
        "already-merged" => format!("is in {into} already"),
        "no-changes" if job.exited.as_ref().is_some_and(|e| e.commits > 0) => {
            format!("adds nothing: what it changed is in {into} already")
        }
        "no-changes" => "has nothing to merge".to_owned(),
        "no-work" => {
            let status = view::status(job);
            format!(
                "has nothing to merge: it is {status}, and its branch holds nothing of its work"
            )
        }
        "unrelated" => format!("held back: it has no common history with {into}"),
        "rebase-loses" => "held back: its merges hold changes that a rebase would lose".to_owned(),
        "not-forward" => format!("held back: {into} has commits that it has not"),
        "git-died" => "held back: git itself dies of merging it".to_owned(),
        "in-the-way" => {
            let checkout = target.checkout.as_deref().unwrap_or_else(|| Path::new("."));
            format!("held back: files in {} are in its way:", checkout.display())
        }
        "refused" => {
            format!("held back: the hook {} said no", row.hook.unwrap_or("of this repository"))
        }
        "outside-scope" if let Some(of) = &row.outside_of => {
            format!("held back: it brings along what {of} changes outside of its scope:")
        }
        "outside-scope" => {
            let scope = job.spec.scope.join(" ");
            format!("held back: it changes what is outside of its scope ({scope}):")
        }
        "foreign-base" => {
            let base = row.base.as_ref();
            let verb = if base.is_some_and(|base| base.rewritten) { "back" } else { "along" };
            let base = base.map(|base| base.shown(into)).unwrap_or_default();
            format!("held back: it was started from, and would bring {verb}, {base}:")
        }
        "submodule-commit" => {
            "held back: it names commits of submodules that are only in its worktree:".to_owned()
        }
        "unsigned" => {
            "held back: its last commit has no good signature, which merge.verifySignatures wants"
                .to_owned()
        }
        "red" => "held back: the check fails with it".to_owned(),
        "red-before" => {
            let command = job.held.as_ref().map_or("", |held| &held.command);
            format!("left out: it was held back by a check: {command}")
        }
        "red-together" => {
            let with = row.with.join(", ");
            format!(
                "held back: the check fails with it and {with} together, and with neither alone"
            )
        }
        "red-on-top" => {
            format!("held back: the check fails with it on top of {}", row.with.join(", "))
        }
        _ if row.with.is_empty() => format!("held back: conflicts with {into} in"),
        _ => format!("held back: conflicts with {} in", row.with.join(", ")),
    }
}

/// What to do about a job that was held back.
fn next(one: &Chosen, row: &Row) -> Option<String> {
    let name = &row.name;
    Some(match row.result {
        "conflict" if row.is_case_only() => {
            format!("to bring {name} in: rename one of each, since core.ignoreCase is set")
        }
        "conflict" if let Some(resolver) = &row.resolver => {
            let (job, resolver) = (resolver.job.0, &resolver.name);
            format!("[{job}] {resolver} resolves {name}: cx wait {resolver} && cx merge")
        }
        "conflict" => {
            // What was merged is the branch, or its last commit where it is gone.
            let tip = one.candidate.tip.as_str();
            let branch = one.job.spec.branch().map_or(tip, |(_, branch)| branch);
            format!(
                "to bring {name} in: cx resolve {name}, or git merge {branch}, resolve, commit; then `cx clean` takes its worktree"
            )
        }
        "outside-scope" if let Some(of) = &row.outside_of => {
            format!(
                "to bring {name} in: cx merge --outside drop {of}, or cx merge --outside keep {name} with all of it"
            )
        }
        "outside-scope" => {
            format!(
                "to bring {name} in: cx merge --outside drop {name} leaves these out, --outside keep takes them"
            )
        }
        "in-the-way" => {
            let stash = row.conflicts.iter().all(|conflict| conflict.kind != "ignored");
            let stash = if stash { ", or stash them (git stash -u)" } else { "" };
            format!(
                "to bring {name} in: commit these files or move them away{stash}, then cx merge {name}"
            )
        }
        "git-died" => format!(
            "to bring {name} in: cx merge --rebase {name}, or git merge -s resolve {}",
            one.candidate.tip
        ),
        "unrelated" => {
            format!(
                "to bring {name} in: git merge --allow-unrelated-histories {}",
                one.candidate.tip
            )
        }
        "rebase-loses" => format!("to bring {name} in: cx merge {name}, without --rebase"),
        "not-forward" => {
            format!("to bring {name} in: cx merge --ff {name}, or --rebase for no merge commit")
        }
        "foreign-base" if row.base.as_ref().is_some_and(|base| base.rewritten) => {
            format!("to bring {name} in: cx merge --rebase {name} lands its own changes alone")
        }
        "foreign-base" if let Some(of) = row.base.as_ref().and_then(|base| base.of.as_ref()) => {
            format!(
                "to bring {name} in: cx merge {of} {name}; or cx merge --rebase {name} without them"
            )
        }
        "foreign-base" => {
            let first = row.base.as_ref().and_then(|base| base.branches.first());
            let first = first.map_or_else(String::new, |branch| {
                format!("merge {branch} first, or cx merge --into {branch} {name}; or ")
            });
            format!(
                "to bring {name} in: {first}cx merge --rebase {name} without them, --with-base {name} with them"
            )
        }
        "submodule-commit" => {
            let path = row.conflicts.first().map_or("", |one| one.path.as_str());
            format!(
                "to bring {name} in: push them (git -C \"$(cx path {name})/{path}\" push origin HEAD:BRANCH), or take them (git -C {path} fetch \"$(cx path {name})/{path}\" HEAD:refs/cx/{name}), then merge again"
            )
        }
        "unsigned" => format!(
            "to bring {name} in: git -C \"$(cx path {name})\" commit --amend --no-edit -S, then merge again"
        ),
        "red" | "red-on-top" => {
            let branch = one.job.spec.branch().map_or("", |(_, branch)| branch);
            format!(
                "to bring {name} in: mend {branch} in its worktree (cx path {name}), then merge again"
            )
        }
        "red-before" => {
            let command = one.job.held.as_ref().map_or("", |held| &held.command);
            let command = ui::quoted(command);
            format!(
                "to bring {name} in: cx merge --verify {command} {name}, or cx merge {name} all the same"
            )
        }
        "red-together" => {
            format!("to bring {name} in without {}: cx merge {name}", row.with.join(", "))
        }
        "refused" => {
            format!("to bring {name} in: change what the hook names, or cx merge --no-hooks {name}")
        }
        _ => return None,
    })
}
