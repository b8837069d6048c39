//! `[backends.NAME]`: programs that are backends. What the keys of such a table mean
//! is the business of whoever knows backends; here it is only whose word it is.

use std::path::{Path, PathBuf};

use super::file::{Base, located};
use super::value::Origin;
use crate::document::{self, Key, Node};

/// A table that defines a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendTable {
    /// Its name, as the file has it.
    pub(crate) name: Key,
    /// The table.
    pub(crate) node: Node,
    /// The file.
    pub(crate) origin: Origin,
    /// What relative paths count from.
    folder: PathBuf,
    home: PathBuf,
}

impl BackendTable {
    /// A program that the table names: a bare name stays one, for `PATH`.
    pub(crate) fn located(&self, program: &str) -> PathBuf {
        located(Path::new(program), Base { folder: &self.folder, home: &self.home })
    }
}

/// Those of a file whose text is good TOML.
pub(super) fn tables(text: &str, origin: &Origin, base: Base<'_>) -> Vec<BackendTable> {
    let file = document::toml(text).ok();
    let pairs = file.as_ref().and_then(|file| file.of("backends")?.map()).unwrap_or_default();
    pairs
        .iter()
        .map(|(name, node)| BackendTable {
            name: name.clone(),
            node: node.clone(),
            origin: origin.clone(),
            folder: base.folder.to_owned(),
            home: base.home.to_owned(),
        })
        .collect()
}
