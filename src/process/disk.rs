//! The room on a disk.

use std::{io, path::Path};

use nix::sys::statvfs::statvfs;

/// What an ordinary user may still put onto a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// Files; none where the file system does not count them.
    pub files: Option<u64>,
}

/// The room on the file system that `path` lies on, which must exist.
pub fn room(path: &Path) -> io::Result<Room> {
    let found = statvfs(path)?;
    Ok(Room {
        bytes: found.blocks_available().saturating_mul(found.fragment_size()),
        files: (found.files() > 0).then(|| found.files_available()),
    })
}
