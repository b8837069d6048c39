//! The state folder: whether cx can use it, and what crashes have left there.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{Findings, Level};
use crate::{
    commands::{clean::abandoned_drafts, session::Session, settings::Settings},
    git::merge,
    process::{
        disk::{self, Room},
        lock, stdio,
    },
    ui,
};

const MIB: u64 = 1024 * 1024;

/// Less room than this is told.
const LITTLE: Room = Room { bytes: 1024 * MIB, files: Some(10_000) };

/// Less than this will not do for the next job.
const TOO_LITTLE: Room = Room { bytes: 64 * MIB, files: Some(1_000) };

pub(super) fn look(session: &Session, settings: Option<&Settings>, findings: &mut Findings) {
    let dir = session.store.dir();
    let mut places = vec![dir.to_owned()];
    if let (Some(place), Some(settings)) = (&session.place, settings) {
        places.push(settings.worktree_folder(place));
    }
    room(&places, findings);
    for place in &places {
        unwritable(place, findings);
    }
    match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if there(dir).is_none_or(stdio::is_writable) {
                findings.ok("state", format!("no job yet; {} will be made", dir.display()));
            }
            return;
        }
        Err(error) => {
            let text = format!("cannot read {}: {error}", dir.display());
            return findings.problem("state", text, format!("ls -ld {}", dir.display()));
        }
        Ok(meta) => folder(dir, meta.permissions().mode(), findings),
    }
    findings.ok_unless_said("state", dir.display().to_string());
    ledger(session, findings);
    leftovers(session, findings);
}

fn folder(dir: &Path, mode: u32, findings: &mut Findings) {
    let shown = dir.display();
    // The only way to know is to try; what it makes goes at once.
    if let Err(error) = tempfile::NamedTempFile::new_in(dir) {
        findings.problem(
            "state",
            format!("cannot write in {shown}: {error}"),
            format!(
                "make it yours and writable: chown -R \"$USER\" {shown} && chmod u+rwx {shown}"
            ),
        );
    }
    if mode & 0o077 != 0 {
        findings.problem(
            "state",
            format!(
                "others can look into {shown} (mode {:03o}), where prompts and answers lie",
                mode & 0o777
            ),
            format!("chmod 700 {shown}"),
        );
    }
}

/// What is there of a path.
fn there(path: &Path) -> Option<&Path> {
    path.ancestors().find(|folder| folder.exists())
}

/// A folder that is to be made, and cannot be.
fn unwritable(path: &Path, findings: &mut Findings) {
    let Some(there) = there(path).filter(|there| *there != path && !stdio::is_writable(there))
    else {
        return;
    };
    let shown = there.display();
    findings.problem(
        "state",
        format!("{} cannot be made: {shown} is not writable", path.display()),
        format!("make it writable: chmod u+rwx {shown}; or choose another place: `cx man config`"),
    );
}

/// Where jobs and worktrees are put, or will be.
fn room(places: &[PathBuf], findings: &mut Findings) {
    for place in places {
        let Some(there) = there(place) else { continue };
        let Ok(room) = disk::room(there) else { continue };
        let Some(level) = judge(room) else { continue };
        let (bytes, files) = (room.bytes / MIB, room.files.unwrap_or_default());
        let text = format!("{bytes} MiB and {files} files are left for {}", place.display());
        let mend = "make room; `cx clean` removes what is merged and collected";
        findings.add(level, "disk", text, Some(mend.to_owned()));
    }
    findings.ok_unless_said("disk", "there is room for jobs and worktrees");
}

fn judge(room: Room) -> Option<Level> {
    let below =
        |limit: Room| room.bytes < limit.bytes || room.files.is_some_and(|n| Some(n) < limit.files);
    match (below(TOO_LITTLE), below(LITTLE)) {
        (true, _) => Some(Level::Problem),
        (_, true) => Some(Level::Note),
        _ => None,
    }
}

fn ledger(session: &Session, findings: &mut Findings) {
    let path = session.store.ledger_path();
    let shown = path.display();
    match session.store.torn_lines() {
        Ok(torn) if torn.is_empty() => findings.ok("ledger", "every line can be read"),
        Ok(torn) => {
            let numbers: Vec<String> = torn.iter().map(ToString::to_string).collect();
            let script: Vec<String> = torn.iter().map(|number| format!("{number}d")).collect();
            let lines = ui::plural(torn.len() as u64, "torn line");
            findings.problem(
                "ledger",
                format!(
                    "{shown} has {lines} ({}), which are skipped; what they said is lost, nothing else is",
                    numbers.join(", ")
                ),
                format!("while no job is live: sed -i '{}' {shown}", script.join(";")),
            );
        }
        Err(error) => {
            let mend = error.hint().unwrap_or_else(|| format!("ls -l {shown}"));
            findings.problem("ledger", error.to_string(), mend);
        }
    }
}

fn leftovers(session: &Session, findings: &mut Findings) {
    let drafts = abandoned_drafts(session).len() as u64;
    if drafts > 0 {
        findings.note(
            "drafts",
            format!("{} of jobs that never came to be", ui::plural(drafts, "draft")),
            "`cx clean` removes them",
        );
    }
    let under_way = lock::is_held(&session.store.merge_lock()).unwrap_or(false);
    if merge::is_pending(session.store.dir()) && !under_way {
        findings.problem(
            "merge",
            "a merge was cut short before it was whole",
            "the next `cx merge` finishes it or takes it back; until then, leave the checkout as it is",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_by_bytes_or_by_files() {
        let room = |mib: u64, files| Room { bytes: mib * MIB, files };
        assert_eq!(judge(room(2048, Some(100_000))), None);
        assert_eq!(judge(room(2048, None)), None);
        assert_eq!(judge(room(1000, None)), Some(Level::Note));
        assert_eq!(judge(room(2048, Some(9_999))), Some(Level::Note));
        assert_eq!(judge(room(63, Some(100_000))), Some(Level::Problem));
        assert_eq!(judge(room(2048, Some(0))), Some(Level::Problem));
    }
}
