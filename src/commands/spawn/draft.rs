//! The files of a job that has no number yet. A crash leaves a folder that nobody
//! speaks of, which `cx clean` takes.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::check::Checked;
use crate::{
    backend::Backend,
    commands::session::{Session, store},
    failure::Failure,
    job::JobId,
    ledger::JobFiles,
    process::{crash, lock},
};

/// The files, and the lock that its supervisor gets.
pub(super) struct Draft {
    pub(super) folder: tempfile::TempDir,
    pub(super) lock: File,
}

impl Draft {
    pub(super) fn make(session: &Session, one: &Checked) -> Result<Self, Failure> {
        let folder = session.store.draft().map_err(store)?;
        let files = JobFiles::in_dir(folder.path());
        // First of all: one that nobody holds was left by a crash.
        let lock = lock::create(&files.lock()).map_err(|e| {
            Failure::internal(format!("cannot make a lock in {}: {e}", files.dir().display()))
        })?;
        crash::point("draft");
        let path = files.prompt();
        let mut file = JobFiles::create(&path).map_err(store)?;
        io::Write::write_all(&mut file, &one.prompt).map_err(|e| {
            Failure::internal(format!("cannot write {}: {e}; nothing was started", path.display()))
        })?;
        let kept =
            Backend::to_keep(one.backends()).map_err(|e| Failure::internal(e.to_string()))?;
        if let Some(kept) = kept {
            files.replace(&files.backend(), &kept).map_err(store)?;
        }
        if let Some(schema) = &one.schema {
            files.replace(&files.schema(), schema).map_err(store)?;
        }
        Ok(Self { folder, lock })
    }
}

/// Gives the draft the first number from `next` on that has no folder yet: one
/// without an event was left by a crash, and is not ours to remove.
pub(super) fn settle(session: &Session, draft: &Path, next: u64) -> Result<JobId, Failure> {
    let mut number = next;
    loop {
        let id = JobId(number);
        match fs::rename(draft, session.store.job(id).dir()) {
            Ok(()) => return Ok(id),
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                number += 1;
            }
            Err(e) => {
                return Err(Failure::internal(format!(
                    "cannot make the folder of {id}: {e}; nothing was started"
                )));
            }
        }
    }
}
