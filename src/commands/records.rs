//! The records of `cx run --compat codex-flow` in a folder: kept small.
//!
//! They are copies: what a job has said and done is kept elsewhere. All the same
//! none goes of a job that lives, or whose work or answer nobody has taken yet.
//!
//! Whoever appends to the log holds its lock, and then looks whether the file that
//! it has open is still the one of that name; so does whoever shortens it. It is
//! replaced by a rename: a crash leaves the old log or the new one.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use clap::Args;

use super::session::Session;
use crate::{
    failure::Failure,
    ledger::{Job, State},
    plan::compat::{LOG, RUNS, job_of, last_lines},
    ui::{self, Out},
};

/// What is asked of them.
#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    /// Of the records of `cx run --compat codex-flow`, keep the last N of each alias
    #[arg(long, value_name = "N", conflicts_with = "jobs")]
    runs_max_per_alias: Option<usize>,

    /// Of their log, keep the last whole lines, B bytes at most
    #[arg(long, value_name = "B", conflicts_with = "jobs")]
    logs_max_bytes: Option<usize>,

    /// Where these records lie; the top of the checkout if not given
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    compat_dir: Option<PathBuf>,
}

/// Does what was asked, and says it. `true` where there was something to do.
pub(super) fn clean(
    session: &Session,
    args: &RecordArgs,
    dry_run: bool,
    out: &mut Out,
) -> Result<bool, Failure> {
    if args.runs_max_per_alias.is_none() && args.logs_max_bytes.is_none() {
        return Ok(false);
    }
    let top = args.compat_dir.as_deref().unwrap_or(session.top());
    let verb = if dry_run { "would remove" } else { "removed" };
    let failed = |path: &Path, e: &io::Error| {
        Failure::internal(format!("cannot clean {}: {e}; what is left stays", path.display()))
    };
    let mut done = false;
    if let Some(most) = args.runs_max_per_alias {
        let state = session.history()?;
        let runs = top.join(RUNS);
        for alias in folders(&runs).map_err(|e| failed(&runs, &e))? {
            let path = runs.join(&alias);
            let old = too_old(&path, most, &state).map_err(|e| failed(&path, &e))?;
            for folder in &old.gone {
                if !dry_run {
                    fs::remove_dir_all(folder).map_err(|e| failed(folder, &e))?;
                }
            }
            if !old.gone.is_empty() {
                let count = ui::plural(old.gone.len() as u64, "record");
                out.line(format_args!("{verb} {count} of {alias} in {RUNS}"))?;
            }
            for (folder, why) in &old.kept {
                ui::note(format_args!("{} stays: {why}", folder.display()));
            }
            done |= !old.gone.is_empty();
        }
    }
    if let Some(most) = args.logs_max_bytes {
        let path = top.join(LOG);
        let less = shorten(&path, most, dry_run).map_err(|e| failed(&path, &e))?;
        if less > 0 {
            out.line(format_args!("{verb} {} of {LOG}", ui::plural(less, "byte")))?;
        }
        done |= less > 0;
    }
    Ok(done)
}

/// The names of the real folders in a folder; none where there is none.
fn folders(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // A link is not followed: what it leads to is not ours.
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// What is more than wanted.
#[derive(Debug, Default)]
struct Old {
    gone: Vec<PathBuf>,
    /// What stays all the same, and why.
    kept: Vec<(PathBuf, String)>,
}

fn too_old(alias: &Path, most: usize, state: &State) -> io::Result<Old> {
    let mut records: Vec<(u64, String)> = folders(alias)?
        .into_iter()
        .filter_map(|name| {
            job_of(&name)?;
            let milliseconds = name.split_once('-')?.0.parse().ok()?;
            Some((milliseconds, name))
        })
        .collect();
    records.sort();
    records.truncate(records.len().saturating_sub(most));
    let mut old = Old::default();
    for (_, name) in records {
        let folder = alias.join(&name);
        let mut own = state.jobs.values().filter(|job| {
            job_of(&name).is_some_and(|beginning| job.spec.id.starts_with(beginning))
        });
        let why = own.find_map(|job| reason_to_stay(job, state));
        match why {
            Some(why) => old.kept.push((folder, why)),
            None => old.gone.push(folder),
        }
    }
    Ok(old)
}

/// Why the records of a job stay, if they do.
fn reason_to_stay(job: &Job, state: &State) -> Option<String> {
    let name = super::session::label(job);
    let run = job.spec.run.as_ref().and_then(|run| state.runs.get(run));
    if let Some(run) = run.filter(|run| run.is_open()) {
        Some(format!("run {} is not over", run.id()))
    } else if job.is_live() {
        Some(format!("{name} is not over"))
    } else if job.is_unmerged() {
        Some(format!("{name} is not merged"))
    } else if job.is_to_collect() {
        Some(format!("{name} is not collected"))
    } else {
        None
    }
}

/// Leaves the last whole lines of a log, at most so many bytes. How many bytes
/// went, or would go.
fn shorten(path: &Path, most: usize, dry_run: bool) -> io::Result<u64> {
    let mut file = match locked(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(e),
    };
    let mut log = Vec::new();
    file.read_to_end(&mut log)?;
    let kept = last_lines(&log, most);
    let less = (log.len() - kept.len()) as u64;
    if less > 0 && !dry_run {
        let folder = path.parent().unwrap_or(Path::new("."));
        let rights = file.metadata()?.permissions();
        let mut new = tempfile::Builder::new().permissions(rights).tempfile_in(folder)?;
        new.write_all(kept)?;
        new.persist(path)?;
    }
    Ok(less)
}

/// Appends whole lines to a log, which is made where there is none.
pub(super) fn append(path: &Path, lines: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    File::options().create(true).append(true).open(path)?;
    let mut file = locked(path)?;
    let mut last = [b'\n'];
    if let Some(at) = file.metadata()?.len().checked_sub(1) {
        file.read_exact_at(&mut last, at)?;
    }
    // Whoever wrote last may have died half-way through its line.
    let before = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{before}{lines}").as_bytes())
}

/// The log, with its lock held.
fn locked(path: &Path) -> io::Result<File> {
    loop {
        let file = File::options().read(true).append(true).open(path)?;
        file.lock()?;
        let (mine, now) = (file.metadata()?, fs::metadata(path)?);
        if (mine.dev(), mine.ino()) == (now.dev(), now.ino()) {
            return Ok(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_whole_lines_and_its_rights() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("events.jsonl");
        assert_eq!(shorten(&log, 5, false).expect("nothing there"), 0);
        fs::write(&log, "one\ntwo\nthree\n").expect("writes");
        fs::set_permissions(&log, fs::Permissions::from_mode(0o640)).expect("chmod");
        assert_eq!(shorten(&log, 100, false).expect("reads"), 0);
        assert_eq!(shorten(&log, 10, true).expect("reads"), 4);
        assert_eq!(fs::read(&log).expect("reads").len(), 14);
        assert_eq!(shorten(&log, 10, false).expect("shortens"), 4);
        assert_eq!(fs::read_to_string(&log).expect("reads"), "two\nthree\n");
        assert_eq!(fs::metadata(&log).expect("is there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1);
    }

    #[test]
    fn the_last_records_stay_and_what_is_no_record() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["9-aaaaaa", "10-bbbbbb", "11-cccccc", "notes", "12"] {
            fs::create_dir(folder.path().join(name)).expect("mkdir");
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("1-dddddd")).expect("link");
        let gone = |most| {
            let old = too_old(folder.path(), most, &State::new()).expect("reads");
            let name = |path: &PathBuf| path.file_name().map(|n| n.to_string_lossy().into_owned());
            old.gone.iter().filter_map(name).collect::<Vec<_>>()
        };
        assert_eq!(gone(2), ["9-aaaaaa"]);
        assert_eq!(gone(0), ["9-aaaaaa", "10-bbbbbb", "11-cccccc"]);
        assert!(gone(3).is_empty());
        let nowhere = too_old(&folder.path().join("none"), 0, &State::new()).expect("none");
        assert!(nowhere.gone.is_empty());
    }
}
