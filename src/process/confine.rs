//! Read-only confinement by Landlock, for readers whose program has no
//! read-only mode of its own.
//!
//! Confined processes may read and execute everything and write only below the
//! places they were given, and to the usual devices. It holds for all that they
//! start, and cannot be lifted again. It is applied by a small step between
//! supervisor and worker (`cx __confine ... -- PROGRAM`), which then becomes
//! the program: the process number stays the same.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus,
};

/// Devices that programs expect to write to.
const DEVICES: [&str; 8] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];

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

/// Confines this thread, which must be the process's only one, and all that it
/// starts: nothing can be written but below `writable` and to the usual devices.
fn confine(writable: &[PathBuf]) -> Result<(), ConfineError> {
    let mut ruleset = ruleset()?.set_compatibility(CompatLevel::BestEffort);
    let devices = DEVICES.iter().map(Path::new);
    for place in writable.iter().map(PathBuf::as_path).chain(devices) {
        // What is not there needs no rule.
        let Ok(fd) = PathFd::new(place) else { continue };
        let access =
            if place.is_dir() { writes() } else { writes() & AccessFs::from_file(ABI::V5) };
        ruleset = ruleset.add_rule(PathBeneath::new(fd, access))?;
    }
    let status = ruleset.restrict_self()?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err(ConfineError::Unsupported),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

/// Confines this process and becomes `program`. Returns only when that failed.
pub fn become_program(writable: &[PathBuf], program: &Path, args: &[OsString]) -> io::Error {
    match confine(writable) {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(error) => io::Error::other(error.to_string()),
    }
}

/// Where a confined reader may write: its own `TMPDIR`, and `/tmp` unless the
/// checkout lies there.
pub fn writable_places(tmp: &Path, checkout: &Path) -> Vec<PathBuf> {
    let mut places = vec![tmp.to_owned()];
    if !checkout.starts_with("/tmp") {
        places.push(PathBuf::from("/tmp"));
    }
    places
}
