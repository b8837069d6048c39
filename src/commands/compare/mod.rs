//! `cx compare`

mod verify;

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use serde::Serialize;

use self::verify::Checked;
use super::{
    session::{Session, git, label, refuse_in_worker, seen},
    view,
};
use crate::{
    failure::{Exit, Failure},
    git::{
        Oid, Place,
        diff::{self, ChangeKind, FileChange},
    },
    job::{JobId, Usage},
    ledger::{Job, Store},
    ui::{self, Align, Table},
};

/// Put writers side by side: how they ended, what they changed, where they differ
///
/// Of a live job its working tree as it is now counts; nothing of it is touched.
/// The name that `cx spawn -N` has given to a group stands for all of it.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The jobs, or the name of a group
    #[arg(required = true, num_args = 1.., value_name = "JOB", add = super::candidates::writer())]
    jobs: Vec<String>,

    /// Run this on each result, and say whether it succeeds: a command line for sh; merge.verify if not given
    ///
    /// A result is the job merged into the branch you are on, or the job's branch
    /// by itself where that does not merge or is merged already. The check runs in
    /// the scratch worktree of `cx merge --verify`, with its build caches.
    #[arg(long, value_name = "CMD", num_args = 0..=1, value_hint = ValueHint::CommandString)]
    #[expect(clippy::option_option, reason = "absent, bare, with a value")]
    verify: Option<Option<String>>,

    /// Say it as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Comparison {
    jobs: Vec<Column>,
    files: Vec<File>,
}

#[derive(Serialize)]
struct Column {
    job: JobId,
    name: String,
    status: String,
    seconds: f64,
    usage: Option<Usage>,
    files: u64,
    added: u64,
    removed: u64,
    /// What `--verify` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<Checked>,
}

/// A file that at least one of them changed.
#[derive(Serialize)]
struct File {
    path: String,
    /// Who changed it.
    by: Vec<String>,
    /// `same` where all of them have it alike, `differs`, or `only` one has it.
    how: &'static str,
}

/// Runs the verb.
pub fn run(args: &CompareArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let place = session.repository("compare")?;
    refuse_job_as_command(&session, args)?;
    let jobs = session.jobs_or_groups(&args.jobs)?;
    let [_, _, ..] = jobs.as_slice() else {
        return Err(Failure::usage("there is nothing to compare one job with")
            .hint("name two or more, or a group: cx compare auth-1 auth-2"));
    };
    if args.verify.is_some() {
        refuse_in_worker("run the check")?;
    }
    let (mut columns, mut tips, mut touched) = (Vec::new(), Vec::new(), Vec::new());
    for job in &jobs {
        let (base, tip) = ends(&session.store, place, job)?;
        let changes = diff::stat(place, &base, &tip).map_err(git)?;
        columns.push(Column {
            job: job.job,
            name: job.spec.name.to_string(),
            status: view::status_with_code(job),
            seconds: view::elapsed(job).as_secs_f64(),
            usage: job.usage(),
            files: changes.len() as u64,
            added: changes.iter().filter_map(|change| change.added).sum(),
            removed: changes.iter().filter_map(|change| change.removed).sum(),
            verify: None,
        });
        tips.push(tip);
        touched.push(paths(changes));
    }
    if let Some(given) = &args.verify {
        let results: Vec<(String, Oid)> =
            columns.iter().zip(&tips).map(|(one, tip)| (one.name.clone(), tip.clone())).collect();
        let checked = verify::check(&session, place, given.as_deref(), &results)?;
        for (column, checked) in columns.iter_mut().zip(checked) {
            column.verify = Some(checked);
        }
    }
    let files = files(place, &columns, &tips, &touched)?;
    let comparison = Comparison { jobs: columns, files };
    let mut out = ui::out();
    if args.json {
        out.json(&comparison)?;
    } else {
        for line in lines(&comparison) {
            out.line(line)?;
        }
    }
    out.finish()?;
    Ok(Exit::Success)
}

/// `--verify auth-1 auth-2` means the jobs most likely.
fn refuse_job_as_command(session: &Session, args: &CompareArgs) -> Result<(), Failure> {
    let Some(Some(word)) = &args.verify else { return Ok(()) };
    if session.state()?.jobs.values().all(|job| job.spec.name.as_str() != word) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "'{word}' is a job, and was taken for the command of --verify; nothing was compared"
    ))
    .hint("name the jobs first: cx compare JOB... --verify"))
}

/// Where a job's work begins and ends.
fn ends(store: &Store, place: &Place, job: &Job) -> Result<(Oid, Oid), Failure> {
    let oid = |text: &str| Oid::new(text).map_err(|e| Failure::internal(e.to_string()));
    let Some((tree, _)) = job.spec.branch() else {
        return Err(Failure::usage(format!("{} is a reader and changes nothing", label(job))));
    };
    let tip = match job.exited.as_ref().and_then(|exited| exited.tip.as_ref()) {
        Some(tip) => oid(tip)?,
        None if Path::new(&tree.path).is_dir() => {
            let there = seen(store, place, job, &tree.path).map_err(git)?;
            diff::snapshot_commit(&there).map_err(git)?
        }
        None => return Err(Failure::new(Exit::Failed, format!("{} has no worktree", label(job)))),
    };
    Ok((oid(&tree.base)?, tip))
}

/// The files of changes, both sides of a rename.
fn paths(changes: Vec<FileChange>) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::new();
    for change in changes {
        if let ChangeKind::Renamed { from } = change.kind {
            paths.insert(from);
        }
        paths.insert(change.path);
    }
    paths
}

/// Every file that one of them changed, and whether they agree on it.
fn files(
    place: &Place,
    columns: &[Column],
    tips: &[Oid],
    touched: &[BTreeSet<PathBuf>],
) -> Result<Vec<File>, Failure> {
    let mut by: BTreeMap<&PathBuf, Vec<usize>> = BTreeMap::new();
    for (at, paths) in touched.iter().enumerate() {
        for path in paths {
            by.entry(path).or_default().push(at);
        }
    }
    // Who is alike with the first is alike with all that are.
    let mut apart: BTreeMap<(usize, usize), BTreeSet<PathBuf>> = BTreeMap::new();
    let mut files = Vec::new();
    for (path, who) in by {
        let [first, rest @ ..] = who.as_slice() else { continue };
        let mut how = if rest.is_empty() { "only" } else { "same" };
        for other in rest {
            let pair = (*first, *other);
            let paths = match apart.entry(pair) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let changes = diff::stat(place, &tips[*first], &tips[*other]).map_err(git)?;
                    new.insert(paths(changes))
                }
            };
            if paths.contains(path) {
                how = "differs";
            }
        }
        let by = who.iter().map(|at| columns[*at].name.clone()).collect();
        files.push(File { path: path.display().to_string(), by, how });
    }
    Ok(files)
}

fn lines(comparison: &Comparison) -> Vec<String> {
    let mut table = Table::new(&[
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Left,
    ]);
    for one in &comparison.jobs {
        let tokens = one.usage.map(|usage| format!("{} in, {} out", usage.input, usage.output));
        table.row(vec![
            format!("[{}] {}", one.job.0, one.name),
            one.status.clone(),
            ui::short(std::time::Duration::from_secs_f64(one.seconds)),
            format!("{} +{} -{}", ui::plural(one.files, "file"), one.added, one.removed),
            one.verify.as_ref().map(Checked::words).unwrap_or_default(),
            tokens.unwrap_or_default(),
        ]);
    }
    let mut lines = table.lines(None, &[]);
    let checked = |one: &Column| Some((one.name.clone(), one.verify.as_ref()?.log.clone()));
    let logs: Vec<_> = comparison.jobs.iter().filter_map(checked).collect();
    if !logs.is_empty() {
        lines.push("what the check wrote:".to_owned());
        lines.extend(logs.iter().map(|(name, log)| format!("      {log} ({name})")));
    }
    for (how, title) in
        [("differs", "changed differently"), ("only", "changed by one"), ("same", "changed alike")]
    {
        let mut of = comparison.files.iter().filter(|file| file.how == how).peekable();
        if of.peek().is_some() {
            lines.push(format!("{title}:"));
        }
        lines.extend(
            of.map(|file| format!("      {} ({})", ui::clean(&file.path), file.by.join(", "))),
        );
    }
    lines
}
