//! What was given to us: the three standard streams, and rights.

use std::{fs, io, os::linux::fs::MetadataExt, path::Path};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    unistd::{AccessFlags, access},
};

/// Whether this process may make files in the folder `path`.
pub fn is_writable(path: &Path) -> bool {
    access(path, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// The device number of `/dev/null`: 1, 3.
const NULL: u64 = 0x103;

/// Whether we were started without a stdout (`cx ... >&-`).
///
/// The runtime then opens `/dev/null` in its place, for reading and writing,
/// which nobody does who only wants the output gone.
pub fn stdout_was_closed() -> bool {
    let is_null = fs::metadata("/proc/self/fd/1").is_ok_and(|meta| meta.st_rdev() == NULL);
    let flags = fcntl(io::stdout(), FcntlArg::F_GETFL).map(OFlag::from_bits_truncate);
    is_null && flags.is_ok_and(|flags| flags & OFlag::O_ACCMODE == OFlag::O_RDWR)
}
