//! `cx logs`, and the following that `cx fg` shares.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use clap::Args;

use super::session::{Session, label, shown_backend};
use crate::{
    backend::{self, Backend},
    failure::{Exit, Failure},
    ledger::{Job, JobFiles},
    process::{lock, lock::deadline_in, watch::Watch},
    ui::{self, Out},
};

/// Print what a job's worker has put out
///
/// For codex and claude their events as readable lines, with the last lines that each command
/// put out; `--raw` gives them as they came. On a terminal control characters are made visible,
/// but not with `--raw` and `--stderr`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Go on as more comes, until the job ends
    #[arg(short, long)]
    follow: bool,

    /// The worker's stdout, byte for byte
    #[arg(long, conflicts_with = "stderr")]
    raw: bool,

    /// The worker's stderr, byte for byte
    #[arg(long)]
    stderr: bool,

    /// The job
    #[arg(required = true, value_name = "JOB", add = super::candidates::any_job())]
    job: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &LogsArgs) -> Result<Exit, Failure> {
    let session = Session::open()?;
    let job = session.job(&args.job)?;
    let files = session.store.job(job.job);
    let path = if args.stderr { files.stderr() } else { files.stdout() };
    if !job.is_live() && !path.exists() {
        let what = if args.stderr { "stderr" } else { "output" };
        let why = if job.files_gone { "it was cleaned" } else { "its worker never started" };
        return Err(Failure::new(Exit::Failed, format!("{} has no {what}: {why}", label(&job))));
    }
    let mut reader = Reader::new(&files, &job, path, args.raw || args.stderr);
    let mut out = ui::out();
    reader.copy(&mut out)?;
    if args.follow {
        follow(&session, &job, &mut reader, &mut out, None)?;
    }
    reader.finish(&mut out)?;
    out.finish()?;
    Ok(Exit::Success)
}

/// Copies what comes until the job has ended.
pub(super) fn follow(
    session: &Session,
    job: &Job,
    reader: &mut Reader,
    out: &mut Out,
    stop: Option<&AtomicBool>,
) -> Result<(), Failure> {
    let failed = |e: io::Error| Failure::internal(format!("cannot follow {}: {e}", label(job)));
    let files = session.store.job(job.job);
    let watch = Watch::new().map_err(failed)?;
    watch.add(files.dir()).map_err(failed)?;
    // The folder's files are written to until the end, and `last-message` and
    // the removal of `tmp` come last; a job that is killed with its supervisor
    // writes nothing, so the lock is looked at now and then.
    while lock::is_held(&files.lock()).map_err(failed)? {
        if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Ok(());
        }
        reader.copy(out)?;
        watch.wait(deadline_in(Duration::from_millis(250))).map_err(failed)?;
    }
    reader.copy(out)
}

/// Reads a growing file and turns it into what is shown.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    raw: bool,
    backend: Backend,
    root: Option<PathBuf>,
    offset: u64,
    partial: Vec<u8>,
    /// The line shown last.
    last: String,
}

impl Reader {
    /// From the beginning of `path`.
    pub fn new(files: &JobFiles, job: &Job, path: PathBuf, raw: bool) -> Self {
        Self {
            path,
            raw,
            backend: shown_backend(files, job),
            root: root(job),
            offset: 0,
            partial: Vec::new(),
            last: String::new(),
        }
    }

    /// Writes what has come since the last call.
    pub fn copy(&mut self, out: &mut Out) -> Result<(), Failure> {
        let bytes = match read_from(&self.path, self.offset) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|e| {
                Failure::internal(format!("cannot read {}: {e}", self.path.display()))
            })?,
        };
        self.offset += bytes.len() as u64;
        if self.raw {
            out.bytes(&bytes)?;
            return out.flush();
        }
        if !backend::has_events(&self.backend) {
            out.foreign(&bytes)?;
            return out.flush();
        }
        self.partial.extend(bytes);
        let whole = self.partial.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let rest = self.partial.split_off(whole);
        let lines = std::mem::replace(&mut self.partial, rest);
        self.render(&lines, out)
    }

    /// Writes a last line that has no newline.
    pub fn finish(&mut self, out: &mut Out) -> Result<(), Failure> {
        let rest = std::mem::take(&mut self.partial);
        self.render(&rest, out)
    }

    /// The whole lines that have come since the last call; with `over` also what
    /// has no newline yet.
    pub fn lines(&mut self, over: bool) -> io::Result<Vec<String>> {
        let bytes = match read_from(&self.path, self.offset) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        self.offset += bytes.len() as u64;
        self.partial.extend(bytes);
        let whole = self.partial.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let end = if over { self.partial.len() } else { whole };
        let rest = self.partial.split_off(end);
        let bytes = std::mem::replace(&mut self.partial, rest);
        let mut lines = Vec::new();
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let text = backend::render(&self.backend, line, self.root.as_deref());
            let text = text.map(|text| text.lines().map(ui::clean).collect::<Vec<_>>());
            lines.extend(text.unwrap_or_default());
        }
        Ok(lines)
    }

    fn render(&mut self, lines: &[u8], out: &mut Out) -> Result<(), Failure> {
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let Some(text) = backend::render(&self.backend, line, self.root.as_deref()) else {
                continue;
            };
            // An error comes again as the reason why the turn failed.
            if !(text.starts_with("! ") && text == self.last) {
                out.foreign(text.as_bytes())?;
                out.line("")?;
                self.last = text;
            }
        }
        out.flush()
    }
}

/// The folder that paths are shown relative to.
fn root(job: &Job) -> Option<PathBuf> {
    let tree = job.spec.tree.as_ref().map(|tree| &tree.path);
    tree.or(job.spec.checkout.as_ref()).map(PathBuf::from)
}

fn read_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
