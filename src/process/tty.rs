//! Terminals: which one we stand on, and a word to one that somebody stands on.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;

/// The terminal behind stderr, or else behind stdin.
pub fn own() -> Option<PathBuf> {
    nix::unistd::ttyname(io::stderr()).or_else(|_| nix::unistd::ttyname(io::stdin())).ok()
}

/// Writes to the terminal at `path`, if it is one, and ours. `false` where it is
/// neither any more. Does not wait for one that was stopped.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let mut file = match OpenOptions::new().write(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        // The window was closed, or somebody else has that number now.
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(false);
        }
        Err(e) => return Err(e),
    };
    if !file.is_terminal() || file.metadata()?.uid() != nix::unistd::geteuid().as_raw() {
        return Ok(false);
    }
    file.write_all(bytes)?;
    Ok(true)
}
