//! `--git`: a worker that commits by itself, and what becomes of that.
//!
//! The seal lies in the job's folder, which the worker cannot write to, as long as
//! git's folder of its worktree is the worker's. A recovery finds it there.

use std::{ffi::OsString, fs, io, path::Path};

use super::{Supervisor, finish::Finisher};
use crate::{
    git::{
        Place,
        grant::{self, Seal},
    },
    ledger::{Note, Store, StoreError},
    process::crash,
};

/// What a worker that commits is started with.
pub(super) struct Grant {
    /// Folders that it may write to as well.
    pub(super) folders: Vec<std::path::PathBuf>,
    pub(super) env: Vec<(OsString, OsString)>,
}

impl Supervisor {
    /// Opens git's folder of the worktree for the worker of a job that may commit; the
    /// sentence says why not.
    pub(super) fn open_grant(&self) -> Result<Option<Grant>, String> {
        let (true, Some((tree, branch))) = (self.spec.git, self.spec.branch()) else {
            return Ok(None);
        };
        let place = self.place()?;
        let told = |error: &dyn std::fmt::Display| format!("it cannot be let commit: {error}");
        let objects = self.files.objects();
        let stands_in = self.files.stand_in();
        let seal = grant::open(&place, Path::new(&tree.path), branch, (&objects, &stands_in))
            .map_err(|e| told(&e))?;
        let bytes = serde_json::to_vec(&seal).map_err(|e| told(&e))?;
        self.files.replace(&self.files.seal(), &bytes).map_err(|e| told(&e))?;
        let folders = vec![seal.git_dir().to_owned(), objects.clone()];
        let shared = place.common_dir.join("objects");
        let env = vec![
            ("GIT_OBJECT_DIRECTORY".into(), objects.into()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES".into(), shared.into()),
        ];
        Ok(Some(Grant { folders, env }))
    }
}

impl Finisher<'_> {
    /// Closes it again, before any git runs there, and takes over what the worker has
    /// committed. Where nothing is open it does nothing.
    pub(super) fn close_grant(&self, place: &Place) -> Result<(), StoreError> {
        let file = self.files.seal();
        let bytes = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // One that stands in counts no more.
                let _ = fs::remove_dir_all(self.files.stand_in());
                return Ok(());
            }
            read => read,
        };
        let failed = |source: io::Error| StoreError::Io {
            what: "put back what is sealed by",
            path: file.clone(),
            source,
        };
        let seal: Seal =
            serde_json::from_slice(&bytes.map_err(failed)?).map_err(|e| failed(e.into()))?;
        let restored = seal.restore().map_err(failed)?;
        if !restored.rewritten.is_empty() {
            note(
                self.store,
                self.id,
                format!(
                    "the worker rewrote {} in git's folder of its worktree, which was put back",
                    restored.rewritten.join(", ")
                ),
            )?;
        }
        let Some((tree, _)) = self.spec.branch() else { return Ok(()) };
        let taken = seal.take_over(place, Path::new(&tree.path), &self.files.objects(), &restored);
        if let Some(why) = taken.unwrap_or_else(|error| Some(error.to_string())) {
            note(
                self.store,
                self.id,
                format!("the worker's own commits were left out, and its files were not: {why}"),
            )?;
        }
        crash::point("grant-closed");
        fs::remove_file(&file).map_err(failed)?;
        let _ = fs::remove_dir_all(self.files.stand_in());
        Ok(())
    }
}

fn note(store: &Store, id: crate::job::JobId, text: String) -> Result<(), StoreError> {
    store.append(id, &crate::ledger::Event::Note(Note { text }))
}
