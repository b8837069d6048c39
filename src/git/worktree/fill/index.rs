//! The index of a new worktree: written whole, with what the system says of each file
//! right after it was written, so that git has nothing to look into later.
//!
//! Version 2, with the trees that it holds whole (`TREE`). The format is in git's
//! `Documentation/gitformat-index.txt`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use rustix::fs as sys;
use sha1::{Digest, Sha1};

use super::listing::{Listing, Wanted};

/// What an index says of a file, by which git knows it again. Zero where nothing is
/// known: git then looks at the file itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::git) struct Seen {
    /// ctime and mtime, each in seconds and nanoseconds, device and inode.
    before_mode: [u32; 6],
    /// User, group and size.
    after_mode: [u32; 3],
}

impl Seen {
    /// What an index keeps of it: the low 32 bits of everything, as git does.
    #[expect(clippy::cast_possible_truncation, reason = "that is what the format holds")]
    #[expect(clippy::cast_sign_loss, reason = "git reads them back the same way")]
    pub(in crate::git) fn of(stat: &sys::Stat) -> Self {
        // Not 0, which says that nothing is known.
        let size = match stat.st_size as u64 {
            size if size != 0 && size.trailing_zeros() >= 32 => 0x8000_0000,
            size => size as u32,
        };
        Self {
            before_mode: [
                stat.st_ctime as u32,
                stat.st_ctime_nsec as u32,
                stat.st_mtime as u32,
                stat.st_mtime_nsec as u32,
                stat.st_dev as u32,
                stat.st_ino as u32,
            ],
            after_mode: [stat.st_uid, stat.st_gid, size],
        }
    }
}

/// Writes the index that has `wanted` of `listing` to `path`, which must not be there.
/// `seen` are in the same order. With `trees` it says that these are the whole listing;
/// without `hashed` the sum at the end is left out, as `index.skipHash` wants it.
pub(in crate::git) fn write<'a>(
    path: &Path,
    listing: &'a Listing,
    wanted: impl ExactSizeIterator<Item = (&'a Wanted, Seen)>,
    trees: bool,
    hashed: bool,
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(64 + wanted.len() * 128);
    bytes.extend_from_slice(b"DIRC");
    let count = u32::try_from(wanted.len()).map_err(io::Error::other)?;
    for number in [2, count] {
        bytes.extend(number.to_be_bytes());
    }
    for (wanted, seen) in wanted {
        let begin = bytes.len();
        for number in seen.before_mode {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(wanted.mode.to_be_bytes());
        for number in seen.after_mode {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(wanted.id);
        let path = listing.path(wanted);
        let len = u16::try_from(path.len()).unwrap_or(u16::MAX).min(0x0fff);
        bytes.extend(len.to_be_bytes());
        bytes.extend_from_slice(path);
        // One to eight zeros, up to a multiple of eight.
        let padded = (bytes.len() - begin) / 8 * 8 + 8;
        bytes.resize(begin + padded, 0);
    }
    if trees {
        let trees = tree_extension(listing);
        bytes.extend_from_slice(b"TREE");
        bytes.extend(u32::try_from(trees.len()).map_err(io::Error::other)?.to_be_bytes());
        bytes.extend(trees);
    }
    let sum = if hashed { Sha1::digest(&bytes).into() } else { [0_u8; 20] };
    bytes.extend(sum);
    // Beside it first: whoever looks finds all of it, or none.
    let lock = path.with_extension("lock");
    let mut file = File::create_new(&lock)?;
    file.write_all(&bytes)?;
    drop(file);
    fs::rename(&lock, path)
}

fn tree_extension(listing: &Listing) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(listing.folders.len() * 48);
    for folder in &listing.folders {
        bytes.extend_from_slice(&folder.name);
        bytes.push(0);
        bytes.extend(format!("{} {}\n", folder.entries, folder.folders).into_bytes());
        bytes.extend(folder.id);
    }
    bytes
}
