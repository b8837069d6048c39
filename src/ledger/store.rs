//! Where the state of one repository lies, and the errors of touching it.
//!
//! ```text
//! STATE/ledger.jsonl        events, append-only
//! STATE/snapshot.jsonl      a fold of them, replaceable
//! STATE/parts/*.jsonl.gz    the ledger's beginning, once that is long
//! STATE/segment           the state in one line, for prompts; replaceable
//! STATE/worktree.lock       serialises worktree commands
//! STATE/merge.lock          serialises merges
//! STATE/jobs/N/prompt       what the worker is told, byte for byte
//! STATE/jobs/N/request      the same as an HTTP worker gets it
//! STATE/jobs/N/token        its token, until the job is over
//! STATE/jobs/N/events.jsonl the worker's stdout
//! STATE/jobs/N/stderr       the worker's stderr
//! STATE/jobs/N/last-message the final message, once the job is over, where
//!                           stdout is not the message itself
//! STATE/jobs/N/answer       what codex -o wrote
//! STATE/jobs/N/lock         held as long as the job's supervisor lives
//! STATE/jobs/N/supervisor.log  what the supervisor had to complain about
//! STATE/jobs/N/tmp/         the worker's TMPDIR
//! STATE/runs/ID/plan.json   the plan of a run, and with which options it runs
//! STATE/runs/ID/lock        held as long as somebody works through it
//! STATE/runs/ID/summary.json  what came of it, once it is over
//! STATE/runs/ID/runner.log  what a detached runner says
//! ```
//! Folders are 0700, files 0600. Folders `jobs/.new-*` were left by a
//! `cx spawn` that died before its job existed; `cx clean` takes them.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::job::{JobId, JobName};

/// The state folder of one repository, or the one for places without.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// The files of one job.
#[derive(Clone, Debug)]
pub struct JobFiles {
    dir: PathBuf,
}

/// The files of one run.
#[derive(Clone, Debug)]
pub struct RunFiles {
    dir: PathBuf,
}

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder of the state could not be used.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried: `read`, `append to`, `create`, ...
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An event could not be encoded.
    #[error("cannot encode an event: {0}")]
    Encode(#[from] jsonl::WriteError),
}

impl StoreError {
    /// The system's error, for those who must tell a full disk from others.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            Self::Encode(_) => None,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self.io_kind()? {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
                "make room on that disk (`cx clean` removes what is merged and collected); nothing earlier was lost".to_owned(),
            ),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(
                "in a sandbox, where the state folder is read-only, cx can only look; an agent there uses the tools of `cx mcp`, whose server its program starts outside (`cx man mcp`)".to_owned(),
            ),
            _ => None,
        }
    }
}

/// Attaches what was tried and where to an I/O error.
pub(super) fn at<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io { what, path: path.to_owned(), source }
}

impl Store {
    /// Names a state folder; nothing is read or made.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The ledger's path.
    pub fn ledger_path(&self) -> PathBuf {
        self.dir.join("ledger.jsonl")
    }

    pub(super) fn snapshot_path(&self) -> PathBuf {
        self.dir.join("snapshot.jsonl")
    }

    /// Where the ledger's beginning lies, once that is long.
    pub(super) fn parts_dir(&self) -> PathBuf {
        self.dir.join("parts")
    }

    pub(super) fn segment_path(&self) -> PathBuf {
        self.dir.join("segment")
    }

    /// The lock that serialises worktree commands.
    pub fn worktree_lock(&self) -> PathBuf {
        self.dir.join("worktree.lock")
    }

    /// The folder that the jobs of the repository share; the first writer makes it.
    pub fn cache_dir(&self) -> PathBuf {
        self.dir.join("cache")
    }

    /// The folder of orders for who deletes and cleans in the background.
    pub fn tidy_dir(&self) -> PathBuf {
        self.dir.join("tidy")
    }

    /// The lock that serialises merges into this repository.
    pub fn merge_lock(&self) -> PathBuf {
        self.dir.join("merge.lock")
    }

    /// The folder of the shared memory.
    pub fn memory_dir(&self) -> PathBuf {
        self.dir.join("memory")
    }

    /// Makes it, for a program that may write only what is there.
    pub fn create_memory_dir(&self) -> Result<(), StoreError> {
        private_dir(&self.memory_dir()).map_err(at("create", &self.memory_dir()))
    }

    /// The folder that holds the jobs' folders.
    pub fn jobs_dir(&self) -> PathBuf {
        self.dir.join("jobs")
    }

    /// The files of one job.
    pub fn job(&self, id: JobId) -> JobFiles {
        JobFiles { dir: self.jobs_dir().join(id.0.to_string()) }
    }

    /// The files of one run.
    pub fn run(&self, id: &str) -> RunFiles {
        RunFiles { dir: self.dir.join("runs").join(id) }
    }

    /// Makes the folder of a new run, with which its id is taken: `name`, or
    /// `name-2`, ... where that has one already or `taken` knows it.
    pub fn claim_run(
        &self,
        name: &JobName,
        taken: impl Fn(&str) -> bool,
    ) -> Result<(JobName, RunFiles), StoreError> {
        let runs = self.dir.join("runs");
        private_dir(&runs).map_err(at("create", &runs))?;
        loop {
            let id = name.untaken(|id| taken(id) || runs.join(id).exists());
            let files = self.run(id.as_str());
            match DirBuilder::new().mode(0o700).create(&files.dir) {
                Ok(()) => return Ok((id, files)),
                // Somebody else has taken it since.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(at("create", &files.dir)(e)),
            }
        }
    }

    /// Makes the state folder, if it is not there, private to its owner.
    pub fn create(&self) -> Result<(), StoreError> {
        let jobs = self.jobs_dir();
        private_dir(&jobs).map_err(at("create", &jobs))
    }

    /// Makes the folder that the jobs of the repository share, if it is not there.
    pub fn create_cache(&self) -> Result<(), StoreError> {
        let cache = self.cache_dir();
        private_dir(&cache).map_err(at("create", &cache))
    }

    /// A new folder under `jobs/` for a job that has no number yet. It goes
    /// away with the returned value, unless that is made a job.
    pub fn draft(&self) -> Result<tempfile::TempDir, StoreError> {
        let jobs = self.jobs_dir();
        let make = || tempfile::Builder::new().prefix(".new-").rand_bytes(8).tempdir_in(&jobs);
        match make() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.create()?;
                make().map_err(at("create a folder in", &jobs))
            }
            // The library names the folder again, with a name that nobody knows.
            other => other
                .map_err(|error| at("create a folder in", &jobs)(io::Error::from(error.kind()))),
        }
    }
}

impl JobFiles {
    /// The files of a job whose folder is `dir`.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The job's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the worker is told.
    pub fn prompt(&self) -> PathBuf {
        self.dir.join("prompt")
    }

    /// The request that holds the prompt, where the worker is asked over HTTP.
    pub fn request(&self) -> PathBuf {
        self.dir.join("request")
    }

    /// The token that goes with it, as a line of its head. Gone once the job is over.
    pub fn token(&self) -> PathBuf {
        self.dir.join("token")
    }

    /// Removes the token, if it is there.
    pub fn remove_token(&self) -> Result<(), StoreError> {
        let path = self.token();
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at("remove", &path)(e)),
            _ => Ok(()),
        }
    }

    /// The worker's stdout: events for codex, plain output for `sh`.
    pub fn stdout(&self) -> PathBuf {
        self.dir.join("events.jsonl")
    }

    /// The worker's stderr.
    pub fn stderr(&self) -> PathBuf {
        self.dir.join("stderr")
    }

    /// The final message; exists only once the job is over and had one.
    pub fn last_message(&self) -> PathBuf {
        self.dir.join("last-message")
    }

    /// What does the work, and in its place, where the names alone do not tell.
    pub fn backend(&self) -> PathBuf {
        self.dir.join("backend.json")
    }

    /// Where the worker's program writes its answer, if it can.
    pub fn answer(&self) -> PathBuf {
        self.dir.join("answer")
    }

    /// What a worker is told that goes on after a hold.
    pub fn going_on(&self) -> PathBuf {
        self.dir.join("going-on")
    }

    /// The lock that the supervisor holds.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// What the supervisor complained about.
    pub fn supervisor_log(&self) -> PathBuf {
        self.dir.join("supervisor.log")
    }

    /// What a setup command put out.
    pub fn setup_log(&self) -> PathBuf {
        self.dir.join("setup.log")
    }

    /// What the hooks put out.
    pub fn hooks_log(&self) -> PathBuf {
        self.dir.join("hooks.log")
    }

    /// The shape that the answer has to have, where one was given: a JSON schema.
    pub fn schema(&self) -> PathBuf {
        self.dir.join("schema.json")
    }

    /// How git's folder of the worktree was before a worker that may commit.
    pub fn seal(&self) -> PathBuf {
        self.dir.join("seal.json")
    }

    /// What stands in for git's folder of the worktree while that is the worker's.
    pub fn stand_in(&self) -> PathBuf {
        self.dir.join("git")
    }

    /// The objects that a worker has made which may commit.
    pub fn objects(&self) -> PathBuf {
        self.dir.join("objects")
    }

    /// What whoever makes a checkpoint needs for a while.
    pub fn checkpoint(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }

    /// The worker's `TMPDIR`.
    pub fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// What the worker said last of how far it is; the file is made with its job's tools.
    pub fn reported(&self) -> PathBuf {
        self.dir.join("report")
    }

    /// Makes the file of reports, empty, for a program that may write only what is there.
    pub fn create_reported(&self) -> Result<(), StoreError> {
        Self::create(&self.reported()).map(drop)
    }

    /// Replaces that. Written in place: a confined worker's program may write this one
    /// file, and no other beside it. Whoever reads meanwhile sees less of a line.
    pub fn report(&self, line: &str) -> Result<(), StoreError> {
        let path = self.reported();
        let mut file = Self::create(&path)?;
        file.write_all(line.as_bytes()).map_err(at("write", &path))
    }

    /// What the worker said last of how far it is.
    pub fn last_report(&self) -> Option<String> {
        fs::read_to_string(self.reported()).ok().filter(|line| !line.is_empty())
    }

    /// Makes the job's folder, should somebody have removed it.
    pub fn create_dir(&self) -> Result<(), StoreError> {
        private_dir(&self.dir).map_err(at("create", &self.dir))
    }

    /// Makes the job's `TMPDIR`, if it is not there.
    pub fn create_tmp(&self) -> Result<(), StoreError> {
        private_dir(&self.tmp()).map_err(at("create", &self.tmp()))
    }

    /// Removes what the worker left in its `TMPDIR`. An empty one stays until the
    /// job is cleaned: some file systems make whoever deletes a file pay for it
    /// with the next files that are made.
    pub fn empty_tmp(&self) {
        let tmp = self.tmp();
        if fs::read_dir(&tmp).is_ok_and(|mut entries| entries.next().is_some()) {
            let _ = fs::remove_dir_all(&tmp);
        }
    }

    /// Creates one of the job's files, empty, private to its owner.
    pub fn create(path: &Path) -> Result<File, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        options.open(path).map_err(at("create", path))
    }

    /// Replaces `path` in one step: readers see the old content or the new.
    pub fn replace(&self, path: &Path, content: &[u8]) -> Result<(), StoreError> {
        replace(&self.dir, path, content)
    }

    /// Removes the job's folder with all that is in it.
    pub fn remove(&self) -> Result<(), StoreError> {
        remove(&self.dir)
    }
}

impl RunFiles {
    /// The run's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its plan, and with which options it runs.
    pub fn plan(&self) -> PathBuf {
        self.dir.join("plan.json")
    }

    /// The lock that its runner holds.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// What came of it, once it is over.
    pub fn summary(&self) -> PathBuf {
        self.dir.join("summary.json")
    }

    /// What a detached runner says.
    pub fn log(&self) -> PathBuf {
        self.dir.join("runner.log")
    }

    /// Replaces one of its files in one step: readers see the old content or the
    /// new.
    pub fn replace(&self, path: &Path, content: &[u8]) -> Result<(), StoreError> {
        replace(&self.dir, path, content)
    }

    /// Removes the folder with all that is in it.
    pub fn remove(&self) -> Result<(), StoreError> {
        remove(&self.dir)
    }
}

fn remove(dir: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at("remove", dir)(e)),
        _ => Ok(()),
    }
}

fn replace(dir: &Path, path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        io::Write::write_all(&mut file, content)?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(at("write", path))
}

pub(super) fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
