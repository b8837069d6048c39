//! The room on a disk, and giving some of it back.

use std::{fs::File, io, path::Path};

use nix::{
    fcntl::{FallocateFlags, fallocate},
    sys::statvfs::statvfs,
};

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

/// Gives the room of the first `len` bytes of a file back, which read as zeros from
/// then on; what follows stays where it is. Some file systems cannot.
pub fn punch(file: &File, len: u64) -> io::Result<()> {
    let how = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(file, how, 0, i64::try_from(len).unwrap_or(i64::MAX))?;
    Ok(())
}
