//! The room on a disk, what takes it, and giving some of it back.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use nix::{
    fcntl::{FallocateFlags, fallocate},
    sys::{statfs::statfs, statvfs::statvfs},
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

/// Whether copies on the file system that `path` lies on may share their blocks: btrfs,
/// xfs, bcachefs, zfs.
pub fn may_share_blocks(path: &Path) -> bool {
    let known = [0x9123_683e_u64, 0x5846_5342, 0xca45_1a4e, 0x2fc1_2fc1];
    // The width of the number differs from libc to libc.
    let kind = statfs(path).map(|found| format!("{:x}", found.filesystem_type().0));
    kind.is_ok_and(|kind| known.iter().any(|known| format!("{known:x}") == kind))
}

/// Adds up what files take: blocks, not sizes, and a file of several names once.
#[derive(Debug, Default)]
pub struct Counted {
    /// Device and inode of what has other names, or was asked about by itself.
    seen: HashSet<(u64, u64)>,
}

impl Counted {
    /// The bytes that `path` and all below it take on disk, without what was counted
    /// before. What cannot be looked at counts nothing.
    pub fn below(&mut self, path: &Path) -> u64 {
        let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
        // The folder itself may lie in one that is counted later.
        if !self.seen.insert((meta.dev(), meta.ino())) {
            return 0;
        }
        let mut bytes = meta.blocks() * 512;
        let mut pending = if meta.is_dir() { vec![path.to_owned()] } else { Vec::new() };
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(meta) = entry.metadata() else { continue };
                let is_dir = meta.is_dir();
                let key = (meta.dev(), meta.ino());
                if is_dir && self.seen.contains(&key) {
                    continue;
                }
                if is_dir || meta.nlink() == 1 || self.seen.insert(key) {
                    bytes += meta.blocks() * 512;
                }
                if is_dir {
                    pending.push(entry.path());
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_and_every_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("a")).unwrap();
        fs::write(at("a/one"), vec![1; 100_000]).unwrap();
        let alone = Counted::default().below(&at("a"));
        assert!(alone >= 100_000, "{alone}");
        fs::hard_link(at("a/one"), at("two")).unwrap();
        fs::File::create(at("sparse")).unwrap().set_len(1 << 30).unwrap();
        let all = Counted::default().below(folder.path());
        assert!(all < alone + 100_000, "{all}");
        let mut counted = Counted::default();
        let (first, rest) = (counted.below(&at("a")), counted.below(folder.path()));
        assert_eq!(first + rest, all);
        assert_eq!(counted.below(&at("gone")), 0);
    }
}
