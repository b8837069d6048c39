//! Read-only confinement by Landlock, for readers whose program has no
//! read-only mode of its own.
//!
//! Confined processes may read and execute everything and write only below the
//! places they were given, and to the usual devices. It holds for all that they
//! start, and cannot be lifted again. Landlock confines a thread, and what is
//! started by it: the supervisor starts such a worker from a thread made for
//! that, and stays free itself. A helper program that confines itself and then
//! becomes the worker would be one more program to start for each reader.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use nix::{fcntl::OFlag, sys::stat::Mode};

/// Devices that programs expect to write to.
const DEVICES: [&str; 7] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx"];

/// The folder of the others.
const TERMINALS: &str = "/dev/pts";

/// For a thread that starts a process.
const STACK: usize = 256 * 1024;

/// What is forbidden outside the given places: every way of changing files that
/// the kernel can forbid; truncation among them since ABI 3.
fn writes() -> BitFlags<AccessFs> {
    AccessFs::from_write(ABI::V5)
}

/// Why nothing could be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The kernel has no Landlock, or too old a one to forbid truncation.
    #[error("this kernel has no Landlock (or one before 6.2), so a reader cannot be confined")]
    Unsupported,
    /// It has, and it failed.
    #[error("Landlock: {0}")]
    Failed(#[from] RulesetError),
}

fn ruleset() -> Result<RulesetCreated, ConfineError> {
    // All that from_write(V3) has is required; what came later is taken where
    // the kernel has it.
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_write(ABI::V3))
        .map_err(|_| ConfineError::Unsupported)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(writes())?;
    ruleset.create().map_err(|_| ConfineError::Unsupported)
}

/// Whether readers can be confined here.
pub fn is_supported() -> bool {
    ruleset().is_ok()
}

/// A descriptor that names a file without opening it: a terminal that is opened
/// does something. (`landlock::PathFd` does open it where the standard library
/// was built for musl: that takes O_PATH for an access mode, and drops it.)
fn name(path: &Path) -> nix::Result<OwnedFd> {
    nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
}

/// Confines this thread and all that it starts from here on: nothing can be
/// written but below `writable` and to the usual devices.
pub(super) fn confine(writable: &[PathBuf]) -> Result<(), ConfineError> {
    let mut ruleset = ruleset()?.set_compatibility(CompatLevel::BestEffort);
    let to_files = writes() & AccessFs::from_file(ABI::V5);
    let devices = DEVICES.iter().map(|path| (Path::new(path), to_files));
    let folders = writable.iter().map(PathBuf::as_path).chain([Path::new(TERMINALS)]);
    for (place, access) in folders.map(|path| (path, writes())).chain(devices) {
        // What is not there needs no rule.
        let Ok(fd) = name(place) else { continue };
        ruleset = ruleset.add_rule(PathBeneath::new(fd, access))?;
    }
    let status = ruleset.restrict_self()?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err(ConfineError::Unsupported),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

/// Calls `start` in a thread of its own that is confined: the processes that
/// it starts are, this one is not.
pub(super) fn start_within<T: Send>(
    writable: &[PathBuf],
    start: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    thread::scope(|scope| {
        let confined = || {
            confine(writable).map_err(io::Error::other)?;
            start()
        };
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, confined)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that starts it died")))
    })
}

/// Where a confined reader may write: its own `TMPDIR`, and `/tmp` unless one of
/// these `roots` lies there: the checkout, its worktree.
pub fn writable_places(tmp: &Path, roots: &[&Path]) -> Vec<PathBuf> {
    let mut places = vec![tmp.to_owned()];
    if !roots.iter().any(|root| root.starts_with("/tmp")) {
        places.push(PathBuf::from("/tmp"));
    }
    places
}
