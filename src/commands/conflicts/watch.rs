//! `cx conflicts --watch`
//!
//! Asleep until the ledger has a new event or the interval is over. A look at a
//! live writer is one `git status` of its worktree; only where that has changed
//! since is a snapshot made and are its pairs merged again. Watching every folder
//! of every worktree would tell a little sooner, and cost a kernel watch for each
//! folder of each worker's checkout. A look never takes more than a twentieth of
//! the time: where it takes long, looks are rarer.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::Serialize;

use super::{ConflictsArgs, Look, Looker, PairRow, paths};
use crate::{
    commands::session::store,
    failure::{Exit, Failure},
    git::merge::Pair,
    job::JobId,
    process::{lock::deadline_in, watch::Watch},
    ui,
};

/// A burst of events is one reason to look.
const SETTLE: Duration = Duration::from_millis(100);

/// At most one part in so many of the time is spent looking.
const REST: u32 = 20;

#[derive(Serialize)]
struct Change<'a> {
    at: Timestamp,
    #[serde(flatten)]
    pair: PairRow<'a>,
}

/// Who collides, and in which paths: what is not there any more, and what is new
/// since, is told.
type Known = BTreeMap<(Option<JobId>, Option<JobId>), BTreeSet<(String, String)>>;

/// Tells every change until no writer is live, or somebody interrupts.
pub(super) fn watch(looker: &mut Looker<'_>, args: &ConflictsArgs) -> Result<Exit, Failure> {
    let failed = |e: std::io::Error| Failure::internal(format!("cannot watch the ledger: {e}"));
    looker.session.store.create().map_err(store)?;
    let ledger = Watch::new().map_err(failed)?;
    ledger.add(looker.session.store.dir()).map_err(failed)?;
    let mut known = Known::new();
    loop {
        let begun = Instant::now();
        let look = looker.look()?;
        known = tell(&look, &known, args.json)?;
        if !look.has_live {
            return Ok(look.exit());
        }
        let pause = args.interval.max(begun.elapsed() * REST);
        if ledger.wait(deadline_in(pause)).map_err(failed)? {
            thread::sleep(SETTLE);
        }
    }
}

/// Tells what is other than it was, and gives what is.
fn tell(look: &Look, before: &Known, json: bool) -> Result<Known, Failure> {
    let id = |place: usize| look.job(place).map(|job| job.job);
    let mut out = ui::out();
    let mut now = Known::new();
    for pair in look.collisions() {
        let (key, found) = ((id(pair.a), id(pair.b)), paths(pair).collect::<BTreeSet<_>>());
        let news = before.get(&key).is_none_or(|known| !found.is_subset(known));
        if news {
            if json {
                out.json(&Change { at: Timestamp::now(), pair: PairRow::new(look, pair) })?;
            } else {
                out.line(sentence(look, pair))?;
            }
        }
        now.insert(key, found);
    }
    for (a, b) in before.keys().filter(|key| !now.contains_key(key)) {
        let place = |id: &Option<JobId>| match id {
            None => Some(0),
            Some(id) => look.jobs.iter().position(|job| job.job == *id).map(|at| at + 1),
        };
        // One that was merged or cleaned meanwhile collides with nobody.
        let (Some(a), Some(b)) = (place(a), place(b)) else { continue };
        if json {
            let (a, b) = (look.name(a), look.name(b));
            let pair = PairRow { a, b, result: "clean", conflicts: Vec::new() };
            out.json(&Change { at: Timestamp::now(), pair })?;
        } else {
            let (one, other, at) = (look.label(b), look.label(a), ui::clock(Timestamp::now()));
            out.line(format_args!("{at}  {one} and {other} no longer collide"))?;
        }
    }
    out.flush()?;
    Ok(now)
}

fn sentence(look: &Look, pair: &Pair) -> String {
    let (one, other, at) = (look.label(pair.b), look.label(pair.a), ui::clock(Timestamp::now()));
    let listed: Vec<String> =
        paths(pair).map(|(path, kind)| format!("{} ({kind})", ui::clean(&path))).collect();
    match listed.as_slice() {
        [] => format!("{at}  {one} and {other} have no common history"),
        _ => format!("{at}  {one} and {other} collide: {}", listed.join(", ")),
    }
}
