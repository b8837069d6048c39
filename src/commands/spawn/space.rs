//! Whether there is room for the worktrees that are to be made.
//!
//! Where there is plenty, that is one look at the file system and the first bytes of the
//! index. Only where it is tight, the sizes of all files are added up.

use super::{Session, Settings, check::Checked};
use crate::{
    failure::Failure,
    git::worktree::{self, pool},
    process::disk::{self, Room},
    ui,
};

/// More than files are on average: with so much for each, nothing is added up.
const PLENTY: u64 = 64 * 1024;

/// What is to be left for the work itself.
const SPARE: u64 = 1_000_000_000;

/// What the room means for the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Enough,
    /// It may do, or not.
    Tight,
    /// Not even the files fit.
    TooLittle,
}

/// Notes with the jobs where room runs short, and refuses them where there is surely too
/// little.
pub(super) fn look(
    session: &Session,
    settings: &Settings,
    checked: &mut [Checked],
) -> Result<(), Failure> {
    let Some(place) = &session.place else { return Ok(()) };
    let count = checked.iter().filter(|one| one.base.is_some()).count() as u64;
    if count == 0 {
        return Ok(());
    }
    let folder = settings.worktree_folder(place);
    let Some(there) = folder.ancestors().find(|folder| folder.is_dir()) else { return Ok(()) };
    let (Ok(room), Some(files)) = (disk::room(there), worktree::tracked_files(place)) else {
        return Ok(());
    };
    let files = files.saturating_mul(count);
    let is_plenty = room.bytes > files.saturating_mul(PLENTY).saturating_add(SPARE)
        && room.files.is_none_or(|free| free / 2 > files);
    if is_plenty {
        return Ok(());
    }
    // Those of the pool are there already.
    let pooled = pool::look(place, &folder).0.len() as u64;
    let each = worktree::tracked_bytes(place).unwrap_or(0);
    let need = each.saturating_mul(count.saturating_sub(pooled));
    let files = files / count * count.saturating_sub(pooled);
    let verdict = judge(room, (need, files), disk::may_share_blocks(there));
    if verdict == Verdict::Enough {
        return Ok(());
    }
    let (left, at) = (ui::size(room.bytes), there.display());
    let left = match room.files {
        Some(free) if free / 2 <= files => format!("{left} and {}", ui::plural(free, "file")),
        _ => left,
    };
    let wanted = format!("{} of {}", ui::plural(count, "worktree"), ui::size(each));
    if verdict == Verdict::TooLittle {
        return Err(Failure::usage(format!(
            "there is no room for {wanted}: {left} are left in {at}; nothing was started"
        ))
        .hint("`cx du` says what takes it; `cx clean`, `cx clean --pool` make room"));
    }
    let note = format!("room runs short for {wanted}: {left} are left in {at}; see `cx du`");
    if let Some(first) = checked.iter_mut().find(|one| one.base.is_some()) {
        first.notes.push(note);
    }
    Ok(())
}

/// `need` are the bytes and files of the worktrees. Where blocks may be shared, nobody knows how
/// many bytes that takes.
fn judge(room: Room, need: (u64, u64), shares: bool) -> Verdict {
    let (bytes, files) = need;
    let lacks_files = room.files.is_some_and(|free| free < files);
    if lacks_files || (room.bytes < bytes && !shares) {
        Verdict::TooLittle
    } else if room.bytes < bytes.saturating_add(SPARE)
        || room.files.is_some_and(|free| free / 2 < files)
    {
        Verdict::Tight
    } else {
        Verdict::Enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_does_not_fit_is_refused() {
        let room = |bytes, files| Room { bytes, files };
        let judged = |bytes, files, shares| judge(room(bytes, files), (2 * SPARE, 1000), shares);
        assert_eq!(judged(3 * SPARE, None, false), Verdict::Enough);
        assert_eq!(judged(3 * SPARE, Some(2000), false), Verdict::Enough);
        assert_eq!(judged(3 * SPARE - 1, None, false), Verdict::Tight);
        assert_eq!(judged(3 * SPARE, Some(1500), false), Verdict::Tight);
        assert_eq!(judged(2 * SPARE - 1, None, false), Verdict::TooLittle);
        assert_eq!(judged(2 * SPARE - 1, None, true), Verdict::Tight);
        assert_eq!(judged(9 * SPARE, Some(999), true), Verdict::TooLittle);
    }
}
