//! `cx conflicts`
//!
//! `look` finds the writers, live ones by a snapshot of their worktree, and
//! asks git which pairs collide; `picture` draws the matrix; `watch` looks
//! again and again and tells what has changed.

mod look;
mod picture;
mod watch;

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use self::look::{Look, Looker};
use super::session::Session;
use crate::{
    failure::{Exit, Failure},
    git::merge::{Clash, Pair},
    job::{JobId, parse_duration},
    ui,
};

/// More writers than this: those that collide with nobody get no row of their own.
const ALL_SHOWN: usize = 12;

/// More paths than this of one pair are counted on a terminal.
const PATHS_SHOWN: usize = 10;

/// Show which writers collide, with the branch and with each other
///
/// Live writers count as their worktree is now, with changes that are not
/// committed and files that are not tracked; nothing in it is touched. Git
/// merges, in memory, every pair whose changed paths meet. On a terminal a
/// matrix comes first; then, one below the other, the pairs that collide, with
/// the paths and git's word for the kind of conflict. The exit code is 1 when
/// something collides.
#[derive(Debug, Args)]
pub struct ConflictsArgs {
    /// The writers; all that are live, or finished well and not merged, if none is named
    #[arg(value_name = "JOB", add = super::candidates::any_job())]
    jobs: Vec<String>,

    /// Compare with this branch in place of the one that is checked out
    #[arg(long, value_name = "BRANCH", add = super::candidates::branch())]
    with: Option<String>,

    /// One JSON object; with --watch one for each change
    #[arg(long)]
    json: bool,

    /// Go on as long as a writer is live, and tell when two begin or cease to collide
    #[arg(long)]
    watch: bool,

    /// How often --watch looks at the worktrees of live writers; rarer where a look takes long
    #[arg(long, value_name = "D", value_parser = parse_duration, default_value = "2s", requires = "watch")]
    interval: Duration,
}

#[derive(Serialize)]
struct Report<'a> {
    target: &'a str,
    tip: &'a str,
    jobs: Vec<WriterRow<'a>>,
    pairs: Vec<PairRow<'a>>,
}

#[derive(Serialize)]
struct WriterRow<'a> {
    job: JobId,
    name: &'a str,
    live: bool,
    /// What was compared: the branch's tip, or a commit of what lies in the worktree.
    commit: &'a str,
}

#[derive(Serialize)]
struct PairRow<'a> {
    /// A name, or null for the target.
    a: Option<&'a str>,
    b: Option<&'a str>,
    /// `conflict`, `clean` (their paths meet, and git merges them), `unrelated`.
    result: &'static str,
    conflicts: Vec<ConflictRow>,
}

#[derive(Serialize)]
struct ConflictRow {
    path: String,
    kind: String,
}

impl<'a> PairRow<'a> {
    fn new(look: &'a Look, pair: &Pair) -> Self {
        let result = match &pair.clash {
            Clash::Clean => "clean",
            Clash::Conflicts(_) => "conflict",
            Clash::Unrelated => "unrelated",
        };
        let conflicts = paths(pair).map(|(path, kind)| ConflictRow { path, kind }).collect();
        Self { a: look.name(pair.a), b: look.name(pair.b), result, conflicts }
    }
}

/// The paths of a pair, and the kinds.
fn paths(pair: &Pair) -> impl Iterator<Item = (String, String)> {
    let conflicts = match &pair.clash {
        Clash::Conflicts(conflicts) => conflicts.as_slice(),
        Clash::Clean | Clash::Unrelated => &[],
    };
    conflicts.iter().map(|c| (c.path.display().to_string(), c.kind.clone()))
}

/// Runs the verb.
pub fn run(args: &ConflictsArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let mut looker = Looker::new(&session, &args.jobs, args.with.as_deref())?;
    if args.watch {
        return watch::watch(&mut looker, args);
    }
    let look = looker.look()?;
    if args.json {
        let mut out = ui::out();
        out.json(&Report {
            target: &look.target,
            tip: look.tips[0].as_str(),
            jobs: look
                .writers()
                .map(|(job, tip)| WriterRow {
                    job: job.job,
                    name: job.spec.name.as_str(),
                    live: job.is_live(),
                    commit: tip.as_str(),
                })
                .collect(),
            pairs: look.pairs.iter().map(|pair| PairRow::new(&look, pair)).collect(),
        })?;
        out.finish()?;
    } else {
        print(&look)?;
    }
    Ok(look.exit())
}

fn print(look: &Look) -> Result<(), Failure> {
    if look.jobs.is_empty() {
        ui::note("no writers to compare: none is live, and none has unmerged commits");
        return Ok(());
    }
    let terminal = ui::is_terminal();
    let mut out = ui::out();
    if terminal {
        for line in picture::matrix(look, ui::columns()) {
            out.line(line)?;
        }
    }
    for pair in look.collisions() {
        if terminal {
            out.line("")?;
        }
        let (one, other) = (look.label(pair.b), look.label(pair.a));
        if pair.clash == Clash::Unrelated {
            out.line(format_args!("{one} × {other}: no common history"))?;
            continue;
        }
        out.line(format_args!("{one} × {other}"))?;
        let all = paths(pair).count();
        let shown = if terminal && all > PATHS_SHOWN + 1 { PATHS_SHOWN } else { all };
        for (path, kind) in paths(pair).take(shown) {
            out.line(format_args!("      {} ({kind})", ui::clean(&path)))?;
        }
        if shown < all {
            out.line(format_args!("      and {} more", all - shown))?;
        }
    }
    out.finish()?;
    if look.collisions().next().is_none() {
        let writers = ui::plural(look.jobs.len() as u64, "writer");
        ui::note(format_args!("nothing collides: {writers} and {}", look.target));
    }
    Ok(())
}
