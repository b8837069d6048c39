//! `cx clean --trash`: the end of what is kept under `refs/cx/trash`.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    commands::session::{Session, git},
    failure::{Exit, Failure},
    git::refs,
    ui,
};

/// Removes the refs, all or those that are there for `older_than` at least. git's own
/// `gc` takes the commits, in its time.
pub(super) fn empty(
    session: &Session,
    older_than: Option<Duration>,
    dry_run: bool,
) -> Result<Exit, Failure> {
    let place = session.repository("clean --trash")?;
    let now = Timestamp::now().as_second();
    let is_old = |kept: &refs::Kept| {
        let age = u64::try_from(now.saturating_sub(kept.since)).unwrap_or_default();
        older_than.is_none_or(|least| age >= least.as_secs())
    };
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut out = ui::out();
    let mut count = 0;
    for kept in refs::kept(place).map_err(git)?.iter().filter(|kept| is_old(kept)) {
        if !dry_run {
            refs::delete(place, &kept.name, &kept.oid).map_err(git)?;
        }
        out.line(format_args!("{verb} {} (commit {})", kept.name, kept.oid.short()))?;
        count += 1;
    }
    out.finish()?;
    if count == 0 {
        ui::note(format_args!("nothing to remove from {}", refs::TRASH));
    } else {
        ui::note(format_args!("{verb} {} from {}", ui::plural(count, "ref"), refs::TRASH));
    }
    Ok(Exit::Success)
}
