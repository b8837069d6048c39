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
#[derive(Debug, Default, Args)]
pub(super) struct RecordArgs {
    /// Of the records of `cx run --compat codex-flow`, keep the last N of each alias
    #[arg(long, value_name = "N", conflicts_with = "jobs")]
    runs_max_per_alias: Option<usize>,

    /// Of their log, keep the last whole lines, B bytes at most, and those of jobs that are wanted
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
        let state = session.history()?;
        let jobs = state.jobs.values();
        let stay: Vec<&str> = jobs
            .filter(|job| reason_to_stay(job, &state).is_some())
            .map(|job| job.spec.id.as_str())
            .collect();
        let short = shorten(&path, most, &stay, dry_run).map_err(|e| failed(&path, &e))?;
        if short.gone > 0 {
            out.line(format_args!("{verb} {} of {LOG}", ui::plural(short.gone, "byte")))?;
        }
        if short.stay > 0 {
            let lines = ui::plural(short.stay, "line");
            ui::note(format_args!(
                "kept beyond that {lines} of {LOG}: of jobs that live, or that nobody has merged or collected"
            ));
        }
        done |= short.gone > 0;
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

/// How a log became shorter, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shortened {
    /// Bytes that went.
    gone: u64,
    /// Older lines that stay all the same.
    stay: u64,
}

/// Leaves the last whole lines of a log, at most so many bytes, and those before them
/// of jobs that `stay`, by their unique ids.
fn shorten(path: &Path, most: usize, stay: &[&str], dry_run: bool) -> io::Result<Shortened> {
    let mut file = match locked(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Shortened::default()),
        Err(e) => return Err(e),
    };
    let mut log = Vec::new();
    file.read_to_end(&mut log)?;
    let last = last_lines(&log, most);
    let older = log.get(..log.len() - last.len()).unwrap_or_default();
    let older: Vec<&[u8]> = older.split_inclusive(|byte| *byte == b'\n').collect();
    let older: Vec<&[u8]> = older.into_iter().filter(|line| is_of(line, stay)).collect();
    let kept = [older.concat().as_slice(), last].concat();
    let gone = (log.len() - kept.len()) as u64;
    if gone > 0 && !dry_run {
        let folder = path.parent().unwrap_or(Path::new("."));
        let rights = file.metadata()?.permissions();
        let mut new = tempfile::Builder::new().permissions(rights).tempfile_in(folder)?;
        new.write_all(&kept)?;
        new.persist(path)?;
    }
    Ok(Shortened { gone, stay: older.len() as u64 })
}

/// Whether a line of the log is about one of these jobs.
fn is_of(line: &[u8], jobs: &[&str]) -> bool {
    let value: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    let beginning = value.get("taskId").and_then(|id| job_of(id.as_str()?));
    beginning.is_some_and(|beginning| jobs.iter().any(|id| id.starts_with(beginning)))
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
        let shorten = |most, dry_run| {
            let short = shorten(&log, most, &["abcdef0123456789"], dry_run).expect("shortens");
            (short.gone, short.stay)
        };
        assert_eq!(shorten(5, false), (0, 0), "nothing is there");
        fs::write(&log, "one\ntwo\nthree\n").expect("writes");
        fs::set_permissions(&log, fs::Permissions::from_mode(0o640)).expect("chmod");
        assert_eq!(shorten(100, false), (0, 0));
        assert_eq!(shorten(10, true), (4, 0));
        assert_eq!(fs::read(&log).expect("reads").len(), 14);
        assert_eq!(shorten(10, false), (4, 0));
        assert_eq!(fs::read_to_string(&log).expect("reads"), "two\nthree\n");
        assert_eq!(fs::metadata(&log).expect("is there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1);
        // Whole lines of what is still wanted stay, however old.
        let (live, over) = ("{\"taskId\":\"12-abcdef\"}\n", "{\"taskId\":\"13-fedcba\"}\n");
        fs::write(&log, [over, live, over, "last\n"].concat()).expect("writes");
        assert_eq!(shorten(6, false), (2 * over.len() as u64, 1));
        assert_eq!(fs::read_to_string(&log).expect("reads"), [live, "last\n"].concat());
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
